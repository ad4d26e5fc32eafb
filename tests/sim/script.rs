//! What people and machines do to the node, at random.

use crate::config::{chance, ms, pick, s};
use crate::world::{Law, World};
use reeve_core::rng::Rng;
use reeve_core::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One life of a node: some acts at random moments, peace, then the end.
pub fn play(world: &mut World) -> Law {
    let acts = 4 + world.rng.below(14);
    for _ in 0..acts {
        let pause = match world.rng.below(10) {
            0..=2 => ms(world.rng.below(20)),
            3..=7 => s(world.rng.below(8)),
            8 => s(world.rng.below(40)),
            _ => s(world.rng.below(200)),
        };
        let until = world.now + pause;
        world.run_until(until, 60)?;
        act(world)?;
    }
    world.chaos = false;
    world.deaths = false;
    if world.core.is_none() || world.exited {
        world.kill_daemon();
        world.reborn();
    }
    let until = world.now + s(240);
    world.run_until(until, 150)?;
    end(world)
}

fn end(world: &mut World) -> Law {
    let way = world.rng.below(3);
    if way == 0 {
        command(world, Command::StopAll)?;
    } else {
        world.handle(Event::Shutdown { stop_workers: true })?;
        if way == 1 {
            let until = world.now + s(10);
            world.run_until(until, 1000)?;
            world.hurry = true;
            world.handle(Event::Shutdown { stop_workers: true })?;
        }
    }
    // Drain, grace, a hard kill: for each of a few orders in turn.
    let until = world.now + s(3600);
    for _ in 0..40 {
        if world.exited || (way == 0 && world.runs.values().all(|r| r.ended.is_some())) {
            break;
        }
        world.run_until(until, 500)?;
    }
    if way == 0 {
        let soon = world.now + s(130);
        world.run_until(soon, 500)?;
        world.list_now()?;
        crate::laws::agree(world)?;
        return crate::laws::all_down(world);
    }
    if !world.exited {
        let live: Vec<_> = world.runs.values().filter(|r| r.ended.is_none()).map(|r| r.id.to_string()).collect();
        return Err(format!("the daemon was asked to end and does not; alive: {live:?}"));
    }
    crate::laws::records(world)
}

pub fn command(world: &mut World, command: Command) -> Law {
    world.say(|| format!("# {command:?}"));
    let request = CommandRequest {
        id: CommandId(world.steps),
        command,
        by: "uid 0".into(),
        uid: 0,
        via: "dbus".into(),
        reason: None,
        request_id: None,
        dry_run: world.chaos && chance(&mut world.rng, 5),
    };
    world.handle(Event::Command(Box::new(request)))
}

fn act(world: &mut World) -> Law {
    match world.rng.below(16) {
        0..=8 => {
            if let Some(what) = some_command(world) {
                return command(world, what);
            }
            Ok(())
        }
        9 | 10 => {
            if world.core.is_none() {
                return Ok(());
            }
            let config = Arc::new(crate::config::changed(&mut world.rng, &world.config));
            world.config = Arc::clone(&config);
            world.refill();
            world.say(|| "# reload".into());
            world.handle(Event::Reloaded(config))
        }
        11 => {
            world.mass_crash();
            Ok(())
        }
        12 => {
            let span = s(world.rng.below(3600));
            world.suspend(span)
        }
        13 => {
            world.kill_daemon();
            Ok(())
        }
        14 => world.list_now(),
        _ => {
            let problem = chance(&mut world.rng, 50).then(|| "gone".to_owned());
            world.handle(Event::ComponentHealth { component: "bus", problem })
        }
    }
}

fn some_target(rng: &mut Rng, worker: &WorkerName) -> Target {
    if chance(rng, 50) {
        Target::Worker(worker.clone())
    } else {
        Target::Replica(ReplicaId::new(worker.clone(), 1 + rng.below(4) as u32))
    }
}

fn some_command(world: &mut World) -> Option<Command> {
    let names: Vec<_> = world.config.workers.keys().cloned().collect();
    let rng = &mut world.rng;
    let name = if names.is_empty() { WorkerName::new("x").ok()? } else { pick(rng, &names) };
    let target = some_target(rng, &name);
    let team = TeamName::new(pick(rng, &["default", "ranks"])).ok()?;
    Some(match rng.below(24) {
        0 | 1 => Command::Start(target),
        2 | 3 => Command::Stop(target),
        4 => Command::Restart { target, rolling: false },
        5 | 6 => Command::Restart { target, rolling: true },
        7 => Command::Pause(target),
        8 => Command::Isolate(target),
        9 => Command::Resume(target),
        10 => Command::Drain(target),
        11 => Command::Reset(target),
        12 => Command::Kill(ReplicaId::new(name, 1), pick(rng, &[9, 15, 1])),
        13 | 14 => Command::Scale(name, rng.below(6) as u32),
        15 => {
            let value = pick(rng, &["2G", "", "banana"]);
            Command::Set(name, BTreeMap::from([("memory_max".to_owned(), value.to_owned())]))
        }
        16 => pick(
            rng,
            &[
                Command::StartTeam(team.clone()),
                Command::StopTeam(team.clone()),
                Command::RestartTeam(team.clone()),
                Command::DrainTeam(team),
            ],
        ),
        17 => Command::StopAll,
        18 => Command::NodeDrain,
        19 => Command::NodeUndrain,
        20 => Command::Cordon,
        21 => Command::Uncordon,
        22 if chance(rng, 40) => Command::Hold { id: 1, who: "x".into(), why: "y".into() },
        22 => Command::ReleaseHold(1),
        _ => Command::Cancel(OperationId(1 + rng.below(8))),
    })
}
