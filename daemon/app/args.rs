//! The command line of `reeved`: definitions only. Help, man page and completions come from here, so this file
//! compiles alone with clap (`build.rs` includes it).

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Keep the workers of this node running.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "reeved",
    version,
    long_about = "reeved keeps the workers of this node running: it starts, watches, heals, drains and stops them by \
                  the definitions in /etc/reeve, and answers reevectl(1) over D-Bus. Workers live in systemd units of \
                  their own and are untouched when reeved is restarted, upgraded or killed.",
    max_term_width = 100,
    after_help = "Exit codes: 0 ended as asked, 70 internal error, 77 permission missing, 78 configuration refused."
)]
pub struct Cli {
    /// Read the node settings from FILE instead of /etc/reeve/reeve.toml
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Prefix /etc/reeve, /usr/lib/reeve, /run/reeve and /var/lib/reeve: no privileges needed
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub root: Option<PathBuf>,
    /// Where to answer: system (default), session, private (default with --root), or a D-Bus address
    #[arg(long, value_name = "BUS")]
    pub bus: Option<String>,
    /// How workers are run; overrides `[launcher] kind`
    #[arg(long, value_name = "KIND", value_enum)]
    pub launcher: Option<Launcher>,
    /// Check the configuration, print every mistake with file, line and key, and exit with 0 or 78
    #[arg(long)]
    pub check: bool,
    /// The least important entries that are logged
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    pub log: LogLevel,
}

/// How workers are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Launcher {
    /// systemd where it is PID 1 and may be asked, else direct
    Auto,
    /// Transient systemd units; they outlive reeved
    Systemd,
    /// Children of reeved; they end with it
    Direct,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Broken until somebody acts
    Error,
    /// Worth a look if it grows
    Warn,
    /// What an operator would notice
    #[default]
    Info,
    /// Each turn
    Debug,
    /// Everything
    Trace,
}

/// Ended as asked.
pub const EXIT_OK: u8 = 0;
/// Internal error.
pub const EXIT_INTERNAL: u8 = 70;
/// A permission is missing.
pub const EXIT_PERMISSION: u8 = 77;
/// The configuration was refused.
pub const EXIT_CONFIG: u8 = 78;
