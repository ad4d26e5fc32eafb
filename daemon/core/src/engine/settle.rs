//! What others have to do with an end: mass crashes, teams that fail together; and when a fault is forgotten.

use super::Core;
use crate::effect::Effect;
use crate::exit::Cause;
use crate::ids::{ReplicaId, TeamName, WorkerName};
use crate::notice::{Kind, Notice};
use crate::persist::RunEntry;
use crate::plan::On;
use crate::replica::{Replica, State};
use crate::restart;
use crate::timers::Timer;
use std::time::Duration;

impl Core {
    /// Counts an end towards a mass crash. One that was asked for, or that will not be tried again, frees those that
    /// wait for its trial.
    pub(super) fn damp(&mut self, id: &ReplicaId, cause: &Cause) {
        let parked = self.replicas.get(id).is_some_and(|replica| replica.is_parked());
        if parked || matches!(cause, Cause::Operator | Cause::StopTimeout | Cause::Clean) {
            return self.leave_damping(id);
        }
        let trial = self.damping.is_trial(id).is_some();
        if let Some((text, victims)) = self.damping.failed(id, cause.word(), self.now.mono) {
            self.emit(Effect::Notice(Notice::node(Kind::Damped, text)));
            // Those that have been started again already are let run.
            for victim in victims {
                if self.replicas.get(&victim).is_some_and(|r| r.state == State::Down && !r.is_parked()) {
                    self.damping.hold(&victim, cause.word());
                    self.mark(&victim);
                }
            }
        }
        if trial {
            self.wake(&On::Damping);
        }
    }

    /// It is gone, stopped, frozen or forgiven: it neither holds nor is held by a mass crash.
    pub(super) fn leave_damping(&mut self, id: &ReplicaId) {
        if self.damping.remove(id) {
            self.wake(&On::Damping);
        }
    }

    /// A member of a team that fails together has failed: the others go down too, then all start.
    pub(super) fn team_failed(&mut self, id: &ReplicaId, cause: &Cause) {
        let Some(team) = self.desired.workers.get(&id.worker).map(|w| w.def.team.clone()) else {
            return;
        };
        if matches!(cause, Cause::Operator | Cause::StopTimeout) || !self.desired.together.contains_key(&team) {
            return;
        }
        let known = self.failing_teams.contains_key(&team) || crate::plan::off(&self.view(), id).is_some();
        if !known && *cause != Cause::Clean {
            let reason = format!("team {team} fails together: {id} {cause}");
            self.failing_teams.insert(team.clone(), reason);
        }
        for name in self.members(&team) {
            self.mark_worker(&name);
        }
    }

    pub(super) fn members(&self, team: &TeamName) -> Vec<WorkerName> {
        self.desired.workers.iter().filter(|(_, w)| w.def.team == *team).map(|(n, _)| n.clone()).collect()
    }

    /// A failing team whose last member is down may start again.
    pub(super) fn check_teams(&mut self) {
        for team in self.failing_teams.keys().cloned().collect::<Vec<_>>() {
            let members = self.members(&team);
            if members.iter().all(|m| self.tally.get(m).is_none_or(|t| t.live == 0)) {
                self.failing_teams.remove(&team);
                members.iter().for_each(|m| self.mark_worker(m));
            }
        }
    }

    /// Timer `Settle`: it has stayed up.
    pub(super) fn settle_due(&mut self, id: &ReplicaId) {
        let now = self.now;
        let Some(replica) = self.replicas.get(id) else {
            return;
        };
        let Some(live) = replica.live.as_ref().filter(|_| replica.state.is_running()) else {
            return;
        };
        let up = now.mono.since(live.started.mono);
        let start_time = live.start_time.unwrap_or_default();
        if self.damping.is_trial(id).is_some_and(|window| up >= window)
            && let Some((freed, text)) = self.damping.trial_passed(id)
        {
            self.emit(Effect::Notice(Notice::node(Kind::DampingOver, text)));
            self.dirty.extend(freed);
        }
        if !self.has_faults(id) {
            return;
        }
        let reset = replica_reset(self.replicas.get(id).map(Box::as_ref), start_time);
        if up < reset {
            let at = live_started(self.replicas.get(id).map(Box::as_ref), now.mono) + reset;
            self.timers.set(id, Timer::Settle, at);
            return;
        }
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let looped = std::mem::take(&mut replica.crash_loop);
        replica.restart.failures = 0;
        replica.restart.breakers.clear();
        let books = replica.restart.clone();
        self.append(id, RunEntry::Restart(books));
        if looped {
            self.notice(Kind::CrashLoopOver, id, format!("up for {}", restart::span(up)));
        }
        self.touch(id);
    }

    /// Sets the settle timer, if there is anything to settle.
    pub(super) fn arm_settle(&mut self, id: &ReplicaId) {
        let Some(replica) = self.replicas.get(id) else {
            return;
        };
        let Some(live) = &replica.live else { return };
        let wait = match self.damping.is_trial(id) {
            Some(window) => window,
            None if self.has_faults(id) => replica_reset(Some(replica), live.start_time.unwrap_or_default()),
            None => return,
        };
        let at = live.started.mono + wait;
        self.timers.set(id, Timer::Settle, at);
    }

    fn has_faults(&self, id: &ReplicaId) -> bool {
        self.replicas.get(id).is_some_and(|r| r.crash_loop || r.restart.failures > 0 || !r.restart.breakers.is_empty())
    }
}

fn replica_reset(replica: Option<&Replica>, start_time: Duration) -> Duration {
    replica
        .and_then(|r| r.def.as_ref())
        .map_or(Duration::from_secs(300), |d| restart::reset_after(&d.restart.backoff, start_time))
}

fn live_started(replica: Option<&Replica>, otherwise: crate::time::Mono) -> crate::time::Mono {
    replica.and_then(|r| r.live.as_ref()).map_or(otherwise, |l| l.started.mono)
}
