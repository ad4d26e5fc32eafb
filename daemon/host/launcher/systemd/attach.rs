//! Finding units again: at start, on demand, after the bus or PID 1 has been away. Signals of the gap are lost, so
//! everything is read anew.

use super::MissedQuery;
use super::engine::{Done, Engine, Link};
use super::ops::Tools;
use super::render::{self, FINGERPRINT};
use super::unit::{Life, Unit, unknown};
use crate::bus::systemd1::{Systemd, SystemdError, UnitState};
use futures_util::StreamExt;
use reeve_core::{ExitInfo, LauncherEvent, ReplicaId, RunId};
use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

/// Readings under way at once.
const READS_AT_ONCE: usize = 32;
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(5);

/// A run of a unit that is gone, and what the journal says.
pub(super) type Vanished = (ReplicaId, RunId, Vec<(RunId, ExitInfo)>);

/// The absolute cgroup path, where there is a v2 hierarchy.
pub(super) fn cgroup(below: &str) -> Option<String> {
    const MOUNT: &str = "/sys/fs/cgroup";
    let v2 = Path::new(MOUNT).join("cgroup.controllers").exists();
    (v2 && !below.is_empty()).then(|| format!("{MOUNT}{below}"))
}

async fn subscribed(systemd: Systemd) -> Result<Link, SystemdError> {
    let signals = systemd.subscribe().await?;
    let known = systemd.known(render::OPTIONAL).await?;
    Ok((systemd, signals, known))
}

/// A connection with its signals, now.
pub(super) async fn link(first: Option<Systemd>) -> Done {
    let systemd = match first {
        Some(systemd) => Ok(systemd),
        None => Systemd::connect().await,
    };
    let linked = match systemd {
        Ok(systemd) => subscribed(systemd).await,
        Err(error) => Err(error),
    };
    match linked {
        Ok(link) => Done::Linked(Box::new(link)),
        Err(error) => Done::Away(error.to_string()),
    }
}

async fn read_one(tools: &Tools, name: String) -> Result<Option<(ReplicaId, UnitState)>, SystemdError> {
    let Some(replica) = ReplicaId::from_unit(&name) else {
        return Ok(None);
    };
    let state = match tools.systemd.unit_properties(&name).await {
        Ok(state) => state,
        // Gone since it was listed.
        Err(SystemdError::Refused { .. }) => return Ok(None),
        Err(lost) => return Err(lost),
    };
    // Somebody else's unit may have a name like ours.
    let ours = state.transient && state.slice.starts_with("reeve");
    Ok(ours.then_some((replica, state)))
}

async fn read_all(tools: Tools) -> Result<Vec<(ReplicaId, UnitState)>, SystemdError> {
    // A PID 1 that has replaced itself may have forgotten.
    tools.systemd.resubscribe().await?;
    let names = tools.systemd.list_units_by_patterns(&["reeve-*.service"]).await?;
    let reads: Vec<_> = futures_util::stream::iter(names)
        .map(|name| read_one(&tools, name))
        .buffer_unordered(READS_AT_ONCE)
        .collect()
        .await;
    reads.into_iter().filter_map(Result::transpose).collect()
}

impl Engine {
    /// The bus is gone.
    pub(super) fn lost(&mut self) {
        self.pause();
        self.signals = None;
        self.link = None;
        self.reloading = false;
        self.work.push(Box::pin(link(None)));
    }

    /// It is still not there: tried again, less and less often.
    pub(super) fn away(&mut self, why: String) {
        (self.surroundings.health)(Some(format!("systemd cannot be reached: {why}")));
        self.delay = (self.delay * 2).clamp(RETRY_FIRST, RETRY_MOST);
        let delay = self.delay;
        self.work.push(Box::pin(async move {
            tokio::time::sleep(delay).await;
            link(None).await
        }));
    }

    /// The bus is there, for the first time or again.
    pub(super) fn linked(&mut self, (systemd, signals, known): Link) {
        let first = !std::mem::replace(&mut self.met, true);
        self.link = Some(Tools::new(systemd, self.board.clone(), known));
        self.signals = Some(signals);
        for (slice, limits) in self.teams.clone() {
            self.team(slice, limits);
        }
        if first && !self.wanted {
            return self.opened();
        }
        self.resync();
    }

    /// PID 1 is replacing itself: nothing is begun, and what is under way will be repeated.
    pub(super) fn pause(&mut self) {
        self.open = false;
        self.generation += 1;
        self.board.lose_all();
    }

    /// Signals may have been missed: nothing is begun until everything has been read anew.
    pub(super) fn resync(&mut self) {
        self.pause();
        self.survey();
    }

    fn opened(&mut self) {
        self.open = true;
        self.delay = Duration::ZERO;
        (self.surroundings.health)(None);
        let all: Vec<ReplicaId> = self.units.keys().cloned().collect();
        all.iter().for_each(|replica| self.pump(replica));
    }

    /// Looks at all units; while the bus is away that follows by itself.
    pub(super) fn survey(&mut self) {
        let Some(tools) = self.link.clone() else {
            return;
        };
        let (generation, since, delay) = (self.generation, self.heard, self.delay);
        self.work.push(Box::pin(async move {
            tokio::time::sleep(delay).await;
            Done::Read(generation, since, read_all(tools).await)
        }));
    }

    /// All units have been read: takes them over, and asks the journal for what happened before.
    pub(super) fn read(
        &mut self,
        generation: u64,
        since: u64,
        result: Result<Vec<(ReplicaId, UnitState)>, SystemdError>,
    ) {
        if generation != self.generation || self.link.is_none() {
            return;
        }
        let listed = match result {
            Ok(listed) => listed,
            Err(error) => {
                self.delay = (self.delay * 2).clamp(RETRY_FIRST, RETRY_MOST);
                (self.surroundings.health)(Some(format!("units cannot be listed: {error}")));
                return self.survey();
            }
        };
        let found: BTreeSet<ReplicaId> = listed.iter().map(|(r, _)| r.clone()).collect();
        let not_found = self.units.iter().filter(|(replica, unit)| {
            let heard_of = unit.heard > since;
            !heard_of && !unit.starting && !found.contains(*replica)
        });
        let gone: Vec<ReplicaId> = not_found.map(|(replica, _)| replica.clone()).collect();
        let vanished: Vec<_> = gone.iter().filter_map(|replica| self.vanish(replica)).collect();
        let mut questions = Vec::new();
        for (replica, state) in listed {
            let unit = self.units.entry(replica.clone()).or_default();
            take(unit, state, since);
            let present = unit.invocation();
            let known = unit.run.map(|run| run.id);
            let query =
                MissedQuery { replica: replica.clone(), known, present, restarts: unit.part.restarts.unwrap_or(0) };
            let ask = present.is_some() && present != known && !unit.starting && !unit.resumes();
            if ask {
                // Silent until the journal has answered.
                unit.ours = false;
            }
            let missed = ask.then(|| (self.surroundings.missed)(query));
            questions.push(async move {
                match missed {
                    Some(missed) => (replica, missed.await),
                    None => (replica, Vec::new()),
                }
            });
        }
        self.work.push(Box::pin(async move {
            let vanished = futures_util::future::join_all(vanished).await;
            let answers = futures_util::future::join_all(questions).await;
            Done::Answered(generation, vanished, answers)
        }));
    }

    /// The journal has answered: the core hears of every run.
    pub(super) fn answered(
        &mut self,
        generation: u64,
        vanished: Vec<Vanished>,
        answers: Vec<(ReplicaId, Vec<(RunId, ExitInfo)>)>,
    ) {
        for (replica, run, missed) in vanished {
            self.vanished(&replica, run, missed);
        }
        if generation != self.generation {
            return;
        }
        let listed: BTreeSet<ReplicaId> = answers.iter().map(|(replica, _)| replica.clone()).collect();
        for (replica, missed) in answers {
            let Some(unit) = self.units.get_mut(&replica) else {
                continue;
            };
            unit.ours = true;
            let mut events = Vec::new();
            match (unit.run, unit.invocation()) {
                _ if unit.starting || unit.resumes() => {}
                (_, None) => {}
                (Some(run), Some(id)) if run.id == id => {
                    if unit.life() != Life::Ended && !run.over {
                        events.push(LauncherEvent::Found(unit.found(&replica, id, missed)));
                    }
                }
                (_, Some(_)) if unit.life() == Life::Ended && unit.empty() => {}
                (before, Some(id)) => {
                    let told = |id| missed.iter().any(|(run, _)| *run == id);
                    if let Some(run) = before.filter(|run| !run.over && !told(run.id)) {
                        events.push(unit.exited(&replica, run.id, unknown()));
                        unit.unrecorded = None;
                    }
                    events.push(LauncherEvent::Found(unit.found(&replica, id, missed)));
                }
            }
            events.into_iter().for_each(|event| self.send(event));
            self.changed(&replica);
        }
        // Started since the list was read: not to be taken for lost.
        let mut younger = Vec::new();
        for (replica, unit) in self.units.iter_mut().filter(|(replica, _)| !listed.contains(*replica)) {
            if let Some(run) = unit.run.filter(|run| unit.ours && unit.lives(run.id)) {
                younger.push(LauncherEvent::Found(unit.found(replica, run.id, Vec::new())));
            }
        }
        younger.into_iter().for_each(|event| self.send(event));
        self.wanted = false;
        self.send(LauncherEvent::ListComplete);
        if !self.open {
            self.opened();
        }
    }

    /// A unit is gone. If nobody saw its run end, the journal may know.
    pub(super) fn vanish(&mut self, replica: &ReplicaId) -> Option<Pin<Box<dyn Future<Output = Vanished> + Send>>> {
        let unit = self.units.get_mut(replica)?;
        unit.loaded = false;
        unit.heard = self.heard;
        if !unit.ours && unit.queue.is_empty() && !unit.busy {
            self.units.remove(replica);
            return None;
        }
        let run = unit.run.filter(|run| !run.over && !unit.starting)?.id;
        let query = MissedQuery { replica: replica.clone(), known: Some(run), present: None, restarts: 0 };
        let missed = (self.surroundings.missed)(query);
        let replica = replica.clone();
        Some(Box::pin(async move { (replica, run, missed.await) }))
    }
}

/// Takes over a reading, as far as no signal has said something newer since it began.
fn take(unit: &mut Unit, state: UnitState, since: u64) {
    if unit.heard <= since {
        unit.part.update(state.part);
        unit.loaded = true;
    }
    let fingerprint = |e: &String| e.strip_prefix(FINGERPRINT).map(str::to_owned);
    unit.fingerprint = state.environment.iter().find_map(fingerprint);
    unit.command = Some(state.command);
    unit.cut = state.ip_denied;
    unit.stop = Some((state.kill_signal, Duration::from_micros(state.timeout_stop_usec)));
    if !state.control_group.is_empty() {
        unit.cgroup = cgroup(&state.control_group);
    }
}
