//! Every deadline of the core in one ordered set: the next one is what the shell sleeps until.

use crate::ids::ReplicaId;
use crate::time::{Deadline, Mono};
use std::collections::{BTreeMap, BTreeSet};

/// What a timer is for. A replica has at most one of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The state it is in has lasted long enough: launch, readiness, drain, stop or kill.
    State,
    /// The liveness probe is due.
    Liveness,
    /// The readiness probe is due.
    Readiness,
    /// WATCHDOG=1 is due.
    Watchdog,
    /// Progress is due.
    Progress,
    /// Asking again whether a drain is done.
    DrainPoll,
    /// A start that was waiting may go ahead.
    Start,
    /// Up for long enough: failures are forgotten.
    Settle,
    /// PID 1's dead-man restart comes near: it is disarmed now.
    Disarm,
    /// Its cards were not clean: looking again.
    Gpus,
}

impl Timer {
    fn why(self) -> &'static str {
        match self {
            Timer::State => "state deadline",
            Timer::Liveness => "liveness probe",
            Timer::Readiness => "readiness probe",
            Timer::Watchdog => "watchdog",
            Timer::Progress => "progress",
            Timer::DrainPoll => "drain condition",
            Timer::Start => "start",
            Timer::Settle => "settle",
            Timer::Disarm => "disarm",
            Timer::Gpus => "GPUs clean",
        }
    }
}

/// The set.
#[derive(Debug, Clone, Default)]
pub struct Timers {
    due: BTreeSet<(Mono, ReplicaId, Timer)>,
    at: BTreeMap<(ReplicaId, Timer), Mono>,
}

impl Timers {
    /// Sets or moves a timer.
    pub fn set(&mut self, id: &ReplicaId, timer: Timer, at: Mono) {
        if let Some(old) = self.at.insert((id.clone(), timer), at) {
            self.due.remove(&(old, id.clone(), timer));
        }
        self.due.insert((at, id.clone(), timer));
    }

    /// Moves a timer that is set to a later time.
    pub fn extend(&mut self, id: &ReplicaId, timer: Timer, at: Mono) {
        if self.get(id, timer).is_some_and(|old| old < at) {
            self.set(id, timer, at);
        }
    }

    /// Removes a timer.
    pub fn clear(&mut self, id: &ReplicaId, timer: Timer) {
        if let Some(old) = self.at.remove(&(id.clone(), timer)) {
            self.due.remove(&(old, id.clone(), timer));
        }
    }

    /// Removes all timers of a replica.
    pub fn clear_all(&mut self, id: &ReplicaId) {
        for timer in [
            Timer::State,
            Timer::Liveness,
            Timer::Readiness,
            Timer::Watchdog,
            Timer::Progress,
            Timer::DrainPoll,
            Timer::Start,
            Timer::Settle,
            Timer::Disarm,
            Timer::Gpus,
        ] {
            self.clear(id, timer);
        }
    }

    /// When a timer is due.
    pub fn get(&self, id: &ReplicaId, timer: Timer) -> Option<Mono> {
        self.at.get(&(id.clone(), timer)).copied()
    }

    /// Takes the first timer due at `now`.
    pub fn pop(&mut self, now: Mono) -> Option<(ReplicaId, Timer)> {
        let (at, id, timer) = self.due.first()?.clone();
        if at > now {
            return None;
        }
        self.clear(&id, timer);
        Some((id, timer))
    }

    /// The next one.
    pub fn next(&self) -> Option<Deadline> {
        self.due.first().map(|(at, _, timer)| Deadline { at: *at, why: timer.why() })
    }
}
