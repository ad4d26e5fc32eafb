//! How well the clock is kept, from `adjtimex`.

use super::{Look, Source};
use reeve_core::metrics::Samples;
use reeve_core::metrics::families as f;
use std::io;

/// What of `struct timex` is told.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Clock {
    synchronised: bool,
    /// Nanoseconds when `nano`, else microseconds.
    offset: f64,
    nano: bool,
    /// Microseconds.
    maxerror: f64,
}

pub(super) struct Timex {
    ask: fn() -> io::Result<Clock>,
    refused: bool,
}

impl Default for Timex {
    fn default() -> Self {
        Self { ask, refused: false }
    }
}

impl Source for Timex {
    fn name(&self) -> &'static str {
        "timex"
    }

    fn look(&mut self, _: &mut Look<'_>) -> Result<Samples, String> {
        if self.refused {
            return Ok(Samples::new());
        }
        match (self.ask)() {
            Ok(clock) => Ok(samples(clock)),
            Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
                self.refused = true;
                tracing::info!(
                    "node_timex_* is absent: this unit may not even read the clock's state ({e}); a drop-in with \
                     ProtectClock=no and SystemCallFilter=adjtimex clock_adjtime brings it back"
                );
                Ok(Samples::new())
            }
            Err(e) => Err(format!("adjtimex: {e}")),
        }
    }
}

fn samples(clock: Clock) -> Samples {
    let mut samples = Samples::new();
    samples.put(&f::NODE_TIMEX_OFFSET, clock.offset / if clock.nano { 1e9 } else { 1e6 });
    samples.put(&f::NODE_TIMEX_SYNC_STATUS, f64::from(u8::from(clock.synchronised)));
    samples.put(&f::NODE_TIMEX_MAXERROR, clock.maxerror / 1e6);
    samples
}

#[expect(clippy::cast_precision_loss, reason = "offsets are far below 2^53")]
fn ask() -> io::Result<Clock> {
    // SAFETY: timex is a struct of integers, for which all zeroes are a value; zero modes change nothing.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a timex that lives throughout the call.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Clock {
        synchronised: state != libc::TIME_ERROR,
        offset: timex.offset as f64,
        nano: timex.status & libc::STA_NANO != 0,
        maxerror: timex.maxerror as f64,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sources::files::Scratch;
    use reeve_core::Now;
    use reeve_core::metrics::Value;

    #[test]
    fn met_01_units_follow_the_status() {
        let clock = Clock { synchronised: true, offset: 1500.0, nano: false, maxerror: 16e6 };
        let value = |s: &Samples, name: &str| s.get(name).unwrap().samples[0].1.clone();
        let micro = samples(clock);
        assert_eq!(value(&micro, "node_timex_offset_seconds"), Value::Number(0.0015));
        assert_eq!(value(&micro, "node_timex_maxerror_seconds"), Value::Number(16.0));
        let nano = samples(Clock { nano: true, ..clock });
        assert_eq!(value(&nano, "node_timex_offset_seconds"), Value::Number(1.5e-6));
    }

    #[test]
    fn met_01_a_refused_clock_is_absent_and_not_asked_again() {
        let mut timex = Timex { ask: || Err(io::Error::from_raw_os_error(libc::EPERM)), refused: false };
        let mut scratch = Scratch::new();
        let mut look = Look { now: Now::default(), scratch: &mut scratch, spent: &|| false };
        assert!(timex.look(&mut look).unwrap().is_empty());
        timex.ask = || Err(io::Error::other("asked again"));
        assert!(timex.look(&mut look).unwrap().is_empty());
        let mut broken = Timex { ask: || Err(io::Error::other("odd")), refused: false };
        assert!(broken.look(&mut look).is_err());
    }
}
