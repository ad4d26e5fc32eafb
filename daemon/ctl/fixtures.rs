//! A node as tests show it.

pub mod fleet;

use super::render::Style;
use super::render::units::utc_parts;
use crate::bus::proxy::{
    AuditEntry, ConfigMark, EventEntry, Gpu, Gpus, NodeState, PlanLine, Replica, ReplicaExit, Run, Worker,
};
use reeve_core::Wall;
use std::time::Duration;

/// Two cards, one of them sick.
pub fn gpus() -> Gpus {
    let card = |index: u32, health: &str| Gpu {
        index,
        uuid: format!("GPU-5ee0f1c{index}-8a44-4f0e-9b1d-000000000000"),
        health: health.to_owned(),
        allocatable: health == "healthy",
        name: Some("NVIDIA H200".to_owned()),
        bus_id: Some("00000000:1B:00.0".to_owned()),
        memory_total: Some(150_754_820_096),
        memory_used: Some(94 << 30),
        utilization: Some(0.87),
        temperature: Some(61.0),
        power: Some(512.4),
        processes: 2,
        workers: vec!["trainer/1".to_owned()],
        ..Gpu::default()
    };
    let mut sick = card(1, "sick");
    sick.reason = Some("XID 79".to_owned());
    (sick.workers, sick.utilization, sick.power) = (Vec::new(), None, None);
    Gpus { nvml: "held".to_owned(), reason: None, cards: vec![card(0, "healthy"), sick] }
}

/// Sat 2026-11-21 01:12:03 UTC.
const NOW: u64 = 1_795_223_523_000_456;

/// 80 columns, UTF-8, no colour, at a fixed instant in UTC.
pub fn style() -> Style {
    Style { color: false, utf8: true, width: Some(80), now: Wall(NOW), zone: |at| Some(utc_parts(at)) }
}

/// So many seconds ago.
pub fn ago(seconds: u64) -> Wall {
    Wall(NOW - seconds * 1_000_000)
}

fn text(t: &str) -> Option<String> {
    Some(t.to_owned())
}

/// A node with one thing of each kind.
pub fn node() -> NodeState {
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    NodeState {
        node: "gpu-07".to_owned(),
        state: "degraded".to_owned(),
        reason: text("store: no space left on device"),
        since: Some(ago(303)),
        uptime: Some(Duration::from_secs(273_600)),
        version: text("0.1.0"),
        launcher: text("systemd"),
        config_generation: 4,
        config_errors: 2,
        components: [pair("bus", ""), pair("journal", ""), pair("store", "no space left on device")].into(),
        labels: [pair("role", "gpu"), pair("zone", "a")].into(),
        cordoned: None,
        drain_reason: None,
        holds: vec!["backup: nightly copy".to_owned()],
        workers_total: 3,
        workers_ready: 1,
        workers_failed: 1,
        status_line: text("degraded, workers 1/3"),
    }
}

/// The smallest node there is: an empty configuration.
pub fn empty_node() -> NodeState {
    NodeState {
        node: "fresh".to_owned(),
        state: "running".to_owned(),
        since: Some(ago(2)),
        config_generation: 1,
        ..NodeState::default()
    }
}

/// Three workers: well, starting, in a crash loop.
pub fn workers() -> Vec<Worker> {
    vec![
        Worker {
            name: "coordinator".to_owned(),
            team: "agent-system".to_owned(),
            role: text("coordinator"),
            wanted: 1,
            ready: 1,
            state: "running".to_owned(),
            health: text("healthy"),
            since: Some(ago(200_000)),
            order: Some(10),
            memory_current: Some(96 << 20),
            replicas: vec![Replica {
                index: 1,
                state: "ready".to_owned(),
                ready: true,
                pid: Some(812),
                memory_current: Some(96 << 20),
                since: Some(ago(200_000)),
                ..Replica::default()
            }],
            ..Worker::default()
        },
        executor(),
        Worker {
            name: "web-frontend-with-a-name-that-is-as-long-as-permitted".to_owned(),
            team: "default".to_owned(),
            wanted: 2,
            ready: 1,
            state: "starting".to_owned(),
            reason: text("waits for task-executor"),
            since: Some(ago(4)),
            restarts: 1,
            ..Worker::default()
        },
    ]
}

/// A worker with a replica that runs and one that does not.
pub fn executor() -> Worker {
    Worker {
        name: "task-executor".to_owned(),
        team: "agent-system".to_owned(),
        role: text("executor"),
        wanted: 2,
        ready: 1,
        state: "crash-loop".to_owned(),
        reason: text("replica 2 ended five times within 30s with exit code 3; next trial in 18s"),
        health: text("unhealthy"),
        since: Some(ago(65)),
        restarts: 12,
        order: Some(50),
        depends_on: vec!["coordinator".to_owned()],
        holds: Vec::new(),
        memory_current: Some(1_288_490_188),
        replicas: vec![
            Replica {
                index: 1,
                state: "ready".to_owned(),
                ready: true,
                health: text("healthy"),
                pid: Some(4711),
                unit: text("reeve-task-executor-1.service"),
                run: text("0123456789abcdef0123456789abcdef"),
                since: Some(ago(7_500)),
                restarts: 1,
                status: text("working on 17 of 40"),
                port: Some(40_123),
                active_tasks: Some(2),
                memory_current: Some(1_288_490_188),
                ..Replica::default()
            },
            Replica {
                index: 2,
                state: "crash-loop".to_owned(),
                reason: text("exit code 3 five times within 30s"),
                health: text("unknown"),
                since: Some(ago(65)),
                restarts: 11,
                last_exit: Some(ReplicaExit {
                    cause: "exit-code".to_owned(),
                    exit_code: Some(3),
                    signal: None,
                    at: Some(ago(65)),
                }),
                next_start: Some(Wall(NOW + 18_000_000)),
                outdated: true,
                ..Replica::default()
            },
        ],
    }
}

/// Three ends.
pub fn runs() -> Vec<Run> {
    vec![
        Run {
            run: "aa".repeat(16),
            worker: "task-executor".to_owned(),
            replica: Some(2),
            started: Some(ago(67)),
            ended: Some(ago(65)),
            supervised: true,
            cause: "exit-code".to_owned(),
            exit_code: Some(3),
            reason: text("it exited with code 3, 2s after its start"),
            peak_memory: Some(12 << 20),
            restarts: Some(11),
            log_tail: Some(vec!["config missing".to_owned(), "giving up".to_owned()]),
            ..Run::default()
        },
        Run {
            run: "bb".repeat(16),
            worker: "task-executor".to_owned(),
            replica: Some(1),
            started: Some(ago(90_000)),
            ended: Some(ago(7_501)),
            supervised: false,
            cause: "signal".to_owned(),
            signal: Some(9),
            restarts: Some(0),
            ..Run::default()
        },
        Run {
            run: "cc".repeat(16),
            worker: "task-executor".to_owned(),
            replica: Some(1),
            ended: Some(ago(90_001)),
            supervised: true,
            cause: "operator".to_owned(),
            reason: text("stopped on request"),
            log_tail: Some(Vec::new()),
            ..Run::default()
        },
    ]
}

/// Lines of a log.
pub const LOG: &str = "\
Nov 21 01:10:58 task-executor-2[900]: config missing
Nov 21 01:10:58 task-executor-2[900]: giving up, and saying so in a line that is longer than the terminal
";

/// Events as a daemon may send them: with and without the target and reason in the text.
pub fn events() -> Vec<EventEntry> {
    let event = |at, kind: &str, target: &str, reason: &str, text: &str| EventEntry {
        time: at,
        kind: kind.to_owned(),
        target: target.to_owned(),
        reason: reason.to_owned(),
        text: text.to_owned(),
        ..EventEntry::default()
    };
    vec![
        event(ago(70), "worker-started", "web/1", "wanted", "a worker was started"),
        event(
            ago(65),
            "crash-loop",
            "task-executor/2",
            "exit code 3 five times within 30s",
            "task-executor/2: a worker is in a crash loop: exit code 3 five times within 30s",
        ),
        event(ago(5), "config-refused", "node", "2 mistakes", "the configuration on disk was refused"),
    ]
}

/// A plan of two actions.
pub fn plan() -> Vec<PlanLine> {
    let line = |action: &str, target: &str, reason: &str| PlanLine {
        action: action.to_owned(),
        target: target.to_owned(),
        reason: reason.to_owned(),
    };
    vec![
        line("replace", "web/1", "its definition has changed: exec, environment and resources.memory"),
        line("wait", "task-executor/2", "its breaker is open for 18s more"),
    ]
}

/// One error and one warning.
pub fn marks() -> Vec<ConfigMark> {
    vec![
        ConfigMark {
            severity: "error".to_owned(),
            file: "/etc/reeve/workers.d/web.toml".to_owned(),
            line: 4,
            column: 12,
            key: "worker.replicas".to_owned(),
            text: "expected a number, found a text".to_owned(),
        },
        ConfigMark {
            severity: "warning".to_owned(),
            file: "/etc/reeve/reeve.toml.d/50-old.toml".to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            text: "the file is empty".to_owned(),
        },
    ]
}

/// Two entries, one refused.
pub fn audit() -> Vec<AuditEntry> {
    let entry = |at, uid, caller: &str, result: &str| AuditEntry {
        time: at,
        uid,
        caller: caller.to_owned(),
        action: "manage-workers".to_owned(),
        target: "task-executor".to_owned(),
        result: result.to_owned(),
        ..AuditEntry::default()
    };
    vec![
        entry(ago(600), 1000, "reevectl (session 3)", "success"),
        entry(ago(30), 65534, "busctl", "refused: not an operator"),
    ]
}
