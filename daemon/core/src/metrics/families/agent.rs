//! The agents' own numbers, under their documented names (MET-05 … MET-16).
//!
//! The ten documented names are literal and without prefix. They cannot be put together over time or workers as they
//! are, so each has raw companions beside it, named as the conventions want.

use crate::metrics::family::{Family, Kind, Lane};

/// This group, in the order of the manual page.
pub(super) static TABLE: &[&Family] = &[
    &COORDINATION_EFFICIENCY,
    &COORDINATION_USEFUL,
    &COORDINATION_TOTAL,
    &CONSENSUS_SUCCESS_RATE,
    &CONSENSUS_ROUNDS,
    &MESSAGE_DELIVERY_LATENCY,
    &MESSAGE_DELIVERY,
    &UTILIZATION,
    &BUSY,
    &REASONING_CHAIN_LENGTH,
    &REASONING_STEPS,
    &PLANNING_SUCCESS_RATE,
    &PLANS,
    &TASK_THROUGHPUT,
    &TASKS,
    &RESPONSE_TIME,
    &RESPONSE,
    &ERROR_RATE,
    &ERRORS,
    &QUEUE_DEPTH,
    &QUEUE_OLDEST,
    &TOKENS,
];

/// Every family of this group.
pub fn all() -> impl Iterator<Item = &'static Family> {
    TABLE.iter().copied()
}

/// Upper bounds of a histogram of this group (MET-12, MET-14, MET-16, MET-06).
pub fn bounds(name: &str) -> Option<&'static [f64]> {
    [
        (&COORDINATION_EFFICIENCY, COORDINATION_EFFICIENCY_BOUNDS),
        (&MESSAGE_DELIVERY_LATENCY, MESSAGE_DELIVERY_BOUNDS),
        (&MESSAGE_DELIVERY, MESSAGE_DELIVERY_BOUNDS),
        (&REASONING_CHAIN_LENGTH, REASONING_CHAIN_BOUNDS),
        (&RESPONSE_TIME, RESPONSE_TIME_BOUNDS),
        (&RESPONSE, RESPONSE_TIME_BOUNDS),
    ]
    .into_iter()
    .find_map(|(family, bounds)| (family.name == name).then_some(bounds))
}

/// Labels of every family here.
const WHO: &[&str] = &["worker", "replica", "role"];
const SOURCE: &str = "the worker";

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family::gauge(name, unit, help, SOURCE).with(WHO).on(Lane::Worker)
}

const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family::counter(name, unit, help, SOURCE).with(labels).on(Lane::Worker)
}

/// MET-12.
pub static COORDINATION_EFFICIENCY: Family = gauge(
    "agent_coordination_efficiency",
    "ratio",
    "Useful share of the time spent coordinating, a ratio from 0 to 1.",
)
.of(Kind::Histogram);
/// Steps of 0.05.
pub static COORDINATION_EFFICIENCY_BOUNDS: &[f64] =
    &[0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0];
/// Numerator of it.
pub static COORDINATION_USEFUL: Family = counter(
    "reeve_agent_coordination_useful_seconds_total",
    "seconds",
    WHO,
    "Time of coordination that was of use, in seconds.",
);
/// Denominator of it.
pub static COORDINATION_TOTAL: Family =
    counter("reeve_agent_coordination_seconds_total", "seconds", WHO, "Time spent coordinating, in seconds.");
/// MET-13.
pub static CONSENSUS_SUCCESS_RATE: Family =
    gauge("consensus_success_rate", "ratio", "Share of rounds that reached consensus over 5 minutes, from 0 to 1.");
/// Rounds behind it.
pub static CONSENSUS_ROUNDS: Family = counter(
    "reeve_agent_consensus_rounds_total",
    "",
    &["worker", "replica", "role", "outcome"],
    "Rounds of consensus by outcome.",
);
/// MET-14.
pub static MESSAGE_DELIVERY_LATENCY: Family =
    gauge("message_delivery_latency", "seconds", "From sending a message to its arrival, in seconds.")
        .of(Kind::Histogram);
/// Bounds of it, those of a model's time to its first token.
pub static MESSAGE_DELIVERY_BOUNDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// The same by transport.
pub static MESSAGE_DELIVERY: Family = gauge(
    "reeve_agent_message_delivery_latency_seconds",
    "seconds",
    "From sending a message to its arrival, in seconds, by transport.",
)
.of(Kind::Histogram)
.with(&["worker", "replica", "role", "transport"]);
/// MET-15.
pub static UTILIZATION: Family =
    gauge("agent_utilization", "ratio", "Share of the time the agent is busy, from 0 to 1.");
/// Time behind it.
pub static BUSY: Family =
    counter("reeve_agent_busy_seconds_total", "seconds", WHO, "Time the agent was busy, in seconds.");
/// MET-16.
pub static REASONING_CHAIN_LENGTH: Family =
    gauge("reasoning_chain_length", "", "Steps of one chain of reasoning.").of(Kind::Histogram);
/// Doubling.
pub static REASONING_CHAIN_BOUNDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Steps behind it.
pub static REASONING_STEPS: Family = counter("reeve_agent_reasoning_steps_total", "", WHO, "Steps of reasoning taken.");
/// MET-16.
pub static PLANNING_SUCCESS_RATE: Family =
    gauge("planning_success_rate", "ratio", "Share of plans that were carried out over 5 minutes, from 0 to 1.");
/// Plans behind it.
pub static PLANS: Family =
    counter("reeve_agent_plans_total", "", &["worker", "replica", "role", "outcome"], "Plans by outcome.");
/// MET-05.
pub static TASK_THROUGHPUT: Family = gauge("task_throughput", "", "Tasks done a second, over one minute.");
/// Tasks behind it.
pub static TASKS: Family =
    counter("reeve_agent_tasks_total", "", &["worker", "replica", "role", "outcome"], "Tasks ended, by outcome.");
/// MET-06.
pub static RESPONSE_TIME: Family =
    gauge("response_time", "seconds", "From a request to its answer, in seconds.").of(Kind::Histogram);
/// Doubling from 10 ms.
pub static RESPONSE_TIME_BOUNDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// The same under a name with its unit.
pub static RESPONSE: Family =
    gauge("reeve_agent_response_seconds", "seconds", "From a request to its answer, in seconds.").of(Kind::Histogram);
/// MET-07.
pub static ERROR_RATE: Family =
    gauge("error_rate", "ratio", "Share of requests that failed over 5 minutes, from 0 to 1.");
/// Errors behind it.
pub static ERRORS: Family =
    counter("reeve_agent_errors_total", "", &["worker", "replica", "role", "kind"], "Failed requests by kind.");
/// MET-08.
pub static QUEUE_DEPTH: Family = gauge("queue_depth", "", "Tasks that wait to be taken.");
/// What depth does not tell.
pub static QUEUE_OLDEST: Family = gauge(
    "reeve_agent_queue_oldest_age_seconds",
    "seconds",
    "How long the oldest waiting task has waited, in seconds.",
);
/// MET-20.
pub static TOKENS: Family = counter(
    "reeve_agent_tokens_total",
    "",
    &["worker", "replica", "role", "direction"],
    "Tokens read from and written by models, by direction: input or output.",
);
