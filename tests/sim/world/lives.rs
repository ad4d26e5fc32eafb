//! Runs: how they start, what they do by themselves, how they end.

use super::*;

impl World {
    pub(super) fn alive(&mut self, run: RunId) -> Option<&mut Run> {
        self.runs.get_mut(&run).filter(|r| r.ended.is_none())
    }

    pub(super) fn launch(&mut self, epoch: u32, id: &ReplicaId, token: StartToken, spec: Arc<RunSpec>) -> Law {
        if !self.systemd && epoch != self.epoch {
            return Ok(());
        }
        let live = match self.unit(id).state {
            UnitState::Live(run) => Some(run),
            _ => None,
        };
        if let Some(run) = live
            && epoch == self.epoch
            && self.runs.get(&run).is_some_and(|r| *r.spec == *spec)
        {
            // The start before this one, which came late, has done it.
            let (replica, span) = (id.clone(), self.delay().min(ms(50)));
            self.announce(run);
            self.launcher(span, LauncherEvent::Started { replica, token, run, pid: 7, cgroup: Some(cgroup(id)) });
            return Ok(());
        }
        let taken = live.is_some();
        if taken || (self.chaos && chance(&mut self.rng, 4)) {
            let error = if taken { "unit is loaded already" } else { "no such file" }.to_owned();
            if epoch == self.epoch {
                self.launcher(ms(1), LauncherEvent::StartFailed { replica: id.clone(), token, error });
            }
            return Ok(());
        }
        let untold = self.untold(id);
        let restarted = self.systemd && untold.is_none() && spec.unsupervised_after.is_some() && epoch == self.epoch;
        if restarted && self.unit(id).last_told.is_some() && chance(&mut self.rng, 3) {
            self.slip_in(id, &spec)?;
            if epoch != self.epoch {
                // The daemon died of the news; its start was on its way all the same.
                self.begin_run(id, spec);
                return Ok(());
            }
        }
        let run = self.begin_run(id, spec);
        if epoch == self.epoch {
            let span = self.delay().min(ms(50));
            // Another run under the name: the launcher notices that the one before has ended.
            if let Some((run, info)) = untold {
                self.launcher(span, LauncherEvent::Exited { replica: id.clone(), run, info });
            }
            let replica = id.clone();
            self.announce(run);
            self.launcher(span, LauncherEvent::Started { replica, token, run, pid: 7, cgroup: Some(cgroup(id)) });
        } else if self.core.is_some() && self.attached && !self.exited && chance(&mut self.rng, 50) {
            // Asked for by a daemon that is gone; PID 1 says so now, or the next list does.
            let started = self.wall().wall;
            return self.tell_found(id, run, None, started);
        }
        Ok(())
    }

    /// The end of the run before that this daemon was not told of.
    fn untold(&mut self, id: &ReplicaId) -> Option<(RunId, ExitInfo)> {
        let (epoch, run) = (self.epoch, self.unit(id).last_told?);
        let before = self.runs.get_mut(&run).filter(|r| r.exit_lost && r.announced == Some(epoch))?;
        before.exit_lost = false;
        Some((run, before.ended.clone()?))
    }

    /// PID 1 has restarted it by itself while our start was on its way, which ended that run: the launcher tells of both.
    fn slip_in(&mut self, id: &ReplicaId, spec: &Arc<RunSpec>) -> Law {
        let run = self.begin_run(id, Arc::clone(spec));
        let at = self.wall().wall;
        let info = ExitInfo { status: ExitStatus::Signal(15), oom_kill: false, peak_memory: None, at };
        self.say(|| format!("  run {} of {id} was slipped in, and ended by the start", number(run)));
        if let Some(r) = self.runs.get_mut(&run) {
            r.ended = Some(info.clone());
        }
        // What came before it is known: the launcher has nothing to ask the journal for.
        self.announce(run);
        let unit = self.unit(id);
        unit.state = UnitState::Ended(run, info.clone());
        unit.journal.push((run, info.clone()));
        self.tell_found(id, run, Some(info), at)
    }

    pub(super) fn announce(&mut self, run: RunId) {
        let epoch = self.epoch;
        if let Some(r) = self.runs.get_mut(&run) {
            r.announced = Some(epoch);
            let id = r.id.clone();
            self.unit(&id).last_told = Some(run);
        }
    }

    pub(super) fn begin_run(&mut self, id: &ReplicaId, spec: Arc<RunSpec>) -> RunId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(self.runs.len() as u64 + 1).to_be_bytes());
        let run = RunId(bytes);
        let unit = self.unit(id);
        unit.state = UnitState::Live(run);
        unit.reported = None;
        unit.armed = false;
        let life = Run {
            id: id.clone(),
            spec,
            ended: None,
            told: false,
            known: false,
            recorded_in: None,
            announced: None,
            exit_lost: false,
            stopping: false,
            frozen: false,
            ignores_term: chance(&mut self.rng, 15),
            hard_to_kill: self.chaos && chance(&mut self.rng, 3),
            healthy: !chance(&mut self.rng, 10),
            drains: chance(&mut self.rng, 75),
        };
        self.runs.insert(run, life);
        self.say(|| format!("  run {} of {id} begins", number(run)));
        self.destiny(run, id);
        run
    }

    /// What this run is going to do.
    pub(super) fn destiny(&mut self, run: RunId, id: &ReplicaId) {
        let Some(def) = self.config.workers.get(&id.worker).cloned() else { return };
        // Some workers are of the kind that crashes, all their replicas alike.
        let character = (self.seed ^ id.worker.as_str().len() as u64 ^ u64::from(id.worker.as_str().as_bytes()[0])) % 5;
        let crash = match character {
            0 => 70,
            1 => 30,
            _ => 8,
        };
        if self.chaos && chance(&mut self.rng, crash) {
            let after = match self.rng.below(3) {
                0 => ms(self.rng.below(50)),
                1 => ms(self.rng.below(5000)),
                _ => s(self.rng.below(400)),
            };
            let status = pick(
                &mut self.rng,
                &[
                    ExitStatus::Code(1),
                    ExitStatus::Code(1),
                    ExitStatus::Signal(11),
                    ExitStatus::Code(0),
                    ExitStatus::Code(75),
                    ExitStatus::Code(77),
                    ExitStatus::Signal(9),
                ],
            );
            let oom = status == ExitStatus::Signal(9) && chance(&mut self.rng, 70);
            self.later(after, Todo::Ends(run, status, oom));
        }
        if def.ready.notify && (!self.chaos || chance(&mut self.rng, 92)) {
            let span = if chance(&mut self.rng, 10) { ms(0) } else { ms(self.rng.below(8000)) };
            self.later(span, Todo::Life(run, Beat::Ready));
        }
        match def.liveness.as_ref().map(|p| &p.check) {
            Some(Check::Notify) => self.later(s(1), Todo::Life(run, Beat::Watchdog)),
            Some(Check::Progress) => self.later(s(1), Todo::Life(run, Beat::Progress(0))),
            _ => {}
        }
        if chance(&mut self.rng, 20) {
            let span = s(self.rng.below(60));
            self.later(span, Todo::Life(run, Beat::Chatter));
        }
        if self.chaos && chance(&mut self.rng, 20) {
            let span = s(self.rng.below(200));
            self.later(span, Todo::Life(run, Beat::Sicken));
        }
    }

    pub(super) fn life(&mut self, run: RunId, beat: Beat) {
        let Some(r) = self.alive(run) else { return };
        let (id, frozen, healthy) = (r.id.clone(), r.frozen, r.healthy);
        let mut message = Notification::default();
        match beat {
            Beat::Ready => message.ready = true,
            Beat::Watchdog => message.watchdog = true,
            Beat::Progress(n) => message.progress = Some(n.to_string()),
            Beat::Sicken => {
                r.healthy = !healthy;
                return;
            }
            Beat::Chatter => {
                let wall = self.wall().wall;
                match self.rng.below(7) {
                    0 => message.status = Some("busy".into()),
                    1 => message.active_tasks = Some(self.rng.below(4)),
                    2 => message.stopping = true,
                    3 => message.extend_timeout = Some(s(self.rng.below(100))),
                    4 => message.watchdog_trigger = self.chaos,
                    5 => message.retry_at = Some(wall.plus(s(self.rng.below(100)))),
                    _ => message.main_pid = Some(9),
                }
                let span = s(self.rng.below(100));
                self.later(span, Todo::Life(run, Beat::Chatter));
            }
        }
        let again = match beat {
            Beat::Watchdog => Some(Beat::Watchdog),
            Beat::Progress(n) => Some(Beat::Progress(n + 1)),
            _ => None,
        };
        if let Some(beat) = again {
            self.later(s(9), Todo::Life(run, beat));
        }
        if frozen || (again.is_some() && !healthy) {
            return;
        }
        if self.core.is_none() {
            if self.systemd {
                self.sockets.push((id, message));
            }
            return;
        }
        let span = self.delay().min(ms(2));
        self.launcher(span, LauncherEvent::Notified { replica: id, message });
    }

    pub(super) fn ends(&mut self, run: RunId, status: ExitStatus, oom_kill: bool) {
        let at = self.wall().wall;
        let info = ExitInfo { status, oom_kill, peak_memory: None, at };
        let epoch = self.epoch;
        let Some(r) = self.alive(run) else { return };
        if r.frozen && status != ExitStatus::Signal(9) {
            // It comes to that when it is thawed; near enough: never.
            return;
        }
        r.ended = Some(info.clone());
        let (id, stopping, spec) = (r.id.clone(), r.stopping, Arc::clone(&r.spec));
        let announced = r.announced == Some(epoch);
        let known = r.known && !r.stopping;
        self.leave_something(run, &id, &spec, known);
        self.say(|| format!("  run {} of {id} ends: {status:?}", number(run)));
        let clean = matches!(status, ExitStatus::Code(0) | ExitStatus::Signal(15));
        let final_code = matches!(status, ExitStatus::Code(77 | 78));
        let restarts = match spec.policy {
            RestartPolicy::Always => !final_code,
            RestartPolicy::OnFailure => !clean && !final_code,
            RestartPolicy::Never => false,
        };
        let dead_man = spec.unsupervised_after.filter(|_| self.systemd && restarts && !stopping);
        let unit = self.unit(&id);
        unit.state = UnitState::Ended(run, info.clone());
        unit.journal.push((run, info.clone()));
        // A start that was asked for comes before the dead-man's.
        let dead_man = dead_man.filter(|_| !unit.starting);
        unit.armed = dead_man.is_some();
        unit.reported = None;
        if let Some(span) = dead_man {
            self.later(span, Todo::DeadMan(id.clone(), run));
        }
        // Of a run it does not know yet the launcher tells with its next list.
        if self.core.is_some() && announced {
            let lost = self.systemd && self.chaos && chance(&mut self.rng, 1);
            let late = self.chaos && chance(&mut self.rng, 2);
            let span = if late { s(self.rng.below(20)) } else { self.delay().min(ms(100)).max(ms(60)) };
            if lost {
                self.runs.entry(run).and_modify(|r| r.exit_lost = true);
            } else {
                self.launcher(span, LauncherEvent::Exited { replica: id, run, info });
            }
        }
    }

    pub(super) fn stop(&mut self, run: RunId, grace: Duration) {
        let Some(r) = self.alive(run) else { return };
        r.stopping = true;
        r.frozen = false;
        if !r.ignores_term {
            let status = pick(
                &mut self.rng,
                &[ExitStatus::Signal(15), ExitStatus::Code(0), ExitStatus::Code(143), ExitStatus::Code(1)],
            );
            let span = ms(self.rng.below(3000));
            self.later(span, Todo::Ends(run, status, false));
        }
        self.later(grace, Todo::Sigkill(run));
    }

    pub(super) fn sigkill(&mut self, run: RunId) {
        let Some(r) = self.alive(run) else { return };
        r.frozen = false;
        let span = if r.hard_to_kill { s(45) } else { ms(1) };
        self.later(span, Todo::Ends(run, ExitStatus::Signal(9), false));
    }

    pub(super) fn signal(&mut self, run: RunId, signal: i32) {
        let Some(r) = self.alive(run) else { return };
        let (drains, id) = (r.drains, r.id.clone());
        let until_exit =
            self.config.workers.get(&id.worker).and_then(|w| w.drain.as_ref()).is_some_and(|d| d.until == Until::Exit);
        match signal {
            10 if drains && until_exit => {
                let span = s(self.rng.below(60));
                self.later(span, Todo::Ends(run, ExitStatus::Code(0), false));
            }
            9 | 15 => self.later(ms(1), Todo::Ends(run, ExitStatus::Signal(signal), false)),
            _ => {}
        }
    }

    pub(super) fn dead_man(&mut self, id: &ReplicaId, run: RunId) -> Law {
        let alive = self.core.is_some() && !self.exited;
        let attached = self.attached;
        let now = self.now;
        let unit = self.unit(id);
        if !unit.armed || !matches!(&unit.state, UnitState::Ended(r, _) if *r == run) {
            return Ok(());
        }
        let reported = unit.reported;
        let Some(spec) = self.runs.get(&run).map(|r| Arc::clone(&r.spec)) else { return Ok(()) };
        let half = spec.unsupervised_after.unwrap_or_default() / 2;
        if alive && attached && reported.is_some_and(|at| at + half < now) {
            return Err(format!("PID 1 restarts {id} by itself while the core knew of its end since {reported:?}"));
        }
        self.say(|| format!("  PID 1 restarts {id}"));
        let started = self.wall().wall;
        let next = self.begin_run(id, spec);
        if alive && attached {
            self.tell_found(id, next, None, started)?;
        }
        Ok(())
    }
}
