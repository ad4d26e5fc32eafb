//! What the core costs with a thousand replicas: figures to read, in `cargo test --release -- --nocapture`; nothing is
//! asserted, since machines differ.

use crate::config::s;
use reeve_core::config::*;
use reeve_core::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn worker(name: &str, replicas: u32, order: i32) -> Arc<Worker> {
    Arc::new(Worker {
        name: WorkerName::new(name).unwrap(),
        team: TeamName::new("default").unwrap(),
        role: None,
        exec: vec!["/bin/x".into()],
        replicas,
        user: None,
        group: None,
        environment: BTreeMap::new(),
        environment_file: None,
        credentials: Vec::new(),
        working_directory: None,
        order,
        depends_on: Vec::new(),
        node_selector: BTreeMap::new(),
        resources: Resources::default(),
        restart: Restart {
            policy: RestartPolicy::Always,
            backoff: Backoff { first: s(0), base: s(1), cap: s(60), reset_after: s(300) },
            breaker: Some(Breaker { failures: 5, window: s(30), open: s(30) }),
            unsupervised_after: Some(s(30)),
            remediation: None,
        },
        ready: Ready { notify: false, timeout: s(60) },
        liveness: None,
        readiness: None,
        drain: None,
        stop: Stop { signal: 15, timeout: s(30) },
        max_unavailable: 1,
        metrics: Default::default(),
        sandbox: Arc::default(),
        gpu_profile: None,
        wants_port: false,
    })
}

struct Bench {
    core: Core,
    now: Mono,
    live: BTreeMap<ReplicaId, RunId>,
    inbox: VecDeque<Event>,
    runs: u64,
    events: u32,
    spent: Duration,
    worst: Duration,
    pictures: Duration,
}

impl Bench {
    fn new(workers: Vec<Arc<Worker>>, damping: Option<Damping>, rate: Option<Rate>) -> Self {
        let config = Config {
            node: Node { name: "n".into(), labels: BTreeMap::new() },
            launcher: LauncherKind::Auto,
            supervision: Supervision { damping, restart_rate: rate, remediation: Remediation::On },
            gpu: Gpu::default(),
            metrics: Metrics::off(),
            fleet: None,
            teams: BTreeMap::new(),
            workers: workers.into_iter().map(|w| (w.name.clone(), w)).collect(),
        };
        let now = Mono(s(1000));
        let at = Now { mono: now, wall: Wall(1_790_000_000_000_000) };
        let mut bench = Self {
            core: Core::new(Arc::new(config), persist::Restored::default(), Site::default(), 1, at),
            now,
            live: BTreeMap::new(),
            inbox: VecDeque::new(),
            runs: 0,
            events: 0,
            spent: Duration::ZERO,
            worst: Duration::ZERO,
            pictures: Duration::ZERO,
        };
        bench.inbox.push_back(Event::Launcher(LauncherEvent::ListComplete));
        bench
    }

    fn settle(&mut self) {
        while let Some(event) = self.inbox.pop_front() {
            let at = Now { mono: self.now, wall: Wall(1_790_000_000_000_000).plus(self.now.0) };
            let began = Instant::now();
            let effects = self.core.handle(event, at);
            let took = began.elapsed();
            self.spent += took;
            self.worst = self.worst.max(took);
            self.events += 1;
            let began = Instant::now();
            drop(self.core.snapshot());
            self.pictures += began.elapsed();
            for effect in effects {
                self.exec(effect);
            }
        }
    }

    fn exec(&mut self, effect: Effect) {
        match effect {
            Effect::Start { token, spec } => {
                self.runs += 1;
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&self.runs.to_be_bytes());
                let replica = spec.replica.clone();
                self.live.insert(replica.clone(), RunId(bytes));
                let started = LauncherEvent::Started { replica, token, run: RunId(bytes), pid: 1, cgroup: None };
                self.inbox.push_back(Event::Launcher(started));
            }
            Effect::Stop { replica, run, .. } => self.end(&replica, run, ExitStatus::Signal(15)),
            _ => {}
        }
    }

    fn end(&mut self, replica: &ReplicaId, run: RunId, status: ExitStatus) {
        self.live.remove(replica);
        let info = ExitInfo { status, oom_kill: false, peak_memory: None, at: Wall(0) };
        self.inbox.push_back(Event::Launcher(LauncherEvent::Exited { replica: replica.clone(), run, info }));
    }

    /// Time passes until everybody is back, at most a day.
    fn wait_for(&mut self, count: usize) {
        let end = self.now + s(86_400);
        while self.live.len() < count {
            match self.core.deadline() {
                Some(next) if next.at <= end => self.now = self.now.max(next.at),
                _ => break,
            }
            self.inbox.push_back(Event::Tick);
            self.settle();
        }
    }

    fn report(&mut self, what: &str) {
        let each = self.spent / self.events.max(1);
        let picture = self.pictures / self.events.max(1);
        println!(
            "{what:<44} {:>6} events {:>9.2?} in all, {each:>8.2?} each, {:>8.2?} worst; a snapshot {picture:>8.2?}",
            self.events, self.spent, self.worst
        );
        (self.events, self.spent, self.worst, self.pictures) = Default::default();
    }

    fn everything(mut self, what: &str, count: usize) {
        self.settle();
        self.wait_for(count);
        self.report(&format!("{what}: start {count}"));
        for (replica, run) in self.live.clone() {
            self.end(&replica, run, ExitStatus::Signal(11));
        }
        self.settle();
        self.wait_for(count);
        self.report(&format!("{what}: mass crash of {count}"));
        for _ in 0..100 {
            let replica = self.live.keys().next().unwrap().clone();
            let message = Notification { status: Some("x".into()), ..Notification::default() };
            self.inbox.push_back(Event::Launcher(LauncherEvent::Notified { replica, message }));
        }
        self.settle();
        self.report(&format!("{what}: a STATUS"));
        let stop = CommandRequest {
            id: CommandId(1),
            command: Command::StopAll,
            by: String::new(),
            uid: 0,
            via: String::new(),
            reason: None,
            request_id: None,
            dry_run: false,
        };
        self.inbox.push_back(Event::Command(Box::new(stop)));
        self.settle();
        assert!(self.live.is_empty());
        self.report(&format!("{what}: stop all"));
    }
}

#[test]
fn cost_of_a_thousand() {
    let n = 1000;
    let many = |order: fn(i32) -> i32| (0..n).map(|i| worker(&format!("w{i}"), 1, order(i))).collect::<Vec<_>>();
    let damping = Some(Damping { crashes: 5, window: s(5) });
    let rate = Some(Rate { count: 20, per: s(1) });
    let count = n as usize;
    Bench::new(vec![worker("w", 1000, 50)], None, None).everything("one worker", count);
    Bench::new(vec![worker("w", 1000, 50)], damping, None).everything("one worker, damping", count);
    Bench::new(vec![worker("w", 1000, 50)], damping, rate).everything("one worker, damping, 20/s", count);
    Bench::new(many(|_| 50), None, None).everything("1000 workers", count);
    Bench::new(many(|i| i / 100), None, None).everything("1000 workers, ten orders", count);
    Bench::new(many(|i| i), damping, rate).everything("1000 workers, 1000 orders, damping, 20/s", count);
}
