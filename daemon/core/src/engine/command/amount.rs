//! How many and how much: scale, set.

use super::{Answer, refuse};
use crate::effect::{Accepted, Effect, RefusalKind};
use crate::engine::Core;
use crate::engine::operation::Goal;
use crate::event::CommandRequest;
use crate::ids::{ReplicaId, Target, WorkerName};
use crate::limits::{self, LimitError};
use crate::notice::{Kind, Notice};
use std::collections::{BTreeMap, BTreeSet};

impl Core {
    pub(super) fn scale(&mut self, request: &CommandRequest, name: &WorkerName, wanted: u32) -> Answer {
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

    pub(super) fn set(
        &mut self,
        name: &WorkerName,
        values: &BTreeMap<String, String>,
        request: &CommandRequest,
    ) -> Answer {
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
}
