//! Samples on their way through the loop: taken from sources, put where pages are made from.

use super::handle::Handle;
use super::run::App;
use crate::export::{Export, Settings, View};
use crate::host::clock::Clock;
use crate::host::paths::Paths;
use crate::sources::{self, Sources, SourcesConfig, WorkersHandle};
use reeve_core::config::{Merged, Metrics, explain};
use reeve_core::metrics::{Caps, Report};
use reeve_core::{Core, Event, ExitRecord};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// `FileDescriptorName=` of the endpoint's socket unit.
const SOCKET_NAME: &str = "metrics";

/// The sources that run.
#[derive(Debug)]
pub(super) struct Measuring {
    workers: WorkersHandle,
    reports: mpsc::UnboundedSender<Report>,
    events: mpsc::UnboundedSender<Event>,
    system: bool,
    running: Option<Sources>,
}

impl Measuring {
    /// Starts the sources.
    pub(super) fn start(
        system: bool,
        handle: &Handle,
        reports: mpsc::UnboundedSender<Report>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let workers = WorkersHandle::new(handle.watch());
        let mut measuring = Self { workers, reports, events, system, running: None };
        measuring.restart();
        measuring
    }

    /// With or without the families of node_exporter. What was looked at and is not any more ends within two periods.
    fn apply(&mut self, system: bool) {
        if std::mem::replace(&mut self.system, system) != system {
            self.restart();
        }
    }

    /// A run is over.
    pub(super) fn ended(&self, record: &ExitRecord) {
        self.workers.ended(record);
    }

    fn restart(&mut self) {
        let config = SourcesConfig { system: self.system, ..SourcesConfig::default() };
        let started = sources::start(config, self.reports.clone(), self.workers.clone());
        if let Err(error) = &started {
            let problem = Some(format!("the thread of the sources cannot be made: {error}"));
            // The loop lives at least as long as this.
            let _ = self.events.send(Event::ComponentHealth { component: "sources", problem });
        }
        self.running = started.ok();
    }
}

impl App {
    /// Takes a report. Whoever writes a page finds it; nothing is written here.
    pub(super) fn reported(&mut self, report: Report) {
        self.board.take(report, Clock::now());
        self.exposition.send_replace(self.board.exposition());
    }

    /// The configuration has changed.
    pub(super) fn metrics_settings(&mut self) {
        let released = self.core.gpus_released();
        self.gpus.apply(&self.core.config().gpu, released);
        let metrics = &self.core.config().metrics;
        self.board.set_caps(caps(metrics));
        self.measuring.apply(metrics.system);
        if let Some(export) = &self.export {
            export.apply(settings(metrics, &self.merged, &self.paths));
        }
    }
}

/// How many series are kept.
pub(super) fn caps(metrics: &Metrics) -> Caps {
    Caps { node: metrics.max_series as usize, worker: metrics.max_worker_series as usize }
}

/// Starts the endpoint. `handed` are descriptors from the service manager that nobody else wanted.
pub(super) fn start(
    core: &Core,
    merged: &Merged,
    paths: &Paths,
    handed: Vec<(String, OwnedFd)>,
    handle: &Handle,
    events: &mpsc::UnboundedSender<Event>,
) -> Option<Export> {
    let settings = settings(&core.config().metrics, merged, paths);
    let inherited = handed.into_iter().filter(|(name, _)| name == SOCKET_NAME).map(|(_, fd)| fd).collect();
    match Export::start(settings, inherited, View::new(handle.clone()), events.clone()) {
        Ok(export) => Some(export),
        Err(error) => {
            let problem = Some(format!("the endpoint's thread cannot be made: {error}"));
            // The inbox is there: the loop has not begun.
            let _ = events.send(Event::ComponentHealth { component: "metrics", problem });
            None
        }
    }
}

fn settings(metrics: &Metrics, merged: &Merged, paths: &Paths) -> Settings {
    let origin = explain("metrics.listen", Some(merged)).and_then(|mut facts| facts.remove("origin"));
    let by_default = origin.is_none_or(|origin| origin == "default");
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    Settings::of(metrics, by_default, paths, credentials.as_deref())
}
