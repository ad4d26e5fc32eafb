//! Signals of the fleet, from the difference of two pictures of it.

use crate::bus::names::Object;
use crate::bus::objects::fleet::partition_suspected;
use crate::bus::signals::Outbox;
use reeve_core::fleet::{FleetStatus, SlotId, SlotStatus};
use std::collections::BTreeMap;

/// LeaderChanged, SlotChanged and PartitionSuspected.
pub(super) async fn announce(out: &mut Outbox<'_>, old: &FleetStatus, new: &FleetStatus) -> zbus::Result<()> {
    if leader_changed(old, new) {
        let leader = new.leader.as_ref().map_or("", |l| l.as_str());
        out.signal(&Object::Fleet, "Fleet", "LeaderChanged", &(leader, new.term_number)).await?;
    }
    let suspected = partition_suspected(new);
    if suspected != partition_suspected(old) {
        out.signal(&Object::Fleet, "Fleet", "PartitionSuspected", &(suspected,)).await?;
    }
    for change in slot_changes(old, new) {
        out.signal(&Object::Fleet, "Fleet", "SlotChanged", &change).await?;
    }
    Ok(())
}

/// Terms rise without a leader too, as long as nobody wins: that changes no leader.
fn leader_changed(old: &FleetStatus, new: &FleetStatus) -> bool {
    old.leader != new.leader || (new.leader.is_some() && old.term_number != new.term_number)
}

/// Slot, holder, state, reason.
type Change = (String, String, &'static str, String);

fn slot_changes(old: &FleetStatus, new: &FleetStatus) -> Vec<Change> {
    let by_id = |fleet| -> BTreeMap<SlotId, SlotStatus> {
        let fleet: &FleetStatus = fleet;
        fleet.slots.iter().map(|s| (s.id.clone(), s.clone())).collect()
    };
    let (before, after) = (by_id(old), by_id(new));
    let change = |id: &SlotId, state, reason: &str| (id.to_string(), id.node.to_string(), state, reason.to_owned());
    let gone = before.keys().filter(|id| !after.contains_key(id)).map(|id| {
        let subject = id.to_string();
        let last = new.past.iter().rev().find(|h| h.subject == subject);
        change(id, "gone", last.map_or("", |h| h.text.as_str()))
    });
    let moved = after.values().filter(|s| before.get(&s.id).is_none_or(|b| b.state != s.state));
    let moved = moved.map(|s| change(&s.id, s.state, if s.blocked.is_empty() { &s.reason } else { &s.blocked }));
    gone.chain(moved).collect()
}
