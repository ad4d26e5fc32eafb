//! Brokers and links. A node is connected to every broker and sends everything to all.

use crate::plan::Plan;
use reeve_core::rng::Rng;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub struct Net {
    brokers: Vec<bool>,
    /// (node, broker) that does not hear.
    deaf: BTreeSet<(usize, usize)>,
    /// (node, broker) that is not heard.
    mute: BTreeSet<(usize, usize)>,
    /// From one node to another, whatever the broker: a rule of its own, or half a broken cluster of brokers.
    cut: BTreeSet<(usize, usize)>,
}

impl Net {
    pub fn new(plan: &Plan) -> Self {
        Self { brokers: vec![true; plan.brokers], deaf: BTreeSet::new(), mute: BTreeSet::new(), cut: BTreeSet::new() }
    }

    pub fn heal(&mut self) {
        self.brokers.iter_mut().for_each(|up| *up = true);
        self.deaf.clear();
        self.mute.clear();
        self.cut.clear();
    }

    pub fn broker(&mut self, broker: usize, up: bool) {
        self.brokers[broker] = up;
    }

    pub fn set_deaf(&mut self, node: usize, deaf: bool) {
        for broker in 0..self.brokers.len() {
            let _ = if deaf { self.deaf.insert((node, broker)) } else { self.deaf.remove(&(node, broker)) };
        }
    }

    pub fn set_mute(&mut self, node: usize, mute: bool) {
        for broker in 0..self.brokers.len() {
            let _ = if mute { self.mute.insert((node, broker)) } else { self.mute.remove(&(node, broker)) };
        }
    }

    pub fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        let _ = if cut { self.cut.insert((from, to)) } else { self.cut.remove(&(from, to)) };
    }

    /// Whether it gets through this broker now.
    pub fn passes(&self, from: usize, to: usize, broker: usize) -> bool {
        self.brokers[broker]
            && !self.mute.contains(&(from, broker))
            && !self.deaf.contains(&(to, broker))
            && !self.cut.contains(&(from, to))
    }

    /// After how long a message comes out, once for each copy: (broker, µs).
    pub fn copies(&self, from: usize, to: usize, plan: &Plan, rng: &mut Rng) -> Vec<(usize, u64)> {
        let mut copies = Vec::new();
        for broker in 0..self.brokers.len() {
            if !self.passes(from, to, broker) {
                continue;
            }
            let times = 1 + u64::from(rng.below(1000) < plan.doubled);
            for _ in 0..times {
                if rng.below(1000) < plan.lost {
                    continue;
                }
                let late = if rng.below(1000) < plan.late { rng.below(3_000_000) } else { 0 };
                copies.push((broker, plan.delay / 2 + rng.below(plan.delay) + late));
            }
        }
        copies
    }
}
