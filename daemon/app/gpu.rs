//! The GPU source in the loop: started with the configuration, asked by effects, heard as events and reports.

use super::run::App;
use crate::host::cgroup::Group;
use crate::sources::gpu::{Gpu, Options, Outlet, Place};
use reeve_core::config::{self, Nvml};
use reeve_core::gpu::{Hold, Inventory};
use reeve_core::metrics::Report;
use reeve_core::status::{ReplicaStatus, WorkerStatus};
use reeve_core::{CommandId, Event, Snapshot};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// The source, if there is one, and what it was started with.
pub(super) struct Gpus {
    source: Option<Gpu>,
    config: config::Gpu,
    ways: Arc<Ways>,
}

/// Into the loop, and out of it.
struct Ways {
    reports: mpsc::UnboundedSender<Report>,
    events: mpsc::UnboundedSender<Event>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

impl Outlet for Ways {
    fn report(&self, report: Report) {
        // Nobody listens any more only when the daemon ends.
        let _ = self.reports.send(report);
    }

    fn inventory(&self, inventory: Inventory) {
        let _ = self.events.send(Event::Gpus(inventory));
    }

    fn places(&self) -> Vec<Place> {
        let snapshot = self.snapshot.borrow().clone();
        let of = |worker: &Arc<WorkerStatus>| -> Vec<Place> {
            let live = worker.replicas.iter().filter(|r| r.run.is_some());
            live.map(|replica| place(worker, replica)).collect()
        };
        snapshot.workers.values().flat_map(of).collect()
    }
}

fn place(worker: &WorkerStatus, replica: &ReplicaStatus) -> Place {
    Place {
        replica: replica.id.clone(),
        role: worker.role.clone().unwrap_or_default(),
        cgroup: replica.cgroup.clone(),
        pid: replica.pid,
    }
}

impl Gpus {
    /// Starts it, unless it is turned off. `released`: it begins without NVML.
    pub(super) fn start(
        config: config::Gpu,
        released: bool,
        reports: mpsc::UnboundedSender<Report>,
        events: mpsc::UnboundedSender<Event>,
        snapshot: watch::Receiver<Arc<Snapshot>>,
    ) -> Self {
        let ways = Arc::new(Ways { reports, events, snapshot });
        let source = source(&config, released, &ways);
        Self { source, config, ways }
    }

    /// The configuration may have changed: then it begins anew.
    pub(super) fn apply(&mut self, config: &config::Gpu, released: bool) {
        if self.config != *config {
            // The old threads end by themselves; a call that hangs holds nobody up.
            self.source = source(config, released, &self.ways);
            self.config = config.clone();
        }
    }
}

fn source(config: &config::Gpu, released: bool, ways: &Arc<Ways>) -> Option<Gpu> {
    let library = match &config.nvml {
        Nvml::Off => {
            ways.inventory(Inventory { hold: Hold::Off, ..Inventory::default() });
            return None;
        }
        Nvml::Auto => None,
        Nvml::Library(path) => Some(PathBuf::from(path)),
    };
    let options = Options { released, gpm: config.gpm, nvlink_links: config.nvlink_links, ..Options::new(library) };
    match Gpu::start(options, Arc::clone(ways) as Arc<dyn Outlet>) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            let why = format!("the thread for NVML cannot be made: {error}");
            ways.inventory(Inventory { hold: Hold::Unavailable(why), ..Inventory::default() });
            None
        }
    }
}

impl App {
    /// Effect: look at the processes.
    pub(super) fn look_at_gpus(&self) {
        if let Some(source) = &self.gpus.source {
            source.look();
        }
    }

    /// Effect: let go of NVML, or get hold of it.
    pub(super) fn hold_gpus(&mut self, id: CommandId, hold: bool) {
        let Some(source) = &self.gpus.source else {
            let result = Err("there is no GPU source to ask".to_owned());
            return self.queue.push_back(Event::GpusHeld { id, result });
        };
        let events = self.gpus.ways.events.clone();
        let answer = Box::new(move |result| {
            let _ = events.send(Event::GpusHeld { id, result });
        });
        if hold { source.acquire(answer) } else { source.release(answer) }
    }

    /// Effect: nothing of a dead run may be left in its cgroup.
    pub(super) fn kill_stragglers(&self, cgroup: &str) {
        Group::at(PathBuf::from(cgroup)).kill();
    }
}
