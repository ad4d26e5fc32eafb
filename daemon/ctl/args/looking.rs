//! Arguments of the verbs that show.

use super::values::span;
use clap::{Args, Subcommand, ValueEnum};
use std::time::Duration;

/// Arguments of `status`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct StatusArgs {
    /// A worker, or one replica of it; the node without it
    #[arg(value_name = "WORKER[/N]")]
    pub target: Option<String>,
    /// How many log lines to show
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 10)]
    pub lines: u32,
    /// Do not shorten what does not fit
    #[arg(short = 'l', long)]
    pub full: bool,
}

/// Arguments of `list`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ListArgs {
    /// Only these workers
    #[arg(value_name = "WORKER")]
    pub workers: Vec<String>,
    /// Only workers of this team
    #[arg(long, value_name = "TEAM")]
    pub team: Option<String>,
    /// Only workers in this state
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Do not shorten what does not fit
    #[arg(short = 'l', long)]
    pub full: bool,
}

/// Arguments of `runs`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct RunsArgs {
    /// A worker, or one replica of it
    #[arg(value_name = "WORKER[/N]")]
    pub target: String,
    /// Show at most this many
    #[arg(short = 'n', long, value_name = "RUNS")]
    pub max: Option<u32>,
    /// Show the log lines kept with each run
    #[arg(long)]
    pub log: bool,
    /// Do not shorten what does not fit
    #[arg(short = 'l', long)]
    pub full: bool,
}

/// Arguments of `logs`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct LogsArgs {
    /// A worker, or one replica of it
    #[arg(value_name = "WORKER[/N]")]
    pub target: String,
    /// Go on as more lines come
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the newest lines; all without it, 10 with --follow
    #[arg(short = 'n', long, value_name = "LINES")]
    pub lines: Option<u32>,
    /// Lines of the run before the present one
    #[arg(long, conflicts_with_all = ["run", "follow"])]
    pub previous: bool,
    /// Lines of this run
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
}

/// Arguments of `events`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct EventsArgs {
    /// Only events of this worker or replica
    #[arg(value_name = "WORKER[/N]")]
    pub target: Option<String>,
    /// Go on as more events come
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the newest
    #[arg(short = 'n', long, value_name = "EVENTS", default_value_t = 50)]
    pub max: u32,
    /// Only events of the last so much time, such as 1h
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub since: Option<Duration>,
}

/// Arguments of `plan`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct PlanArgs {
    /// Plan with the files on disk, as if they were reloaded
    #[arg(long)]
    pub candidate: bool,
    /// Do not shorten what does not fit
    #[arg(short = 'l', long)]
    pub full: bool,
}

/// Arguments of `metrics`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct MetricsArgs {
    /// Sources such as cpu or gpu, or names of families such as 'reeve_worker_*'
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Do not shorten what does not fit
    #[arg(short = 'l', long)]
    pub full: bool,
}

/// Arguments of `top`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct TopArgs {
    /// Look again after this time
    #[arg(short, long, value_name = "SPAN", value_parser = span, default_value = "2s")]
    pub delay: Duration,
    /// What comes first
    #[arg(short, long, value_name = "BY", value_enum, default_value_t)]
    pub sort: TopSort,
    /// Print one table with the rates of the last seconds and end
    #[arg(long)]
    pub once: bool,
}

/// What `top` sorts by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TopSort {
    /// CPUs in use
    #[default]
    Cpu,
    /// Memory in use
    Memory,
    /// Memory on cards, then their use
    Gpu,
    /// Name
    Name,
}

/// Arguments of `audit`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct AuditArgs {
    /// What to do instead of listing
    #[command(subcommand)]
    pub verb: Option<AuditVerb>,
    /// How many of the newest entries
    #[arg(short = 'n', long, value_name = "ENTRIES", default_value_t = 50)]
    pub max: u32,
    /// Only entries of the last so much time, such as 1d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub since: Option<Duration>,
    /// Do not shorten what does not fit
    #[arg(short = 'l', long)]
    pub full: bool,
}

/// Verbs of `audit`.
#[derive(Debug, Clone, PartialEq, Subcommand)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub enum AuditVerb {
    /// Prove that no entry was changed, dropped or moved
    ///
    /// Exits with 1 and names the entry when one was.
    Verify,
}
