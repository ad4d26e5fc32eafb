//! The reverse order of stopping (ORD-07): workers that go down as a whole do so from the highest order to the lowest,
//! and among equals a worker stops before those it depends on.

use super::On;
use crate::config::Worker;
use crate::ids::WorkerName;
use std::collections::{BTreeMap, BTreeSet};

/// Workers of which every living replica should be down, as long as one lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoingDown {
    order: BTreeMap<WorkerName, i32>,
    by_order: BTreeMap<i32, BTreeSet<WorkerName>>,
    needed_by: BTreeMap<WorkerName, Vec<WorkerName>>,
}

impl GoingDown {
    /// `going`: those workers with the definition of their runs; `all`: every definition known, for dependencies that
    /// lead over a worker that is down already.
    pub fn new<'a>(
        going: impl Iterator<Item = (&'a WorkerName, &'a Worker)>,
        all: impl Iterator<Item = &'a Worker>,
    ) -> Self {
        let mut this = Self::default();
        for (name, def) in going {
            this.add(name, def.order);
        }
        if !this.order.is_empty() {
            for def in all {
                for other in &def.depends_on {
                    this.needed_by.entry(other.clone()).or_default().push(def.name.clone());
                }
            }
        }
        this
    }

    /// It goes down too.
    pub fn add(&mut self, name: &WorkerName, order: i32) {
        self.order.insert(name.clone(), order);
        self.by_order.entry(order).or_default().insert(name.clone());
    }

    /// Whether it is one of them.
    pub fn contains(&self, name: &WorkerName) -> bool {
        self.order.contains_key(name)
    }

    /// What has to be down before this one stops, and what to wait for.
    pub(super) fn before(&self, name: &WorkerName) -> Option<(String, On)> {
        let mine = *self.order.get(name)?;
        let (highest, _) = self.by_order.last_key_value()?;
        if *highest > mine {
            return Some(("higher orders stop".into(), On::HigherOrders(mine)));
        }
        let mut seen = BTreeSet::from([name]);
        let mut next = vec![name];
        while let Some(at) = next.pop() {
            for user in self.needed_by.get(at).into_iter().flatten() {
                if self.order.get(user) == Some(&mine) && user != name {
                    return Some((format!("{user} stops"), On::Worker(user.clone())));
                }
                if seen.insert(user) {
                    next.push(user);
                }
            }
        }
        None
    }

    /// It is down, or no longer goes down. The order whose turn has come, if that has changed: `i32::MIN` when nobody
    /// is left.
    pub fn remove(&mut self, name: &WorkerName) -> Option<i32> {
        let highest = self.highest();
        let order = self.order.remove(name)?;
        let names = self.by_order.get_mut(&order)?;
        names.remove(name);
        if names.is_empty() {
            self.by_order.remove(&order);
        }
        (self.highest() != highest).then_some(self.highest())
    }

    fn highest(&self) -> i32 {
        self.by_order.last_key_value().map_or(i32::MIN, |(order, _)| *order)
    }
}
