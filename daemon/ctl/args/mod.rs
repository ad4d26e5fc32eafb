//! The command line of `reevectl`: definitions only. Help, man pages and completions come from here, so this folder
//! compiles alone with clap (`build.rs` includes it).
//!
//! - `acting`: verbs that change workers. - `looking`: verbs that show. - `node`: what concerns the node as a whole.
//! - `fleet`: the fleet. - `values`: how single values are read.

mod acting;
mod fleet;
mod looking;
mod node;
mod values;

pub use acting::*;
pub use fleet::*;
pub use looking::*;
pub use node::*;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Show and steer the workers of this node, and its fleet.
#[derive(Debug, Parser)]
#[command(
    name = "reevectl",
    version,
    long_about = "reevectl shows and steers the workers that reeved(8) keeps running on this node. \
                  It speaks D-Bus only: what it may do is decided by polkit, and every change is audited.",
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 yes or done, 1 no or failed, 2 usage, 3 reeved not reachable, 4 not authorised, \
                  5 refused."
)]
pub struct Cli {
    /// How to talk, and how to show
    #[command(flatten)]
    pub global: Global,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Common options")]
pub struct Global {
    /// Talk to the reeved that was started with the same --root, on its private socket
    #[arg(long, value_name = "DIR", global = true, value_hint = clap::ValueHint::DirPath)]
    pub root: Option<PathBuf>,
    /// Where reeved is: system, session, private, or a D-Bus address
    #[arg(long, value_name = "BUS", global = true)]
    pub bus: Option<String>,
    /// Print one JSON document for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// Do not pipe long output into a pager
    #[arg(long, global = true)]
    pub no_pager: bool,
    /// Use colours
    #[arg(long, value_name = "WHEN", global = true, value_enum, default_value_t)]
    pub color: Color,
    /// Say nothing on success; the exit code is the answer
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Do not ask for a password
    #[arg(long, global = true)]
    pub no_ask_password: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The verbs.
#[derive(Debug, Clone, PartialEq, Subcommand)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub enum Verb {
    /// Show the node in one screen, or one worker with its last runs and log lines
    ///
    /// Exits with 0 when all of it is running and ready, else with 1.
    Status(StatusArgs),
    /// List workers with their state
    List(ListArgs),
    /// Start workers, lifting an earlier stop
    Start(ActArgs),
    /// Stop workers until they are started again
    Stop(StopArgs),
    /// Stop and start workers
    Restart(RestartArgs),
    /// Freeze workers where they are
    Pause(ActArgs),
    /// Thaw paused workers, give isolated ones the network back
    Resume(ActArgs),
    /// Freeze workers and cut them off the network
    Isolate(IsolateArgs),
    /// Let workers finish the work in hand, then stop them
    Drain(ActArgs),
    /// Forget failures, close breakers, and try failed workers at once
    Reset(ResetArgs),
    /// Run another number of replicas
    Scale(ScaleArgs),
    /// Change limits of living workers
    ///
    /// Keys are those of systemd.resource-control(5) in lower case, such as memory_max=8G or cpu_quota=200%.
    Set(SetArgs),
    /// Show how the last runs ended, newest first
    Runs(RunsArgs),
    /// Show what workers have logged
    Logs(LogsArgs),
    /// Show what reeved has seen and decided, and why
    Events(EventsArgs),
    /// Watch the node, its cards and its workers live
    ///
    /// Sorted by CPU, memory or GPU; the last line names the keys. Without a terminal it prints one table and ends.
    Top(TopArgs),
    /// Show what is measured, as the scrape endpoint tells it
    ///
    /// All families are described in reeve-metrics(7). Exits with 1 when nothing fits.
    Metrics(MetricsArgs),
    /// Show what reeved would do now, and why
    Plan(PlanArgs),
    /// Read the configuration again and wait until it is in force
    ///
    /// When it holds mistakes, all are printed, the old configuration stays in force and the exit code is 5.
    Reload(ReloadArgs),
    /// Check, show, explain and compare the configuration
    Config(ConfigArgs),
    /// Show, drain and undrain this node
    Node(NodeArgs),
    /// Show cards, let go of them, take them back
    Gpu(GpuArgs),
    /// Show the fleet, ask it for slots, change who leads and elects
    Fleet(FleetArgs),
    /// Show the trail of all changes that were asked for
    Audit(AuditArgs),
}
