//! What may stand in the way of a start, a stop or a replacement.

use super::{Action, Decision, On, View, Wait, wait};
use crate::desired::DesiredWorker;
use crate::gpu::gate;
use crate::gpu::place::{self, Request};
use crate::ids::{ReplicaId, WorkerName};
use crate::replica::{Replica, State};
use crate::restart::damping::Gate;
use crate::time::Mono;

/// Decides about a replica that is down and should run.
pub(super) fn start(view: &View<'_>, replica: &Replica, now: Mono) -> Decision {
    let id = &replica.id;
    let Some(worker) = view.desired.workers.get(&id.worker) else {
        return Decision::Content;
    };
    let plain = |reason: &str| wait(reason, On::Nothing);
    if !replica.strays.is_empty() {
        return plain("a run that came too late is still ending");
    }
    let cordon = view.desired.cordoned.as_ref().filter(|_| !replica.resumes);
    if let Some(hold) = view.desired.holds.first().or(cordon) {
        return plain(hold);
    }
    if view.desired.paused.contains_key(id) {
        return plain("paused on request; it has ended meanwhile and starts when resumed");
    }
    if let Some(why) = &replica.restart.parked {
        return plain(if replica.is_done() { "it has done its work" } else { why });
    }
    if let Some((at, why)) = &replica.not_before
        && *at > now
    {
        return Decision::Wait(Wait { reason: why.clone(), until: Some(*at), on: On::Nothing });
    }
    if let Some(shut) = dependency(view, worker).or_else(|| order(view, worker)).or_else(|| team(view, worker, id, now))
    {
        return Decision::Wait(shut);
    }
    match gpus(view, worker, replica, now) {
        Ok(None) => {}
        Ok(Some(given)) => return Decision::Act(Action::AssignGpus(given), "it needs GPUs".into()),
        Err(shut) => return Decision::Wait(shut),
    }
    if let Gate::Held(until, reason) = view.damping.gate(id, now) {
        return Decision::Wait(Wait { reason, until, on: On::Damping });
    }
    if view.bucket.ready_at(now) > now {
        let until = Some(view.bucket.ready_at(now));
        return Decision::Wait(Wait { reason: "start rate of the node is used up".into(), until, on: On::Turn });
    }
    // Last, since it is found free only now.
    if worker.def.wants_port && !replica.port_free {
        return if replica.port_asked {
            plain("waits for a free port")
        } else {
            Decision::Act(Action::AllocatePort, "it needs a port".into())
        };
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

/// ORD-04: each dependency has a ready replica, or has done its work.
fn dependency(view: &View<'_>, worker: &DesiredWorker) -> Option<Wait> {
    worker.def.depends_on.iter().find_map(|name| {
        if view.tally.get(name).is_some_and(|t| t.ready > 0) {
            return None;
        }
        let reason = match view.desired.workers.get(name) {
            None => format!("waits for {name}, which is not defined"),
            Some(other) if done(view, name, other) => return None,
            Some(_) => format!("waits for {name} to be ready"),
        };
        Some(Wait { reason, until: None, on: On::Worker(name.clone()) })
    })
}

fn done(view: &View<'_>, name: &WorkerName, worker: &DesiredWorker) -> bool {
    let is_done =
        |i: &u32| view.replicas.get(&ReplicaId::new(name.clone(), *i)).is_some_and(|replica| replica.is_done());
    !worker.indices.is_empty() && worker.indices.iter().all(is_done)
}

/// ORD-04: every worker of a lower order has once been ready as a whole.
fn order(view: &View<'_>, worker: &DesiredWorker) -> Option<Wait> {
    let mine = worker.def.order;
    view.unsettled.first().filter(|(order, _)| *order < mine)?;
    let reason = format!("order {mine}: waits for the workers of lower orders to be ready");
    Some(Wait { reason, until: None, on: On::LowerOrders(mine) })
}

/// A team that fails together starts together: nobody goes ahead of a member that still has to wait.
fn team(view: &View<'_>, worker: &DesiredWorker, id: &ReplicaId, now: Mono) -> Option<Wait> {
    let team = &worker.def.team;
    let members = view.desired.together.get(team)?;
    members.iter().flat_map(|name| of(view, name)).filter(|member| member.id != *id).find_map(|member| {
        let shut = |reason, until| Some(Wait { reason, until, on: On::Team(team.clone()) });
        if member.state.is_ending() {
            return shut(format!("team {team} starts together: {} is still ending", member.id), None);
        }
        if member.is_parked() && !member.is_done() && super::off(view, &member.id).is_none() {
            return shut(format!("team {team} starts together: {} is parked", member.id), None);
        }
        let (at, _) = member.not_before.as_ref().filter(|(at, _)| member.live.is_none() && *at > now)?;
        super::off(view, &member.id).is_none().then_some(())?;
        shut(format!("team {team} starts together: waits for {}", member.id), Some(*at))
    })
}

/// The worker's replicas.
fn of<'a>(view: &'a View<'_>, name: &WorkerName) -> impl Iterator<Item = &'a Replica> {
    let first = ReplicaId::new(name.clone(), 0);
    let last = ReplicaId::new(name.clone(), u32::MAX);
    view.replicas.range(first..=last).map(|(_, r)| &**r)
}

/// SUP-05: it has the cards it asks for, and they are clean. `Some`: it is to be given these.
fn gpus(view: &View<'_>, worker: &DesiredWorker, replica: &Replica, now: Mono) -> Result<Option<Vec<String>>, Wait> {
    let request = request(worker);
    let held = |owner: &ReplicaId| view.replicas.get(owner).is_some_and(|r| keeps_gpus(view, r));
    let given = place::choose(view.gpus, &request, &replica.id, &replica.gpus, held).map_err(|refused| {
        let on = if refused.never { On::MoreGpus } else { On::Gpus };
        Wait { reason: refused.reason, until: None, on }
    })?;
    if given != replica.gpus {
        return Ok(Some(given));
    }
    match view.gpus.gate(&given) {
        // Asked again soon, so that PID 1's restart is feared only as it comes near.
        Some(reason) => Err(Wait { reason, until: Some(now + gate::AGAIN), on: On::Gpus }),
        None => Ok(None),
    }
}

/// What a replica of the worker asks for.
fn request(worker: &DesiredWorker) -> Request {
    let count = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let mask = worker.def.sandbox.get("NUMAMask").and_then(|v| v.first());
    Request {
        least: count(worker.limits.gpus_request),
        most: count(worker.limits.gpus_limit.max(worker.limits.gpus_request)),
        profile: worker.def.gpu_profile.clone(),
        near: mask.and_then(|m| m.parse().ok()),
    }
}

/// Whether its cards are its own: while it runs, and while it is to run.
fn keeps_gpus(view: &View<'_>, replica: &Replica) -> bool {
    let id = &replica.id;
    let worker = view.desired.workers.get(&id.worker);
    let wanted = worker.is_some_and(|w| w.indices.contains(&id.index) && w.unplaceable.is_none())
        && view.desired.all_off.is_none()
        && !view.desired.stopped.contains_key(id)
        && !replica.is_parked();
    wanted || replica.state != State::Down || !replica.strays.is_empty()
}

/// DEP-06, REC-09: in a rolling change at most `max_unavailable` replicas of the worker are not ready. One that is not
/// ready anyway may always be replaced.
pub(super) fn rolling(view: &View<'_>, replica: &Replica) -> Option<String> {
    if !replica.is_ready() {
        return None;
    }
    let name = &replica.id.worker;
    let worker = view.desired.workers.get(name)?;
    let most = worker.def.max_unavailable as usize;
    let first = ReplicaId::new(name.clone(), 0);
    let last = ReplicaId::new(name.clone(), u32::MAX);
    let stopped = view.desired.stopped.range(first..=last).filter(|(id, _)| worker.indices.contains(&id.index)).count();
    let ready = view.tally.get(name).map_or(0, |t| t.ready as usize);
    let mut down = worker.indices.len().saturating_sub(stopped + ready);
    if down < most {
        // The counts know no numbers: a replica that is on its way out may still stand in them as ready.
        let missing = |r: &&Replica| !r.is_ready() && super::off(view, &r.id).is_none();
        down = of(view, name).filter(missing).take(most).count();
    }
    (down >= most).then(|| format!("no more than {most} of its replicas may be down at once"))
}
