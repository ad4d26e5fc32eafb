//! Commands: each changes what is desired (or one thing of a run), and `plan` does the rest.
//!
//! | file | commands |
//! |---|---|
//! | [`lifecycle`] | start, stop, drain, restart, reset, kill |
//! | [`freeze`] | pause, isolate, resume |
//! | [`amount`] | scale, set |
//! | [`whole`] | the node's drain, holds, dry runs, cancelling |
//! | [`fleet`] | what the fleet is asked for |

mod amount;
mod fleet;
mod freeze;
mod lifecycle;
mod whole;

use super::Core;
use crate::effect::{Accepted, Effect, Refusal, RefusalKind};
use crate::event::{Command, CommandRequest};
use crate::ids::{OperationId, ReplicaId, Target, TeamName, WorkerName};

type Answer = Result<Accepted, Refusal>;

fn refuse(kind: RefusalKind, text: impl Into<String>) -> Refusal {
    Refusal { kind, text: text.into() }
}

impl Core {
    pub(super) fn command(&mut self, request: CommandRequest) {
        let id = request.id;
        if let Command::GpuRelease | Command::GpuAcquire = request.command {
            return self.ask_for_gpus(&request);
        }
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
            Command::Reset(target) => self.reset(request, target, &because("reset")),
            Command::Kill(id, signal) => self.send_signal(request, id, *signal),
            Command::Scale(worker, n) => self.scale(request, worker, *n),
            Command::Set(worker, values) => self.set(worker, values, request),
            Command::StartTeam(team) => {
                let ids = self.resolve_team(team)?;
                self.not_draining()?;
                self.placeable(&ids)?;
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
                self.not_draining()?;
                self.restart_all(request, format!("restart team {team}"), ids, &because("restarted"), false)
            }
            Command::StopAll => {
                let ids = self.wanted_ids();
                self.stop_all(request, "stop all".into(), ids, &because("stopped"), false)
            }
            Command::NodeDrain => self.node_drain(request, &because("drained")),
            Command::NodeUndrain => self.node_undrain(request),
            Command::Cordon => self.cordon(request, Some(because("cordoned"))),
            Command::Uncordon => self.cordon(request, None),
            Command::Hold { id, who, why } => self.hold(*id, Some((who.clone(), why.clone()))),
            Command::ReleaseHold(id) => self.hold(*id, None),
            Command::Fleet(asked) => self.ask_fleet(request, asked),
            Command::Cancel(id) => self.cancel(request, *id),
            // Answered when it is done.
            Command::GpuRelease | Command::GpuAcquire => Ok(Accepted::Done),
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
}

fn list(ids: &[ReplicaId]) -> String {
    match ids {
        [] => "nothing".into(),
        [one] => one.to_string(),
        [first, rest @ ..] if rest.iter().all(|r| r.worker == first.worker) => first.worker.to_string(),
        _ => format!("{} replicas", ids.len()),
    }
}
