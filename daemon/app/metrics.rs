//! Samples on their way through the loop: taken from sources, put where pages are made from.

use super::handle::Handle;
use super::run::App;
use crate::bus::units;
use crate::export::{Export, Settings, View};
use crate::host::clock::Clock;
use crate::host::paths::Paths;
use crate::intake::{Intake, Said, What};
use crate::sources::{self, Sources, SourcesConfig, WorkersHandle};
use reeve_core::config::{Config, Merged, Metrics, explain};
use reeve_core::metrics::{Caps, Report};
use reeve_core::{Core, Event, ExitRecord, ReplicaId, Snapshot};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// `FileDescriptorName=` of the endpoint's socket unit.
const SOCKET_NAME: &str = "metrics";

/// The source of units that are not ours.
const UNITS: &str = "systemd";

/// The sources that run.
#[derive(Debug)]
pub(super) struct Measuring {
    workers: WorkersHandle,
    reports: mpsc::UnboundedSender<Report>,
    events: mpsc::UnboundedSender<Event>,
    /// What is looked at; `None`: nothing.
    wanted: Option<Wanted>,
    running: Option<Sources>,
    /// Follows units that are not ours.
    units: JoinSet<()>,
}

/// What of the configuration concerns the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    /// The families of node_exporter.
    system: bool,
    hardware: bool,
    network_filesystems: bool,
    units: Vec<String>,
}

impl Measuring {
    /// Starts the sources, if anybody may read what they bring.
    pub(super) fn start(
        metrics: &Metrics,
        handle: &Handle,
        reports: mpsc::UnboundedSender<Report>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let workers = WorkersHandle::new(handle.watch());
        let mut measuring =
            Self { workers, reports, events, wanted: wanted(metrics), running: None, units: JoinSet::new() };
        measuring.restart();
        measuring
    }

    /// The configuration has changed; whether that concerns the sources. What was looked at and is not any more ends
    /// within two periods.
    fn apply(&mut self, metrics: &Metrics) -> bool {
        let wanted = wanted(metrics);
        let differs = self.wanted != wanted;
        if differs {
            self.wanted = wanted;
            self.restart();
        }
        differs
    }

    /// Whether a report is still wanted: one of a source that has ended may be on its way.
    fn wants(&self, report: &Report) -> bool {
        report.source != UNITS || self.wanted.as_ref().is_some_and(|wanted| !wanted.units.is_empty())
    }

    /// A run is over. Where nothing is measured, nobody would ever take that note.
    pub(super) fn ended(&self, record: &ExitRecord) {
        if self.running.is_some() {
            self.workers.ended(record);
        }
    }

    fn restart(&mut self) {
        self.running = None;
        self.units = JoinSet::new();
        let Some(Wanted { system, hardware, network_filesystems, units }) = self.wanted.clone() else { return };
        self.follow(units);
        let config = SourcesConfig { system, hardware, network_filesystems, ..SourcesConfig::default() };
        let started = sources::start(config, self.reports.clone(), self.workers.clone());
        if let Err(error) = &started {
            let problem = Some(format!("the thread of the sources cannot be made: {error}"));
            // The loop lives at least as long as this.
            let _ = self.events.send(Event::ComponentHealth { component: "sources", problem });
        }
        self.running = started.ok();
    }

    fn follow(&mut self, names: Vec<String>) {
        if names.is_empty() {
            return;
        }
        let reports = self.reports.clone();
        let say = move |outcome| {
            let at = Clock::now().mono;
            reports.send(Report { source: UNITS, at, took: Duration::ZERO, outcome }).is_ok()
        };
        self.units.spawn(units::follow(names, say));
    }
}

impl App {
    /// Takes a report. Whoever writes a page finds it; nothing is written here.
    pub(super) fn reported(&mut self, report: Report) {
        if !self.measuring.wants(&report) {
            return;
        }
        self.board.take(report, Clock::now());
        self.exposition.send_replace(self.board.exposition());
    }

    /// Takes what a replica says of itself.
    pub(super) fn said(&mut self, said: Said) {
        if self.core.state_of(&said.replica).is_none() {
            // It was forgotten while this was on its way.
            return;
        }
        match said.what {
            What::Series { told, period } => {
                self.board.take_foreign(said.replica, told, period, Clock::now());
                self.unshown = true;
            }
            What::Values { run, values } => {
                self.turn(Event::WorkerValues { replica: said.replica, run, values });
            }
        }
    }

    /// Shows what has come together in a turn.
    pub(super) fn show_series(&mut self) {
        if std::mem::take(&mut self.unshown) {
            self.exposition.send_replace(self.board.exposition());
        }
    }

    /// A replica is about to be started, or runs already.
    pub(super) fn hear(&mut self, replica: &ReplicaId, starting: bool, user: Option<u32>) {
        let statsd = self.core.config().workers.get(&replica.worker).is_some_and(|w| w.metrics.statsd);
        match &mut self.intake {
            Some(intake) if starting => intake.starting(replica, statsd, user),
            Some(intake) => intake.adopt(replica, statsd),
            None => {}
        }
    }

    /// A replica is no longer ours, and neither is what it said.
    pub(super) fn unhear(&mut self, replica: &ReplicaId) {
        if let Some(intake) = &mut self.intake {
            intake.forget(replica);
        }
        self.board.forget_foreign(|id| id != replica);
        self.unshown = true;
    }

    /// Another configuration is about to take effect. Told before, so that a worker that it starts is known.
    pub(super) fn hear_of(&mut self, config: &Arc<Config>) {
        if let Some(intake) = &mut self.intake {
            intake.configure(Arc::clone(config));
        }
    }

    /// The configuration has changed.
    pub(super) fn metrics_settings(&mut self) {
        let released = self.core.gpus_released();
        self.gpus.apply(&self.core.config().gpu, released);
        let metrics = &self.core.config().metrics;
        self.board.set_caps(caps(metrics));
        if self.measuring.apply(metrics) {
            // Told only when something happens, so it would stay for ever.
            self.board.withdraw(UNITS);
        }
        if let Some(export) = &self.export {
            export.apply(settings(metrics, &self.merged, &self.paths));
        }
    }
}

/// Nothing is measured that has no way out: a thousand workers cost a second of CPU a minute.
fn wanted(metrics: &Metrics) -> Option<Wanted> {
    let Metrics { system, hardware, network_filesystems, .. } = *metrics;
    let units = if system { metrics.units.clone() } else { Vec::new() };
    let read = metrics.listen.is_some() || metrics.textfile.is_some();
    read.then_some(Wanted { system, hardware, network_filesystems, units })
}

/// How many series are kept.
pub(super) fn caps(metrics: &Metrics) -> Caps {
    Caps { node: metrics.max_series as usize }
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

/// Starts to hear what workers say.
pub(super) fn listen(
    core: &Core,
    paths: &Paths,
    pictures: watch::Receiver<Arc<Snapshot>>,
    said: mpsc::UnboundedSender<Said>,
    seed: u64,
    events: &mpsc::UnboundedSender<Event>,
) -> Option<Intake> {
    match Intake::start(paths, Arc::clone(core.config()), pictures, said, seed) {
        Ok(intake) => Some(intake),
        Err(error) => {
            let problem = Some(format!("the thread that hears workers cannot be made: {error}"));
            // The inbox is there: the loop has not begun.
            let _ = events.send(Event::ComponentHealth { component: "intake", problem });
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
