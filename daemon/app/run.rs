//! Waiting and turning.

use super::effects::speaker;
use super::fleet::{Done, FleetDesk, FleetInbox};
use super::handle::{NodeEvent, Request};
use super::logs::LogSource;
use super::metrics::Measuring;
use crate::host::clock::{Clock, SuspendWatch, Timer, until};
use crate::host::config_files;
use crate::host::journal::Journal;
use crate::host::journal::logging::LogLevel;
use crate::host::launcher::Launcher;

use crate::export::Export;
use crate::host::notify::NotifySockets;
use crate::host::paths::Paths;
use crate::host::ports::Ports;
use crate::host::probe::Prober;
use crate::host::sd::Sd;
use crate::host::store::{Store, SyncDone};
use crate::intake::{Intake, Said};
use crate::mqtt::LinkEvent;
use reeve_core::config::Merged;
use reeve_core::fleet::Input;
use reeve_core::metrics::{Board, Exposition, Report};
use reeve_core::{Accepted, CommandId, Core, Event, LauncherEvent, Refusal, ReplicaId, RunId, RunSpec, Snapshot};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

/// Pictures are not made more often than this while things move.
const PICTURE: Duration = Duration::from_millis(50);
/// Between two tries to write what the disk did not take.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// Events taken in one turn before the others get theirs.
const BATCH: usize = 256;

/// Everything that is waited for.
#[derive(Debug)]
pub(super) struct Inbox {
    pub launcher: mpsc::UnboundedReceiver<LauncherEvent>,
    pub events: mpsc::UnboundedReceiver<Event>,
    pub requests: mpsc::UnboundedReceiver<Request>,
    pub tails: mpsc::UnboundedReceiver<(ReplicaId, RunId, Vec<String>)>,
    pub synced: mpsc::UnboundedReceiver<SyncDone>,
    pub reports: mpsc::UnboundedReceiver<Report>,
    pub said: mpsc::UnboundedReceiver<Said>,
    pub fleet: FleetInbox,
    pub terminate: Signal,
    pub interrupt: Signal,
    pub hangup: Signal,
}

/// The parts, and what the loop itself keeps.
pub(super) struct App {
    pub core: Core,
    pub paths: Paths,
    pub config_file: Option<PathBuf>,
    pub merged: Merged,
    pub store: Store,
    pub launcher: Box<dyn Launcher>,
    pub notify: NotifySockets,
    pub prober: Prober,
    pub ports: Ports,
    pub journal: Journal,
    pub journal_troubled: bool,
    pub level: LogLevel,
    pub logs: LogSource,
    pub tails: mpsc::UnboundedSender<(ReplicaId, RunId, Vec<String>)>,
    pub synced: mpsc::UnboundedSender<SyncDone>,
    pub sd: Sd,
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    pub entries: broadcast::Sender<Arc<NodeEvent>>,
    pub recent: VecDeque<Arc<NodeEvent>>,
    pub replies: BTreeMap<CommandId, oneshot::Sender<Result<Accepted, Refusal>>>,
    pub next_command: u64,
    pub queue: VecDeque<Event>,
    /// For what may lead back to itself: it comes in a later turn, and the others get theirs in between.
    pub later: mpsc::UnboundedSender<Event>,
    pub specs: BTreeMap<ReplicaId, Arc<RunSpec>>,
    /// The newest samples of each source.
    pub board: Board,
    pub exposition: watch::Sender<Arc<Exposition>>,
    pub measuring: Measuring,
    pub gpus: super::gpu::Gpus,
    pub fleet: FleetDesk,
    /// The scrape endpoint; absent when it has no thread.
    pub export: Option<Export>,
    /// Hears what workers say of themselves; absent when it has no thread.
    pub intake: Option<Intake>,
    /// The board knows more than is shown.
    pub unshown: bool,
    pub stale: bool,
    pub pictured: Instant,
    /// What the disk did not take is tried again then.
    pub retry_at: Option<Instant>,
    /// READY=1 is said once the first list is complete, or then.
    pub ready_by: Option<Instant>,
    pub ending: bool,
}

/// What a wait ended with.
enum Woken {
    Launcher(LauncherEvent),
    Event(Event),
    Request(Request),
    Tail((ReplicaId, RunId, Vec<String>)),
    Timer,
    Picture,
    Disk,
    Synced(SyncDone),
    Report(Report),
    Said(Said),
    Heard(LinkEvent),
    Fleet(Done),
    Watchdog,
    Terminate,
    Hangup,
}

impl App {
    /// Runs until the core says `Exit`.
    pub(super) async fn run(mut self, mut inbox: Inbox) -> std::io::Result<()> {
        let mut timer = Timer::new()?;
        let mut suspend = SuspendWatch::new();
        let ping = self.sd.watchdog_interval();
        let mut next_ping = Instant::now();
        self.launcher.list();
        self.join_fleet();
        while !self.ending {
            let due = self.core.deadline().map(|d| d.at);
            timer.arm(due.into_iter().chain(self.fleet.deadline()).min())?;
            let woken = self.wait(&mut inbox, &mut timer, ping.map(|_| next_ping)).await;
            if let Some(slept) = suspend.check() {
                self.turn(Event::Resumed(slept));
            }
            self.take(woken);
            let more = self.drain(&mut inbox);
            self.show_series();
            self.picture_if_due();
            self.say_ready(false);
            // The watchdog is fed here and nowhere else: only by a turn that has been completed.
            if let Some(every) = ping
                && Instant::now() >= next_ping
            {
                self.sd.watchdog();
                self.board.pinged();
                next_ping = Instant::now() + every;
            }
            if more {
                // In a storm nothing has to be waited for; the bus, the probes and the sockets have their turn all the same.
                tokio::task::yield_now().await;
            }
        }
        self.sd.stopping();
        self.leave_fleet(&mut inbox.fleet).await;
        self.launcher.close();
        if let Err(why) = self.store.flush() {
            tracing::error!("the last entries may be lost if the host crashes now: {why}");
        }
        Ok(())
    }

    /// Every arm is a receive or a sleep: cancelling one loses nothing. Whoever is ready has the same chance: in a storm of
    /// deaths a command and a signal are heard, too.
    async fn wait(&self, inbox: &mut Inbox, timer: &mut Timer, ping: Option<Instant>) -> Woken {
        let picture = self.stale.then(|| self.pictured + PICTURE);
        let sync = self.store.next_sync().map(|at| Instant::now() + at.since(Clock::now().mono));
        let disk = self.retry_at.or(sync);
        tokio::select! {
            Some(e) = inbox.launcher.recv() => Woken::Launcher(e),
            Some(e) = inbox.events.recv() => Woken::Event(e),
            Some(r) = inbox.requests.recv() => Woken::Request(r),
            Some(t) = inbox.tails.recv() => Woken::Tail(t),
            _ = timer.wait() => Woken::Timer,
            Some(()) = inbox.terminate.recv() => Woken::Terminate,
            Some(()) = inbox.interrupt.recv() => Woken::Terminate,
            Some(()) = inbox.hangup.recv() => Woken::Hangup,
            () = until(picture) => Woken::Picture,
            () = until(disk) => Woken::Disk,
            Some(done) = inbox.synced.recv() => Woken::Synced(done),
            Some(report) = inbox.reports.recv() => Woken::Report(report),
            Some(said) = inbox.said.recv() => Woken::Said(said),
            Some(event) = inbox.fleet.links.recv() => Woken::Heard(event),
            Some(done) = inbox.fleet.done.recv() => Woken::Fleet(done),
            () = until(ping) => Woken::Watchdog,
            () = until(self.ready_by) => Woken::Picture,
        }
    }

    fn take(&mut self, woken: Woken) {
        match woken {
            Woken::Launcher(event) => self.turn(Event::Launcher(event)),
            Woken::Event(event) => self.turn(event),
            Woken::Request(request) => self.request(request),
            Woken::Tail((replica, run, lines)) => self.keep_tail(&replica, run, lines),
            Woken::Timer => {
                self.turn(Event::Tick);
                self.tick_fleet();
            }
            Woken::Picture | Woken::Watchdog => {}
            Woken::Disk => self.disk(),
            Woken::Synced(done) => self.synced(done),
            Woken::Report(report) => self.reported(report),
            Woken::Said(said) => self.said(said),
            Woken::Heard(event) => self.heard(event),
            Woken::Fleet(done) => self.fleet_done(done),
            Woken::Terminate => {
                self.sd.stopping();
                self.tell_fleet(Input::Leaving);
                let stop_workers = !self.launcher.survives();
                self.turn(Event::Shutdown { stop_workers });
            }
            Woken::Hangup => drop(self.reload()),
        }
    }

    /// What has come in meanwhile, up to a bound, so that a mass crash costs one picture and not a thousand. Whether there
    /// may be more.
    fn drain(&mut self, inbox: &mut Inbox) -> bool {
        for _ in 0..BATCH {
            // People first: they are few.
            if let Ok(request) = inbox.requests.try_recv() {
                self.request(request);
            } else if let Ok(event) = inbox.launcher.try_recv() {
                self.turn(Event::Launcher(event));
            } else if let Ok(event) = inbox.events.try_recv() {
                self.turn(event);
            } else if let Ok((replica, run, lines)) = inbox.tails.try_recv() {
                self.keep_tail(&replica, run, lines);
            } else if let Ok(done) = inbox.fleet.done.try_recv() {
                self.fleet_done(done);
            } else if let Ok(event) = inbox.fleet.links.try_recv() {
                self.heard(event);
            } else if let Ok(said) = inbox.said.try_recv() {
                self.said(said);
            } else {
                return false;
            }
        }
        true
    }

    /// One event through the core, and all that follows from it at once.
    pub(super) fn turn(&mut self, event: Event) {
        let listed = matches!(event, Event::Launcher(LauncherEvent::ListComplete));
        if let Event::Launcher(LauncherEvent::Found(found)) = &event {
            self.found(&found.replica, found.ended.is_none());
        }
        self.queue.push_back(event);
        while let Some(event) = self.queue.pop_front() {
            let effects = self.core.handle(event, Clock::now());
            self.stale = true;
            self.carry_out_all(effects);
        }
        self.flush_intake();
        if listed {
            // Sockets of replicas that nobody has asked for by now belong to nobody.
            self.notify.sweep();
            if let Some(intake) = &mut self.intake {
                intake.sweep();
            }
            self.say_ready(true);
        }
    }

    /// A run that began just before the last daemon died stands in no record; what it has said waits in its sockets all
    /// the same.
    fn found(&mut self, replica: &ReplicaId, lives: bool) {
        self.notify.rebind(replica, speaker(self.core.config(), replica, &*self.launcher));
        if lives {
            self.hear(replica, false, None);
        }
    }

    /// READY=1, once: the first list is complete, or has taken too long (then we start degraded, workers run anyway).
    fn say_ready(&mut self, listed: bool) {
        let Some(by) = self.ready_by else { return };
        if listed || Instant::now() >= by {
            self.ready_by = None;
            self.picture();
            self.sd.ready();
        }
    }

    fn flush_intake(&mut self) {
        if let Some(intake) = &mut self.intake {
            intake.flush();
        }
    }

    /// Makes a new picture, if something has changed and the last one is old enough.
    fn picture_if_due(&mut self) {
        if self.stale && self.pictured.elapsed() >= PICTURE {
            self.picture();
        }
    }

    /// Makes a new picture now.
    pub(super) fn picture(&mut self) {
        self.flush_intake();
        self.draw_fleet();
        let snapshot = self.core.snapshot();
        self.sd.status(&snapshot.node.status_line);
        self.snapshot.send_replace(Arc::clone(&snapshot));
        self.stale = false;
        self.pictured = Instant::now();
        self.report_to_fleet(&snapshot);
    }

    /// Reads the files again. What is wrong with them is answered and shown; then nothing changes.
    pub(super) fn reload(&mut self) -> Result<u64, Vec<reeve_core::config::Diagnostic>> {
        self.sd.reloading();
        let loaded = config_files::load(&self.paths, self.config_file.as_deref());
        let errors: Vec<_> = loaded.diagnostics.into_iter().filter(|d| d.error).collect();
        let result = match loaded.config {
            Some(config) if errors.is_empty() => {
                self.merged = loaded.merged;
                let config = Arc::new(config);
                self.hear_of(&config);
                self.turn(Event::Reloaded(Arc::clone(&config)));
                self.reconfigure_fleet(&config);
                self.metrics_settings();
                self.picture();
                Ok(self.snapshot.borrow().node.config_generation)
            }
            _ => {
                let first = errors.first().map(ToString::to_string).unwrap_or_default();
                let count = u32::try_from(errors.len()).unwrap_or(u32::MAX);
                self.turn(Event::ReloadFailed { errors: count, first });
                self.picture();
                Err(errors)
            }
        };
        self.sd.ready();
        result
    }
}
