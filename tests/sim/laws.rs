//! What must always hold.

use crate::world::{Law, UnitState, World};
use reeve_core::persist::NodeRecord;
use reeve_core::{Cause, Core, ExitRecord, ReplicaId, RunSpec};

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
        let done = snapshot.workers.get(name).is_some_and(|w| w.replicas.iter().all(|r| r.state == "done"));
        if snapshot.workers.get(name).is_none_or(|w| !w.replicas.iter().any(|r| r.ready)) && !done {
            return wrong(&format!("{name} is not ready"));
        }
    }
    if snapshot.node.cordoned.is_some() && snapshot.workers.get(&id.worker).is_none_or(|w| w.restarts == 0) {
        let lived = world.runs.values().any(|r| r.id == *id);
        if !lived {
            return wrong("the node is cordoned");
        }
    }
    spend(world)
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
