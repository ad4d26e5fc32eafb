//! Samples of the fleet, made from the picture of it (CAP-04, HLT-08, HLT-09, HLT-10, MET-13, MET-14).
//!
//! Whoever writes a page calls this; the loop does not. A node without a fleet leads itself and tells nothing more.

use super::families::fleet as of;
use super::families::mqtt;
use super::foreign::as_number;
use super::labels::Labels;
use super::samples::Samples;
use crate::fleet::{FleetStatus, FleetTallies, LinkCounters, NodeState};
use crate::status::Snapshot;
use crate::time::{Mono, Now};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A lease longer than this has no end: its holder has no other voter.
const LONGEST_LEASE: Duration = Duration::from_hours(1);

/// Everything the picture tells of the fleet. What is left of the lease is of `now`.
pub fn samples(picture: &Snapshot, now: Now) -> Samples {
    let mut out = Samples::new();
    let fleet = &picture.fleet;
    if fleet.role.is_empty() {
        // It has not begun.
        return out;
    }
    out.put(&of::LEADER, flag(leads(fleet, now.mono)));
    out.put(&of::LEADER_TERM, as_number(fleet.term_number));
    if fleet.alone {
        return out;
    }
    leader(&mut out, fleet, now.mono);
    let votes = fleet.voters.keys().any(|voter| voter.as_str() == picture.node.name);
    nodes(&mut out, fleet);
    if votes {
        slots(&mut out, fleet);
    }
    tallies(&mut out, &fleet.tallies, votes);
    for broker in &fleet.brokers {
        out.put_with(&mqtt::CONNECTED, &Labels::new(&[("broker", &broker.url)]), flag(broker.connected));
    }
    fleet.links.iter().for_each(|counters| link(&mut out, counters));
    out
}

/// The picture may be older than the lease.
fn leads(fleet: &FleetStatus, now: Mono) -> bool {
    fleet.role == "leader" && fleet.lease_left(now).is_some_and(|left| !left.is_zero())
}

fn leader(out: &mut Samples, fleet: &FleetStatus, now: Mono) {
    out.put_with(&of::FLEET_INFO, &Labels::new(&[("fleet", &fleet.fleet)]), 1.0);
    if let Some(leader) = &fleet.leader {
        out.put_with(&of::LEADER_INFO, &Labels::new(&[("leader", leader.as_str())]), 1.0);
    }
    let left = fleet.lease_left(now).filter(|left| fleet.role == "leader" && *left < LONGEST_LEASE);
    out.put_some(&of::LEASE_REMAINING, &Labels::none(), left.map(|left| left.as_secs_f64()));
    out.put(&of::QUORUM, flag(fleet.quorum));
    out.put(&of::SILENCE, flag(fleet.silence));
    out.put(&of::FROZEN, flag(fleet.frozen.is_some()));
}

/// All states, so that a sum is the size of the fleet; nothing on a node that keeps no registry.
fn nodes(out: &mut Samples, fleet: &FleetStatus) {
    if fleet.nodes.is_empty() {
        return;
    }
    for state in NodeState::ALL {
        let count = fleet.nodes.values().filter(|node| node.state == state).count();
        out.put_with(&of::NODES, &Labels::new(&[("state", state.word())]), as_number(count as u64));
    }
}

fn slots(out: &mut Samples, fleet: &FleetStatus) {
    let known = if fleet.role == "leader" { &["granted", "suspect", "queued"][..] } else { &["granted", "suspect"] };
    for state in known {
        let count = fleet.slots.iter().filter(|slot| slot.state == *state).count();
        out.put_with(&of::SLOTS, &Labels::new(&[("state", state)]), as_number(count as u64));
    }
}

/// What has never happened is told as 0: the first time would not be seen else. Only a voter stands and decides.
fn tallies(out: &mut Samples, tallies: &FleetTallies, votes: bool) {
    out.put(&of::LEADER_CHANGES, as_number(tallies.leader_changes));
    out.put(&of::IGNORED_EVENTS, as_number(tallies.ignored));
    let took = tallies.last_election.map(|took| took.as_secs_f64());
    out.put_some(&of::ELECTION_DURATION, &Labels::none(), took);
    for (reason, count) in counts(&FleetTallies::REASONS, &tallies.dropped) {
        out.put_with(&of::DROPPED, &Labels::new(&[("reason", reason)]), as_number(count));
    }
    if !votes && tallies.stood == 0 {
        return;
    }
    for (result, count) in [("won", tallies.won), ("lost", tallies.lost)] {
        out.put_with(&of::ELECTIONS, &Labels::new(&[("result", result)]), as_number(count));
    }
    for (decision, count) in counts(&FleetTallies::DECISIONS, &tallies.slots) {
        let labels = Labels::new(&[("result", &decision.replace(' ', "-"))]);
        out.put_with(&of::SLOT_DECISIONS, &labels, as_number(count));
    }
}

fn counts(known: &[&'static str], counted: &BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<_, _> = known.iter().map(|word| (*word, 0)).collect();
    counts.extend(counted);
    counts
}

fn link(out: &mut Samples, counters: &LinkCounters) {
    let LinkCounters { url, sent, received, dropped, refused, connects, lost, round_trip } = counters;
    let broker = Labels::new(&[("broker", url)]);
    let counts = [
        (&mqtt::SENT, sent),
        (&mqtt::RECEIVED, received),
        (&mqtt::DROPPED, dropped),
        (&mqtt::REFUSED, refused),
        (&mqtt::CONNECTS, connects),
        (&mqtt::LOSSES, lost),
    ];
    for (family, count) in counts {
        out.put_with(family, &broker, as_number(*count));
    }
    out.put_histogram(&mqtt::ROUND_TRIP, &broker, Arc::clone(round_trip));
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::election::NodeName;
    use crate::metrics::Value;
    use crate::time::Wall;

    const NOW: Now = Now { mono: Mono(Duration::from_secs(100)), wall: Wall(0) };

    fn picture(fleet: FleetStatus) -> Snapshot {
        let mut picture = Snapshot { fleet: Arc::new(fleet), ..Snapshot::default() };
        picture.node.name = "a".to_owned();
        picture
    }

    fn member(role: &'static str) -> FleetStatus {
        let voters = ["a", "b", "c"].map(|name| (NodeName::new(name).unwrap(), None)).into();
        FleetStatus { fleet: "lab".into(), role, term_number: 7, voters, ..FleetStatus::default() }
    }

    fn value(samples: &Samples, family: &str, labels: &str) -> Option<f64> {
        let series = samples.get(family)?;
        let found = series.samples.iter().find(|(have, _)| have.as_str() == labels)?;
        match &found.1 {
            Value::Number(number) => Some(*number),
            Value::Histogram(_) => None,
        }
    }

    #[test]
    fn cap_04_a_node_without_a_fleet_says_that_it_leads_itself_and_nothing_more() {
        let lease_end = Some(Mono(Duration::MAX));
        let alone = FleetStatus { alone: true, role: "leader", term_number: 1, lease_end, ..FleetStatus::default() };
        let page = samples(&picture(alone), NOW);
        assert_eq!((value(&page, "reeve_leader", ""), page.len()), (Some(1.0), 2));
        assert_eq!(value(&page, "reeve_leader_term", ""), Some(1.0));
        assert!(samples(&picture(FleetStatus { alone: true, ..FleetStatus::default() }), NOW).is_empty());
    }

    /// REC-03: the picture may be older than the lease.
    #[test]
    fn rec_03_a_leader_is_one_only_until_its_lease_ends() {
        let leads = FleetStatus { lease_end: Some(NOW.mono), ..member("leader") };
        let just = Now { mono: NOW.mono - Duration::from_millis(500), ..NOW };
        for (now, leader, left) in [(just, 1.0, 0.5), (NOW, 0.0, 0.0)] {
            let page = samples(&picture(leads.clone()), now);
            let read = |family| value(&page, family, "");
            assert_eq!(read("reeve_leader"), Some(leader));
            assert_eq!(read("reeve_leader_lease_remaining_seconds"), Some(left));
        }
        let only = FleetStatus { lease_end: Some(Mono(Duration::MAX)), ..member("leader") };
        let page = samples(&picture(only), NOW);
        assert_eq!(value(&page, "reeve_leader", ""), Some(1.0));
        assert!(page.get("reeve_leader_lease_remaining_seconds").is_none(), "its lease never ends");
    }

    /// What a node cannot know is absent, and not 0; what has not happened yet is 0.
    #[test]
    fn hlt_09_who_knows_what() {
        let told = |role, family: &str| samples(&picture(member(role)), NOW).get(family).map_or(0, |s| s.samples.len());
        let slots = ["leader", "follower", "isolated"].map(|role| told(role, "reeve_fleet_slots"));
        assert_eq!((slots, told("follower", "reeve_fleet_nodes")), ([3, 2, 2], 0));
        assert_eq!(told("follower", "reeve_fleet_messages_dropped_total"), FleetTallies::REASONS.len());
        let mut elsewhere = picture(member("observer"));
        elsewhere.node.name = "z".to_owned();
        let page = samples(&elsewhere, NOW);
        for family in ["reeve_fleet_slots", "reeve_fleet_nodes", "reeve_elections_total", "reeve_leader_info"] {
            assert!(page.get(family).is_none(), "{family}");
        }
        assert_eq!(value(&page, "reeve_fleet_info", "fleet=\"lab\""), Some(1.0));
        let slots = [("held again", 2)].into();
        let decided = FleetStatus { tallies: FleetTallies { slots, ..FleetTallies::default() }, ..member("leader") };
        let page = samples(&picture(decided), NOW);
        assert_eq!(value(&page, "reeve_fleet_slot_decisions_total", "result=\"held-again\""), Some(2.0));
    }
}
