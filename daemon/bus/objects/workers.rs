//! Workers, Worker and Replica.

use super::{at_once, command, task_run};
use crate::app::handle::{LogRequest, Request};
use crate::bus::action::Action;
use crate::bus::args::replica;
use crate::bus::auth::Verdict;
use crate::bus::call::Call;
use crate::bus::error::Error;
use crate::bus::names::{self, Object};
use crate::bus::objects::properties::memory;
use crate::bus::wire::{self, Dict, PathRef, Val};
use reeve_core::exit::signal_name;
use reeve_core::status::WorkerStatus;
use reeve_core::{Accepted, Command, ReplicaId, Snapshot, Target, TeamName};
use std::borrow::Cow;
use zbus::{Fd, Message};

/// Log lines when the caller does not say.
const LINES: u64 = 50;

pub(super) fn list(call: &Call<'_>) -> Result<Message, Error> {
    let snapshot = call.handle().snapshot();
    let paths: Vec<String> = snapshot.workers.keys().map(|name| Object::Worker(name.clone()).path()).collect();
    let rows: Vec<_> = snapshot
        .workers
        .values()
        .zip(&paths)
        .map(|(worker, path)| {
            (
                worker.name.as_str(),
                PathRef(path),
                worker.team.as_str(),
                worker.ready,
                worker.wanted,
                worker.state,
                u32::try_from(worker.restarts).unwrap_or(u32::MAX),
                more(worker),
            )
        })
        .collect();
    call.reply(&(rows,))
}

fn more(worker: &WorkerStatus) -> Dict<'_> {
    let depends_on = worker.depends_on.iter().map(|w| Cow::Borrowed(w.as_str())).collect();
    Dict::new()
        .with("team", Val::text(worker.team.as_str()))
        .maybe("role", worker.role.as_deref().map(Val::text))
        .with("health", Val::text(worker.health))
        .with("reason", Val::text(worker.reason.as_str()))
        .with("since_usec", Val::Long(worker.since.0))
        .with("order", Val::Int(worker.order))
        .with("depends_on", Val::Texts(depends_on))
        .with("digest", Val::text(worker.digest.as_str()))
        .maybe("memory", memory(worker).map(Val::Long))
        .with("replicas", Val::Replicas(&worker.replicas))
}

/// Refuses a target that does not exist.
fn known(snapshot: &Snapshot, target: &Target) -> Result<(), Error> {
    let Some(worker) = snapshot.workers.get(target.worker()) else {
        return Err(Error::new("NoSuchWorker", format!("there is no worker {}", target.worker())));
    };
    match target {
        Target::Replica(id) if names::replica(snapshot, id).is_none() => {
            Err(Error::new("NoSuchReplica", format!("there is no replica {id}: {} has {}", id.worker, numbers(worker))))
        }
        _ => Ok(()),
    }
}

fn numbers(worker: &WorkerStatus) -> String {
    match worker.replicas.as_slice() {
        [] => "none".into(),
        [one] => format!("only {}", one.id.index),
        [first, .., last] => format!("{} to {}", first.id.index, last.id.index),
    }
}

pub(super) fn get(call: &Call<'_>) -> Result<Message, Error> {
    let target = call.target()?;
    known(&call.handle().snapshot(), &target)?;
    call.reply(&(PathRef(&Object::from(target).path()),))
}

pub(super) async fn kill(call: &mut Call<'_>) -> Result<Message, Error> {
    let id = replica(call.target()?)?;
    let signal = call.args.number()?;
    if !(1..=64).contains(&signal) {
        return Err(Error::argument(format!(
            "signal: expected a number from 1 to 64, such as {} for {}, not {signal}",
            15,
            signal_name(15)
        )));
    }
    at_once(call, Command::Kill(id, signal)).await
}

/// The worker of a method that takes a whole one.
fn whole(call: &Call<'_>) -> Result<reeve_core::WorkerName, Error> {
    match call.target()? {
        Target::Worker(worker) => Ok(worker),
        Target::Replica(id) => Err(Error::argument(format!("expected a worker, not the replica {id}"))),
    }
}

pub(super) async fn scale(call: &mut Call<'_>) -> Result<Message, Error> {
    let worker = whole(call)?;
    let replicas = call.args.count()?;
    task_run(call, Command::Scale(worker, replicas)).await
}

pub(super) async fn set(call: &mut Call<'_>) -> Result<Message, Error> {
    let worker = whole(call)?;
    let values = call.args.dictionary()?;
    if values.is_empty() {
        return Err(Error::argument("values: expected at least one key"));
    }
    let result = match command(call, Command::Set(worker, values)).await? {
        Accepted::NeedsRestart => "needs-restart",
        Accepted::Operation(id) => {
            call.started = Some(id);
            "applied"
        }
        Accepted::Applied | Accepted::Done => "applied",
    };
    call.reply(&(result,))
}

pub(super) async fn team(call: &mut Call<'_>, make: impl FnOnce(TeamName) -> Command) -> Result<Message, Error> {
    let name = call.args.text()?;
    let team = TeamName::new(name).map_err(|e| Error::argument(format!("team: {e}")))?;
    task_run(call, make(team)).await
}

pub(super) async fn list_runs(call: &Call<'_>) -> Result<Message, Error> {
    let target = call.target()?;
    let snapshot = call.handle().snapshot();
    known(&snapshot, &target)?;
    let replicas: Vec<ReplicaId> = match &target {
        Target::Replica(id) => vec![id.clone()],
        Target::Worker(worker) => {
            snapshot.workers.get(worker).map_or(Vec::new(), |w| w.replicas.iter().map(|r| r.id.clone()).collect())
        }
    };
    let mut records = Vec::new();
    for replica in replicas {
        let mut runs = call.handle().ask(|back| Request::Runs(replica, back)).await?;
        records.append(&mut runs);
    }
    // Each list is newest first already; a stable sort keeps that for runs that ended together.
    records.sort_by_key(|r| std::cmp::Reverse(r.ended));
    if let Some(max) = call.args.options.unsigned("max") {
        records.truncate(usize::try_from(max).unwrap_or(usize::MAX));
    }
    let tail = matches!(call.ask(Action::ReadLogs, false).await, Verdict::Granted(_));
    let rows: Vec<_> = records.iter().map(|r| wire::run(r, tail)).collect();
    call.reply(&(rows,))
}

pub(super) async fn get_logs(call: &Call<'_>) -> Result<Message, Error> {
    let target = call.target()?;
    known(&call.handle().snapshot(), &target)?;
    let options = &call.args.options;
    let run = options
        .text("run")
        .map(|text| text.parse())
        .transpose()
        .map_err(|e| Error::argument(format!("option run: {e}")))?;
    let request = LogRequest {
        target,
        lines: u32::try_from(options.unsigned("lines").unwrap_or(LINES)).unwrap_or(u32::MAX),
        follow: options.flag("follow"),
        previous: options.flag("previous"),
        run,
    };
    let pipe = call.handle().ask(|back| Request::Logs(request, back)).await?.map_err(Error::unavailable)?;
    call.reply(&(Fd::from(pipe),))
}
