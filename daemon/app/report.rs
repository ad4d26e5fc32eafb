//! What a node says of itself to its fleet (CAP-04).

use reeve_core::config::Config;
use reeve_core::fleet::{GpuReport, NodeReport, WorkerReport};
use reeve_core::status::{CardStatus, WorkerStatus};
use reeve_core::{Site, Snapshot};
use std::sync::Arc;

/// What it says.
pub(super) fn report(snapshot: &Snapshot, config: &Config, site: &Site) -> NodeReport {
    let worker = |worker: &Arc<WorkerStatus>| WorkerReport {
        name: worker.name.to_string(),
        role: worker.role.clone().unwrap_or_default(),
        state: worker.state.to_owned(),
        ready: worker.ready,
        wanted: worker.wanted,
        ports: worker.replicas.iter().filter(|replica| replica.ready).filter_map(|replica| replica.port).collect(),
        queue_depth: worker.replicas.iter().filter_map(|replica| replica.queue_depth).reduce(|a, b| a + b),
    };
    let gpu = |card: &CardStatus| GpuReport {
        uuid: card.card.uuid.clone(),
        name: card.card.name.clone(),
        health: card.health.to_owned(),
    };
    let problems = snapshot.node.components.iter().filter(|(_, problem)| !problem.is_empty());
    NodeReport {
        version: site.version.clone(),
        state: snapshot.node.state.to_owned(),
        problems: problems.map(|(component, problem)| format!("{component}: {problem}")).collect(),
        labels: snapshot.node.labels.clone(),
        cpus: site.cpus,
        memory: site.memory,
        gpus: snapshot.gpus.cards.iter().map(gpu).collect(),
        workers: snapshot.workers.values().map(worker).collect(),
        metrics: config.metrics.listen.clone().filter(|listen| reachable(listen)),
        slots: snapshot
            .fleet
            .slots
            .iter()
            .filter(|slot| slot.id.node.as_str() == config.node.name)
            .map(|s| s.id.to_string())
            .collect(),
    }
}

/// Whether others may reach this listening place.
fn reachable(listen: &str) -> bool {
    listen.parse::<std::net::SocketAddr>().is_ok_and(|address| !address.ip().is_loopback())
}
