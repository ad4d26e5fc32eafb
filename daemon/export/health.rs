//! `/ready` and `/health`: status and a map of components (HLT-07).

use reeve_core::Snapshot;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Whether the node takes work: it runs, is not being drained or held back from starts, and nothing it leans on has
/// failed. Workers that are down do not count: they are what it is there for.
pub(super) fn ready(picture: &Snapshot) -> (bool, Value) {
    let node = &picture.node;
    let reason = match &node.cordoned {
        Some(why) if node.state == "running" => format!("cordoned: {why}"),
        _ => node.reason.clone(),
    };
    let ready = node.state == "running" && node.cordoned.is_none();
    (ready, document(picture, if ready { "ready" } else { "not-ready" }, &reason, components(picture)))
}

/// Whether everything is well: the node, what it leans on, and each worker.
pub(super) fn health(picture: &Snapshot) -> (bool, Value) {
    let mut all = components(picture);
    for worker in picture.workers.values() {
        let well = worker.ready >= worker.wanted && worker.health != "unhealthy";
        let off = matches!(worker.state, "stopped" | "paused" | "done");
        let problem = match (well || off, worker.reason.as_str()) {
            (true, _) => String::new(),
            (false, "") => format!("{}: {} of {} ready", worker.state, worker.ready, worker.wanted),
            (false, why) => format!("{}: {why}", worker.state),
        };
        all.insert(format!("worker/{}", worker.name), problem);
    }
    let first = all.iter().find(|(_, problem)| !problem.is_empty());
    let well = first.is_none();
    let reason = first.map(|(name, problem)| format!("{name}: {problem}")).unwrap_or_default();
    (well, document(picture, if well { "healthy" } else { "unhealthy" }, &reason, all))
}

fn components(picture: &Snapshot) -> BTreeMap<String, String> {
    picture.node.components.clone()
}

fn document(picture: &Snapshot, status: &str, reason: &str, components: BTreeMap<String, String>) -> Value {
    let shown: BTreeMap<String, Value> = components
        .into_iter()
        .map(|(name, problem)| {
            let status = if problem.is_empty() { "healthy" } else { "unhealthy" };
            (name, json!({ "status": status, "reason": problem }))
        })
        .collect();
    json!({
        "status": status,
        "reason": reason,
        "node": picture.node.name,
        "state": picture.node.state,
        "components": shown,
    })
}
