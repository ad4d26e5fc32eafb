//! The loop of deciding: every replica that may be affected by what happened is looked at until nothing is left to do.

use super::{Core, Phase};
use crate::config::{Remediation, Worker};
use crate::desired;
use crate::effect::Effect;
use crate::ids::{ReplicaId, WorkerName};
use crate::plan::{self, Decision, GoingDown, On, Wait};
use crate::replica::{Act, Counted, Input, Replica, State, Step, step};
use crate::timers::Timer;
use std::collections::{BTreeMap, BTreeSet};

impl Core {
    /// Joins configuration and decisions anew, makes missing replicas and looks at all of them again.
    pub(super) fn refresh_desired(&mut self) {
        self.desired = desired::desired(&self.config, &self.node, &self.desired);
        self.gpus.acts = self.config.supervision.remediation == Remediation::On;
        match self.phase {
            Phase::Attaching => self.desired.attaching = true,
            Phase::Ending { workers: true } => {
                let off = desired::Off { reason: "reeved is ending".into(), drain: !self.node_hurry() };
                self.desired.all_off = Some(off);
            }
            Phase::Ending { workers: false } => self.desired.holds.push("reeved is ending".into()),
            Phase::Running => {}
        }
        self.desired.holds.extend(self.holds.values().map(|(who, why)| format!("held by {who}: {why}")));
        for (name, worker) in &self.desired.workers {
            for index in &worker.indices {
                let id = ReplicaId::new(name.clone(), *index);
                let now = self.now;
                self.replicas.entry(id.clone()).or_insert_with(|| Box::new(Replica::new(id, now)));
            }
        }
        let workers = &self.desired.workers;
        self.settled.retain(|name| workers.contains_key(name));
        self.refresh_order();
        self.mark_all();
    }

    /// Workers that hold back higher orders, from scratch.
    pub(super) fn all_unsettled(&self) -> BTreeSet<(i32, WorkerName)> {
        let defs = self.desired.workers.iter();
        defs.filter(|(n, _)| self.is_unsettled(n)).map(|(n, w)| (w.def.order, n.clone())).collect()
    }

    /// Who holds back whom, from scratch.
    fn refresh_order(&mut self) {
        self.unsettled = self.all_unsettled();
        let mut going = BTreeMap::new();
        let mut stays = BTreeSet::new();
        for (id, replica) in self.replicas.iter().filter(|(_, r)| r.state.is_live()) {
            if plan::off(&self.view(), id).is_none() {
                stays.insert(&id.worker);
            } else if let Some(def) = self.newest_def(replica) {
                going.insert(&id.worker, def);
            }
        }
        let going = going.into_iter().filter(|(name, _)| !stays.contains(name));
        // Of a worker that is not defined any more, its runs know what it depended on.
        let gone = self.replicas.values().filter(|r| !self.desired.workers.contains_key(&r.id.worker));
        let all = self.desired.workers.values().map(|w| &*w.def).chain(gone.filter_map(|r| r.def.as_deref()));
        self.going_down = GoingDown::new(going, all);
    }

    fn newest_def<'a>(&'a self, replica: &'a Replica) -> Option<&'a Worker> {
        let newest = self.desired.workers.get(&replica.id.worker).map(|w| &*w.def);
        newest.or(replica.def.as_deref())
    }

    /// A worker holds back higher orders until it has once been ready as a whole, unless nobody wants it to run or it
    /// has ended as it should.
    fn is_unsettled(&self, name: &WorkerName) -> bool {
        let Some(worker) = self.desired.workers.get(name) else {
            return false;
        };
        !self.settled.contains(name)
            && worker.unplaceable.is_none()
            && !worker.indices.iter().all(|i| {
                let id = ReplicaId::new(name.clone(), *i);
                let hopeless = |r: &Replica| r.waits.as_ref().is_some_and(|w| w.on == On::MoreGpus);
                self.desired.stopped.contains_key(&id)
                    || self.replicas.get(&id).is_some_and(|r| r.is_done() || hopeless(r))
            })
    }

    /// Looks again whether a worker holds back higher orders.
    pub(super) fn look_settled(&mut self, name: &WorkerName) {
        let Some(order) = self.desired.workers.get(name).map(|w| w.def.order) else {
            return;
        };
        let lowest = self.unsettled.first().map(|(order, _)| *order);
        let key = (order, name.clone());
        if self.is_unsettled(name) {
            self.unsettled.insert(key);
        } else if self.unsettled.remove(&key) {
            let now = self.unsettled.first().map(|(order, _)| *order);
            if now != lowest {
                self.dirty.extend(self.waiting.up_to(now.unwrap_or(i32::MAX)).cloned());
            }
        }
    }

    /// It has changed: decide about it, and show it anew.
    pub(super) fn mark(&mut self, id: &ReplicaId) {
        self.dirty.insert(id.clone());
        self.touch(id);
    }

    /// Its picture is out of date.
    pub(super) fn touch(&mut self, id: &ReplicaId) {
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.view = None;
        }
        if !self.stale_views.contains(&id.worker) {
            self.stale_views.insert(id.worker.clone());
        }
        if self.operations.len() > self.ended_operations.len() {
            self.touched.insert(id.clone());
        }
    }

    fn mark_all(&mut self) {
        self.dirty = self.replicas.keys().cloned().collect();
        self.urgent = self.replicas.values().filter(|r| r.state.is_live()).map(|r| r.id.clone()).collect();
        self.touched.extend(self.dirty.iter().cloned());
        self.stale_views.extend(self.desired.workers.keys().cloned());
        self.stale_views.extend(self.replicas.keys().map(|id| id.worker.clone()));
        self.stale_views.extend(self.views.keys().cloned());
        self.replicas.values_mut().for_each(|r| r.view = None);
    }

    pub(super) fn mark_worker(&mut self, name: &WorkerName) {
        self.dirty.extend(self.ids_of(name));
    }

    /// Looks again at those that wait for this.
    pub(super) fn wake(&mut self, on: &On) {
        self.dirty.extend(self.waiting.on(on).cloned());
    }

    pub(super) fn ids_of(&self, name: &WorkerName) -> Vec<ReplicaId> {
        self.of(name).map(|r| r.id.clone()).collect()
    }

    /// The worker's replicas, by number.
    pub(super) fn of(&self, name: &WorkerName) -> impl Iterator<Item = &Replica> {
        let first = ReplicaId::new(name.clone(), 0);
        let last = ReplicaId::new(name.clone(), u32::MAX);
        self.replicas.range(first..=last).map(|(_, r)| &**r)
    }

    /// Decides about every dirty replica, and carries it out, until nothing is left to decide.
    pub(super) fn reconcile(&mut self) {
        loop {
            while let Some(id) = self.urgent.pop_first().or_else(|| self.dirty.pop_first()) {
                self.settle_on(&id);
            }
            if self.bucket.ready_at(self.now.mono) > self.now.mono {
                return;
            }
            let Some(next) = self.waiting.first().cloned() else {
                return;
            };
            self.dirty.insert(next);
        }
    }

    fn settle_on(&mut self, id: &ReplicaId) {
        match plan::decide(&self.view(), id, self.now.mono) {
            Decision::Act(action, reason) => {
                self.set_waits(id, None);
                self.apply(id, action, &reason);
            }
            Decision::Wait(wait) => {
                self.disarm_if_long(id, wait.until);
                self.set_waits(id, Some(wait));
            }
            Decision::Content => self.set_waits(id, None),
        }
    }

    fn set_waits(&mut self, id: &ReplicaId, waits: Option<Wait>) {
        let to_start = waits.is_some() && plan::off(&self.view(), id).is_none();
        // Whoever stands in line is called; all others look at the clock themselves.
        match waits.as_ref().filter(|w| w.on != On::Turn).and_then(|w| w.until) {
            Some(at) => self.timers.set(id, Timer::Start, at),
            None => self.timers.clear(id, Timer::Start),
        }
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        if replica.waits == waits && replica.waits_to_start == to_start {
            return;
        }
        let (old, new) = (replica.waits.as_ref().map(|w| &w.on), waits.as_ref().map(|w| &w.on));
        if old != new {
            if let Some(on) = old {
                self.waiting.remove(id, on);
            }
            if let Some(on) = new {
                self.waiting.add(id, on);
            }
        }
        let more = [old, new].contains(&Some(&On::MoreGpus)) && old != new;
        replica.waits_to_start = to_start;
        replica.waits = waits;
        if more {
            self.look_settled(&id.worker);
        }
        self.touch(id);
    }

    /// PID 1's dead-man restart must not overtake a wait: one that ends later than half the delay, or nobody knows
    /// when, disarms it (supervision note §3.3). A port comes at once; should it not, the timer disarms.
    fn disarm_if_long(&mut self, id: &ReplicaId, until: Option<crate::time::Mono>) {
        let Some(replica) = self.replicas.get(id).filter(|r| r.state == State::Down && !r.port_asked) else {
            return;
        };
        if replica.armed.is_some_and(|latest| until.is_none_or(|at| at >= latest)) {
            self.disarm(id);
        }
    }

    /// No restart by PID 1, if there is one to be feared.
    pub(super) fn disarm(&mut self, id: &ReplicaId) {
        self.timers.clear(id, Timer::Disarm);
        if self.replicas.get_mut(id).is_some_and(|r| r.armed.take().is_some()) {
            self.emit(Effect::Disarm(id.clone()));
        }
    }

    /// Lets the table answer, and does what it says. `true` when something happened.
    pub(super) fn transition(&mut self, id: &ReplicaId, input: Input, reason: &str) -> bool {
        let Some(replica) = self.replicas.get_mut(id) else {
            return false;
        };
        let (to, act) = match step(replica.state, input) {
            Step::Go(to, act) => (to, act),
            Step::Ignored(_) => {
                self.ignored = self.ignored.saturating_add(1);
                return false;
            }
        };
        let from = std::mem::replace(&mut replica.state, to);
        if from != to {
            replica.since = self.now;
        }
        let former = std::mem::replace(&mut replica.reason, reason.to_owned());
        self.set_waits(id, None);
        // An aborted start ends with the launcher's answer, or when that is overdue.
        if to != State::Aborting {
            self.timers.clear(id, Timer::State);
        }
        self.count(id);
        self.act(id, act, from, &former, reason);
        self.mark(id);
        true
    }

    fn act(&mut self, id: &ReplicaId, act: Act, from: State, former: &str, reason: &str) {
        match act {
            Act::Launch => self.launch(id),
            Act::Begin => self.begin(id),
            Act::Enter => {}
            Act::Fail | Act::End => self.over(id, former),
            Act::Freeze => self.freeze(id),
            Act::Thaw => self.thaw(id),
            Act::Notice => self.drain_notice(id, reason),
            Act::Save => self.save_state(id),
            Act::Terminate => self.terminate(id),
            Act::Kill => self.kill(id, from, reason),
        }
    }

    /// Corrects the state without an input of the table: only between Starting, Up and Paused, after a thaw or an
    /// adoption.
    pub(super) fn set_state(&mut self, id: &ReplicaId, state: State) {
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.state = state;
        }
        self.timers.clear(id, Timer::State);
        self.count(id);
    }

    /// Keeps the counts of the worker, and wakes whoever waits for a change of them. Compares with what was counted
    /// before, so that it may be called once too often.
    pub(super) fn count(&mut self, id: &ReplicaId) {
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let now = Counted { live: replica.state.is_live(), ready: replica.is_ready() };
        let was = std::mem::replace(&mut replica.counted, now);
        if now == was {
            return;
        }
        let name = &id.worker;
        let tally = self.tally.entry(name.clone()).or_default();
        let before = *tally;
        tally.live = tally.live + u32::from(now.live) - u32::from(was.live);
        tally.ready = tally.ready + u32::from(now.ready) - u32::from(was.ready);
        let after = *tally;
        self.live = self.live + u32::from(now.live) - u32::from(was.live);
        let wanted = self.desired.workers.get(name).map_or(0, |w| w.indices.len());
        if after.ready as usize >= wanted && wanted > 0 && self.settled.insert(name.clone()) {
            self.look_settled(name);
        }
        let fell = before.live > 0 && after.live == 0;
        if fell && self.going_down.contains(name) {
            if self.settled.remove(name) {
                self.look_settled(name);
            }
            if let Some(turn) = self.going_down.remove(name) {
                self.dirty.extend(self.waiting.down_to(turn).cloned());
            }
        } else if before.live == 0 && after.live > 0 && plan::off(&self.view(), id).is_some() {
            // Found after its end was missed: it goes down again, and in its turn.
            if let Some(order) = self.replicas.get(id).and_then(|r| self.newest_def(r)).map(|d| d.order) {
                self.going_down.add(name, order);
            }
        }
        if fell || (before.ready == 0) != (after.ready == 0) {
            self.wake(&On::Worker(name.clone()));
        }
        if now.ready {
            self.wake(&On::Rolling(name.clone()));
        }
        if now.live != was.live
            && let Some(worker) = self.desired.workers.get(name)
        {
            self.wake(&On::Team(worker.def.team.clone()));
        }
        if after == plan::Tally::default() && !self.desired.workers.contains_key(name) {
            self.tally.remove(name);
        }
    }

    pub(super) fn fire(&mut self, id: &ReplicaId, timer: Timer) {
        match timer {
            Timer::State => self.state_deadline(id),
            Timer::Liveness => self.probe_due(id, crate::event::ProbeKind::Liveness),
            Timer::Readiness => self.probe_due(id, crate::event::ProbeKind::Readiness),
            Timer::Watchdog => self.watchdog_expired(id),
            Timer::Progress => self.progress_expired(id),
            Timer::DrainPoll => self.drain_poll(id),
            Timer::Start => {
                self.dirty.insert(id.clone());
            }
            Timer::Settle => self.settle_due(id),
            Timer::Disarm => self.disarm(id),
            Timer::Gpus => self.gpus_again(id),
        }
    }
}
