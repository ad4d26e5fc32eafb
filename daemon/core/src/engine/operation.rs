//! Long commands: which replicas must get where, and how far they are (task runs of kind `command` on the bus).

use super::Core;
use crate::effect::Effect;
use crate::event::CommandRequest;
use crate::ids::{OperationId, ReplicaId, RunId};
use crate::notice::{Kind, Notice};
use crate::replica::State;
use crate::status::{OperationStatus, PlannedAction};
use crate::time::Wall;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many ended operations are kept to be asked about.
const KEPT: usize = 64;

/// Where its replicas must get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// Ready, or done.
    Up,
    /// No process.
    Down,
    /// Ready in another run than this one.
    OtherRun(BTreeMap<ReplicaId, Option<RunId>>),
    /// Frozen.
    Frozen,
    /// Not frozen.
    Thawed,
    /// Those with these numbers ready, the others gone.
    Scaled(BTreeSet<u32>),
    /// What the fleet was asked for.
    Fleet,
    /// Ended by hand.
    Never,
}

/// One long command.
#[derive(Debug, Clone)]
pub struct Operation {
    pub(super) id: OperationId,
    pub(super) what: String,
    pub(super) by: String,
    pub(super) uid: u32,
    pub(super) via: String,
    pub(super) reason: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) started: Wall,
    pub(super) goal: Goal,
    pub(super) targets: BTreeSet<ReplicaId>,
    pub(super) open: BTreeSet<ReplicaId>,
    pub(super) faults: BTreeMap<ReplicaId, u64>,
    pub(super) ended: Option<Wall>,
    pub(super) result: &'static str,
    pub(super) message: String,
    pub(super) dry_run: Option<Vec<PlannedAction>>,
}

/// How one replica stands to the goal.
enum Standing {
    Reached,
    Open,
    Failed(String),
}

impl Core {
    pub(super) fn begin_operation(
        &mut self,
        request: &CommandRequest,
        what: String,
        goal: Goal,
        ids: &[ReplicaId],
    ) -> OperationId {
        self.node.next_operation += 1;
        let id = OperationId(self.node.next_operation);
        let targets: BTreeSet<ReplicaId> = ids.iter().cloned().collect();
        let faults = ids.iter().map(|id| (id.clone(), self.faults(id))).collect();
        let operation = Operation {
            id,
            what,
            by: request.by.clone(),
            uid: request.uid,
            via: request.via.clone(),
            reason: request.reason.clone(),
            request_id: request.request_id.clone(),
            started: self.now.wall,
            goal,
            open: targets.clone(),
            targets,
            faults,
            ended: None,
            result: "",
            message: String::new(),
            dry_run: None,
        };
        self.node.operations.insert(id);
        if operation.goal != Goal::Never {
            let text = format!("{} by {} (task run {})", operation.what, operation.by, id.0);
            self.emit(Effect::Notice(Notice::node(Kind::OperationStarted, text)));
        }
        self.operations.insert(id, operation);
        self.touched.extend(ids.iter().cloned());
        self.persist();
        id
    }

    /// Ends of a replica so far that were nobody's wish.
    fn faults(&self, id: &ReplicaId) -> u64 {
        self.replicas.get(id).map_or(0, |r| r.restart.restarts)
    }

    /// Looks at the operations whose replicas have moved.
    pub(super) fn check_operations(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        if self.operations.values().all(|o| o.ended.is_some()) {
            return;
        }
        for id in self.operations.iter().filter(|(_, o)| o.ended.is_none()).map(|(id, _)| *id).collect::<Vec<_>>() {
            let Some(mut operation) = self.operations.remove(&id) else {
                continue;
            };
            let mut failure = None;
            let look: Vec<_> = if touched.len() < operation.open.len() {
                touched.iter().filter(|r| operation.open.contains(*r)).cloned().collect()
            } else {
                operation.open.iter().filter(|r| touched.contains(*r)).cloned().collect()
            };
            for replica in look {
                match self.standing(&operation, &replica) {
                    Standing::Reached => {
                        operation.open.remove(&replica);
                    }
                    Standing::Open => {}
                    Standing::Failed(why) => failure = Some(format!("{replica}: {why}")),
                }
            }
            let done = operation.open.is_empty() && operation.goal != Goal::Fleet;
            self.operations.insert(id, operation);
            if let Some(why) = failure {
                self.end_operation(id, "failed", &why);
            } else if done {
                self.end_operation(id, "success", "done");
            }
        }
    }

    /// How one replica stands to the goal. What somebody has decided otherwise meanwhile will never be reached.
    fn standing(&self, operation: &Operation, id: &ReplicaId) -> Standing {
        let replica = self.replicas.get(id);
        let state = replica.map_or(State::Down, |r| r.state);
        let down = || match state {
            State::Down => Standing::Reached,
            _ if crate::plan::off(&self.view(), id).is_none() => Standing::Failed("it is wanted again".into()),
            _ => Standing::Open,
        };
        match &operation.goal {
            Goal::Up => self.standing_up(operation, id, None),
            Goal::OtherRun(old) => self.standing_up(operation, id, old.get(id).copied().flatten()),
            Goal::Scaled(kept) if kept.contains(&id.index) => self.standing_up(operation, id, None),
            Goal::Down | Goal::Scaled(_) => down(),
            Goal::Frozen => match replica.and_then(|r| r.refused.clone()) {
                Some(why) => Standing::Failed(why),
                None if state == State::Down || state.is_ending() => Standing::Failed("it has ended".into()),
                None => match self.desired.paused.get(id) {
                    None => Standing::Failed("it was resumed meanwhile".into()),
                    Some(wanted) => {
                        let live = replica.and_then(|r| r.live.as_ref());
                        let frozen = live.is_some_and(|l| l.frozen && !l.freezing && l.isolated == *wanted);
                        if state == State::Paused && frozen { Standing::Reached } else { Standing::Open }
                    }
                },
            },
            Goal::Thawed if self.desired.paused.contains_key(id) => {
                Standing::Failed("it was paused again meanwhile".into())
            }
            Goal::Thawed => {
                let freezing = replica.and_then(|r| r.live.as_ref()).is_some_and(|l| l.freezing || l.isolated);
                if state == State::Paused || freezing { Standing::Open } else { Standing::Reached }
            }
            Goal::Fleet | Goal::Never => Standing::Open,
        }
    }

    /// Ready, or done, in another run than this one.
    fn standing_up(&self, operation: &Operation, id: &ReplicaId, other_than: Option<RunId>) -> Standing {
        let Some(replica) = self.replicas.get(id) else {
            return Standing::Failed("it is gone".into());
        };
        if let Some(off) = crate::plan::off(&self.view(), id).filter(|_| !self.failing(id)) {
            return Standing::Failed(format!("it is not wanted any more: {}", off.reason));
        }
        if replica.is_done() || (replica.is_ready() && (other_than.is_none() || replica.run() != other_than)) {
            return Standing::Reached;
        }
        if self.desired.paused.contains_key(id) {
            return Standing::Failed("it was paused meanwhile".into());
        }
        if let Some(why) = &replica.restart.parked {
            return Standing::Failed(why.clone());
        }
        let before = operation.faults.get(id).copied().unwrap_or(0);
        match &replica.last_exit {
            Some(exit) if replica.restart.restarts > before => Standing::Failed(exit.reason.clone()),
            _ => Standing::Open,
        }
    }

    /// Its team goes down only to come up again.
    pub(super) fn failing(&self, id: &ReplicaId) -> bool {
        self.desired.workers.get(&id.worker).is_some_and(|w| self.failing_teams.contains_key(&w.def.team))
            && !self.desired.stopped.contains_key(id)
            && self.desired.all_off.is_none()
    }

    pub(super) fn end_operation(&mut self, id: OperationId, result: &'static str, message: &str) {
        let wall = self.now.wall;
        let Some(operation) = self.operations.get_mut(&id).filter(|o| o.ended.is_none()) else {
            return;
        };
        operation.ended = Some(wall);
        operation.result = result;
        message.clone_into(&mut operation.message);
        if operation.goal != Goal::Never {
            let text = format!("{} (task run {}): {result}, {message}", operation.what, id.0);
            self.emit(Effect::Notice(Notice::node(Kind::OperationFinished, text)));
        }
        self.node.operations.remove(&id);
        self.ended_operations.push_back(id);
        while self.ended_operations.len() > KEPT {
            if let Some(old) = self.ended_operations.pop_front() {
                self.operations.remove(&old);
            }
        }
        self.persist();
    }

    /// One of a former daemon's: nobody knows how it ended.
    pub(super) fn lost_operation(&mut self, id: OperationId) {
        let operation = Operation {
            id,
            what: "unknown (of a former daemon)".into(),
            by: String::new(),
            uid: 0,
            via: String::new(),
            reason: None,
            request_id: None,
            started: self.now.wall,
            goal: Goal::Never,
            targets: BTreeSet::new(),
            open: BTreeSet::new(),
            faults: BTreeMap::new(),
            ended: Some(self.now.wall),
            result: "lost",
            message: "reeved was restarted while it ran; what had been decided still holds".into(),
            dry_run: None,
        };
        self.operations.insert(id, operation);
        self.ended_operations.push_back(id);
    }

    pub(super) fn operation_views(&self) -> Vec<Arc<OperationStatus>> {
        self.operations
            .values()
            .map(|o| {
                let all = u32::try_from(o.targets.len()).unwrap_or(u32::MAX);
                let open = u32::try_from(o.open.len()).unwrap_or(u32::MAX);
                let message = match (o.ended, o.open.first()) {
                    (None, Some(id)) => format!("waits for {id}: {}", self.says(id)),
                    _ => o.message.clone(),
                };
                Arc::new(OperationStatus {
                    id: o.id,
                    what: o.what.clone(),
                    by: o.by.clone(),
                    uid: o.uid,
                    via: o.via.clone(),
                    reason: o.reason.clone(),
                    request_id: o.request_id.clone(),
                    started: o.started,
                    state: if o.ended.is_some() { "done" } else { "running" },
                    result: o.result,
                    ended: o.ended,
                    message,
                    progress: (all - open, all),
                    targets: o.targets.iter().cloned().collect(),
                    dry_run: o.dry_run.clone(),
                })
            })
            .collect()
    }

    fn says(&self, id: &ReplicaId) -> String {
        self.replicas.get(id).map_or_else(String::new, |r| format!("{}, {}", super::view::word(r), r.says()))
    }
}
