//! One worker unit as the launcher follows it: what PID 1 last said, what the core has been told, what is to be done.
//!
//! ```text
//!            Start            main() reached          main ended, cgroup empty
//!   ended ───────────► starting ──────────► running ──────────────► ended (auto-restart, failed, exited, dead)
//!     ▲                    │ failed            │ Exited sent            │ recorded
//!     └────────────────────┘                   └────────────────────────┴─► Start, Disarm, Forget may go on
//! ```
//! Only what PID 1 said counts; an operation that was asked for changes nothing here until PID 1 has said so.

use super::ops::Op;
use super::render::{self, Rendered};
use crate::bus::systemd1::{Property, UnitPart};
use crate::host::cgroup::Group;
use reeve_core::config::Resources;
use reeve_core::{ExitInfo, ExitStatus, Found, LauncherEvent, ReplicaId, RunId, Wall};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a unit is in the life of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Nothing is known, or the program is not executed yet.
    Before,
    /// It runs, or is being stopped.
    Live,
    /// It has ended.
    Ended,
}

/// What came of asking the kernel to freeze a unit.
#[derive(Debug)]
pub(super) enum Freezing {
    /// It is under way in this cgroup.
    Asked(Group),
    /// The file is not ours to write: PID 1 may do it.
    Forbidden,
}

/// The run the core knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub id: RunId,
    /// Its end has been reported, or was found.
    pub over: bool,
}

/// What a start under way makes of a unit.
#[derive(Debug)]
pub(super) struct Next {
    pub fingerprint: String,
    pub limits: Resources,
    pub network: Option<Vec<Property>>,
}

impl Next {
    pub fn of(rendered: &Rendered, limits: &Resources) -> Self {
        let network = (rendered.network != render::open()).then(|| rendered.network.clone());
        Self { fingerprint: rendered.fingerprint.clone(), limits: *limits, network }
    }
}

/// One unit.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// What PID 1 said last.
    pub part: UnitPart,
    /// Number of the signal that said it: a slower reading does not overwrite it.
    pub heard: u64,
    /// PID 1 has it.
    pub loaded: bool,
    /// Started or found by us, hence the core hears of it.
    pub ours: bool,
    /// What the core knows.
    pub run: Option<Run>,
    /// An `Exited` was sent whose record is not on disk yet: nothing may erase the status.
    pub unrecorded: Option<RunId>,
    /// Of the loaded unit; unknown when another version of reeved made it.
    pub fingerprint: Option<String>,
    /// The command as PID 1 has it. `None`: as we said it. Empty: it may have changed, see [`super::engine`].
    pub command: Option<Vec<String>>,
    /// Limits set last, when known.
    pub limits: Option<Resources>,
    /// Network properties as the definition has them, where they are known and close something.
    pub network: Option<Vec<Property>>,
    /// What the start under way makes of these three.
    pub next: Option<Box<Next>>,
    /// Off the network.
    pub cut: bool,
    /// Absolute path of its cgroup.
    pub cgroup: Option<String>,
    /// First signal and patience of PID 1's own stop; fixed when the unit is made.
    pub stop: Option<(i32, Duration)>,
    /// Wanted down: no dead-man restart once its end is recorded.
    pub down: bool,
    /// An operation is under way.
    pub busy: bool,
    /// It is a start: what is heard meanwhile is judged when it is over.
    pub starting: bool,
    /// Runs other than the one before that were seen during a start, oldest first: the one asked for, and what the
    /// dead-man timer has slipped in before it.
    pub passing: Vec<Found>,
    /// What comes after.
    pub queue: VecDeque<Op>,
}

impl Unit {
    /// Where it stands.
    pub fn life(&self) -> Life {
        if !self.loaded {
            return Life::Ended;
        }
        match self.part.sub_state.as_deref() {
            None | Some("condition" | "start-pre" | "start" | "start-post") => Life::Before,
            Some(
                "dead"
                | "failed"
                | "exited"
                | "auto-restart"
                | "auto-restart-queued"
                | "dead-before-auto-restart"
                | "failed-before-auto-restart"
                | "dead-resources-pinned",
            ) => Life::Ended,
            Some(_) => Life::Live,
        }
    }

    /// PID 1 would start it again by itself.
    pub fn armed(&self) -> bool {
        let state = self.part.sub_state.as_deref();
        self.loaded && state.is_some_and(|s| s.contains("auto-restart"))
    }

    /// The run PID 1 speaks of.
    pub fn invocation(&self) -> Option<RunId> {
        self.part.invocation.flatten().map(RunId)
    }

    /// Frozen or about to be, by us or by PID 1. The cgroup says so itself: PID 1 notices only what it does.
    pub fn frozen(&self) -> bool {
        self.frozen_by_pid1() || self.group().is_some_and(|group| group.freezing())
    }

    /// Frozen or about to be by FreezeUnit, which PID 1 alone can undo.
    pub fn frozen_by_pid1(&self) -> bool {
        let state = self.part.freezer.as_deref();
        state.is_some_and(|s| !matches!(s, "running" | "thawing"))
    }

    /// Its cgroup, where there is a v2 hierarchy.
    pub fn group(&self) -> Option<Group> {
        self.cgroup.as_ref().map(|path| Group::at(path.into()))
    }

    /// Asks the kernel to freeze it, behind the back of PID 1: a unit that dies while PID 1 holds it frozen stays frozen
    /// for good on some versions (257), and its name is lost. `Err`: this host cannot.
    pub fn freeze(&self) -> Result<Freezing, String> {
        let Some(group) = self.group() else {
            return Err("this host has cgroup v1, which cannot be frozen".to_owned());
        };
        match group.freeze(true) {
            Ok(()) => Ok(Freezing::Asked(group)),
            Err(e) if matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                Ok(Freezing::Forbidden)
            }
            Err(e) => Err(format!("cgroup.freeze: {e}")),
        }
    }

    /// Asks the kernel to thaw it, if it is frozen or to be. `true`: PID 1 has to do it instead.
    pub fn thaw(&self) -> bool {
        let refused = |group: Group| group.freezing() && group.freeze(false).is_err();
        self.frozen_by_pid1() || self.group().is_some_and(refused)
    }

    /// `run` is the present one and has not ended.
    pub fn lives(&self, run: RunId) -> bool {
        self.run == Some(Run { id: run, over: false }) && self.life() != Life::Ended
    }

    /// How the present run ended.
    pub fn exit(&self) -> ExitInfo {
        let status = self.part.exec_status.unwrap_or(0);
        let peak = || {
            let file = format!("{}/memory.peak", self.cgroup.as_deref()?);
            std::fs::read_to_string(file).ok()?.trim().parse().ok()
        };
        ExitInfo {
            status: match self.part.exec_code {
                Some(1) => ExitStatus::Code(status),
                Some(2 | 3) => ExitStatus::Signal(status),
                _ => ExitStatus::Unknown,
            },
            oom_kill: self.part.result.as_deref() == Some("oom-kill"),
            peak_memory: peak(),
            at: self.part.exec_ended.filter(|t| *t > 0).map_or_else(now, Wall),
        }
    }

    /// What the core must hear now that PID 1 has said something.
    pub fn reports(&mut self, replica: &ReplicaId) -> Vec<LauncherEvent> {
        let mut events = Vec::new();
        let life = self.life();
        let Some(id) = self.invocation() else {
            return events;
        };
        if !self.ours || self.starting || life == Life::Before || !self.loaded {
            return events;
        }
        if life == Life::Ended && self.empty() && self.run.is_none_or(|run| run.id != id) {
            return events;
        }
        match self.run {
            Some(run) if run.id == id => {
                if life == Life::Ended && !run.over {
                    events.push(self.exited(replica, id, self.exit()));
                }
            }
            // A start of ours that the loss of the bus interrupted will take it over.
            _ if self.resumes() => {}
            before => {
                // Started by the dead-man timer, or by somebody with systemctl.
                if let Some(run) = before.filter(|run| !run.over) {
                    events.push(self.exited(replica, run.id, unknown()));
                    self.unrecorded = None;
                }
                events.push(LauncherEvent::Found(self.found(replica, id, Vec::new())));
            }
        }
        events
    }

    /// No process was ever executed for the present invocation: PID 1 gives a unit its new id some time before it says
    /// that it starts.
    pub fn empty(&self) -> bool {
        self.part.exec_code.unwrap_or(0) == 0
    }

    /// During a start: keeps what runs are seen. One that the dead-man timer has slipped in is ended by our RestartUnit.
    pub fn note_passing(&mut self, replica: &ReplicaId) {
        let Some(id) = self.invocation().filter(|_| self.starting) else {
            return;
        };
        let before = self.run.map(|run| run.id);
        if before == Some(id) || (self.life() != Life::Live && self.empty()) {
            return;
        }
        let run = self.run;
        let found = self.found(replica, id, Vec::new());
        self.run = run;
        match self.passing.iter_mut().find(|known| known.run == id) {
            Some(known) => *known = found,
            None => self.passing.push(found),
        }
    }

    /// The next operation is a start that was under way when the bus went.
    pub fn resumes(&self) -> bool {
        matches!(self.queue.front(), Some(Op::Start { resumed: true, .. }))
    }

    /// Tells of the end of a run.
    pub fn exited(&mut self, replica: &ReplicaId, run: RunId, info: ExitInfo) -> LauncherEvent {
        self.run = Some(Run { id: run, over: true });
        self.unrecorded = Some(run);
        LauncherEvent::Exited { replica: replica.clone(), run, info }
    }

    /// Tells of a run nobody here started.
    pub fn found(&mut self, replica: &ReplicaId, run: RunId, missed: Vec<(RunId, ExitInfo)>) -> Found {
        let over = self.life() == Life::Ended;
        self.run = Some(Run { id: run, over });
        Found {
            replica: replica.clone(),
            run,
            pid: self.part.main_pid.filter(|pid| *pid > 0 && !over),
            cgroup: self.cgroup.clone().filter(|_| !over),
            ended: over.then(|| self.exit()),
            frozen: self.frozen(),
            missed,
            started: self.part.exec_started.filter(|t| *t > 0).map(Wall),
        }
    }
}

/// An end nobody saw.
pub(super) fn unknown() -> ExitInfo {
    ExitInfo { status: ExitStatus::Unknown, oom_kill: false, peak_memory: None, at: now() }
}

fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Wall(since.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
}
