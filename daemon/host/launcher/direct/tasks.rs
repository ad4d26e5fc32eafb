//! What happens by itself: ends of processes, and what takes time.

use super::runs::Runs;
use super::watch::{Watch, What};
use crate::host::cgroup::{Group, freezing};
use crate::host::lock::lock;
use reeve_core::{Applied, LauncherEvent, ReplicaId, RunId};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// A worker of another user must have executed its program after this long.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// SIGKILL is sent again after this long.
pub(super) const KILL_AGAIN: Duration = Duration::from_secs(1);

/// What the launcher and its timers share. All on one thread: the lock is never contended.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) watch: AsyncFd<Watch>,
    pub(super) runs: Mutex<Runs>,
}

impl Shared {
    /// The table.
    pub(super) fn runs(&self) -> MutexGuard<'_, Runs> {
        lock(&self.runs)
    }

    /// What tells of ends.
    pub(super) fn watch(&self) -> &Watch {
        self.watch.get_ref()
    }
}

/// Turns ends of main processes into `Exited`.
pub(super) async fn pump(shared: Arc<Shared>) {
    while let Ok(mut guard) = shared.watch.readable().await {
        loop {
            let ready = shared.watch().ready();
            if ready.is_empty() {
                guard.clear_ready();
                break;
            }
            let left = turn(&shared, &ready);
            if !left.is_empty() {
                tokio::spawn(clear(shared.clone(), left));
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Handles a batch; returns the runs of which something is left.
fn turn(shared: &Shared, ready: &[(u32, What)]) -> Vec<u32> {
    let mut runs = shared.runs();
    let mut mains = Vec::new();
    for (key, what) in ready {
        match what {
            What::Main => mains.push(*key),
            What::Report => runs.reported(shared.watch(), *key),
        }
    }
    runs.mains_ended(shared.watch(), &mains)
}

/// Goes on killing what is left of these runs.
async fn clear(shared: Arc<Shared>, mut left: Vec<u32>) {
    let mut wait = Duration::from_millis(1);
    while !left.is_empty() {
        tokio::time::sleep(wait).await;
        left = shared.runs().clear(&left);
        wait = (wait * 2).min(Duration::from_millis(100));
    }
}

/// Zombies that were adopted must not pile up; nothing wakes us while no child ends.
pub(super) async fn reap_adopted(shared: Arc<Shared>, mut child_ends: tokio::signal::unix::Signal) {
    while child_ends.recv().await.is_some() {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if !shared.runs().reap_adopted() {
                break;
            }
        }
    }
}

/// Answers a request to freeze once it is frozen, or cannot be.
pub(super) async fn until_frozen(shared: Arc<Shared>, key: u32, group: Group, replica: ReplicaId, run: RunId) {
    let going_on = || match shared.runs().live.get(&key) {
        Some(living) if living.frozen => Ok(()),
        Some(_) => Err("thawed meanwhile".to_owned()),
        None => Err("it has ended".to_owned()),
    };
    let result = freezing::settle(&group, true, going_on).await;
    let mut runs = shared.runs();
    if let (Err(_), Some(living)) = (&result, runs.live.get_mut(&key)) {
        living.thaw();
    }
    runs.send(LauncherEvent::Applied { replica, run, what: Applied::Freeze, result });
}

/// SIGKILL after a while and then again and again, until the main process has ended.
pub(super) async fn kill_until_gone(shared: Arc<Shared>, key: u32, after: Duration) {
    let mut wait = after;
    loop {
        tokio::time::sleep(wait).await;
        match shared.runs().live.get(&key) {
            Some(run) if run.has_main() => run.kill(),
            _ => return,
        }
        wait = KILL_AGAIN;
    }
}

/// Gives up on a start that takes too long.
pub(super) async fn until_started(shared: Arc<Shared>, key: u32) {
    tokio::time::sleep(START_TIMEOUT).await;
    let mut runs = shared.runs();
    runs.start_is_late(shared.watch(), key, START_TIMEOUT);
}
