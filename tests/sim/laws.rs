//! What must always hold.

use crate::world::{Law, UnitState, World};
use reeve_core::persist::{NodeRecord, RunEntry};
use reeve_core::status::{ReplicaStatus, WorkerStatus};
use reeve_core::{Cause, Core, Effect, ExitRecord, HookKind, ReplicaId, RunSpec, Snapshot};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Remembers which workers have been ready as a whole; a new daemon believes it of those it finds running, and of all
/// below them.
pub fn look(world: &mut World, listed: bool, effects: &[Effect]) {
    let Some(core) = &mut world.core else { return };
    let picture = core.snapshot();
    if listed && !std::mem::replace(&mut world.was_attached, true) {
        let adopted = |w: &&Arc<WorkerStatus>| w.replicas.iter().any(|r| r.run.is_some());
        let highest = picture.workers.values().filter(adopted).map(|w| w.order).max();
        let below = picture.workers.values().filter(|w| highest.is_some_and(|h| w.order <= h));
        world.settled = below.map(|w| w.name.clone()).collect();
    }
    world.settled.retain(|name| world.config.workers.contains_key(name));
    // One may become ready and another be taken out of rotation in the same event.
    let turned =
        |id: &ReplicaId| effects.iter().any(|e| matches!(e, Effect::Append(r, RunEntry::Ready(true)) if r == id));
    let was = |id: &ReplicaId| {
        let before = world.before.workers.get(&id.worker);
        before.is_some_and(|w| w.replicas.iter().any(|r| r.id == *id && r.ready))
    };
    let ready = |w: &&Arc<WorkerStatus>| {
        w.wanted > 0
            && w.replicas.iter().filter(|r| r.ready || turned(&r.id) || was(&r.id)).count() >= w.wanted as usize
    };
    for worker in picture.workers.values().filter(ready) {
        if !world.settled.contains(&worker.name) {
            world.settled.insert(worker.name.clone());
        }
    }
}

/// The runs that one event brings to an end, against the picture before it: reverse order (ORD-07) and at most
/// `max_unavailable` ready replicas taken out by a rolling change (DEP-06, REC-09).
pub fn ends(world: &mut World, effects: &[Effect]) -> Law {
    let Some(core) = &mut world.core else { return Ok(()) };
    let mut leaving: BTreeSet<&ReplicaId> = BTreeSet::new();
    for effect in effects {
        match effect {
            Effect::Stop { replica, .. } | Effect::Hook { replica, kind: HookKind::Notice, .. } => {
                leaving.insert(replica);
            }
            _ => {}
        }
    }
    if leaving.is_empty() {
        return Ok(());
    }
    let node = effects.iter().rev().find_map(|e| match e {
        Effect::Persist(node) => Some(Arc::clone(node)),
        _ => None,
    });
    let node = node.unwrap_or_else(|| Arc::new(world.store.node.clone()));
    // Out of rotation by itself; then it may be replaced as well.
    let fell: BTreeSet<_> = effects
        .iter()
        .filter_map(|e| match e {
            Effect::Append(id, RunEntry::Ready(false)) => Some(id),
            _ => None,
        })
        .collect();
    let (before, after) = (Arc::clone(&world.before), core.snapshot());
    let replica = |picture: &Snapshot, id: &ReplicaId| {
        picture.workers.get(&id.worker)?.replicas.iter().find(|r| r.id == *id).cloned()
    };
    for (name, worker) in &before.workers {
        // Only what a rolling change itself takes out of rotation.
        let taken = |id: &&&ReplicaId| {
            let rolls = |r: &ReplicaStatus| {
                r.reason.contains("its definition has changed")
                    || (r.reason.contains("restarted") && r.state == "draining")
            };
            id.worker == *name
                && !world.store.node.replacing.contains_key(*id)
                && !fell.contains(*id)
                && replica(&before, id).is_some_and(|r| r.ready)
                && replica(&after, id).is_some_and(|r| !r.ready && rolls(&r))
        };
        let taken = leaving.iter().filter(taken).count();
        let Some(def) = world.config.workers.get(name).filter(|_| taken > 0) else { continue };
        let missing =
            |r: &&Arc<ReplicaStatus>| !r.ready && !node.stopped.contains_key(&r.id) && r.id.index <= worker.wanted;
        let missing =
            after.workers.get(name).map_or(0, |w| w.replicas.iter().filter(missing).count()).saturating_sub(taken);
        if worker.wanted == after.workers.get(name).map_or(0, |w| w.wanted)
            && node.indices.is_empty()
            && missing + taken > def.max_unavailable as usize
        {
            return Err(format!(
                "{name}: {missing} replicas are not ready, and {taken} more are taken away; {} may be down; before: {}; \
                 after: {}",
                def.max_unavailable,
                states(worker),
                after.workers.get(name).map_or_else(String::new, |w| states(w)),
            ));
        }
    }
    // When everything goes down, nobody does while a higher order or somebody who needs it lives.
    let all_off = matches!(after.node.state, "stopping" | "draining" | "drained");
    let hurry = world.hurry;
    for id in leaving.iter().filter(|_| all_off && !hurry) {
        let Some(mine) = after.workers.get(&id.worker) else { continue };
        // Not one that is sick, and would go down anyway.
        let ordered = |r: Arc<ReplicaStatus>| r.reason.starts_with("node drained") || r.reason.starts_with("reeved is");
        if !replica(&after, id).is_some_and(ordered) {
            continue;
        }
        for (name, worker) in &after.workers {
            let lives = worker.replicas.iter().any(|r| r.pid.is_some() || r.run.is_some());
            let later = worker.order > mine.order || worker.depends_on.contains(&id.worker);
            let begun = replica(&before, id).is_none_or(|r| !matches!(r.state, "ready" | "unready"));
            if lives && later && !begun && world.config.workers.contains_key(name) {
                return Err(format!("{id} ({}) goes down before {name}: {}", mine.order, states(worker)));
            }
        }
    }
    Ok(())
}

fn states(worker: &WorkerStatus) -> String {
    let one = |r: &Arc<ReplicaStatus>| format!("{} {} ({})", r.id, r.state, r.reason);
    format!("order {}, {}", worker.order, worker.replicas.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// The effect `Start`: may this replica start now?
pub fn at_start(world: &mut World, spec: &RunSpec) -> Law {
    let id = &spec.replica;
    let wrong = |why: &str| Err(format!("{id} is started: {why}"));
    if !world.attached {
        return wrong("it is not known yet what runs");
    }
    match world.units.get(id).map(|u| (&u.state, u.starting)) {
        Some((UnitState::Live(run), _)) if world.runs.get(run).is_some_and(|r| r.told) => {
            return wrong("the core knows that a run of it lives");
        }
        _ => {}
    }
    let NodeRecord { stopped, paused, drained, .. } = &world.store.node;
    if stopped.contains_key(id) {
        return wrong("an operator has stopped it");
    }
    if paused.contains_key(id) {
        return wrong("an operator has paused it");
    }
    if drained.is_some() {
        return wrong("the node is drained");
    }
    if world.store.parked(id) {
        return wrong("it is parked");
    }
    let Some(def) = world.config.workers.get(&id.worker).cloned() else {
        return wrong("it is not defined");
    };
    if !def.node_selector.is_empty() {
        return wrong("it is unplaceable");
    }
    let Some(snapshot) = world.core.as_mut().map(Core::snapshot) else { return Ok(()) };
    for name in &def.depends_on {
        let done = snapshot
            .workers
            .get(name)
            .is_some_and(|w| w.replicas.iter().all(|r| r.state == "done" || r.reason.contains("scaled to")));
        if snapshot.workers.get(name).is_none_or(|w| !w.replicas.iter().any(|r| r.ready)) && !done {
            return wrong(&format!("{name} is not ready"));
        }
    }
    if snapshot.node.cordoned.is_some() && snapshot.workers.get(&id.worker).is_none_or(|w| w.restarts == 0) {
        let lived = world.units.contains_key(id);
        if !lived {
            return wrong("the node is cordoned");
        }
    }
    cards(world, spec)?;
    trial(world, id)?;
    order(world, id)?;
    spend(world)
}

/// SUP-05: a card belongs to one replica, is well as far as is known, and is clean before a start.
fn cards(world: &mut World, spec: &RunSpec) -> Law {
    let id = &spec.replica;
    let Some(core) = &mut world.core else { return Ok(()) };
    let snapshot = core.snapshot();
    let asked = world.config.workers.get(&id.worker).map_or(0, |w| w.resources.gpus_request as usize);
    if spec.gpus.len() < asked {
        return Err(format!("{id} is started with {} cards and asks for {asked}", spec.gpus.len()));
    }
    for uuid in &spec.gpus {
        let others = snapshot.workers.values().flat_map(|w| &w.replicas);
        for other in others.filter(|r| r.id != *id && r.gpus.contains(uuid)) {
            if core.state_of(&other.id).is_some_and(|s| s.is_live()) {
                return Err(format!("{id} is started on {uuid}, which {} holds", other.id));
            }
        }
        let left = world.stragglers.iter().find(|(_, s)| s.known && s.gpus.contains(uuid));
        if let Some((of, _)) = left {
            return Err(format!("{id} is started on {uuid} with a process of {of} still there"));
        }
        if snapshot.gpus.cards.iter().any(|c| c.card.uuid == *uuid && !c.allocatable) {
            return Err(format!("{id} is started on {uuid}, which takes no work"));
        }
    }
    Ok(())
}

/// At most one trial of a mass crash is under way for each cause, and nobody that waits for it starts.
fn trial(world: &mut World, id: &ReplicaId) -> Law {
    let Some(core) = &world.core else { return Ok(()) };
    for (cause, trial) in core.trials() {
        let waits = world.before.workers.get(&id.worker).and_then(|w| w.replicas.iter().find(|r| r.id == *id));
        let held =
            waits.is_some_and(|r| r.holds.iter().any(|h| h.starts_with(&format!("mass crash ({cause}): waits"))));
        let known = world.trials.get(&cause).is_some_and(|t| t.as_ref() == Some(&trial));
        if held && known && !world.by_hand && trial != *id && core.live_run(&trial).is_some() {
            return Err(format!("{id} is started while {trial} is tried ({cause})"));
        }
    }
    world.trials = core.trials().into_iter().map(|(cause, id)| (cause, Some(id))).collect();
    Ok(())
}

/// ORD-04: a worker of a lower order that has not yet been ready as a whole holds back the others. What this daemon has
/// adopted counts as ready.
fn order(world: &mut World, id: &ReplicaId) -> Law {
    let Some(def) = world.config.workers.get(&id.worker) else { return Ok(()) };
    let Some(core) = &mut world.core else { return Ok(()) };
    let picture = core.snapshot();
    for (name, worker) in &picture.workers {
        let Some(lower) = world.config.workers.get(name).filter(|l| l.order < def.order) else { continue };
        // One that goes because there are fewer now may have another reason to tell by the time: as many as are wanted
        // must be at rest.
        let surplus = |r: &&ReplicaStatus| r.reason.contains("scaled to");
        let at_rest = |r: &&ReplicaStatus| r.state == "done" || world.store.node.stopped.contains_key(&r.id);
        let resting = worker.replicas.iter().map(|r| &**r).filter(|r| !surplus(r)).filter(at_rest).count();
        let skipped = resting >= worker.wanted as usize;
        if !skipped && lower.node_selector.is_empty() && !world.settled.contains(name) {
            let others = worker.replicas.iter().map(|r| format!("{} {}: {}", r.id, r.state, r.reason));
            return Err(format!(
                "{id} (order {}) is started before {name} (order {}) was ready: wanted {}, {}",
                def.order,
                lower.order,
                worker.wanted,
                others.collect::<Vec<_>>().join(", ")
            ));
        }
    }
    Ok(())
}

/// A reference bucket: what is allowed is at least what a plain counter with refill allows.
fn spend(world: &mut World) -> Law {
    let Some(rate) = world.config.supervision.restart_rate else { return Ok(()) };
    let gone = world.now.since(world.tokens_at).as_secs_f64() / rate.per.as_secs_f64();
    world.tokens = (world.tokens + gone * f64::from(rate.count)).min(f64::from(rate.count)) - 1.0;
    world.tokens_at = world.now;
    if world.tokens < -0.001 {
        return Err(format!("the start rate is exceeded: {} tokens left", world.tokens));
    }
    Ok(())
}

/// The effect `Record`: one for each ended run, none for a living one.
pub fn at_record(world: &mut World, record: &ExitRecord) -> Law {
    let epoch = world.epoch;
    let Some(run) = world.runs.get_mut(&record.run) else {
        // A start that never became a run.
        return match record.cause {
            Cause::StartFailed(_) | Cause::Operator => Ok(()),
            _ => Err(format!("a record of a run that never was: {record:?}")),
        };
    };
    if run.ended.is_none() {
        return Err(format!("run {} of {} is recorded and lives", record.run, run.id));
    }
    if run.recorded_in == Some(epoch) {
        return Err(format!("run {} of {} is recorded twice", record.run, run.id));
    }
    run.recorded_in = Some(epoch);
    Ok(())
}

/// After every event.
pub fn after_step(world: &mut World) -> Law {
    let now = world.wall();
    let Some(core) = &world.core else { return Ok(()) };
    core.check()?;
    if world.steps.is_multiple_of(16)
        && let Some(action) = core.plan(None, now).into_iter().find(|a| a.action != "wait")
    {
        return Err(format!("the plan is not empty after it was applied: {action:?}"));
    }
    Ok(())
}

/// After a fresh list with nothing going on: the core and the world agree.
pub fn agree(world: &World) -> Law {
    let Some(core) = &world.core else { return Ok(()) };
    for (id, unit) in &world.units {
        if let UnitState::Live(run) = unit.state
            && !unit.starting
            && core.live_run(id).map(|(r, _)| r) != Some(run)
        {
            return Err(format!("run {run} of {id} lives, and the core holds {:?}", core.live_run(id)));
        }
    }
    records(world)
}

/// Each ended run that anybody could know of has exactly one record.
pub fn records(world: &World) -> Law {
    for (run, r) in world.runs.iter().filter(|(_, r)| r.ended.is_some()) {
        let count = world.store.records_of(&r.id, *run);
        if count > 1 || (count == 0 && r.known) {
            return Err(format!("run {run} of {} has {count} records", r.id));
        }
    }
    Ok(())
}

/// After everything was asked to stop, and the time for it is over.
pub fn all_down(world: &mut World) -> Law {
    let alive: Vec<_> = world.runs.iter().filter(|(_, r)| r.ended.is_none()).map(|(n, r)| (*n, r.id.clone())).collect();
    if let Some((run, id)) = alive.first() {
        let state = world.core.as_ref().and_then(|c| c.state_of(id));
        return Err(format!("run {run} of {id} still lives after everything was stopped; the core: {state:?}"));
    }
    let Some(core) = &mut world.core else { return Ok(()) };
    let open = core.snapshot().operations.iter().find(|o| o.state != "done").cloned();
    if let Some(open) = open {
        return Err(format!("an operation never ends: {open:?}"));
    }
    let live: Vec<ReplicaId> = world.units.keys().filter(|id| core.live_run(id).is_some()).cloned().collect();
    match live.first() {
        Some(id) => Err(format!("the core holds {id} as alive")),
        None => records(world),
    }
}
