//! The world around one core: time, PID 1 or a parent of children, workers with a life of their own, a daemon that is
//! killed between any two effects and comes back.

use crate::config::{chance, ms, pick, s};
use crate::store::Store;
use reeve_core::config::{Check, Config, RestartPolicy, Until};
use reeve_core::gpu::{Card, Hold, Inventory, Process};
use reeve_core::rng::Rng;
use reeve_core::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub type Law = Result<(), String>;

pub struct World {
    pub seed: u64,
    pub rng: Rng,
    pub now: Mono,
    pub core: Option<Core>,
    pub epoch: u32,
    pub attached: bool,
    pub exited: bool,
    pub store: Store,
    pub config: Arc<Config>,
    /// Runs outlive the daemon; else they die with it.
    pub systemd: bool,
    pub units: BTreeMap<ReplicaId, Unit>,
    pub runs: BTreeMap<RunId, Run>,
    queue: BTreeMap<(Mono, u64), Todo>,
    sequence: u64,
    /// Workers crash, launchers fail.
    pub chaos: bool,
    /// The daemon may be killed.
    pub deaths: bool,
    sockets: Vec<(ReplicaId, Notification)>,
    known_at_birth: BTreeMap<ReplicaId, (RunId, Wall)>,
    pub tokens: f64,
    pub tokens_at: Mono,
    pub steps: u64,
    /// The picture before the event that is being handled.
    pub before: Arc<Snapshot>,
    /// Mass crashes under way: the cause, and the replica that is tried.
    pub trials: BTreeMap<String, Option<ReplicaId>>,
    pub seen: BTreeMap<&'static str, u64>,
    /// Workers that have been ready as a whole.
    pub settled: BTreeSet<WorkerName>,
    pub was_attached: bool,
    /// What is being handled lets somebody go before his turn.
    pub by_hand: bool,
    /// The daemon was asked twice to end.
    pub hurry: bool,
    same_instant: u32,
    pub trail: Option<Vec<String>>,
    /// Cards, in some worlds.
    pub cards: Vec<Card>,
    /// What dead runs have left on cards: process, cards, and whether the core could know.
    pub stragglers: BTreeMap<ReplicaId, Straggler>,
    /// Apart, so that worlds without cards are as they were.
    cards_rng: Rng,
}

/// A process that has outlived its run.
#[derive(Debug, Clone)]
pub struct Straggler {
    pid: u32,
    pub gpus: Vec<String>,
    pub known: bool,
    stubborn: bool,
}

/// What PID 1 holds for a replica.
#[derive(Debug, Default)]
pub struct Unit {
    pub state: UnitState,
    /// A start was asked for and not answered yet, by the present daemon.
    pub starting: bool,
    /// The dead-man restart is pending.
    pub armed: bool,
    /// When the core was told of the end of the run.
    pub reported: Option<Mono>,
    journal: Vec<(RunId, ExitInfo)>,
    /// The run the launcher of this daemon spoke of last.
    last_told: Option<RunId>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub enum UnitState {
    #[default]
    None,
    Live(RunId),
    Ended(RunId, ExitInfo),
}

#[derive(Debug)]
pub struct Run {
    pub id: ReplicaId,
    pub spec: Arc<RunSpec>,
    pub ended: Option<ExitInfo>,
    /// The present core was told of it.
    pub told: bool,
    /// It was stored, or found: its record may not be missing.
    pub known: bool,
    pub recorded_in: Option<u32>,
    /// The launcher of this daemon has spoken of it, or is about to.
    announced: Option<u32>,
    stopping: bool,
    frozen: bool,
    ignores_term: bool,
    hard_to_kill: bool,
    healthy: bool,
    drains: bool,
}

#[derive(Debug)]
pub enum Todo {
    Deliver(u32, Event),
    Launch(u32, ReplicaId, StartToken, Arc<RunSpec>),
    Ends(RunId, ExitStatus, bool),
    Sigkill(RunId),
    DeadMan(ReplicaId, RunId),
    Life(RunId, Beat),
    Reborn,
    List(u32),
    /// A look at the cards that began then.
    Gpus(u32, Mono),
    /// A card falls ill, or is well again.
    Card(usize),
}

#[derive(Debug, Clone, Copy)]
pub enum Beat {
    Ready,
    Watchdog,
    Progress(u32),
    Chatter,
    Sicken,
}

/// Cards for every third world, and workers that want some.
fn cards(rng: &mut Rng, seed: u64, config: &mut Config) -> Vec<Card> {
    if !seed.is_multiple_of(3) {
        return Vec::new();
    }
    let count = 1 + rng.below(4) as u32;
    for worker in config.workers.values_mut() {
        let worker = Arc::make_mut(worker);
        worker.resources.gpus_request = rng.below(u64::from(count.min(2)) + 1) as u32;
        worker.resources.gpus_limit = worker.resources.gpus_request + rng.below(2) as u32;
    }
    let card = |index: u32| Card {
        index,
        uuid: format!("GPU-{index}"),
        numa_node: Some(index / 2),
        memory_total: Some(80 << 30),
        memory_used: Some(1 << 20),
        ..Card::default()
    };
    (0..count).map(card).collect()
}

fn cgroup(id: &ReplicaId) -> String {
    format!("/sys/fs/cgroup/reeve.slice/{}", id.unit())
}

/// The one process of a run.
fn process(run: RunId) -> u32 {
    u32::from_be_bytes([0, run.0[5], run.0[6], run.0[7]])
}

/// Wall time at boot.
const EPOCH: u64 = 1_790_000_000_000_000;

impl World {
    pub fn new(seed: u64, trail: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut config = crate::config::random(&mut rng);
        let mut cards_rng = Rng::new(seed ^ 0x6770_7573);
        let cards = cards(&mut cards_rng, seed, &mut config);
        let config = Arc::new(config);
        let systemd = chance(&mut rng, 65);
        let mut world = Self {
            seed,
            rng,
            now: Mono(s(1000)),
            core: None,
            epoch: 0,
            attached: false,
            exited: false,
            store: Store::default(),
            config,
            systemd,
            units: BTreeMap::new(),
            runs: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            chaos: true,
            deaths: true,
            sockets: Vec::new(),
            known_at_birth: BTreeMap::new(),
            tokens: 0.0,
            tokens_at: Mono::default(),
            steps: 0,
            before: Arc::default(),
            trials: BTreeMap::new(),
            seen: BTreeMap::new(),
            settled: BTreeSet::new(),
            was_attached: false,
            by_hand: false,
            hurry: false,
            same_instant: 0,
            trail: trail.then(Vec::new),
            cards,
            stragglers: BTreeMap::new(),
            cards_rng,
        };
        for at in 0..world.cards.len() {
            let span = s(world.cards_rng.below(3000));
            world.later(span, Todo::Card(at));
        }
        world.reborn();
        world
    }

    pub fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(trail) = &mut self.trail {
            trail.push(format!("{:>12.3} {}", self.now.0.as_secs_f64(), text()));
        }
    }

    pub fn wall(&self) -> Now {
        Now { mono: self.now, wall: Wall(EPOCH).plus(self.now.0) }
    }

    pub fn later(&mut self, span: Duration, todo: Todo) {
        self.sequence += 1;
        self.queue.insert((self.now + span, self.sequence), todo);
    }

    fn deliver(&mut self, span: Duration, event: Event) {
        let epoch = self.epoch;
        self.later(span, Todo::Deliver(epoch, event));
    }

    fn launcher(&mut self, span: Duration, event: LauncherEvent) {
        self.deliver(span, Event::Launcher(event));
    }

    fn delay(&mut self) -> Duration {
        match self.rng.below(20) {
            0 => ms(self.rng.below(3000)),
            1..=5 => ms(self.rng.below(100)),
            _ => ms(self.rng.below(5)),
        }
    }

    /// The next moment at which something happens, of whatever kind.
    pub fn next(&self) -> Option<Mono> {
        let timer = self.core.as_ref().and_then(Core::deadline).map(|d| d.at);
        let todo = self.queue.keys().next().map(|(at, _)| *at);
        timer.into_iter().chain(todo).min()
    }

    /// Goes to the next moment and lets happen what happens there.
    pub fn step(&mut self) -> Law {
        let Some(next) = self.next() else { return Ok(()) };
        if next > self.now {
            self.now = next;
            self.same_instant = 0;
        }
        self.same_instant += 1;
        if self.same_instant > 5000 {
            return Err(format!("busy loop: {:?}", self.core.as_ref().and_then(Core::deadline)));
        }
        if let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= self.now
        {
            let todo = entry.remove();
            return self.todo(todo);
        }
        let before = self.core.as_ref().and_then(Core::deadline);
        self.handle(Event::Tick)?;
        match self.core.as_ref().and_then(Core::deadline) {
            Some(after) if after.at <= self.now && self.same_instant > 100 => {
                Err(format!("deadline {before:?} is followed by {after:?} at the same moment"))
            }
            _ => Ok(()),
        }
    }

    pub fn run_until(&mut self, end: Mono, most: u64) -> Law {
        let last = self.steps + most;
        while !self.exited && self.steps < last && self.next().is_some_and(|at| at <= end) {
            self.steps += 1;
            self.step()?;
        }
        if self.steps < last {
            self.now = self.now.max(end);
        }
        Ok(())
    }

    fn todo(&mut self, todo: Todo) -> Law {
        match todo {
            Todo::Deliver(epoch, event) => {
                if epoch == self.epoch {
                    return self.tell(event);
                }
                Ok(())
            }
            Todo::Launch(epoch, id, token, spec) => self.launch(epoch, &id, token, spec),
            Todo::Ends(run, status, oom) => {
                self.ends(run, status, oom);
                Ok(())
            }
            Todo::Sigkill(run) => {
                self.sigkill(run);
                Ok(())
            }
            Todo::DeadMan(id, run) => self.dead_man(&id, run),
            Todo::Life(run, beat) => {
                self.life(run, beat);
                Ok(())
            }
            Todo::Reborn => {
                if self.core.is_none() {
                    self.reborn();
                }
                Ok(())
            }
            Todo::List(epoch) if epoch == self.epoch => self.list(),
            Todo::List(_) => Ok(()),
            Todo::Gpus(epoch, at) if epoch == self.epoch => {
                let inventory = self.inventory(at);
                self.tell(Event::Gpus(inventory))
            }
            Todo::Gpus(..) => Ok(()),
            Todo::Card(at) => {
                self.card(at);
                Ok(())
            }
        }
    }

    /// The core hears something; what the fake launcher must remember of it is remembered.
    fn tell(&mut self, event: Event) -> Law {
        match &event {
            Event::Launcher(LauncherEvent::Started { replica, run, .. }) => {
                self.unit(replica).starting = false;
                if let Some(run) = self.runs.get_mut(run) {
                    run.told = true;
                }
            }
            Event::Launcher(LauncherEvent::StartFailed { replica, .. }) => self.unit(replica).starting = false,
            Event::Launcher(LauncherEvent::Exited { replica, run, .. }) => {
                let now = self.now;
                let unit = self.unit(replica);
                if unit.state.run() == Some(*run) {
                    unit.reported.get_or_insert(now);
                }
            }
            _ => {}
        }
        self.handle(event)
    }

    /// One event for the core; its effects are carried out, unless the daemon is killed in the middle of them.
    pub fn handle(&mut self, event: Event) -> Law {
        let now = self.wall();
        if self.core.is_none() || self.exited {
            return Ok(());
        }
        self.say(|| format!("» {}", short(&event)));
        let Some(core) = &mut self.core else { return Ok(()) };
        self.before = core.snapshot();
        self.by_hand = matches!(event, Event::Command(_) | Event::Reloaded(_));
        let listed = matches!(event, Event::Launcher(LauncherEvent::ListComplete));
        let effects = core.handle(event, now);
        crate::laws::look(self, listed, &effects);
        crate::laws::ends(self, &effects)?;
        let count = effects.len() as u64;
        let killed = (self.deaths && self.rng.below(150) == 0).then(|| self.rng.below(count + 1));
        for (i, effect) in effects.into_iter().enumerate() {
            if killed == Some(i as u64) {
                self.kill_daemon();
                return Ok(());
            }
            self.exec(effect)?;
        }
        if killed.is_some() {
            self.kill_daemon();
            return Ok(());
        }
        crate::laws::after_step(self)
    }

    pub fn unit(&mut self, id: &ReplicaId) -> &mut Unit {
        self.units.entry(id.clone()).or_default()
    }

    fn exec(&mut self, effect: Effect) -> Law {
        self.say(|| match &effect {
            Effect::Start { token, spec } => format!("    start {} {token:?}", spec.replica),
            Effect::Persist(_) => "    persist".into(),
            Effect::Notice(n) => format!("    notice {}: {}", n.kind.info().word, n.message()),
            Effect::Record(r) => format!("    record {} {} {}", r.replica_id(), number(r.run), r.reason),
            Effect::Append(id, RunEntry::Started(live)) => format!("    append {id} started {}", number(live.run)),
            Effect::Append(id, entry) => format!("    append {id} {entry:?}"),
            Effect::Stop { replica, run, .. } => format!("    stop {replica} {}", number(*run)),
            Effect::Kill { replica, run } => format!("    kill {replica} {}", number(*run)),
            Effect::Probe { replica, kind, .. } => format!("    probe {replica} {kind:?}"),
            Effect::Hook { replica, kind, .. } => format!("    hook {replica} {kind:?}"),
            Effect::Disarm(id) => format!("    disarm {id}"),
            Effect::Forget(id) => format!("    forget {id}"),
            Effect::SetTeam { team, .. } => format!("    set team {team}"),
            Effect::Reply { result, .. } => format!("    reply {result:?}"),
            other => format!("    {other:?}"),
        });
        match effect {
            Effect::Start { token, spec } => {
                crate::laws::at_start(self, &spec)?;
                let id = spec.replica.clone();
                let unit = self.unit(&id);
                unit.starting = true;
                unit.armed = false;
                let span = match self.rng.below(300) {
                    0 => s(100 + self.rng.below(100)),
                    _ => self.delay(),
                };
                let epoch = self.epoch;
                self.later(span, Todo::Launch(epoch, id, token, spec));
            }
            Effect::Signal { run, signal, .. } => self.signal(run, signal),
            Effect::Stop { run, grace, .. } => self.stop(run, grace),
            Effect::Kill { run, .. } => {
                if let Some(r) = self.alive(run) {
                    r.stopping = true;
                    self.sigkill(run);
                }
            }
            Effect::Disarm(id) => {
                self.must_not_live(&id, "disarmed")?;
                let unit = self.unit(&id);
                unit.armed = false;
                match unit.state.clone() {
                    UnitState::Live(run) => self.stop(run, s(30)),
                    UnitState::Ended(run, _) if self.store.records_of(&id, run) > 0 => {
                        self.unit(&id).state = UnitState::None;
                    }
                    UnitState::Ended(..) | UnitState::None => {}
                }
            }
            Effect::Forget(id) => {
                self.must_not_live(&id, "forgotten")?;
                let unit = self.unit(&id);
                if unit.armed {
                    return Err(format!("{id} is forgotten while PID 1 would restart it"));
                }
                if !matches!(unit.state, UnitState::Live(_)) {
                    unit.state = UnitState::None;
                    unit.journal.clear();
                }
            }
            Effect::Freeze(replica, run) => {
                let refused = self.chaos && chance(&mut self.rng, 10);
                let result = if refused { Err("cgroup v1".to_owned()) } else { Ok(()) };
                if let Some(r) = self.alive(run).filter(|_| !refused) {
                    r.frozen = true;
                }
                self.applied(replica, run, Applied::Freeze, result);
            }
            Effect::Thaw(replica, run) => {
                if let Some(r) = self.alive(run) {
                    r.frozen = false;
                }
                self.applied(replica, run, Applied::Thaw, Ok(()));
            }
            Effect::Network { replica, run, .. } => {
                let refused = self.chaos && chance(&mut self.rng, 10);
                let result = if refused { Err("no firewall".to_owned()) } else { Ok(()) };
                self.applied(replica, run, Applied::Network, result);
            }
            Effect::SetLimits { replica, run, .. } => self.applied(replica, run, Applied::Limits, Ok(())),
            Effect::SetTeam { .. } => {}
            Effect::Notice(notice) => *self.seen.entry(notice.kind.info().word).or_default() += 1,
            Effect::AllocatePort(replica) => {
                let fails = self.chaos && chance(&mut self.rng, 10);
                let result = if fails { Err("none is free".to_owned()) } else { Ok(4000) };
                let span = self.delay();
                self.deliver(span, Event::PortAllocated { replica, result });
            }
            Effect::LookAtGpus => self.look_at_cards(),
            Effect::HoldGpus { id, .. } => self.deliver(ms(1), Event::GpusHeld { id, result: Ok(()) }),
            Effect::KillStragglers { replica, .. } => {
                self.must_not_live(&replica, "killed for its stragglers")?;
                let tries = chance(&mut self.cards_rng, 70);
                self.stragglers.retain(|id, s| *id != replica || (s.stubborn && !tries));
            }
            Effect::Probe { replica, run, kind, timeout, .. } => {
                let healthy = self.runs.get(&run).is_some_and(|r| r.ended.is_none() && r.healthy && !r.frozen);
                let result = if healthy { Ok(ms(1)) } else { Err("refused".to_owned()) };
                let span = if healthy || chance(&mut self.rng, 50) { self.delay().min(timeout) } else { timeout };
                self.deliver(span, Event::Probed { replica, run, kind, result });
            }
            Effect::Hook { replica, run, kind, timeout, .. } => self.hook(replica, run, kind, timeout),
            Effect::Append(id, entry) => {
                if let RunEntry::Started(live) = &entry
                    && let Some(run) = self.runs.get_mut(&live.run)
                {
                    run.known = true;
                }
                self.store.append(&id, entry);
            }
            Effect::Record(record) => {
                crate::laws::at_record(self, &record)?;
                self.store.record(record);
            }
            Effect::Persist(node) => self.store.node = (*node).clone(),
            Effect::Reply { .. } => {}
            Effect::Exit => self.exited = true,
        }
        Ok(())
    }

    /// Disarming and forgetting stop the unit: a run that the core knows must not be in it.
    fn must_not_live(&mut self, id: &ReplicaId, what: &str) -> Law {
        match self.unit(id).state.clone() {
            UnitState::Live(run) if self.runs.get(&run).is_some_and(|r| r.told) => {
                Err(format!("{id} is {what} while run {run} lives"))
            }
            _ => Ok(()),
        }
    }

    fn applied(&mut self, replica: ReplicaId, run: RunId, what: Applied, result: Result<(), String>) {
        let span = self.delay();
        self.launcher(span, LauncherEvent::Applied { replica, run, what, result });
    }

    fn hook(&mut self, replica: ReplicaId, run: RunId, kind: HookKind, timeout: Duration) {
        let drains = self.runs.get(&run).is_some_and(|r| r.ended.is_none() && r.drains && !r.frozen);
        let (span, result) = match (kind, drains) {
            (_, true) if self.rng.below(4) > 0 => (self.delay(), Ok(true)),
            (HookKind::Until, _) => (self.delay(), Ok(false)),
            (_, true) => (self.delay(), Err("exit code 1".to_owned())),
            (_, false) => (timeout, Err("timed out".to_owned())),
        };
        self.deliver(span.min(timeout), Event::Hooked { replica, run, kind, result });
    }

    fn alive(&mut self, run: RunId) -> Option<&mut Run> {
        self.runs.get_mut(&run).filter(|r| r.ended.is_none())
    }

    fn launch(&mut self, epoch: u32, id: &ReplicaId, token: StartToken, spec: Arc<RunSpec>) -> Law {
        if !self.systemd && epoch != self.epoch {
            return Ok(());
        }
        let taken = matches!(self.unit(id).state, UnitState::Live(_));
        if taken || (self.chaos && chance(&mut self.rng, 4)) {
            let error = if taken { "unit is loaded already" } else { "no such file" }.to_owned();
            if epoch == self.epoch {
                self.launcher(ms(1), LauncherEvent::StartFailed { replica: id.clone(), token, error });
            }
            return Ok(());
        }
        let run = self.begin_run(id, spec);
        if epoch == self.epoch {
            let span = self.delay().min(ms(50));
            let replica = id.clone();
            self.announce(run);
            self.launcher(span, LauncherEvent::Started { replica, token, run, pid: 7, cgroup: Some(cgroup(id)) });
        } else if self.core.is_some() && self.attached && !self.exited && chance(&mut self.rng, 50) {
            // Asked for by a daemon that is gone; PID 1 says so now, or the next list does.
            let started = self.wall().wall;
            return self.tell_found(id, run, None, started);
        }
        Ok(())
    }

    fn announce(&mut self, run: RunId) {
        let epoch = self.epoch;
        if let Some(r) = self.runs.get_mut(&run) {
            r.announced = Some(epoch);
            let id = r.id.clone();
            self.unit(&id).last_told = Some(run);
        }
    }

    fn begin_run(&mut self, id: &ReplicaId, spec: Arc<RunSpec>) -> RunId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(self.runs.len() as u64 + 1).to_be_bytes());
        let run = RunId(bytes);
        let unit = self.unit(id);
        unit.state = UnitState::Live(run);
        unit.reported = None;
        unit.armed = false;
        let life = Run {
            id: id.clone(),
            spec,
            ended: None,
            told: false,
            known: false,
            recorded_in: None,
            announced: None,
            stopping: false,
            frozen: false,
            ignores_term: chance(&mut self.rng, 15),
            hard_to_kill: self.chaos && chance(&mut self.rng, 3),
            healthy: !chance(&mut self.rng, 10),
            drains: chance(&mut self.rng, 75),
        };
        self.runs.insert(run, life);
        self.say(|| format!("  run {} of {id} begins", number(run)));
        self.destiny(run, id);
        run
    }

    /// What this run is going to do.
    fn destiny(&mut self, run: RunId, id: &ReplicaId) {
        let Some(def) = self.config.workers.get(&id.worker).cloned() else { return };
        // Some workers are of the kind that crashes, all their replicas alike.
        let character = (self.seed ^ id.worker.as_str().len() as u64 ^ u64::from(id.worker.as_str().as_bytes()[0])) % 5;
        let crash = match character {
            0 => 70,
            1 => 30,
            _ => 8,
        };
        if self.chaos && chance(&mut self.rng, crash) {
            let after = match self.rng.below(3) {
                0 => ms(self.rng.below(50)),
                1 => ms(self.rng.below(5000)),
                _ => s(self.rng.below(400)),
            };
            let status = pick(
                &mut self.rng,
                &[
                    ExitStatus::Code(1),
                    ExitStatus::Code(1),
                    ExitStatus::Signal(11),
                    ExitStatus::Code(0),
                    ExitStatus::Code(75),
                    ExitStatus::Code(77),
                    ExitStatus::Signal(9),
                ],
            );
            let oom = status == ExitStatus::Signal(9) && chance(&mut self.rng, 70);
            self.later(after, Todo::Ends(run, status, oom));
        }
        if def.ready.notify && (!self.chaos || chance(&mut self.rng, 92)) {
            let span = if chance(&mut self.rng, 10) { ms(0) } else { ms(self.rng.below(8000)) };
            self.later(span, Todo::Life(run, Beat::Ready));
        }
        match def.liveness.as_ref().map(|p| &p.check) {
            Some(Check::Notify) => self.later(s(1), Todo::Life(run, Beat::Watchdog)),
            Some(Check::Progress) => self.later(s(1), Todo::Life(run, Beat::Progress(0))),
            _ => {}
        }
        if chance(&mut self.rng, 20) {
            let span = s(self.rng.below(60));
            self.later(span, Todo::Life(run, Beat::Chatter));
        }
        if self.chaos && chance(&mut self.rng, 20) {
            let span = s(self.rng.below(200));
            self.later(span, Todo::Life(run, Beat::Sicken));
        }
    }

    fn life(&mut self, run: RunId, beat: Beat) {
        let Some(r) = self.alive(run) else { return };
        let (id, frozen, healthy) = (r.id.clone(), r.frozen, r.healthy);
        let mut message = Notification::default();
        match beat {
            Beat::Ready => message.ready = true,
            Beat::Watchdog => message.watchdog = true,
            Beat::Progress(n) => message.progress = Some(n.to_string()),
            Beat::Sicken => {
                r.healthy = !healthy;
                return;
            }
            Beat::Chatter => {
                let wall = self.wall().wall;
                match self.rng.below(7) {
                    0 => message.status = Some("busy".into()),
                    1 => message.active_tasks = Some(self.rng.below(4)),
                    2 => message.stopping = true,
                    3 => message.extend_timeout = Some(s(self.rng.below(100))),
                    4 => message.watchdog_trigger = self.chaos,
                    5 => message.retry_at = Some(wall.plus(s(self.rng.below(100)))),
                    _ => message.main_pid = Some(9),
                }
                let span = s(self.rng.below(100));
                self.later(span, Todo::Life(run, Beat::Chatter));
            }
        }
        let again = match beat {
            Beat::Watchdog => Some(Beat::Watchdog),
            Beat::Progress(n) => Some(Beat::Progress(n + 1)),
            _ => None,
        };
        if let Some(beat) = again {
            self.later(s(9), Todo::Life(run, beat));
        }
        if frozen || (again.is_some() && !healthy) {
            return;
        }
        if self.core.is_none() {
            if self.systemd {
                self.sockets.push((id, message));
            }
            return;
        }
        let span = self.delay().min(ms(2));
        self.launcher(span, LauncherEvent::Notified { replica: id, message });
    }

    fn ends(&mut self, run: RunId, status: ExitStatus, oom_kill: bool) {
        let at = self.wall().wall;
        let info = ExitInfo { status, oom_kill, peak_memory: None, at };
        let epoch = self.epoch;
        let Some(r) = self.alive(run) else { return };
        if r.frozen && status != ExitStatus::Signal(9) {
            // It comes to that when it is thawed; near enough: never.
            return;
        }
        r.ended = Some(info.clone());
        let (id, stopping, spec) = (r.id.clone(), r.stopping, Arc::clone(&r.spec));
        let announced = r.announced == Some(epoch);
        let known = r.known && !r.stopping;
        self.leave_something(run, &id, &spec, known);
        self.say(|| format!("  run {} of {id} ends: {status:?}", number(run)));
        let clean = matches!(status, ExitStatus::Code(0) | ExitStatus::Signal(15));
        let final_code = matches!(status, ExitStatus::Code(77 | 78));
        let restarts = match spec.policy {
            RestartPolicy::Always => !final_code,
            RestartPolicy::OnFailure => !clean && !final_code,
            RestartPolicy::Never => false,
        };
        let dead_man = spec.unsupervised_after.filter(|_| self.systemd && restarts && !stopping);
        let unit = self.unit(&id);
        unit.state = UnitState::Ended(run, info.clone());
        unit.journal.push((run, info.clone()));
        // A start that was asked for comes before the dead-man's.
        let dead_man = dead_man.filter(|_| !unit.starting);
        unit.armed = dead_man.is_some();
        unit.reported = None;
        if let Some(span) = dead_man {
            self.later(span, Todo::DeadMan(id.clone(), run));
        }
        // Of a run it does not know yet the launcher tells with its next list.
        if self.core.is_some() && announced {
            let lost = self.systemd && self.chaos && chance(&mut self.rng, 1);
            let late = self.chaos && chance(&mut self.rng, 2);
            let span = if late { s(self.rng.below(20)) } else { self.delay().min(ms(100)).max(ms(60)) };
            if !lost {
                self.launcher(span, LauncherEvent::Exited { replica: id, run, info });
            }
        }
    }

    fn stop(&mut self, run: RunId, grace: Duration) {
        let Some(r) = self.alive(run) else { return };
        r.stopping = true;
        r.frozen = false;
        if !r.ignores_term {
            let status = pick(
                &mut self.rng,
                &[ExitStatus::Signal(15), ExitStatus::Code(0), ExitStatus::Code(143), ExitStatus::Code(1)],
            );
            let span = ms(self.rng.below(3000));
            self.later(span, Todo::Ends(run, status, false));
        }
        self.later(grace, Todo::Sigkill(run));
    }

    fn sigkill(&mut self, run: RunId) {
        let Some(r) = self.alive(run) else { return };
        r.frozen = false;
        let span = if r.hard_to_kill { s(45) } else { ms(1) };
        self.later(span, Todo::Ends(run, ExitStatus::Signal(9), false));
    }

    fn signal(&mut self, run: RunId, signal: i32) {
        let Some(r) = self.alive(run) else { return };
        let (drains, id) = (r.drains, r.id.clone());
        let until_exit =
            self.config.workers.get(&id.worker).and_then(|w| w.drain.as_ref()).is_some_and(|d| d.until == Until::Exit);
        match signal {
            10 if drains && until_exit => {
                let span = s(self.rng.below(60));
                self.later(span, Todo::Ends(run, ExitStatus::Code(0), false));
            }
            9 | 15 => self.later(ms(1), Todo::Ends(run, ExitStatus::Signal(signal), false)),
            _ => {}
        }
    }

    fn dead_man(&mut self, id: &ReplicaId, run: RunId) -> Law {
        let alive = self.core.is_some() && !self.exited;
        let attached = self.attached;
        let now = self.now;
        let unit = self.unit(id);
        if !unit.armed || !matches!(&unit.state, UnitState::Ended(r, _) if *r == run) {
            return Ok(());
        }
        let reported = unit.reported;
        let Some(spec) = self.runs.get(&run).map(|r| Arc::clone(&r.spec)) else { return Ok(()) };
        let half = spec.unsupervised_after.unwrap_or_default() / 2;
        if alive && attached && reported.is_some_and(|at| at + half < now) {
            return Err(format!("PID 1 restarts {id} by itself while the core knew of its end since {reported:?}"));
        }
        self.say(|| format!("  PID 1 restarts {id}"));
        let started = self.wall().wall;
        let next = self.begin_run(id, spec);
        if alive && attached {
            self.tell_found(id, next, None, started)?;
        }
        Ok(())
    }

    fn tell_found(&mut self, id: &ReplicaId, run: RunId, ended: Option<ExitInfo>, started: Wall) -> Law {
        let now = self.now;
        let known = self.unit(id).last_told;
        self.announce(run);
        let unit = self.unit(id);
        unit.reported = ended.is_some().then_some(now);
        let (stored, since) = self.known_at_birth.get(id).copied().unzip();
        // As the shell asks the journal: from the run that is known on, and nothing when that is the present one.
        let missed: Vec<_> = match known.or(stored) {
            Some(known) if known != run => {
                let since = since.unwrap_or_default();
                let journal: Vec<_> =
                    self.units[id].journal.iter().filter(|(_, info)| info.at >= since).cloned().collect();
                let from = journal.iter().position(|(r, _)| *r == known).unwrap_or(0);
                journal.into_iter().skip(from).filter(|(r, _)| *r != run).collect()
            }
            _ => Vec::new(),
        };
        let spoken: Vec<RunId> = missed.iter().map(|(r, _)| *r).chain([run]).collect();
        let frozen = self.runs.get(&run).is_some_and(|r| r.frozen);
        if let Some(r) = self.runs.get_mut(&run) {
            r.told = true;
        }
        let pid = ended.is_none().then_some(7);
        let found = Found {
            replica: id.clone(),
            run,
            pid,
            cgroup: Some(cgroup(id)),
            ended,
            frozen,
            missed,
            started: Some(started),
        };
        let epoch = self.epoch;
        self.tell(Event::Launcher(LauncherEvent::Found(found)))?;
        if self.epoch == epoch {
            for run in spoken {
                if let Some(r) = self.runs.get_mut(&run) {
                    r.known = true;
                }
            }
        }
        Ok(())
    }

    fn list(&mut self) -> Law {
        let epoch = self.epoch;
        let ids: Vec<_> = self.units.keys().cloned().collect();
        for id in ids {
            let started = self.wall().wall;
            let unit = self.unit(&id);
            if unit.starting {
                continue;
            }
            match unit.state.clone() {
                UnitState::None => continue,
                UnitState::Live(run) => self.tell_found(&id, run, None, started)?,
                UnitState::Ended(run, info) => self.tell_found(&id, run, Some(info), started)?,
            }
            if self.epoch != epoch || self.exited {
                return Ok(());
            }
        }
        self.attached = true;
        self.handle(Event::Launcher(LauncherEvent::ListComplete))?;
        if self.epoch == epoch {
            self.later(s(300), Todo::List(epoch));
        }
        Ok(())
    }

    /// Another list at once, as after a reconnect of the bus.
    pub fn list_now(&mut self) -> Law {
        if self.core.is_some() && !self.exited { self.list() } else { Ok(()) }
    }

    pub fn kill_daemon(&mut self) {
        if self.core.is_none() {
            return;
        }
        self.say(|| "=== the daemon is killed".into());
        *self.seen.entry("- daemon killed").or_default() += 1;
        self.core = None;
        self.attached = false;
        self.was_attached = false;
        self.trials.clear();
        self.epoch += 1;
        for run in self.runs.values_mut() {
            run.told = false;
        }
        let at = self.wall().wall;
        for unit in self.units.values_mut() {
            unit.starting = false;
            unit.reported = None;
            unit.last_told = None;
            if self.systemd {
                // A stopped unit is held by our reference, and that goes with us.
                if matches!(&unit.state, UnitState::Ended(..)) && !unit.armed && self.rng.below(2) == 0 {
                    unit.state = UnitState::None;
                    unit.journal.clear();
                }
            } else if let UnitState::Live(run) = std::mem::take(&mut unit.state)
                && let Some(r) = self.runs.get_mut(&run)
            {
                r.ended = Some(ExitInfo { status: ExitStatus::Signal(9), oom_kill: false, peak_memory: None, at });
            }
        }
        if !self.systemd {
            self.units.clear();
        }
        if self.chaos && chance(&mut self.rng, 20) {
            self.config = Arc::new(crate::config::changed(&mut self.rng, &self.config));
        }
        let away = match self.rng.below(10) {
            0..=5 => ms(self.rng.below(1000)),
            6..=8 => s(self.rng.below(60)),
            _ => s(self.rng.below(600)),
        };
        self.later(away, Todo::Reborn);
    }

    pub fn reborn(&mut self) {
        self.say(|| "=== the daemon starts".into());
        let site = Site { launcher: if self.systemd { "systemd" } else { "direct" }.into(), ..Site::default() };
        let seed = self.rng.next_u64();
        let restored = self.store.restored();
        let known = |h: &persist::ReplicaHistory| {
            let live = h.live.as_ref().map(|l| (l.run, l.started));
            live.or_else(|| h.last_exit.as_ref().map(|e| (e.run, e.started.unwrap_or(e.ended))))
        };
        self.known_at_birth = restored.replicas.iter().filter_map(|(id, h)| Some((id.clone(), known(h)?))).collect();
        let core = Core::new(Arc::clone(&self.config), restored, site, seed, self.wall());
        self.core = Some(core);
        self.exited = false;
        self.refill();
        if !self.cards.is_empty() {
            self.look_at_cards();
        }
        let epoch = self.epoch;
        let before = chance(&mut self.rng, 50);
        let span = self.delay();
        if !before {
            self.later(span, Todo::List(epoch));
        }
        for (replica, message) in std::mem::take(&mut self.sockets) {
            self.launcher(ms(1), LauncherEvent::Notified { replica, message });
        }
        if before {
            self.later(span + ms(2), Todo::List(epoch));
        }
    }

    /// A look begins; its answer comes a little later.
    fn look_at_cards(&mut self) {
        let (epoch, at) = (self.epoch, self.now);
        let span = ms(self.cards_rng.below(200));
        self.later(span, Todo::Gpus(epoch, at));
    }

    fn inventory(&self, at: Mono) -> Inventory {
        let mut cards = self.cards.clone();
        let living =
            self.runs.iter().filter(|(_, r)| r.ended.is_none()).map(|(run, r)| (process(*run), &r.id, &r.spec.gpus));
        let left = self.stragglers.iter().map(|(id, s)| (s.pid, id, &s.gpus));
        for (pid, id, gpus) in living.chain(left) {
            for card in cards.iter_mut().filter(|c| gpus.contains(&c.uuid)) {
                card.memory_used = card.memory_used.map(|used| used + (4 << 30));
                let path = cgroup(id).trim_start_matches("/sys/fs/cgroup").to_owned();
                card.processes.push(Process { pid, memory: Some(4 << 30), gpu_instance: None, cgroup: Some(path) });
            }
        }
        Inventory { at, hold: Hold::Held, cards }
    }

    /// Some runs do not take all their processes with them.
    fn leave_something(&mut self, run: RunId, id: &ReplicaId, spec: &RunSpec, known: bool) {
        if self.chaos && !spec.gpus.is_empty() && chance(&mut self.cards_rng, 30) {
            let stubborn = chance(&mut self.cards_rng, 50);
            let left = Straggler { pid: 500_000 + process(run), gpus: spec.gpus.clone(), known, stubborn };
            self.stragglers.insert(id.clone(), left);
        }
    }

    fn card(&mut self, at: usize) {
        let (chaos, wall, kind) = (self.chaos, self.wall().wall, self.cards_rng.below(3));
        if let Some(card) = self.cards.get_mut(at) {
            let ill = card.facts != reeve_core::gpu::Facts::default();
            card.facts = Default::default();
            match kind {
                _ if ill || !chaos => {}
                0 => card.facts.lost = Some("it fell off the bus".into()),
                1 => card.facts.remap_failure = Some(true),
                _ => card.facts.fatal_xid = Some((79, wall)),
            }
        }
        self.look_at_cards();
        if chaos {
            let span = s(10 + self.cards_rng.below(3000));
            self.later(span, Todo::Card(at));
        }
    }

    /// The reference bucket is full.
    pub fn refill(&mut self) {
        self.tokens = self.config.supervision.restart_rate.map_or(0.0, |r| f64::from(r.count));
        self.tokens_at = self.now;
    }

    /// The machine sleeps: processes and PID 1's timers stand still, the boot clock goes on.
    pub fn suspend(&mut self, span: Duration) -> Law {
        let queue = std::mem::take(&mut self.queue);
        self.queue = queue.into_iter().map(|((at, n), todo)| ((at + span, n), todo)).collect();
        self.now = self.now + span;
        self.handle(Event::Resumed(span))
    }

    /// One end for many at once.
    pub fn mass_crash(&mut self) {
        let status = pick(&mut self.rng, &[ExitStatus::Code(1), ExitStatus::Signal(11)]);
        let alive: Vec<_> = self.runs.iter().filter(|(_, r)| r.ended.is_none()).map(|(id, _)| *id).collect();
        for run in alive {
            if chance(&mut self.rng, 80) {
                self.later(ms(1), Todo::Ends(run, status, false));
            }
        }
    }
}

impl UnitState {
    pub fn run(&self) -> Option<RunId> {
        match self {
            UnitState::None => None,
            UnitState::Live(run) | UnitState::Ended(run, _) => Some(*run),
        }
    }
}

/// Runs are numbered from 1.
pub fn number(run: RunId) -> u64 {
    run.0.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// An event in a line.
fn short(event: &Event) -> String {
    match event {
        Event::Launcher(LauncherEvent::Started { replica, token, run, .. }) => {
            format!("started {replica} {token:?} {}", number(*run))
        }
        Event::Launcher(LauncherEvent::Exited { replica, run, info }) => {
            format!("exited {replica} {} {:?}", number(*run), info.status)
        }
        Event::Launcher(LauncherEvent::Notified { replica, message }) => {
            let text = format!("{message:?}");
            let said: Vec<_> = text
                .trim_start_matches("Notification { ")
                .split(", ")
                .filter(|part| !part.ends_with("false") && !part.contains("None"))
                .collect();
            format!("notified {replica} {}", said.join(" "))
        }
        Event::Launcher(LauncherEvent::Found(found)) => {
            let missed: Vec<_> = found.missed.iter().map(|(run, info)| (number(*run), info.status)).collect();
            let ended = found.ended.as_ref().map(|info| info.status);
            format!("found {} {} ended {ended:?} missed {missed:?}", found.replica, number(found.run))
        }
        Event::Launcher(LauncherEvent::StartFailed { replica, token, error }) => {
            format!("start failed {replica} {token:?} {error}")
        }
        Event::Launcher(other) => format!("{other:?}"),
        Event::Probed { replica, kind, result, .. } => format!("probed {replica} {kind:?} {}", result.is_ok()),
        Event::Hooked { replica, kind, result, .. } => format!("hooked {replica} {kind:?} {result:?}"),
        Event::Reloaded(config) => {
            let workers: Vec<_> = config.workers.values().map(|w| format!("{}×{}", w.name, w.replicas)).collect();
            format!("reloaded {}", workers.join(" "))
        }
        Event::Command(request) => {
            format!("command {:?}{}", request.command, if request.dry_run { " dry" } else { "" })
        }
        other => format!("{other:?}"),
    }
}
