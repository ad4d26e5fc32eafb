//! Configuration in three stages: fragment as written, merged, validated.

mod types;

pub use types::*;

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
        write!(
            f,
            "{}:{}:{}: {severity}: ",
            self.file, self.line, self.column
        )?;
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
