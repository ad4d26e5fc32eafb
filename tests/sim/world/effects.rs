//! What the core has decided is carried out, late or not at all as chance has it.

use super::*;

impl World {
    pub(super) fn exec(&mut self, effect: Effect) -> Law {
        self.say(|| match &effect {
            Effect::Start { token, spec } => format!("    start {} {token:?}", spec.replica),
            Effect::Persist(_) => "    persist".into(),
            Effect::Notice(n) => format!("    notice {}: {}", n.kind.info().word, n.message()),
            Effect::Record(r) => format!("    record {} {} {}", r.replica_id(), number(r.run), r.reason),
            Effect::Append(id, RunEntry::Started(live)) => format!("    append {id} started {}", number(live.run)),
            Effect::Append(id, entry) => format!("    append {id} {entry:?}"),
            Effect::Stop { replica, run, .. } => format!("    stop {replica} {}", number(*run)),
            Effect::Kill { replica, run } => format!("    kill {replica} {}", number(*run)),
            Effect::Probe { replica, kind, .. } => format!("    probe {replica} {kind:?}"),
            Effect::Hook { replica, kind, .. } => format!("    hook {replica} {kind:?}"),
            Effect::Disarm(id) => format!("    disarm {id}"),
            Effect::Forget(id) => format!("    forget {id}"),
            Effect::SetTeam { team, .. } => format!("    set team {team}"),
            Effect::Reply { result, .. } => format!("    reply {result:?}"),
            other => format!("    {other:?}"),
        });
        match effect {
            Effect::Start { token, spec } => {
                crate::laws::at_start(self, &spec)?;
                let id = spec.replica.clone();
                let unit = self.unit(&id);
                unit.starting = true;
                unit.armed = false;
                let span = match self.rng.below(300) {
                    0 => s(100 + self.rng.below(100)),
                    _ => self.delay(),
                };
                let (epoch, now) = (self.epoch, self.now);
                let unit = self.unit(&id);
                let before = unit.launch_at.filter(|(of, _)| *of == epoch).map_or(now, |(_, at)| at);
                let at = before.max(now + span);
                unit.launch_at = Some((epoch, at));
                let span = at.since(now);
                self.later(span, Todo::Launch(epoch, id, token, spec));
            }
            Effect::Signal { run, signal, .. } => self.signal(run, signal),
            Effect::Stop { run, grace, .. } => self.stop(run, grace),
            Effect::Kill { run, .. } => {
                if let Some(r) = self.alive(run) {
                    r.stopping = true;
                    self.sigkill(run);
                }
            }
            Effect::Disarm(id) => {
                self.must_not_live(&id, "disarmed")?;
                let unit = self.unit(&id);
                unit.armed = false;
                match unit.state.clone() {
                    UnitState::Live(run) => self.stop(run, s(30)),
                    UnitState::Ended(run, _) if self.store.records_of(&id, run) > 0 => {
                        self.unit(&id).state = UnitState::None;
                    }
                    UnitState::Ended(..) | UnitState::None => {}
                }
            }
            Effect::Forget(id) => {
                self.must_not_live(&id, "forgotten")?;
                let unit = self.unit(&id);
                if unit.armed {
                    return Err(format!("{id} is forgotten while PID 1 would restart it"));
                }
                if !matches!(unit.state, UnitState::Live(_)) {
                    unit.state = UnitState::None;
                    unit.journal.clear();
                }
            }
            Effect::Freeze(replica, run) => {
                let refused = self.chaos && chance(&mut self.rng, 10);
                let result = if refused { Err("cgroup v1".to_owned()) } else { Ok(()) };
                if let Some(r) = self.alive(run).filter(|_| !refused) {
                    r.frozen = true;
                }
                self.applied(replica, run, Applied::Freeze, result);
            }
            Effect::Thaw(replica, run) => {
                if let Some(r) = self.alive(run) {
                    r.frozen = false;
                }
                self.applied(replica, run, Applied::Thaw, Ok(()));
            }
            Effect::Network { replica, run, .. } => {
                let refused = self.chaos && chance(&mut self.rng, 10);
                let result = if refused { Err("no firewall".to_owned()) } else { Ok(()) };
                self.applied(replica, run, Applied::Network, result);
            }
            Effect::SetLimits { replica, run, .. } => self.applied(replica, run, Applied::Limits, Ok(())),
            Effect::SetTeam { .. } => {}
            Effect::Notice(notice) => *self.seen.entry(notice.kind.info().word).or_default() += 1,
            Effect::AllocatePort(replica) => {
                let fails = self.chaos && chance(&mut self.rng, 10);
                let result = if fails { Err("none is free".to_owned()) } else { Ok(4000) };
                let span = self.delay();
                self.deliver(span, Event::PortAllocated { replica, result });
            }
            Effect::LookAtGpus => self.look_at_cards(),
            Effect::HoldGpus { id, .. } => self.deliver(ms(1), Event::GpusHeld { id, result: Ok(()) }),
            Effect::Fleet { id, .. } => {
                self.deliver(ms(1), Event::Fleet { id, standing: Standing::Done("done".to_owned()) });
            }
            Effect::FleetCancel(_) => {}
            Effect::KillStragglers { replica, .. } => {
                self.must_not_live(&replica, "killed for its stragglers")?;
                let tries = chance(&mut self.cards_rng, 70);
                self.stragglers.retain(|id, s| *id != replica || (s.stubborn && !tries));
            }
            Effect::Probe { replica, run, kind, timeout, .. } => {
                let healthy = self.runs.get(&run).is_some_and(|r| r.ended.is_none() && r.healthy && !r.frozen);
                let result = if healthy { Ok(ms(1)) } else { Err("refused".to_owned()) };
                let span = if healthy || chance(&mut self.rng, 50) { self.delay().min(timeout) } else { timeout };
                self.deliver(span, Event::Probed { replica, run, kind, result });
            }
            Effect::Hook { replica, run, kind, timeout, .. } => self.hook(replica, run, kind, timeout),
            Effect::Append(id, entry) => {
                if let RunEntry::Started(live) = &entry
                    && let Some(run) = self.runs.get_mut(&live.run)
                {
                    run.known = true;
                }
                self.store.append(&id, entry);
            }
            Effect::Record(record) => {
                crate::laws::at_record(self, &record)?;
                self.store.record(record);
            }
            Effect::Persist(node) => self.store.node = (*node).clone(),
            Effect::Reply { .. } => {}
            Effect::Exit => self.exited = true,
        }
        Ok(())
    }

    /// Disarming and forgetting stop the unit: a run that the core knows must not be in it.
    pub(super) fn must_not_live(&mut self, id: &ReplicaId, what: &str) -> Law {
        match self.unit(id).state.clone() {
            UnitState::Live(run) if self.runs.get(&run).is_some_and(|r| r.told) => {
                Err(format!("{id} is {what} while run {run} lives"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn applied(&mut self, replica: ReplicaId, run: RunId, what: Applied, result: Result<(), String>) {
        let span = self.delay();
        self.launcher(span, LauncherEvent::Applied { replica, run, what, result });
    }

    pub(super) fn hook(&mut self, replica: ReplicaId, run: RunId, kind: HookKind, timeout: Duration) {
        let drains = self.runs.get(&run).is_some_and(|r| r.ended.is_none() && r.drains && !r.frozen);
        let (span, result) = match (kind, drains) {
            (_, true) if self.rng.below(4) > 0 => (self.delay(), Ok(true)),
            (HookKind::Until, _) => (self.delay(), Ok(false)),
            (_, true) => (self.delay(), Err("exit code 1".to_owned())),
            (_, false) => (timeout, Err("timed out".to_owned())),
        };
        self.deliver(span.min(timeout), Event::Hooked { replica, run, kind, result });
    }
}
