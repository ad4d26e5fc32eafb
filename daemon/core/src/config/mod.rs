//! Configuration in three stages: fragment as written, merged, validated.
//!
//! | stage | where | knows |
//! |---|---|---|
//! | fragment | `fragment`, `check` | one file: syntax, unknown keys, types, ranges, each with line and column |
//! | merged | `merge` | which file hides which, drop-ins, the origin of every key |
//! | [`Config`] | `validate` | relations between keys, workers, teams and the host |
//!
//! Mistakes of all stages are collected and reported together. The keys stand in one table, [`schema()`], from which
//! also come the defaults, [`explain()`], [`show()`] and the manual. Reading files is the shell's business.

mod address;
mod check;
mod digest;
mod explain;
mod fragment;
mod intake;
mod merge;
mod schema;
mod show;
mod signal;
mod suggest;
mod template;
mod text;
mod typed;
mod types;
pub mod units;
mod validate;

#[cfg(test)]
mod tests;

pub use explain::{explain, nearest_key};
pub use fragment::{Item, Origin, Table, Value};
pub use intake::{LABELS as METRIC_LABELS, WorkerMetrics};
pub use merge::{Document, Merged};
pub use schema::{Key, Kind, schema};
pub use show::{diff, show};
pub use signal::{parse_signal, render_signal};
pub use template::{NAMES as TEMPLATE_NAMES, TemplateValues, expand};
pub use types::*;

/// What came of the files.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// `None` when there is any error.
    pub config: Option<Config>,
    /// What the files say together, for showing; complete only when there is no error.
    pub merged: Merged,
    /// All remarks, by file and line.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the files into a configuration, or says everything that is wrong with them.
///
/// The order of `files` does not matter. No files at all are a valid configuration.
pub fn load(files: &[SourceFile], host: &HostFacts) -> Loaded {
    let mut diagnostics = Vec::new();
    let merged = merge::merge(files, &mut diagnostics);
    let config = validate::validate(&merged, host, &mut diagnostics);
    diagnostics.sort();
    diagnostics.dedup();
    Loaded { config, merged, diagnostics }
}

/// One remark on the configuration files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// File as given.
    pub file: String,
    /// From 1; 0 when it concerns the file as a whole.
    pub line: u32,
    /// From 1; 0 likewise.
    pub column: u32,
    /// An error keeps the configuration from taking effect; a warning does not.
    pub error: bool,
    /// Dotted key, `worker.probe.liveness.period`; empty for a syntax error.
    pub key: String,
    /// What is wrong and what was expected.
    pub text: String,
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = if self.error { "error" } else { "warning" };
        if self.line == 0 {
            write!(f, "{}: {severity}: ", self.file)?;
        } else {
            write!(f, "{}:{}:{}: {severity}: ", self.file, self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// One file as the shell read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path, for messages.
    pub path: String,
    /// What it defines.
    pub kind: SourceKind,
    /// Folder rank: 0 vendor (`/usr/lib/reeve`), 1 runtime (`/run/reeve`), 2 administrator (`/etc/reeve`).
    pub rank: u8,
    /// File name of a drop-in (`50-limits.toml`); `None` for a main file. Drop-ins apply in the order of this name.
    pub drop_in: Option<String>,
    /// Its text.
    pub text: String,
}

/// What a file defines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// `reeve.toml`.
    Node,
    /// `workers.d/NAME.toml`, with NAME.
    Worker(String),
}

/// Facts of the machine that validation needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Default of `[node] name`.
    pub hostname: String,
    /// Online CPUs.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
}
