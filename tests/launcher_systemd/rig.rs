//! A launcher, its events, and workers made of shell scripts.

use crate::controllers::controllers;
use reeve::bus::systemd1::Systemd;
use reeve::host::launcher::Launcher;
use reeve::host::launcher::systemd::{MissedQuery, Surroundings, SystemdLauncher};
use reeve::host::paths::Paths;
use reeve_core::config::{Resources, RestartPolicy};
use reeve_core::effect::RunSpec;
use reeve_core::{Applied, ExitInfo, ExitStatus, Found, LauncherEvent, ReplicaId, RunId, StartToken, Wall};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// Emulated machines are slow.
const PATIENCE: Duration = Duration::from_secs(180);
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// `None`, with the reason on stderr, where there is no systemd to test with.
pub async fn guard() -> Option<MutexGuard<'static, ()>> {
    let root = nix::unistd::geteuid().is_root();
    if !root || !Path::new("/run/systemd/system").exists() {
        eprintln!("skipped: needs root and systemd as PID 1");
        return None;
    }
    if !sh_ok("id reeve-worker") {
        sh("useradd --system --no-create-home --shell /usr/sbin/nologin reeve-worker");
    }
    let guard = ONE_AT_A_TIME.lock().await;
    // What a failed test has left behind.
    sh_ok("systemctl stop 'reeve-*.service'; systemctl reset-failed 'reeve-*'");
    Some(guard)
}

/// The same for what needs the controllers of control groups; a container on a hybrid host has none.
pub async fn guard_with_controllers() -> Option<MutexGuard<'static, ()>> {
    if !controllers() {
        eprintln!("skipped: the control groups here have no controllers");
        return None;
    }
    guard().await
}

/// Runs a command line; its output. Panics when it fails.
pub fn sh(line: &str) -> String {
    let out = Command::new("sh").args(["-c", line]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    assert!(out.status.success(), "{line}: {text} {}", String::from_utf8_lossy(&out.stderr));
    text
}

/// Whether it succeeds.
pub fn sh_ok(line: &str) -> bool {
    let out = Command::new("sh").args(["-c", line]).output().unwrap();
    out.status.success()
}

/// One property of a unit.
pub fn show(replica: &ReplicaId, property: &str) -> String {
    sh(&format!("systemctl show -P {property} {}", replica.unit()))
}

/// Whether the kernel holds it frozen; PID 1 knows only of what it has frozen itself.
pub fn frozen(replica: &ReplicaId) -> bool {
    let group = show(replica, "ControlGroup");
    sh_ok(&format!("grep -q '^frozen 1$' '/sys/fs/cgroup{group}/cgroup.events'"))
}

/// Polls until it holds: for things that announce themselves to nobody.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A worker that runs a shell script.
pub fn worker(name: &str, script: &str) -> RunSpec {
    RunSpec {
        gpus: Vec::new(),
        devices: Vec::new(),
        replica: format!("{name}/1").parse().unwrap(),
        team: "launcher-test".parse().unwrap(),
        team_parents: vec![],
        exec: vec!["/bin/sh".into(), "-c".into(), script.into()],
        user: None,
        group: None,
        environment: BTreeMap::new(),
        environment_file: None,
        credentials: vec![],
        working_directory: None,
        limits: Resources::default(),
        policy: RestartPolicy::Always,
        unsupervised_after: Some(Duration::from_secs(300)),
        notify: true,
        stop_signal: 15,
        stop_timeout: Duration::from_secs(30),
        watchdog: None,
        sandbox: Arc::default(),
        digest: "1".into(),
    }
}

/// A launcher with what it has said.
pub struct Rig {
    pub launcher: SystemdLauncher,
    events: UnboundedReceiver<LauncherEvent>,
    /// Said, and not asked for yet.
    kept: Vec<LauncherEvent>,
    tokens: u64,
    replicas: Vec<ReplicaId>,
    /// The test makes the launcher look again by itself.
    pub gaps: bool,
}

impl Rig {
    pub async fn new() -> Self {
        let (sender, events) = unbounded_channel();
        let systemd = Systemd::connect().await.unwrap();
        let surroundings = Surroundings {
            missed: Box::new(|query| Box::pin(async move { journal(&query) })),
            health: Box::new(|problem| eprintln!("health: {problem:?}")),
        };
        let paths = Paths::new(Path::new("/"));
        Self {
            launcher: SystemdLauncher::new(sender, systemd, &paths, surroundings),
            events,
            kept: Vec::new(),
            tokens: 0,
            replicas: Vec::new(),
            gaps: false,
        }
    }

    /// The first event that fits, kept ones included; all others are kept.
    pub async fn wait<T>(&mut self, what: &str, mut fits: impl FnMut(&LauncherEvent) -> Option<T>) -> T {
        for at in 0..self.kept.len() {
            if let Some(value) = fits(&self.kept[at]) {
                self.kept.remove(at);
                return value;
            }
        }
        loop {
            let event = match timeout(PATIENCE, self.events.recv()).await {
                Ok(event) => event.unwrap(),
                Err(_) => panic!("no {what}, only {:?}", self.kept),
            };
            if let Some(value) = fits(&event) {
                return value;
            }
            self.kept.push(event);
        }
    }

    pub fn kept(&self) -> &[LauncherEvent] {
        &self.kept
    }

    /// Asks for a start without waiting.
    pub fn begin(&mut self, spec: &RunSpec, socket: Option<PathBuf>) -> StartToken {
        self.tokens += 1;
        let token = StartToken(self.tokens);
        if !self.replicas.contains(&spec.replica) {
            self.replicas.push(spec.replica.clone());
        }
        self.launcher.start(token, Arc::new(spec.clone()), socket);
        token
    }

    /// What came of a start.
    pub async fn begun(&mut self, token: StartToken) -> Result<(RunId, u32), String> {
        self.wait("answer to a start", |event| match event {
            LauncherEvent::Started { token: t, run, pid, .. } if *t == token => Some(Ok((*run, *pid))),
            LauncherEvent::StartFailed { token: t, error, .. } if *t == token => Some(Err(error.clone())),
            _ => None,
        })
        .await
    }

    pub async fn try_start(&mut self, spec: &RunSpec) -> Result<(RunId, u32), String> {
        let token = self.begin(spec, None);
        self.begun(token).await
    }

    pub async fn start(&mut self, spec: &RunSpec) -> (RunId, u32) {
        self.try_start(spec).await.unwrap()
    }

    /// Starts all of them at once.
    pub async fn start_all(&mut self, specs: &[RunSpec]) -> Vec<(RunId, u32)> {
        let tokens: Vec<_> = specs.iter().map(|spec| self.begin(spec, None)).collect();
        let mut runs = Vec::new();
        for token in tokens {
            runs.push(self.begun(token).await.unwrap());
        }
        runs
    }

    /// The end of a run; recorded at once.
    pub async fn ended(&mut self, replica: &ReplicaId, run: RunId) -> ExitInfo {
        let info = self.exited(replica, run).await;
        self.launcher.recorded(replica, run);
        info
    }

    /// The end of a run, not recorded.
    pub async fn exited(&mut self, replica: &ReplicaId, run: RunId) -> ExitInfo {
        self.wait("exit", |event| match event {
            LauncherEvent::Exited { replica: r, run: x, info } if r == replica && *x == run => Some(info.clone()),
            _ => None,
        })
        .await
    }

    pub async fn status(&mut self, replica: &ReplicaId, run: RunId) -> ExitStatus {
        self.ended(replica, run).await.status
    }

    pub async fn applied(&mut self, what: Applied) -> Result<(), String> {
        self.wait("answer", |event| match event {
            LauncherEvent::Applied { what: w, result, .. } if *w == what => Some(result.clone()),
            _ => None,
        })
        .await
    }

    /// Lists; what was found of one replica.
    pub async fn find(&mut self, replica: &ReplicaId) -> Option<Found> {
        // Left over from the launcher's own look after a gap; one may also be under way.
        while let Ok(event) = self.events.try_recv() {
            self.kept.push(event);
        }
        self.kept.retain(|event| !matches!(event, LauncherEvent::ListComplete | LauncherEvent::Found(_)));
        self.launcher.list();
        let found = self.listed(replica).await;
        match found {
            None if self.gaps => self.listed(replica).await,
            found => found,
        }
    }

    pub async fn listed(&mut self, replica: &ReplicaId) -> Option<Found> {
        self.wait("end of list", |event| matches!(event, LauncherEvent::ListComplete).then_some(())).await;
        self.found(replica)
    }

    /// A kept `Found` of the replica.
    pub fn found(&mut self, replica: &ReplicaId) -> Option<Found> {
        let at = self
            .kept
            .iter()
            .position(|event| matches!(event, LauncherEvent::Found(found) if found.replica == *replica))?;
        match self.kept.remove(at) {
            LauncherEvent::Found(found) => Some(found),
            _ => None,
        }
    }

    /// As when the daemon dies: no word to anybody.
    pub fn die(self) {}

    /// Leaves nothing behind.
    pub async fn clean(mut self) {
        for replica in self.replicas.clone() {
            self.launcher.forget(&replica);
            sh_ok(&format!("systemctl kill -s KILL {}", replica.unit()));
            until("unit is gone", || {
                // Ends that no test looked at.
                while let Ok(event) = self.events.try_recv() {
                    self.kept.push(event);
                }
                for event in self.kept.drain(..) {
                    if let LauncherEvent::Exited { replica, run, .. } = event {
                        self.launcher.recorded(&replica, run);
                    }
                }
                show(&replica, "LoadState") == "not-found"
            })
            .await;
        }
        self.launcher.close();
    }
}

/// Ends of runs that PID 1 has logged, as the daemon reads them.
fn journal(query: &MissedQuery) -> Vec<(RunId, ExitInfo)> {
    const UNIT_PROCESS_EXIT: &str = "98e322203f7a4ed290d09fe03c09fe15";
    // All that PID 1 says of a clean exit.
    const UNIT_SUCCESS: &str = "7ad2d189f7e94e70a38c781354912448";
    // PID 1's line may still be on its way.
    sh("journalctl --sync");
    let text = sh(&format!(
        "journalctl -q -o json _PID=1 UNIT={} MESSAGE_ID={UNIT_PROCESS_EXIT} MESSAGE_ID={UNIT_SUCCESS}",
        query.replica.unit()
    ));
    let mut all: Vec<(RunId, ExitInfo)> = Vec::new();
    for line in text.lines() {
        let entry: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let field = |name: &str| entry.get(name).and_then(|v| v.as_str()).unwrap_or("");
        let Ok(run) = field("INVOCATION_ID").parse::<RunId>() else {
            continue;
        };
        let status: i32 = match field("EXIT_STATUS").parse() {
            Ok(code) => code,
            Err(_) => reeve_core::exit::signal_number(field("EXIT_STATUS")).unwrap_or(0),
        };
        let status = match field("EXIT_CODE") {
            "exited" | "" => ExitStatus::Code(status),
            _ => ExitStatus::Signal(status),
        };
        let at = field("__REALTIME_TIMESTAMP").parse().unwrap_or(0);
        let info = ExitInfo { status, oom_kill: false, peak_memory: None, at: Wall(at) };
        if Some(run) != query.present && all.iter().all(|(known, _)| *known != run) {
            all.push((run, info));
        }
    }
    all
}
