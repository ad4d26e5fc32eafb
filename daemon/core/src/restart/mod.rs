//! From an exit to what follows (requirements SUP-09, SUP-10, CBR-01, CBR-02).
//!
//! ```text
//! exit ─► classify ─► cause ─► decide ─┬─ restart at T (backoff)
//!                                      ├─ crash loop until T (breaker open), then one trial
//!                                      ├─ parked (77, 78): until reset or a changed definition
//!                                      └─ done (policy)
//! ```
//! Above that stand two brakes for the node: [`damping`] of mass crashes and the [`bucket`] of starts.

pub mod breaker;
pub mod bucket;
pub mod damping;

use crate::config::{Backoff, Restart, RestartPolicy};
use crate::exit::{Cause, ExitInfo, ExitStatus};
use crate::persist::RestartRecord;
use crate::rng::Rng;
use crate::time::{Mono, Now, Wall};
use std::time::Duration;

/// What was going on when the run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doom {
    /// Nothing: it ended by itself.
    None,
    /// We were stopping it because somebody or something asked.
    Requested,
    /// We were ending it because of this.
    Condemned(Cause),
}

/// Derives the cause of an end. `killed`: we had gone over to SIGKILL, or the grace was over.
pub fn classify(info: &ExitInfo, doom: &Doom, stop_signal: i32) -> Cause {
    match doom {
        Doom::Condemned(cause) => cause.clone(),
        _ if info.oom_kill => Cause::Oom,
        Doom::Requested => match info.status {
            ExitStatus::Signal(9) if stop_signal != 9 => Cause::StopTimeout,
            _ => Cause::Operator,
        },
        Doom::None => match info.status {
            ExitStatus::Code(0) => Cause::Clean,
            ExitStatus::Code(c) => Cause::ExitCode(c),
            ExitStatus::Signal(s) => Cause::Signal(s),
            ExitStatus::Unknown => Cause::Unknown,
        },
    }
}

/// What follows an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Start again at this time.
    Restart {
        /// When.
        at: Mono,
        /// Why then.
        reason: String,
    },
    /// Its breaker is open: one trial at this time.
    CrashLoop {
        /// When.
        at: Mono,
        /// Why.
        reason: String,
    },
    /// Not until somebody resets it or the definition changes.
    Park(String),
    /// It has done its work.
    Done(String),
}

/// sysexits(3): try again later.
pub const EX_TEMPFAIL: i32 = 75;
/// sysexits(3): permission denied; does not heal by itself.
pub const EX_NOPERM: i32 = 77;
/// sysexits(3): configuration error; does not heal by itself.
pub const EX_CONFIG: i32 = 78;

/// Decides what follows `cause`, and keeps the books in `record`.
///
/// `uptime` is how long the run lasted and `start_time` how long it took to become ready (`reset_after` is at least
/// ten times that); `retry_at` is when the worker itself asked to be tried again (quota).
#[expect(clippy::too_many_arguments, reason = "one pure function of all the facts, called in one place")]
pub fn decide(
    record: &mut RestartRecord,
    policy: &Restart,
    cause: &Cause,
    uptime: Duration,
    start_time: Duration,
    retry_at: Option<Wall>,
    now: Now,
    rng: &mut Rng,
) -> Verdict {
    if uptime >= reset_after(&policy.backoff, start_time) {
        record.failures = 0;
        record.breakers.clear();
    }
    match cause {
        Cause::Operator | Cause::StopTimeout => {
            return Verdict::Restart { at: now.mono, reason: "stopped on request".into() };
        }
        Cause::ExitCode(EX_NOPERM) => {
            return park(record, "exit code 77 (permission denied) is not retried");
        }
        Cause::ExitCode(EX_CONFIG) => {
            return park(record, "exit code 78 (configuration error) is not retried");
        }
        Cause::Clean if policy.policy != RestartPolicy::Always => {
            record.failures = 0;
            record.parked = Some(DONE.into());
            return Verdict::Done("exited cleanly and its policy does not restart that".into());
        }
        _ if policy.policy == RestartPolicy::Never => {
            return park(record, &format!("{cause}; restart policy is never"));
        }
        _ => {}
    }
    if *cause == Cause::Unknown {
        // Nobody saw it end: on `direct` it ended with the daemon. That is not held against it.
        return Verdict::Restart { at: now.mono, reason: format!("{cause}; restart at once") };
    }
    record.failures = record.failures.saturating_add(1);
    if let Some(wall) = retry_at.filter(|w| *w > now.wall) {
        let at = now.mono + Duration::from_micros(wall.0 - now.wall.0);
        return Verdict::Restart { at, reason: format!("{cause}; the worker asked to be tried later") };
    }
    let counts = !matches!(cause, Cause::Clean | Cause::ExitCode(EX_TEMPFAIL));
    if let (Some(cfg), true) = (&policy.breaker, counts) {
        let entry = record.breakers.entry(cause.word().to_owned()).or_default();
        if let Some(open) = breaker::fail(entry, cfg, now.wall, rng) {
            let reason = format!("{cause}, {} times in a row; next trial in {}", record.failures, span(open));
            return Verdict::CrashLoop { at: now.mono + open, reason };
        }
    }
    let later = matches!(cause, Cause::ExitCode(EX_TEMPFAIL));
    let wait = delay(&policy.backoff, record.failures + u32::from(later), rng);
    let reason = if wait.is_zero() {
        format!("{cause}; restart {} at once", record.failures)
    } else {
        format!("{cause}; restart {} in {}", record.failures, span(wait))
    };
    Verdict::Restart { at: now.mono + wait, reason }
}

/// Marks a record as done rather than parked for a fault.
pub const DONE: &str = "done";

fn park(record: &mut RestartRecord, why: &str) -> Verdict {
    record.parked = Some(why.to_owned());
    Verdict::Park(why.to_owned())
}

/// How long a run must stay up for its failures to be forgotten: `max(reset_after, 10 · start time)`.
pub fn reset_after(backoff: &Backoff, start_time: Duration) -> Duration {
    backoff.reset_after.max(start_time.saturating_mul(10))
}

/// Delay before restart number `failures` (from 1): `first`, then `base · 2^k` up to `cap`, jittered.
pub fn delay(backoff: &Backoff, failures: u32, rng: &mut Rng) -> Duration {
    if failures <= 1 {
        return backoff.first;
    }
    let doublings = (failures - 2).min(30);
    let span = backoff.base.saturating_mul(1 << doublings).min(backoff.cap);
    rng.jitter(span).min(backoff.cap)
}

/// `1min 30s`, `850ms`: spans as systemd writes them, two parts at most.
pub fn span(d: Duration) -> String {
    let ms = d.as_millis();
    if ms == 0 {
        return if d.is_zero() { "0s".into() } else { format!("{}us", d.as_micros()) };
    }
    const UNITS: [(u128, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")];
    let first = UNITS.iter().position(|(size, _)| ms >= *size).unwrap_or(UNITS.len() - 1);
    let (size, name) = UNITS[first];
    let mut text = format!("{}{name}", ms / size);
    if let Some((next, name)) = UNITS.get(first + 1)
        && (ms % size) / next > 0
        && !(size == 1000 && ms >= 10_000)
    {
        text.push_str(&format!(" {}{name}", (ms % size) / next));
    }
    text
}

#[cfg(test)]
mod tests;
