//! The end of a run: the record first, then what follows from it.

use super::Core;
use crate::effect::Effect;
use crate::exit::{Cause, ExitInfo, ExitRecord, ExitStatus};
use crate::ids::{ReplicaId, RunId};
use crate::notice::Kind;
use crate::persist::RunEntry;
use crate::replica::{Live, Replica};
use crate::restart::{self, Doom, Verdict};
use crate::time::Wall;
use crate::timers::Timer;
use std::time::Duration;

impl Core {
    /// Acts `End` and `Fail`: there is no process any more.
    pub(super) fn over(&mut self, id: &ReplicaId) {
        let info = self.exit_info.take();
        let now = self.now;
        self.timers.clear_all(id);
        let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.take()) else {
            return;
        };
        let info =
            info.unwrap_or(ExitInfo { status: ExitStatus::Unknown, oom_kill: false, peak_memory: None, at: now.wall });
        let signal = self.stop_signal(id);
        let cause = match &live.doom {
            // Nothing ran and nobody was to blame: an aborted start.
            Doom::Requested if live.run.is_none() => Cause::Operator,
            doom => restart::classify(&info, doom, signal),
        };
        let run = live.run.unwrap_or(RunId(self.synthetic_run()));
        let reason = self.replicas.get(id).map(|r| r.reason.clone()).unwrap_or_default();
        let text = match &cause {
            Cause::Operator => match info.status {
                ExitStatus::Code(c) if c != 0 && c != 143 => {
                    format!("{cause} ({reason}), exit code {c}")
                }
                _ => format!("{cause} ({reason})"),
            },
            Cause::Probe | Cause::Watchdog | Cause::Progress | Cause::ReadyTimeout => {
                self.condemned_text(&live, &cause)
            }
            other => other.to_string(),
        };
        let started = live.run.map(|_| live.started.wall);
        let record = self.record(id, run, started, &info, cause.clone(), true, text.clone());
        self.keep_record(id, record);
        self.follow(id, &live, &cause, &text);
    }

    fn stop_signal(&self, id: &ReplicaId) -> i32 {
        self.replicas.get(id).and_then(|r| r.def.as_ref()).map_or(15, |d| d.stop.signal)
    }

    fn condemned_text(&self, live: &Live, cause: &Cause) -> String {
        match (&live.liveness.last_error, cause) {
            (Some(why), Cause::Probe) => format!("{cause}: {why}"),
            _ => cause.to_string(),
        }
    }

    fn synthetic_run(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.rng.next_u64().to_be_bytes());
        id[8..].copy_from_slice(&self.rng.next_u64().to_be_bytes());
        id
    }

    /// Makes a record.
    #[expect(clippy::too_many_arguments, reason = "the fields of one record, each from another place")]
    pub(super) fn record(
        &self,
        id: &ReplicaId,
        run: RunId,
        started: Option<Wall>,
        info: &ExitInfo,
        cause: Cause,
        supervised: bool,
        reason: String,
    ) -> ExitRecord {
        let (exit_code, signal) = match info.status {
            ExitStatus::Code(c) => (Some(c), None),
            ExitStatus::Signal(s) => (None, Some(s)),
            ExitStatus::Unknown => (None, None),
        };
        ExitRecord {
            run,
            worker: id.worker.clone(),
            replica: id.index,
            started,
            ended: info.at,
            supervised,
            cause,
            exit_code,
            signal,
            reason,
            peak_memory: info.peak_memory,
            restarts: self.replicas.get(id).map_or(0, |r| r.restart.restarts),
            log_tail: Vec::new(),
        }
    }

    /// D8: the record is written before anything that could erase the status.
    pub(super) fn keep_record(&mut self, id: &ReplicaId, record: ExitRecord) {
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.last_exit = Some(record.clone());
        }
        self.emit(Effect::Record(record));
    }

    /// What follows from an end.
    pub(super) fn follow(&mut self, id: &ReplicaId, live: &Live, cause: &Cause, text: &str) {
        let now = self.now;
        let Some(replica) = self.replicas.get(id) else {
            return;
        };
        let Some(def) = self.desired.workers.get(&id.worker).map(|w| w.def.clone()).or_else(|| replica.def.clone())
        else {
            self.emit(Effect::Disarm(id.clone()));
            return;
        };
        let mut books = replica.restart.clone();
        let requested = matches!(cause, Cause::Operator | Cause::StopTimeout);
        let uptime = if live.run.is_some() { now.mono.since(live.started.mono) } else { Duration::ZERO };
        let verdict = restart::decide(
            &mut books,
            &def.restart,
            cause,
            uptime,
            live.start_time.unwrap_or_default(),
            live.retry_at,
            now,
            &mut self.rng,
        );
        if !requested {
            books.restarts = books.restarts.saturating_add(1);
        }
        if books != replica.restart {
            self.append(id, RunEntry::Restart(books.clone()));
        }
        let damped =
            if requested || *cause == Cause::Clean { None } else { self.damping.failed(id, cause.word(), now.mono) };
        self.say_end(id, live.run, cause, text, &verdict);
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        replica.restart = books;
        replica.crash_loop = matches!(verdict, Verdict::CrashLoop { .. }) || (replica.crash_loop && !requested);
        if requested {
            replica.wish = None;
        }
        let dead_man = def.restart.unsupervised_after;
        let due = match verdict {
            Verdict::Restart { at, reason } if !requested => {
                replica.not_before = Some((at, reason));
                Some(at)
            }
            Verdict::Restart { at, .. } => {
                replica.not_before = None;
                Some(at)
            }
            Verdict::CrashLoop { at, reason } => {
                replica.not_before = Some((at, reason));
                Some(at)
            }
            Verdict::Park(_) | Verdict::Done(_) => None,
        };
        if let Some(text) = damped {
            self.emit(Effect::Notice(crate::notice::Notice::node(Kind::Damped, text)));
        }
        self.team_failed(id, cause);
        self.dirty.insert(id.clone());
        // PID 1's dead-man restart must not overtake a longer wait (supervision note §3.3: half the delay).
        let soon = due.is_some_and(|at| dead_man.is_none_or(|d| at.since(now.mono) < d / 2));
        if !soon || !self.will_start(id) {
            self.emit(Effect::Disarm(id.clone()));
        }
    }

    /// Whether nothing but time stands in the way of a new run.
    fn will_start(&self, id: &ReplicaId) -> bool {
        use crate::plan::{Action, Decision, decide};
        match decide(&self.view(), id, self.now.mono) {
            Decision::Act(Action::Start | Action::AllocatePort, _) => true,
            Decision::Wait(_, until) => until.is_some(),
            Decision::Act(..) | Decision::Content => false,
        }
    }

    fn say_end(&mut self, id: &ReplicaId, run: Option<RunId>, cause: &Cause, text: &str, verdict: &Verdict) {
        let known_loop = self.replicas.get(id).is_some_and(|r| r.crash_loop);
        let (kind, reason) = match verdict {
            Verdict::Restart { .. } if matches!(cause, Cause::Operator) => (Kind::WorkerExited, text.to_owned()),
            Verdict::Restart { .. } if matches!(cause, Cause::StopTimeout) => (Kind::StopIgnored, text.to_owned()),
            Verdict::Restart { reason, .. } => match cause {
                Cause::StartFailed(_) => (Kind::StartFailed, reason.clone()),
                Cause::Clean => (Kind::WorkerExited, reason.clone()),
                _ => (Kind::WorkerFailed, with_detail(text, cause, reason)),
            },
            Verdict::CrashLoop { reason, .. } => (Kind::CrashLoop, with_detail(text, cause, reason)),
            Verdict::Park(reason) => (Kind::WorkerParked, reason.clone()),
            Verdict::Done(reason) => (Kind::WorkerDone, reason.clone()),
        };
        // While the loop lasts only its trials are told.
        if known_loop && kind == Kind::WorkerFailed {
            return;
        }
        self.emit(Effect::Notice(crate::notice::Notice::replica(kind, id, run, reason)));
    }

    /// A member of a team that fails together has failed: the others go down too, then all start.
    fn team_failed(&mut self, id: &ReplicaId, cause: &Cause) {
        let Some(team) = self.desired.workers.get(&id.worker).map(|w| w.def.team.clone()) else {
            return;
        };
        if matches!(cause, Cause::Operator | Cause::StopTimeout | Cause::Clean)
            || !self.desired.together.contains(&team)
        {
            return;
        }
        if self.failing_teams.contains_key(&team) {
            return;
        }
        let reason = format!("team {team} fails together: {id} {cause}");
        self.failing_teams.insert(team.clone(), reason);
        for name in self.members(&team) {
            self.mark_worker(&name);
        }
    }

    pub(super) fn members(&self, team: &crate::ids::TeamName) -> Vec<crate::ids::WorkerName> {
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
            self.emit(Effect::Notice(crate::notice::Notice::node(Kind::DampingOver, text)));
            self.dirty.extend(freed);
        }
        let reset = replica_reset(self.replicas.get(id), start_time);
        if up < reset {
            let at = live_started(self.replicas.get(id), now.mono) + reset;
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
        let books = &replica.restart;
        let wait = match self.damping.is_trial(id) {
            Some(window) => window,
            None if books.failures > 0 || !books.breakers.is_empty() => {
                replica_reset(Some(replica), live.start_time.unwrap_or_default())
            }
            None => return,
        };
        let at = live.started.mono + wait;
        self.timers.set(id, Timer::Settle, at);
    }
}

/// The cause stands in both texts; the detail (which probe error) only in the first.
fn with_detail(text: &str, cause: &Cause, reason: &str) -> String {
    match reason.strip_prefix(&cause.to_string()) {
        Some(rest) => format!("{text}{rest}"),
        None => reason.to_owned(),
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
