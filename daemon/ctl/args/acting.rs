//! Arguments of the verbs that change workers.

use super::values::{pair, span};
use clap::Args;
use std::time::Duration;

/// How a change is asked for.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ChangeArgs {
    /// Why; recorded in the audit trail
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// A name for this request: asking again with the same name does nothing new
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
    /// Show what would be done, change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// How the end of a change is awaited.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct WaitArgs {
    /// Return as soon as reeved has accepted it
    #[arg(long)]
    pub no_wait: bool,
    /// Wait no longer than this (such as 90s or 5min), then exit with 1; the work goes on
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub timeout: Option<Duration>,
}

/// Arguments of the verbs that act on workers.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ActArgs {
    /// Workers, or single replicas of them
    #[arg(value_name = "WORKER[/N]", required = true)]
    pub targets: Vec<String>,
    /// How to ask
    #[command(flatten)]
    pub change: ChangeArgs,
    /// How to wait
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Arguments of `stop`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct StopArgs {
    /// Workers, or single replicas of them
    #[arg(value_name = "WORKER[/N]", required_unless_present = "all")]
    pub targets: Vec<String>,
    /// Stop every worker of this node, in reverse start order
    #[arg(long, conflicts_with = "targets")]
    pub all: bool,
    /// Do not ask before --all
    #[arg(short, long)]
    pub yes: bool,
    /// How to ask
    #[command(flatten)]
    pub change: ChangeArgs,
    /// How to wait
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Arguments of `restart`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct RestartArgs {
    /// Workers, or single replicas of them
    #[arg(value_name = "WORKER[/N]", required = true)]
    pub targets: Vec<String>,
    /// One replica after the other, the next when the one before is ready
    #[arg(long)]
    pub rolling: bool,
    /// How to ask
    #[command(flatten)]
    pub change: ChangeArgs,
    /// How to wait
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Arguments of `isolate`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct IsolateArgs {
    /// Workers, or single replicas of them
    #[arg(value_name = "WORKER[/N]", required = true)]
    pub targets: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How to ask
    #[command(flatten)]
    pub change: ChangeArgs,
    /// How to wait
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Arguments of `reset`, which is done at once.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ResetArgs {
    /// Workers, or single replicas of them
    #[arg(value_name = "WORKER[/N]", required = true)]
    pub targets: Vec<String>,
    /// How to ask
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Arguments of `scale`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ScaleArgs {
    /// The worker
    #[arg(value_name = "WORKER")]
    pub worker: String,
    /// How many replicas to run
    #[arg(value_name = "N")]
    pub replicas: u32,
    /// How to ask
    #[command(flatten)]
    pub change: ChangeArgs,
    /// How to wait
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Arguments of `set`, which is done at once.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct SetArgs {
    /// The worker
    #[arg(value_name = "WORKER")]
    pub worker: String,
    /// What to change, such as memory_max=8G
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = pair)]
    pub values: Vec<(String, String)>,
    /// How to ask
    #[command(flatten)]
    pub change: ChangeArgs,
}
