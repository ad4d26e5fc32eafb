//! What comes back, as plain data. `None` and empty mean: the daemon did not say.

use super::convert::{Fields, bare};
use super::traits::{AuditRow, EventRow, GpuRow, MarkRow, RunRow, WorkerRow};
use reeve_core::Wall;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The node in one picture.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of GetStatus")]
pub struct NodeState {
    pub node: String,
    pub state: String,
    pub reason: Option<String>,
    pub since: Option<Wall>,
    pub uptime: Option<Duration>,
    pub version: Option<String>,
    pub launcher: Option<String>,
    pub config_generation: u64,
    pub config_errors: u64,
    /// Component → what is wrong with it; empty text is well.
    pub components: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub cordoned: Option<String>,
    pub drain_reason: Option<String>,
    pub holds: Vec<String>,
    pub workers_total: u64,
    pub workers_ready: u64,
    pub workers_failed: u64,
    pub status_line: Option<String>,
}

impl NodeState {
    pub(super) fn read(f: &Fields) -> Self {
        let texts = |key: &str| {
            f.dict(key).map(|d| d.0.iter().map(|(k, v)| (k.clone(), bare(v))).collect()).unwrap_or_default()
        };
        Self {
            node: f.text("node").unwrap_or_default(),
            state: f.text("state").unwrap_or_else(|| "unknown".to_owned()),
            reason: f.text("reason"),
            since: f.wall("since"),
            uptime: f.nonzero("uptime_usec").map(Duration::from_micros),
            version: f.text("version"),
            launcher: f.text("launcher"),
            config_generation: f.number("config_generation").unwrap_or(0),
            config_errors: f.number("config_errors").unwrap_or(0),
            components: texts("components"),
            labels: texts("labels"),
            cordoned: f.text("cordoned").or_else(|| {
                // A plain yes says that, but not why.
                (f.flag("cordoned") == Some(true)).then(|| "no new work".to_owned())
            }),
            drain_reason: f.text("drain_reason"),
            holds: f.texts("holds"),
            workers_total: f.number("workers_total").unwrap_or(0),
            workers_ready: f.number("workers_ready").unwrap_or(0),
            workers_failed: f.number("workers_failed").unwrap_or(0),
            status_line: f.text("status_line").or_else(|| f.text("status")),
        }
    }
}

/// One worker.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of ListWorkers")]
pub struct Worker {
    pub name: String,
    pub team: String,
    pub role: Option<String>,
    pub wanted: u32,
    pub ready: u32,
    pub state: String,
    pub reason: Option<String>,
    pub health: Option<String>,
    pub since: Option<Wall>,
    pub restarts: u64,
    pub order: Option<i64>,
    pub depends_on: Vec<String>,
    pub holds: Vec<String>,
    /// All replicas together.
    pub memory_current: Option<u64>,
    pub replicas: Vec<Replica>,
}

impl Worker {
    pub(super) fn read(row: WorkerRow) -> Self {
        let (name, _path, team, ready, wanted, state, restarts, more) = row;
        let f = Fields::from(more);
        let replicas: Vec<Replica> = f.list("replicas").iter().map(|v| Replica::read(&Fields::of(v))).collect();
        let sum: u64 = replicas.iter().filter_map(|r| r.memory_current).sum();
        let holds = match f.texts("holds") {
            own if own.is_empty() => replicas.iter().flat_map(|r| r.holds.clone()).collect::<BTreeSet<_>>(),
            own => own.into_iter().collect(),
        };
        Self {
            name,
            team,
            role: f.text("role"),
            wanted,
            ready,
            state,
            reason: f.text("reason"),
            health: f.text("health"),
            since: f.wall("since"),
            restarts: u64::from(restarts),
            order: f.signed("order"),
            depends_on: f.texts("depends_on"),
            holds: holds.into_iter().collect(),
            memory_current: f.gauge("memory").or(Some(sum).filter(|n| *n > 0)),
            replicas,
        }
    }
}

/// One replica.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of ListWorkers")]
pub struct Replica {
    pub index: u32,
    pub state: String,
    pub reason: Option<String>,
    pub ready: bool,
    pub health: Option<String>,
    pub pid: Option<u64>,
    pub unit: Option<String>,
    pub run: Option<String>,
    pub since: Option<Wall>,
    pub restarts: u64,
    pub last_exit: Option<ReplicaExit>,
    pub next_start: Option<Wall>,
    /// What the worker says of itself.
    pub status: Option<String>,
    pub port: Option<u64>,
    pub active_tasks: Option<u64>,
    pub queue_depth: Option<u64>,
    pub outdated: bool,
    pub holds: Vec<String>,
    pub memory_current: Option<u64>,
}

impl Replica {
    fn read(f: &Fields) -> Self {
        Self {
            index: f.number("index").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            state: f.text("state").unwrap_or_else(|| "unknown".to_owned()),
            reason: f.text("reason"),
            ready: f.flag("ready").unwrap_or(false),
            health: f.text("health"),
            pid: f.nonzero("pid"),
            unit: f.text("unit"),
            run: f.text("run"),
            since: f.wall("since"),
            restarts: f.number("restarts").unwrap_or(0),
            last_exit: f.dict("last_exit").map(|e| ReplicaExit {
                cause: e.text("cause").unwrap_or_else(|| "unknown".to_owned()),
                exit_code: e.signed("exit_code"),
                signal: e.signed("signal"),
                at: e.wall("at"),
            }),
            next_start: f.wall("next_start"),
            status: f.text("status"),
            port: f.nonzero("port"),
            active_tasks: f.number("active_tasks"),
            queue_depth: f.number("queue_depth"),
            outdated: f.flag("outdated").unwrap_or(false),
            holds: f.texts("holds"),
            memory_current: f.gauge("memory_current").or_else(|| f.gauge("memory")),
        }
    }
}

/// The newest end of a replica.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of ListWorkers")]
pub struct ReplicaExit {
    pub cause: String,
    pub exit_code: Option<i64>,
    pub signal: Option<i64>,
    pub at: Option<Wall>,
}

/// One ended run.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of ListRuns")]
pub struct Run {
    pub run: String,
    pub worker: String,
    pub replica: Option<u64>,
    pub started: Option<Wall>,
    pub ended: Option<Wall>,
    pub supervised: bool,
    pub cause: String,
    pub exit_code: Option<i64>,
    pub signal: Option<i64>,
    pub reason: Option<String>,
    pub peak_memory: Option<u64>,
    pub restarts: Option<u64>,
    pub log_tail: Option<Vec<String>>,
}

impl Run {
    /// `target` fills in what the daemon need not repeat.
    pub(super) fn read(row: RunRow, target: &str) -> Self {
        let (run, started, ended, cause, supervised, more) = row;
        let f = Fields::from(more);
        let (worker, replica) = match target.split_once('/') {
            Some((worker, n)) => (worker, n.parse().ok()),
            None => (target, None),
        };
        Self {
            run,
            worker: f.text("worker").unwrap_or_else(|| worker.to_owned()),
            replica: f.nonzero("replica").or(replica),
            started: Some(Wall(started)).filter(|w| w.0 > 0),
            ended: Some(Wall(ended)).filter(|w| w.0 > 0),
            supervised,
            cause,
            exit_code: f.signed("exit_code"),
            signal: f.signed("signal"),
            reason: f.text("reason"),
            peak_memory: f.gauge("peak_memory"),
            restarts: f.number("restarts"),
            log_tail: f.0.contains_key("log_tail").then(|| f.texts("log_tail")),
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of ListEvents")]
pub struct EventEntry {
    pub time: Wall,
    pub kind: String,
    pub target: String,
    pub reason: String,
    pub text: String,
    pub more: Map<String, Value>,
}

impl EventEntry {
    pub(super) fn read((time, kind, target, reason, text, more): EventRow) -> Self {
        Self { time: Wall(time), kind, target, reason, text, more: Fields::from(more).0 }
    }
}

/// One remark on the configuration files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of CheckConfig")]
pub struct ConfigMark {
    pub severity: String,
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub key: String,
    pub text: String,
}

impl ConfigMark {
    pub(super) fn read((severity, file, line, column, key, text): MarkRow) -> Self {
        Self { severity, file, line, column, key, text }
    }

    /// An error keeps the configuration from taking effect; anything else does not.
    pub fn is_error(&self) -> bool {
        self.severity == "error"
    }
}

/// One action that would be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of GetPlan")]
pub struct PlanLine {
    pub action: String,
    pub target: String,
    pub reason: String,
}

/// One measured series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Full name.
    pub name: String,
    /// Labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Value.
    pub value: f64,
}

/// Cards, and our hold on NVML.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of ListGpus")]
pub struct Gpus {
    pub nvml: String,
    pub reason: Option<String>,
    pub cards: Vec<Gpu>,
}

/// One card.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of ListGpus")]
pub struct Gpu {
    pub index: u32,
    pub uuid: String,
    pub health: String,
    pub allocatable: bool,
    pub name: Option<String>,
    pub bus_id: Option<String>,
    pub numa_node: Option<u64>,
    pub reason: Option<String>,
    pub memory_total: Option<u64>,
    pub memory_used: Option<u64>,
    /// 0 to 1.
    pub utilization: Option<f64>,
    pub temperature: Option<f64>,
    pub power: Option<f64>,
    pub mig: bool,
    pub slices: Vec<String>,
    pub processes: u64,
    pub workers: Vec<String>,
}

impl Gpus {
    pub(super) fn read((nvml, reason, rows): (String, String, Vec<GpuRow>)) -> Self {
        let reason = Some(reason).filter(|r| !r.is_empty());
        Self { nvml, reason, cards: rows.into_iter().map(Gpu::read).collect() }
    }
}

impl Gpu {
    fn read((index, uuid, health, allocatable, more): GpuRow) -> Self {
        let f = Fields::from(more);
        Self {
            index,
            uuid,
            health,
            allocatable,
            name: f.text("name"),
            bus_id: f.text("bus_id"),
            numa_node: f.number("numa_node"),
            reason: f.text("reason"),
            memory_total: f.number("memory_total"),
            memory_used: f.number("memory_used"),
            utilization: f.float("utilization"),
            temperature: f.float("temperature"),
            power: f.float("power"),
            mig: f.flag("mig") == Some(true),
            slices: f.texts("slices"),
            processes: f.number("processes").unwrap_or(0),
            workers: f.texts("workers"),
        }
    }
}

/// One entry of the audit trail.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of Audit.Query")]
pub struct AuditEntry {
    pub time: Wall,
    pub uid: u32,
    pub caller: String,
    pub action: String,
    pub target: String,
    pub result: String,
    pub more: Map<String, Value>,
}

impl AuditEntry {
    pub(super) fn read((time, uid, caller, action, target, result, more): AuditRow) -> Self {
        Self { time: Wall(time), uid, caller, action, target, result, more: Fields::from(more).0 }
    }
}

/// A task run as it stands.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the TaskRun properties")]
pub struct TaskRun {
    /// Object path.
    pub path: String,
    pub id: String,
    pub state: String,
    pub result: Option<String>,
    pub error_name: Option<String>,
    pub message: Option<String>,
    pub phase: Option<String>,
    /// 0 to 1, when it is known.
    pub progress: Option<f64>,
}

impl TaskRun {
    pub(super) fn read(path: &str, f: &Fields) -> Self {
        Self {
            path: path.to_owned(),
            id: f.text("Id").unwrap_or_else(|| id_of(path).to_owned()),
            state: f.text("State").unwrap_or_else(|| "unknown".to_owned()),
            result: f.text("Result"),
            error_name: f.text("ErrorName"),
            message: f.text("Message"),
            phase: f.text("Phase"),
            progress: f.float("Progress").filter(|_| f.flag("ProgressValid") == Some(true)),
        }
    }

    /// It will not change any more.
    pub fn is_done(&self) -> bool {
        self.state == "done"
    }

    /// It ended well.
    pub fn is_success(&self) -> bool {
        self.is_done() && self.result.as_deref() == Some("success")
    }
}

/// The last part of a task run's path.
pub fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
