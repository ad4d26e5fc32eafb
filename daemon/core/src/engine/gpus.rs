//! GPUs: what was seen of them, who gets them, what a dead run leaves on them (SUP-05).

use super::Core;
use crate::config::Remediation;
use crate::effect::{Accepted, Effect, Refusal, RefusalKind};
use crate::event::{Command, CommandRequest};
use crate::gpu::inventory::below_mount;
use crate::gpu::{Hold, Inventory, gate};
use crate::ids::{CommandId, ReplicaId};
use crate::notice::{Kind, Notice};
use crate::persist::{GpuGrant, RunEntry};
use crate::plan::On;
use crate::replica::{Live, Replica, State};
use crate::status::{CardStatus, GpusStatus};
use crate::timers::Timer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks later on, and while there is nothing to look with.
const AWAY: Duration = Duration::from_secs(10);

impl Core {
    /// The source has looked.
    pub(super) fn gpus_seen(&mut self, inventory: Inventory) {
        let runs = self.replicas.values().filter_map(|r| Some((r.live.as_ref()?.cgroup.as_deref()?, &r.id)));
        let places: BTreeMap<&str, &ReplicaId> = runs.map(|(path, id)| (below_mount(path), id)).collect();
        let owner = |path: &str| {
            let mut path = below_mount(path);
            loop {
                if let Some(id) = places.get(path) {
                    return Some((*id).clone());
                }
                path = path.rsplit_once('/').map(|(above, _)| above).filter(|above| !above.is_empty())?;
            }
        };
        let changed = self.gpus.saw(inventory, self.now, owner);
        self.gpus_view = None;
        if changed.records {
            self.node.cards = self.gpus.records().clone();
            self.persist();
        }
        for (uuid, label, out) in &changed.out {
            let users = self.users_of(uuid);
            let follows = match (users.is_empty(), self.config.supervision.remediation) {
                (true, _) => String::new(),
                (false, Remediation::On) => format!("; {} to move", join(&users)),
                (false, Remediation::DryRun) => format!("; {} would move (remediation is dry-run)", join(&users)),
                (false, Remediation::Off) => format!("; {} left there (remediation is off)", join(&users)),
            };
            self.emit(Effect::Notice(Notice::node(Kind::GpuOut, format!("{label}: {}{follows}", out.reason))));
            self.dirty.extend(users);
        }
        for (_, label) in &changed.back {
            self.emit(Effect::Notice(Notice::node(Kind::GpuBack, format!("{label} is well again"))));
        }
        for (id, cgroup) in changed.stragglers {
            self.kill_stragglers(&id, cgroup);
        }
        self.dirty.extend(changed.clean);
        for id in self.gpus.in_question() {
            if self.timers.get(&id, Timer::Gpus).is_none() {
                self.timers.set(&id, Timer::Gpus, self.after(gate::AGAIN));
            }
        }
        if changed.cards {
            let users = self.replicas.values().filter(|r| !r.gpus.is_empty());
            self.dirty.extend(users.map(|r| r.id.clone()));
        }
        if changed.gates {
            self.gpus_moved();
            self.wake(&On::MoreGpus);
        }
    }

    /// Cards have become free, or are not to be had any more: whoever is to start on some looks again, also one that
    /// has passed that gate and waits at a later one.
    fn gpus_moved(&mut self) {
        let wants = |r: &Replica| {
            self.desired.workers.get(&r.id.worker).is_some_and(|w| w.limits.gpus_limit.max(w.limits.gpus_request) > 0)
        };
        let down = self.replicas.values().filter(|r| r.state == State::Down && (!r.gpus.is_empty() || wants(r)));
        self.dirty.extend(down.map(|r| r.id.clone()));
        self.wake(&On::Gpus);
    }

    /// Replicas that run on a card or on a slice of it.
    fn users_of(&self, uuid: &str) -> Vec<ReplicaId> {
        let Some(card) = self.gpus.inventory().card_of(uuid) else { return Vec::new() };
        let on = |given: &String| *given == card.uuid || card.slice(given).is_some();
        let users = self.replicas.values().filter(|r| r.state.is_live() && r.gpus.iter().any(on));
        users.map(|r| r.id.clone()).collect()
    }

    fn kill_stragglers(&mut self, id: &ReplicaId, cgroup: Option<String>) {
        let down = self.replicas.get(id).is_none_or(|r| r.state == State::Down && r.strays.is_empty());
        let Some(cgroup) = cgroup.filter(|_| down) else { return };
        let told = self.replicas.get_mut(id).map(|r| std::mem::replace(&mut r.stragglers_told, true));
        if told == Some(false) {
            let text = self.replicas.get(id).and_then(|r| self.gpus.gate(&r.gpus)).unwrap_or_default();
            self.notice(Kind::GpuStragglers, id, text);
        }
        self.emit(Effect::KillStragglers { replica: id.clone(), cgroup });
    }

    /// A run holds cards: where it is, is kept with them, so that a later daemon knows its stragglers even when its end
    /// was the last thing that this one has written.
    pub(super) fn gpus_of_the_living(&mut self, id: &ReplicaId) {
        let Some(replica) = self.replicas.get_mut(id).filter(|r| !r.gpus.is_empty()) else { return };
        let Some(cgroup) = replica.live.as_ref().and_then(|live| live.cgroup.clone()) else { return };
        if replica.last_cgroup.as_ref() != Some(&cgroup) {
            replica.last_cgroup = Some(cgroup.clone());
            let grant = GpuGrant { given: replica.gpus.clone(), cgroup: Some(cgroup) };
            self.append(id, RunEntry::Gpus(grant));
        }
    }

    /// A run has ended: nothing starts on its cards before they were seen to be clean.
    pub(super) fn gpus_of_the_dead(&mut self, id: &ReplicaId, live: &Live) {
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(id).filter(|r| !r.gpus.is_empty()) else { return };
        replica.stragglers_told = false;
        if live.run.is_some() {
            let given = replica.gpus.clone();
            // A run that had ended before we found it tells none; its replica's is the same from run to run.
            let cgroup = live.cgroup.clone().or_else(|| replica.last_cgroup.take());
            replica.last_cgroup.clone_from(&cgroup);
            let grant = GpuGrant { given: given.clone(), cgroup: cgroup.clone() };
            self.append(id, RunEntry::Gpus(grant));
            self.gpus.died(id, &given, cgroup, live.pid, now);
            self.emit(Effect::LookAtGpus);
            self.timers.set(id, Timer::Gpus, now + gate::AGAIN);
        }
        // Should it not come back, somebody else may want them.
        self.gpus_moved();
        self.gpus_view = None;
    }

    /// The same of a run that came too late.
    pub(super) fn gpus_of_the_stray(&mut self, id: &ReplicaId) {
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(id).filter(|r| !r.gpus.is_empty()) else { return };
        replica.stragglers_told = false;
        let (given, cgroup) = (replica.gpus.clone(), replica.last_cgroup.clone());
        self.gpus.died(id, &given, cgroup, None, now);
        self.emit(Effect::LookAtGpus);
        self.timers.set(id, Timer::Gpus, now + gate::AGAIN);
        self.gpus_moved();
    }

    /// Timer `Gpus`: are they clean by now?
    pub(super) fn gpus_again(&mut self, id: &ReplicaId) {
        if !self.gpus.has_remains(id) {
            return;
        }
        self.emit(Effect::LookAtGpus);
        // What is not gone soon is not looked at as often.
        let fresh = self.replicas.get(id).is_some_and(|r| self.now.mono.since(r.since.mono) < AWAY);
        let span = if fresh && self.gpus.inventory().hold == Hold::Held { gate::AGAIN } else { AWAY };
        self.timers.set(id, Timer::Gpus, self.after(span));
    }

    /// Act of `plan`: these are its own now, over restarts of the daemon too.
    pub(super) fn assign_gpus(&mut self, id: &ReplicaId, given: Vec<String>) {
        for loser in self.gpus.give(id, &given) {
            let Some(replica) = self.replicas.get_mut(&loser) else { continue };
            replica.gpus.retain(|uuid| !given.contains(uuid));
            let left = GpuGrant { given: replica.gpus.clone(), cgroup: replica.last_cgroup.clone() };
            self.append(&loser, RunEntry::Gpus(left));
            self.mark(&loser);
        }
        let before = self.replicas.get_mut(id).map(|r| std::mem::replace(&mut r.gpus, given.clone()));
        if before.is_some_and(|had| had.iter().any(|uuid| !given.contains(uuid))) {
            self.gpus_moved();
        }
        let cgroup = self.replicas.get(id).and_then(|r| r.last_cgroup.clone());
        self.append(id, RunEntry::Gpus(GpuGrant { given, cgroup }));
        self.gpus_view = None;
        self.mark(id);
    }

    /// It is forgotten, and its cards are free.
    pub(super) fn take_gpus(&mut self, id: &ReplicaId) {
        if self.replicas.get(id).is_some_and(|r| !r.gpus.is_empty()) {
            self.gpus.give(id, &[]);
            self.append(id, RunEntry::Gpus(GpuGrant::default()));
            self.gpus_moved();
            self.gpus_view = None;
        }
    }

    /// What the logs say: a run that may be alive comes before one that has ended.
    pub(super) fn restore_gpus(&mut self) {
        let mut order: Vec<_> = self.replicas.values().map(|r| (r.expected.is_none(), r.id.clone())).collect();
        order.sort();
        for (_, id) in order {
            let Some(replica) = self.replicas.get_mut(&id) else { continue };
            let given: Vec<_> = std::mem::take(&mut replica.gpus);
            let own: Vec<_> = given.into_iter().filter(|uuid| self.gpus.owner(uuid).is_none()).collect();
            replica.gpus.clone_from(&own);
            // One that lives without cards has left whatever it once had.
            let suspect = replica.last_cgroup.clone().filter(|_| replica.expected.is_none() || own.is_empty());
            self.gpus.give(&id, &own);
            // Whether its last run had left its cards was known to the former daemon only.
            if let Some(cgroup) = suspect {
                self.gpus.suspect(&id, cgroup);
            }
        }
    }

    /// Release and acquire: answered when it is done.
    pub(super) fn ask_for_gpus(&mut self, request: &CommandRequest) {
        let hold = matches!(request.command, Command::GpuAcquire);
        let refuse = |text: &str| Some(Refusal { kind: RefusalKind::InvalidState, text: text.into() });
        let refusal = match &self.gpus.inventory().hold {
            Hold::Off => refuse("GPUs are turned off ([gpu] nvml)"),
            Hold::Held if hold => refuse("NVML is held already"),
            Hold::Released if !hold => refuse("NVML is released already"),
            _ if self.gpus_asked.values().any(|(asked, _)| *asked != hold) => refuse("the opposite is still under way"),
            _ => None,
        };
        let id = request.id;
        if refusal.is_some() || request.dry_run {
            return self.emit(Effect::Reply { id, result: refusal.map_or(Ok(Accepted::Done), Err) });
        }
        let why = request.reason.clone().unwrap_or_default();
        let text = if why.is_empty() { request.by.clone() } else { format!("{}: {why}", request.by) };
        self.node.gpus_released = (!hold).then(|| text.clone());
        self.persist();
        self.gpus_asked.insert(id, (hold, text));
        self.emit(Effect::HoldGpus { id, hold });
    }

    /// The source has answered.
    pub(super) fn gpus_held(&mut self, id: CommandId, result: Result<(), String>) {
        let Some((hold, text)) = self.gpus_asked.remove(&id) else { return };
        let (kind, verb) = if hold { (Kind::GpusAcquired, "taken back") } else { (Kind::GpusReleased, "let go of") };
        let result = match result {
            Ok(()) => {
                self.emit(Effect::Notice(Notice::node(kind, format!("{verb} by {text}"))));
                Ok(Accepted::Done)
            }
            Err(text) => Err(Refusal { kind: RefusalKind::Unavailable, text }),
        };
        self.emit(Effect::Reply { id, result });
    }

    /// The picture of the cards.
    pub(super) fn gpus_view(&mut self) -> Arc<GpusStatus> {
        if let Some(view) = &self.gpus_view {
            return Arc::clone(view);
        }
        let inventory = self.gpus.inventory();
        let reason = match &inventory.hold {
            Hold::Unavailable(why) => why.clone(),
            Hold::Released => self.node.gpus_released.clone().unwrap_or_default(),
            Hold::Unknown | Hold::Off | Hold::Held => String::new(),
        };
        let cards = inventory.cards.iter().map(|card| {
            let verdict = card.facts.verdict();
            let out = self.gpus.out(&card.uuid);
            let pieces = std::iter::once(&card.uuid).chain(card.slices.iter().map(|s| &s.uuid));
            let given = pieces.filter_map(|uuid| Some((uuid.clone(), self.gpus.owner(uuid)?.clone())));
            CardStatus {
                health: match (&verdict, out) {
                    (verdict, Some(_)) if verdict.takes_work() => "sick",
                    (verdict, _) => verdict.word(),
                },
                reason: out.map_or_else(|| verdict.reason().to_owned(), |out| out.reason.clone()),
                allocatable: out.is_none() && inventory.hold == Hold::Held,
                given: given.collect(),
                card: card.clone(),
            }
        });
        let view = Arc::new(GpusStatus { state: inventory.hold.word(), reason, cards: cards.collect() });
        self.gpus_view = Some(Arc::clone(&view));
        view
    }
}

fn join(ids: &[ReplicaId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
