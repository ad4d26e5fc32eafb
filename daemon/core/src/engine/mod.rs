//! The core itself: owns the state, takes an [`Event`], gives [`Effect`]s.
//!
//! ```text
//! handle(event) ─► what happened: report · ending · health · drain · attach · command
//!                        │ marks replicas dirty
//!                        ▼
//!                  reconcile: for each dirty replica plan::decide ─► apply ─► transition (replica::step) ─► effects
//!                        │
//!                        ▼
//!                  operations: which commands have reached their goal
//! ```

mod apply;
mod attach;
mod check;
mod command;
mod drain;
mod ending;
mod gpus;
mod health;
mod node;
mod operation;
mod reconcile;
mod report;
mod settle;
mod spec;
mod view;
mod waiting;

#[cfg(test)]
mod tests;

pub use operation::Operation;

use crate::config::Config;
use crate::desired::Desired;
use crate::effect::Effect;
use crate::event::Event;
use crate::fleet::FleetStatus;
use crate::gpu::books::Books;
use crate::ids::{CommandId, OperationId, ReplicaId, RunId, TeamName, WorkerName};
use crate::notice::{Kind, Notice};
use crate::persist::{NodeRecord, Restored, RunEntry};
use crate::plan::{self, Action, Decision, GoingDown, Tally, View};
use crate::replica::{Replica, State};
use crate::restart::bucket::Bucket;
use crate::restart::damping::Damping;
use crate::rng::Rng;
use crate::status::{GpusStatus, PlannedAction, WorkerStatus};
use crate::time::{Deadline, Mono, Now};
use crate::timers::Timers;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use waiting::Waiting;

/// What the shell knows of the machine and tells the core once.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Folder under which each replica has its own (`{runtime_dir}` is `<this>/<worker>-<n>`).
    pub runtime_root: String,
    /// Folder of the DogStatsD sockets, `<this>/<worker>-<n>`; empty: there are none.
    pub statsd_root: String,
    /// `systemd` or `direct`.
    pub launcher: String,
    /// Whether runs have units of their own.
    pub has_units: bool,
    /// Online CPUs, for shares of the host.
    pub cpus: u32,
    /// Bytes of memory, for shares of the host.
    pub memory: u64,
    /// Version of the daemon.
    pub version: String,
}

/// What the node is doing as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The launcher has not yet listed what runs.
    Attaching,
    /// Normal work.
    Running,
    /// The daemon ends; `true`: its workers end first.
    Ending { workers: bool },
}

/// The core.
#[derive(Debug, Clone)]
pub struct Core {
    config: Arc<Config>,
    site: Site,
    rng: Rng,
    node: NodeRecord,
    desired: Desired,
    phase: Phase,
    phase_since: Now,
    /// Boxed: each takes more than a kilobyte, and half of a tree's places stand empty.
    replicas: BTreeMap<ReplicaId, Box<Replica>>,
    /// The newest run of each replica of which a record was written, over its being forgotten. A start that failed has a
    /// record and was no run.
    written: BTreeMap<ReplicaId, RunId>,
    tally: BTreeMap<WorkerName, Tally>,
    live: u32,
    going_down: GoingDown,
    settled: BTreeSet<WorkerName>,
    unsettled: BTreeSet<(i32, WorkerName)>,
    failing_teams: BTreeMap<TeamName, String>,
    damping: Damping,
    bucket: Bucket,
    timers: Timers,
    operations: BTreeMap<OperationId, Operation>,
    ended_operations: VecDeque<OperationId>,
    holds: BTreeMap<u64, (String, String)>,
    components: BTreeMap<&'static str, String>,
    seen: BTreeSet<ReplicaId>,
    /// To be decided about; those that run first, so that nobody starts on the strength of one that has to go.
    dirty: BTreeSet<ReplicaId>,
    urgent: BTreeSet<ReplicaId>,
    waiting: Waiting,
    gpus: Books,
    /// Picture of the fleet.
    fleet: Arc<FleetStatus>,
    /// Their picture, until something changes.
    gpus_view: Option<Arc<GpusStatus>>,
    /// Commands that have asked for NVML (`true`) or for letting it go, until the answer, with who asked and why.
    gpus_asked: BTreeMap<CommandId, (bool, String)>,
    next_turn: Option<Mono>,
    touched: BTreeSet<ReplicaId>,
    stale_views: BTreeSet<WorkerName>,
    views: BTreeMap<WorkerName, Arc<WorkerStatus>>,
    next_token: u64,
    generation: u64,
    config_since: crate::time::Wall,
    config_errors: u32,
    ignored: u64,
    exit_info: Option<crate::exit::ExitInfo>,
    hurry: bool,
    drained_said: bool,
    listed: bool,
    exited: bool,
    now: Now,
    out: Vec<Effect>,
    persist_at: Option<usize>,
}

impl Core {
    /// A core that knows what was stored and waits for the launcher's list. `seed` is for jitter.
    pub fn new(config: Arc<Config>, restored: Restored, site: Site, seed: u64, now: Now) -> Self {
        let mut core = Self {
            damping: Damping::new(config.supervision.damping),
            bucket: Bucket::new(config.supervision.restart_rate),
            config,
            site,
            rng: Rng::new(seed),
            node: restored.node.clone(),
            desired: Desired::default(),
            phase: Phase::Attaching,
            phase_since: now,
            replicas: BTreeMap::new(),
            written: BTreeMap::new(),
            tally: BTreeMap::new(),
            live: 0,
            going_down: GoingDown::default(),
            settled: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            failing_teams: BTreeMap::new(),
            timers: Timers::default(),
            operations: BTreeMap::new(),
            ended_operations: VecDeque::new(),
            holds: BTreeMap::new(),
            components: BTreeMap::new(),
            seen: BTreeSet::new(),
            dirty: BTreeSet::new(),
            urgent: BTreeSet::new(),
            waiting: Waiting::default(),
            fleet: Arc::new(FleetStatus { alone: true, ..FleetStatus::default() }),
            gpus: Books::new(restored.node.cards.clone()),
            gpus_view: None,
            gpus_asked: BTreeMap::new(),
            next_turn: None,
            touched: BTreeSet::new(),
            stale_views: BTreeSet::new(),
            views: BTreeMap::new(),
            next_token: 0,
            generation: 1,
            config_since: now.wall,
            config_errors: 0,
            ignored: 0,
            exit_info: None,
            hurry: false,
            drained_said: restored.node.drained.is_some(),
            listed: false,
            exited: false,
            now,
            out: Vec::new(),
            persist_at: None,
        };
        core.restore(restored);
        core.refresh_desired();
        core
    }

    /// Takes what happened and says what to do, in order. Afterwards [`Core::deadline`] and [`Core::snapshot`] may have
    /// changed.
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Effect> {
        self.now = now;
        match event {
            Event::Tick => {}
            Event::Launcher(event) => self.launcher_event(event),
            Event::Probed { replica, run, kind, result } => self.probed(&replica, run, kind, result),
            Event::Hooked { replica, run, kind, result } => self.hooked(&replica, run, kind, result),
            Event::WorkerValues { replica, run, values } => self.worker_values(&replica, run, values),
            Event::PortAllocated { replica, result } => self.port_allocated(&replica, result),
            Event::Gpus(inventory) => self.gpus_seen(inventory),
            Event::GpusHeld { id, result } => self.gpus_held(id, result),
            Event::Fleet { id, standing } => self.fleet_says(id, standing),
            Event::Command(request) => self.command(*request),
            Event::Reloaded(config) => self.reloaded(config),
            Event::ReloadFailed { errors, first } => self.reload_failed(errors, &first),
            Event::Resumed(span) => self.machine_resumed(span),
            Event::StoreHealth(problem) => self.component("store", problem),
            Event::ComponentHealth { component, problem } => self.component(component, problem),
            Event::Shutdown { stop_workers } => self.shutdown(stop_workers),
        }
        while let Some((id, timer)) = self.timers.pop(now.mono) {
            self.fire(&id, timer);
        }
        self.reconcile();
        self.check_teams();
        self.reconcile();
        self.check_operations();
        self.check_drained();
        self.check_ending();
        self.next_turn = self.waiting.has_turns().then(|| self.bucket.ready_at(now.mono));
        if let Some(at) = self.persist_at.take() {
            let record = Effect::Persist(Arc::new(self.node.clone()));
            if let Some(place) = self.out.get_mut(at) {
                *place = record;
            }
        }
        std::mem::take(&mut self.out)
    }

    /// When the core wants to be called next. Changes only by [`Core::handle`].
    pub fn deadline(&self) -> Option<Deadline> {
        let turn = self.next_turn.map(|at| Deadline { at, why: "start rate" });
        self.timers.next().into_iter().chain(turn).min_by_key(|d| d.at)
    }

    /// What would be done now, or with another configuration, and what is in the way. Changes nothing.
    pub fn plan(&self, candidate: Option<Arc<Config>>, now: Now) -> Vec<PlannedAction> {
        let mut trial = self.clone();
        trial.now = now;
        if let Some(config) = candidate {
            trial.adopt_config(config);
        }
        let mut planned = Vec::new();
        for id in trial.replicas.keys().cloned().collect::<Vec<_>>() {
            let (action, reason) = match plan::decide(&trial.view(), &id, now.mono) {
                Decision::Act(Action::Forget, _) | Decision::Content => continue,
                Decision::Act(action, reason) => {
                    let word = action.word();
                    trial.apply(&id, action, &reason);
                    (word, reason)
                }
                Decision::Wait(wait) => ("wait", wait.reason),
            };
            planned.push(PlannedAction { action: action.into(), target: id.to_string(), reason });
        }
        planned
    }

    /// The run that the core holds as alive for a replica, and its process (for the shell's own needs).
    pub fn live_run(&self, id: &ReplicaId) -> Option<(crate::ids::RunId, Option<u32>)> {
        let live = self.replicas.get(id)?.live.as_ref()?;
        Some((live.run?, live.pid))
    }

    /// Where a replica is in its life.
    pub fn state_of(&self, id: &ReplicaId) -> Option<State> {
        self.replicas.get(id).map(|r| r.state)
    }

    /// Whether NVML was let go of on request.
    pub fn gpus_released(&self) -> bool {
        self.node.gpus_released.is_some()
    }

    /// What the shell knows of the machine.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    fn view(&self) -> View<'_> {
        View {
            desired: &self.desired,
            replicas: &self.replicas,
            going_down: &self.going_down,
            tally: &self.tally,
            unsettled: &self.unsettled,
            failing_teams: &self.failing_teams,
            damping: &self.damping,
            bucket: &self.bucket,
            gpus: &self.gpus,
        }
    }

    fn emit(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    fn append(&mut self, id: &ReplicaId, entry: RunEntry) {
        self.out.push(Effect::Append(id.clone(), entry));
    }

    fn notice(&mut self, kind: Kind, id: &ReplicaId, reason: impl Into<String>) {
        let run = self.replicas.get(id).and_then(|replica| replica.run());
        self.out.push(Effect::Notice(Notice::replica(kind, id, run, reason)));
    }

    /// Keeps the node's record. Once for an event, where it was first wanted: what was decided stands on disk before
    /// anything that follows from it is done.
    fn persist(&mut self) {
        if self.persist_at.is_none() {
            self.persist_at = Some(self.out.len());
            self.out.push(Effect::Persist(Arc::default()));
        }
    }

    fn after(&self, span: Duration) -> Mono {
        self.now.mono + span
    }
}
