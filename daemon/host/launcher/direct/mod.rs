//! The direct launcher: runs are our own children. For containers, developer machines and tests.
//!
//! - [`spawn`], [`child`], [`status`]: a process at the price of a bare `vfork`, and its end; the `unsafe` part.
//! - [`prepare`], [`account`], [`environment`], [`credentials`]: from a specification to something executable.
//! - [`run`], [`runs`]: one run, and the table of them; [`watch`], [`tasks`]: how we learn of ends, and what takes time.
//! - [`delegation`]: the cgroups that are ours; [`family`]: finding a run's processes where there are none.
//! - [`logs`]: what workers print.
//!
//! What it can do depends on where it runs:
//!
//! | | cgroup v2 with controllers | cgroup v2 without (hybrid host) | no cgroup |
//! |---|---|---|---|
//! | limits | enforced | `Applied` says why not, and the journal once | the same |
//! | kill, freeze of a whole run | exact | exact | by session, adoption and environment mark |
//! | freezing | `cgroup.freeze` | `cgroup.freeze` | SIGSTOP and SIGCONT, which the worker's parent can see |
//! | OOM kill told from SIGKILL | yes | no | no |
//! | peak memory | of the run | of its largest process | of its largest process |
//! | cut off the network | no | no | no |
//!
//! Workers end with the daemon. `close` kills all of them; if the daemon itself is killed, main processes die with it
//! (`PR_SET_PDEATHSIG`, which a set-uid program takes off), and what they had started is swept by the next daemon on
//! the same state directory, by cgroup and by the mark in its environment. The launcher must be made, used and
//! dropped on one thread that lives as long as the daemon does, inside a tokio runtime, and after the state directory
//! has been locked.
//!
//! A start without a change of user holds the loop until the program executes, typically half a millisecond: files of
//! `exec`, `working_directory` and `environment_file` should not lie on a network file system that may hang.

mod account;
mod child;
mod credentials;
mod delegation;
mod environment;
mod family;
pub mod logs;
mod prepare;
mod run;
mod runs;
mod spawn;
mod status;
mod tasks;
mod watch;

use super::{EventSender, Launcher, TeamLimits};
use crate::host::paths::Paths;
use logs::Logs;
use nix::sys::prctl;
use reeve_core::config::Resources;
use reeve_core::{Applied, Found, LauncherEvent, ReplicaId, RunId, RunSpec, StartToken, TeamName};
use run::Run;
use runs::Runs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tasks::{KILL_AGAIN, Shared};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use watch::Watch;

/// How it is to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectOptions {
    /// Whether cgroups are used where there are any.
    pub cgroups: bool,
}

impl Default for DirectOptions {
    fn default() -> Self {
        Self { cgroups: true }
    }
}

/// See the module.
#[derive(Debug)]
pub struct DirectLauncher {
    shared: Arc<Shared>,
    logs: Logs,
    log_thread: Option<std::thread::JoinHandle<()>>,
    tasks: [JoinHandle<()>; 2],
    swept: bool,
}

impl DirectLauncher {
    /// Makes the launcher. Within a tokio runtime; see the module for the thread it must live on.
    pub fn new(events: EventSender, paths: &Paths, options: DirectOptions) -> io::Result<Self> {
        std::fs::create_dir_all(&paths.state)?;
        std::fs::create_dir_all(&paths.run)?;
        let mark = identity(&paths.state.join("direct.id"))?;
        // Orphans of workers shall come to us, not to PID 1.
        prctl::set_child_subreaper(true)?;
        let spawner = spawn::Spawner::new()?;
        let tree = if options.cgroups { delegation::Tree::open(&mark) } else { Err("not wanted".to_owned()) };
        let tree = match tree {
            Ok(tree) => Some(tree),
            Err(reason) => {
                tracing::info!(reason, "no cgroups: workers are held together by session");
                None
            }
        };
        let (logs, log_thread) = Logs::start(paths.state.join("logs"))?;
        let common = prepare::Common { paths: paths.clone(), mark, own: account::own() };
        let runs = Runs::new(common, tree, logs.clone(), events, spawner);
        let shared = Arc::new(Shared { watch: Watch::register()?, runs: Mutex::new(runs) });
        let child_ends = signal(SignalKind::child())?;
        let tasks =
            [tokio::spawn(tasks::pump(shared.clone())), tokio::spawn(tasks::reap_adopted(shared.clone(), child_ends))];
        Ok(Self { shared, logs, log_thread: Some(log_thread), tasks, swept: false })
    }

    /// The cgroup controllers that limits can rely on; empty where limits cannot be enforced.
    pub fn controllers(&self) -> Vec<&'static str> {
        let runs = self.shared.runs();
        let tree = runs.tree.as_ref();
        tree.map_or_else(Vec::new, |t| t.controllers().to_vec())
    }

    /// What workers have printed.
    pub fn logs(&self) -> Logs {
        self.logs.clone()
    }

    /// Does something with a living run; an older run's request is dropped.
    fn with<T>(&self, replica: &ReplicaId, run: RunId, act: impl FnOnce(&mut Run) -> T) -> Option<(u32, T)> {
        let mut runs = self.shared.runs();
        let key = runs.key(replica, run)?;
        let done = act(runs.live.get_mut(&key)?);
        Some((key, done))
    }

    fn applied(&self, replica: &ReplicaId, run: RunId, what: Applied, result: Result<(), String>) {
        self.shared.runs().send(LauncherEvent::Applied { replica: replica.clone(), run, what, result });
    }
}

impl Launcher for DirectLauncher {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn survives(&self) -> bool {
        false
    }

    fn list(&mut self) {
        let runs = self.shared.runs();
        if !std::mem::replace(&mut self.swept, true) && runs.live.is_empty() {
            if let Some(tree) = &runs.tree {
                tree.sweep(&runs.common.paths.run.join("direct.cgroup"));
            }
            let left = family::sweep(&runs.common.marked());
            if left > 0 {
                tracing::warn!(processes = left, "killed what an earlier daemon had left behind");
            }
        }
        for run in runs.live.values().filter(|r| r.is_started()) {
            runs.send(LauncherEvent::Found(Found {
                replica: run.replica.clone(),
                run: run.id,
                pid: run.has_main().then_some(run.pid.unsigned_abs()),
                cgroup: run.shown_group(),
                ended: None,
                frozen: run.frozen,
                missed: Vec::new(),
                started: Some(run.started),
            }));
        }
        runs.send(LauncherEvent::ListComplete);
    }

    fn start(&mut self, token: StartToken, spec: Arc<RunSpec>, notify_socket: Option<PathBuf>) {
        let watch = self.shared.watch();
        let mut runs = self.shared.runs();
        let Some(key) = runs.start(watch, token, &spec, notify_socket.as_deref()) else {
            return;
        };
        drop(runs);
        tokio::spawn(tasks::until_started(self.shared.clone(), key));
    }

    fn signal(&mut self, replica: &ReplicaId, run: RunId, signal: i32, whole: bool) {
        self.with(replica, run, |run| {
            if whole {
                run.signal_all(signal);
            } else {
                run.signal_main(signal);
            }
        });
    }

    fn stop(&mut self, replica: &ReplicaId, run: RunId, signal: i32, grace: Duration) {
        let stopped = self.with(replica, run, |run| {
            run.thaw();
            run.signal_main(signal);
        });
        if let Some((key, ())) = stopped {
            tokio::spawn(tasks::kill_until_gone(self.shared.clone(), key, grace));
        }
    }

    fn kill(&mut self, replica: &ReplicaId, run: RunId) {
        let killed = self.with(replica, run, |run| {
            run.thaw();
            run.kill();
        });
        if let Some((key, ())) = killed {
            tokio::spawn(tasks::kill_until_gone(self.shared.clone(), key, KILL_AGAIN));
        }
    }

    fn disarm(&mut self, _replica: &ReplicaId) {
        // Nobody else restarts our children.
    }

    fn recorded(&mut self, _replica: &ReplicaId, _run: RunId) {
        // The status was taken when the child was reaped; nothing is kept that could be erased.
    }

    fn forget(&mut self, replica: &ReplicaId) {
        self.logs.forget(replica);
        prepare::remove(&self.shared.runs().common.paths, replica);
    }

    fn freeze(&mut self, replica: &ReplicaId, run: RunId) {
        let begun = self.with(replica, run, |run| (run.freeze(), run.group.clone()));
        let Some((key, (result, group))) = begun else {
            return;
        };
        match (result, group) {
            (Ok(()), Some(group)) => {
                let wait = tasks::until_frozen(self.shared.clone(), key, group, replica.clone(), run);
                tokio::spawn(wait);
            }
            (result, _) => self.applied(replica, run, Applied::Freeze, result),
        }
    }

    fn thaw(&mut self, replica: &ReplicaId, run: RunId) {
        if self.with(replica, run, Run::thaw).is_some() {
            self.applied(replica, run, Applied::Thaw, Ok(()));
        }
    }

    fn network(&mut self, replica: &ReplicaId, run: RunId, deny: bool) {
        let result =
            if deny { Err("isolating from the network needs the systemd launcher".to_owned()) } else { Ok(()) };
        if self.with(replica, run, |_| ()).is_some() {
            self.applied(replica, run, Applied::Network, result);
        }
    }

    fn set_limits(&mut self, replica: &ReplicaId, run: RunId, limits: Resources) {
        let done = self.with(replica, run, |run| match &run.group {
            Some(group) => group.limit(&limits, false),
            None => runs::unlimited(&limits).map_or(Ok(()), Err),
        });
        if let Some((_, result)) = done {
            self.applied(replica, run, Applied::Limits, result);
        }
    }

    fn set_team(&mut self, team: &TeamName, parents: &[TeamName], limits: TeamLimits) {
        let runs = self.shared.runs();
        let result = match &runs.tree {
            Some(tree) => tree
                .team(team, parents)
                .map_err(|e| e.to_string())
                .and_then(|g| g.cap(limits.cpu_quota, limits.memory_max, limits.tasks_max)),
            None if limits == TeamLimits::default() => Ok(()),
            None => Err("limits need a cgroup v2 that is delegated to reeved".to_owned()),
        };
        if let Err(reason) = result {
            tracing::warn!(%team, reason, "its limits cannot be enforced");
        }
    }

    fn close(&mut self) {
        self.shared.runs().end_all(self.shared.watch());
        self.logs.stop();
        if let Some(thread) = self.log_thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for DirectLauncher {
    fn drop(&mut self) {
        self.close();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The id of this daemon: random, and kept, so that what it has left behind can be told from what others run.
fn identity(path: &Path) -> io::Result<String> {
    if let Ok(text) = std::fs::read_to_string(path)
        && let Ok(id) = text.trim().parse::<RunId>()
    {
        return Ok(id.to_string()[..16].to_owned());
    }
    let id = RunId(status::random()?).to_string();
    let fresh = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    io::Write::write_all(&mut file, id.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    Ok(id[..16].to_owned())
}
