//! The words of a script.

use crate::stage::{Manners, Stage};
use reeve_core::*;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Does what a line says. The transcript.
pub fn perform(stage: &mut Stage, line: &str, body: &str) -> Result<String, String> {
    stage.out.clear();
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["node"] => drop(stage.files.insert("reeve".into(), body.to_owned())),
        ["worker", name] => drop(stage.files.insert((*name).to_owned(), body.to_owned())),
        ["no-worker", name] => drop(stage.files.remove(*name)),
        ["boot"] => stage.boot()?,
        ["reload"] => {
            let config = stage.config()?;
            stage.event(Event::Reloaded(config));
            stage.pass(Duration::ZERO);
        }
        ["kill-daemon"] => stage.kill_daemon(),
        ["die-after", n] => stage.die_after = Some(n.parse().map_err(|_| "not a number")?),
        ["tick", span] => stage.pass(duration(span)?),
        ["count", span] => count(stage, duration(span)?),
        ["suspend", span] => stage.suspend(duration(span)?),
        ["exit", who, how @ ..] => {
            let (status, oom) = ending(how)?;
            stage.end(&replica(who)?, status, oom);
            stage.pass(Duration::ZERO);
        }
        ["exit-all", name, how @ ..] => {
            let (status, oom) = ending(how)?;
            for id in stage.replicas_alive(&worker(name)?) {
                stage.end(&id, status, oom);
            }
            stage.pass(Duration::ZERO);
        }
        ["crashes", name, span, how @ ..] => {
            let (status, oom) = ending(how)?;
            let crashes = Some((duration(span)?, status, oom));
            manners(stage, name)?.crashes = crashes;
        }
        ["readies", name, span] => manners(stage, name)?.readies = Some(duration(span)?),
        ["ignores", name] => manners(stage, name)?.ignores = true,
        ["behaves", name] => *manners(stage, name)? = Manners::default(),
        ["drained", who] => drop(stage.drained.insert(replica(who)?)),
        ["healthy", who, "yes"] => drop(stage.sick.remove(&replica(who)?)),
        ["healthy", who, "no"] => drop(stage.sick.insert(replica(who)?)),
        ["notify", who, said @ ..] => {
            stage.notify(replica(who)?, notification(said)?);
        }
        ["tells", who, said @ ..] => {
            let pair = |text: &&str| text.split_once('=').and_then(|(n, v)| Some((n.to_owned(), v.parse().ok()?)));
            let values: Option<BTreeMap<String, f64>> = said.iter().map(pair).collect();
            stage.tells(replica(who)?, values.ok_or("expected name=number")?);
        }
        ["slips", who] => drop(stage.slips.insert(replica(who)?)),
        ["start-fails", text @ ..] => stage.start_fails = Some(text.join(" ")),
        ["gpus", numbers @ ..] => {
            // One CPU node each, as written.
            let card = |(index, node): (usize, &&str)| reeve_core::gpu::Card {
                index: index as u32,
                uuid: format!("GPU-{index}"),
                numa_node: node.parse().ok(),
                memory_total: Some(80 << 30),
                memory_used: Some(1 << 20),
                ..Default::default()
            };
            stage.cards = numbers.iter().enumerate().map(card).collect();
            stage.hold = reeve_core::gpu::Hold::Held;
            seen(stage);
        }
        ["gpu", index, how @ ..] => {
            let at = Now { mono: Mono(stage.now), wall: stage.wall() };
            let index: usize = index.parse().map_err(|_| "not a number")?;
            let facts = &mut stage.cards.get_mut(index).ok_or("no such card")?.facts;
            match how {
                ["lost"] => facts.lost = Some("it fell off the bus".into()),
                ["remap-failure"] => facts.remap_failure = Some(true),
                ["xid", n] => facts.fatal_xid = Some((n.parse().map_err(|_| "not a number")?, at.wall)),
                ["well"] => *facts = Default::default(),
                _ => return Err("expected lost, remap-failure, xid N or well".into()),
            }
            seen(stage);
        }
        ["nvml", "away", why @ ..] => {
            stage.hold = reeve_core::gpu::Hold::Unavailable(why.join(" "));
            seen(stage);
        }
        ["nvml", "back"] => {
            stage.hold = reeve_core::gpu::Hold::Held;
            seen(stage);
        }
        ["look"] => seen(stage),
        ["leaves", who] => drop(stage.leaves.insert(replica(who)?)),
        ["undead", "yes"] => stage.undead = true,
        ["undead", "no"] => (stage.undead, stage.stragglers) = (false, BTreeMap::new()),
        ["start-works"] => stage.start_fails = None,
        ["freeze-fails", text @ ..] => stage.freeze_fails = Some(text.join(" ")),
        ["shutdown"] => stage.event(Event::Shutdown { stop_workers: true }),
        ["do", typed @ ..] => {
            let command = command(typed)?;
            stage.command(command);
            stage.pass(Duration::ZERO);
        }
        ["plan"] => plan(stage),
        ["status"] => status(stage),
        ["metrics", wanted @ ..] => metrics(stage, wanted),
        _ => return Err("no such line".into()),
    }
    Ok(std::mem::take(&mut stage.out))
}

/// The source has looked.
fn seen(stage: &mut Stage) {
    if stage.core.is_some() {
        let inventory = stage.inventory();
        stage.event(Event::Gpus(inventory));
        stage.pass(Duration::ZERO);
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    config::units::parse_duration(text).map_err(|e| e.to_string())
}

fn replica(text: &str) -> Result<ReplicaId, String> {
    text.parse().map_err(|e: ids::IdError| e.to_string())
}

fn worker(text: &str) -> Result<WorkerName, String> {
    text.parse().map_err(|e: ids::IdError| e.to_string())
}

fn manners<'a>(stage: &'a mut Stage, name: &str) -> Result<&'a mut Manners, String> {
    Ok(stage.manners.entry(worker(name)?).or_default())
}

fn ending(how: &[&str]) -> Result<(ExitStatus, bool), String> {
    let number = |text: &str| text.parse::<i32>().map_err(|_| format!("{text} is not a number"));
    match how {
        ["code", n] => Ok((ExitStatus::Code(number(n)?), false)),
        ["signal", n] => Ok((ExitStatus::Signal(number(n)?), false)),
        ["oom"] => Ok((ExitStatus::Signal(9), true)),
        other => Err(format!("{other:?}: expected `code N`, `signal N` or `oom`")),
    }
}

fn notification(said: &[&str]) -> Result<Notification, String> {
    let mut message = Notification::default();
    for word in said {
        match word.split_once('=') {
            Some(("READY", _)) => message.ready = true,
            Some(("STOPPING", _)) => message.stopping = true,
            Some(("WATCHDOG", "trigger")) => message.watchdog_trigger = true,
            Some(("WATCHDOG", _)) => message.watchdog = true,
            Some(("STATUS", text)) => message.status = Some(text.to_owned()),
            Some(("X_REEVE_PROGRESS", value)) => message.progress = Some(value.to_owned()),
            Some(("X_REEVE_ACTIVE_TASKS", n)) => message.active_tasks = n.parse().ok(),
            _ => return Err(format!("{word}: not a notification of this test")),
        }
    }
    Ok(message)
}

fn command(typed: &[&str]) -> Result<Command, String> {
    let target = |text: &str| text.parse::<Target>().map_err(|e| e.to_string());
    let team = |text: &str| text.parse::<TeamName>().map_err(|e| e.to_string());
    Ok(match typed {
        ["stop", "--all"] => Command::StopAll,
        ["start", "--team", name] => Command::StartTeam(team(name)?),
        ["stop", "--team", name] => Command::StopTeam(team(name)?),
        ["start", who] => Command::Start(target(who)?),
        ["stop", who] => Command::Stop(target(who)?),
        ["restart", "--rolling", who] => Command::Restart { target: target(who)?, rolling: true },
        ["restart", who] => Command::Restart { target: target(who)?, rolling: false },
        ["pause", who] => Command::Pause(target(who)?),
        ["isolate", who] => Command::Isolate(target(who)?),
        ["resume", who] => Command::Resume(target(who)?),
        ["drain", who] => Command::Drain(target(who)?),
        ["reset", who] => Command::Reset(target(who)?),
        ["scale", name, n] => Command::Scale(worker(name)?, n.parse().map_err(|_| "not a number")?),
        ["set", name, pairs @ ..] => {
            let pair = |text: &&str| text.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
            let values: Option<BTreeMap<_, _>> = pairs.iter().map(pair).collect();
            Command::Set(worker(name)?, values.ok_or("expected key=value")?)
        }
        ["node", "drain"] => Command::NodeDrain,
        ["node", "undrain"] => Command::NodeUndrain,
        ["cordon"] => Command::Cordon,
        ["uncordon"] => Command::Uncordon,
        ["hold", why @ ..] => Command::Hold { id: 1, who: "the updater".into(), why: why.join(" ") },
        ["release"] => Command::ReleaseHold(1),
        ["gpu", "release"] => Command::GpuRelease,
        ["gpu", "acquire"] => Command::GpuAcquire,
        ["cancel", n] => Command::Cancel(OperationId(n.parse().map_err(|_| "not a number")?)),
        _ => return Err("no such command".into()),
    })
}

/// Lets time pass without a word, and says how much was said.
fn count(stage: &mut Stage, span: Duration) {
    stage.counts.clear();
    stage.quiet = true;
    stage.pass(span);
    stage.quiet = false;
    let total: u32 = stage.counts.values().sum();
    let each: Vec<_> = stage.counts.iter().map(|(word, n)| format!("{n} × {word}")).collect();
    writeln!(stage.out, "{total} entries: {}", each.join(", ")).unwrap();
}

fn plan(stage: &mut Stage) {
    let now = Now { mono: Mono(stage.now), wall: Wall(0) };
    let Some(core) = &stage.core else { return };
    for action in core.plan(None, now) {
        writeln!(stage.out, "{} {}: {}", action.action, action.target, action.reason).unwrap();
    }
}

/// The series that the supervisor tells.
fn metrics(stage: &mut Stage, wanted: &[&str]) {
    let now = stage.clock();
    let Some(core) = &mut stage.core else { return };
    let samples = metrics::supervisor::samples(&core.snapshot(), now);
    let wanted = metrics::Selection::of(wanted.iter().map(|word| (*word).to_owned()));
    let mut page = metrics::text::Page::new();
    page.add(&samples, &|family| wanted.wants("supervisor", family));
    let text = page.render(metrics::text::Format::Text);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        writeln!(stage.out, "{line}").unwrap();
    }
}

fn status(stage: &mut Stage) {
    let Some(core) = &mut stage.core else { return };
    let picture = core.snapshot();
    writeln!(stage.out, "node {}", picture.node.state).unwrap();
    for worker in picture.workers.values() {
        writeln!(stage.out, "{} {}/{} {}", worker.name, worker.ready, worker.wanted, worker.state).unwrap();
        for r in &worker.replicas {
            let count = if r.restarts > 0 { format!(", {} restarts", r.restarts) } else { String::new() };
            writeln!(stage.out, "  {} {} ({}){count}", r.id, r.state, r.reason).unwrap();
        }
    }
    for operation in picture.operations.iter().filter(|o| o.state == "running") {
        writeln!(stage.out, "task run {}: {}: {}", operation.id.0, operation.what, operation.message).unwrap();
    }
}
