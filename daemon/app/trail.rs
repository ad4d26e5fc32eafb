//! The audit trail: what the bus says of mutating calls, kept in the security journal and its chained mirror.

use crate::bus::audit::{AuditEntry, AuditProblem, AuditSink, AuditSummary, Audited, Phase};
use crate::host::clock::Clock;
use crate::host::journal::audit::{Audit, AuditEntry as Kept, AuditError, SOCKET};
use crate::host::lock::lock;
use reeve_core::{Event, Wall};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::mpsc::UnboundedSender;

/// The bus's sink. The lock is never held over a wait: all of it runs on the loop's thread.
#[derive(Debug)]
pub(super) struct Trail {
    audit: Mutex<Audit>,
    events: UnboundedSender<Event>,
    troubled: Mutex<bool>,
}

impl Trail {
    /// Opens the mirror in `state`; `namespace` says whether there is a journal to write to as well. Returns what was
    /// found damaged.
    pub(super) fn open(
        state: &Path,
        namespace: bool,
        events: UnboundedSender<Event>,
    ) -> Result<(Self, Vec<String>), String> {
        let (audit, problems) = Audit::open(state, namespace.then_some(Path::new(SOCKET)))?;
        Ok((Self { audit: Mutex::new(audit), events, troubled: Mutex::new(false) }, problems))
    }

    fn audit(&self) -> MutexGuard<'_, Audit> {
        lock(&self.audit)
    }

    /// Says once that the trail has a gap, and once that it has none any more.
    fn health(&self, problem: Option<String>) {
        let mut troubled = lock(&self.troubled);
        if *troubled != problem.is_some() {
            *troubled = problem.is_some();
            // The loop is gone only when the daemon ends.
            let _ = self.events.send(Event::ComponentHealth { component: "audit", problem });
        }
    }
}

impl AuditSink for Trail {
    fn record(&self, entry: AuditEntry) {
        let written = self.audit().append(&kept(entry));
        self.health(match written {
            Ok(()) => None,
            Err(error @ (AuditError::Mirror(_) | AuditError::Journal(_))) => Some(error.to_string()),
        });
    }

    fn query(&self, since: Wall, max: u32) -> Result<Vec<Audited>, AuditProblem> {
        let found = self.audit().query(since, max as usize);
        let found = found.map_err(|text| AuditProblem { broken: false, text })?;
        Ok(found.into_iter().map(audited).collect())
    }

    fn verify(&self) -> Result<AuditSummary, AuditProblem> {
        match self.audit().verify() {
            Ok(v) => {
                let some = (v.entries > 0).then_some(());
                Ok(AuditSummary { entries: v.entries, first: some.map(|()| v.first), last: some.map(|()| v.last) })
            }
            Err(broken) => Err(AuditProblem { broken: true, text: broken.to_string() }),
        }
    }

    fn entries(&self) -> u64 {
        self.audit().entries()
    }
}

fn kept(entry: AuditEntry) -> Kept {
    let caller = &entry.caller;
    let text = |n: Option<u32>| n.map(|n| n.to_string());
    let result = match (entry.phase, entry.result.is_empty()) {
        (Phase::Begin, _) => "allowed".to_owned(),
        (Phase::End, true) => "done".to_owned(),
        (Phase::End, false) => entry.result.clone(),
    };
    let arguments = (!entry.arguments.is_empty()).then(|| serde_json::json!(entry.arguments).to_string());
    let fields = [
        ("unique", caller.unique.clone()),
        ("pid", text(caller.pid)),
        ("exe", caller.exe.clone()),
        ("comm", caller.comm.clone()),
        ("unit", caller.unit.clone()),
        ("session", caller.session.clone()),
        ("method", Some(entry.method.clone())),
        ("call", Some(entry.call.to_string())),
        ("arguments", arguments),
        ("polkit_result", Some(entry.polkit_result.clone())),
        ("reason", entry.reason.clone()),
        ("request_id", entry.request_id.clone()),
        ("task_run", entry.task_run.clone()),
        ("text", Some(entry.text.clone())),
    ];
    let more: BTreeMap<String, String> =
        fields.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v.filter(|v| !v.is_empty())?))).collect();
    Kept {
        at: Clock::wall(),
        uid: caller.uid,
        caller: caller.who(),
        action: entry.action,
        target: entry.target,
        result,
        more,
    }
}

fn audited(kept: Kept) -> Audited {
    let result = if kept.result == "allowed" { String::new() } else { kept.result };
    Audited {
        at: kept.at,
        uid: kept.uid,
        caller: kept.caller,
        action: kept.action,
        target: kept.target,
        result,
        more: kept.more,
    }
}
