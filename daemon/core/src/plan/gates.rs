//! What may stand in the way of a start, a stop or a replacement.

use super::{Action, Decision, View};
use crate::desired::DesiredWorker;
use crate::ids::{ReplicaId, WorkerName};
use crate::replica::Replica;
use crate::restart::damping::Gate;
use crate::time::Mono;

/// Decides about a replica that is down and should run.
pub(super) fn start(view: &View<'_>, replica: &Replica, now: Mono) -> Decision {
    let id = &replica.id;
    let Some(worker) = view.desired.workers.get(&id.worker) else {
        return Decision::Content;
    };
    let wait = |reason: String| Decision::Wait(reason, None);
    if let Some(hold) = view.desired.holds.first() {
        return wait(hold.clone());
    }
    if view.desired.paused.contains_key(id) {
        return wait("paused on request; it has ended meanwhile and starts when resumed".into());
    }
    if let Some(why) = &replica.restart.parked {
        return wait(if replica.is_done() { "it has done its work".into() } else { why.clone() });
    }
    if let Some((at, why)) = &replica.not_before
        && *at > now
    {
        return Decision::Wait(why.clone(), Some(*at));
    }
    if let Some(why) = dependency(view, worker) {
        return wait(why);
    }
    if let Some(why) = order(view, worker) {
        return wait(why);
    }
    if let Some((why, until)) = team(view, worker, id, now) {
        return Decision::Wait(why, until);
    }
    if worker.def.wants_port && replica.port.is_none() {
        return if replica.port_asked {
            wait("waits for a free port".into())
        } else {
            Decision::Act(Action::AllocatePort, "it needs a port".into())
        };
    }
    if let Gate::Held(until, why) = view.damping.gate(id, now) {
        return Decision::Wait(why, until);
    }
    let token = view.bucket.ready_at(now);
    if token > now {
        return Decision::Wait("start rate of the node is used up".into(), Some(token));
    }
    Decision::Act(Action::Start, start_reason(replica))
}

fn start_reason(replica: &Replica) -> String {
    if let Some(wish) = &replica.wish {
        return wish.reason.clone();
    }
    match (&replica.not_before, &replica.last_exit) {
        (Some((_, why)), _) => why.clone(),
        _ if !replica.start_reason.is_empty() => replica.start_reason.clone(),
        (None, Some(exit)) => format!("last run {}", exit.cause),
        (None, None) => "it is wanted".into(),
    }
}

/// A worker that counts as started without being ready: nobody wants it, or it has ended as it should.
fn skips(view: &View<'_>, name: &WorkerName, worker: &DesiredWorker) -> bool {
    worker.unplaceable.is_some()
        || worker.indices.iter().all(|i| {
            let id = ReplicaId::new(name.clone(), *i);
            view.desired.stopped.contains_key(&id) || view.replicas.get(&id).is_some_and(Replica::is_done)
        })
}

/// ORD-04: each dependency has a ready replica, or has done its work.
fn dependency(view: &View<'_>, worker: &DesiredWorker) -> Option<String> {
    worker.def.depends_on.iter().find_map(|name| {
        if view.tally.get(name).is_some_and(|t| t.ready > 0) {
            return None;
        }
        let Some(other) = view.desired.workers.get(name) else {
            return Some(format!("waits for {name}, which is not defined"));
        };
        let done = !other.indices.is_empty()
            && other
                .indices
                .iter()
                .all(|i| view.replicas.get(&ReplicaId::new(name.clone(), *i)).is_some_and(Replica::is_done));
        (!done).then(|| format!("waits for {name} to be ready"))
    })
}

/// ORD-04: every worker of a lower order has once been ready as a whole.
fn order(view: &View<'_>, worker: &DesiredWorker) -> Option<String> {
    view.desired.workers.iter().find_map(|(name, other)| {
        let before = other.def.order < worker.def.order;
        (before && !view.settled.contains(name) && !skips(view, name, other))
            .then(|| format!("order {}: waits for {name} (order {}) to be ready", worker.def.order, other.def.order))
    })
}

/// A team that fails together starts together: nobody goes ahead of a member that still has to wait.
fn team(view: &View<'_>, worker: &DesiredWorker, id: &ReplicaId, now: Mono) -> Option<(String, Option<Mono>)> {
    if !view.desired.together.contains(&worker.def.team) {
        return None;
    }
    view.desired.workers.iter().filter(|(_, w)| w.def.team == worker.def.team).find_map(|(name, other)| {
        other.indices.iter().find_map(|i| {
            let member = view.replicas.get(&ReplicaId::new(name.clone(), *i))?;
            if member.id == *id {
                return None;
            }
            if member.state.is_ending() {
                return Some((
                    format!("team {} restarts together: {} is still ending", worker.def.team, member.id),
                    None,
                ));
            }
            let (at, _) = member.not_before.as_ref()?;
            (member.live.is_none() && *at > now)
                .then(|| (format!("team {} starts together: waits for {}", worker.def.team, member.id), Some(*at)))
        })
    })
}

/// ORD-07: the worker that has to stop before this one, among those that are going down as a whole.
pub(super) fn stop_order(view: &View<'_>, id: &ReplicaId) -> Option<WorkerName> {
    if !view.going_down.contains(&id.worker) {
        return None;
    }
    let mine = view.replicas.get(id)?.def.as_ref()?;
    view.going_down
        .iter()
        .filter(|name| **name != id.worker && view.tally.get(name).is_some_and(|t| t.live > 0))
        .find(|name| {
            let Some(theirs) = first_def(view, name) else {
                return false;
            };
            theirs.order > mine.order || (theirs.order == mine.order && depends(view, name, &id.worker, 16))
        })
        .cloned()
}

fn first_def<'a>(view: &'a View<'_>, name: &WorkerName) -> Option<&'a crate::config::Worker> {
    of(view, name).find_map(|r| r.def.as_deref())
}

/// The worker's replicas.
fn of<'a>(view: &'a View<'_>, name: &WorkerName) -> impl Iterator<Item = &'a Replica> {
    let first = ReplicaId::new(name.clone(), 0);
    let last = ReplicaId::new(name.clone(), u32::MAX);
    view.replicas.range(first..=last).map(|(_, r)| r)
}

/// Whether `name` needs `other`, directly or not.
fn depends(view: &View<'_>, name: &WorkerName, other: &WorkerName, depth: u8) -> bool {
    depth > 0
        && first_def(view, name)
            .is_some_and(|def| def.depends_on.iter().any(|d| d == other || depends(view, d, other, depth - 1)))
}

/// DEP-06, REC-09: in a rolling change at most `max_unavailable` replicas of the worker are not ready. One that is not
/// ready anyway may always be replaced.
pub(super) fn rolling(view: &View<'_>, replica: &Replica) -> Option<String> {
    if !replica.is_ready() {
        return None;
    }
    let worker = view.desired.workers.get(&replica.id.worker)?;
    let first = ReplicaId::new(replica.id.worker.clone(), 0);
    let last = ReplicaId::new(replica.id.worker.clone(), u32::MAX);
    let stopped = view.desired.stopped.range(first..=last).filter(|(id, _)| worker.indices.contains(&id.index)).count();
    let ready = view.tally.get(&replica.id.worker).map_or(0, |t| t.ready as usize);
    let down = worker.indices.len().saturating_sub(stopped + ready);
    (down >= worker.def.max_unavailable as usize)
        .then(|| format!("{down} of its replicas are not ready, at most {} may be", worker.def.max_unavailable))
}
