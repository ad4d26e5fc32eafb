//! The fleet as this node sees it: who leads, elections, nodes, slots (HLT-08, HLT-09, MET-13, CAP-04).

use crate::metrics::family::{Family, Kind, Lane};

/// This group, in the order of the manual page.
pub(super) static TABLE: &[&Family] = &[
    &LEADER,
    &LEADER_TERM,
    &FLEET_INFO,
    &LEADER_INFO,
    &LEADER_CHANGES,
    &LEASE_REMAINING,
    &ELECTION_DURATION,
    &ELECTIONS,
    &IGNORED_EVENTS,
    &QUORUM,
    &NODES,
    &SILENCE,
    &FROZEN,
    &SLOTS,
    &SLOT_DECISIONS,
    &DROPPED,
];

const SOURCE: &str = "the fleet's machine";

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family::gauge(name, unit, help, SOURCE).on(Lane::Event)
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family::counter(name, "", help, SOURCE).on(Lane::Event)
}

/// CAP-04; the lease is looked at when the page is written.
pub static LEADER: Family = gauge(
    "reeve_leader",
    "",
    "Whether this node leads the fleet and holds its lease at this instant: 1 or 0; a node without a fleet leads itself.",
);
/// CAP-04.
pub static LEADER_TERM: Family = gauge(
    "reeve_leader_term",
    "",
    "Newest term that this node knows of, an integer that never falls; the epoch stands in its upper half.",
);
/// To tell the nodes of several fleets apart: joined by the instance.
pub static FLEET_INFO: Family =
    gauge("reeve_fleet_info", "", "Name of the fleet that the node belongs to; always 1, absent without a fleet.")
        .of(Kind::Info)
        .with(&["fleet"]);
/// CAP-04. A gauge: as an info, OpenMetrics would announce it as `reeve_leader`, which is [`LEADER`].
pub static LEADER_INFO: Family = gauge(
    "reeve_leader_info",
    "",
    "Node that leads, as far as this node knows; always 1, absent while it knows of none.",
)
.with(&["leader"]);
/// REC-04.
pub static LEADER_CHANGES: Family = counter(
    "reeve_leader_changes_total",
    "How often this node saw another leader, or itself begin to lead, since its daemon started.",
);
/// REC-03.
pub static LEASE_REMAINING: Family = gauge(
    "reeve_leader_lease_remaining_seconds",
    "seconds",
    "How long the leader may still act without an answer of a majority, in seconds from 0 to the lease; only on the \
     leader, absent where the lease has no end.",
);
/// MET-13.
pub static ELECTION_DURATION: Family = gauge(
    "reeve_election_duration_seconds",
    "seconds",
    "How long the last election that this node won took, in seconds, from its first question; absent until it has won \
     one.",
);
/// MET-13: won over all is the share of elections that ended with a leader.
pub static ELECTIONS: Family = counter(
    "reeve_elections_total",
    "Elections that this node stood in, by how they ended for it: won or lost; one under way is not counted yet.",
)
.with(&["result"]);
/// MET-13.
pub static IGNORED_EVENTS: Family = counter(
    "reeve_election_ignored_events_total",
    "Events of the election that came in a role that has no use for them.",
);
/// HLT-08, ALR-11.
pub static QUORUM: Family = gauge(
    "reeve_fleet_quorum",
    "",
    "Whether this node knows of a leader that a majority of the voters answers: 1 or 0.",
);
/// HLT-08, HLT-09.
pub static NODES: Family = gauge(
    "reeve_fleet_nodes",
    "",
    "Nodes by how lately they were heard: alive, late, suspect, lost; only on voters, which keep the registry.",
)
.with(&["state"]);
/// HLT-08.
pub static SILENCE: Family = gauge(
    "reeve_fleet_silence",
    "",
    "Whether most nodes fell silent at once, so that nobody is declared lost: 1 or 0.",
);
/// MNT-09.
pub static FROZEN: Family =
    gauge("reeve_fleet_frozen", "", "Whether the fleet grants no new slots because somebody said so: 1 or 0.");
/// MNT-09.
pub static SLOTS: Family = gauge(
    "reeve_fleet_slots",
    "",
    "Slots by state: granted, suspect, queued; only on voters, and queued only on the leader, which keeps the queue.",
)
.with(&["state"]);
/// MNT-09.
pub static SLOT_DECISIONS: Family = counter(
    "reeve_fleet_slot_decisions_total",
    "What this node decided about slots while it led: granted, released, suspect, held-again, broken.",
)
.with(&["result"]);
/// MET-14.
pub static DROPPED: Family = counter(
    "reeve_fleet_messages_dropped_total",
    "Messages of the fleet that were dropped by reason: duplicate (by another broker), old-term, other-fleet, sender, \
     topic, version, malformed, too-large; same-name is 1 once another node has used this node's name.",
)
.with(&["reason"]);
