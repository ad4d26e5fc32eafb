//! The world around one core: time, PID 1 or a parent of children, workers with a life of their own, a daemon that is
//! killed between any two effects and comes back.

mod cards;
mod daemon;
mod effects;
mod lives;

use crate::config::{chance, ms, pick, s};
use crate::store::Store;
use reeve_core::config::{Check, Config, RestartPolicy, Until};
use reeve_core::gpu::{Card, Hold, Inventory, Process};
use reeve_core::rng::Rng;
use reeve_core::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cards::{cards, cgroup};

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
    /// When the launcher of a daemon comes to the start it was asked for last: those of one unit come one after the
    /// other.
    launch_at: Option<(u32, Mono)>,
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
    /// The launcher's word of its end was lost.
    exit_lost: bool,
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

    /// The reference bucket is full.
    pub fn refill(&mut self) {
        self.tokens = self.config.supervision.restart_rate.map_or(0.0, |r| f64::from(r.count));
        self.tokens_at = self.now;
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
