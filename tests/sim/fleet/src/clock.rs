//! A node's clock: runs a little fast or slow, and goes on while the node sleeps.

use reeve_core::time::Mono;
use std::time::Duration;

/// True time, in microseconds from the start of the run.
pub type True = u64;

#[derive(Debug, Clone)]
pub struct Clock {
    /// Parts in a million: 1,000,000 is right.
    rate: u64,
    /// What it showed at the start.
    from: u64,
    /// Time it has not seen: only with the mutant whose clock stops in suspend.
    blind: u64,
}

impl Clock {
    pub fn new(rate: u64, from: u64) -> Self {
        Self { rate, from, blind: 0 }
    }

    pub fn at(&self, now: True) -> Mono {
        Mono(Duration::from_micros(self.from + (now - self.blind) * self.rate / 1_000_000))
    }

    /// The first instant at which it shows this.
    pub fn when(&self, shown: Mono) -> True {
        let shown = u64::try_from(shown.0.as_micros()).unwrap_or(u64::MAX / 2_000_000).min(u64::MAX / 2_000_000);
        shown.saturating_sub(self.from) * 1_000_000 / self.rate + self.blind + 1
    }

    pub fn blind_for(&mut self, span: u64) {
        self.blind += span;
    }
}
