//! Relations between the keys of one worker. Each remark names both sides.

use super::doc::{Doc, Report};
use crate::config::types::{Backoff, Check, Notice, Probe, Until, Worker};
use crate::config::units::render_duration;
use std::time::Duration;

/// Checks them all.
pub(super) fn check(doc: &Doc<'_>, worker: &Worker, report: &mut Report) {
    requests(doc, worker, report);
    backoff(doc, worker, report);
    for (probe, section) in [(&worker.liveness, "worker.probe.liveness"), (&worker.readiness, "worker.probe.readiness")]
    {
        if let Some(probe) = probe {
            asking(doc, probe, section, report);
        }
    }
    if let Some(liveness) = &worker.liveness {
        budget(doc, liveness, report);
    }
    if let Some(readiness) = &worker.readiness {
        ready(doc, worker, readiness, report);
    }
    drain(doc, worker, report);
    reading(doc, worker, report);
}

/// A request above its limit could never be granted (SUP-04, SUP-05).
fn requests(doc: &Doc<'_>, worker: &Worker, report: &mut Report) {
    let r = &worker.resources;
    let gpus = |n: u32| Some(u64::from(n));
    for (resource, request, limit, id) in [
        ("cpu", r.cpu_request, r.cpu_limit, "SUP-04"),
        ("memory", r.memory_request, r.memory_limit, "SUP-04"),
        ("gpus", gpus(r.gpus_request), gpus(r.gpus_limit), "SUP-05"),
    ] {
        let key = format!("worker.resources.{resource}.request");
        let other = format!("worker.resources.{resource}.limit");
        if let (Some(request), Some(limit)) = (request, limit)
            && request > limit
        {
            let text = format!(
                "{} is more than {}; expected a request up to the limit ({id})",
                doc.side(&key),
                doc.side(&other)
            );
            report.error(doc, &key, &[&other], text);
        }
    }
}

/// The backoff must be able to grow (SUP-10). A breaker that cannot open does no harm, but says less than was meant
/// (CBR-02).
fn backoff(doc: &Doc<'_>, worker: &Worker, report: &mut Report) {
    let backoff = &worker.restart.backoff;
    let cap = "worker.restart.backoff.cap";
    for (key, value) in [("worker.restart.backoff.first", backoff.first), ("worker.restart.backoff.base", backoff.base)]
    {
        if value > backoff.cap {
            let text = format!("{} is longer than {} (SUP-10)", doc.side(key), doc.side(cap));
            report.error(doc, key, &[cap], text);
        }
    }
    let Some(breaker) = &worker.restart.breaker else {
        return;
    };
    let shortest = shortest_span(backoff, breaker.failures);
    if shortest > breaker.window {
        let window = "worker.restart.breaker.window";
        let failures = "worker.restart.breaker.failures";
        let base = "worker.restart.backoff.base";
        let text = format!(
            "the breaker could never open: {} failures take at least {} with {}, longer than {}; widen the window, \
             lower {} or shorten the backoff (CBR-02)",
            breaker.failures,
            render_duration(shortest),
            doc.side(base),
            doc.side(window),
            doc.side(failures),
        );
        report.warning(doc, window, text);
    }
}

/// The least time in which so many failures can happen, with the jitter at its lowest.
fn shortest_span(backoff: &Backoff, failures: u32) -> Duration {
    let mut total = Duration::ZERO;
    let mut delay = backoff.base;
    for restart in 1..failures {
        if restart == 1 {
            total = total.saturating_add(backoff.first);
        } else {
            total = total.saturating_add(delay.min(backoff.cap));
            delay = delay.saturating_mul(2);
        }
    }
    total.saturating_mul(4) / 5
}

/// One question must be answered before the next is asked.
fn asking(doc: &Doc<'_>, probe: &Probe, section: &str, report: &mut Report) {
    if probe.timeout > probe.period {
        let key = format!("{section}.timeout");
        let period = format!("{section}.period");
        let text = format!(
            "{} is longer than {}; one question must be answered before the next is asked (HLT-01)",
            doc.side(&key),
            doc.side(&period)
        );
        report.error(doc, &key, &[&period], text);
    }
}

/// Failures are detected inside the budget (HLT-08). Watchdog and progress have spans of the worker's own.
fn budget(doc: &Doc<'_>, probe: &Probe, report: &mut Report) {
    if matches!(probe.check, Check::Notify | Check::Progress) {
        return;
    }
    let period = "worker.probe.liveness.period";
    let threshold = "worker.probe.liveness.failure_threshold";
    let budget = "worker.probe.liveness.budget";
    let needed = probe.period.saturating_mul(probe.failure_threshold);
    if needed > doc.duration(budget) {
        let text = format!(
            "a failure is detected after {} only: {} times {}, over {}; lower one of them or raise the budget (HLT-08)",
            render_duration(needed),
            doc.side(period),
            doc.side(threshold),
            doc.side(budget)
        );
        report.error(doc, period, &[threshold, budget], text);
    }
}

/// The readiness probe must be able to succeed before the start counts as failed.
fn ready(doc: &Doc<'_>, worker: &Worker, probe: &Probe, report: &mut Report) {
    let key = "worker.probe.readiness.initial_delay";
    let timeout = "worker.ready.timeout";
    let successes = probe.success_threshold.saturating_sub(1);
    let earliest = probe.initial_delay.saturating_add(probe.period.saturating_mul(successes));
    if earliest >= worker.ready.timeout {
        let period = "worker.probe.readiness.period";
        let threshold = "worker.probe.readiness.success_threshold";
        let text = format!(
            "it could never become ready: the probe needs {} at least ({}, {}, {}), and {} ends the start (HLT-06)",
            render_duration(earliest),
            doc.side(key),
            doc.side(period),
            doc.side(threshold),
            doc.side(timeout)
        );
        report.error(doc, key, &[timeout, period, threshold], text);
    }
}

/// A page must be read before it is time to read it again (HLT-03).
fn reading(doc: &Doc<'_>, worker: &Worker, report: &mut Report) {
    let (timeout, period) = ("worker.metrics.timeout", "worker.metrics.period");
    if worker.metrics.timeout > worker.metrics.period {
        let text = format!(
            "{} is longer than {}; one reading must have ended before the next begins (HLT-03)",
            doc.side(timeout),
            doc.side(period)
        );
        report.error(doc, timeout, &[period], text);
    }
}

/// What a drain waits for must be able to happen (ORD-06).
fn drain(doc: &Doc<'_>, worker: &Worker, report: &mut Report) {
    let Some(drain) = &worker.drain else {
        return;
    };
    let metric = "worker.drain.until.metric";
    let scrape = "worker.metrics.scrape";
    let equals = "worker.drain.until.equals";
    let until = "worker.drain.until";
    let signal = "worker.drain.signal";
    if matches!(drain.until, Until::Metric { .. }) && worker.metrics.scrape.is_none() && !worker.metrics.statsd {
        let text = format!(
            "{} needs {} to read it from; expected [worker.metrics] scrape = \"http://127.0.0.1:{{port}}/metrics\", or \
             statsd = true (ORD-06)",
            doc.side(metric),
            doc.side(scrape)
        );
        report.error(doc, metric, &[scrape], text);
    }
    if doc.is_set(equals) && !doc.is_set(metric) {
        let text = format!("{} compares nothing without `{metric}` (ORD-06)", doc.side(equals));
        report.error(doc, equals, &[metric], text);
    }
    if drain.until == Until::Exit && drain.notice == Notice::None {
        let text = format!(
            "waits for the worker to exit, and nothing tells it to: expected one of {signal}, worker.drain.http, \
             worker.drain.exec (ORD-06)"
        );
        let key = "worker.drain.until.exit";
        report.error(doc, key, &[signal, "worker.drain.http", "worker.drain.exec"], text);
    }
    if drain.notice == Notice::Signal(9) {
        let text = format!("{} leaves no time to finish work before {until} (ORD-06)", doc.side(signal));
        report.error(doc, signal, &[], text);
    }
}
