//! What the bus counts of its calls.

use crate::host::lock::lock;
use reeve_core::metrics::families::daemon::DBUS_CALLS;
use reeve_core::metrics::{Labels, Samples};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A call of nothing that we have.
pub(super) const UNKNOWN: &str = "unknown";

/// Calls answered, by method and outcome: as many as there are methods and errors. The lock is held for an addition.
#[derive(Debug, Default)]
pub struct Calls(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Calls {
    /// A call was answered.
    pub(super) fn answered(&self, method: &'static str, outcome: &'static str) {
        *lock(&self.0).entry((method, outcome)).or_default() += 1;
    }

    /// As samples.
    pub fn samples(&self) -> Samples {
        let mut out = Samples::new();
        for ((method, outcome), count) in lock(&self.0).iter() {
            let labels = Labels::new(&[("method", method), ("outcome", outcome)]);
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
            out.put_with(&DBUS_CALLS, &labels, *count as f64);
        }
        out
    }
}
