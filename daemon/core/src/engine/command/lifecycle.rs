//! Start, stop, drain, restart, reset, kill.

use super::{Answer, list, refuse};
use crate::effect::{Accepted, Effect, RefusalKind};
use crate::engine::Core;
use crate::engine::operation::Goal;
use crate::event::CommandRequest;
use crate::ids::{ReplicaId, Target};
use crate::notice::Kind;
use crate::persist::{NodeRecord, RunEntry};
use crate::plan::On;
use crate::replica::{RestartWish, State};
use std::collections::BTreeMap;

impl Core {
    pub(super) fn start_all(&mut self, request: &CommandRequest, ids: Vec<ReplicaId>, why: &str) -> Answer {
        let what = format!("start {}", list(&ids));
        if request.dry_run {
            return self.dry_run(request, what, ids, forgive);
        }
        for id in &ids {
            self.wanted_again(id, why);
        }
        let operation = self.begin_operation(request, what, Goal::Up, &ids);
        self.decided(Accepted::Operation(operation))
    }

    pub(super) fn stop_all(
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
            if drain {
                self.node.draining.insert(id.clone());
            } else {
                self.node.draining.remove(id);
            }
            if let Some(replica) = self.replicas.get_mut(id) {
                replica.resumes = false;
                replica.wish = None;
                if replica.state == State::Down {
                    self.leave_damping(id);
                }
            }
        }
        let operation = self.begin_operation(request, what, Goal::Down, &ids);
        self.decided(Accepted::Operation(operation))
    }

    pub(super) fn restart_all(
        &mut self,
        request: &CommandRequest,
        what: String,
        ids: Vec<ReplicaId>,
        why: &str,
        rolling: bool,
    ) -> Answer {
        self.placeable(&ids)?;
        if request.dry_run {
            return self.dry_run(request, what, ids, forgive);
        }
        let mut goals = BTreeMap::new();
        for id in &ids {
            self.wanted_again(id, why);
            if let Some(replica) = self.replicas.get_mut(id) {
                // One that has just been launched, or is on its way down, will be another run anyway.
                let runs = replica.state.is_running();
                goals.insert(id.clone(), replica.run());
                replica.wish = runs.then(|| RestartWish { reason: why.to_owned(), rolling, drain: rolling });
            }
        }
        let operation = self.begin_operation(request, what, Goal::OtherRun(goals), &ids);
        self.decided(Accepted::Operation(operation))
    }

    /// No operator keeps it down or frozen any more, and nothing is held against it.
    fn wanted_again(&mut self, id: &ReplicaId, why: &str) {
        self.node.stopped.remove(id);
        self.node.draining.remove(id);
        self.node.paused.remove(id);
        self.clear_faults(id, why);
    }

    /// What was held against it is forgiven: somebody asks for it.
    fn clear_faults(&mut self, id: &ReplicaId, why: &str) {
        self.leave_damping(id);
        if let Some(team) = self.desired.workers.get(&id.worker).map(|w| w.def.team.clone()) {
            self.wake(&On::Team(team));
        }
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
        self.look_settled(&id.worker);
    }

    pub(super) fn reset(&mut self, request: &CommandRequest, target: &Target, why: &str) -> Answer {
        let ids = self.resolve(target)?;
        if request.dry_run {
            return Ok(Accepted::Done);
        }
        for id in ids {
            self.clear_faults(&id, why);
            self.mark(&id);
        }
        Ok(Accepted::Done)
    }

    pub(super) fn send_signal(&mut self, request: &CommandRequest, id: &ReplicaId, signal: i32) -> Answer {
        self.resolve(&Target::Replica(id.clone()))?;
        if !(1..=64).contains(&signal) {
            return Err(refuse(RefusalKind::InvalidArgument, format!("{signal} is not a signal number (1 to 64)")));
        }
        let Some(run) = self.replicas.get(id).and_then(|r| r.run()) else {
            return Err(refuse(RefusalKind::InvalidState, format!("{id} does not run")));
        };
        if request.dry_run {
            return Ok(Accepted::Done);
        }
        self.emit(Effect::Signal { replica: id.clone(), run, signal, whole: false });
        let text = format!("{} sent by {}", crate::exit::signal_name(signal), request.by);
        self.notice(Kind::OperationFinished, id, text);
        Ok(Accepted::Done)
    }
}

/// In a dry run: nobody keeps them down.
fn forgive(node: &mut NodeRecord, ids: &[ReplicaId]) {
    for id in ids {
        node.stopped.remove(id);
        node.paused.remove(id);
    }
}
