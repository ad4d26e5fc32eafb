//! Readiness, liveness, watchdog and progress (HLT-01, HLT-05, HLT-06, HLT-08).
//!
//! Readiness takes a replica in and out of rotation and nothing else. Liveness, watchdog and progress end the run so
//! that a new one follows; after every start and every thaw the counters begin at zero and the grace applies again.
//! While a replica is starting (until it is ready for the first time) liveness failures do not count: `ready.timeout`
//! watches over that span.

use super::{Core, spec};
use crate::config::{Check, Probe, Remediation};
use crate::effect::Effect;
use crate::event::ProbeKind;
use crate::exit::Cause;
use crate::ids::{ReplicaId, RunId};
use crate::notice::Kind;
use crate::persist::RunEntry;
use crate::replica::{Input, ProbeState, State};
use crate::restart::Doom;
use crate::time::Mono;
use crate::timers::Timer;
use std::sync::Arc;
use std::time::Duration;

fn timer(kind: ProbeKind) -> Timer {
    match kind {
        ProbeKind::Liveness => Timer::Liveness,
        ProbeKind::Readiness => Timer::Readiness,
    }
}

impl Core {
    fn probe_of(&self, id: &ReplicaId, kind: ProbeKind) -> Option<Probe> {
        let def = self.def(id)?;
        match kind {
            ProbeKind::Liveness => def.liveness.clone(),
            ProbeKind::Readiness => def.readiness.clone(),
        }
    }

    /// The definition in force for how to watch it: the newest one, so that a changed probe needs no new run.
    pub(super) fn def(&self, id: &ReplicaId) -> Option<Arc<crate::config::Worker>> {
        let newest = self.desired.workers.get(&id.worker).map(|w| w.def.clone());
        newest.or_else(|| self.replicas.get(id).and_then(|r| r.def.clone()))
    }

    /// Starts all of it afresh: after a start, an adoption, a thaw, a reload, a suspend.
    pub(super) fn start_health(&mut self, id: &ReplicaId) {
        self.clear_health_timers(id);
        let Some(def) = self.def(id) else { return };
        let now = self.now.mono;
        let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) else {
            return;
        };
        let passing = live.readiness.passing;
        live.liveness = ProbeState::default();
        live.readiness = ProbeState { passing, ..ProbeState::default() };
        if let Some(probe) = &def.liveness {
            match probe.check {
                Check::Notify => self.timers.set(id, Timer::Watchdog, now + probe.initial_delay + allowed(probe)),
                Check::Progress => self.timers.set(id, Timer::Progress, now + probe.initial_delay + allowed(probe)),
                Check::Http(_) | Check::Tcp(_) | Check::Exec(_) => {
                    self.timers.set(id, Timer::Liveness, now + probe.initial_delay);
                }
            }
        }
        if let Some(probe) = &def.readiness {
            self.timers.set(id, Timer::Readiness, now + probe.initial_delay);
        }
        if self.replicas.get(id).and_then(|r| r.live.as_ref()).is_some_and(|l| l.start_time.is_some()) {
            self.arm_settle(id);
        }
    }

    pub(super) fn clear_health_timers(&mut self, id: &ReplicaId) {
        for timer in [Timer::Liveness, Timer::Readiness, Timer::Watchdog, Timer::Progress, Timer::Settle] {
            self.timers.clear(id, timer);
        }
    }

    /// A probe is due: ask.
    pub(super) fn probe_due(&mut self, id: &ReplicaId, kind: ProbeKind) {
        let Some(probe) = self.probe_of(id, kind) else {
            return;
        };
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        if !matches!(replica.state, State::Starting | State::Up) {
            return;
        }
        let (port, gpus) = (replica.port, replica.gpus.clone());
        let Some(live) = replica.live.as_mut() else {
            return;
        };
        let state = match kind {
            ProbeKind::Liveness => &mut live.liveness,
            ProbeKind::Readiness => &mut live.readiness,
        };
        if state.in_flight {
            return;
        }
        let Some(run) = live.run else { return };
        state.in_flight = true;
        state.due = now;
        let check = spec::expand_check(&probe.check, &spec::values(id, port, &gpus, &self.site));
        self.emit(Effect::Probe { replica: id.clone(), run, kind, check, timeout: probe.timeout });
    }

    /// A probe has answered.
    pub(super) fn probed(&mut self, id: &ReplicaId, run: RunId, kind: ProbeKind, result: Result<Duration, String>) {
        let Some(probe) = self.probe_of(id, kind) else {
            return;
        };
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let state = replica.state;
        let Some(live) = replica.live.as_mut().filter(|l| l.run == Some(run)) else {
            return;
        };
        let was_ready = live.ready;
        let grace = state == State::Starting && kind == ProbeKind::Liveness && live.start_time.is_none();
        let counters = match kind {
            ProbeKind::Liveness => &mut live.liveness,
            ProbeKind::Readiness => &mut live.readiness,
        };
        if !counters.in_flight {
            return;
        }
        counters.in_flight = false;
        replica.probes.entry(kind).or_default().count(result.as_ref().copied().map_err(String::as_str));
        if !matches!(state, State::Starting | State::Up) {
            return;
        }
        let next = (counters.due + probe.period).max(now);
        let error = result.as_ref().err().cloned();
        let verdict = if error.is_some() && grace {
            None
        } else {
            counters.count(error.is_none(), probe.success_threshold, probe.failure_threshold)
        };
        if error.is_some() {
            counters.last_error.clone_from(&error);
        }
        let failures = counters.failures;
        // After a verdict against it, the budget may keep it alive: it is asked on, and judged again as it fails on.
        let again = error.is_some() && failures >= probe.failure_threshold && kind == ProbeKind::Liveness && !grace;
        self.timers.set(id, timer(kind), next);
        self.touch(id);
        match kind {
            ProbeKind::Liveness if again => {
                let why = format!("{failures} failures in a row: {}", error.unwrap_or_default());
                self.condemn(id, Cause::Probe, &why);
            }
            ProbeKind::Liveness => {
                if verdict == Some(true)
                    && let Some(r) = self.replicas.get_mut(id)
                {
                    r.remedies_spent = false;
                }
            }
            ProbeKind::Readiness => {
                if verdict == Some(false) && was_ready {
                    self.set_ready(id, false, &format!("readiness: {}", error.unwrap_or_default()));
                } else if verdict == Some(true) {
                    self.judge_readiness(id);
                }
            }
        }
    }

    /// Looks whether it is ready now: READY=1 when `ready.notify`, the readiness probe when there is one, both when
    /// both; else running is ready.
    pub(super) fn judge_readiness(&mut self, id: &ReplicaId) {
        let Some(def) = self.def(id) else { return };
        let Some(replica) = self.replicas.get(id) else {
            return;
        };
        let Some(live) = replica.live.as_ref() else {
            return;
        };
        let ready = (!def.ready.notify || live.notified_ready)
            && (def.readiness.is_none() || live.readiness.passing == Some(true));
        if ready && matches!(replica.state, State::Starting | State::Up) {
            let explicit = def.ready.notify || def.readiness.is_some();
            self.set_ready(id, true, if explicit { "ready" } else { "running" });
        }
    }

    /// Into or out of rotation.
    pub(super) fn set_ready(&mut self, id: &ReplicaId, ready: bool, why: &str) {
        let now = self.now;
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let state = replica.state;
        let Some(live) = replica.live.as_mut() else {
            return;
        };
        if live.ready == ready {
            return;
        }
        live.ready = ready;
        let first = ready && live.start_time.is_none();
        if first {
            live.start_time = Some(now.mono.since(live.started.mono));
        }
        let adopted = live.adopted;
        if state == State::Starting {
            self.transition(id, Input::Ready, why);
        } else {
            self.count(id);
            self.set_state_reason(id, why.to_owned());
        }
        self.append(id, RunEntry::Ready(ready));
        if first {
            self.arm_settle(id);
        }
        let explicit = self.def(id).is_some_and(|d| d.ready.notify || d.readiness.is_some());
        if !ready {
            self.notice(Kind::WorkerUnready, id, why);
        } else if explicit && !(adopted && first) {
            self.notice(Kind::WorkerReady, id, why);
        }
        self.mark(id);
    }

    /// `ready.timeout` is over. An adopted run is not judged by it: the daemon before may have heard its READY=1 and
    /// ended before it could write that down. It counts as told, and its probes decide from here on.
    pub(super) fn ready_overdue(&mut self, id: &ReplicaId) {
        if let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()).filter(|l| l.adopted) {
            live.notified_ready = true;
            self.judge_readiness(id);
            let now = self.now.mono;
            if let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()).filter(|l| !l.ready) {
                live.start_time.get_or_insert(now.since(live.started.mono));
                self.transition(id, Input::Ready, "adopted; its readiness probe has not passed yet");
            }
            return;
        }
        let Some(def) = self.def(id) else { return };
        let span = crate::restart::span(def.ready.timeout);
        if !self.condemn(id, Cause::ReadyTimeout, &format!("not ready after {span}")) {
            self.timers.set(id, Timer::State, self.after(def.ready.timeout));
        }
    }

    pub(super) fn watchdog_fed(&mut self, id: &ReplicaId) {
        self.fed(id, Timer::Watchdog, Check::Notify);
    }

    pub(super) fn progress_made(&mut self, id: &ReplicaId) {
        self.fed(id, Timer::Progress, Check::Progress);
    }

    fn fed(&mut self, id: &ReplicaId, timer: Timer, check: Check) {
        let Some(probe) = self.probe_of(id, ProbeKind::Liveness).filter(|p| p.check == check) else {
            return;
        };
        if self.replicas.get(id).is_some_and(|r| matches!(r.state, State::Starting | State::Up)) {
            let now = self.now.mono;
            let at = self.after(allowed(&probe));
            let grace = self.timers.get(id, timer);
            self.timers.set(id, timer, grace.filter(|g| *g > at).unwrap_or(at));
            if let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) {
                live.liveness.passing = Some(true);
                live.heartbeat = Some(now);
            }
        }
    }

    pub(super) fn watchdog_expired(&mut self, id: &ReplicaId) {
        self.silent(id, Timer::Watchdog, Cause::Watchdog, "no WATCHDOG=1");
    }

    pub(super) fn progress_expired(&mut self, id: &ReplicaId) {
        self.silent(id, Timer::Progress, Cause::Progress, "no new progress value");
    }

    fn silent(&mut self, id: &ReplicaId, timer: Timer, cause: Cause, what: &str) {
        let Some(probe) = self.probe_of(id, ProbeKind::Liveness) else {
            return;
        };
        let span = allowed(&probe);
        let starting = self.replicas.get(id).and_then(|r| r.live.as_ref()).is_some_and(|l| l.start_time.is_none());
        if starting || !self.condemn(id, cause, &format!("{what} for {}", crate::restart::span(span))) {
            self.timers.set(id, timer, self.after(span));
        }
    }

    /// Ends a sick run so that a new one follows, if that may be done (REC-12). `true` when it is being ended.
    pub(super) fn condemn(&mut self, id: &ReplicaId, cause: Cause, why: &str) -> bool {
        let now = self.now.mono;
        let Some(def) = self.def(id) else {
            return false;
        };
        let switch = self.config.supervision.remediation;
        let Some(replica) = self.replicas.get_mut(id) else {
            return false;
        };
        if !matches!(replica.state, State::Starting | State::Up) {
            return false;
        }
        let spent = match &def.restart.remediation {
            Some(rate) => {
                replica.remedies.retain(|at| now.since(*at) < rate.per);
                (replica.remedies.len() >= rate.count as usize).then(|| {
                    let next: Option<Mono> = replica.remedies.first().map(|at| *at + rate.per);
                    let wait = next.map_or(Duration::ZERO, |n| n.since(now));
                    format!(
                        "{cause} ({why}); {} restarts in {} are used up, the next may follow in {}",
                        rate.count,
                        crate::restart::span(rate.per),
                        crate::restart::span(wait)
                    )
                })
            }
            None => None,
        };
        let withheld = match (switch, spent) {
            (Remediation::Off, _) => Some(format!("{cause} ({why}); remediation is off")),
            (Remediation::DryRun, _) => {
                Some(format!("{cause} ({why}); it would be restarted (remediation is dry-run)"))
            }
            (Remediation::On, Some(text)) => Some(text),
            (Remediation::On, None) => None,
        };
        if let Some(text) = withheld {
            if !std::mem::replace(&mut replica.remedies_spent, true) {
                self.notice(Kind::RemediationSpent, id, text);
            }
            return false;
        }
        replica.remedies.push(now);
        replica.remedies_spent = false;
        if let Some(live) = replica.live.as_mut() {
            live.doom = Doom::Condemned(cause.clone());
        }
        self.notice(Kind::ProbeFailed, id, format!("{cause} ({why}); it is restarted"));
        self.transition(id, Input::Condemned, &format!("{cause}: {why}"))
    }
}

/// How long a worker may stay silent: `period · failure_threshold`.
fn allowed(probe: &Probe) -> Duration {
    probe.period.saturating_mul(probe.failure_threshold)
}
