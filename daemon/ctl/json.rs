//! The documents of `--json`: snake_case, times RFC 3339, spans in ms, sizes in bytes, absent values null.
//!
//! The structs are the contract: others rely on the names and on every field being there.

pub mod fleet;

use super::render::units::rfc3339;
use crate::bus::proxy::{self, AuditEntry, ConfigMark, EventEntry, PlanLine};
use reeve_core::Wall;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// `status` without a worker.
#[derive(Debug, Serialize)]
pub struct Node<'a> {
    node: &'a str,
    state: &'a str,
    reason: Option<&'a str>,
    since: Option<String>,
    uptime_ms: Option<u64>,
    version: Option<&'a str>,
    launcher: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
    config_generation: u64,
    config_errors: u64,
    components: &'a BTreeMap<String, String>,
    cordoned: Option<&'a str>,
    drain_reason: Option<&'a str>,
    holds: &'a [String],
    workers_total: u64,
    workers_ready: u64,
    workers_failed: u64,
    status_line: Option<&'a str>,
    workers: Option<Vec<Worker<'a>>>,
}

impl<'a> Node<'a> {
    /// With its workers, or `None` where they were not asked for.
    pub fn new(node: &'a proxy::NodeState, workers: Option<&'a [proxy::Worker]>) -> Self {
        Self {
            node: &node.node,
            state: &node.state,
            reason: node.reason.as_deref(),
            since: time(node.since),
            uptime_ms: node.uptime.map(millis),
            version: node.version.as_deref(),
            launcher: node.launcher.as_deref(),
            labels: &node.labels,
            config_generation: node.config_generation,
            config_errors: node.config_errors,
            components: &node.components,
            cordoned: node.cordoned.as_deref(),
            drain_reason: node.drain_reason.as_deref(),
            holds: &node.holds,
            workers_total: node.workers_total,
            workers_ready: node.workers_ready,
            workers_failed: node.workers_failed,
            status_line: node.status_line.as_deref(),
            workers: workers.map(|w| w.iter().map(Worker::new).collect()),
        }
    }
}

/// One worker, in `list` and `status`.
#[derive(Debug, Serialize)]
pub struct Worker<'a> {
    name: &'a str,
    team: &'a str,
    role: Option<&'a str>,
    wanted: u32,
    ready: u32,
    state: &'a str,
    reason: Option<&'a str>,
    health: Option<&'a str>,
    since: Option<String>,
    restarts: u64,
    order: Option<i64>,
    depends_on: &'a [String],
    holds: &'a [String],
    memory_current: Option<u64>,
    replicas: Vec<Replica<'a>>,
}

impl<'a> Worker<'a> {
    /// All of it.
    pub fn new(w: &'a proxy::Worker) -> Self {
        Self::only(w, None)
    }

    /// With one of its replicas, or all.
    pub fn only(w: &'a proxy::Worker, replica: Option<u32>) -> Self {
        Self {
            name: &w.name,
            team: &w.team,
            role: w.role.as_deref(),
            wanted: w.wanted,
            ready: w.ready,
            state: &w.state,
            reason: w.reason.as_deref(),
            health: w.health.as_deref(),
            since: time(w.since),
            restarts: w.restarts,
            order: w.order,
            depends_on: &w.depends_on,
            holds: &w.holds,
            memory_current: w.memory_current,
            replicas: w.replicas.iter().filter(|r| replica.is_none_or(|n| n == r.index)).map(Replica::new).collect(),
        }
    }
}

/// One replica.
#[derive(Debug, Serialize)]
struct Replica<'a> {
    index: u32,
    state: &'a str,
    reason: Option<&'a str>,
    ready: bool,
    health: Option<&'a str>,
    pid: Option<u64>,
    unit: Option<&'a str>,
    run: Option<&'a str>,
    since: Option<String>,
    restarts: u64,
    last_exit: Option<LastExit<'a>>,
    next_start: Option<String>,
    status: Option<&'a str>,
    port: Option<u64>,
    active_tasks: Option<u64>,
    queue_depth: Option<u64>,
    outdated: bool,
    holds: &'a [String],
    memory_current: Option<u64>,
}

impl<'a> Replica<'a> {
    fn new(r: &'a proxy::Replica) -> Self {
        Self {
            index: r.index,
            state: &r.state,
            reason: r.reason.as_deref(),
            ready: r.ready,
            health: r.health.as_deref(),
            pid: r.pid,
            unit: r.unit.as_deref(),
            run: r.run.as_deref(),
            since: time(r.since),
            restarts: r.restarts,
            last_exit: r.last_exit.as_ref().map(|e| LastExit {
                cause: &e.cause,
                exit_code: e.exit_code,
                signal: e.signal,
                at: time(e.at),
            }),
            next_start: time(r.next_start),
            status: r.status.as_deref(),
            port: r.port,
            active_tasks: r.active_tasks,
            queue_depth: r.queue_depth,
            outdated: r.outdated,
            holds: &r.holds,
            memory_current: r.memory_current,
        }
    }
}

#[derive(Debug, Serialize)]
struct LastExit<'a> {
    cause: &'a str,
    exit_code: Option<i64>,
    signal: Option<i64>,
    at: Option<String>,
}

/// `status WORKER`: the worker, its last runs, its last lines (null: not to be had).
#[derive(Debug, Serialize)]
pub struct WorkerStatus<'a> {
    /// The worker's own fields come first.
    #[serde(flatten)]
    pub worker: Worker<'a>,
    /// Newest first.
    pub runs: Vec<Run<'a>>,
    /// Oldest first.
    pub log: Option<Vec<&'a str>>,
}

/// `gpu list`.
#[derive(Debug, Serialize)]
pub struct Gpus<'a> {
    nvml: &'a str,
    reason: Option<&'a str>,
    gpus: Vec<Gpu<'a>>,
}

/// One card.
#[derive(Debug, Serialize)]
struct Gpu<'a> {
    index: u32,
    uuid: &'a str,
    name: Option<&'a str>,
    bus_id: Option<&'a str>,
    numa_node: Option<u64>,
    health: &'a str,
    reason: Option<&'a str>,
    allocatable: bool,
    memory_total: Option<u64>,
    memory_used: Option<u64>,
    utilization_ratio: Option<f64>,
    temperature_celsius: Option<f64>,
    power_watts: Option<f64>,
    mig: bool,
    slices: &'a [String],
    processes: u64,
    workers: &'a [String],
}

impl<'a> Gpus<'a> {
    /// All of it.
    pub fn new(g: &'a proxy::Gpus) -> Self {
        Self { nvml: &g.nvml, reason: g.reason.as_deref(), gpus: g.cards.iter().map(Gpu::new).collect() }
    }
}

impl<'a> Gpu<'a> {
    fn new(g: &'a proxy::Gpu) -> Self {
        Self {
            index: g.index,
            uuid: &g.uuid,
            name: g.name.as_deref(),
            bus_id: g.bus_id.as_deref(),
            numa_node: g.numa_node,
            health: &g.health,
            reason: g.reason.as_deref(),
            allocatable: g.allocatable,
            memory_total: g.memory_total,
            memory_used: g.memory_used,
            utilization_ratio: g.utilization,
            temperature_celsius: g.temperature,
            power_watts: g.power,
            mig: g.mig,
            slices: &g.slices,
            processes: g.processes,
            workers: &g.workers,
        }
    }
}

/// One ended run.
#[derive(Debug, Serialize)]
pub struct Run<'a> {
    run: &'a str,
    worker: &'a str,
    replica: Option<u64>,
    started: Option<String>,
    ended: Option<String>,
    duration_ms: Option<u64>,
    supervised: bool,
    cause: &'a str,
    exit_code: Option<i64>,
    signal: Option<i64>,
    reason: Option<&'a str>,
    peak_memory: Option<u64>,
    restarts: Option<u64>,
    log_tail: Option<&'a [String]>,
}

impl<'a> Run<'a> {
    /// All of it.
    pub fn new(r: &'a proxy::Run) -> Self {
        Self {
            run: &r.run,
            worker: &r.worker,
            replica: r.replica,
            started: time(r.started),
            ended: time(r.ended),
            duration_ms: super::render::runs::duration(r).map(millis),
            supervised: r.supervised,
            cause: &r.cause,
            exit_code: r.exit_code,
            signal: r.signal,
            reason: r.reason.as_deref(),
            peak_memory: r.peak_memory,
            restarts: r.restarts,
            log_tail: r.log_tail.as_deref(),
        }
    }
}

/// One event.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    time: String,
    kind: &'a str,
    target: &'a str,
    reason: &'a str,
    text: &'a str,
    more: &'a Map<String, Value>,
}

impl<'a> Event<'a> {
    /// All of it.
    pub fn new(e: &'a EventEntry) -> Self {
        Self {
            time: rfc3339(e.time),
            kind: &e.kind,
            target: &e.target,
            reason: &e.reason,
            text: &e.text,
            more: &e.more,
        }
    }
}

/// One action of a plan.
#[derive(Debug, Serialize)]
pub struct Plan<'a> {
    action: &'a str,
    target: &'a str,
    reason: &'a str,
}

impl<'a> Plan<'a> {
    /// All of it.
    pub fn new(l: &'a PlanLine) -> Self {
        Self { action: &l.action, target: &l.target, reason: &l.reason }
    }
}

/// One remark on the configuration; line and column are null where it concerns the whole file.
#[derive(Debug, Serialize)]
pub struct Mark<'a> {
    severity: &'a str,
    file: &'a str,
    line: Option<u32>,
    column: Option<u32>,
    key: Option<&'a str>,
    text: &'a str,
}

impl<'a> Mark<'a> {
    /// All of it.
    pub fn new(m: &'a ConfigMark) -> Self {
        Self {
            severity: &m.severity,
            file: &m.file,
            line: Some(m.line).filter(|n| *n > 0),
            column: Some(m.column).filter(|n| *n > 0),
            key: Some(m.key.as_str()).filter(|k| !k.is_empty()),
            text: &m.text,
        }
    }
}

/// One measured series. A value that is not finite is null: JSON has no word for it.
#[derive(Debug, Serialize)]
pub struct Series<'a> {
    name: &'a str,
    labels: &'a std::collections::BTreeMap<String, String>,
    value: Option<f64>,
}

impl<'a> Series<'a> {
    /// All of it.
    pub fn new(s: &'a proxy::Series) -> Self {
        Self { name: &s.name, labels: &s.labels, value: Some(s.value).filter(|v| v.is_finite()) }
    }
}

/// One entry of the audit trail.
#[derive(Debug, Serialize)]
pub struct Audit<'a> {
    time: String,
    uid: u32,
    caller: &'a str,
    action: &'a str,
    target: &'a str,
    result: &'a str,
    more: &'a Map<String, Value>,
}

impl<'a> Audit<'a> {
    /// All of it.
    pub fn new(e: &'a AuditEntry) -> Self {
        Self {
            time: rfc3339(e.time),
            uid: e.uid,
            caller: &e.caller,
            action: &e.action,
            target: &e.target,
            result: &e.result,
            more: &e.more,
        }
    }
}

/// What became of a change, per target.
#[derive(Debug, Serialize)]
pub struct Outcome<'a> {
    /// `web`, `web/2`, `node`, `*`.
    pub target: &'a str,
    /// Id of the task run; null when it was done at once or refused.
    pub task_run: Option<&'a str>,
    /// `done`, `running` (not awaited), `refused`.
    pub state: &'a str,
    /// `success`, `failed` …; null while it is not over.
    pub result: Option<&'a str>,
    /// What was said.
    pub message: Option<&'a str>,
    /// Name of the error.
    pub error: Option<&'a str>,
    /// What would be done, with --dry-run.
    pub plan: Option<Vec<Plan<'a>>>,
}

/// A time as JSON has it.
pub fn time(at: Option<Wall>) -> Option<String> {
    at.map(rfc3339)
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
