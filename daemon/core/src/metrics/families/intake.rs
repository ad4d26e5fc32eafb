//! Workers: how their own numbers come in.

use crate::metrics::family::{Family, Lane};

/// This group, in the order of the manual page.
pub(super) static TABLE: &[&Family] =
    &[&SCRAPE_SUCCESS, &SCRAPE_DURATION, &SCRAPE_SERIES, &STATSD_MESSAGES, &STATSD_DROPPED];

const WHO: &[&str] = &["worker", "replica", "role"];

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family::gauge(name, unit, help, "reading the worker's page").with(WHO).on(Lane::Worker)
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family::counter(name, "", help, "the worker's DogStatsD socket").with(labels).on(Lane::Worker)
}

/// HLT-03.
pub static SCRAPE_SUCCESS: Family =
    gauge("reeve_worker_scrape_success", "", "Whether the last reading of the worker's own page worked: 1 or 0.");
/// HLT-03.
pub static SCRAPE_DURATION: Family = gauge(
    "reeve_worker_scrape_duration_seconds",
    "seconds",
    "How long the last reading of the worker's own page took, in seconds.",
);
/// MET-17.
pub static SCRAPE_SERIES: Family =
    gauge("reeve_worker_scrape_series", "", "Series on the worker's own page, before any is left out.");
/// MET-05.
pub static STATSD_MESSAGES: Family =
    counter("reeve_worker_statsd_messages_total", WHO, "DogStatsD messages taken from the worker.");
/// MET-17.
pub static STATSD_DROPPED: Family = counter(
    "reeve_worker_statsd_dropped_total",
    &["worker", "replica", "role", "reason"],
    "DogStatsD messages not taken, by reason: malformed, event, service-check, negative, name, worker-cap, too-long, \
     stranger.",
);
