//! Coming back: what was stored meets what runs (supervision note §3.4). No worker is touched.

use super::{Core, Phase};
use crate::effect::Effect;
use crate::event::Found;
use crate::exit::{ExitInfo, ExitStatus};
use crate::ids::{ReplicaId, RunId, StartToken};
use crate::notice::{Kind, Notice};
use crate::persist::{LiveRun, Restored, RunEntry};
use crate::replica::{Input, Live, ProbeState, Replica, State};
use crate::restart::{self, Doom};
use crate::time::{Now, Wall};
use std::sync::Arc;
use std::time::Duration;

impl Core {
    /// Takes over what the store kept.
    pub(super) fn restore(&mut self, restored: Restored) {
        for (id, history) in restored.replicas {
            let mut replica = Replica::new(id.clone(), self.now);
            replica.not_before = self.restored_wait(&history.restart);
            replica.crash_loop = history.restart.breakers.values().any(|b| b.open_until.is_some() || b.half_open);
            replica.restart = history.restart;
            replica.port = history.port;
            replica.last_exit = history.last_exit;
            replica.expected = history.live;
            replica.def = self.config.workers.get(&id.worker).cloned();
            self.replicas.insert(id, replica);
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
            self.replicas.insert(id.clone(), Replica::new(id.clone(), now));
            self.emit(Effect::Notice(Notice::replica(
                Kind::Orphan,
                &id,
                Some(found.run),
                "found running, not defined",
            )));
        }
        self.mark(&id);
        let Some(replica) = self.replicas.get(&id) else {
            return;
        };
        if replica.run() == Some(found.run) {
            if let Some(info) = found.ended {
                self.exit_info = Some(info);
                self.transition(&id, Input::Exited, "it ended while the connection was away");
            }
            return;
        }
        if replica.state == State::Launching || replica.state == State::Aborting {
            return;
        }
        let stored = replica.expected.clone();
        let recorded = replica.last_exit.as_ref().map(|r| r.run);
        self.end_replaced(&id, &found);
        self.record_missed(&id, &found, stored.as_ref(), recorded);
        if let Some(replica) = self.replicas.get_mut(&id) {
            replica.expected = None;
        }
        let stored = stored.filter(|s| s.run == found.run);
        match &found.ended {
            Some(_) if recorded == Some(found.run) => self.emit(Effect::Disarm(id.clone())),
            Some(info) => self.ended_away(&id, found.run, stored.as_ref(), info),
            None => self.adopt(&found, stored),
        }
    }

    /// The run we knew was replaced while the bus was away.
    fn end_replaced(&mut self, id: &ReplicaId, found: &Found) {
        let Some(old) = self.replicas.get(id).and_then(Replica::run) else {
            return;
        };
        let info = found.missed.iter().find(|(run, _)| *run == old).map(|(_, i)| i.clone());
        self.exit_info = Some(info.unwrap_or_else(|| unknown(self.now.wall)));
        self.transition(id, Input::Exited, "it ended while the connection was away");
    }

    /// Writes the ends nobody saw, oldest first.
    fn record_missed(&mut self, id: &ReplicaId, found: &Found, stored: Option<&LiveRun>, recorded: Option<RunId>) {
        let mut count = 0;
        let named = stored.is_some_and(|s| s.run == found.run || found.missed.iter().any(|(r, _)| *r == s.run));
        if let Some(stored) = stored.filter(|_| !named) {
            self.unsupervised(id, stored.run, Some(stored.started), &unknown(self.now.wall));
            count += 1;
        }
        for (run, info) in found.missed.iter().filter(|(run, _)| Some(*run) != recorded) {
            let started = stored.filter(|s| s.run == *run).map(|s| s.started);
            self.unsupervised(id, *run, started, info);
            count += 1;
        }
        if count > 0 {
            self.notice(Kind::UnsupervisedRuns, id, format!("{count} ended unseen"));
        }
    }

    fn unsupervised(&mut self, id: &ReplicaId, run: RunId, started: Option<Wall>, info: &ExitInfo) {
        let cause = restart::classify(info, &Doom::None, 15);
        let record = self.record(id, run, started, info, cause.clone(), false, cause.to_string());
        self.keep_record(id, record);
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.restart.restarts = replica.restart.restarts.saturating_add(1);
            let books = replica.restart.clone();
            self.append(id, RunEntry::Restart(books));
        }
    }

    /// The stored run, or one after it, has ended and nothing has followed it yet: an ordinary end, seen late.
    fn ended_away(&mut self, id: &ReplicaId, run: RunId, stored: Option<&LiveRun>, info: &ExitInfo) {
        let cause = restart::classify(info, &Doom::None, 15);
        let started = stored.map(|s| s.started);
        let record = self.record(id, run, started, info, cause.clone(), false, cause.to_string());
        self.keep_record(id, record);
        let live = self.new_live(run, stored, started);
        let text = cause.to_string();
        self.follow(id, &live, &cause, &text);
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
            progress: None,
            frozen: false,
            freezing: false,
            isolated: false,
            status_text: None,
            active_tasks: None,
            retry_at: None,
            doom: Doom::None,
            drain_until: None,
            limits: crate::config::Resources::default(),
        }
    }

    /// Adopts a running run. Its readiness is believed as stored; its probes start afresh.
    fn adopt(&mut self, found: &Found, stored: Option<LiveRun>) {
        let id = &found.replica;
        let fresh = stored.is_none();
        let mut live = self.new_live(found.run, stored.as_ref(), found.started);
        live.pid = found.pid;
        live.cgroup.clone_from(&found.cgroup);
        if let Some(worker) = self.desired.workers.get(&id.worker) {
            // Limits set live survive; a new figure in the files shows as a changed digest or at the next `set`.
            live.limits = worker.limits;
            if fresh {
                // A run PID 1 started by itself: it is the same unit, hence the same specification as the last one.
                live.digest = self.last_digest(id).unwrap_or_else(|| worker.digest.to_string());
            }
        }
        let ready = stored.as_ref().is_some_and(|s| s.ready);
        live.frozen = found.frozen;
        live.isolated = stored.as_ref().is_some_and(|s| s.isolated);
        let (digest, isolated) = (live.digest.clone(), live.isolated);
        live.notified_ready = ready;
        live.readiness.passing = ready.then_some(true);
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.live = Some(live);
            if replica.def.is_none() {
                replica.def = self.config.workers.get(&id.worker).cloned();
            }
        }
        if fresh {
            let run = LiveRun {
                run: found.run,
                started: found.started.unwrap_or(self.now.wall),
                digest,
                pid: found.pid.unwrap_or(0),
                cgroup: found.cgroup.clone(),
                ready: false,
                frozen: found.frozen,
                isolated,
            };
            self.append(id, RunEntry::Started(run));
        }
        self.transition(id, Input::Adopt, "it was running already");
        if found.frozen {
            self.set_state(id, State::Paused);
            self.clear_health_timers(id);
        }
        let text = if fresh { "started by systemd while reeved was away" } else { "it has run on" };
        self.notice(Kind::WorkerAdopted, id, text);
    }

    fn last_digest(&self, id: &ReplicaId) -> Option<String> {
        self.replicas.get(id)?.expected.as_ref().map(|s| s.digest.clone())
    }

    /// The list is complete: what was stored or known and is not there has ended.
    pub(super) fn list_complete(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        for id in self.replicas.keys().filter(|id| !seen.contains(*id)).cloned().collect::<Vec<_>>() {
            let Some(replica) = self.replicas.get_mut(&id) else {
                continue;
            };
            if let Some(stored) = replica.expected.take() {
                let info = unknown(self.now.wall);
                self.ended_away(&id, stored.run, Some(&stored), &info);
                self.notice(Kind::UnsupervisedRuns, &id, "its run is gone, and nobody kept its status");
            } else if replica.state.is_live() && replica.run().is_some() {
                self.exit_info = Some(unknown(self.now.wall));
                self.transition(&id, Input::Exited, "it is gone, and nobody kept its status");
            }
        }
        if self.phase == Phase::Attaching {
            self.phase = Phase::Running;
            self.phase_since = self.now;
            let adopted: Vec<_> = self.tally.iter().filter(|(_, t)| t.live > 0).map(|(n, _)| n.clone()).collect();
            let highest = adopted.iter().filter_map(|n| self.desired.workers.get(n)).map(|w| w.def.order).max();
            self.settled.extend(adopted);
            let below = self.desired.workers.iter().filter(|(_, w)| highest.is_some_and(|h| w.def.order < h));
            self.settled.extend(below.map(|(n, _)| n.clone()));
            self.set_teams(&Arc::clone(&self.config), None);
            let count: u32 = self.tally.values().map(|t| t.live).sum();
            let text = format!("version {}, {count} workers adopted", self.site.version);
            self.emit(Effect::Notice(Notice::node(Kind::DaemonStarted, text)));
            self.say_unplaceable();
            self.refresh_desired();
        }
    }
}

fn unknown(at: Wall) -> ExitInfo {
    ExitInfo { status: ExitStatus::Unknown, oom_kill: false, peak_memory: None, at }
}
