//! The daemon as its world sees it: it is killed, comes back, and its launcher lists what it finds.

use super::*;

impl World {
    pub(super) fn tell_found(&mut self, id: &ReplicaId, run: RunId, ended: Option<ExitInfo>, started: Wall) -> Law {
        let now = self.now;
        let known = self.unit(id).last_told;
        self.announce(run);
        let unit = self.unit(id);
        unit.reported = ended.is_some().then_some(now);
        let (stored, since) = self.known_at_birth.get(id).copied().unzip();
        // As the shell asks the journal: from the run that is known on, and nothing when that is the present one.
        let missed: Vec<_> = match known.or(stored) {
            Some(known) if known != run => {
                let since = since.unwrap_or_default();
                let journal: Vec<_> =
                    self.units[id].journal.iter().filter(|(_, info)| info.at >= since).cloned().collect();
                let from = journal.iter().position(|(r, _)| *r == known).unwrap_or(0);
                journal.into_iter().skip(from).filter(|(r, _)| *r != run).collect()
            }
            _ => Vec::new(),
        };
        let spoken: Vec<RunId> = missed.iter().map(|(r, _)| *r).chain([run]).collect();
        let frozen = self.runs.get(&run).is_some_and(|r| r.frozen);
        if let Some(r) = self.runs.get_mut(&run) {
            r.told = true;
        }
        let pid = ended.is_none().then_some(7);
        let found = Found {
            replica: id.clone(),
            run,
            pid,
            cgroup: Some(cgroup(id)),
            ended,
            frozen,
            missed,
            started: Some(started),
        };
        let epoch = self.epoch;
        self.tell(Event::Launcher(LauncherEvent::Found(found)))?;
        if self.epoch == epoch {
            for run in spoken {
                if let Some(r) = self.runs.get_mut(&run) {
                    r.known = true;
                }
            }
        }
        Ok(())
    }

    pub(super) fn list(&mut self) -> Law {
        let epoch = self.epoch;
        let ids: Vec<_> = self.units.keys().cloned().collect();
        for id in ids {
            let started = self.wall().wall;
            let unit = self.unit(&id);
            if unit.starting {
                continue;
            }
            match unit.state.clone() {
                UnitState::None => continue,
                UnitState::Live(run) => self.tell_found(&id, run, None, started)?,
                UnitState::Ended(run, info) => self.tell_found(&id, run, Some(info), started)?,
            }
            if self.epoch != epoch || self.exited {
                return Ok(());
            }
        }
        self.attached = true;
        self.handle(Event::Launcher(LauncherEvent::ListComplete))?;
        if self.epoch == epoch {
            self.later(s(300), Todo::List(epoch));
        }
        Ok(())
    }

    /// Another list at once, as after a reconnect of the bus.
    pub fn list_now(&mut self) -> Law {
        if self.core.is_some() && !self.exited { self.list() } else { Ok(()) }
    }

    pub fn kill_daemon(&mut self) {
        if self.core.is_none() {
            return;
        }
        self.say(|| "=== the daemon is killed".into());
        *self.seen.entry("- daemon killed").or_default() += 1;
        self.core = None;
        self.attached = false;
        self.was_attached = false;
        self.trials.clear();
        self.epoch += 1;
        for run in self.runs.values_mut() {
            run.told = false;
        }
        let at = self.wall().wall;
        for unit in self.units.values_mut() {
            unit.starting = false;
            unit.reported = None;
            unit.last_told = None;
            if self.systemd {
                // A stopped unit is held by our reference, and that goes with us.
                if matches!(&unit.state, UnitState::Ended(..)) && !unit.armed && self.rng.below(2) == 0 {
                    unit.state = UnitState::None;
                    unit.journal.clear();
                }
            } else if let UnitState::Live(run) = std::mem::take(&mut unit.state)
                && let Some(r) = self.runs.get_mut(&run)
            {
                r.ended = Some(ExitInfo { status: ExitStatus::Signal(9), oom_kill: false, peak_memory: None, at });
            }
        }
        if !self.systemd {
            self.units.clear();
        }
        if self.chaos && chance(&mut self.rng, 20) {
            self.config = Arc::new(crate::config::changed(&mut self.rng, &self.config));
        }
        let away = match self.rng.below(10) {
            0..=5 => ms(self.rng.below(1000)),
            6..=8 => s(self.rng.below(60)),
            _ => s(self.rng.below(600)),
        };
        self.later(away, Todo::Reborn);
    }

    pub fn reborn(&mut self) {
        self.say(|| "=== the daemon starts".into());
        let site = Site { launcher: if self.systemd { "systemd" } else { "direct" }.into(), ..Site::default() };
        let seed = self.rng.next_u64();
        let restored = self.store.restored();
        let known = |h: &persist::ReplicaHistory| {
            let live = h.live.as_ref().map(|l| (l.run, l.started));
            live.or_else(|| h.last_exit.as_ref().map(|e| (e.run, e.started.unwrap_or(e.ended))))
        };
        self.known_at_birth = restored.replicas.iter().filter_map(|(id, h)| Some((id.clone(), known(h)?))).collect();
        let core = Core::new(Arc::clone(&self.config), restored, site, seed, self.wall());
        self.core = Some(core);
        self.exited = false;
        self.refill();
        if !self.cards.is_empty() {
            self.look_at_cards();
        }
        let epoch = self.epoch;
        let before = chance(&mut self.rng, 50);
        let span = self.delay();
        if !before {
            self.later(span, Todo::List(epoch));
        }
        for (replica, message) in std::mem::take(&mut self.sockets) {
            self.launcher(ms(1), LauncherEvent::Notified { replica, message });
        }
        if before {
            self.later(span + ms(2), Todo::List(epoch));
        }
    }

    /// The machine sleeps: processes and PID 1's timers stand still, the boot clock goes on.
    pub fn suspend(&mut self, span: Duration) -> Law {
        let queue = std::mem::take(&mut self.queue);
        self.queue = queue.into_iter().map(|((at, n), todo)| ((at + span, n), todo)).collect();
        self.now = self.now + span;
        self.handle(Event::Resumed(span))
    }

    /// One end for many at once.
    pub fn mass_crash(&mut self) {
        let status = pick(&mut self.rng, &[ExitStatus::Code(1), ExitStatus::Signal(11)]);
        let alive: Vec<_> = self.runs.iter().filter(|(_, r)| r.ended.is_none()).map(|(id, _)| *id).collect();
        for run in alive {
            if chance(&mut self.rng, 80) {
                self.later(ms(1), Todo::Ends(run, status, false));
            }
        }
    }
}
