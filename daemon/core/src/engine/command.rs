//! Commands: each changes what is desired (or one thing of a run), and `plan` does the rest.

use super::Core;
use crate::effect::{Accepted, Effect, Refusal, RefusalKind};
use crate::event::{Command, CommandRequest};
use crate::ids::{OperationId, ReplicaId, Target, TeamName, WorkerName};
use crate::limits::{self, LimitError};
use crate::notice::{Kind, Notice};
use crate::persist::RunEntry;
use crate::replica::RestartWish;
use std::collections::{BTreeMap, BTreeSet};

use super::operation::{Goal, Operation};

type Answer = Result<Accepted, Refusal>;

fn refuse(kind: RefusalKind, text: impl Into<String>) -> Refusal {
    Refusal { kind, text: text.into() }
}

impl Core {
    pub(super) fn command(&mut self, request: CommandRequest) {
        let id = request.id;
        let result = match self.same_request(&request) {
            Some(operation) => Ok(Accepted::Operation(operation)),
            None => self.decide_command(&request),
        };
        self.emit(Effect::Reply { id, result });
    }

    /// The same request id of the same caller means the same operation.
    fn same_request(&self, request: &CommandRequest) -> Option<OperationId> {
        let key = request.request_id.as_ref()?;
        self.operations.values().find(|o| o.request_id.as_ref() == Some(key) && o.uid == request.uid).map(|o| o.id)
    }

    fn decide_command(&mut self, request: &CommandRequest) -> Answer {
        let why = request.reason.clone().unwrap_or_default();
        let because = |verb: &str| match why.is_empty() {
            true => format!("{verb} by {}", request.by),
            false => format!("{verb} by {}: {why}", request.by),
        };
        match &request.command {
            Command::Start(target) => {
                let ids = self.resolve(target)?;
                self.not_draining()?;
                self.placeable(&ids)?;
                self.start_all(request, ids, &because("started"))
            }
            Command::Stop(target) => {
                let ids = self.resolve(target)?;
                self.stop_all(request, format!("stop {target}"), ids, &because("stopped"), false)
            }
            Command::Restart { target, rolling } => {
                let ids = self.resolve(target)?;
                self.not_draining()?;
                self.restart_all(request, format!("restart {target}"), ids, &because("restarted"), *rolling)
            }
            Command::Drain(target) => {
                let ids = self.resolve(target)?;
                self.stop_all(request, format!("drain {target}"), ids, &because("drained"), true)
            }
            Command::Pause(target) => self.pause(request, target, false),
            Command::Isolate(target) => self.pause(request, target, true),
            Command::Resume(target) => self.resume(request, target),
            Command::Reset(target) => self.reset(target, &because("reset")),
            Command::Kill(id, signal) => self.send_signal(id, *signal, &request.by),
            Command::Scale(worker, n) => self.scale(request, worker, *n),
            Command::Set(worker, values) => self.set(worker, values, request),
            Command::StartTeam(team) => {
                let ids = self.resolve_team(team)?;
                self.start_all(request, ids, &because("started"))
            }
            Command::StopTeam(team) => {
                let ids = self.resolve_team(team)?;
                self.stop_all(request, format!("stop team {team}"), ids, &because("stopped"), false)
            }
            Command::DrainTeam(team) => {
                let ids = self.resolve_team(team)?;
                self.stop_all(request, format!("drain team {team}"), ids, &because("drained"), true)
            }
            Command::RestartTeam(team) => {
                let ids = self.resolve_team(team)?;
                self.restart_all(request, format!("restart team {team}"), ids, &because("restarted"), false)
            }
            Command::StopAll => {
                let ids = self.wanted_ids();
                self.stop_all(request, "stop all".into(), ids, &because("stopped"), false)
            }
            Command::NodeDrain => self.node_drain(request, &because("drained")),
            Command::NodeUndrain => self.node_undrain(request),
            Command::Cordon => {
                self.node.cordoned = Some(because("cordoned"));
                self.decided(Accepted::Done)
            }
            Command::Uncordon => {
                self.node.cordoned = None;
                self.decided(Accepted::Done)
            }
            Command::Hold { id, who, why } => {
                self.holds.insert(*id, (who.clone(), why.clone()));
                self.refresh_desired();
                Ok(Accepted::Done)
            }
            Command::ReleaseHold(id) => {
                self.holds.remove(id);
                self.refresh_desired();
                Ok(Accepted::Done)
            }
            Command::Cancel(id) => self.cancel(*id),
        }
    }

    /// Keeps what was decided and acts on it.
    fn decided(&mut self, accepted: Accepted) -> Answer {
        self.persist();
        self.choose_indices();
        self.refresh_desired();
        Ok(accepted)
    }

    fn resolve(&self, target: &Target) -> Result<Vec<ReplicaId>, Refusal> {
        let name = target.worker();
        let Some(worker) = self.desired.workers.get(name) else {
            let known: Vec<_> = self.desired.workers.keys().map(WorkerName::as_str).take(8).collect();
            let known =
                if known.is_empty() { "none is defined".to_owned() } else { format!("known: {}", known.join(", ")) };
            return Err(refuse(RefusalKind::NoSuchWorker, format!("there is no worker {name}; {known}")));
        };
        match target {
            Target::Worker(_) => Ok(worker.indices.iter().map(|i| ReplicaId::new(name.clone(), *i)).collect()),
            Target::Replica(id) if worker.indices.contains(&id.index) => Ok(vec![id.clone()]),
            Target::Replica(id) => {
                let have = worker.indices.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
                let text =
                    format!("there is no replica {id}; {name} has: {}", if have.is_empty() { "none" } else { &have });
                Err(refuse(RefusalKind::NoSuchReplica, text))
            }
        }
    }

    fn resolve_team(&self, team: &TeamName) -> Result<Vec<ReplicaId>, Refusal> {
        let members = self.members(team);
        if members.is_empty() {
            return Err(refuse(RefusalKind::NoSuchTeam, format!("there is no team {team} with workers on this node")));
        }
        Ok(members.into_iter().flat_map(|m| self.resolve(&Target::Worker(m)).unwrap_or_default()).collect())
    }

    fn wanted_ids(&self) -> Vec<ReplicaId> {
        self.desired.workers.keys().flat_map(|n| self.resolve(&Target::Worker(n.clone())).unwrap_or_default()).collect()
    }

    fn not_draining(&self) -> Result<(), Refusal> {
        match &self.node.drained {
            Some(why) => Err(refuse(RefusalKind::Draining, format!("the node is drained ({why}); undrain it first"))),
            None => Ok(()),
        }
    }

    fn placeable(&self, ids: &[ReplicaId]) -> Result<(), Refusal> {
        let why = ids.iter().find_map(|id| self.desired.workers.get(&id.worker)?.unplaceable.clone());
        why.map_or(Ok(()), |why| Err(refuse(RefusalKind::Unplaceable, why)))
    }

    fn start_all(&mut self, request: &CommandRequest, ids: Vec<ReplicaId>, why: &str) -> Answer {
        let what = format!("start {}", list(&ids));
        if request.dry_run {
            return self
                .dry_run(request, what, ids, |node, ids| ids.iter().for_each(|id| drop(node.stopped.remove(id))));
        }
        for id in &ids {
            self.node.stopped.remove(id);
            self.clear_faults(id, why);
        }
        let operation = self.begin_operation(request, what, Goal::Up, &ids);
        self.decided(Accepted::Operation(operation))
    }

    fn stop_all(
        &mut self,
        request: &CommandRequest,
        what: String,
        ids: Vec<ReplicaId>,
        why: &str,
        drain: bool,
    ) -> Answer {
        let reason = why.to_owned();
        if request.dry_run {
            return self.dry_run(request, what, ids, |node, ids| {
                node.stopped.extend(ids.iter().map(|id| (id.clone(), reason.clone())));
            });
        }
        for id in &ids {
            self.node.stopped.insert(id.clone(), reason.clone());
            self.node.paused.remove(id);
            if let Some(replica) = self.replicas.get_mut(id) {
                replica.drain_asked = drain;
            }
        }
        let operation = self.begin_operation(request, what, Goal::Down, &ids);
        self.decided(Accepted::Operation(operation))
    }

    fn restart_all(
        &mut self,
        request: &CommandRequest,
        what: String,
        ids: Vec<ReplicaId>,
        why: &str,
        rolling: bool,
    ) -> Answer {
        self.placeable(&ids)?;
        if request.dry_run {
            return self
                .dry_run(request, what, ids, |node, ids| ids.iter().for_each(|id| drop(node.stopped.remove(id))));
        }
        let mut goals = BTreeMap::new();
        for id in &ids {
            self.node.stopped.remove(id);
            self.node.paused.remove(id);
            self.clear_faults(id, why);
            if let Some(replica) = self.replicas.get_mut(id) {
                let live = replica.state.is_live();
                goals.insert(id.clone(), replica.run());
                replica.wish = live.then(|| RestartWish { reason: why.to_owned(), rolling, drain: rolling });
            }
        }
        let operation = self.begin_operation(request, what, Goal::OtherRun(goals), &ids);
        self.decided(Accepted::Operation(operation))
    }

    /// What was held against it is forgiven: somebody asks for it.
    fn clear_faults(&mut self, id: &ReplicaId, why: &str) {
        self.damping.remove(id);
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        replica.not_before = None;
        replica.refused = None;
        replica.remedies.clear();
        replica.remedies_spent = false;
        replica.crash_loop = false;
        why.clone_into(&mut replica.start_reason);
        if replica.restart.parked.is_none() && replica.restart.failures == 0 && replica.restart.breakers.is_empty() {
            return;
        }
        replica.restart.parked = None;
        replica.restart.failures = 0;
        replica.restart.breakers.clear();
        let books = replica.restart.clone();
        self.append(id, RunEntry::Restart(books));
    }

    fn reset(&mut self, target: &Target, why: &str) -> Answer {
        for id in self.resolve(target)? {
            let freed = self.damping.remove(&id);
            self.dirty.extend(freed);
            self.clear_faults(&id, why);
            self.mark(&id);
        }
        Ok(Accepted::Done)
    }

    fn pause(&mut self, request: &CommandRequest, target: &Target, isolate: bool) -> Answer {
        let ids = self.resolve(target)?;
        if let Some(id) = ids.iter().find(|id| !self.replicas.get(*id).is_some_and(|r| r.state.is_running())) {
            let state = self.replicas.get(id).map_or("absent", |r| super::view::word(r));
            return Err(refuse(
                RefusalKind::InvalidState,
                format!("{id} is {state}, only a running worker can be frozen"),
            ));
        }
        let verb = if isolate { "isolate" } else { "pause" };
        if request.dry_run {
            return self.dry_run(request, format!("{verb} {target}"), ids, |node, ids| {
                node.paused.extend(ids.iter().map(|id| (id.clone(), isolate)));
            });
        }
        for id in &ids {
            self.node.paused.insert(id.clone(), isolate);
            if let Some(replica) = self.replicas.get_mut(id) {
                replica.refused = None;
                replica.pause_reason = request.reason.clone().unwrap_or_else(|| format!("asked by {}", request.by));
            }
        }
        let operation = self.begin_operation(request, format!("{verb} {target}"), Goal::Frozen, &ids);
        self.decided(Accepted::Operation(operation))
    }

    fn resume(&mut self, request: &CommandRequest, target: &Target) -> Answer {
        let ids = self.resolve(target)?;
        if !ids.iter().any(|id| self.node.paused.contains_key(id)) {
            return Err(refuse(RefusalKind::InvalidState, format!("{target} is not paused")));
        }
        for id in &ids {
            self.node.paused.remove(id);
        }
        let operation = self.begin_operation(request, format!("resume {target}"), Goal::Thawed, &ids);
        self.decided(Accepted::Operation(operation))
    }

    fn send_signal(&mut self, id: &ReplicaId, signal: i32, by: &str) -> Answer {
        self.resolve(&Target::Replica(id.clone()))?;
        if !(1..=64).contains(&signal) {
            return Err(refuse(RefusalKind::InvalidArgument, format!("{signal} is not a signal number (1 to 64)")));
        }
        let Some(run) = self.replicas.get(id).and_then(|r| r.run()) else {
            return Err(refuse(RefusalKind::InvalidState, format!("{id} does not run")));
        };
        self.emit(Effect::Signal { replica: id.clone(), run, signal, whole: false });
        let text = format!("{} sent by {by}", crate::exit::signal_name(signal));
        self.notice(Kind::OperationFinished, id, text);
        Ok(Accepted::Done)
    }

    fn scale(&mut self, request: &CommandRequest, name: &WorkerName, wanted: u32) -> Answer {
        self.resolve(&Target::Worker(name.clone()))?;
        let Some(worker) = self.desired.workers.get(name).cloned() else {
            return Err(refuse(RefusalKind::NoSuchWorker, format!("there is no worker {name}")));
        };
        if wanted > 10_000 {
            return Err(refuse(RefusalKind::InvalidArgument, format!("{wanted} replicas: expected 0 to 10000")));
        }
        let team = &worker.def.team;
        if let Some(most) = self.config.teams.get(team).and_then(|t| t.max_workers) {
            let others: usize = self
                .members(team)
                .iter()
                .filter(|m| *m != name)
                .map(|m| self.desired.workers.get(m).map_or(0, |w| w.indices.len()))
                .sum();
            if others + wanted as usize > most as usize {
                let text = format!("team {team} may have {most} replicas in all, {others} are others'");
                return Err(refuse(RefusalKind::Conflict, text));
            }
        }
        let what = format!("scale {name} {wanted}");
        if request.dry_run {
            let name = name.clone();
            return self.dry_run(request, what, Vec::new(), move |node, _| {
                node.scaled.insert(name, wanted);
            });
        }
        let before = worker.indices.len();
        if worker.def.replicas == wanted {
            self.node.scaled.remove(name);
        } else {
            self.node.scaled.insert(name.clone(), wanted);
        }
        let old: BTreeSet<u32> = worker.indices.clone();
        self.persist();
        self.choose_indices();
        self.refresh_desired();
        let new = self.desired.workers.get(name).map(|w| w.indices.clone()).unwrap_or_default();
        let ids: Vec<_> = old.union(&new).map(|i| ReplicaId::new(name.clone(), *i)).collect();
        let text = format!("{before} → {wanted} by {}", request.by);
        self.emit(Effect::Notice(Notice::worker(Kind::Scaled, name, text)));
        let operation = self.begin_operation(request, what, Goal::Scaled(new), &ids);
        Ok(Accepted::Operation(operation))
    }

    fn set(&mut self, name: &WorkerName, values: &BTreeMap<String, String>, request: &CommandRequest) -> Answer {
        self.resolve(&Target::Worker(name.clone()))?;
        let Some(worker) = self.desired.workers.get(name).cloned() else {
            return Err(refuse(RefusalKind::NoSuchWorker, format!("there is no worker {name}")));
        };
        let mut all = self.node.limits.get(name).cloned().unwrap_or_default();
        all.extend(values.iter().map(|(k, v)| (k.clone(), v.clone())));
        all.retain(|_, v| !v.is_empty());
        // The given values first, so that an unknown key with an empty value is refused as well.
        limits::check(worker.def.resources, values).and_then(|_| limits::check(worker.def.resources, &all)).map_err(
            |e| {
                let kind = match e {
                    LimitError::NoSuchKey(_) => RefusalKind::NoSuchKey,
                    LimitError::Value { .. } => RefusalKind::InvalidArgument,
                };
                refuse(kind, e.to_string())
            },
        )?;
        if request.dry_run {
            return Ok(Accepted::Applied);
        }
        let text = values.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
        if all.is_empty() {
            self.node.limits.remove(name);
        } else {
            self.node.limits.insert(name.clone(), all);
        }
        self.emit(Effect::Notice(Notice::worker(Kind::LimitsSet, name, format!("{text} by {}", request.by))));
        self.decided(Accepted::Applied)
    }

    fn node_drain(&mut self, request: &CommandRequest, why: &str) -> Answer {
        if let Some(since) = &self.node.drained {
            return Err(refuse(RefusalKind::InvalidState, format!("the node is drained already ({since})")));
        }
        let ids = self.wanted_ids();
        if request.dry_run {
            let why = why.to_owned();
            return self.dry_run(request, "drain node".into(), ids, move |node, _| node.drained = Some(why));
        }
        self.node.drained = Some(why.to_owned());
        self.emit(Effect::Notice(Notice::node(Kind::NodeDraining, why)));
        let operation = self.begin_operation(request, "drain node".into(), Goal::Down, &ids);
        self.decided(Accepted::Operation(operation))
    }

    fn node_undrain(&mut self, request: &CommandRequest) -> Answer {
        if self.node.drained.is_none() {
            return Err(refuse(RefusalKind::InvalidState, "the node is not drained"));
        }
        self.node.drained = None;
        let text = format!("undrained by {}", request.by);
        self.emit(Effect::Notice(Notice::node(Kind::NodeUndrained, text)));
        let ids: Vec<_> = self.wanted_ids().into_iter().filter(|id| !self.node.stopped.contains_key(id)).collect();
        let operation = self.begin_operation(request, "undrain node".into(), Goal::Up, &ids);
        self.decided(Accepted::Operation(operation))
    }

    /// What would follow, in a copy of the core that is thrown away.
    fn dry_run(
        &mut self,
        request: &CommandRequest,
        what: String,
        ids: Vec<ReplicaId>,
        change: impl FnOnce(&mut crate::persist::NodeRecord, &[ReplicaId]),
    ) -> Answer {
        let mut trial = self.clone();
        change(&mut trial.node, &ids);
        if matches!(request.command, Command::Restart { .. } | Command::RestartTeam(_)) {
            for id in &ids {
                if let Some(r) = trial.replicas.get_mut(id) {
                    r.wish = Some(RestartWish { reason: "restart".into(), rolling: false, drain: false });
                }
            }
        }
        trial.choose_indices();
        trial.refresh_desired();
        let planned = trial.plan(None, self.now);
        let operation = self.begin_operation(request, format!("{what} (dry run)"), Goal::Never, &ids);
        if let Some(op) = self.operations.get_mut(&operation) {
            op.dry_run = Some(planned);
        }
        self.end_operation(operation, "success", "nothing was changed (dry run)");
        Ok(Accepted::Operation(operation))
    }

    fn cancel(&mut self, id: OperationId) -> Answer {
        let Some(operation) = self.operations.get(&id).cloned() else {
            return Err(refuse(RefusalKind::NoSuchTaskRun, format!("there is no task run {}", id.0)));
        };
        if operation.ended.is_some() {
            return Err(refuse(RefusalKind::InvalidState, format!("{} has ended already", operation.what)));
        }
        self.undo(&operation);
        self.end_operation(id, "cancelled", "cancelled; what had been done stays done");
        self.decided(Accepted::Done)
    }

    /// What has not happened yet does not happen any more.
    fn undo(&mut self, operation: &Operation) {
        for id in &operation.targets {
            let Some(replica) = self.replicas.get_mut(id) else {
                continue;
            };
            if matches!(operation.goal, Goal::OtherRun(_)) {
                replica.wish = None;
            } else if matches!(operation.goal, Goal::Down) && replica.state.is_running() {
                self.node.stopped.remove(id);
            }
        }
        if operation.what == "drain node" {
            self.node.drained = None;
        }
    }

    pub(super) fn pause_reason(&self, id: &ReplicaId) -> String {
        self.replicas
            .get(id)
            .map(|r| r.pause_reason.clone())
            .filter(|r| !r.is_empty())
            .unwrap_or_else(|| "asked for".into())
    }
}

fn list(ids: &[ReplicaId]) -> String {
    match ids {
        [] => "nothing".into(),
        [one] => one.to_string(),
        [first, rest @ ..] if rest.iter().all(|r| r.worker == first.worker) => first.worker.to_string(),
        _ => format!("{} replicas", ids.len()),
    }
}
