//! One worker or replica in the style of `systemctl status`: the facts, the replicas, the last runs, the last lines.

use super::node::{join, memory, state, warned};
use super::runs;
use super::style::{Style, Tone, tame};
use super::table::{Cell, Column, NOTHING, Text, fields, plain, table};
use super::units::{bytes, relative, short, stamp};
use crate::bus::proxy::{Replica, ReplicaExit, Run, Worker};
use reeve_core::exit::signal_name;

/// How many runs are shown below a worker.
pub const RUNS_SHOWN: usize = 5;

/// The worker as a whole.
pub fn worker(worker: &Worker, runs: &[Run], log: &str, style: &Style) -> String {
    let role = worker.role.as_ref().map(|r| format!(", role {r}"));
    let title = format!(
        "{} {} - worker of team {}{}\n",
        style.mark(&worker.state),
        style.paint(Tone::Bold, &worker.name),
        worker.team,
        role.unwrap_or_default()
    );
    let entries = [
        ("State", Some(state(&worker.state, worker.since, style))),
        ("Reason", plain(worker.reason.clone())),
        ("Ready", Some(ready(worker))),
        ("Health", plain(worker.health.clone())),
        ("Restarts", plain(Some(worker.restarts.to_string()))),
        ("Order", plain(order(worker))),
        ("Memory", memory(worker.memory_current)),
        ("Holds", holds(&worker.holds, worker.reason.as_deref())),
    ];
    let mut out = title + &fields(&entries, style);
    if !worker.replicas.is_empty() {
        out.push('\n');
        out.push_str(&replicas(&worker.replicas, style));
    }
    out + &history(runs, log, style)
}

/// One replica.
pub fn replica(worker: &Worker, replica: &Replica, runs: &[Run], log: &str, style: &Style) -> String {
    let title = format!(
        "{} {} - replica of team {}\n",
        style.mark(&replica.state),
        style.paint(Tone::Bold, &format!("{}/{}", worker.name, replica.index)),
        worker.team,
    );
    let next = replica.next_start.map(|at| {
        let text = format!("{}; {}", stamp(at, style), relative(at, style.now));
        vec![(Tone::Warn, text)]
    });
    let entries = [
        ("State", Some(state(&replica.state, replica.since, style))),
        ("Reason", plain(replica.reason.clone())),
        ("Status", plain(replica.status.as_ref().map(|s| format!("\"{s}\"")))),
        ("Unit", plain(replica.unit.clone())),
        ("Main PID", plain(replica.pid.map(|p| p.to_string()))),
        ("Run", plain(replica.run.clone())),
        ("Health", plain(replica.health.clone())),
        ("Port", plain(replica.port.map(|p| p.to_string()))),
        ("Memory", memory(replica.memory_current)),
        ("Tasks", plain(tasks(replica))),
        ("Restarts", plain(Some(replica.restarts.to_string()))),
        ("Last exit", replica.last_exit.as_ref().map(|e| last_exit(e, style))),
        ("Next start", next),
        ("Outdated", warned(replica.outdated.then(|| "its definition has changed since it started".to_owned()))),
        ("Holds", holds(&replica.holds, replica.reason.as_deref())),
    ];
    title + &fields(&entries, style) + &history(runs, log, style)
}

/// `2 in hand, 40 waiting`.
fn tasks(replica: &Replica) -> Option<String> {
    let hand = replica.active_tasks.map(|n| format!("{n} in hand"));
    let queue = replica.queue_depth.map(|n| format!("{n} waiting"));
    let known: Vec<_> = hand.into_iter().chain(queue).collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// `exit-code 3`, `signal SIGKILL`, `oom`.
pub fn cause(cause: &str, exit_code: Option<i64>, signal: Option<i64>) -> String {
    match (cause, exit_code, signal) {
        ("exit-code", Some(code), _) => format!("exit code {code}"),
        ("signal", _, Some(n)) => {
            let name = i32::try_from(n).map_or_else(|_| n.to_string(), signal_name);
            format!("signal {name}")
        }
        _ => cause.to_owned(),
    }
}

/// The tone of an end.
pub fn cause_tone(cause: &str) -> Tone {
    match cause {
        "clean" | "operator" => Tone::Plain,
        "unknown" => Tone::Warn,
        _ => Tone::Bad,
    }
}

/// What holds it back, unless the reason has said so already.
fn holds(holds: &[String], reason: Option<&str>) -> Option<Text> {
    let new: Vec<String> = holds.iter().filter(|h| Some(h.as_str()) != reason).cloned().collect();
    warned(join(&new))
}

fn ready(worker: &Worker) -> Text {
    let tone = if worker.ready >= worker.wanted { Tone::Plain } else { Tone::Warn };
    vec![(tone, format!("{}/{}", worker.ready, worker.wanted))]
}

fn order(worker: &Worker) -> Option<String> {
    match (worker.order, join(&worker.depends_on)) {
        (Some(order), Some(after)) => Some(format!("{order}, after {after}")),
        (Some(order), None) => Some(order.to_string()),
        (None, Some(after)) => Some(format!("after {after}")),
        (None, None) => None,
    }
}

fn last_exit(exit: &ReplicaExit, style: &Style) -> Text {
    let text = cause(&exit.cause, exit.exit_code, exit.signal);
    let mut out = vec![(cause_tone(&exit.cause), text)];
    if let Some(at) = exit.at {
        let when = format!("; {}; {}", stamp(at, style), relative(at, style.now));
        out.push((Tone::Plain, when));
    }
    out
}

fn replicas(replicas: &[Replica], style: &Style) -> String {
    const COLUMNS: [Column; 8] = [
        Column::left(""),
        Column::right("N"),
        Column::left("STATE"),
        Column::right("PID"),
        Column::right("RESTARTS"),
        Column::right("MEMORY"),
        Column::left("SINCE"),
        Column::flexible("LAST EXIT", 12),
    ];
    let text = |t: Option<String>| Cell::from(t.unwrap_or_else(|| NOTHING.to_owned()));
    let rows: Vec<Vec<Cell>> = replicas
        .iter()
        .map(|r| {
            let exit = r.last_exit.as_ref().map_or_else(
                || Cell::from(NOTHING),
                |e| {
                    let what = cause(&e.cause, e.exit_code, e.signal);
                    let when = e.at.map(|at| format!(", {}", relative(at, style.now)));
                    Cell::toned(what + &when.unwrap_or_default(), cause_tone(&e.cause))
                },
            );
            vec![
                Cell::mark(&r.state, style),
                r.index.to_string().into(),
                Cell::state(&r.state),
                text(r.pid.map(|p| p.to_string())),
                r.restarts.to_string().into(),
                text(r.memory_current.map(bytes)),
                text(r.since.map(|s| short(s, style.now))),
                exit,
            ]
        })
        .collect();
    table(&COLUMNS, &rows, 0, style)
}

fn history(all: &[Run], log: &str, style: &Style) -> String {
    let mut out = String::new();
    if !all.is_empty() {
        let shown = all.get(..RUNS_SHOWN).unwrap_or(all);
        out.push('\n');
        out.push_str(&runs::table_of(shown, style));
    }
    if !log.is_empty() {
        out.push('\n');
        for line in tame(log).lines() {
            out.push_str(&style.fit(line));
            out.push('\n');
        }
    }
    out
}
