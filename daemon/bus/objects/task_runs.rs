//! Maintenance and TaskRun.

use super::at_once;
use super::properties::{started, task_name};
use crate::bus::call::Call;
use crate::bus::error::Error;
use crate::bus::names::{Object, operation, run_id};
use crate::bus::wire::{Dict, PathRef, Val};
use reeve_core::Command;
use reeve_core::status::OperationStatus;
use serde_json::json;
use std::sync::Arc;
use zbus::Message;

pub(super) fn list(call: &Call<'_>) -> Result<Message, Error> {
    let snapshot = call.handle().snapshot();
    let options = &call.args.options;
    let task = options.text("task");
    let since = options.unsigned("since").unwrap_or(0);
    let max = options.unsigned("max").and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let chosen: Vec<(String, &Arc<OperationStatus>)> = snapshot
        .operations
        .iter()
        .rev()
        .filter(|o| o.started.0 >= since)
        .filter(|o| task.as_deref().is_none_or(|t| t == task_name(o)))
        .take(max)
        .map(|o| (Object::TaskRun(o.id).path(), o))
        .collect();
    let rows: Vec<_> =
        chosen.iter().map(|(path, o)| (PathRef(path), task_name(o), o.state, o.result, o.started.0, more(o))).collect();
    call.reply(&(rows,))
}

fn more(status: &OperationStatus) -> Dict<'_> {
    started(status)
        .with("id", Val::text(run_id(status.id)))
        .with("what", Val::text(status.what.as_str()))
        .maybe("ended", status.ended.map(|at| Val::Long(at.0)))
        .with("message", Val::text(status.message.as_str()))
        .with("done", Val::Count(status.progress.0))
        .with("of", Val::Count(status.progress.1))
        .with("dry_run", Val::Bool(status.dry_run.is_some()))
}

fn wanted(call: &Call<'_>) -> Result<Arc<OperationStatus>, Error> {
    let missing = |id: &str| Error::new("NoSuchTaskRun", format!("there is no task run {id}"));
    let id = call.operation.ok_or_else(|| missing(""))?;
    operation(&call.handle().snapshot(), id).cloned().ok_or_else(|| missing(&run_id(id)))
}

pub(super) async fn cancel(call: &mut Call<'_>) -> Result<Message, Error> {
    let status = wanted(call)?;
    if status.state == "done" {
        return Err(Error::new("InvalidState", format!("task run {} has ended: {}", run_id(status.id), status.result)));
    }
    at_once(call, Command::Cancel(status.id)).await
}

pub(super) fn report(call: &Call<'_>) -> Result<Message, Error> {
    let status = wanted(call)?;
    let plan = status.dry_run.as_ref().map(|plan| {
        plan.iter().map(|a| json!({ "action": a.action, "target": a.target, "reason": a.reason })).collect::<Vec<_>>()
    });
    let targets: Vec<_> = status.targets.iter().map(ToString::to_string).collect();
    let report = json!({
        "run": run_id(status.id),
        "task": task_name(&status),
        "what": status.what,
        "state": status.state,
        "result": if status.result.is_empty() { None } else { Some(status.result) },
        "message": status.message,
        "dry_run": plan.is_some(),
        "plan": plan,
        "targets": targets,
        "done": status.progress.0,
        "of": status.progress.1,
        "started_usec": status.started.0,
        "ended_usec": status.ended.map(|at| at.0),
        "started_by": status.by,
        "via": status.via,
        "reason": status.reason,
    });
    call.reply(&(report.to_string(),))
}
