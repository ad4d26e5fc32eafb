//! What the endpoint counts of itself.

use crate::host::lock::lock;
use reeve_core::metrics::families::daemon::{SCRAPE_DURATION, SCRAPE_DURATION_BOUNDS, SCRAPES};
use reeve_core::metrics::{Histogram, Labels, Samples};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Requests served. The lock is held for an addition.
#[derive(Debug)]
pub struct Served(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    requests: BTreeMap<(&'static str, u16), u64>,
    took: Arc<Histogram>,
}

impl Default for Served {
    fn default() -> Self {
        let took = Arc::new(Histogram::new(SCRAPE_DURATION_BOUNDS));
        Self(Mutex::new(Counts { requests: BTreeMap::new(), took }))
    }
}

impl Served {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.0)
    }

    /// A request for `path` was answered with `code`.
    pub(super) fn answered(&self, path: &'static str, code: u16) {
        *self.counts().requests.entry((path, code)).or_default() += 1;
    }

    /// A page took so long.
    pub(super) fn wrote(&self, took: Duration) {
        Arc::make_mut(&mut self.counts().took).observe(took.as_secs_f64());
    }

    /// As samples.
    pub fn samples(&self) -> Samples {
        let counts = self.counts();
        let mut out = Samples::new();
        for ((path, code), count) in &counts.requests {
            let labels = Labels::new(&[("path", path), ("code", &code.to_string())]);
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
            out.put_with(&SCRAPES, &labels, *count as f64);
        }
        out.put_histogram(&SCRAPE_DURATION, &Labels::none(), Arc::clone(&counts.took));
        out
    }
}
