//! The command line of `reevectl`: definitions only. Help, man pages and completions come from here, so this file
//! compiles alone with clap (`build.rs` includes it).

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Show and steer the workers of this node.
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
    /// Show the trail of all changes that were asked for
    Audit(AuditArgs),
}

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

/// Arguments of `reload`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ReloadArgs {
    /// Wait until the new configuration is in force or refused; always done
    #[arg(long)]
    pub wait: bool,
    /// Why; recorded in the audit trail
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Arguments of `config`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct ConfigArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: ConfigVerb,
}

/// Verbs of `config`.
#[derive(Debug, Clone, PartialEq, Subcommand)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub enum ConfigVerb {
    /// Check the files on disk and list every mistake
    ///
    /// Exits with 1 when a reload would be refused.
    Check,
    /// Print the configuration in force, with the origin of each value
    Show,
    /// Explain a key: default, unit, range, value and where it comes from
    Explain {
        /// Dotted, such as worker.stop.timeout
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Compare the configuration in force with the files on disk
    ///
    /// Exits with 1 when they differ.
    Diff {
        /// Do not shorten what does not fit
        #[arg(short = 'l', long)]
        full: bool,
    },
}

/// Arguments of `node`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct NodeArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: NodeVerb,
}

/// Verbs of `node`.
#[derive(Debug, Clone, PartialEq, Subcommand)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub enum NodeVerb {
    /// Show the node without its workers
    ///
    /// Exits with 0 when the node is running, else with 1.
    Status,
    /// Drain and stop every worker, start none until undrained
    Drain {
        /// Why; recorded in the audit trail
        #[arg(long, value_name = "TEXT", required = true)]
        reason: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// Show what would be done, change nothing
        #[arg(long)]
        dry_run: bool,
        /// How to wait
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Take work again
    Undrain {
        /// Why; recorded in the audit trail
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Show what would be done, change nothing
        #[arg(long)]
        dry_run: bool,
        /// How to wait
        #[command(flatten)]
        wait: WaitArgs,
    },
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

/// A span as systemd writes it: `90s`, `5min`, `1h 30min`; a bare number is seconds.
fn span(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a time span: write 90s, 5min, 1h 30min");
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let millis = match unit {
            "ms" | "msec" => 1,
            "" | "s" | "sec" | "second" | "seconds" => 1_000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hr" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            "w" | "week" | "weeks" => 604_800_000,
            _ => return Err(bad()),
        };
        let part = number.checked_mul(millis).ok_or_else(bad)?;
        total = total.checked_add(Duration::from_millis(part)).ok_or_else(bad)?;
        rest = after.trim_start();
    }
    Ok(total)
}

/// `key=value`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("{text:?} is not of the form key=value")),
    }
}
