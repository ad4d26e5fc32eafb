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
mod command;
mod drain;
mod ending;
mod health;
mod node;
mod operation;
mod report;
mod spec;
mod view;

#[cfg(test)]
mod tests;

pub use operation::Operation;

use crate::config::Config;
use crate::desired::{self, Desired};
use crate::effect::Effect;
use crate::event::Event;
use crate::ids::{OperationId, ReplicaId, TeamName, WorkerName};
use crate::notice::{Kind, Notice};
use crate::persist::{NodeRecord, Restored, RunEntry};
use crate::plan::{self, Action, Decision, Tally, View};
use crate::replica::{Act, Input, Replica, State, Step, step};
use crate::restart::bucket::Bucket;
use crate::restart::damping::Damping;
use crate::rng::Rng;
use crate::status::{PlannedAction, WorkerStatus};
use crate::time::{Deadline, Mono, Now};
use crate::timers::{Timer, Timers};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What the shell knows of the machine and tells the core once.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Folder under which each replica has its own (`{runtime_dir}` is `<this>/<worker>-<n>`).
    pub runtime_root: String,
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
    replicas: BTreeMap<ReplicaId, Replica>,
    tally: BTreeMap<WorkerName, Tally>,
    going_down: BTreeSet<WorkerName>,
    settled: BTreeSet<WorkerName>,
    failing_teams: BTreeMap<TeamName, String>,
    damping: Damping,
    bucket: Bucket,
    timers: Timers,
    operations: BTreeMap<OperationId, Operation>,
    ended_operations: VecDeque<OperationId>,
    holds: BTreeMap<u64, (String, String)>,
    components: BTreeMap<&'static str, String>,
    seen: BTreeSet<ReplicaId>,
    dirty: BTreeSet<ReplicaId>,
    touched: BTreeSet<ReplicaId>,
    stale_views: BTreeSet<WorkerName>,
    views: BTreeMap<WorkerName, Arc<WorkerStatus>>,
    next_token: u64,
    generation: u64,
    config_errors: u32,
    ignored: u64,
    exit_info: Option<crate::exit::ExitInfo>,
    hurry: bool,
    exited: bool,
    now: Now,
    out: Vec<Effect>,
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
            tally: BTreeMap::new(),
            going_down: BTreeSet::new(),
            settled: BTreeSet::new(),
            failing_teams: BTreeMap::new(),
            timers: Timers::default(),
            operations: BTreeMap::new(),
            ended_operations: VecDeque::new(),
            holds: BTreeMap::new(),
            components: BTreeMap::new(),
            seen: BTreeSet::new(),
            dirty: BTreeSet::new(),
            touched: BTreeSet::new(),
            stale_views: BTreeSet::new(),
            views: BTreeMap::new(),
            next_token: 0,
            generation: 1,
            config_errors: 0,
            ignored: 0,
            exit_info: None,
            hurry: false,
            exited: false,
            now,
            out: Vec::new(),
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
            Event::PortAllocated { replica, result } => self.port_allocated(&replica, result),
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
        self.check_ending();
        std::mem::take(&mut self.out)
    }

    /// When the core wants to be called next. Changes only by [`Core::handle`].
    pub fn deadline(&self) -> Option<Deadline> {
        self.timers.next()
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
                Decision::Wait(reason, _) => ("wait", reason),
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
            settled: &self.settled,
            failing_teams: &self.failing_teams,
            damping: &self.damping,
            bucket: &self.bucket,
        }
    }

    /// Joins configuration and decisions anew, makes missing replicas and looks at all of them again.
    fn refresh_desired(&mut self) {
        self.desired = desired::desired(&self.config, &self.node);
        match self.phase {
            Phase::Attaching => self.desired.holds.insert(0, "waits for the list of what runs already".into()),
            Phase::Ending { workers: true } => {
                let off = desired::Off { reason: "reeved is ending".into(), drain: !self.node_hurry() };
                self.desired.all_off = Some(off);
            }
            Phase::Ending { workers: false } => self.desired.holds.insert(0, "reeved is ending".into()),
            Phase::Running => {}
        }
        self.desired.holds.extend(self.holds.values().map(|(who, why)| format!("held by {who}: {why}")));
        for (name, worker) in &self.desired.workers {
            for index in &worker.indices {
                let id = ReplicaId::new(name.clone(), *index);
                let now = self.now;
                self.replicas.entry(id.clone()).or_insert_with(|| Replica::new(id, now));
            }
        }
        self.going_down = plan::going_down(&self.view());
        self.mark_all();
    }

    fn mark(&mut self, id: &ReplicaId) {
        self.dirty.insert(id.clone());
        self.touch(id);
    }

    /// Its picture is out of date.
    fn touch(&mut self, id: &ReplicaId) {
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.view = None;
        }
        if !self.stale_views.contains(&id.worker) {
            self.stale_views.insert(id.worker.clone());
        }
        if !self.operations.is_empty() {
            self.touched.insert(id.clone());
        }
    }

    fn mark_all(&mut self) {
        self.dirty = self.replicas.keys().cloned().collect();
        self.touched.extend(self.dirty.iter().cloned());
        self.stale_views.extend(self.replicas.keys().map(|id| id.worker.clone()));
        self.stale_views.extend(self.views.keys().cloned());
        self.replicas.values_mut().for_each(|r| r.view = None);
    }

    fn mark_worker(&mut self, name: &WorkerName) {
        for id in self.ids_of(name) {
            self.dirty.insert(id);
        }
    }

    /// Looks again at those that wait for something.
    fn mark_waiting(&mut self) {
        self.dirty.extend(self.replicas.values().filter(|r| r.waits.is_some()).map(|r| r.id.clone()));
    }

    fn ids_of(&self, name: &WorkerName) -> Vec<ReplicaId> {
        let first = ReplicaId::new(name.clone(), 0);
        let last = ReplicaId::new(name.clone(), u32::MAX);
        self.replicas.range(first..=last).map(|(id, _)| id.clone()).collect()
    }

    /// Decides about every dirty replica, and carries it out, until nothing is left to decide.
    fn reconcile(&mut self) {
        while let Some(id) = self.dirty.pop_first() {
            match plan::decide(&self.view(), &id, self.now.mono) {
                Decision::Act(action, reason) => {
                    self.set_waits(&id, None);
                    self.apply(&id, action, &reason);
                }
                Decision::Wait(reason, until) => {
                    self.set_waits(&id, Some(reason));
                    match until {
                        Some(at) => self.timers.set(&id, Timer::Start, at),
                        None => self.timers.clear(&id, Timer::Start),
                    }
                }
                Decision::Content => self.set_waits(&id, None),
            }
        }
    }

    fn set_waits(&mut self, id: &ReplicaId, waits: Option<String>) {
        let off = plan::off(&self.view(), id).is_some();
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let to_start = waits.is_some() && !off;
        if replica.waits != waits || replica.waits_to_start != to_start {
            replica.waits_to_start = to_start;
            replica.waits = waits;
            self.touch(id);
        }
    }

    /// Lets the table answer, and does what it says. `true` when something happened.
    fn transition(&mut self, id: &ReplicaId, input: Input, reason: &str) -> bool {
        let Some(replica) = self.replicas.get_mut(id) else {
            return false;
        };
        let (to, act) = match step(replica.state, input) {
            Step::Go(to, act) => (to, act),
            Step::Ignored(_) => {
                self.ignored = self.ignored.saturating_add(1);
                return false;
            }
        };
        let (from, was_ready) = (replica.state, replica.is_ready());
        replica.state = to;
        if from != to {
            replica.since = self.now;
        }
        replica.reason = reason.to_owned();
        replica.waits = None;
        self.timers.clear(id, Timer::State);
        self.act(id, act, reason);
        self.count(id, from, was_ready);
        self.mark(id);
        true
    }

    fn act(&mut self, id: &ReplicaId, act: Act, reason: &str) {
        match act {
            Act::Launch => self.launch(id),
            Act::Begin => self.begin(id),
            Act::Enter => {}
            Act::Fail | Act::End => self.over(id),
            Act::Freeze => self.freeze(id),
            Act::Thaw => self.thaw(id),
            Act::Notice => self.drain_notice(id, reason),
            Act::Save => self.save_state(id),
            Act::Terminate => self.terminate(id),
            Act::Kill => self.kill(id, reason),
        }
    }

    /// Keeps the counts of the worker, and wakes whoever waits for a change of them.
    fn count(&mut self, id: &ReplicaId, from: State, was_ready: bool) {
        let Some(replica) = self.replicas.get(id) else {
            return;
        };
        let (live, ready) = (replica.state.is_live(), replica.is_ready());
        if from.is_live() == live && was_ready == ready {
            return;
        }
        let wanted = self.desired.workers.get(&id.worker).map_or(0, |w| w.indices.len());
        let tally = self.tally.entry(id.worker.clone()).or_default();
        let before = *tally;
        tally.live = tally.live + u32::from(live) - u32::from(from.is_live());
        tally.ready = tally.ready + u32::from(ready) - u32::from(was_ready);
        let after = *tally;
        if live && !from.is_live() {
            self.going_down.remove(&id.worker);
        }
        let settles = after.ready as usize >= wanted && wanted > 0 && self.settled.insert(id.worker.clone());
        if after.live == 0 && before.live > 0 && self.going_down.contains(&id.worker) {
            self.settled.remove(&id.worker);
        }
        if settles || (before.ready == 0) != (after.ready == 0) || (before.live > 0 && after.live == 0) {
            self.mark_waiting();
        } else if ready != was_ready && self.has_waiting_replacement(&id.worker) {
            self.mark_worker(&id.worker.clone());
        }
    }

    fn has_waiting_replacement(&self, name: &WorkerName) -> bool {
        let first = ReplicaId::new(name.clone(), 0);
        let last = ReplicaId::new(name.clone(), u32::MAX);
        self.replicas.range(first..=last).any(|(_, r)| r.state.is_running() && r.waits.is_some())
    }

    fn fire(&mut self, id: &ReplicaId, timer: Timer) {
        match timer {
            Timer::State => self.state_deadline(id),
            Timer::Liveness => self.probe_due(id, crate::event::ProbeKind::Liveness),
            Timer::Readiness => self.probe_due(id, crate::event::ProbeKind::Readiness),
            Timer::Watchdog => self.watchdog_expired(id),
            Timer::Progress => self.progress_expired(id),
            Timer::DrainPoll => self.drain_poll(id),
            Timer::Start => {
                self.dirty.insert(id.clone());
            }
            Timer::Settle => self.settle_due(id),
        }
    }

    fn emit(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    fn append(&mut self, id: &ReplicaId, entry: RunEntry) {
        self.out.push(Effect::Append(id.clone(), entry));
    }

    fn notice(&mut self, kind: Kind, id: &ReplicaId, reason: impl Into<String>) {
        let run = self.replicas.get(id).and_then(Replica::run);
        self.out.push(Effect::Notice(Notice::replica(kind, id, run, reason)));
    }

    fn persist(&mut self) {
        self.out.push(Effect::Persist(Arc::new(self.node.clone())));
    }

    fn after(&self, span: Duration) -> Mono {
        self.now.mono + span
    }
}
