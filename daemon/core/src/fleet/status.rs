//! The picture of the fleet as this node sees it, for D-Bus, `reevectl`, metrics and the status line.

use super::node::{NodeReport, NodeState};
use super::slot::SlotId;
use crate::election::{NodeName, Ver};
use crate::metrics::Histogram;
use crate::metrics::families::mqtt::ROUND_TRIP_BOUNDS;
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
    /// What was counted of the link to each of them; the link fills it in, the fleet's machine knows none of it.
    pub links: Vec<LinkCounters>,
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

impl BrokerStatus {
    /// Of one that was not tried yet.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), connected: false, reason: "not connected yet".to_owned() }
    }
}

/// What was counted of the link to one broker in this life (HLT-10, MET-14).
#[derive(Debug, Clone, PartialEq)]
pub struct LinkCounters {
    /// As in [`BrokerStatus::url`].
    pub url: String,
    /// Messages that were written to it.
    pub sent: u64,
    /// Messages that came from it.
    pub received: u64,
    /// Messages that were dropped, unsent or for want of room on arrival.
    pub dropped: u64,
    /// Messages that were refused: too large, or to a topic that is none.
    pub refused: u64,
    /// Connections made.
    pub connects: u64,
    /// Connections lost and tries that failed.
    pub lost: u64,
    /// How long messages to itself took, there and back, in seconds. Shared: a picture is taken far more often than
    /// one returns.
    pub round_trip: Arc<Histogram>,
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
    /// Elections it did not win; one under way is neither.
    pub lost: u64,
    /// The last it won took so long.
    pub last_election: Option<Duration>,
    /// Messages dropped, by reason: see [`FleetTallies::REASONS`].
    pub dropped: BTreeMap<&'static str, u64>,
    /// Events that came in a role that has no use for them.
    pub ignored: u64,
    /// What this node decided about slots as the leader: see [`FleetTallies::DECISIONS`].
    pub slots: BTreeMap<&'static str, u64>,
}

impl FleetTallies {
    /// Why messages are dropped.
    pub const REASONS: [&str; 9] =
        ["duplicate", "old-term", "other-fleet", "sender", "topic", "version", "malformed", "too-large", "same-name"];
    /// What is decided about slots.
    pub const DECISIONS: [&str; 5] = ["granted", "released", "suspect", "held again", "broken"];
}

impl LinkCounters {
    /// Nothing counted yet.
    pub fn new(url: impl Into<String>) -> Self {
        let round_trip = Arc::new(Histogram::new(ROUND_TRIP_BOUNDS));
        Self { url: url.into(), sent: 0, received: 0, dropped: 0, refused: 0, connects: 0, lost: 0, round_trip }
    }

    /// A message to itself has returned after so long.
    pub fn observe(&mut self, took: Duration) {
        Arc::make_mut(&mut self.round_trip).observe(took.as_secs_f64());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// MET-14: its limits are bounds, so that what took longer is counted and not guessed.
    #[test]
    fn met_14_round_trips_are_counted_up_to_each_limit() {
        let mut link = LinkCounters::new("mqtt://b");
        let shown = link.clone();
        for millis in [1, 400, 1000, 1001, 5000, 5001, 60_000] {
            link.observe(Duration::from_millis(millis));
        }
        let up_to = |limit| link.round_trip.cumulative().find(|(bound, _)| *bound == limit).map(|(_, count)| count);
        assert_eq!((up_to(0.001), up_to(1.0), up_to(5.0), up_to(10.0)), (Some(1), Some(3), Some(5), Some(6)));
        assert_eq!((link.round_trip.count(), link.round_trip.sum()), (7, 72.403));
        assert_eq!(shown.round_trip.count(), 0, "a picture taken before stays as it was");
    }
}
