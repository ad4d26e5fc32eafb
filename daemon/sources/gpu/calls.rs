//! Every call into NVML goes through here: its time is taken, its failures are counted, and what is going on is known
//! while it hangs.

use super::shared::Shared;
use crate::host::lock::lock;
use nvml_wrapper::error::NvmlError;
use reeve_core::metrics::families::{GPU_CALL_FAILURES, GPU_CALL_SECONDS};
use reeve_core::metrics::{Histogram, Labels, Samples};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// From a microsecond to ten seconds: cheap calls take a few, process lists milliseconds, a sick driver seconds.
const BOUNDS: &[f64] = &[0.000_005, 0.000_02, 0.000_1, 0.000_5, 0.002, 0.01, 0.05, 0.25, 1.0, 10.0];

/// What went wrong beyond one figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The card does not answer any more.
    Lost(String),
    /// NVML itself is gone: no driver, or another one underneath.
    Gone(String),
}

/// Times and failures by call.
#[derive(Debug, Default)]
pub(super) struct CallBook {
    times: BTreeMap<&'static str, Histogram>,
    failures: BTreeMap<&'static str, u64>,
    /// Calls that have not come back, by thread.
    open: BTreeMap<&'static str, (&'static str, Instant)>,
}

impl CallBook {
    /// The call that has been going on for longest, and since when.
    pub(super) fn open(&self) -> Option<(&'static str, Instant)> {
        self.open.values().copied().min_by_key(|(_, since)| *since)
    }

    /// Nothing is going on any more.
    pub(super) fn forget_open(&mut self) {
        self.open.clear();
    }

    /// Its families.
    pub(super) fn samples(&self, into: &mut Samples) {
        for (call, times) in &self.times {
            into.put_histogram(&GPU_CALL_SECONDS, &Labels::new(&[("call", call)]), Arc::new(times.clone()));
        }
        for (call, count) in &self.failures {
            into.put_with(&GPU_CALL_FAILURES, &Labels::new(&[("call", call)]), *count as f64);
        }
    }
}

/// Whether this is not a failure but something the card or the driver cannot do.
pub(super) fn unsupported(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::NotSupported
            | NvmlError::FailedToLoadSymbol(_)
            | NvmlError::FunctionNotFound
            | NvmlError::InvalidArg
            | NvmlError::NoPermission
            | NvmlError::UnexpectedVariant(25)
    )
}

/// Makes one call. `Ok(Err)` says why there is no answer this time.
pub(super) fn time<T>(
    shared: &Shared,
    thread: &'static str,
    call: &'static str,
    ask: impl FnOnce() -> Result<T, NvmlError>,
) -> Result<Result<T, NvmlError>, Fault> {
    let began = Instant::now();
    lock(&shared.calls).open.insert(thread, (call, began));
    let answer = ask();
    let mut calls = lock(&shared.calls);
    calls.open.remove(thread);
    let times = calls.times.entry(call).or_insert_with(|| Histogram::new(BOUNDS));
    times.observe(began.elapsed().as_secs_f64());
    let Err(error) = answer else { return Ok(answer) };
    if !unsupported(&error) && !matches!(error, NvmlError::NotFound | NvmlError::Timeout) {
        *calls.failures.entry(call).or_default() += 1;
    }
    match error {
        NvmlError::GpuLost | NvmlError::ResetRequired => Err(Fault::Lost(error.to_string())),
        NvmlError::Uninitialized => Err(Fault::Gone(error.to_string())),
        NvmlError::DriverNotLoaded => Err(Fault::Gone("the NVIDIA driver is not loaded".to_owned())),
        NvmlError::LibRmVersionMismatch => Err(Fault::Gone(MISMATCH.to_owned())),
        other => Ok(Err(other)),
    }
}

/// What is told when the driver was replaced while we held the library of the old one.
pub(super) const MISMATCH: &str = "the driver was replaced underneath: its version is not the library's any more";
