//! org.reeve.Node1(5): methods, properties and signals, from the introspection files.
//!
//! The files are written by our own code, one element a line, the comment above the element it is about. That is all
//! the XML this reads.

use super::roff::{item, plain, prose};
use std::path::Path;
use std::{fs, io};

/// The order in which a reader meets the interfaces; any other follows by name.
const ORDER: [&str; 10] =
    ["Manager", "Workers", "Worker", "Replica", "Gpus", "Maintenance", "TaskRun", "Fleet", "Metrics", "Audit"];

/// All interfaces found in `dir`.
pub fn render(dir: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    if dir.is_dir() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "xml") {
                files.push(path);
            }
        }
    }
    files.sort_by_key(|path| {
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let short = stem.rsplit('.').next().unwrap_or_default().to_owned();
        (ORDER.iter().position(|n| *n == short).unwrap_or(ORDER.len()), short)
    });
    files.iter().map(|path| Ok(interface(&fs::read_to_string(path)?))).collect()
}

/// One line of a file.
enum Piece {
    Comment(Vec<String>),
    Element(String),
}

/// One interface: heading, what it is for, its members.
fn interface(xml: &str) -> String {
    let mut out = String::new();
    let mut comment = Vec::new();
    let mut member: Option<Member> = None;
    for piece in pieces(xml) {
        match piece {
            Piece::Comment(lines) => {
                // Of two in a row the first is about the interface.
                out.push_str(&paragraph(&comment));
                comment = lines;
            }
            Piece::Element(line) if line.starts_with("<interface ") => {
                out.push_str(&format!(".SH {}\n", plain(&attribute(&line, "name"))));
            }
            Piece::Element(line) if line.starts_with("<arg ") => {
                if let Some(member) = &mut member {
                    member.argument(&line);
                }
            }
            Piece::Element(line) => {
                let kind = ["method", "property", "signal"].into_iter().find(|k| line.starts_with(&format!("<{k} ")));
                if let Some(kind) = kind {
                    out.push_str(&member.take().map(Member::render).unwrap_or_default());
                    member = Some(Member::new(kind, &line, std::mem::take(&mut comment)));
                }
            }
        }
    }
    out + &member.map(Member::render).unwrap_or_default()
}

/// Comments and elements in their order.
fn pieces(xml: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut comment: Option<Vec<String>> = None;
    for line in xml.lines().map(str::trim) {
        let inside = comment.is_some();
        let text = if inside { Some(line) } else { line.strip_prefix("<!--") };
        let Some(text) = text else {
            pieces.push(Piece::Element(line.to_owned()));
            continue;
        };
        let end = text.strip_suffix("-->");
        let mut lines = comment.take().unwrap_or_default();
        lines.push(end.unwrap_or(text).trim().to_owned());
        match end {
            Some(_) => pieces.push(Piece::Comment(lines)),
            None => comment = Some(lines),
        }
    }
    pieces
}

/// A method, property or signal.
struct Member {
    kind: &'static str,
    name: String,
    signature: String,
    input: Vec<String>,
    output: Vec<String>,
    comment: Vec<String>,
}

impl Member {
    fn new(kind: &'static str, line: &str, comment: Vec<String>) -> Self {
        Self {
            kind,
            name: attribute(line, "name"),
            signature: attribute(line, "type"),
            input: Vec::new(),
            output: Vec::new(),
            comment,
        }
    }

    fn argument(&mut self, line: &str) {
        let text = format!("{} {}", attribute(line, "type"), attribute(line, "name"));
        match attribute(line, "direction").as_str() {
            "out" => self.output.push(text),
            _ => self.input.push(text),
        }
    }

    fn render(self) -> String {
        let name = plain(&self.name);
        let input = plain(&self.input.join(", "));
        let output = match self.output.as_slice() {
            [] => String::new(),
            all => format!(" \\(-> {}", plain(&all.join(", "))),
        };
        let head = match self.kind {
            "method" => format!("\\fB{name}\\fR({input}){output}"),
            "signal" => format!("signal \\fB{name}\\fR({input})"),
            _ => format!("property \\fB{name}\\fR {}", plain(&self.signature)),
        };
        item(&head, &paragraphs(&self.comment))
    }
}

/// Lines joined into sentences; what the code appends about a method starts a line of its own.
fn paragraphs(lines: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in lines.iter().filter(|l| !l.is_empty()) {
        let own = ["Action: ", "Option ", "Errors: "].iter().any(|head| line.starts_with(head));
        match out.last_mut() {
            Some(last) if !own => *last = format!("{last} {}", prose(line)),
            _ => out.push(prose(line)),
        }
    }
    out
}

fn paragraph(lines: &[String]) -> String {
    lines.iter().filter(|l| !l.is_empty()).map(|l| prose(l) + "\n").collect()
}

/// The value of an attribute; empty without it.
fn attribute(line: &str, name: &str) -> String {
    let value = line.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
    let value = value.map_or("", |(value, _)| value);
    value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
