//! Coming back: what was stored meets what runs (supervision note §3.4). No worker is touched.

use super::{Core, Phase, spec};
use crate::config::Resources;
use crate::effect::Effect;
use crate::event::Found;
use crate::exit::{ExitInfo, ExitStatus};
use crate::ids::{ReplicaId, RunId, StartToken};
use crate::notice::{Kind, Notice};
use crate::persist::{LiveRun, Restored, RunEntry};
use crate::plan;
use crate::replica::{Input, Live, ProbeState, Replica, RestartWish, State, tallies};
use crate::restart::{self, Doom};
use crate::time::{Now, Wall};
use crate::timers::Timer;
use std::sync::Arc;
use std::time::Duration;

impl Core {
    /// Takes over what the store kept.
    pub(super) fn restore(&mut self, restored: Restored) {
        for (id, history) in restored.replicas {
            let mut replica = Replica::new(id.clone(), self.now);
            replica.not_before = self.restored_wait(&history.restart);
            replica.crash_loop = history.restart.breakers.values().any(|b| b.open_until.is_some() || b.half_open);
            let books = &history.restart;
            replica.resumes = books.parked.is_none() && (books.failures > 0 || !books.breakers.is_empty());
            replica.restart = history.restart;
            replica.port = history.port;
            replica.gpus = history.gpus.given;
            // The run that was alive is newer than any that had ended.
            let live = history.live.as_ref().and_then(|live| live.cgroup.clone());
            replica.last_cgroup = live.or(history.gpus.cgroup);
            if let Some(exit) = &history.last_exit {
                self.written.insert(id.clone(), exit.run);
            }
            replica.last_exit = history.last_exit;
            replica.expected = history.live;
            replica.def = self.config.workers.get(&id.worker).cloned();
            self.replicas.insert(id, Box::new(replica));
        }
        self.restore_gpus();
        for (id, reason) in &self.node.replacing {
            if let Some(replica) = self.replicas.get_mut(id) {
                replica.wish = Some(RestartWish { reason: reason.clone(), rolling: false, drain: true });
            }
        }
        // Operations of the former daemon are lost, and say so on the bus.
        let lost: Vec<_> = std::mem::take(&mut self.node.operations).into_iter().collect();
        for id in lost {
            self.lost_operation(id);
        }
    }

    /// An open breaker goes on being open, by the wall clock since there is no other over a restart; never for longer
    /// than its cap, whatever the wall clock says.
    fn restored_wait(&self, books: &crate::persist::RestartRecord) -> Option<(crate::time::Mono, String)> {
        let until = books.breakers.values().filter_map(|b| b.open_until).max()?;
        let left = Duration::from_micros(until.0.saturating_sub(self.now.wall.0)).min(restart::breaker::CAP);
        (!left.is_zero()).then(|| (self.now.mono + left, "its breaker is still open".to_owned()))
    }

    /// The launcher found a unit or process of ours.
    pub(super) fn found(&mut self, found: Found) {
        let id = found.replica.clone();
        self.seen.insert(id.clone());
        if !self.replicas.contains_key(&id) {
            let now = self.now;
            self.replicas.insert(id.clone(), Box::new(Replica::new(id.clone(), now)));
            let text = "found, and nobody has defined it";
            self.emit(Effect::Notice(Notice::replica(Kind::Orphan, &id, Some(found.run), text)));
        }
        self.mark(&id);
        let Some(replica) = self.replicas.get_mut(&id) else {
            return;
        };
        if replica.strays.contains(&found.run) {
            if let Some(info) = found.ended {
                self.stray_ended(&id, found.run, &info);
            }
            return;
        }
        let recorded = self.written.get(&id).copied();
        if replica.state.is_launching() {
            if found.ended.is_none() {
                replica.meanwhile = Some((found.run, found.pid, found.cgroup.clone()));
            } else {
                replica.meanwhile.take_if(|(run, ..)| *run == found.run);
            }
            self.record_missed(&id, &found, None, recorded);
            // PID 1 had started it by itself, and our own start has ended it.
            if let Some(info) = found.ended.filter(|_| recorded != Some(found.run)) {
                self.unsupervised(&id, found.run, found.started, &info);
                self.notice(Kind::UnsupervisedRuns, &id, "1 ended unseen");
            }
            return;
        }
        if replica.run() == Some(found.run) {
            return match found.ended {
                Some(info) => self.end_unseen(&id, info),
                None => self.found_frozen(&id, found.run, found.frozen),
            };
        }
        if found.ended.is_some() && recorded == Some(found.run) {
            return self.arm_now(&id);
        }
        let stored = replica.expected.take();
        self.record_missed(&id, &found, stored.as_ref(), recorded);
        match found.ended {
            Some(info) => {
                let stored = stored.filter(|s| s.run == found.run);
                self.ended_away(&id, found.run, stored.as_ref(), &info);
            }
            None => self.adopt(&found, stored),
        }
    }

    /// The run we hold as alive has ended, and nobody has said so.
    fn end_unseen(&mut self, id: &ReplicaId, info: ExitInfo) {
        self.exit_info = Some(info);
        self.transition(id, Input::Exited, "it ended while the connection was away");
        self.exit_info = None;
        self.arm_now(id);
    }

    /// A dead-man restart may come at any time: half of its delay may be over.
    pub(super) fn arm_now(&mut self, id: &ReplicaId) {
        let now = self.now.mono;
        if let Some(replica) = self.replicas.get_mut(id).filter(|r| r.state == State::Down && r.strays.is_empty()) {
            replica.armed = Some(now);
            self.timers.set(id, Timer::Disarm, now);
        }
        self.mark(id);
    }

    /// A run we know was frozen or thawed by somebody else.
    fn found_frozen(&mut self, id: &ReplicaId, run: RunId, frozen: bool) {
        let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) else {
            return;
        };
        match (frozen, live.frozen) {
            _ if live.freezing => {}
            (true, false) => self.emit(Effect::Thaw(id.clone(), run)),
            (false, true) => self.emit(Effect::Freeze(id.clone(), run)),
            (true, true) | (false, false) => {}
        }
    }

    /// Writes the ends nobody saw, oldest first: the run that was known last, then those in between. What came before
    /// the newest record has been recorded.
    fn record_missed(&mut self, id: &ReplicaId, found: &Found, stored: Option<&LiveRun>, recorded: Option<RunId>) {
        let known = self.replicas.get(id).and_then(|replica| replica.run());
        let first = found.missed.iter().position(|(run, _)| Some(*run) == recorded).map_or(0, |at| at + 1);
        let missed = found.missed.get(first..).unwrap_or_default();
        let of = |run: RunId| missed.iter().find(|(r, _)| *r == run).map(|(_, info)| info.clone());
        let mut count = 0;
        if let Some(run) = known {
            self.end_unseen(id, of(run).unwrap_or_else(|| unknown(self.now.wall)));
        } else if let Some(stored) = stored.filter(|s| s.run != found.run && of(s.run).is_none()) {
            self.unsupervised(id, stored.run, Some(stored.started), &unknown(self.now.wall));
            count += 1;
        }
        for (run, info) in missed.iter().filter(|(run, _)| Some(*run) != known && *run != found.run) {
            let started = stored.filter(|s| s.run == *run).map(|s| s.started);
            self.unsupervised(id, *run, started, info);
            count += 1;
        }
        if count > 0 {
            self.notice(Kind::UnsupervisedRuns, id, format!("{count} ended unseen"));
        }
    }

    pub(super) fn unsupervised(&mut self, id: &ReplicaId, run: RunId, started: Option<Wall>, info: &ExitInfo) {
        let cause = restart::classify(info, &Doom::None, 15);
        let record = self.record(id, run, started, info, cause.clone(), false, cause.to_string());
        self.keep_record(id, record, info.oom_kill);
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.restart.tallies.restarted(tallies::reason(&cause, false));
            replica.uncounted = false;
            replica.restart.restarts = replica.restart.restarts.saturating_add(1);
            let books = replica.restart.clone();
            self.append(id, RunEntry::Restart(books));
        }
    }

    /// The stored run, or one after it, has ended and nothing has followed it yet: an ordinary end, seen late. One that
    /// was being stopped when the former daemon ended was stopped on request.
    pub(super) fn ended_away(&mut self, id: &ReplicaId, run: RunId, stored: Option<&LiveRun>, info: &ExitInfo) {
        let leaving = plan::off(&self.view(), id).is_some() || self.node.replacing.contains_key(id);
        let doom = if leaving { Doom::Requested } else { Doom::None };
        let signal = self.replicas.get(id).and_then(|r| r.def.as_ref()).map_or(15, |d| d.stop.signal);
        let cause = restart::classify(info, &doom, signal);
        let started = stored.map(|s| s.started);
        let text = cause.to_string();
        let record = self.record(id, run, started, info, cause.clone(), false, text.clone());
        self.keep_record(id, record, info.oom_kill);
        if self.node.replacing.remove(id).is_some() {
            self.persist();
        }
        let mut live = self.new_live(run, stored, started);
        live.cgroup = stored.and_then(|s| s.cgroup.clone());
        self.follow(id, &live, &cause, &text);
        self.arm_now(id);
    }

    fn new_live(&self, run: RunId, stored: Option<&LiveRun>, started: Option<Wall>) -> Live {
        let started_wall = started.or(stored.map(|s| s.started)).unwrap_or(self.now.wall);
        let age = Duration::from_micros(self.now.wall.0.saturating_sub(started_wall.0));
        Live {
            token: StartToken(0),
            run: Some(run),
            pid: None,
            cgroup: None,
            started: Now { mono: self.now.mono - age, wall: started_wall },
            spec: None,
            digest: stored.map(|s| s.digest.clone()).unwrap_or_default(),
            adopted: true,
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
            limits: crate::config::Resources::default(),
        }
    }

    /// Adopts a running run. Its readiness is believed as stored; its probes start afresh. A run that PID 1 started by
    /// itself is the same unit, hence the same specification as the one before it.
    fn adopt(&mut self, found: &Found, before: Option<LiveRun>) {
        let id = &found.replica;
        let stored = before.as_ref().filter(|s| s.run == found.run);
        let mut live = self.new_live(found.run, stored, found.started);
        live.pid = found.pid;
        live.cgroup.clone_from(&found.cgroup);
        let written = before.as_ref().map(|b| spec::read_digest(&b.digest));
        if let Some(worker) = self.desired.workers.get(&id.worker) {
            live.limits = worker.limits;
            live.digest = worker.digest.to_string();
        }
        if let Some((digest, limits)) = written {
            live.digest = digest.to_owned();
            live.limits = limits.map_or(live.limits, |l| Resources {
                gpus_request: live.limits.gpus_request,
                gpus_limit: live.limits.gpus_limit,
                ..l
            });
        }
        live.frozen = found.frozen;
        live.isolated = stored.is_some_and(|s| s.isolated);
        live.notified_ready = stored.is_some_and(|s| s.ready);
        live.readiness.passing = live.notified_ready.then_some(true);
        let fresh = stored.is_none();
        self.gpus.lives(id);
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.live = Some(live);
            replica.armed = None;
            replica.not_before = None;
            // What runs while its breaker is open is the trial.
            replica.restart.breakers.values_mut().for_each(restart::breaker::try_once);
            if replica.def.is_none() {
                replica.def = self.config.workers.get(&id.worker).cloned();
            }
            // It runs, so it is neither parked nor done.
            if replica.restart.parked.take().is_some() {
                let books = replica.restart.clone();
                self.append(id, RunEntry::Restart(books));
                self.look_settled(&id.worker);
            }
        }
        self.timers.clear(id, Timer::Disarm);
        if fresh {
            self.keep_live(id);
        }
        self.transition(id, Input::Adopt, "it was running already");
        if found.frozen {
            self.set_state(id, State::Paused);
            self.clear_health_timers(id);
        }
        // That a run goes on is no news; how many do stands in the entry of the daemon's start.
        if fresh {
            self.notice(Kind::WorkerAdopted, id, "started by systemd while reeved was away");
        }
    }

    /// The list is complete: what was stored or known and is not there has ended.
    pub(super) fn list_complete(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        for id in self.replicas.keys().filter(|id| !seen.contains(*id)).cloned().collect::<Vec<_>>() {
            let Some(replica) = self.replicas.get_mut(&id) else {
                continue;
            };
            if !replica.strays.is_empty() {
                for run in std::mem::take(&mut replica.strays) {
                    self.stray_ended(&id, run, &unknown(self.now.wall));
                }
            }
            let Some(replica) = self.replicas.get_mut(&id) else {
                continue;
            };
            if let Some(stored) = replica.expected.take() {
                let info = unknown(self.now.wall);
                self.ended_away(&id, stored.run, Some(&stored), &info);
                self.notice(Kind::UnsupervisedRuns, &id, "its run is gone, and nobody kept its status");
            } else if replica.state.is_live() && replica.run().is_some() {
                self.end_unseen(&id, unknown(self.now.wall));
            }
        }
        self.listed = true;
        if self.phase == Phase::Attaching {
            self.phase = Phase::Running;
            self.phase_since = self.now;
            let adopted: Vec<_> = self.tally.iter().filter(|(_, t)| t.live > 0).map(|(n, _)| n.clone()).collect();
            let highest = adopted.iter().filter_map(|n| self.desired.workers.get(n)).map(|w| w.def.order).max();
            self.settled.extend(adopted);
            let below = self.desired.workers.iter().filter(|(_, w)| highest.is_some_and(|h| w.def.order < h));
            self.settled.extend(below.map(|(n, _)| n.clone()));
            self.set_teams(&Arc::clone(&self.config), None);
            let text = format!("version {}, {} workers adopted", self.site.version, self.live);
            self.emit(Effect::Notice(Notice::node(Kind::DaemonStarted, text)));
            self.say_unplaceable();
            self.refresh_desired();
            self.go_on_replacing();
        }
    }

    /// Those that the former daemon has told to take no more work are as good as gone: they go before anybody else is
    /// taken out of rotation.
    fn go_on_replacing(&mut self) {
        for (id, reason) in self.node.replacing.clone() {
            let running = self.replicas.get(&id).filter(|r| r.state.is_running() && r.wish.is_some());
            let Some(drain) = running.map(|r| r.def.as_ref().is_some_and(|d| d.drain.is_some())) else {
                continue;
            };
            if plan::off(&self.view(), &id).is_none() {
                self.apply(&id, plan::Action::Replace { drain }, &reason);
            }
        }
    }
}

fn unknown(at: Wall) -> ExitInfo {
    ExitInfo { status: ExitStatus::Unknown, oom_kill: false, peak_memory: None, at }
}
