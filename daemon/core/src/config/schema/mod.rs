//! The one table of keys: type, default, range, requirement and a line of text for each.
//!
//! The checker, the defaults, `reevectl config explain` and `reeve.toml(5)` all read it, so none can drift apart.

mod node;
mod sandbox;
mod worker;

use super::SourceKind;
use super::text::Check;
use super::units;
use std::time::Duration;

pub(super) use sandbox::check as check_directive;

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted path from the top of its file; `*` stands for a name that the administrator chooses.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is absent, without quotes; `None`: nothing, or the text says what.
    pub default: Option<&'static str>,
    /// Whether the text "off" is taken as well.
    pub off: bool,
    /// Whether `{worker}`, `{port}` … may stand in it.
    pub template: bool,
    /// Requirement ids.
    pub requirement: &'static str,
    /// What it is for, one line.
    pub text: &'static str,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the expectation texts below describe each")]
pub enum Kind {
    Text {
        expected: &'static str,
        check: Check,
    },
    Choice(&'static [&'static str]),
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    Number,
    Duration {
        min: Duration,
    },
    Size,
    Cpu,
    CpuShare,
    MemoryShare,
    NodeShare,
    Rate,
    Command,
    List {
        expected: &'static str,
        check: Check,
    },
    Map {
        expected: &'static str,
        key: Check,
        value: Check,
    },
    Directives,
    /// A table of names and lists of ascending numbers.
    Bounds,
    /// A table with keys of its own. `optional`: when absent, its keys do not hold either.
    Section {
        optional: bool,
    },
}

impl Key {
    const fn new(
        path: &'static str,
        kind: Kind,
        default: Option<&'static str>,
        requirement: &'static str,
        text: &'static str,
    ) -> Self {
        Self { path, kind, default, off: false, template: false, requirement, text }
    }

    const fn or_off(mut self) -> Self {
        self.off = true;
        self
    }

    const fn template(mut self) -> Self {
        self.template = true;
        self
    }

    /// What may stand there, for messages and the manual.
    pub fn expected(&self) -> String {
        let expected = match self.kind {
            Kind::Text { expected, .. } | Kind::List { expected, .. } | Kind::Map { expected, .. } => {
                expected.to_owned()
            }
            Kind::Choice(words) => format!("one of {}", quoted(words)),
            Kind::Bool => "true or false".to_owned(),
            Kind::Integer { min, max } => format!("an integer from {min} to {max}"),
            Kind::Number => "a number".to_owned(),
            Kind::Duration { .. } => units::DURATION_EXPECTED.to_owned(),
            Kind::Size => units::SIZE_EXPECTED.to_owned(),
            Kind::Cpu => units::CPU_EXPECTED.to_owned(),
            Kind::CpuShare => r#"a share of the host such as "80%", or a number of CPUs"#.to_owned(),
            Kind::MemoryShare => r#"a share of the host such as "80%", or a size such as "64G""#.to_owned(),
            Kind::NodeShare => r#"a number of nodes from 1, or a share such as "10%""#.to_owned(),
            Kind::Rate => units::RATE_EXPECTED.to_owned(),
            Kind::Command => {
                r#"a list of program and arguments such as ["/usr/bin/true"], the program by absolute path"#.to_owned()
            }
            Kind::Directives => "systemd sandbox directives with a text, true or false, or a list of texts".to_owned(),
            Kind::Bounds => {
                "a table of metric names and ascending numbers such as { tokens = [10, 100, 1000] }".to_owned()
            }
            Kind::Section { .. } => "a table".to_owned(),
        };
        if self.off { format!("{expected}, or \"off\"") } else { expected }
    }

    /// Unit of the figure; empty when it has none.
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Duration { .. } => "duration",
            Kind::Size => "bytes",
            Kind::Cpu => "CPUs",
            Kind::CpuShare => "share of the host or CPUs",
            Kind::MemoryShare => "share of the host or bytes",
            Kind::NodeShare => "nodes, or a share of them",
            Kind::Rate => "per span",
            _ => "",
        }
    }

    /// What is accepted: bounds, words.
    pub fn range(&self) -> String {
        match self.kind {
            Kind::Duration { min } if !min.is_zero() => {
                let off = if self.off { ", or \"off\"" } else { "" };
                format!("at least {}{off}", units::render_duration(min))
            }
            _ => self.expected(),
        }
    }

    /// What is left of this key's path below `path`; `None` when it does not lead there. Called for every key of
    /// every worker, so it splits nothing.
    fn below(&self, path: &[&str]) -> Option<&'static str> {
        let mut rest = self.path;
        for segment in path {
            if rest.is_empty() {
                return None;
            }
            let after = rest
                .strip_prefix(segment)
                .filter(|after| after.is_empty() || after.starts_with('.'))
                .or_else(|| rest.strip_prefix('*'))?;
            rest = after.strip_prefix('.').unwrap_or(after);
        }
        Some(rest)
    }

    /// Path by segments.
    pub(super) fn segments(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('.')
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|w| format!("{w:?}")).collect();
    words.join(", ")
}

/// Of these keys of one table at most one may be set; a drop-in that sets one replaces the other.
pub(super) const ALTERNATIVES: &[(&str, &[&str])] = &[
    ("worker.probe.liveness", &["http", "tcp", "exec", "notify", "progress"]),
    ("worker.probe.readiness", &["http", "tcp", "exec"]),
    ("worker.drain", &["signal", "http", "exec"]),
    ("worker.drain.until", &["metric", "exit", "exec"]),
];

/// Every key, those of `reeve.toml` first, then those of worker files; grouped by section.
pub fn schema() -> impl Iterator<Item = &'static Key> {
    node::KEYS.iter().chain(worker::KEYS)
}

/// The keys of one kind of file.
pub(super) fn keys(kind: &SourceKind) -> &'static [Key] {
    match kind {
        SourceKind::Node => node::KEYS,
        SourceKind::Worker(_) => worker::KEYS,
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A key.
    Key(&'static Key),
    /// A section that has no row of its own.
    Section,
    /// Nothing.
    Unknown,
}

/// Looks a path up; `*` in the table matches any name.
pub(super) fn lookup(keys: &'static [Key], path: &[&str]) -> Place {
    let mut section = false;
    for key in keys {
        match key.below(path) {
            Some("") => return Place::Key(key),
            Some(_) => section = true,
            None => {}
        }
    }
    if section { Place::Section } else { Place::Unknown }
}

/// Names that may stand below a path.
pub(super) fn children(keys: &'static [Key], path: &[&str]) -> Vec<&'static str> {
    let mut names: Vec<_> = keys
        .iter()
        .filter_map(|key| key.below(path))
        .filter_map(|rest| rest.split('.').next())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
