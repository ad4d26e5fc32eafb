//! The systemd launcher against the suite that every launcher is held to. Skips itself without root and systemd.
//!
//! The suite's workers write into /tmp and are nobody in particular, so the parts of the default sandbox that forbid it
//! are off here; the launcher's own tests have them on.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

#[path = "../conformance/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other launcher's own cases use the rest")]
mod conformance;

#[path = "controllers.rs"]
mod controllers;

use conformance::{Bench, CASES, Subject, Wanted};
use controllers::controllers;
use reeve::bus::systemd1::Systemd;
use reeve::host::journal::reader::Reader;
use reeve::host::launcher::systemd::{Surroundings, SystemdLauncher};
use reeve::host::launcher::{Launcher, TeamLimits};
use reeve::host::paths::Paths;
use reeve_core::config::Resources;
use reeve_core::{LauncherEvent, ReplicaId, RunId, RunSpec, StartToken, TeamName};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;

fn main() -> ExitCode {
    if !nix::unistd::geteuid().is_root() || !Path::new("/run/systemd/system").exists() {
        eprintln!("skipped: needs root and systemd as PID 1");
        return ExitCode::SUCCESS;
    }
    sh("id reeve-worker || useradd --system --no-create-home reeve-worker");
    let wanted = Wanted::from_args();
    let limited = controllers();
    let (cases, left_out): (Vec<_>, Vec<_>) = CASES.iter().partition(|(name, _)| limited || !LIMITED.contains(name));
    for (name, _) in left_out {
        println!("test systemd::{name} ... skipped: the control groups here have no controllers");
    }
    match conformance::run(&wanted, "systemd", &cases, &bench) {
        0 => ExitCode::SUCCESS,
        failed => {
            eprintln!("{failed} failed");
            ExitCode::FAILURE
        }
    }
}

/// systemd takes limits everywhere; where it cannot set them they show nothing.
const LIMITED: [&str; 3] =
    ["limits_can_be_changed", "memory_limit_ends_in_an_oom_kill", "fork_bomb_stays_within_tasks_max"];

fn sh(line: &str) {
    Command::new("sh").args(["-c", line]).output().unwrap();
}

fn bench() -> Bench {
    // And what the case before has flooded the journal with does not hold up this one.
    sh("systemctl stop 'reeve-*.service'; systemctl reset-failed 'reeve-*'; journalctl --sync");
    let root = tempfile::tempdir().unwrap();
    std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let paths = Paths::new(root.path());
    let (sender, mut inner) = unbounded_channel();
    let surroundings = Surroundings { missed: Box::new(|_| Box::pin(async { Vec::new() })), health: Box::new(|_| {}) };
    let launcher = Arc::new(Mutex::new(SystemdLauncher::new(sender, connect(), &paths, surroundings)));
    // The suite keeps no records, so every end counts as recorded at once.
    let (outer, events) = unbounded_channel();
    let recorder = Arc::clone(&launcher);
    tokio::spawn(async move {
        while let Some(event) = inner.recv().await {
            if let LauncherEvent::Exited { replica, run, .. } = &event {
                recorder.lock().unwrap().recorded(replica, *run);
            }
            let _ = outer.send(event);
        }
    });
    Bench::new(Subject {
        launcher: Box::new(Adapted(launcher)),
        events,
        root,
        etc: paths.etc,
        limits: true,
        tail: Box::new(|_, run| {
            Box::pin(async move { Reader::default().tail(run, 50).await.unwrap_or_else(|e| panic!("{e}")) })
        }),
    })
}

/// The suite makes its launchers outside any `await`; this connection's own runtime lives as long as the program.
fn connect() -> Systemd {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            sender.send(Systemd::connect().await.unwrap()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().unwrap()
}

struct Adapted(Arc<Mutex<SystemdLauncher>>);

impl Adapted {
    fn with<T>(&self, what: impl FnOnce(&mut SystemdLauncher) -> T) -> T {
        what(&mut self.0.lock().unwrap())
    }
}

impl Launcher for Adapted {
    fn name(&self) -> &'static str {
        self.with(|l| l.name())
    }
    fn survives(&self) -> bool {
        self.with(|l| l.survives())
    }
    fn list(&mut self) {
        self.with(|l| l.list());
    }
    fn start(&mut self, token: StartToken, spec: Arc<RunSpec>, notify_socket: Option<PathBuf>) {
        let mut spec = (*spec).clone();
        for (key, value) in [("PrivateTmp", "no"), ("ProtectSystem", "no"), ("ProtectProc", "default")] {
            Arc::make_mut(&mut spec.sandbox).insert(key.to_owned(), vec![value.to_owned()]);
        }
        self.with(|l| l.start(token, Arc::new(spec), notify_socket));
    }
    fn signal(&mut self, replica: &ReplicaId, run: RunId, signal: i32, whole: bool) {
        self.with(|l| l.signal(replica, run, signal, whole));
    }
    fn stop(&mut self, replica: &ReplicaId, run: RunId, signal: i32, grace: Duration) {
        self.with(|l| l.stop(replica, run, signal, grace));
    }
    fn kill(&mut self, replica: &ReplicaId, run: RunId) {
        self.with(|l| l.kill(replica, run));
    }
    fn disarm(&mut self, replica: &ReplicaId) {
        self.with(|l| l.disarm(replica));
    }
    fn recorded(&mut self, replica: &ReplicaId, run: RunId) {
        self.with(|l| l.recorded(replica, run));
    }
    fn forget(&mut self, replica: &ReplicaId) {
        self.with(|l| l.forget(replica));
    }
    fn freeze(&mut self, replica: &ReplicaId, run: RunId) {
        self.with(|l| l.freeze(replica, run));
    }
    fn thaw(&mut self, replica: &ReplicaId, run: RunId) {
        self.with(|l| l.thaw(replica, run));
    }
    fn network(&mut self, replica: &ReplicaId, run: RunId, deny: bool) {
        self.with(|l| l.network(replica, run, deny));
    }
    fn set_limits(&mut self, replica: &ReplicaId, run: RunId, limits: Resources) {
        self.with(|l| l.set_limits(replica, run, limits));
    }
    fn set_team(&mut self, team: &TeamName, parents: &[TeamName], limits: TeamLimits) {
        self.with(|l| l.set_team(team, parents, limits));
    }
    fn close(&mut self) {
        self.with(|l| l.close());
    }
}
