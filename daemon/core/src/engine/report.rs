//! What the launcher reports.

use super::{Core, Phase};
use crate::effect::Effect;
use crate::event::{Applied, LauncherEvent, Notification};
use crate::exit::{Cause, ExitInfo, ExitStatus};
use crate::ids::{ReplicaId, RunId, StartToken};
use crate::notice::Kind;
use crate::persist::{LiveRun, RunEntry};
use crate::replica::{Input, Replica, State};
use crate::restart::Doom;
use crate::timers::Timer;
use std::time::Duration;

/// A run without a definition counts as started after this long.
const READY_LIMIT: Duration = Duration::from_secs(60);

impl Core {
    pub(super) fn launcher_event(&mut self, event: LauncherEvent) {
        match event {
            LauncherEvent::Started { replica, token, run, pid, cgroup } => {
                self.started(&replica, token, run, pid, cgroup);
            }
            LauncherEvent::StartFailed { replica, token, error } => {
                if self.expects(&replica, token) {
                    self.fail_launch(&replica, &error);
                }
            }
            LauncherEvent::Exited { replica, run, info } => self.exited(&replica, run, &info),
            LauncherEvent::Notified { replica, message } => self.notified(&replica, message),
            LauncherEvent::Applied { replica, run, what, result } => self.applied(&replica, run, what, result),
            LauncherEvent::Found(found) => self.found(found),
            LauncherEvent::ListComplete => self.list_complete(),
        }
    }

    fn expects(&self, id: &ReplicaId, token: StartToken) -> bool {
        self.replicas
            .get(id)
            .is_some_and(|r| r.state.is_launching() && r.live.as_ref().is_some_and(|l| l.token == token))
    }

    fn started(&mut self, id: &ReplicaId, token: StartToken, run: RunId, pid: u32, cgroup: Option<String>) {
        self.seen.insert(id.clone());
        if !self.expects(id, token) {
            return self.came_too_late(id, run, pid, cgroup);
        }
        let now = self.now;
        let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) else {
            return;
        };
        live.run = Some(run);
        live.pid = Some(pid);
        live.cgroup.clone_from(&cgroup);
        live.started = now;
        self.keep_live(id);
        self.gpus_of_the_living(id);
        let reason = self.replicas.get(id).map(|r| r.reason.clone()).unwrap_or_default();
        let again = self.replicas.get(id).is_some_and(|r| r.restart.failures > 0);
        self.transition(id, Input::Launched, &reason);
        // A restart after a failure was announced with the failure: a crash loop must not fill the journal.
        if !again {
            self.notice(Kind::WorkerStarted, id, reason);
        }
    }

    /// The attempt was given up. If another is under way, the launcher has it next and will find this run: it takes it for
    /// what is wanted, or ends it first. Else nobody will ever ask for this run again, so it must not live; until it is
    /// gone nothing else starts.
    fn came_too_late(&mut self, id: &ReplicaId, run: RunId, pid: u32, cgroup: Option<String>) {
        let now = self.now;
        let replica = self.replicas.entry(id.clone()).or_insert_with(|| Box::new(Replica::new(id.clone(), now)));
        if replica.run() == Some(run) {
            return;
        }
        if replica.state.is_launching() {
            replica.meanwhile = Some((run, Some(pid), cgroup));
            return;
        }
        replica.strays.insert(run);
        replica.last_cgroup = cgroup.or(replica.last_cgroup.take());
        replica.armed = None;
        self.timers.clear(id, Timer::Disarm);
        self.emit(Effect::Kill { replica: id.clone(), run });
        self.mark(id);
    }

    /// A run that came too late is gone.
    pub(super) fn stray_ended(&mut self, id: &ReplicaId, run: RunId, info: &ExitInfo) {
        let text = "it came up after its start was given up, and was killed";
        let cause = Cause::StartFailed(text.into());
        let last = self.replicas.get(id).and_then(|r| r.last_exit.clone());
        let record = self.record(id, run, None, info, cause, true, text.into());
        self.keep_record(id, record, info.oom_kill);
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.last_exit = last.or(replica.last_exit.take());
            replica.strays.remove(&run);
        }
        self.gpus_of_the_stray(id);
        self.arm_now(id);
    }

    /// Stores the live run as it is now.
    pub(super) fn keep_live(&mut self, id: &ReplicaId) {
        let Some(live) = self.replicas.get(id).and_then(|r| r.live.as_ref()) else {
            return;
        };
        let Some(run) = live.run else { return };
        let stored = LiveRun {
            run,
            started: live.started.wall,
            digest: super::spec::write_digest(&live.digest, &live.limits),
            pid: live.pid.unwrap_or(0),
            cgroup: live.cgroup.clone(),
            ready: live.ready,
            frozen: live.frozen,
            isolated: live.isolated,
        };
        self.append(id, RunEntry::Started(stored));
    }

    /// Act: a run has begun or was adopted.
    pub(super) fn begin(&mut self, id: &ReplicaId) {
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let timeout = replica.def.as_ref().map_or(READY_LIMIT, |d| d.ready.timeout);
        let early = std::mem::take(&mut replica.early_ready);
        let Some(live) = replica.live.as_mut() else {
            return;
        };
        live.notified_ready |= early;
        self.timers.set(id, Timer::State, self.now.mono + timeout);
        self.start_health(id);
        self.judge_readiness(id);
    }

    /// A start has failed or was given up; unless what stands in its way is a run of it, which is as good.
    pub(super) fn fail_launch(&mut self, id: &ReplicaId, error: &str) {
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let meanwhile = replica.meanwhile.take();
        let Some(live) = replica.live.as_mut() else {
            return;
        };
        if let Some((run, pid, cgroup)) = meanwhile {
            live.adopted = true;
            // Somebody else's: nobody knows what it was launched with.
            live.spec = None;
            let token = live.token;
            return self.started(id, token, run, pid.unwrap_or(0), cgroup);
        }
        live.doom = match live.doom {
            Doom::Requested => Doom::Requested,
            _ => Doom::Condemned(Cause::StartFailed(error.to_owned())),
        };
        self.transition(id, Input::LaunchFailed, error);
    }

    fn exited(&mut self, id: &ReplicaId, run: RunId, info: &ExitInfo) {
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        if replica.strays.contains(&run) {
            return self.stray_ended(id, run, info);
        }
        if replica.run() != Some(run) && replica.meanwhile.take_if(|(m, ..)| *m == run).is_some() {
            return self.unsupervised(id, run, None, info);
        }
        if replica.expected.as_ref().is_some_and(|stored| stored.run == run) {
            let stored = replica.expected.take();
            return self.ended_away(id, run, stored.as_ref(), info);
        }
        if replica.run() != Some(run) {
            self.ignored = self.ignored.saturating_add(1);
            return;
        }
        self.exit_info = Some(info.clone());
        let text = match info.status {
            ExitStatus::Code(c) => format!("exit code {c}"),
            ExitStatus::Signal(s) => crate::exit::signal_name(s),
            ExitStatus::Unknown => "status unknown".into(),
        };
        self.transition(id, Input::Exited, &text);
        self.exit_info = None;
    }

    fn applied(&mut self, id: &ReplicaId, run: RunId, what: Applied, result: Result<(), String>) {
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let Some(live) = replica.live.as_mut().filter(|l| l.run == Some(run)) else {
            return;
        };
        match (what, result) {
            (Applied::Freeze, Ok(())) => {
                live.freezing = false;
                if replica.state != State::Paused {
                    return;
                }
                let kind = if live.isolated { Kind::WorkerIsolated } else { Kind::WorkerPaused };
                let why = self.pause_reason(id);
                self.notice(kind, id, why);
            }
            (Applied::Thaw | Applied::Limits | Applied::Network, Ok(())) => {
                if what == Applied::Thaw {
                    live.freezing = false;
                }
            }
            (Applied::Freeze, Err(why)) => {
                live.freezing = false;
                replica.refused = Some(why.clone());
                self.node.paused.remove(id);
                self.desired.paused.remove(id);
                self.persist();
                self.notice(Kind::LimitsRefused, id, format!("cannot be frozen: {why}"));
                self.transition(id, Input::Resume, "it cannot be frozen");
            }
            (Applied::Thaw, Err(why)) => {
                live.freezing = false;
                self.notice(Kind::LimitsRefused, id, format!("cannot be thawed: {why}"));
            }
            (Applied::Limits, Err(why)) => self.notice(Kind::LimitsRefused, id, format!("limits not set: {why}")),
            (Applied::Network, Err(why)) => {
                // Paused it may be, isolated it is not.
                if let Some(deny) = self.node.paused.get_mut(id).filter(|deny| **deny) {
                    *deny = false;
                    live.isolated = false;
                    self.desired.paused.insert(id.clone(), false);
                    let frozen = live.frozen;
                    self.persist();
                    self.append(id, RunEntry::Frozen { frozen, isolated: false });
                }
                let Some(replica) = self.replicas.get_mut(id) else {
                    return;
                };
                replica.refused = Some(why.clone());
                self.notice(Kind::LimitsRefused, id, format!("not cut off the network: {why}"));
            }
        }
        self.mark(id);
    }

    /// What its metrics say has changed.
    pub(super) fn worker_values(
        &mut self,
        id: &ReplicaId,
        run: RunId,
        values: std::collections::BTreeMap<String, f64>,
    ) {
        let live = self.replicas.get_mut(id).and_then(|r| r.live.as_mut());
        let Some(live) = live.filter(|live| live.run == Some(run)) else {
            return;
        };
        live.values = values;
        self.touch(id);
    }

    fn notified(&mut self, id: &ReplicaId, message: Notification) {
        let now = self.now;
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let state = replica.state;
        // It may come before the launcher's own report, or before the list after a restart of the daemon.
        if message.ready && replica.live.as_ref().is_none_or(|l| l.run.is_none()) {
            replica.early_ready = state == State::Launching || self.phase == Phase::Attaching;
        }
        let Some(live) = replica.live.as_mut() else {
            return;
        };
        if let Some(pid) = message.main_pid {
            live.pid = Some(pid);
        }
        if let Some(status) = message.status {
            live.status_text = (!status.is_empty()).then_some(status);
        }
        if let Some(errno) = message.errno {
            live.status_text = Some(format!("errno {errno}"));
        }
        if message.active_tasks.is_some() {
            live.active_tasks = message.active_tasks;
        }
        if message.retry_at.is_some() {
            live.retry_at = message.retry_at;
        }
        live.notified_ready |= message.ready;
        let progressed = message.progress.is_some() && message.progress != live.progress;
        if progressed {
            live.progress = message.progress;
        }
        if let Some(span) = message.extend_timeout {
            // A start and a silence may be extended; a drain and a stop have deadlines of their own.
            let at = now.mono + span;
            for timer in [Timer::State, Timer::Watchdog] {
                if state == State::Starting || (state == State::Up && timer == Timer::Watchdog) {
                    self.timers.extend(id, timer, at);
                }
            }
        }
        self.touch(id);
        if message.watchdog {
            self.watchdog_fed(id);
        }
        if message.watchdog_trigger {
            self.condemn(id, Cause::Watchdog, "it triggered its own watchdog");
        }
        if progressed {
            self.progress_made(id);
        }
        if message.ready {
            self.judge_readiness(id);
        }
        if message.stopping && matches!(state, State::Starting | State::Up) {
            if let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) {
                live.notified_ready = false;
            }
            self.set_ready(id, false, "it says it is stopping");
        }
    }
}
