//! Audit: the trail, read back.

use crate::bus::audit::AuditProblem;
use crate::bus::call::Call;
use crate::bus::error::Error;
use crate::bus::wire::{Dict, Val};
use reeve_core::Wall;
use zbus::Message;

/// Entries when the caller does not say.
const ENTRIES: u32 = 1000;

pub(super) fn query(call: &mut Call<'_>) -> Result<Message, Error> {
    let since = Wall(call.args.time()?);
    let max = match call.args.count()? {
        0 => ENTRIES,
        max => max,
    };
    let entries = call.peer.context.sink.query(since, max).map_err(problem)?;
    let rows: Vec<_> = entries
        .iter()
        .map(|e| {
            let more: Dict<'_> = e.more.iter().map(|(k, v)| (k.clone().into(), Val::text(v.as_str()))).collect();
            (e.at.0, e.uid, e.caller.as_str(), e.action.as_str(), e.target.as_str(), e.result.as_str(), more)
        })
        .collect();
    call.reply(&(rows,))
}

pub(super) fn verify(call: &Call<'_>) -> Result<Message, Error> {
    let summary = call.peer.context.sink.verify().map_err(problem)?;
    let dict = Dict::new()
        .with("entries", Val::Long(summary.entries))
        .maybe("first", summary.first.map(|at| Val::Long(at.0)))
        .maybe("last", summary.last.map(|at| Val::Long(at.0)));
    call.reply(&(dict,))
}

fn problem(problem: AuditProblem) -> Error {
    let name = if problem.broken { "AuditBroken" } else { "Unavailable" };
    Error::new(name, problem.text)
}
