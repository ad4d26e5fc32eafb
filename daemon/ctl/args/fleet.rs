//! Arguments of `fleet`.

use super::acting::WaitArgs;
use super::values::span;
use clap::{Args, Subcommand};
use std::time::Duration;

/// Arguments of `fleet`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct FleetArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: FleetVerb,
}

/// Verbs of `fleet`.
#[derive(Debug, Clone, PartialEq, Subcommand)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub enum FleetVerb {
    /// Show who leads, who elects, and what is wrong
    ///
    /// Exits with 0 when there is a leader, else with 1.
    Status,
    /// List the nodes, as a voter knows them
    ///
    /// HEARD is how long ago, WORKERS the replicas that are ready and wanted, GPUS the cards, or those that are well of
    /// all. An observer keeps no registry: ask a voter.
    Nodes {
        /// Do not shorten what does not fit
        #[arg(short = 'l', long)]
        full: bool,
        /// Print the list of targets that the file_sd_configs of Prometheus read
        #[arg(long)]
        file_sd: bool,
        /// Port of nodes that tell no address of their metrics; without it they are left out
        #[arg(long, value_name = "PORT", requires = "file_sd", value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
    },
    /// List slots that are held or asked for, and what they wait for
    Slots {
        /// Do not shorten what does not fit
        #[arg(short = 'l', long)]
        full: bool,
    },
    /// Show what has happened to a node, a slot or the lead, and why
    Why {
        /// A node, a slot, or the word "leader"; all that is kept when left out
        #[arg(value_name = "NODE|SLOT|leader")]
        subject: Option<String>,
        /// Do not break lines that do not fit
        #[arg(short = 'l', long)]
        full: bool,
    },
    /// Ask for a slot, which is permission to be disruptive, and wait until it is granted
    ///
    /// Prints the slot and its fence. Exits with 5 when it is refused. Ctrl-C leaves the question in the queue. The slot
    /// turns suspect when its time is over, so release it when the work is done.
    Ask(AskArgs),
    /// Give a slot of this node back: the work is done
    Release {
        /// Which, as `reevectl fleet slots` lists them
        #[arg(value_name = "SLOT")]
        slot: String,
        /// The check after the work has failed: nobody else gets the slot, it turns suspect
        #[arg(long)]
        failed: bool,
        /// Why; recorded in the audit trail
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// How to wait
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Take a slot away from whoever holds it, who will not come back
    Break {
        /// Which, as `reevectl fleet slots` lists them
        #[arg(value_name = "SLOT")]
        slot: String,
        /// How to ask
        #[command(flatten)]
        change: FirmArgs,
    },
    /// Grant no slots in the whole fleet until unfrozen
    Freeze {
        /// Why; recorded in the audit trail and shown by `fleet status`
        #[arg(long, value_name = "TEXT", required = true)]
        reason: String,
        /// How to wait
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Grant slots again
    Unfreeze {
        /// Why; recorded in the audit trail
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// How to wait
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Let another voter lead: this one, or the best
    Handover {
        /// Who shall lead; the best voter when left out
        #[arg(value_name = "NODE")]
        node: Option<String>,
        /// Why; recorded in the audit trail
        #[arg(long, value_name = "TEXT", required = true)]
        reason: String,
        /// How to wait
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Make this observer a voter
    Promote {
        /// Without the other voters, as the only one: what they decided last is lost, all old tokens lose
        #[arg(long)]
        force: bool,
        /// How to ask
        #[command(flatten)]
        change: FirmArgs,
    },
    /// Make a voter an observer
    Demote {
        /// The voter
        #[arg(value_name = "NODE")]
        node: String,
        /// How to ask
        #[command(flatten)]
        change: FirmArgs,
    },
    /// Make this node a voter again, after it has lost its voter file
    Rejoin {
        /// How to ask
        #[command(flatten)]
        change: FirmArgs,
    },
    /// Go on with this voter alone, when the majority is lost for good
    ///
    /// A new epoch begins, to which all old tokens lose. What the lost voters decided last may be lost with them. They
    /// come back by `fleet rejoin` only.
    Recover {
        /// Say that you know what it does
        #[arg(long)]
        i_know: bool,
        /// Why; recorded in the audit trail
        #[arg(long, value_name = "TEXT", required = true)]
        reason: String,
        /// How to wait
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Print a configuration of mosquitto for this fleet, and its list of permissions
    ///
    /// Comments in it say where each part goes. It holds no secret.
    BrokerConfig {
        /// Who may send commands beside the voters; may be given several times
        #[arg(long = "operator", value_name = "NAME")]
        operators: Vec<String>,
    },
}

/// Arguments of `fleet ask`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct AskArgs {
    /// What for, such as reboot: a section of [fleet.slots]
    #[arg(value_name = "KIND")]
    pub kind: String,
    /// Why; others see it, and it is recorded in the audit trail
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// A name for this request: asking again with the same name does nothing new
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
    /// Return as soon as reeved has accepted the question
    #[arg(long)]
    pub no_wait: bool,
    /// Take the question back when it is not granted by then (such as 90s or 5min), and exit with 1
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub timeout: Option<Duration>,
}

/// How a change is asked for that is not easily undone.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct FirmArgs {
    /// Why; recorded in the audit trail
    #[arg(long, value_name = "TEXT", required = true)]
    pub reason: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How to wait
    #[command(flatten)]
    pub wait: WaitArgs,
}
