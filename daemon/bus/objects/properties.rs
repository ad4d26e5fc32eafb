//! Values of all properties, from the snapshot, in the order of the table.

use crate::bus::names::{self, API_MINOR, Object, operation, run_id};
use crate::bus::peer::Context;
use crate::bus::table::Interface;
use crate::bus::wire::{Dict, UNKNOWN, Val, replica_path};
use reeve_core::status::{OperationStatus, ReplicaStatus, WorkerStatus};
use reeve_core::{ExitStatus, Snapshot};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;

/// What properties are read from.
#[derive(Debug, Clone, Copy)]
pub(in crate::bus) struct View<'a> {
    pub snapshot: &'a Snapshot,
    context: &'a Context,
    log_level: &'a str,
}

/// Whether gauges are read from the kernel: only when somebody asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bus) enum Gauges {
    Read,
    Skip,
}

impl<'a> View<'a> {
    pub fn new(snapshot: &'a Snapshot, context: &'a Context, log_level: &'a str) -> Self {
        Self { snapshot, context, log_level }
    }
}

/// Values of the properties of an interface, in the order of the table; `None` when the object is not there.
pub(in crate::bus) fn values<'a>(
    view: &View<'a>,
    object: &Object,
    interface: &Interface,
    gauges: Gauges,
) -> Option<Vec<Val<'a>>> {
    let snapshot = view.snapshot;
    match (interface.name, object) {
        ("Manager", Object::Root) => Some(manager(view)),
        ("Workers", Object::Root) => {
            let totals = totals(snapshot);
            Some(vec![
                Val::Count(totals.workers),
                Val::Count(totals.ready),
                Val::Count(totals.failed),
                Val::Count(totals.isolated),
            ])
        }
        ("Gpus", Object::Root) => Some(super::gpus::properties(snapshot)),
        ("Maintenance", Object::Root) => {
            let active = snapshot.operations.iter().filter(|o| o.state != "done");
            Some(vec![Val::Paths(active.map(|o| Object::TaskRun(o.id).path()).collect())])
        }
        ("Metrics", Object::Root) => Some(Vec::new()),
        ("Audit", Object::Root) => Some(vec![Val::Long(match gauges {
            Gauges::Read => view.context.sink.entries(),
            Gauges::Skip => UNKNOWN,
        })]),
        ("Worker", Object::Worker(name)) => snapshot.workers.get(name).map(|w| worker(w, gauges)),
        ("Replica", Object::Replica(id)) => names::replica(snapshot, id).map(|r| replica(r, gauges)),
        ("Fleet", Object::Fleet) => Some(super::fleet::properties(&snapshot.fleet, gauges)),
        ("TaskRun", Object::TaskRun(id)) => operation(snapshot, *id).map(|o| task_run(o)),
        _ => None,
    }
}

/// All properties of an interface by name.
pub(in crate::bus) fn dict<'a>(
    view: &View<'a>,
    object: &Object,
    interface: &'static Interface,
    gauges: Gauges,
) -> Option<Dict<'a>> {
    let values = values(view, object, interface, gauges)?;
    let names = interface.properties.iter().map(|p| Cow::Borrowed(p.name));
    Some(names.zip(values).collect())
}

/// One property.
pub(in crate::bus) fn find<'a>(view: &View<'a>, object: &Object, interface: &Interface, name: &str) -> Option<Val<'a>> {
    let at = interface.properties.iter().position(|p| p.name == name)?;
    values(view, object, interface, Gauges::Read)?.into_iter().nth(at)
}

fn manager<'a>(view: &View<'a>) -> Vec<Val<'a>> {
    let node = &view.snapshot.node;
    let facts = &view.context.facts;
    let ill: Vec<_> = node
        .components
        .iter()
        .filter(|(_, problem)| !problem.is_empty())
        .map(|(component, problem)| format!("{component}: {problem}"))
        .collect();
    let health = if ill.is_empty() { Val::text("ok") } else { Val::text(ill.join("; ")) };
    let inventory = Dict::new()
        .with("launcher", Val::text(node.launcher.as_str()))
        .with("kernel", Val::text(facts.kernel.as_str()))
        .with("cpus", Val::Count(facts.cpus));
    vec![
        Val::text(facts.version),
        Val::text(node.name.as_str()),
        Val::text(facts.boot_id.as_str()),
        Val::Count(API_MINOR),
        Val::text(node.state),
        Val::Long(node.since.0),
        Val::text(node.reason.as_str()),
        optional(node.drain_reason.as_deref()),
        health,
        Val::text(view.log_level),
        Val::Map(&node.components),
        Val::Map(&node.labels),
        Val::Bool(node.cordoned.is_some()),
        Val::Long(node.config_generation),
        Val::Count(node.config_errors),
        Val::Count(count(node.holds.len())),
        Val::Dict(inventory),
        Val::Long(facts.uptime()),
    ]
}

fn worker(worker: &WorkerStatus, gauges: Gauges) -> Vec<Val<'_>> {
    let holds: BTreeSet<&str> = worker.replicas.iter().flat_map(|r| r.holds.iter().map(String::as_str)).collect();
    let read = gauges == Gauges::Read;
    let cpu = || sum(worker.replicas.iter().map(|r| cpu(r)));
    vec![
        Val::text(worker.name.as_str()),
        Val::text(worker.team.as_str()),
        optional(worker.role.as_deref()),
        Val::text(worker.state),
        Val::text(worker.reason.as_str()),
        Val::text(worker.health),
        Val::text(worker.digest.as_str()),
        Val::text(""),
        Val::Count(worker.wanted),
        Val::Count(worker.ready),
        Val::Long(worker.restarts),
        Val::Texts(holds.into_iter().map(Cow::Borrowed).collect()),
        Val::Paths(worker.replicas.iter().map(|r| replica_path(&r.id)).collect()),
        gauge(read.then(|| memory(worker)).flatten()),
        gauge(read.then(cpu).flatten()),
        gauge(None),
    ]
}

fn replica(status: &ReplicaStatus, gauges: Gauges) -> Vec<Val<'_>> {
    let exit = status.last_exit.as_ref();
    let last_exit =
        Val::Pair(exit.map_or("", |e| e.cause.word()).into(), exit.map_or(String::new(), exit_status).into());
    let unit_path = match &status.unit {
        Some(unit) if !unit.is_empty() => {
            format!("/org/freedesktop/systemd1/unit/{}", names::escape(unit))
        }
        _ => "/".to_owned(),
    };
    let read = gauges == Gauges::Read;
    vec![
        Val::text(status.id.worker.as_str()),
        Val::Count(status.id.index),
        Val::text(status.state),
        optional(status.status_text.as_deref()),
        Val::text(status.reason.as_str()),
        Val::text(exit.map_or("", |e| e.cause.word())),
        Val::text(status.health),
        optional(status.unit.as_deref()),
        Val::text(status.run.map_or(String::new(), |r| r.to_string())),
        Val::Path(unit_path),
        Val::Count(status.pid.unwrap_or(0)),
        Val::Count(u32::try_from(status.restarts).unwrap_or(u32::MAX)),
        last_exit,
        Val::Bool(status.ready),
        Val::texts(&status.holds),
        Val::Paths(Vec::new()),
        Val::Port(status.port.unwrap_or(0)),
        Val::Long(status.next_start.map_or(0, |at| at.0)),
        gauge(read.then(|| current(status)).flatten()),
        gauge(read.then(|| cpu(status)).flatten()),
        gauge(None),
    ]
}

/// `code 1`, `signal SIGSEGV`; empty when nobody kept it.
fn exit_status(exit: &reeve_core::status::LastExit) -> String {
    let status = match (exit.exit_code, exit.signal) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        (None, None) => ExitStatus::Unknown,
    };
    match status {
        ExitStatus::Code(code) => format!("code {code}"),
        ExitStatus::Signal(signal) => {
            format!("signal {}", reeve_core::exit::signal_name(signal))
        }
        ExitStatus::Unknown => String::new(),
    }
}

fn task_run(status: &OperationStatus) -> Vec<Val<'_>> {
    let (done, all) = status.progress;
    let progress = if all == 0 { 0.0 } else { f64::from(done) / f64::from(all) };
    vec![
        Val::text(run_id(status.id)),
        Val::text(task_name(status)),
        Val::text("command"),
        Val::text(status.by.as_str()),
        Val::text(status.via.as_str()),
        Val::Count(status.uid),
        Val::Dict(arguments(status)),
        Val::Long(status.started.0),
        Val::text(status.state),
        Val::text(status.result),
        Val::text(error_name(status)),
        Val::text(status.message.as_str()),
        Val::text(""),
        Val::text(""),
        Val::text(""),
        Val::Real(progress),
        Val::Bool(all > 0),
        Val::Bool(status.state != "done"),
        Val::Long(0),
        Val::Long(0),
    ]
}

/// The command's name: the first word of what it does.
pub(in crate::bus) fn task_name(status: &OperationStatus) -> &str {
    status.what.split(' ').next().unwrap_or_default()
}

fn arguments(status: &OperationStatus) -> Dict<'_> {
    let rest = status.what.split_once(' ').map(|(_, rest)| rest);
    Dict::new()
        .maybe("target", rest.map(Val::text))
        .maybe("reason", status.reason.as_deref().map(Val::text))
        .maybe("request-id", status.request_id.as_deref().map(Val::text))
}

/// Who started a task run, for lists.
pub(in crate::bus) fn started(status: &OperationStatus) -> Dict<'_> {
    Dict::new()
        .with("started_by", Val::text(status.by.as_str()))
        .with("via", Val::text(status.via.as_str()))
        .maybe("reason", status.reason.as_deref().map(Val::text))
}

/// The D-Bus error that fits how a task run ended.
pub(in crate::bus) fn error_name(status: &OperationStatus) -> &'static str {
    match status.result {
        "cancelled" => "org.reeve.Error.Cancelled",
        "timeout" => "org.reeve.Error.Timeout",
        "denied" => "org.reeve.Error.NotAuthorized",
        "lost" => "org.reeve.Error.Unavailable",
        _ => "",
    }
}

/// How many workers and replicas there are, and how they fare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::bus) struct Totals {
    pub workers: u32,
    pub ready: u32,
    pub failed: u32,
    pub isolated: u32,
    pub replicas_wanted: u32,
    pub replicas_ready: u32,
}

pub(in crate::bus) fn totals(snapshot: &Snapshot) -> Totals {
    let mut totals = Totals::default();
    for worker in snapshot.workers.values() {
        totals.workers += 1;
        match worker.state {
            "running" => totals.ready += 1,
            "crash-loop" | "parked" | "unplaceable" | "degraded" => totals.failed += 1,
            "isolated" => totals.isolated += 1,
            _ => {}
        }
        totals.replicas_wanted = totals.replicas_wanted.saturating_add(worker.wanted);
        totals.replicas_ready = totals.replicas_ready.saturating_add(worker.ready);
    }
    totals
}

pub(super) fn optional(text: Option<&str>) -> Val<'_> {
    Val::text(text.unwrap_or_default())
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn gauge(value: Option<u64>) -> Val<'static> {
    Val::Long(value.unwrap_or(UNKNOWN))
}

/// Bytes in use by all replicas whose cgroup tells; `None` when none does. cgroupfs answers from memory, so this
/// never waits for a disk or a worker.
pub(in crate::bus) fn memory(worker: &WorkerStatus) -> Option<u64> {
    sum(worker.replicas.iter().map(|r| current(r)))
}

fn current(status: &ReplicaStatus) -> Option<u64> {
    let cgroup = status.cgroup.as_deref()?;
    fs::read_to_string(format!("{cgroup}/memory.current")).ok()?.trim().parse().ok()
}

/// CPU time in nanoseconds.
fn cpu(status: &ReplicaStatus) -> Option<u64> {
    let stat = fs::read_to_string(format!("{}/cpu.stat", status.cgroup.as_deref()?)).ok()?;
    let usec: u64 = stat.lines().find_map(|l| l.strip_prefix("usage_usec "))?.trim().parse().ok()?;
    Some(usec.saturating_mul(1000))
}

/// The sum of what is known; `None` when nothing is.
fn sum(values: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    values.flatten().fold(None, |sum: Option<u64>, v| Some(sum.unwrap_or(0).saturating_add(v)))
}
