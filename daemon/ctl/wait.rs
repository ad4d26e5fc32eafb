//! Following changes to their end: subscribe, then read; a progress line on a terminal; Ctrl-C only detaches.

mod progress;

use super::args::WaitArgs;
use super::context::Ctl;
use super::failure::{Doing, Failure, NO, REFUSED, YES, code_of, message};
use super::json;
use super::render::{Style, Tone, listings};
use crate::bus::proxy::records::id_of;
use crate::bus::proxy::{CallError, Client, Place, PlanLine, TaskRun};
use crate::host::clock::until;
use progress::Progress;
use serde_json::Value;
use tokio::time::Instant;

/// What became of one target.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// `web`, `web/2`, `node`, `*`.
    pub target: String,
    /// Id of the task run.
    pub task_run: Option<String>,
    /// `done`, `running` (not awaited), `refused`.
    pub state: String,
    /// `success`, `failed` ….
    pub result: Option<String>,
    /// What was said.
    pub message: Option<String>,
    /// Name of the error.
    pub error: Option<String>,
    /// What would be done.
    pub plan: Option<Vec<PlanLine>>,
    /// The exit code it calls for.
    pub code: u8,
}

impl Outcome {
    /// Done at once, without a task run.
    pub fn at_once(target: &str, message: Option<String>) -> Self {
        Self {
            target: target.to_owned(),
            state: "done".to_owned(),
            result: Some("success".to_owned()),
            message,
            ..Self::default()
        }
    }

    /// As JSON has it.
    pub fn document(&self) -> json::Outcome<'_> {
        json::Outcome {
            target: &self.target,
            task_run: self.task_run.as_deref(),
            state: &self.state,
            result: self.result.as_deref(),
            message: self.message.as_deref(),
            error: self.error.as_deref(),
            plan: self.plan.as_ref().map(|p| p.iter().map(json::Plan::new).collect()),
        }
    }

    fn refused(target: &str, error: &CallError) -> Self {
        let name = match error {
            CallError::Refused { name, .. } => name.clone(),
            CallError::NotAuthorized { .. } => "NotAuthorized".to_owned(),
            _ => "Unreachable".to_owned(),
        };
        Self {
            target: target.to_owned(),
            state: "refused".to_owned(),
            message: Some(error.to_string()),
            error: Some(name),
            code: code_of(error),
            ..Self::default()
        }
    }
}

/// One change that was asked for: the path of its task run, or why there is none.
#[derive(Debug)]
pub struct Asked {
    /// Of whom.
    pub target: String,
    /// The answer.
    pub answer: Result<String, CallError>,
    /// Where to look when it does not go well.
    pub of: Of,
}

/// What a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// One worker or replica.
    Worker,
    /// The node, or all of its workers.
    Node,
    /// The fleet.
    Fleet,
}

impl Of {
    /// The commands that show how it stands, and what has happened.
    fn see(self, target: &str) -> [String; 2] {
        match self {
            Of::Worker => [format!("reevectl status {target}"), format!("reevectl events {target}")],
            Of::Node => ["reevectl status".to_owned(), "reevectl events".to_owned()],
            Of::Fleet => ["reevectl fleet status".to_owned(), "reevectl fleet why".to_owned()],
        }
    }
}

/// Waits for all that was asked for, shows what became of it, and gives the exit code. `word` is the verb as typed.
pub async fn finish(
    ctl: &Ctl,
    client: &Client,
    word: &str,
    asked: Vec<Asked>,
    wait: &WaitArgs,
    dry_run: bool,
) -> Result<u8, Failure> {
    let deadline = wait.timeout.map(|t| Instant::now() + t);
    let mut outcomes = Vec::new();
    for asked in asked {
        let of = asked.of;
        let outcome = match asked.answer {
            // A dry run is over at once; there is nothing to detach from.
            Ok(path) if wait.no_wait && !dry_run => accepted(&asked.target, &path),
            _ => settle(ctl, client, word, asked, deadline, dry_run).await?,
        };
        if !ctl.global.json {
            show(ctl, word, of, &outcome)?;
        }
        outcomes.push(outcome);
    }
    conclude(ctl, &outcomes)
}

/// What becomes of one change, waited for. A refusal is told here.
pub async fn settle(
    ctl: &Ctl,
    client: &Client,
    word: &str,
    asked: Asked,
    deadline: Option<Instant>,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let Asked { target, answer, of } = asked;
    match answer {
        Err(error) => {
            ctl.output.err(&message(&format!("{word} {}", named(&target)), &error, &ctl.place));
            Ok(Outcome::refused(&target, &error))
        }
        Ok(path) => follow(ctl, client, word, (&target, of), &path, deadline, dry_run).await,
    }
}

/// The document of a change, and its exit code: the most telling of all targets.
pub fn conclude(ctl: &Ctl, outcomes: &[Outcome]) -> Result<u8, Failure> {
    if ctl.global.json {
        let document: Vec<json::Outcome<'_>> = outcomes.iter().map(Outcome::document).collect();
        ctl.document(&document)?;
    }
    Ok(outcomes.iter().map(|o| o.code).max().unwrap_or(YES))
}

/// Not waited for.
pub fn accepted(target: &str, path: &str) -> Outcome {
    Outcome {
        target: target.to_owned(),
        task_run: Some(id_of(path).to_owned()),
        state: "running".to_owned(),
        ..Outcome::default()
    }
}

/// Why waiting ended.
enum End {
    Done(TaskRun),
    Timeout,
    Detached,
}

async fn follow(
    ctl: &Ctl,
    client: &Client,
    word: &str,
    (target, of): (&str, Of),
    path: &str,
    deadline: Option<Instant>,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let mut progress = Progress::new(ctl, word, target);
    let end = watch(client, path, deadline, &mut progress).await;
    progress.clear();
    let id = id_of(path);
    let base = Outcome { code: NO, ..accepted(target, path) };
    match end.doing(format!("follow task run {id} ({word} {target})"))? {
        End::Done(run) => {
            let plan = if dry_run && run.is_success() {
                let report = client.report(path).await;
                Some(plan_of(&report.doing("read what would be done")?))
            } else {
                None
            };
            let refused_late = run.error_name.is_some() && run.result.is_none();
            Ok(Outcome {
                code: match (run.is_success(), refused_late) {
                    (true, _) => YES,
                    (false, true) => REFUSED,
                    (false, false) => NO,
                },
                state: run.state,
                result: run.result,
                message: run.message,
                error: run.error_name.map(|n| short(&n)),
                plan,
                ..base
            })
        }
        End::Timeout => {
            ctl.output.err(&format!(
                "reevectl: {word} {} is not over yet; task run {id} goes on.\n{}",
                named(target),
                look_again(ctl, of, target, path)
            ));
            Ok(base)
        }
        End::Detached => {
            ctl.output.err(&format!(
                "\nDetached: {word} {} goes on as task run {id}.\n{}",
                named(target),
                look_again(ctl, of, target, path)
            ));
            Err(Failure::Said(NO))
        }
    }
}

async fn watch(
    client: &Client,
    path: &str,
    deadline: Option<Instant>,
    progress: &mut Progress<'_>,
) -> Result<End, CallError> {
    let mut watch = client.watch(path).await?;
    let timeout = until(deadline);
    tokio::pin!(timeout);
    loop {
        // Cancel safety: whichever arm wins, either the loop reads again or the wait is over.
        tokio::select! {
            run = watch.next() => {
                let run = run?;
                if run.is_done() {
                    return Ok(End::Done(run));
                }
                progress.show(&run);
            }
            () = &mut timeout => return Ok(End::Timeout),
            _ = tokio::signal::ctrl_c() => return Ok(End::Detached),
        }
    }
}

/// How to see and how to end what goes on without us. busctl speaks to buses, not to peers.
fn look_again(ctl: &Ctl, of: Of, target: &str, path: &str) -> String {
    let [status, _] = of.see(target);
    match ctl.place {
        Place::System => format!(
            "See `{status}`; to cancel it:\n  \
             busctl call org.reeve.Node1 {path} org.reeve.Node1.TaskRun Cancel 'a{{sv}}' 0\n"
        ),
        _ => format!("See `{status}`.\n"),
    }
}

/// The target in a sentence.
fn named(target: &str) -> &str {
    if target == "*" { "all workers" } else { target }
}

/// Tells a person what became of it.
pub fn show(ctl: &Ctl, word: &str, of: Of, outcome: &Outcome) -> Result<(), Failure> {
    let target = named(&outcome.target);
    let style = &ctl.style;
    if let Some(plan) = &outcome.plan {
        return ctl.print(&listings::plan(plan, style));
    }
    match (outcome.state.as_str(), outcome.code) {
        ("refused", _) => Ok(()),
        ("running", YES) => {
            let id = outcome.task_run.as_deref().unwrap_or_default();
            ctl.print(&format!("{target}: accepted as task run {id}\n"))
        }
        ("running", _) => Ok(()),
        (_, YES) => ctl.print(&line(target, outcome, style)),
        _ => {
            ctl.output.err(&format!("reevectl: {word} {}", line(target, outcome, style)));
            let [status, past] = of.see(&outcome.target);
            ctl.output.err(&format!("See `{status}` and `{past}`.\n"));
            Ok(())
        }
    }
}

fn line(target: &str, outcome: &Outcome, style: &Style) -> String {
    let result = outcome.result.as_deref().unwrap_or("lost");
    let tone = Tone::of_state(result);
    match outcome.message.as_deref().unwrap_or_default() {
        "" if result == "success" => format!("{target}: {}\n", style.paint(tone, "done")),
        "" => format!("{target}: {}\n", style.paint(tone, result)),
        message if result == "success" => format!("{target}: {message}\n"),
        message => format!("{target}: {}: {message}\n", style.paint(tone, result)),
    }
}

/// The actions in a report: an array of them, or an object that holds one as `plan`.
fn plan_of(report: &Value) -> Vec<PlanLine> {
    let rows = report.as_array().or_else(|| report.get("plan").and_then(Value::as_array));
    let text = |v: Option<&Value>| v.and_then(Value::as_str).unwrap_or_default().to_owned();
    rows.into_iter()
        .flatten()
        .map(|row| PlanLine {
            action: text(row.get("action").or_else(|| row.get(0))),
            target: text(row.get("target").or_else(|| row.get(1))),
            reason: text(row.get("reason").or_else(|| row.get(2))),
        })
        .collect()
}

fn short(name: &str) -> String {
    name.strip_prefix("org.reeve.Error.").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_in_either_shape() {
        let line = PlanLine { action: "stop".to_owned(), target: "web/1".to_owned(), reason: "asked".to_owned() };
        let object = serde_json::json!({"action": "stop", "target": "web/1", "reason": "asked"});
        for report in [
            serde_json::json!([object]),
            serde_json::json!({"plan": [object]}),
            serde_json::json!([["stop", "web/1", "asked"]]),
        ] {
            assert_eq!(plan_of(&report), std::slice::from_ref(&line));
        }
        assert!(plan_of(&Value::Null).is_empty());
    }
}
