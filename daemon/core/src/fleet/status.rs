//! The picture of the fleet as this node sees it, for D-Bus, `reevectl`, metrics and the status line.

use super::node::{NodeReport, NodeState};
use super::slot::SlotId;
use crate::election::{NodeName, Ver};
use crate::time::{Mono, Wall};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The fleet at one instant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FleetStatus {
    /// Name; empty in a fleet of one that was not configured.
    pub fleet: String,
    /// No `[fleet]` is configured: this node leads itself.
    pub alone: bool,
    /// `leader`, `follower`, `candidate`, `observer`; `isolated`: it hears of no leader.
    pub role: &'static str,
    /// Since when it has this role.
    pub since: Wall,
    /// Term, as `7` or `epoch:term`.
    pub term: String,
    /// The same as a number that only grows.
    pub term_number: u64,
    /// Who leads, as far as known.
    pub leader: Option<NodeName>,
    /// There is a leader that a majority answers, as far as known.
    pub quorum: bool,
    /// Until when this node may act as the leader; only on the leader. The end of time: it has no other voter.
    pub lease_end: Option<Mono>,
    /// When the leader was heard last; the leader itself: when a majority answered last.
    pub contact: Option<Wall>,
    /// Who elects; `true`: it has answered the leader lately (known to the leader alone, else `None`).
    pub voters: BTreeMap<NodeName, Option<bool>>,
    /// Newest document of this node.
    pub ver: Ver,
    /// Newest known to be committed.
    pub commit: Ver,
    /// Brokers in the order of the configuration.
    pub brokers: Vec<BrokerStatus>,
    /// Why it is as it is, in one sentence: what is wrong, since when, and what that means. Empty when all is well.
    pub reason: String,
    /// Most nodes fell silent at once: a broker is the likely cause, and nobody is declared lost.
    pub silence: bool,
    /// No new slots, and why.
    pub frozen: Option<String>,
    /// Time between two reports of a node, as the leader says.
    pub report_interval: Duration,
    /// The nodes, on voters; empty on an observer.
    pub nodes: Arc<BTreeMap<NodeName, Arc<NodeEntry>>>,
    /// Slots that are held or asked for, as this node knows them.
    pub slots: Arc<Vec<SlotStatus>>,
    /// What has happened, oldest first.
    pub past: Arc<Vec<Happened>>,
    /// Elections, as counted by this node in this life.
    pub tallies: FleetTallies,
}

/// One broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerStatus {
    /// Without secrets.
    pub url: String,
    /// Connected.
    pub connected: bool,
    /// Why it is not.
    pub reason: String,
}

/// One node as a voter knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeEntry {
    /// `alive`, `late`, `suspect`, `lost`.
    pub state: NodeState,
    /// `voter` or `observer`.
    pub voter: bool,
    /// When it was heard last, by this node's clock.
    pub heard: Wall,
    /// The same on the boot clock.
    pub heard_mono: Mono,
    /// Where from: `report`, `birth`, `retained`.
    pub source: &'static str,
    /// A broker says that its connection is gone.
    pub gone: bool,
    /// What it last said of itself.
    pub report: Option<Arc<NodeReport>>,
}

/// A slot that is held or asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotStatus {
    /// Id.
    pub id: SlotId,
    /// What it is for: `reboot`.
    pub kind: String,
    /// Value of the label that shares one budget; empty: the whole fleet does.
    pub group: String,
    /// `granted`, `suspect`, `queued`, `asking`.
    pub state: &'static str,
    /// Why it was asked for.
    pub reason: String,
    /// Since when it is in this state, as far as this node knows.
    pub since: Wall,
    /// When it turns suspect.
    pub expires: Option<Wall>,
    /// What committed it: orders grants.
    pub fence: Option<Ver>,
    /// Its place in the queue, from 1.
    pub position: Option<u32>,
    /// Why it waits, or is suspect: names who and since when.
    pub blocked: String,
}

/// Something that has happened, for `reevectl fleet why`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: Wall,
    /// `leader`, `slot`, `node`, `broker`, `voters`.
    pub kind: &'static str,
    /// A node's name or a slot's id; empty for the fleet.
    pub subject: String,
    /// One word or two: `elected`, `granted`, `refused`, `lost` ….
    pub cause: &'static str,
    /// In a sentence.
    pub text: String,
}

/// Counters of this life (MET-13).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FleetTallies {
    /// Times this node saw another leader, or itself begin to lead.
    pub leader_changes: u64,
    /// Elections this node stood in.
    pub stood: u64,
    /// Elections it won.
    pub won: u64,
    /// The last it won took so long.
    pub last_election: Option<Duration>,
    /// Messages dropped, by reason: `duplicate`, `old-term`, `other-fleet`, `sender`, `malformed`, `too-large`.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Events that came in a role that has no use for them.
    pub ignored: u64,
    /// Slots granted, refused and turned suspect by this node as the leader.
    pub slots: BTreeMap<&'static str, u64>,
}

impl FleetStatus {
    /// How long this node may still act as the leader.
    pub fn lease_left(&self, now: Mono) -> Option<Duration> {
        self.lease_end.map(|end| end.since(now))
    }

    /// `leader gpu-05, term 7, lease 1.4 s`, or what is wrong.
    pub fn line(&self, now: Mono) -> String {
        if !self.reason.is_empty() {
            return self.reason.clone();
        }
        let Some(leader) = &self.leader else { return "no leader is known yet".to_owned() };
        let lease = match self.lease_left(now) {
            Some(left) if left < Duration::from_hours(1) => format!(", lease {:.1} s", left.as_secs_f64()),
            _ => String::new(),
        };
        format!("leader {leader}, term {}{lease}", self.term)
    }
}
