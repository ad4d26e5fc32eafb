//! Carrying out a decision of `plan`, and the acts of the table that ask the launcher for something.

use super::Core;
use crate::effect::Effect;
use crate::ids::{ReplicaId, StartToken};
use crate::notice::Kind;
use crate::plan::Action;
use crate::replica::{Input, Live, ProbeState, State};
use crate::restart::damping::Gate;
use crate::restart::{Doom, breaker};
use crate::timers::Timer;
use std::time::Duration;

/// A launcher that has not answered after this long never will.
const LAUNCH_LIMIT: Duration = Duration::from_secs(120);
/// So much more for each other start that is under way: a slow host needs minutes for hundreds.
const LAUNCH_EACH: Duration = Duration::from_secs(1);
/// Over the launcher's own grace, before we insist.
const STOP_MARGIN: Duration = Duration::from_secs(5);
/// Between two SIGKILLs.
const KILL_AGAIN: Duration = Duration::from_secs(10);

impl Core {
    pub(super) fn apply(&mut self, id: &ReplicaId, action: Action, reason: &str) {
        match action {
            Action::AllocatePort => {
                if let Some(r) = self.replicas.get_mut(id) {
                    r.port_asked = true;
                }
                self.emit(Effect::AllocatePort(id.clone()));
                self.mark(id);
            }
            Action::AssignGpus(given) => self.assign_gpus(id, given),
            Action::Start => {
                self.transition(id, Input::Start, reason);
            }
            Action::Stop => {
                // Down only to come up again with its team.
                if self.failing(id) {
                    self.start_because(id, reason);
                }
                self.end_run(id, Input::Stop, reason);
            }
            Action::Drain => self.end_run(id, Input::Drain, reason),
            Action::Replace { drain } => {
                self.start_because(id, reason);
                if drain {
                    self.node.replacing.insert(id.clone(), reason.to_owned());
                    self.persist();
                }
                self.end_run(id, if drain { Input::Drain } else { Input::Stop }, reason);
            }
            Action::SetLimits(limits) => {
                let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) else {
                    return;
                };
                live.limits = limits;
                if let Some(run) = live.run {
                    self.emit(Effect::SetLimits { replica: id.clone(), run, limits });
                    self.keep_live(id);
                }
                self.mark(id);
            }
            Action::Pause => {
                self.transition(id, Input::Pause, reason);
            }
            Action::Resume => {
                self.transition(id, Input::Resume, reason);
            }
            Action::Network { deny } => {
                let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) else {
                    return;
                };
                live.isolated = deny;
                let frozen = live.frozen;
                if let Some(run) = live.run {
                    self.emit(Effect::Network { replica: id.clone(), run, deny });
                    let entry = crate::persist::RunEntry::Frozen { frozen, isolated: deny };
                    self.append(id, entry);
                }
                self.mark(id);
            }
            Action::Forget => {
                self.disarm(id);
                self.timers.clear_all(id);
                self.leave_damping(id);
                self.touch(id);
                self.take_gpus(id);
                // Should it be wanted again one day, it begins with a clean sheet, on disk as well.
                let clean = crate::persist::RestartRecord::default();
                if self.replicas.remove(id).is_some_and(|r| r.restart != clean) {
                    self.append(id, crate::persist::RunEntry::Restart(clean));
                }
                self.emit(Effect::Forget(id.clone()));
            }
        }
    }

    /// What its next start will be put down to.
    pub(super) fn start_because(&mut self, id: &ReplicaId, reason: &str) {
        if let Some(replica) = self.replicas.get_mut(id) {
            reason.clone_into(&mut replica.start_reason);
        }
    }

    /// Ends a run because `plan` wants it: nobody's fault.
    fn end_run(&mut self, id: &ReplicaId, input: Input, reason: &str) {
        if let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) {
            live.doom = Doom::Requested;
            reason.clone_into(&mut live.doom_reason);
        }
        self.transition(id, input, reason);
    }

    /// Act: ask the launcher for a run. Only `plan` leads here, so a token of the bucket is there.
    pub(super) fn launch(&mut self, id: &ReplicaId) {
        let now = self.now;
        self.bucket.take(now.mono);
        if let Gate::Trial(cause) = self.damping.gate(id, now.mono) {
            self.damping.begin_trial(id, cause);
        }
        self.next_token += 1;
        let token = StartToken(self.next_token);
        let Some(worker) = self.desired.workers.get(&id.worker) else {
            return;
        };
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let spec = super::spec::build(worker, replica, &self.gpus, &self.site, &self.config);
        replica.restart.breakers.values_mut().for_each(breaker::try_once);
        replica.def = Some(worker.def.clone());
        replica.port_free = false;
        replica.not_before = None;
        replica.wish = None;
        replica.armed = None;
        replica.start_reason.clear();
        replica.refused = None;
        replica.early_ready = false;
        replica.meanwhile = None;
        replica.live = Some(Live {
            token,
            run: None,
            pid: None,
            cgroup: None,
            started: now,
            digest: spec.digest.clone(),
            limits: spec.limits,
            spec: Some(spec.clone()),
            adopted: false,
            notified_ready: false,
            ready: false,
            start_time: None,
            liveness: ProbeState::default(),
            readiness: ProbeState::default(),
            heartbeat: None,
            progress: None,
            frozen: false,
            freezing: false,
            isolated: false,
            status_text: None,
            active_tasks: None,
            values: std::collections::BTreeMap::new(),
            retry_at: None,
            doom: Doom::None,
            doom_reason: String::new(),
            drain_until: None,
        });
        self.timers.clear(id, Timer::Disarm);
        self.timers.set(id, Timer::State, now.mono + LAUNCH_LIMIT);
        self.emit(Effect::Start { token, spec });
    }

    /// Act: freeze.
    pub(super) fn freeze(&mut self, id: &ReplicaId) {
        self.clear_health_timers(id);
        let deny = self.desired.paused.get(id).copied().unwrap_or(false);
        let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) else {
            return;
        };
        let Some(run) = live.run else { return };
        live.freezing = true;
        live.frozen = true;
        live.isolated = deny;
        self.leave_damping(id);
        if deny {
            self.emit(Effect::Network { replica: id.clone(), run, deny: true });
        }
        // The intention is stored before the act: a frozen unit that nobody remembers would be thawed at re-attach,
        // a remembered one that is not frozen is frozen again.
        self.append(id, crate::persist::RunEntry::Frozen { frozen: true, isolated: deny });
        self.emit(Effect::Freeze(id.clone(), run));
    }

    /// Act: thaw, and look at it with fresh eyes.
    pub(super) fn thaw(&mut self, id: &ReplicaId) {
        let ready_timeout = self.def(id).map(|d| d.ready.timeout);
        let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) else {
            return;
        };
        let Some(run) = live.run else { return };
        live.freezing = true;
        live.frozen = false;
        let once_ready = live.start_time.is_some();
        if std::mem::take(&mut live.isolated) {
            self.emit(Effect::Network { replica: id.clone(), run, deny: false });
        }
        self.emit(Effect::Thaw(id.clone(), run));
        self.append(id, crate::persist::RunEntry::Frozen { frozen: false, isolated: false });
        self.notice(Kind::WorkerResumed, id, "thawed");
        if !once_ready {
            self.set_state(id, State::Starting);
            if let Some(span) = ready_timeout {
                self.timers.set(id, Timer::State, self.after(span));
            }
        }
        self.start_health(id);
        self.judge_readiness(id);
    }

    /// Act: the stop signal.
    pub(super) fn terminate(&mut self, id: &ReplicaId) {
        self.clear_health_timers(id);
        self.timers.clear(id, Timer::DrainPoll);
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let (signal, grace) =
            replica.def.as_ref().map_or((15, Duration::from_secs(30)), |d| (d.stop.signal, d.stop.timeout));
        let Some(live) = replica.live.as_mut() else {
            return;
        };
        if live.doom == Doom::None {
            live.doom = Doom::Requested;
        }
        live.frozen = false;
        if let Some(run) = live.run {
            self.timers.set(id, Timer::State, self.now.mono + grace + STOP_MARGIN);
            self.emit(Effect::Stop { replica: id.clone(), run, signal, grace });
        }
    }

    /// Act: SIGKILL, again and again.
    pub(super) fn kill(&mut self, id: &ReplicaId, from: State, reason: &str) {
        self.clear_health_timers(id);
        self.timers.clear(id, Timer::DrainPoll);
        self.timers.set(id, Timer::State, self.after(KILL_AGAIN));
        let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) else {
            return;
        };
        if live.doom == Doom::None {
            live.doom = Doom::Requested;
        }
        if let Some(run) = live.run {
            self.emit(Effect::Kill { replica: id.clone(), run });
            // A process that nothing can kill is told once.
            if from != State::Killing {
                self.notice(Kind::StopIgnored, id, reason);
            }
        }
    }

    /// The launcher owes an answer: it has more time when many others wait with this one.
    fn launch_overdue(&mut self, id: &ReplicaId) {
        let others = self.replicas.iter().filter(|(other, r)| *other != id && r.state.is_launching()).count();
        let limit = LAUNCH_LIMIT + LAUNCH_EACH * u32::try_from(others).unwrap_or(u32::MAX);
        let due = self.replicas.get(id).and_then(|r| r.live.as_ref()).map(|live| live.started.mono + limit);
        match due.filter(|due| *due > self.now.mono) {
            Some(due) => self.timers.set(id, Timer::State, due),
            None => self.fail_launch(id, "the launcher did not answer in time"),
        }
    }

    /// The state a replica is in has lasted too long.
    pub(super) fn state_deadline(&mut self, id: &ReplicaId) {
        match self.replicas.get(id).map(|r| r.state) {
            Some(State::Starting) => self.ready_overdue(id),
            Some(State::Launching | State::Aborting) => self.launch_overdue(id),
            Some(State::Draining | State::Saving) => {
                self.notice(Kind::DrainTimeout, id, "the drain timeout is over");
                self.transition(id, Input::Deadline, "the drain timeout is over");
            }
            Some(State::Stopping | State::Killing) => {
                self.transition(id, Input::Deadline, "it is still there after the grace and SIGKILL");
            }
            Some(State::Down | State::Up | State::Paused) | None => {}
        }
    }
}
