//! The node's drain, cordon and holds; dry runs; cancelling.

use super::{Answer, refuse};
use crate::effect::{Accepted, Effect, RefusalKind};
use crate::engine::Core;
use crate::engine::operation::{Goal, Operation};
use crate::event::{Command, CommandRequest};
use crate::ids::{OperationId, ReplicaId};
use crate::notice::{Kind, Notice};
use crate::persist::NodeRecord;
use crate::replica::RestartWish;

impl Core {
    pub(super) fn node_drain(&mut self, request: &CommandRequest, why: &str) -> Answer {
        if let Some(since) = &self.node.drained {
            return Err(refuse(RefusalKind::InvalidState, format!("the node is drained already ({since})")));
        }
        let ids = self.wanted_ids();
        if request.dry_run {
            let why = why.to_owned();
            return self.dry_run(request, "drain node".into(), ids, move |node, _| node.drained = Some(why));
        }
        self.node.drained = Some(why.to_owned());
        self.replicas.values_mut().for_each(|r| r.resumes = false);
        self.emit(Effect::Notice(Notice::node(Kind::NodeDraining, why)));
        let operation = self.begin_operation(request, "drain node".into(), Goal::Down, &ids);
        self.decided(Accepted::Operation(operation))
    }

    pub(super) fn node_undrain(&mut self, request: &CommandRequest) -> Answer {
        if self.node.drained.is_none() {
            return Err(refuse(RefusalKind::InvalidState, "the node is not drained"));
        }
        let wanted = self.wanted_ids();
        let startable = |id: &ReplicaId| {
            let parked = self.replicas.get(id).is_some_and(|r| r.is_parked());
            let unplaceable = self.desired.workers.get(&id.worker).is_none_or(|w| w.unplaceable.is_some());
            !parked && !unplaceable && !self.node.stopped.contains_key(id) && !self.node.paused.contains_key(id)
        };
        let ids: Vec<_> = wanted.into_iter().filter(startable).collect();
        if request.dry_run {
            return self.dry_run(request, "undrain node".into(), ids, |node, _| node.drained = None);
        }
        self.node.drained = None;
        let text = format!("undrained by {}", request.by);
        ids.iter().for_each(|id| self.start_because(id, &text));
        self.emit(Effect::Notice(Notice::node(Kind::NodeUndrained, text)));
        let operation = self.begin_operation(request, "undrain node".into(), Goal::Up, &ids);
        self.decided(Accepted::Operation(operation))
    }

    /// `Some(why)`: start nothing new. What runs goes on, and is restarted when it fails.
    pub(super) fn cordon(&mut self, request: &CommandRequest, why: Option<String>) -> Answer {
        if request.dry_run {
            return Ok(Accepted::Done);
        }
        self.node.cordoned = why;
        self.decided(Accepted::Done)
    }

    /// Somebody holds restarts and changes, or lets go (`None`). Not persisted: a hold ends with its
    /// holder's descriptor, which the shell follows over a restart.
    pub(super) fn hold(&mut self, id: u64, by: Option<(String, String)>) -> Answer {
        match by {
            Some(by) => drop(self.holds.insert(id, by)),
            None => drop(self.holds.remove(&id)),
        }
        self.refresh_desired();
        Ok(Accepted::Done)
    }

    /// What would follow, in a copy of the core that is thrown away.
    pub(super) fn dry_run(
        &mut self,
        request: &CommandRequest,
        what: String,
        ids: Vec<ReplicaId>,
        change: impl FnOnce(&mut NodeRecord, &[ReplicaId]),
    ) -> Answer {
        let mut trial = self.clone();
        change(&mut trial.node, &ids);
        if matches!(request.command, Command::Restart { .. } | Command::RestartTeam(_)) {
            for id in &ids {
                if let Some(r) = trial.replicas.get_mut(id).filter(|r| r.state.is_running()) {
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

    pub(super) fn cancel(&mut self, request: &CommandRequest, id: OperationId) -> Answer {
        let Some(operation) = self.operations.get(&id).cloned() else {
            return Err(refuse(RefusalKind::NoSuchTaskRun, format!("there is no task run {}", id.0)));
        };
        if operation.ended.is_some() {
            return Err(refuse(RefusalKind::InvalidState, format!("{} has ended already", operation.what)));
        }
        if request.dry_run {
            return Ok(Accepted::Done);
        }
        self.undo(&operation);
        let text = match operation.message.is_empty() {
            true => "cancelled; what had been done stays done".to_owned(),
            false => format!("cancelled; the last that was known: {}", operation.message),
        };
        self.end_operation(id, "cancelled", &text);
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
                self.node.draining.remove(id);
            }
        }
        if operation.goal == Goal::Fleet {
            self.emit(Effect::FleetCancel(operation.id));
        }
        if operation.what == "drain node" {
            self.node.drained = None;
        }
    }
}
