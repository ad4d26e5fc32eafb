//! The ten documented agent metrics from whatever a worker gives (MET-05 to MET-16).
//!
//! | documented | made from, when the worker does not give it | over |
//! |---|---|---|
//! | `task_throughput` | growth of `reeve_agent_tasks_total` a second | 1 min |
//! | `error_rate` | growth of `reeve_agent_errors_total` by that of requests: answers in the response histogram, else tasks | 5 min, 10 requests at least |
//! | `consensus_success_rate`, `planning_success_rate` | share of `outcome="success"` of rounds, of plans | 5 min |
//! | `agent_utilization` | growth of `reeve_agent_busy_seconds_total`, else of the CPU time of its cgroup | 1 min |
//! | `agent_coordination_efficiency` | an observation a minute of useful by all coordination time | – |
//! | `message_delivery_latency` | the sum of its companion's transports | – |
//! | `response_time` | its companion, and the other way round | – |
//! | `reasoning_chain_length`, `queue_depth` | nothing: only the worker knows | – |
//!
//! A window begins with its run. What the worker gives under a documented name is left as it is. A share of nothing is not known, hence absent.

mod derive;
mod window;

use super::families::agent as f;
use super::family::{Family, Kind};
use super::foreign::{Foreign, Line, Part, lines_of};
use super::labels::Labels;
use super::samples::{Histogram, Value};
use crate::time::Mono;
use std::sync::Arc;
use std::time::Duration;
use window::Growth;

const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(300);
/// Sooner after its beginning a rate says more about chance than about the worker.
const SOON: Duration = Duration::from_secs(5);
/// Fewer requests make no rate of errors (MET-07).
const REQUESTS: f64 = 10.0;

/// What one replica's counters did lately.
#[derive(Debug, Clone)]
pub struct Agent {
    tasks: Growth,
    errors: Growth,
    requests: Growth,
    rounds: Share,
    plans: Share,
    busy: Growth,
    cpu: Growth,
    useful: Growth,
    coordinating: Growth,
    efficiency: Option<Arc<Histogram>>,
    observed: Option<Mono>,
}

/// Good ones and all.
#[derive(Debug, Clone)]
struct Share {
    good: Growth,
    all: Growth,
}

impl Default for Agent {
    fn default() -> Self {
        let share = || Share { good: Growth::new(FIVE_MINUTES), all: Growth::new(FIVE_MINUTES) };
        Self {
            tasks: Growth::new(MINUTE),
            errors: Growth::new(FIVE_MINUTES),
            requests: Growth::new(FIVE_MINUTES),
            rounds: share(),
            plans: share(),
            busy: Growth::new(MINUTE),
            cpu: Growth::new(MINUTE),
            useful: Growth::new(MINUTE),
            coordinating: Growth::new(MINUTE),
            efficiency: None,
            observed: None,
        }
    }
}

impl Agent {
    /// A run begins. `base` is what is known already of counters that go on over runs; `None`: the run was there before
    /// we looked, and what it has counted until now is of unknown age.
    pub fn begin(&mut self, base: Option<&Foreign>, now: Mono) {
        let empty = Foreign::new();
        let known = derive::Counts::of(base.unwrap_or(&empty));
        let or_zero = |value: Option<f64>| base.map(|_| value.unwrap_or(0.0));
        for (growth, value) in self.all(&known) {
            growth.begin(or_zero(value), now);
        }
        // Its cgroup is new with it.
        self.cpu.begin(base.map(|_| 0.0), now);
    }

    /// CPU time that the run has used, in CPUs that it may use.
    pub fn cpu(&mut self, used: f64, now: Mono) {
        self.cpu.look(used, now);
    }

    /// Whether its CPU time is of use: it is an agent and does not say how busy it is.
    pub fn wants_cpu(page: &Foreign) -> bool {
        let has = |family: &Family| page.get(family.name).is_some();
        !has(&f::UTILIZATION) && !has(&f::BUSY) && f::all().any(has)
    }

    /// Looks at what the worker gives, and adds what follows from it.
    pub fn complete(&mut self, page: &mut Foreign, now: Mono) {
        derive::settle_kinds(page);
        let known = derive::Counts::of(page);
        for (growth, value) in self.all(&known) {
            if let Some(value) = value {
                growth.look(value, now);
            }
        }
        self.gauges(&known, page, now);
        self.efficiency(&known, page, now);
        derive::mirror(page);
    }

    fn all(&mut self, of: &derive::Counts) -> [(&mut Growth, Option<f64>); 10] {
        [
            (&mut self.tasks, of.tasks),
            (&mut self.errors, of.errors),
            (&mut self.requests, of.requests),
            (&mut self.rounds.good, of.rounds.0),
            (&mut self.rounds.all, of.rounds.1),
            (&mut self.plans.good, of.plans.0),
            (&mut self.plans.all, of.plans.1),
            (&mut self.busy, of.busy),
            (&mut self.useful, of.useful),
            (&mut self.coordinating, of.coordinating),
        ]
    }

    fn gauges(&self, given: &derive::Counts, page: &mut Foreign, now: Mono) {
        let rate = |growth: &Growth| {
            let (grown, passed) = growth.over(now).filter(|(_, passed)| *passed >= SOON)?;
            Some(grown / passed.as_secs_f64())
        };
        let throughput = given.tasks.and_then(|_| rate(&self.tasks));
        put(page, &f::TASK_THROUGHPUT, throughput);
        let share = |share: &Share, of: (Option<f64>, Option<f64>)| {
            of.1.and_then(|_| ratio(share.good.over(now).map_or(0.0, |g| g.0), share.all.over(now)?.0))
        };
        put(page, &f::CONSENSUS_SUCCESS_RATE, share(&self.rounds, given.rounds));
        put(page, &f::PLANNING_SUCCESS_RATE, share(&self.plans, given.plans));
        let errors = given.requests.and_then(|_| {
            let (requests, _) = self.requests.over(now).filter(|(grown, _)| *grown >= REQUESTS)?;
            ratio(self.errors.over(now).map_or(0.0, |g| g.0), requests)
        });
        put(page, &f::ERROR_RATE, errors.filter(|_| given.errors.is_some() || given.answers));
        let busy = match given.busy {
            Some(_) => rate(&self.busy),
            None if Self::wants_cpu(page) => rate(&self.cpu),
            None => None,
        };
        put(page, &f::UTILIZATION, busy.map(|share| share.clamp(0.0, 1.0)));
    }

    /// One observation a minute, of the minute.
    fn efficiency(&mut self, given: &derive::Counts, page: &mut Foreign, now: Mono) {
        if page.get(f::COORDINATION_EFFICIENCY.name).is_some() || given.coordinating.is_none() {
            return;
        }
        let since = *self.observed.get_or_insert(now);
        if now.since(since) >= MINUTE {
            self.observed = Some(now);
            let useful = self.useful.over(now).map_or(0.0, |g| g.0);
            let share = self.coordinating.over(now).and_then(|(all, _)| ratio(useful, all));
            if let Some(share) = share {
                let fresh = || Arc::new(Histogram::new(f::COORDINATION_EFFICIENCY_BOUNDS));
                Arc::make_mut(self.efficiency.get_or_insert_with(fresh)).observe(share);
            }
        }
        if let Some(histogram) = &self.efficiency {
            put_value(page, &f::COORDINATION_EFFICIENCY, &Value::Histogram(Arc::clone(histogram)));
        }
    }
}

/// A share of something.
fn ratio(good: f64, all: f64) -> Option<f64> {
    (all > 0.0).then(|| (good / all).clamp(0.0, 1.0))
}

/// A gauge, unless the worker gives it.
fn put(page: &mut Foreign, family: &'static Family, value: Option<f64>) {
    if let Some(value) = value
        && page.get(family.name).is_none()
    {
        put_value(page, family, &Value::Number(value));
    }
}

/// A value of a documented family.
fn put_value(page: &mut Foreign, family: &'static Family, value: &Value) {
    page.describe(family);
    lines_of(&Labels::none(), value, |line| page.add(family.name, family.kind, line));
}

#[cfg(test)]
mod tests;
