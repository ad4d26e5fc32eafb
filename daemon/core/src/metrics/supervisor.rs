//! Samples of what only the supervisor knows, made from the picture of the node (SUP-13, HLT-01, OBS-01).
//!
//! Whoever writes a page calls this; the loop does not.

use super::families::daemon as own;
use super::families::supervisor as of;
use super::foreign::as_number;
use super::labels::Labels;
use super::samples::Samples;
use crate::event::ProbeKind;
use crate::exit::signal_name;
use crate::ids::TeamName;
use crate::status::{NodeStatus, ReplicaStatus, Snapshot, WorkerStatus};
use crate::time::{Now, Wall};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything the picture tells. Ages and spans are of `now`.
pub fn samples(picture: &Snapshot, now: Now) -> Samples {
    let mut out = Samples::new();
    node(&mut out, &picture.node);
    let mut teams: BTreeMap<&TeamName, Team> = BTreeMap::new();
    for worker in picture.workers.values() {
        let role = worker.role.as_deref().unwrap_or_default();
        let labels = Labels::new(&[("worker", worker.name.as_str()), ("role", role)]);
        out.put_with(&of::REPLICAS_WANTED, &labels, f64::from(worker.wanted));
        out.put_with(&of::REPLICAS_READY, &labels, f64::from(worker.ready));
        for it in &worker.replicas {
            replica(&mut out, worker, it, now);
        }
        teams.entry(&worker.team).or_default().add(worker);
    }
    for (name, team) in teams {
        let labels = Labels::new(&[("team", name.as_str())]);
        out.put_with(&of::TEAM_WANTED, &labels, f64::from(team.wanted));
        out.put_with(&of::TEAM_READY, &labels, f64::from(team.ready));
        out.put_with(&of::TEAM_RESTARTS, &labels, as_number(team.restarts));
        out.put_with(&of::TEAM_OOM_KILLS, &labels, as_number(team.oom_kills));
    }
    out
}

fn node(out: &mut Samples, node: &NodeStatus) {
    out.put_with(&own::NODE_STATE, &Labels::new(&[("state", node.state)]), 1.0);
    for (name, problem) in &node.components {
        let labels = Labels::new(&[("component", name)]);
        out.put_with(&own::COMPONENT_HEALTHY, &labels, flag(problem.is_empty()));
    }
    out.put(&own::CONFIG_RELOAD_SUCCESS, flag(node.config_errors == 0));
    out.put(&own::CONFIG_RELOAD_TIME, seconds(node.config_since));
    out.put(&own::CONFIG_GENERATION, as_number(node.config_generation));
}

#[derive(Default)]
struct Team {
    wanted: u32,
    ready: u32,
    restarts: u64,
    oom_kills: u64,
}

impl Team {
    fn add(&mut self, worker: &WorkerStatus) {
        self.wanted += worker.wanted;
        self.ready += worker.ready;
        for replica in &worker.replicas {
            let tallies = &replica.vitals.tallies;
            self.restarts += tallies.restarts.values().sum::<u64>();
            self.oom_kills += tallies.oom_kills;
        }
    }
}

fn replica(out: &mut Samples, worker: &WorkerStatus, it: &ReplicaStatus, now: Now) {
    let who = identity(worker, it);
    let vitals = &it.vitals;
    out.put_with(&of::STATE, &who.and(&[("state", it.state)]), 1.0);
    out.put_with(&of::UP, &who, flag(it.run.is_some()));
    out.put_with(&of::READY, &who, flag(it.ready));
    let healthy = match it.health {
        "healthy" => Some(1.0),
        "unhealthy" => Some(0.0),
        _ => None,
    };
    out.put_some(&of::HEALTHY, &who, healthy);
    out.put_some(&of::START, &who, it.started.map(seconds));
    for (reason, count) in &vitals.tallies.restarts {
        out.put_with(&of::RESTARTS, &who.and(&[("reason", reason)]), as_number(*count));
    }
    exits(out, &who, it);
    out.put_with(&of::OOM_KILLS, &who, as_number(vitals.tallies.oom_kills));
    let left = it.next_start.map(|at| seconds(Wall(at.0.saturating_sub(now.wall.0))));
    out.put_some(&of::BACKOFF, &who, left);
    if !vitals.breaker.is_empty() {
        out.put_with(&of::BREAKER, &who.and(&[("state", vitals.breaker)]), 1.0);
    }
    out.put_with(&of::DRAINING, &who, flag(matches!(it.state, "draining" | "saving")));
    let age = vitals.heartbeat.map(|at| now.mono.since(at).as_secs_f64());
    out.put_some(&of::HEARTBEAT, &who, age);
    for (kind, probe) in &vitals.probes {
        let labels = who.and(&[("probe", word(*kind))]);
        out.put_histogram(&of::PROBE_DURATION, &labels, Arc::clone(&probe.took));
        out.put_with(&of::PROBE_FAILURES, &labels, as_number(probe.failures));
    }
    out.put_some(&of::ACTIVE_TASKS, &who, it.active_tasks.map(as_number));
    let unit = it.unit.as_deref().unwrap_or_default();
    out.put_with(&of::SPEC_INFO, &who.and(&[("version", &worker.digest), ("unit", unit)]), 1.0);
}

fn exits(out: &mut Samples, who: &Labels, it: &ReplicaStatus) {
    let tallies = &it.vitals.tallies;
    let mut put = |code: &str, signal: &str, count: u64| {
        out.put_with(&of::EXITS, &who.and(&[("code", code), ("signal", signal)]), as_number(count));
    };
    for (code, count) in &tallies.codes {
        put(&code.to_string(), "", *count);
    }
    for (signal, count) in &tallies.signals {
        put("", &signal_name(*signal), *count);
    }
    if tallies.unseen > 0 {
        put("", "", tallies.unseen);
    }
}

/// The labels by which every series of a replica is known.
pub fn identity(worker: &WorkerStatus, replica: &ReplicaStatus) -> Labels {
    let index = replica.id.index.to_string();
    let role = worker.role.as_deref().unwrap_or_default();
    Labels::new(&[("worker", worker.name.as_str()), ("replica", &index), ("role", role)])
}

fn word(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Liveness => "liveness",
        ProbeKind::Readiness => "readiness",
    }
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

fn seconds(at: Wall) -> f64 {
    as_number(at.0) / 1e6
}
