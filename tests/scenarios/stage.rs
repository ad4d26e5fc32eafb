//! A node on which everything but the core is told what to do: the launcher answers at once, runs live until they are
//! ended, and every effect worth reading becomes a line.

use reeve_core::config::{HostFacts, SourceFile, SourceKind, load};
use reeve_core::gpu::{Card, Hold, Inventory, Process};
use reeve_core::persist::{LiveRun, ReplicaHistory, RestartRecord, Restored};
use reeve_core::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
pub struct Stage {
    pub now: Duration,
    pub files: BTreeMap<String, String>,
    pub core: Option<Core>,
    pub out: String,
    pub manners: BTreeMap<WorkerName, Manners>,
    /// The dead-man timer is quicker than their next start.
    pub slips: BTreeSet<ReplicaId>,
    pub start_fails: Option<String>,
    pub freeze_fails: Option<String>,
    pub drained: BTreeSet<ReplicaId>,
    pub sick: BTreeSet<ReplicaId>,
    pub die_after: Option<usize>,
    pub counts: BTreeMap<&'static str, u32>,
    pub quiet: bool,
    /// Cards, what is left on them of dead runs, and whether it can be killed.
    pub cards: Vec<Card>,
    pub hold: Hold,
    pub stragglers: BTreeMap<ReplicaId, Vec<String>>,
    pub leaves: BTreeSet<ReplicaId>,
    pub undead: bool,
    live: BTreeMap<ReplicaId, Life>,
    sockets: Vec<(ReplicaId, Notification)>,
    ended: BTreeMap<ReplicaId, (RunId, ExitInfo, Arc<RunSpec>)>,
    missed: BTreeMap<ReplicaId, Vec<(RunId, ExitInfo)>>,
    queue: BTreeMap<(Duration, u64), Due>,
    inbox: VecDeque<Event>,
    logs: BTreeMap<ReplicaId, ReplicaHistory>,
    node: NodeRecord,
    runs: u64,
    sequence: u64,
    commands: u64,
}

#[derive(Default, Clone)]
pub struct Manners {
    pub crashes: Option<(Duration, ExitStatus, bool)>,
    pub readies: Option<Duration>,
    pub ignores: bool,
}

struct Life {
    run: RunId,
    spec: Arc<RunSpec>,
    frozen: bool,
    stopping: bool,
}

enum Due {
    Ends(RunId, ReplicaId, ExitStatus, bool),
    Ready(RunId, ReplicaId),
    DeadMan(RunId, ReplicaId),
}

const BOOT: u64 = 1_790_000_000_000_000;

impl Stage {
    pub fn clock(&self) -> Now {
        Now { mono: Mono(self.now), wall: Wall(BOOT).plus(self.now) }
    }

    pub fn wall(&self) -> Wall {
        self.clock().wall
    }

    pub fn line(&mut self, text: &str) {
        if !self.quiet {
            writeln!(self.out, "{:>8.3} {text}", self.now.as_secs_f64()).unwrap();
        }
    }

    pub fn config(&self) -> Result<Arc<Config>, String> {
        let source = |(name, text): (&String, &String)| SourceFile {
            path: format!("{name}.toml"),
            kind: if name == "reeve" { SourceKind::Node } else { SourceKind::Worker(name.clone()) },
            rank: 2,
            drop_in: None,
            text: text.clone(),
        };
        let files: Vec<_> = self.files.iter().map(source).collect();
        let host = HostFacts { hostname: "node".into(), cpus: 8, memory: 64 << 30 };
        let loaded = load(&files, &host);
        let wrong = || loaded.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        loaded.config.clone().map(Arc::new).ok_or_else(wrong)
    }

    /// The daemon starts, and its launcher lists what runs.
    pub fn boot(&mut self) -> Result<(), String> {
        let restored = Restored { node: self.node.clone(), replicas: self.logs.clone() };
        let site = Site { launcher: "systemd".into(), version: "1".into(), ..Site::default() };
        self.core = Some(Core::new(self.config()?, restored, site, 7, self.clock()));
        let mut found = Vec::new();
        for (id, life) in &self.live {
            found.push((id.clone(), life.run, None, life.frozen));
        }
        for (id, (run, info, _)) in &self.ended {
            found.push((id.clone(), *run, Some(info.clone()), false));
        }
        for (replica, message) in std::mem::take(&mut self.sockets) {
            self.inbox.push_back(Event::Launcher(LauncherEvent::Notified { replica, message }));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        for (replica, run, ended, frozen) in found {
            let missed = self.missed.remove(&replica).unwrap_or_default();
            let pid = ended.is_none().then_some(100);
            let cgroup = self.cgroup(&replica);
            let found = Found { replica, run, pid, cgroup, ended, frozen, missed, started: None };
            self.inbox.push_back(Event::Launcher(LauncherEvent::Found(found)));
        }
        self.inbox.push_back(Event::Launcher(LauncherEvent::ListComplete));
        if !self.cards.is_empty() {
            self.inbox.push_back(Event::Gpus(self.inventory()));
        }
        self.settle();
        Ok(())
    }

    pub fn kill_daemon(&mut self) {
        self.core = None;
        self.inbox.clear();
        self.die_after = None;
        self.line("the daemon is killed");
    }

    /// An event, and all that follows from it at once.
    pub fn event(&mut self, event: Event) {
        self.inbox.push_back(event);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(event) = self.inbox.pop_front() {
            let now = self.clock();
            let Some(core) = &mut self.core else { return self.inbox.clear() };
            let effects = core.handle(event, now);
            for effect in effects {
                if self.die_after == Some(0) {
                    self.kill_daemon();
                    return;
                }
                self.die_after = self.die_after.map(|n| n - 1);
                self.exec(effect);
            }
            if let Some(core) = &self.core {
                core.check().unwrap();
            }
        }
    }

    /// Time passes.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let due = self.queue.keys().next().map(|(at, _)| *at);
            let timer = self.core.as_ref().and_then(Core::deadline).map(|d| d.at.0);
            let Some(next) = due.into_iter().chain(timer).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if due == Some(next)
                && let Some((_, due)) = self.queue.pop_first()
            {
                self.due(due);
            } else {
                self.event(Event::Tick);
            }
        }
        self.now = end;
    }

    pub fn suspend(&mut self, span: Duration) {
        let queue = std::mem::take(&mut self.queue);
        self.queue = queue.into_iter().map(|((at, n), due)| ((at + span, n), due)).collect();
        self.now += span;
        self.event(Event::Resumed(span));
    }

    fn later(&mut self, span: Duration, due: Due) {
        self.sequence += 1;
        self.queue.insert((self.now + span, self.sequence), due);
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Ends(run, id, status, oom) => {
                if self.live.get(&id).is_some_and(|l| l.run == run) {
                    self.end(&id, status, oom);
                }
            }
            Due::Ready(run, replica) => {
                if self.live.get(&replica).is_some_and(|l| l.run == run) {
                    self.notify(replica, Notification { ready: true, ..Notification::default() });
                }
            }
            Due::DeadMan(run, id) => {
                if self.ended.get(&id).is_some_and(|(r, ..)| *r == run)
                    && let Some((_, info, spec)) = self.ended.remove(&id)
                {
                    assert!(self.core.is_none(), "{id} was not disarmed");
                    self.line(&format!("(systemd restarts {id})"));
                    self.missed.entry(id.clone()).or_default().push((run, info));
                    self.begin(&id, spec);
                }
            }
        }
    }

    fn begin(&mut self, id: &ReplicaId, spec: Arc<RunSpec>) -> RunId {
        self.runs += 1;
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&self.runs.to_be_bytes());
        let run = RunId(bytes);
        self.live.insert(id.clone(), Life { run, spec, frozen: false, stopping: false });
        self.ended.remove(id);
        let manners = self.manners.get(&id.worker).cloned().unwrap_or_default();
        if let Some((span, status, oom)) = manners.crashes {
            self.later(span, Due::Ends(run, id.clone(), status, oom));
        }
        if let Some(span) = manners.readies {
            self.later(span, Due::Ready(run, id.clone()));
        }
        run
    }

    /// PID 1 has restarted it by itself while our start was on its way, which ended that run.
    fn slip(&mut self, replica: ReplicaId) {
        self.runs += 1;
        let run = RunId((u128::from(self.runs)).to_be_bytes());
        let at = self.clock().wall;
        let ended = Some(ExitInfo { status: ExitStatus::Signal(15), oom_kill: false, peak_memory: None, at });
        let found =
            Found { replica, run, pid: None, cgroup: None, ended, frozen: false, missed: vec![], started: Some(at) };
        self.answer(LauncherEvent::Found(found));
    }

    /// The present run ends.
    pub fn end(&mut self, id: &ReplicaId, status: ExitStatus, oom_kill: bool) {
        let Some(Life { run, spec, stopping, .. }) = self.live.remove(id) else { return };
        let info = ExitInfo { status, oom_kill, peak_memory: None, at: self.clock().wall };
        if self.leaves.remove(id) {
            self.stragglers.insert(id.clone(), spec.gpus.clone());
        }
        if let Some(span) = spec.unsupervised_after.filter(|_| !stopping) {
            self.later(span, Due::DeadMan(run, id.clone()));
        }
        self.ended.insert(id.clone(), (run, info.clone(), spec));
        self.event(Event::Launcher(LauncherEvent::Exited { replica: id.clone(), run, info }));
    }

    /// The worker says something; without a daemon it waits in the socket.
    pub fn notify(&mut self, replica: ReplicaId, message: Notification) {
        if self.core.is_none() {
            return self.sockets.push((replica, message));
        }
        self.event(Event::Launcher(LauncherEvent::Notified { replica, message }));
    }

    /// Its metrics have changed.
    pub fn tells(&mut self, replica: ReplicaId, values: BTreeMap<String, f64>) {
        if let Some(run) = self.live.get(&replica).map(|life| life.run) {
            self.event(Event::WorkerValues { replica, run, values });
        }
    }

    pub fn replicas_alive(&self, worker: &WorkerName) -> Vec<ReplicaId> {
        self.live.keys().filter(|id| id.worker == *worker).cloned().collect()
    }

    pub fn command(&mut self, command: Command) {
        self.commands += 1;
        let request = CommandRequest {
            id: CommandId(self.commands),
            command,
            by: "alice".into(),
            uid: 1000,
            via: "dbus".into(),
            reason: None,
            request_id: None,
            dry_run: false,
        };
        self.event(Event::Command(Box::new(request)));
    }

    /// Only where there are cards, so that other transcripts stay as they are.
    fn cgroup(&self, id: &ReplicaId) -> Option<String> {
        (!self.cards.is_empty()).then(|| format!("/sys/fs/cgroup/{}", id.unit()))
    }

    /// What a look at the cards brings.
    pub fn inventory(&self) -> Inventory {
        let mut cards = self.cards.clone();
        let living = self.live.iter().map(|(id, life)| (id, &life.spec.gpus));
        for (at, (id, given)) in living.chain(&self.stragglers).enumerate() {
            for card in cards.iter_mut().filter(|c| given.contains(&c.uuid)) {
                let process = Process {
                    pid: 1000 + at as u32,
                    memory: Some(8 << 30),
                    gpu_instance: None,
                    cgroup: Some(format!("/{}", id.unit())),
                };
                card.memory_used = card.memory_used.map(|used| used + (8 << 30));
                card.processes.push(process);
            }
        }
        Inventory { at: Mono(self.now), hold: self.hold.clone(), cards }
    }

    fn answer(&mut self, event: LauncherEvent) {
        self.inbox.push_back(Event::Launcher(event));
    }

    fn applied(&mut self, replica: ReplicaId, run: RunId, what: Applied, result: Result<(), String>) {
        self.answer(LauncherEvent::Applied { replica, run, what, result });
    }

    fn exec(&mut self, effect: Effect) {
        match effect {
            Effect::Start { token, spec } => {
                let replica = spec.replica.clone();
                self.line(&format!("start {replica}"));
                if let Some(error) = self.start_fails.clone() {
                    return self.answer(LauncherEvent::StartFailed { replica, token, error });
                }
                if !spec.gpus.is_empty() {
                    self.line(&format!("  on {}", spec.gpus.join(", ")));
                }
                if self.slips.remove(&replica) {
                    self.slip(replica.clone());
                }
                let run = self.begin(&replica, spec);
                let cgroup = self.cgroup(&replica);
                self.answer(LauncherEvent::Started { replica, token, run, pid: 100, cgroup });
            }
            Effect::Stop { replica, run, signal, grace } => {
                self.line(&format!("stop {replica} with {} within {}s", exit::signal_name(signal), grace.as_secs()));
                if let Some(life) = self.live.get_mut(&replica) {
                    life.stopping = true;
                }
                let ignores = self.manners.get(&replica.worker).is_some_and(|m| m.ignores);
                let (span, signal) = if ignores { (grace, 9) } else { (Duration::ZERO, signal) };
                self.later(span, Due::Ends(run, replica, ExitStatus::Signal(signal), false));
            }
            Effect::Kill { replica, run } => {
                self.line(&format!("kill {replica}"));
                self.later(Duration::ZERO, Due::Ends(run, replica, ExitStatus::Signal(9), false));
            }
            Effect::Signal { replica, signal, .. } => {
                self.line(&format!("signal {replica} {}", exit::signal_name(signal)));
            }
            Effect::Disarm(id) => {
                self.line(&format!("disarm {id}"));
                self.ended.remove(&id);
            }
            Effect::Forget(id) => {
                self.line(&format!("forget {id}"));
                self.ended.remove(&id);
            }
            Effect::Freeze(id, run) => {
                self.line(&format!("freeze {id}"));
                let result = self.freeze_fails.clone().map_or(Ok(()), Err);
                if let Some(live) = self.live.get_mut(&id) {
                    live.frozen = result.is_ok();
                }
                self.applied(id, run, Applied::Freeze, result);
            }
            Effect::Thaw(id, run) => {
                self.line(&format!("thaw {id}"));
                if let Some(live) = self.live.get_mut(&id) {
                    live.frozen = false;
                }
                self.applied(id, run, Applied::Thaw, Ok(()));
            }
            Effect::Network { replica, run, deny } => {
                self.line(&format!("network of {replica} {}", if deny { "cut" } else { "given back" }));
                self.applied(replica, run, Applied::Network, Ok(()));
            }
            Effect::SetLimits { replica, run, limits } => {
                self.line(&format!("limits of {replica}: memory {:?} cpu {:?}", limits.memory_limit, limits.cpu_limit));
                self.applied(replica, run, Applied::Limits, Ok(()));
            }
            Effect::SetTeam { team, memory_max, .. } => self.line(&format!("team {team}: memory {memory_max:?}")),
            Effect::AllocatePort(replica) => {
                self.line(&format!("find a port for {replica}"));
                self.inbox.push_back(Event::PortAllocated { replica, result: Ok(40_001) });
            }
            Effect::LookAtGpus => {
                self.line("look at the GPUs");
                self.inbox.push_back(Event::Gpus(self.inventory()));
            }
            Effect::HoldGpus { id, hold } => {
                self.line(if hold { "get hold of NVML" } else { "let go of NVML" });
                self.hold = if hold { Hold::Held } else { Hold::Released };
                self.inbox.push_back(Event::GpusHeld { id, result: Ok(()) });
                self.inbox.push_back(Event::Gpus(self.inventory()));
            }
            Effect::Fleet { id, command, reason, .. } => self.line(&format!("{}: {reason} ({})", command.what(), id.0)),
            Effect::FleetCancel(id) => self.line(&format!("take back what {} asked of the fleet", id.0)),
            Effect::KillStragglers { replica, .. } => {
                self.line(&format!("kill what is left of {replica}"));
                if !self.undead {
                    self.stragglers.remove(&replica);
                }
            }
            Effect::Probe { replica, run, kind, .. } => {
                let sick = self.sick.contains(&replica);
                self.line(&format!("probe {replica} {kind:?}: {}", if sick { "fails" } else { "well" }));
                let result = if sick { Err("status 500".to_owned()) } else { Ok(Duration::from_millis(2)) };
                self.inbox.push_back(Event::Probed { replica, run, kind, result });
            }
            Effect::Hook { replica, run, kind, .. } => {
                let done = kind != HookKind::Until || self.drained.contains(&replica);
                self.line(&format!("{kind:?} {replica}: {}", if done { "done" } else { "not yet" }));
                self.inbox.push_back(Event::Hooked { replica, run, kind, result: Ok(done) });
            }
            Effect::Append(id, entry) => self.append(&id, entry),
            Effect::Record(record) => {
                let who = if record.supervised { "" } else { " (unsupervised)" };
                self.line(&format!("record {}: {}{who}", record.replica_id(), record.reason));
                let log = self.logs.entry(record.replica_id()).or_default();
                log.live.take_if(|live| live.run == record.run);
                log.last_exit = Some(record);
            }
            Effect::Persist(node) => self.node = (*node).clone(),
            Effect::Notice(notice) => {
                *self.counts.entry(notice.kind.info().word).or_default() += 1;
                self.line(&format!("* {}: {}: {}", notice.kind.info().word, notice.target(), notice.reason));
            }
            Effect::Reply { result, .. } => match result {
                Ok(Accepted::Operation(id)) => self.line(&format!("accepted as task run {}", id.0)),
                Ok(other) => self.line(&format!("{other:?}")),
                Err(refusal) => self.line(&format!("refused: {:?}: {}", refusal.kind, refusal.text)),
            },
            Effect::Exit => self.line("the daemon ends"),
        }
    }

    fn append(&mut self, id: &ReplicaId, entry: RunEntry) {
        let log = self.logs.entry(id.clone()).or_default();
        let live = |log: &mut ReplicaHistory, change: &dyn Fn(&mut LiveRun)| {
            if let Some(live) = &mut log.live {
                change(live);
            }
        };
        match entry {
            RunEntry::Started(run) => log.live = Some(run),
            RunEntry::Ready(ready) => live(log, &|l| l.ready = ready),
            RunEntry::Frozen { frozen, isolated } => live(log, &|l| (l.frozen, l.isolated) = (frozen, isolated)),
            RunEntry::Restart(books) => log.restart = RestartRecord { ..books },
            RunEntry::Port(port) => log.port = Some(port),
            RunEntry::Gpus(grant) => log.gpus = grant,
            RunEntry::Exited(_) | RunEntry::Tail { .. } => {}
        }
    }
}
