//! Pictures of a node with workers, made by hand.

use reeve::sources::WorkersHandle;
use reeve_core::status::{ReplicaStatus, Vitals, WorkerStatus};
use reeve_core::{ReplicaId, RunId, Snapshot, TeamName, Wall, WorkerName};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// A replica as the loop shows it: number, run and cgroup while it lives, process.
#[derive(Debug, Clone)]
pub struct Living<'a> {
    pub index: u32,
    pub run: Option<(u8, &'a Path)>,
    pub pid: Option<u32>,
}

/// A picture with the replicas of one worker, `web` of the team `agents`.
pub fn picture(replicas: &[Living<'_>]) -> Arc<Snapshot> {
    let name = WorkerName::new("web").unwrap();
    let worker = WorkerStatus {
        name: name.clone(),
        team: TeamName::new("agents").unwrap(),
        role: Some("executor".to_owned()),
        wanted: 2,
        ready: 2,
        state: "running",
        reason: String::new(),
        since: Wall(0),
        restarts: 0,
        health: "healthy",
        digest: String::new(),
        order: 50,
        depends_on: Vec::new(),
        replicas: replicas.iter().map(|living| Arc::new(status(&name, living))).collect(),
    };
    let mut snapshot = Snapshot { at: Wall(0), ..Snapshot::default() };
    snapshot.workers.insert(name, Arc::new(worker));
    Arc::new(snapshot)
}

fn status(worker: &WorkerName, living: &Living<'_>) -> ReplicaStatus {
    ReplicaStatus {
        gpus: Vec::new(),
        id: ReplicaId::new(worker.clone(), living.index),
        state: if living.run.is_some() { "ready" } else { "stopped" },
        reason: String::new(),
        since: Wall(0),
        ready: living.run.is_some(),
        health: "healthy",
        pid: living.pid,
        run: living.run.map(|(run, _)| RunId([run; 16])),
        started: None,
        unit: None,
        cgroup: living.run.map(|(_, path)| path.display().to_string()),
        port: None,
        restarts: 0,
        next_start: None,
        last_exit: None,
        holds: Vec::new(),
        status_text: None,
        active_tasks: None,
        queue_depth: None,
        outdated: false,
        vitals: Vitals::default(),
    }
}

/// A handle that shows this picture, and the end by which to show others.
pub fn handle(picture: Arc<Snapshot>) -> (watch::Sender<Arc<Snapshot>>, WorkersHandle) {
    let (sender, receiver) = watch::channel(picture);
    (sender, WorkersHandle::new(receiver))
}
