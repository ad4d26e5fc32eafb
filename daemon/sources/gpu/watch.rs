//! Looks at the stamps, and at nothing else: whatever NVML does, this goes on.

use super::calls::MISMATCH;
use super::shared::{Lane, Shared, Stamp};
use crate::host::clock::Clock;
use crate::host::lock::lock;
use reeve_core::Mono;
use reeve_core::gpu::Hold;
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};
use std::time::Duration;

/// Until the daemon ends: tells how the source does, each fast period and when something has changed.
pub(super) fn run(shared: &Shared) {
    let mut seen = 0;
    let mut overdue = [false; 3];
    let mut told = None;
    while !shared.is_ending() {
        let before = seen;
        shared.watch(&mut seen, until_overdue(shared).min(shared.periods.fast));
        let began = Clock::now().mono;
        let hold = shared.hold();
        let stamps = shared.stamps();
        let late = stamps.each_ref().map(|stamp| hold == Hold::Held && is_overdue(stamp, began));
        let stuck = stuck(shared);
        for (lane, (late, was)) in Lane::ALL.into_iter().zip(late.iter().zip(&mut overdue)) {
            if *late && !*was {
                // Its figures are too old to be served as if they were new.
                shared.tell(lane.source(), began, Duration::ZERO, Err(stuck.clone()));
            }
        }
        if late != overdue && late.contains(&true) {
            shared.inventory_under(Hold::Unavailable(stuck));
        }
        // Between two periods it is worth a word only when something has changed.
        let due = told.is_none_or(|at| began.since(at) >= shared.periods.fast);
        if before == seen && late == overdue && !due {
            continue;
        }
        overdue = late;
        told = Some(began);
        let samples = samples(shared, &hold, &stamps, late);
        shared.tell("gpu", began, Clock::now().mono.since(began), Ok(samples));
    }
}

/// After two periods without a look it counts as failed.
fn is_overdue(stamp: &Stamp, now: Mono) -> bool {
    now.since(stamp.ended) >= patience(stamp)
}

fn patience(stamp: &Stamp) -> Duration {
    stamp.period * 2 + stamp.took.unwrap_or_default()
}

/// How long until the next lane may be: nothing has to be looked at before. Without a hold nothing can be overdue.
fn until_overdue(shared: &Shared) -> Duration {
    if shared.hold() != Hold::Held {
        return Duration::MAX;
    }
    let now = Clock::now().mono;
    let left = |stamp: &Stamp| patience(stamp).checked_sub(now.since(stamp.ended)).filter(|left| !left.is_zero());
    shared.stamps().iter().filter_map(left).min().unwrap_or(Duration::MAX)
}

fn stuck(shared: &Shared) -> String {
    match lock(&shared.calls).open() {
        Some((call, since)) => format!("NVML does not answer: {call} has been going on for {:.0?}", since.elapsed()),
        None => "NVML does not answer".to_owned(),
    }
}

fn samples(shared: &Shared, hold: &Hold, stamps: &[Stamp; 3], late: [bool; 3]) -> Samples {
    let mut samples = Samples::new();
    let flag = |on: bool| f64::from(u8::from(on));
    let up = *hold == Hold::Held && !late.contains(&true);
    samples.put(&f::GPU_UP, flag(up));
    let state = match hold {
        Hold::Unavailable(why) if why == MISMATCH => "mismatch",
        Hold::Held if !up => "stuck",
        other => other.word(),
    };
    samples.put_with(&f::GPU_STATE, &Labels::new(&[("state", state)]), 1.0);
    for (lane, (stamp, late)) in Lane::ALL.into_iter().zip(stamps.iter().zip(late)) {
        let labels = Labels::new(&[("lane", lane.word())]);
        samples.put_with(&f::GPU_COLLECT_SUCCESS, &labels, flag(*hold == Hold::Held && stamp.ok && !late));
        samples.put_with(&f::GPU_COLLECT_PERIOD, &labels, stamp.period.as_secs_f64());
        samples.put_some(&f::GPU_COLLECT_DURATION, &labels, stamp.took.map(|t| t.as_secs_f64()));
        samples.put_some(&f::GPU_LAST_SUCCESS, &labels, stamp.last_ok.map(|at| at.0 as f64 / 1e6));
    }
    lock(&shared.calls).samples(&mut samples);
    samples
}
