//! The audit hook: what is said of every call that could change something, allowed or refused.
//!
//! The bus says it, an [`AuditSink`] keeps it. An allowed call leaves two entries: one before it acts, and one at its
//! end, which for a call that starts a task run is the end of that. A refused call leaves one.

use super::caller::Client;
use reeve_core::Wall;
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Keeps the trail.
pub trait AuditSink: Send + Sync + fmt::Debug {
    /// Keeps one entry. Must return soon: the caller waits for its reply.
    fn record(&self, entry: AuditEntry);

    /// Entries since, oldest first, at most so many.
    fn query(&self, since: Wall, max: u32) -> Result<Vec<Audited>, AuditProblem> {
        let _ = (since, max);
        Err(AuditProblem::unreadable())
    }

    /// Checks the chain.
    fn verify(&self) -> Result<AuditSummary, AuditProblem> {
        Err(AuditProblem::unreadable())
    }

    /// How many entries are kept.
    fn entries(&self) -> u64 {
        0
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Joins the two entries of a call; counts from 1 within a life of the daemon.
    pub call: u64,
    /// Before it acts, or at the end.
    pub phase: Phase,
    /// polkit action, `org.reeve.node1.manage-workers`.
    pub action: String,
    /// `Workers.Stop`.
    pub method: String,
    /// `web/1`, a team, a task run, or `node`.
    pub target: String,
    /// Arguments and options; secrets are redacted.
    pub arguments: BTreeMap<String, Json>,
    /// Who calls.
    pub caller: Arc<Client>,
    /// What the authority said: `granted (polkit)`, `refused`, or empty when it was not asked.
    pub polkit_result: String,
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// Same id, same task run.
    pub request_id: Option<String>,
    /// Id of the task run it started.
    pub task_run: Option<String>,
    /// `allowed` before acting; then `success`, the result of the task run, or the last part of the error name.
    pub result: String,
    /// Text of the error, or message of the task run.
    pub text: String,
}

/// Which of a call's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It is allowed and about to act.
    Begin,
    /// It has ended, or was refused.
    End,
}

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// When.
    pub at: Wall,
    /// Uid of the caller.
    pub uid: u32,
    /// `uid 1000 (alice), busctl[812], session 3`.
    pub caller: String,
    /// polkit action.
    pub action: String,
    /// What it was about.
    pub target: String,
    /// Result; `allowed` for the entry before acting.
    pub result: String,
    /// Everything else by name.
    pub more: BTreeMap<String, String>,
}

impl AuditEntry {
    /// The entry as it is kept: what is known, by name.
    pub fn kept(&self, at: Wall) -> Audited {
        let arguments = Json::from_iter(self.arguments.clone()).to_string();
        let caller = &self.caller;
        let phase = match self.phase {
            Phase::Begin => "begin",
            Phase::End => "end",
        };
        let more = [
            ("call", Some(self.call.to_string())),
            ("phase", Some(phase.to_owned())),
            ("method", Some(self.method.clone())),
            ("arguments", Some(arguments)),
            ("polkit_result", Some(self.polkit_result.clone())),
            ("reason", self.reason.clone()),
            ("request_id", self.request_id.clone()),
            ("task_run", self.task_run.clone()),
            ("text", Some(self.text.clone())),
            ("unique", caller.unique.clone()),
            ("pid", caller.pid.map(|pid| pid.to_string())),
            ("exe", caller.exe.clone()),
            ("comm", caller.comm.clone()),
            ("unit", caller.unit.clone()),
            ("session", caller.session.clone()),
        ];
        Audited {
            at,
            uid: caller.uid,
            caller: caller.to_string(),
            action: self.action.clone(),
            target: self.target.clone(),
            result: self.result.clone(),
            more: more
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value.filter(|v| !v.is_empty())?)))
                .collect(),
        }
    }
}

/// The trail is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSummary {
    /// How many entries are kept.
    pub entries: u64,
    /// The first.
    pub first: Option<Wall>,
    /// The last.
    pub last: Option<Wall>,
}

/// The trail cannot be read, or was tampered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct AuditProblem {
    /// The chain is broken; else it only cannot be read now.
    pub broken: bool,
    /// Names the entry, or says why.
    pub text: String,
}

impl AuditProblem {
    fn unreadable() -> Self {
        Self { broken: false, text: "the audit trail cannot be read back here".into() }
    }
}

/// Keeps nothing: for tests and tools that have no trail.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _entry: AuditEntry) {}
}
