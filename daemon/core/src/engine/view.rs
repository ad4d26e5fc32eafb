//! The picture of the node for everyone else.

use super::{Core, Phase};
use crate::fleet::FleetStatus;
use crate::ids::{ReplicaId, WorkerName};
use crate::plan::On;
use crate::replica::{Live, Replica, State};
use crate::status::{LastExit, NodeStatus, ReplicaStatus, Snapshot, Vitals, WorkerStatus};
use crate::time::{Mono, Now};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The word for a replica's state.
pub(super) fn word(replica: &Replica) -> &'static str {
    let live = replica.live.as_ref();
    match replica.state {
        State::Down if replica.is_done() => "done",
        State::Down if replica.is_parked() => "parked",
        State::Down if replica.crash_loop => "crash-loop",
        State::Down if replica.waits.as_ref().is_some_and(|w| w.on == On::MoreGpus) => "unplaceable",
        State::Down if replica.waits_for_start() => "waiting",
        State::Down => "stopped",
        State::Launching | State::Aborting => "launching",
        State::Starting => "starting",
        State::Up if live.is_some_and(|l| l.ready) => "ready",
        State::Up => "unready",
        State::Paused if live.is_some_and(|l| l.isolated) => "isolated",
        State::Paused => "paused",
        State::Draining => "draining",
        State::Saving => "saving",
        State::Stopping => "stopping",
        State::Killing => "killing",
    }
}

impl Core {
    /// A picture of everything, cheap where nothing has changed since the last one.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        for name in std::mem::take(&mut self.stale_views) {
            match self.worker_view(&name) {
                Some(view) => drop(self.views.insert(name, Arc::new(view))),
                None => drop(self.views.remove(&name)),
            }
        }
        let node = self.node_view();
        let gpus = self.gpus_view();
        let operations = self.operation_views();
        let fleet = Arc::clone(&self.fleet);
        Arc::new(Snapshot { at: self.now.wall, node, workers: self.views.clone(), operations, gpus, fleet })
    }

    /// Takes over the picture of the fleet, which has a machine of its own.
    pub fn show_fleet(&mut self, fleet: Arc<FleetStatus>, now: Now) {
        self.now = now;
        self.fleet = fleet;
    }

    fn worker_view(&mut self, name: &WorkerName) -> Option<WorkerStatus> {
        let stale: Vec<_> = self.of(name).filter(|r| r.view.is_none()).map(|r| r.id.clone()).collect();
        stale.iter().for_each(|id| self.draw(id));
        let desired = self.desired.workers.get(name);
        let replicas: Vec<Arc<ReplicaStatus>> = self.of(name).filter_map(|r| r.view.clone()).collect();
        let def = desired.map(|w| &w.def).or_else(|| self.of(name).find_map(|r| r.def.as_ref())).cloned()?;
        let wanted = desired.map_or(0, |w| w.indices.len());
        let ready = replicas.iter().filter(|r| r.ready).count();
        let (state, reason) = match desired.and_then(|w| w.unplaceable.clone()) {
            Some(why) => ("unplaceable", why),
            None => worker_state(&replicas, wanted, ready),
        };
        let since = match self.views.get(name) {
            Some(old) if old.state == state => old.since,
            _ => replicas.iter().map(|r| r.since).max().unwrap_or(self.now.wall),
        };
        let health = match () {
            () if replicas.iter().any(|r| r.health == "unhealthy") => "unhealthy",
            () if !replicas.is_empty() && replicas.iter().all(|r| r.health == "healthy") => "healthy",
            () => "unknown",
        };
        Some(WorkerStatus {
            name: name.clone(),
            team: def.team.clone(),
            role: def.role.clone(),
            wanted: u32::try_from(wanted).unwrap_or(u32::MAX),
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            state,
            reason,
            since,
            restarts: replicas.iter().map(|r| r.restarts).sum(),
            health,
            digest: desired.map_or_else(String::new, |w| w.digest.to_string()),
            order: def.order,
            depends_on: def.depends_on.clone(),
            replicas,
        })
    }

    /// Draws a replica anew.
    fn draw(&mut self, id: &ReplicaId) {
        let has_units = self.site.has_units;
        let digest = self.desired.workers.get(&id.worker).map(|w| w.digest.clone());
        let stopped = crate::plan::off(&self.view(), id).is_some();
        let wall_of = |at: Mono| self.now.wall.plus(at.since(self.now.mono));
        let next = self.timers.get(id, crate::timers::Timer::Start).map(wall_of);
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let live = replica.live.as_ref();
        let status = ReplicaStatus {
            id: id.clone(),
            state: word(replica),
            reason: replica.says().to_owned(),
            since: replica.since.wall,
            ready: replica.is_ready(),
            health: health(replica),
            pid: live.and_then(|l| l.pid),
            run: live.and_then(|l| l.run),
            started: live.filter(|l| l.run.is_some()).map(|l| l.started.wall),
            unit: has_units.then(|| id.unit()),
            cgroup: live.and_then(|l| l.cgroup.clone()),
            port: replica.port,
            gpus: replica.gpus.clone(),
            restarts: replica.restart.restarts,
            next_start: next.filter(|_| replica.state == State::Down),
            last_exit: replica.last_exit.as_ref().map(|e| LastExit {
                cause: e.cause.clone(),
                at: e.ended,
                exit_code: e.exit_code,
                signal: e.signal,
            }),
            holds: match &replica.waits {
                Some(wait) if replica.state == State::Down && !stopped => vec![wait.reason.clone()],
                _ => Vec::new(),
            },
            status_text: live.and_then(|l| l.status_text.clone()),
            active_tasks: live.and_then(Live::tasks),
            queue_depth: live.and_then(|l| l.counted("queue_depth")),
            outdated: live.is_some_and(|l| digest.as_deref().is_some_and(|d| d != l.digest)),
            vitals: Vitals {
                tallies: replica.restart.tallies.clone(),
                breaker: breaker(replica),
                heartbeat: live.and_then(|l| l.heartbeat),
                probes: replica.probes.clone(),
            },
        };
        replica.view = Some(Arc::new(status));
    }

    fn node_view(&self) -> NodeStatus {
        let ready: u32 = self.tally.values().map(|t| t.ready).sum();
        let wanted: usize = self.desired.workers.values().map(|w| w.indices.len()).sum();
        let (state, reason) = match (&self.phase, &self.node.drained) {
            (Phase::Attaching, _) => ("starting", "looking for what runs already".to_owned()),
            (Phase::Ending { .. }, _) => ("stopping", "asked to end".to_owned()),
            (Phase::Running, Some(why)) if self.live > 0 => ("draining", why.clone()),
            (Phase::Running, Some(why)) => ("drained", why.clone()),
            (Phase::Running, None) => match self.components.iter().next() {
                Some((name, why)) => ("degraded", format!("{name}: {why}")),
                None => ("running", String::new()),
            },
        };
        let mut components: BTreeMap<String, String> =
            ["store", "bus", "journal", "launcher"].into_iter().map(|c| (c.to_owned(), String::new())).collect();
        if self.config.metrics.listen.is_some() {
            components.insert("metrics".to_owned(), String::new());
        }
        components.extend(self.components.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        NodeStatus {
            name: self.config.node.name.clone(),
            labels: self.config.node.labels.clone(),
            state,
            since: self.phase_since.wall,
            reason,
            components,
            cordoned: self.node.cordoned.clone(),
            drain_reason: self.node.drained.clone(),
            holds: self.holds.values().cloned().collect(),
            config_generation: self.generation,
            config_since: self.config_since,
            config_errors: self.config_errors,
            launcher: self.site.launcher.clone(),
            status_line: match self.fleet.alone {
                true => format!("{state}; workers {ready}/{wanted} ready"),
                false => format!("{state}; workers {ready}/{wanted} ready; {}", self.fleet.line(self.now.mono)),
            },
        }
    }
}

/// The worst of its breakers in one word.
fn breaker(replica: &Replica) -> &'static str {
    let all = || replica.restart.breakers.values();
    match replica.def.as_ref().is_some_and(|d| d.restart.breaker.is_none()) {
        true => "",
        false if all().any(|b| b.open_until.is_some()) => "open",
        false if all().any(|b| b.half_open) => "half-open",
        false => "closed",
    }
}

fn health(replica: &Replica) -> &'static str {
    let Some(live) = replica.live.as_ref() else {
        return "unknown";
    };
    match (live.liveness.passing, live.readiness.passing) {
        (Some(false), _) | (_, Some(false)) => "unhealthy",
        _ if replica.remedies_spent => "unhealthy",
        (Some(true), _) | (None, Some(true)) => "healthy",
        (None, None) => "unknown",
    }
}

/// One word for all its replicas: the worst thing an operator would want to know first.
fn worker_state(replicas: &[Arc<ReplicaStatus>], wanted: usize, ready: usize) -> (&'static str, String) {
    const WORST_FIRST: [&str; 13] = [
        "crash-loop",
        "parked",
        "unplaceable",
        "killing",
        "isolated",
        "paused",
        "draining",
        "saving",
        "stopping",
        "unready",
        "launching",
        "starting",
        "waiting",
    ];
    if ready == wanted && ready > 0 && replicas.iter().all(|r| r.ready) {
        return ("running", String::new());
    }
    let badness = |r: &&Arc<ReplicaStatus>| WORST_FIRST.iter().position(|state| r.state == *state);
    let worst = replicas.iter().filter_map(|r| Some((badness(&r)?, r))).min_by_key(|(badness, _)| *badness);
    if let Some((_, first)) = worst {
        let state = first.state;
        let word = match state {
            "killing" | "stopping" => "stopping",
            "saving" | "draining" => "draining",
            "unready" => "degraded",
            "launching" | "starting" => "starting",
            other => other,
        };
        let several = replicas.len() > 1;
        return (word, if several { format!("{}: {}", first.id, first.reason) } else { first.reason.clone() });
    }
    match replicas.first() {
        Some(r) if replicas.iter().all(|r| r.state == "done") => ("done", r.reason.clone()),
        Some(r) if replicas.iter().all(|r| !r.ready) => ("stopped", r.reason.clone()),
        Some(_) => ("degraded", format!("{ready} of {wanted} ready")),
        None => ("stopped", "scaled to 0".into()),
    }
}
