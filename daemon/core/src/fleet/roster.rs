//! The registry: every node, when it was heard last, and what that means (CAP-04, HLT-08, HLT-09).
//!
//! ```text
//!            interval × 1.5 + grace       × 2.5 + grace, or a will       max(30 s, × 3 + grace)
//!   alive ─────────────────────► late ────────────────────────► suspect ────────────────────────► lost
//!     ▲                            │                               │                                │
//!     └────────────────────────────┴── a report, or a newer life ──┴────────────────────────────────┘
//! ```
//! When more than half of the nodes are late at once, the way to them is what has failed: nobody is declared lost.

use super::node::{NodeReport, NodeState};
use super::status::NodeEntry;
use super::talk::Presence;
use crate::election::{NodeName, Sender};
use crate::time::{Mono, Now};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What the network may take.
const GRACE: Duration = Duration::from_secs(2);
/// A node may always be silent for this long (HLT-08: agent 30 s).
const LOST_AFTER: Duration = Duration::from_secs(30);
/// A lost node is forgotten after this.
const FORGET_AFTER: Duration = Duration::from_hours(24 * 7);
/// More than a fleet may have, so that made-up names cannot fill the memory.
pub(super) const NODES: usize = 20_000;

/// Report interval of a fleet of so many: `N / 500` s, between two and twenty seconds.
pub(super) fn interval(nodes: usize, floor: Duration) -> Duration {
    let span = Duration::from_millis(u64::try_from(nodes).unwrap_or(u64::MAX).saturating_mul(2));
    span.clamp(Duration::from_secs(2), Duration::from_secs(20)).max(floor)
}

/// One node.
#[derive(Debug, Clone)]
struct Entry {
    from: Sender,
    heard: Now,
    source: &'static str,
    /// A broker has lost it.
    gone: bool,
    /// It has said goodbye.
    left: bool,
    state: NodeState,
    report: Option<Arc<NodeReport>>,
    view: Option<Arc<NodeEntry>>,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Whose.
    pub node: NodeName,
    /// From.
    pub old: Option<NodeState>,
    /// To.
    pub new: NodeState,
    /// Why.
    pub why: String,
}

/// All of them.
#[derive(Debug, Clone)]
pub(super) struct Roster {
    nodes: BTreeMap<NodeName, Entry>,
    /// Silence before this is nobody's fault: a new leader or a broker that came back.
    since: Mono,
    interval: Duration,
    /// Most are late at once.
    silence: bool,
    next_look: Mono,
}

impl Roster {
    pub(super) fn new(now: Mono) -> Self {
        Self { nodes: BTreeMap::new(), since: now, interval: Duration::from_secs(2), silence: false, next_look: now }
    }

    /// All timers begin anew.
    pub(super) fn restart(&mut self, now: Mono) {
        self.since = now;
    }

    pub(super) fn set_interval(&mut self, interval: Duration, now: Mono) {
        if interval > self.interval {
            // They have not been told yet.
            self.since = now;
        }
        self.interval = interval;
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn silence(&self) -> bool {
        self.silence
    }

    /// A node has said something. `retained`: a broker has kept it, nobody knows for how long.
    pub(super) fn report(
        &mut self,
        from: &Sender,
        report: &Arc<NodeReport>,
        retained: bool,
        now: Now,
    ) -> Option<Change> {
        let source = if retained { "retained" } else { "report" };
        self.hear(from, source, retained, now, |entry| entry.report = Some(Arc::clone(report)))
    }

    /// It is there, or not. A will of an earlier life says nothing.
    pub(super) fn presence(&mut self, from: &Sender, presence: Presence, retained: bool, now: Now) -> Option<Change> {
        if presence == Presence::Here {
            return self.hear(from, "birth", retained, now, |_| {});
        }
        let entry = self.nodes.get_mut(&from.node)?;
        if entry.from.seat != from.seat || entry.from.boot != from.boot {
            return None;
        }
        entry.gone = true;
        entry.left = presence == Presence::Leaves;
        entry.view = None;
        self.next_look = now.mono;
        None
    }

    fn hear(
        &mut self,
        from: &Sender,
        source: &'static str,
        retained: bool,
        now: Now,
        note: impl FnOnce(&mut Entry),
    ) -> Option<Change> {
        let known = self.nodes.get(&from.node).map(|entry| entry.state);
        if known.is_none() && self.nodes.len() >= NODES {
            return None;
        }
        let entry = self.nodes.entry(from.node.clone()).or_insert_with(|| Entry {
            from: from.clone(),
            heard: now,
            source,
            gone: false,
            left: false,
            state: NodeState::Alive,
            report: None,
            view: None,
        });
        let newer = entry.from.seat != from.seat || entry.from.boot < from.boot;
        if retained && known.is_some() && !newer {
            // What was kept tells of no sign of life; what it says may be more than we know.
            if entry.report.is_none() {
                note(entry);
                entry.view = None;
            }
            return None;
        }
        note(entry);
        entry.from = from.clone();
        entry.heard = now;
        entry.source = source;
        entry.gone = false;
        entry.left = false;
        entry.view = None;
        let old = std::mem::replace(&mut entry.state, NodeState::Alive);
        match known {
            None => {
                Some(Change { node: from.node.clone(), old: None, new: NodeState::Alive, why: "is here".to_owned() })
            }
            Some(_) if old == NodeState::Alive => None,
            Some(_) => {
                let why = if newer { "has started anew" } else { "is heard again" };
                Some(Change { node: from.node.clone(), old: Some(old), new: NodeState::Alive, why: why.to_owned() })
            }
        }
    }

    /// When a look may find something.
    pub(super) fn deadline(&self) -> Option<Mono> {
        (!self.nodes.is_empty()).then_some(self.next_look)
    }

    /// Looks at all ages. `me` is never late; `kept` are not forgotten.
    pub(super) fn look(&mut self, me: &NodeName, kept: &BTreeSet<NodeName>, now: Mono) -> Vec<Change> {
        if now < self.next_look {
            return Vec::new();
        }
        self.next_look = now + Duration::from_secs(1);
        let (since, interval) = (self.since, self.interval);
        let age = |entry: &Entry| now.since(entry.heard.mono.max(since));
        self.nodes.retain(|name, entry| age(entry) < FORGET_AFTER || kept.contains(name));
        let late_after = interval * 3 / 2 + GRACE;
        let late = self.nodes.iter().filter(|(name, entry)| *name != me && age(entry) > late_after).count();
        self.silence = late * 2 > self.nodes.len();
        let lost_after = LOST_AFTER.max(interval * 3 + GRACE);
        let mut changes = Vec::new();
        for (name, entry) in self.nodes.iter_mut().filter(|(name, _)| *name != me) {
            let age = age(entry);
            let state = match age {
                _ if age > lost_after && !self.silence => NodeState::Lost,
                // A lost node does not rise because others have fallen silent.
                _ if age > lost_after && entry.state == NodeState::Lost => NodeState::Lost,
                _ if age > interval * 5 / 2 + GRACE || entry.gone => NodeState::Suspect,
                _ if age > late_after => NodeState::Late,
                _ => NodeState::Alive,
            };
            if state != entry.state {
                let why = match (entry.left, entry.gone) {
                    (true, _) => "its daemon was stopped".to_owned(),
                    (_, true) => format!("a broker has lost its connection; not heard for {} s", age.as_secs()),
                    _ => format!("not heard for {} s", age.as_secs()),
                };
                changes.push(Change { node: name.clone(), old: Some(entry.state), new: state, why });
                entry.state = state;
                entry.view = None;
            }
        }
        changes
    }

    /// Nodes whose label has this value (all, without a label), and those of them that are lost.
    pub(super) fn group(&self, label: Option<&str>, value: &str) -> super::policy::Group {
        let within = |entry: &&Entry| match label {
            None => true,
            Some(label) => {
                let found = entry.report.as_ref().and_then(|report| report.labels.get(label));
                found.map_or("", String::as_str) == value
            }
        };
        let members = self.nodes.values().filter(within);
        let lost = members.clone().filter(|entry| entry.state == NodeState::Lost).map(|entry| entry.from.node.clone());
        super::policy::Group { lost: lost.collect(), nodes: members.count() }
    }

    /// For showing.
    pub(super) fn view(&mut self, voters: &BTreeSet<NodeName>) -> BTreeMap<NodeName, Arc<NodeEntry>> {
        let view = |(name, entry): (&NodeName, &mut Entry)| {
            let voter = voters.contains(name);
            let current = entry.view.take().filter(|view| view.voter == voter);
            let made = current.unwrap_or_else(|| {
                Arc::new(NodeEntry {
                    state: entry.state,
                    voter,
                    heard: entry.heard.wall,
                    heard_mono: entry.heard.mono,
                    source: entry.source,
                    gone: entry.gone,
                    report: entry.report.clone(),
                })
            });
            entry.view = Some(Arc::clone(&made));
            (name.clone(), made)
        };
        self.nodes.iter_mut().map(view).collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::election::{Boot, Seat};
    use crate::time::Wall;

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap()
    }

    fn sender(text: &str, boot: u64) -> Sender {
        Sender { node: name(text), seat: Seat(1), boot: Boot(boot) }
    }

    fn at(seconds: u64) -> Now {
        Now { mono: Mono(Duration::from_secs(seconds)), wall: Wall(seconds * 1_000_000) }
    }

    fn say(roster: &mut Roster, node: &str, seconds: u64) -> Option<Change> {
        roster.report(&sender(node, 1), &Arc::default(), false, at(seconds))
    }

    fn states(roster: &mut Roster, seconds: u64) -> String {
        let changes = roster.look(&name("me"), &BTreeSet::new(), at(seconds).mono);
        let words: Vec<_> = changes.iter().map(|c| format!("{} {}", c.node, c.new.word())).collect();
        words.join(", ")
    }

    #[test]
    fn hlt_08_a_silent_node_is_late_then_suspect_then_lost_and_a_report_refutes_it() {
        let mut roster = Roster::new(Mono::default());
        for node in ["me", "a", "b", "c"] {
            assert!(say(&mut roster, node, 0).is_some());
        }
        for second in 1..=32 {
            let changes = states(&mut roster, second);
            let expected = match second {
                6 => "a late",
                8 => "a suspect",
                31 => "a lost",
                _ => "",
            };
            assert_eq!(changes, expected, "after {second} s");
            say(&mut roster, "b", second);
            say(&mut roster, "c", second);
        }
        let back = say(&mut roster, "a", 33).unwrap();
        assert_eq!(
            (back.old, back.new, back.why.as_str()),
            (Some(NodeState::Lost), NodeState::Alive, "is heard again")
        );
    }

    #[test]
    fn hlt_08_most_late_at_once_is_a_broker_and_nobody_is_lost() {
        let mut roster = Roster::new(Mono::default());
        ["me", "a", "b", "c", "d"].iter().for_each(|node| drop(say(&mut roster, node, 0)));
        for second in 1..120 {
            say(&mut roster, "a", second);
            assert!(!states(&mut roster, second).contains("lost"), "{second}");
        }
        assert!(roster.silence());
        // It is over: whoever is still away is lost by and by.
        say(&mut roster, "b", 120);
        say(&mut roster, "c", 120);
        assert!(states(&mut roster, 121).contains("d lost") && !roster.silence());
    }

    #[test]
    fn rec_04_a_new_leader_or_a_broker_that_came_back_declares_nobody_lost() {
        let mut roster = Roster::new(Mono::default());
        ["me", "a", "b", "c", "d"].iter().for_each(|node| drop(say(&mut roster, node, 0)));
        roster.restart(at(100).mono);
        assert_eq!(states(&mut roster, 101), "");
        ["b", "c", "d"].iter().for_each(|node| drop(say(&mut roster, node, 101)));
        assert_eq!(states(&mut roster, 106), "a late");
    }

    #[test]
    fn hlt_08_a_will_makes_suspect_and_never_lost_and_one_of_an_earlier_life_nothing() {
        let mut roster = Roster::new(Mono::default());
        ["me", "a", "b"].iter().for_each(|node| drop(say(&mut roster, node, 0)));
        roster.presence(&sender("a", 1), Presence::Gone, false, at(1));
        assert_eq!(states(&mut roster, 1), "a suspect");
        let back = roster.report(&sender("a", 2), &Arc::default(), false, at(2)).unwrap();
        assert_eq!(back.why, "has started anew");
        roster.presence(&sender("a", 1), Presence::Gone, false, at(3));
        assert_eq!(states(&mut roster, 3), "");
    }

    #[test]
    fn what_a_broker_kept_is_no_sign_of_life() {
        let mut roster = Roster::new(Mono::default());
        ["me", "a", "b"].iter().for_each(|node| drop(say(&mut roster, node, 0)));
        for second in 1..=31 {
            say(&mut roster, "b", second);
            roster.report(&sender("a", 1), &Arc::default(), true, at(second));
            roster.look(&name("me"), &BTreeSet::new(), at(second).mono);
        }
        let view = roster.view(&BTreeSet::new());
        assert_eq!(view[&name("a")].state, NodeState::Lost);
    }

    #[test]
    fn the_interval_grows_with_the_fleet() {
        let of = |nodes| interval(nodes, Duration::ZERO).as_secs();
        assert_eq!([of(3), of(100), of(1000), of(5000), of(10_000), of(100_000)], [2, 2, 2, 10, 20, 20]);
        assert_eq!(interval(3, Duration::from_secs(5)).as_secs(), 5);
    }
}
