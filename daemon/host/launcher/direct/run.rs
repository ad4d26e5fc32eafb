//! One run, and what can be done to its processes at once.

use super::family::{self, Family};
use super::prepare;
use crate::host::cgroup::Group;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use reeve_core::{ExitInfo, ReplicaId, RunId, RunSpec, StartToken, Wall};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// One life of a replica.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) replica: ReplicaId,
    pub(super) id: RunId,
    pub(super) pid: i32,
    pub(super) group: Option<Group>,
    pub(super) frozen: bool,
    pub(super) started: Wall,
    /// Until the main process has ended.
    pub(super) pidfd: Option<OwnedFd>,
    /// Until the program executes.
    pub(super) starting: Option<Box<Starting>>,
    /// It never executed: the answer that is due once the child is gone.
    pub(super) failed: Option<(StartToken, String)>,
    /// The main process has ended so, and was seen to at this instant.
    pub(super) ended: Option<(ExitInfo, Instant)>,
}

/// What is known of a child that has not executed its program yet.
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) report: OwnedFd,
    pub(super) token: StartToken,
    pub(super) spec: Arc<RunSpec>,
}

impl Run {
    /// How its processes are recognised without a cgroup.
    pub(super) fn family(&self) -> Family {
        Family { session: self.pid, mark: format!("{}={}", prepare::RUN, self.id) }
    }

    /// Whether `Started` was sent.
    pub(super) fn is_started(&self) -> bool {
        self.starting.is_none() && self.failed.is_none()
    }

    /// Path of its cgroup, as it is shown.
    pub(super) fn shown_group(&self) -> Option<String> {
        let group = self.group.as_ref()?;
        Some(group.path().to_string_lossy().into_owned())
    }

    /// Whether the main process is still there, so that its id is its own.
    pub(super) fn has_main(&self) -> bool {
        self.pidfd.is_some()
    }

    /// SIGKILL to all of it, as far as that goes at once.
    pub(super) fn kill(&self) {
        match &self.group {
            Some(group) => group.kill(),
            None if self.has_main() => {
                let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
            }
            None => {}
        }
        if self.has_main() {
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }

    /// A signal to the main process.
    pub(super) fn signal_main(&self, signal: i32) {
        if let (true, Ok(signal)) = (self.has_main(), Signal::try_from(signal)) {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// A signal to every process.
    pub(super) fn signal_all(&self, signal: i32) {
        match (&self.group, Signal::try_from(signal)) {
            (Some(group), _) => group.signal(signal),
            (None, Ok(signal)) => {
                for pid in family::members(&self.family()) {
                    let _ = kill(Pid::from_raw(pid), signal);
                }
            }
            (None, Err(_)) => {}
        }
    }

    /// Stops all of it from running; with a cgroup, that takes effect a little later.
    pub(super) fn freeze(&mut self) -> Result<(), String> {
        self.frozen = true;
        if let Some(group) = &self.group {
            return group.freeze(true).map_err(|e| prepare::reason(&e));
        }
        // Whoever is stopped forks no more: a round that finds nobody new is the last.
        let mut stopped = BTreeSet::new();
        self.signal_main(Signal::SIGSTOP as i32);
        for _ in 0..100 {
            let members: BTreeSet<i32> = family::members(&self.family()).into_iter().collect();
            let new: Vec<i32> = members.difference(&stopped).copied().collect();
            if new.is_empty() {
                return Ok(());
            }
            for pid in new {
                let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
                stopped.insert(pid);
            }
        }
        self.thaw();
        Err("it forks faster than it can be stopped; a cgroup is needed".to_owned())
    }

    /// Lets it run again.
    pub(super) fn thaw(&mut self) {
        if !std::mem::replace(&mut self.frozen, false) {
            return;
        }
        match &self.group {
            Some(group) => drop(group.freeze(false)),
            None => self.signal_all(Signal::SIGCONT as i32),
        }
    }
}
