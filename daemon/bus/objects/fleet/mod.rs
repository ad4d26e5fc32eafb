//! Fleet: the pictures of it and its properties. What is asked of it stands in `commands`, what has happened in `past`.

pub(super) mod commands;
pub(super) mod past;

use super::properties::{Gauges, optional};
use crate::bus::call::Call;
use crate::bus::error::Error;
use crate::bus::wire::{Dict, UNKNOWN, Val};
use crate::host::clock::Clock;
use reeve_core::Mono;
use reeve_core::election::NodeName;
use reeve_core::fleet::broker::broker_config as generate;
use reeve_core::fleet::{BrokerStatus, FleetStatus, NodeEntry, NodeReport, NodeState, SlotStatus};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;
use zbus::Message;

/// A lease longer than this has no end: its holder has no other voter.
const LONGEST_LEASE: Duration = Duration::from_hours(1);

pub(super) fn status(call: &Call<'_>) -> Result<Message, Error> {
    let snapshot = call.handle().snapshot();
    call.reply(&(picture(&snapshot.fleet, &snapshot.node.name, Clock::now().mono),))
}

pub(super) fn broker_config(call: &Call<'_>) -> Result<Message, Error> {
    let operators = call.args.options.texts("operators");
    for name in &operators {
        NodeName::new(name).map_err(|e| Error::argument(format!("option operators: {e}")))?;
    }
    let snapshot = call.handle().snapshot();
    let fleet = &snapshot.fleet;
    if fleet.alone || fleet.fleet.is_empty() {
        return Err(Error::invalid_state(
            "no [fleet] is configured on this node, so it needs no broker; name the fleet and its voters in reeve.toml \
             first",
        ));
    }
    let voters: Vec<NodeName> = fleet.voters.keys().cloned().collect();
    call.reply(&(generate(&fleet.fleet, &voters, &operators),))
}

pub(super) fn nodes(call: &Call<'_>) -> Result<Message, Error> {
    let snapshot = call.handle().snapshot();
    let fleet = &snapshot.fleet;
    if fleet.role == "observer" && fleet.nodes.is_empty() {
        let voters: Vec<&str> = fleet.voters.keys().map(NodeName::as_str).collect();
        let whom = if voters.is_empty() { String::new() } else { format!(": {}", voters.join(", ")) };
        return Err(Error::invalid_state(format!("this node is an observer and keeps no registry; ask a voter{whom}")));
    }
    let now = Clock::now().mono;
    let rows: Vec<_> = fleet
        .nodes
        .iter()
        .map(|(name, entry)| {
            (name.as_str(), entry.state.word(), role(fleet, name, entry), entry.heard.0, known(entry, now))
        })
        .collect();
    call.reply(&(rows,))
}

pub(super) fn slots(call: &Call<'_>) -> Result<Message, Error> {
    let snapshot = call.handle().snapshot();
    let slots = snapshot.fleet.slots.iter();
    let rows: Vec<_> = slots
        .map(|s| {
            (s.id.to_string(), s.id.node.as_str(), s.kind.as_str(), s.state, s.expires.map_or(0, |at| at.0), more(s))
        })
        .collect();
    call.reply(&(rows,))
}

/// In the order of the table.
pub(super) fn properties(fleet: &FleetStatus, gauges: Gauges) -> Vec<Val<'_>> {
    let broker = fleet.brokers.iter().find(|b| b.connected);
    let gauge = |value: u64| Val::Long(if gauges == Gauges::Read { value } else { UNKNOWN });
    let lease = match fleet.lease_left(Clock::now().mono) {
        None => 0,
        Some(left) if left < LONGEST_LEASE => usec(left),
        Some(_) => UNKNOWN,
    };
    vec![
        Val::Bool(broker.is_some() || fleet.alone),
        Val::Bool(fleet.quorum),
        Val::text(fleet.role),
        optional(fleet.leader.as_ref().map(NodeName::as_str)),
        Val::text(""),
        optional(broker.map(|b| b.url.as_str())),
        Val::Long(fleet.term_number),
        gauge(fleet.contact.map_or(0, |at| at.0)),
        Val::Count(count(fleet.nodes.len())),
        gauge(lease),
    ]
}

/// Whether this node hears of no leader, or most nodes fell silent at once: then others may well go on elsewhere.
pub(in crate::bus) fn partition_suspected(fleet: &FleetStatus) -> bool {
    fleet.silence || fleet.role == "isolated"
}

fn picture<'a>(fleet: &'a FleetStatus, node: &'a str, now: Mono) -> Dict<'a> {
    let lease = fleet.lease_left(now).filter(|left| *left < LONGEST_LEASE);
    let voters = fleet.voters.iter().map(|(name, answered)| {
        Dict::new().with("name", Val::text(name.as_str())).maybe("answered", answered.map(Val::Bool))
    });
    Dict::new()
        .with("fleet", Val::text(fleet.fleet.as_str()))
        .with("node", Val::text(node))
        .with("alone", Val::Bool(fleet.alone))
        .with("role", Val::text(fleet.role))
        .with("since", Val::Long(fleet.since.0))
        .maybe("leader", fleet.leader.as_ref().map(|l| Val::text(l.as_str())))
        .with("term", Val::Long(fleet.term_number))
        .with("term_text", Val::text(fleet.term.as_str()))
        .with("quorum", Val::Bool(fleet.quorum))
        .maybe("lease_remaining_usec", lease.map(|left| Val::Long(usec(left))))
        .maybe("contact", fleet.contact.map(|at| Val::Long(at.0)))
        .with("voters", Val::Dicts(voters.collect()))
        .with("brokers", Val::Dicts(fleet.brokers.iter().map(broker).collect()))
        .with("reason", Val::text(fleet.reason.as_str()))
        .with("silence", Val::Bool(fleet.silence))
        .maybe("frozen", fleet.frozen.as_deref().map(Val::text))
        .with("report_interval_usec", Val::Long(usec(fleet.report_interval)))
        .with("document", Val::text(fleet.ver.to_string()))
        .with("committed", Val::text(fleet.commit.to_string()))
        .with(
            "nodes",
            Val::Dict(counts(NodeState::ALL.map(NodeState::word), fleet.nodes.values().map(|n| n.state.word()))),
        )
        .with("slots", Val::Dict(counts(SLOT_STATES, fleet.slots.iter().map(|s| s.state))))
}

const SLOT_STATES: [&str; 4] = ["granted", "suspect", "queued", "asking"];

/// How many there are in each state, zeros included.
fn counts<'a>(all: [&'static str; 4], seen: impl Iterator<Item = &'static str>) -> Dict<'a> {
    let mut counts: BTreeMap<&'static str, u32> = all.into_iter().map(|state| (state, 0)).collect();
    for state in seen {
        *counts.entry(state).or_default() += 1;
    }
    counts.into_iter().map(|(state, n)| (Cow::Borrowed(state), Val::Count(n))).collect()
}

fn broker(status: &BrokerStatus) -> Dict<'_> {
    Dict::new()
        .with("url", Val::text(status.url.as_str()))
        .with("connected", Val::Bool(status.connected))
        .with("reason", Val::text(status.reason.as_str()))
}

fn role(fleet: &FleetStatus, name: &NodeName, entry: &NodeEntry) -> &'static str {
    match entry.voter {
        _ if fleet.leader.as_ref() == Some(name) => "leader",
        true => "voter",
        false => "observer",
    }
}

/// What a voter knows of a node, and what that last said of itself.
fn known(entry: &NodeEntry, now: Mono) -> Dict<'_> {
    let known = Dict::new()
        .with("age_usec", Val::Long(usec(now.since(entry.heard_mono))))
        .with("source", Val::text(entry.source))
        .with("gone", Val::Bool(entry.gone));
    entry.report.as_deref().map_or(known.clone(), |report| said(known, report))
}

fn said<'a>(known: Dict<'a>, report: &'a NodeReport) -> Dict<'a> {
    let gpus = report.gpus.iter().map(|g| {
        Dict::new()
            .with("uuid", Val::text(g.uuid.as_str()))
            .with("name", Val::text(g.name.as_str()))
            .with("health", Val::text(g.health.as_str()))
    });
    let workers = report.workers.iter().map(|w| {
        let ports = w.ports.iter().map(|port| port.to_string().into());
        Dict::new()
            .with("name", Val::text(w.name.as_str()))
            .with("role", Val::text(w.role.as_str()))
            .with("state", Val::text(w.state.as_str()))
            .with("ready", Val::Count(w.ready))
            .with("wanted", Val::Count(w.wanted))
            .with("ports", Val::Texts(ports.collect()))
            .maybe("queue_depth", w.queue_depth.map(Val::Long))
    });
    known
        .with("version", Val::text(report.version.as_str()))
        .with("says", Val::text(report.state.as_str()))
        .with("problems", Val::texts(&report.problems))
        .with("labels", Val::Map(&report.labels))
        .with("cpus", Val::Count(report.cpus))
        .with("memory", Val::Long(report.memory))
        .with("gpus", Val::Dicts(gpus.collect()))
        .with("workers", Val::Dicts(workers.collect()))
        .maybe("metrics", report.metrics.as_deref().map(Val::text))
        .with("slots", Val::texts(&report.slots))
}

fn more(slot: &SlotStatus) -> Dict<'_> {
    Dict::new()
        .with("group", Val::text(slot.group.as_str()))
        .with("reason", Val::text(slot.reason.as_str()))
        .with("since", Val::Long(slot.since.0))
        .maybe("fence", slot.fence.map(|fence| Val::text(fence.to_string())))
        .maybe("position", slot.position.map(Val::Count))
        .with("blocked", Val::text(slot.blocked.as_str()))
}

fn usec(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
