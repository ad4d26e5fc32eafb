//! Who waits for what, so that a change wakes those it concerns and nobody else.

use crate::ids::ReplicaId;
use crate::plan::On;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Replicas by what they wait for; those that wait for a start token stand in line.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    by: BTreeMap<On, BTreeSet<ReplicaId>>,
    line: VecDeque<ReplicaId>,
}

impl Waiting {
    /// It waits for this now.
    pub(super) fn add(&mut self, id: &ReplicaId, on: &On) {
        if *on == On::Nothing {
            return;
        }
        let new = match self.by.get_mut(on) {
            Some(ids) => ids.insert(id.clone()),
            None => self.by.insert(on.clone(), BTreeSet::from([id.clone()])).is_none(),
        };
        if new && *on == On::Turn {
            self.line.push_back(id.clone());
        }
    }

    /// It does not wait for this any more.
    pub(super) fn remove(&mut self, id: &ReplicaId, on: &On) {
        let Some(ids) = self.by.get_mut(on) else { return };
        if ids.remove(id) && *on == On::Turn {
            // Seldom: whoever has its turn stands first.
            if self.line.front() == Some(id) {
                self.line.pop_front();
            } else {
                self.line.retain(|other| other != id);
            }
        }
        if ids.is_empty() {
            self.by.remove(on);
        }
    }

    /// All that wait for this.
    pub(super) fn on(&self, on: &On) -> impl Iterator<Item = &ReplicaId> {
        self.by.get(on).into_iter().flatten()
    }

    /// All that wait for lower orders, and whose own is not above this one.
    pub(super) fn up_to(&self, order: i32) -> impl Iterator<Item = &ReplicaId> {
        self.by.range(On::LowerOrders(i32::MIN)..=On::LowerOrders(order)).flat_map(|(_, ids)| ids)
    }

    /// All that wait for higher orders, and whose own is not below this one.
    pub(super) fn down_to(&self, order: i32) -> impl Iterator<Item = &ReplicaId> {
        self.by.range(On::HigherOrders(order)..=On::HigherOrders(i32::MAX)).flat_map(|(_, ids)| ids)
    }

    /// Whether somebody waits for a start token.
    pub(super) fn has_turns(&self) -> bool {
        !self.line.is_empty()
    }

    /// The first in line for a start token.
    pub(super) fn first(&self) -> Option<&ReplicaId> {
        self.line.front()
    }

    /// Whether it is known to wait for this.
    pub(super) fn contains(&self, id: &ReplicaId, on: &On) -> bool {
        *on == On::Nothing || self.by.get(on).is_some_and(|ids| ids.contains(id))
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.by.values().map(BTreeSet::len).sum()
    }
}
