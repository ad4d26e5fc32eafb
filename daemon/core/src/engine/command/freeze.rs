//! Pause, isolate, resume (SUP-12).

use super::{Answer, refuse};
use crate::effect::{Accepted, RefusalKind};
use crate::engine::operation::Goal;
use crate::engine::{Core, view};
use crate::event::CommandRequest;
use crate::ids::{ReplicaId, Target};

impl Core {
    pub(super) fn pause(&mut self, request: &CommandRequest, target: &Target, isolate: bool) -> Answer {
        let ids = self.resolve(target)?;
        if let Some(id) = ids.iter().find(|id| !self.replicas.get(*id).is_some_and(|r| r.state.is_running())) {
            let state = self.replicas.get(id).map_or("absent", |r| view::word(r));
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

    pub(super) fn resume(&mut self, request: &CommandRequest, target: &Target) -> Answer {
        let ids = self.resolve(target)?;
        if !ids.iter().any(|id| self.node.paused.contains_key(id)) {
            return Err(refuse(RefusalKind::InvalidState, format!("{target} is not paused")));
        }
        if request.dry_run {
            return self.dry_run(request, format!("resume {target}"), ids, |node, ids| {
                node.paused.retain(|id, _| !ids.contains(id));
            });
        }
        for id in &ids {
            self.node.paused.remove(id);
            if let Some(replica) = self.replicas.get_mut(id) {
                replica.refused = None;
            }
        }
        let operation = self.begin_operation(request, format!("resume {target}"), Goal::Thawed, &ids);
        self.decided(Accepted::Operation(operation))
    }

    pub(in crate::engine) fn pause_reason(&self, id: &ReplicaId) -> String {
        self.replicas
            .get(id)
            .map(|r| r.pause_reason.clone())
            .filter(|r| !r.is_empty())
            .unwrap_or_else(|| "asked for".into())
    }
}
