//! `status [WORKER[/N]]`: the node in one screen, or one worker with its last runs and last lines.

use super::list::no_such_worker;
use super::logs;
use crate::bus::proxy::client::LogQuery;
use crate::bus::proxy::{CallError, Client, NodeState, Worker};
use crate::ctl::args::StatusArgs;
use crate::ctl::context::{Ctl, target};
use crate::ctl::failure::{Doing, Failure, NO, YES};
use crate::ctl::json;
use crate::ctl::render::{node, worker};
use reeve_core::Target;

/// Exits with 0 when all that was asked about is running and ready.
pub async fn run(ctl: &Ctl, a: &StatusArgs) -> Result<u8, Failure> {
    match &a.target {
        None => whole_node(ctl, a).await,
        Some(text) => one_worker(ctl, a, &target(text)?).await,
    }
}

async fn whole_node(ctl: &Ctl, a: &StatusArgs) -> Result<u8, Failure> {
    let client = ctl.client().await?;
    let state = client.status().await.doing("show the node")?;
    let workers = client.workers().await.doing("list workers")?;
    if ctl.global.json {
        ctl.document(&json::Node::new(&state, Some(&workers)))?;
    } else {
        ctl.show(&node::screen(&state, &workers, &ctl.style(a.full)))?;
    }
    Ok(answer(node_is_well(&state, &workers)))
}

async fn one_worker(ctl: &Ctl, a: &StatusArgs, target: &Target) -> Result<u8, Failure> {
    let client = ctl.client().await?;
    let what = || format!("show {target}");
    let workers = client.workers().await.doing(what())?;
    let name = target.worker().as_str();
    let Some(found) = workers.iter().find(|w| w.name == name) else {
        return Err(no_such_worker(name, &workers)).doing(what());
    };
    let index = match target {
        Target::Worker(_) => None,
        Target::Replica(r) => Some(r.index),
    };
    let replica = index.map(|n| found.replicas.iter().find(|r| r.index == n));
    if replica == Some(None) {
        return Err(CallError::Refused {
            name: "NoSuchReplica".to_owned(),
            text: format!("{name} has no replica {}", index.unwrap_or(0)),
        })
        .doing(what());
    }
    let text = target.to_string();
    let max = u32::try_from(worker::RUNS_SHOWN).ok();
    let runs = client.runs(&text, max).await.doing(what())?;
    let log = last_lines(&client, &text, a.lines).await;
    if ctl.global.json {
        ctl.document(&json::WorkerStatus {
            worker: json::Worker::only(found, index),
            runs: runs.iter().map(json::Run::new).collect(),
            log: log.as_deref().map(|l| l.lines().collect()),
        })?;
    } else {
        let log = log.unwrap_or_default();
        let style = ctl.style(a.full);
        ctl.show(&match replica.flatten() {
            Some(one) => worker::replica(found, one, &runs, &log, &style),
            None => worker::worker(found, &runs, &log, &style),
        })?;
    }
    Ok(answer(match replica.flatten() {
        Some(one) => one.ready,
        None => is_well(found),
    }))
}

/// Log lines stand beside the status; without the right to read them, or without any, the rest is shown all the same.
async fn last_lines(client: &Client, target: &str, lines: u32) -> Option<String> {
    if lines == 0 {
        return None;
    }
    let query = LogQuery { lines: Some(lines), unasked: true, ..LogQuery::default() };
    let pipe = client.logs(target, &query).await.ok()?;
    logs::read(pipe).ok()
}

fn answer(yes: bool) -> u8 {
    if yes { YES } else { NO }
}

/// Running as wanted, or ended as it should.
fn is_well(w: &Worker) -> bool {
    match w.state.as_str() {
        "running" => w.ready >= w.wanted,
        "done" => true,
        _ => false,
    }
}

/// What an operator has stopped is no complaint of the node.
fn node_is_well(node: &NodeState, workers: &[Worker]) -> bool {
    node.state == "running" && workers.iter().all(|w| is_well(w) || w.state == "stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_well_when_all_that_should_run_is_ready() {
        let worker =
            |state: &str, ready, wanted| Worker { state: state.to_owned(), ready, wanted, ..Worker::default() };
        let node = |state: &str| NodeState { state: state.to_owned(), ..NodeState::default() };
        let well = |w| node_is_well(&node("running"), &[w]);
        assert!(node_is_well(&node("running"), &[]));
        assert!(!node_is_well(&node("degraded"), &[]));
        assert!(well(worker("running", 2, 2)));
        assert!(well(worker("stopped", 0, 2)));
        assert!(well(worker("done", 0, 1)));
        assert!(!well(worker("running", 1, 2)));
        assert!(!well(worker("crash-loop", 0, 1)));
        assert!(!is_well(&worker("stopped", 0, 2)));
    }
}
