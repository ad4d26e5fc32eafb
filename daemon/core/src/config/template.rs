//! `{worker} {replica} {port} {runtime_dir} {gpus}` in commands, environment, probes and drain steps.
//!
//! `{{` and `}}` stand for one brace each; a closing brace alone stands for itself, so that only opening braces of
//! JSON or shell text need doubling.

/// The names that may stand in braces.
pub const NAMES: &[&str] = &["worker", "replica", "port", "runtime_dir", "gpus"];

/// What a replica puts in their place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateValues {
    /// `{worker}`: name of the worker.
    pub worker: String,
    /// `{replica}`: its number, from 1.
    pub replica: u32,
    /// `{port}`: the loopback port kept for it.
    pub port: Option<u16>,
    /// `{runtime_dir}`: its own folder below `/run/reeve`.
    pub runtime_dir: String,
    /// `{gpus}`: the GPUs assigned to it, comma-separated; empty when there are none.
    pub gpus: String,
}

/// One piece of a template text.
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
    /// An opening brace that is never closed, and what follows it.
    Unclosed(&'a str),
}

/// Puts the values in. The text has been checked at load; a name that is unknown anyway stays as written.
pub fn expand(text: &str, values: &TemplateValues) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Name("worker") => out.push_str(&values.worker),
            Piece::Name("replica") => out.push_str(&values.replica.to_string()),
            Piece::Name("port") => {
                if let Some(port) = values.port {
                    out.push_str(&port.to_string());
                }
            }
            Piece::Name("runtime_dir") => out.push_str(&values.runtime_dir),
            Piece::Name("gpus") => out.push_str(&values.gpus),
            Piece::Unclosed(rest) => {
                out.push('{');
                out.push_str(rest);
            }
            Piece::Name(other) => {
                out.push('{');
                out.push_str(other);
                out.push('}');
            }
        }
    }
    out
}

/// Whether the text names `{port}`.
pub(super) fn wants_port(text: &str) -> bool {
    pieces(text).any(|piece| matches!(piece, Piece::Name("port")))
}

/// Refuses unknown names and unclosed braces.
pub(super) fn check(text: &str) -> Result<(), String> {
    for piece in pieces(text) {
        let found = match piece {
            Piece::Text(_) => continue,
            Piece::Name(name) if NAMES.contains(&name) => continue,
            Piece::Name(name) => format!("`{{{name}}}` is not known here"),
            Piece::Unclosed(rest) => format!("`{{{rest}` is never closed"),
        };
        return Err(format!(
            "{found}; expected one of {{worker}} {{replica}} {{port}} {{runtime_dir}} {{gpus}}, or `{{{{` for a \
             literal brace"
        ));
    }
    Ok(())
}

/// Cuts the text at its braces.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        for doubled in ["{{", "}}"] {
            if let Some(after) = rest.strip_prefix(doubled) {
                rest = after;
                return doubled.get(..1).map(Piece::Text);
            }
        }
        if let Some(after) = rest.strip_prefix('{') {
            let Some((name, next)) = after.split_once('}') else {
                rest = "";
                return Some(Piece::Unclosed(after));
            };
            rest = next;
            return Some(Piece::Name(name));
        }
        // A single closing brace is text; look for the next brace behind it.
        let from = usize::from(rest.starts_with('}'));
        let end = rest.get(from..).and_then(|r| r.find(['{', '}'])).map_or(rest.len(), |i| i + from);
        let (text, next) = rest.split_at(end);
        rest = next;
        Some(Piece::Text(text))
    })
}
