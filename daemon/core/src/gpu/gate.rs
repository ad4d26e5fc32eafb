//! The GPU-clean gate: nothing starts on a card before the run that died on it has left (supervision note §6.3).

use super::inventory::{Card, Inventory};
use crate::ids::ReplicaId;
use crate::time::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A card that is still not clean after this long is taken out until it is.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks while a gate is shut.
pub const AGAIN: Duration = Duration::from_secs(1);
/// Memory over the idle level that does not count.
const SLACK: u64 = 256 << 20;

/// What a dead run may have left on its cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// Whose run.
    pub replica: ReplicaId,
    /// When it ended.
    pub since: Mono,
    /// Its cgroup.
    pub cgroup: Option<String>,
    /// Processes of it that were seen on a card.
    pub pids: BTreeSet<u32>,
    /// Cards and slices that have not been seen clean since, with what is on them.
    pub dirty: BTreeMap<String, String>,
}

/// How much a card holds when nobody uses it, by card or slice.
pub type Idle = BTreeMap<String, u64>;

impl Remains {
    /// Takes a look. `true`: processes of it are still there, and may be killed. Cards that are clean leave `dirty`.
    pub fn look(&mut self, inventory: &Inventory, idle: &Idle) -> bool {
        // A look that began before the end says nothing.
        if inventory.at < self.since {
            return false;
        }
        let mut stragglers = false;
        let (cgroup, pids) = (self.cgroup.clone(), std::mem::take(&mut self.pids));
        let mut seen = BTreeSet::new();
        self.dirty.retain(|uuid, text| {
            let Some(card) = inventory.card_of(uuid) else {
                // A slice that is no more, a card that has gone: nothing can be started there either.
                return false;
            };
            // A card that does not answer holds nothing that we could wait for.
            if card.facts.lost.is_some() {
                return false;
            }
            let left = on(card, uuid).filter(|p| {
                let by_group = cgroup.as_deref().zip(p.cgroup.as_deref());
                pids.contains(&p.pid) || by_group.is_some_and(|(of, path)| super::inventory::is_within(path, of))
            });
            let left: Vec<_> = left.map(|p| p.pid).collect();
            if let Some(first) = left.first() {
                stragglers = true;
                seen.extend(&left);
                *text = match left.len() {
                    1 => format!("process {first} of its last run is still on {}", card.label()),
                    n => format!("{n} processes of its last run are still on {}", card.label()),
                };
                return true;
            }
            match memory_over(card, uuid, idle) {
                Some(bytes) => {
                    *text = format!("{} MiB of its last run are still in use on {}", bytes >> 20, card.label());
                    true
                }
                None => false,
            }
        });
        self.pids = seen;
        stragglers
    }

    /// Too old: the cards are taken out.
    pub fn is_overdue(&self, now: Mono) -> bool {
        now.since(self.since) >= LIMIT
    }
}

/// The processes on a card, or on one slice of it.
pub fn on<'a>(card: &'a Card, uuid: &str) -> impl Iterator<Item = &'a super::Process> {
    let instance = card.slice(uuid).map(|s| s.gpu_instance);
    card.processes.iter().filter(move |p| instance.is_none() || p.gpu_instance == instance)
}

/// Bytes that nobody who is there accounts for, if they are more than an idle card holds.
fn memory_over(card: &Card, uuid: &str, idle: &Idle) -> Option<u64> {
    let (used, total) = match card.slice(uuid) {
        Some(slice) => (slice.memory_used?, slice.memory_total?),
        None => (card.memory_used?, card.memory_total?),
    };
    let mut others = 0;
    for process in on(card, uuid) {
        // One whose share is not told: nothing can be said.
        others += process.memory?;
    }
    let allowed = idle.get(uuid).copied().unwrap_or(total / 50).saturating_add(SLACK);
    used.checked_sub(others).filter(|left| *left > allowed)
}
