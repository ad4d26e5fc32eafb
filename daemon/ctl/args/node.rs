//! Arguments of the verbs that concern the node as a whole: reload, config, node.

use super::acting::WaitArgs;
use clap::{Args, Subcommand};

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

/// Arguments of `gpu`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct GpuArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: GpuVerb,
}

/// Verbs of `gpu`.
#[derive(Debug, Clone, PartialEq, Subcommand)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub enum GpuVerb {
    /// List cards with their load, health and workers
    List {
        /// Do not shorten what does not fit
        #[arg(short = 'l', long)]
        full: bool,
    },
    /// Let go of NVML, so that cards can be reset and the driver replaced
    ///
    /// Nothing is measured on cards and no worker is started on one until they are acquired again. Workers that run on
    /// cards are left alone: drain them first where the card itself must be free.
    Release {
        /// Why; recorded in the audit trail
        #[arg(long, value_name = "TEXT", required = true)]
        reason: String,
    },
    /// Take hold of NVML again
    Acquire {
        /// Why; recorded in the audit trail
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
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
