//! Workers and teams: what only the supervisor knows. These outlive the cgroup, since the core owns them.

use crate::metrics::family::{Family, Kind, Lane};

/// This group, in the order of the manual page.
pub(super) static TABLE: &[&Family] = &[
    &STATE,
    &UP,
    &READY,
    &HEALTHY,
    &START,
    &RESTARTS,
    &EXITS,
    &OOM_KILLS,
    &BACKOFF,
    &BREAKER,
    &DRAINING,
    &HEARTBEAT,
    &PROBE_DURATION,
    &PROBE_FAILURES,
    &ACTIVE_TASKS,
    &SPEC_INFO,
    &REPLICAS_WANTED,
    &REPLICAS_READY,
    &TEAM_WANTED,
    &TEAM_READY,
    &TEAM_RESTARTS,
    &TEAM_OOM_KILLS,
];

const SOURCE: &str = "the supervisor";
const WHO: &[&str] = &["worker", "replica", "role"];

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family::gauge(name, unit, help, SOURCE).with(WHO).on(Lane::Event)
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family::counter(name, "", help, SOURCE).with(labels).on(Lane::Event)
}

/// SUP-13.
pub static STATE: Family = gauge(
    "reeve_worker_state",
    "",
    "State of a replica as 1 on the one series that names it, such as ready, unready, waiting, crash-loop, stopped.",
)
.with(&["worker", "replica", "role", "state"]);
/// It has a process.
pub static UP: Family = gauge("reeve_worker_up", "", "Whether the replica has a running process: 1 or 0.");
/// It takes work.
pub static READY: Family = gauge("reeve_worker_ready", "", "Whether the replica takes work: 1 or 0.");
/// HLT-05.
pub static HEALTHY: Family =
    gauge("reeve_worker_healthy", "", "What its probes say: 1 or 0; absent while they have said nothing.");
/// Of the live run.
pub static START: Family = gauge(
    "reeve_worker_start_timestamp_seconds",
    "seconds",
    "When the present run began, in seconds since 1970; absent without one.",
);
/// SUP-09.
pub static RESTARTS: Family = counter(
    "reeve_worker_restarts_total",
    &["worker", "replica", "role", "reason"],
    "Runs that another one followed, by why they ended: exit, signal, oom, watchdog, probe, ready-timeout, \
     start-failed, unknown, manual, rollout.",
);
/// SUP-13.
pub static EXITS: Family = counter(
    "reeve_worker_exits_total",
    &["worker", "replica", "role", "code", "signal"],
    "Ended runs by exit code or by signal; both labels are empty where nobody saw how.",
);
/// Cgroup counters die with their cgroup; this one does not.
pub static OOM_KILLS: Family = counter(
    "reeve_worker_oom_kills_total",
    WHO,
    "Runs of which the kernel killed a process for memory. It outlives the cgroup and the daemon.",
);
/// SUP-10.
pub static BACKOFF: Family = gauge(
    "reeve_worker_backoff_seconds",
    "seconds",
    "Seconds until the next start is due; absent when none is waited for.",
);
/// CBR-02.
pub static BREAKER: Family = gauge(
    "reeve_worker_breaker_state",
    "",
    "Circuit breaker of restarts as 1 on the one series that names its state: closed, open, half-open.",
)
.with(&["worker", "replica", "role", "state"]);
/// ORD-06.
pub static DRAINING: Family =
    gauge("reeve_worker_draining", "", "Whether the replica finishes its work before it stops: 1 or 0.");
/// HLT-01.
pub static HEARTBEAT: Family = gauge(
    "reeve_worker_heartbeat_age_seconds",
    "seconds",
    "Seconds since the run last showed life by itself (watchdog or progress); absent until it has.",
);
/// MET-06.
pub static PROBE_DURATION: Family = gauge(
    "reeve_worker_probe_duration_seconds",
    "seconds",
    "How long passed probes took, in seconds, by probe: liveness or readiness.",
)
.of(Kind::Histogram)
.with(&["worker", "replica", "role", "probe"]);
/// Bounds of [`PROBE_DURATION`].
pub static PROBE_DURATION_BOUNDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// HLT-05, HLT-06.
pub static PROBE_FAILURES: Family = counter(
    "reeve_worker_probe_failures_total",
    &["worker", "replica", "role", "probe"],
    "Failed probes by probe: liveness or readiness.",
);
/// ORD-06.
pub static ACTIVE_TASKS: Family =
    gauge("reeve_worker_active_tasks", "", "Work in hand, as the worker says; absent until it does.");
/// What runs.
pub static SPEC_INFO: Family =
    gauge("reeve_worker_spec_info", "", "Version of the definition in force (its digest) and the unit; always 1.")
        .of(Kind::Info)
        .with(&["worker", "replica", "role", "version", "unit"]);
/// Of the worker.
pub static REPLICAS_WANTED: Family =
    gauge("reeve_worker_replicas_wanted", "", "Replicas that the worker should have.").with(&["worker", "role"]);
/// Of the worker.
pub static REPLICAS_READY: Family =
    gauge("reeve_worker_replicas_ready", "", "Replicas of the worker that take work.").with(&["worker", "role"]);
/// SUP-02.
pub static TEAM_WANTED: Family =
    gauge("reeve_team_replicas_wanted", "", "Replicas that the workers of the team should have.").with(&["team"]);
/// SUP-02.
pub static TEAM_READY: Family =
    gauge("reeve_team_replicas_ready", "", "Replicas of the team that take work.").with(&["team"]);
/// SUP-02.
pub static TEAM_RESTARTS: Family =
    counter("reeve_team_restarts_total", &["team"], "Restarts of all replicas of the team.");
/// SUP-02.
pub static TEAM_OOM_KILLS: Family = counter(
    "reeve_team_oom_kills_total",
    &["team"],
    "Runs of the team of which the kernel killed a process for memory.",
);
