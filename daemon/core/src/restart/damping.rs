//! Mass crashes: when many replicas die of one cause at once, one of them is tried first (supervision note §6.2).

use crate::config::Damping as Config;
use crate::ids::ReplicaId;
use crate::time::Mono;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// First and longest wait between two trials.
const TRIAL_FIRST: Duration = Duration::from_secs(1);
const TRIAL_CAP: Duration = Duration::from_secs(60);

/// A host-level breaker for each cause.
#[derive(Debug, Clone)]
pub struct Damping {
    config: Option<Config>,
    recent: VecDeque<(Mono, ReplicaId, &'static str)>,
    open: BTreeMap<&'static str, Open>,
}

#[derive(Debug, Clone)]
struct Open {
    members: BTreeSet<ReplicaId>,
    trial: Option<ReplicaId>,
    trials: u32,
    next_trial: Mono,
}

/// Whether a replica may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// It is not held.
    Free,
    /// It would be the trial.
    Trial(&'static str),
    /// It waits; until then at least.
    Held(Option<Mono>, String),
}

impl Damping {
    /// Nothing has crashed.
    pub fn new(config: Option<Config>) -> Self {
        Self { config, recent: VecDeque::new(), open: BTreeMap::new() }
    }

    /// A changed configuration; "off" releases everybody.
    pub fn set_config(&mut self, config: Option<Config>) {
        self.config = config;
        if config.is_none() {
            self.recent.clear();
            self.open.clear();
        }
    }

    /// A replica has failed. When this opens the breaker: the text for people, and those that failed with it; whoever
    /// of them is still down should be held too.
    pub fn failed(&mut self, id: &ReplicaId, cause: &'static str, now: Mono) -> Option<(String, BTreeSet<ReplicaId>)> {
        let config = self.config?;
        while self.recent.front().is_some_and(|(at, ..)| now.since(*at) > config.window) {
            self.recent.pop_front();
        }
        for open in self.open.values_mut().filter(|open| open.trial.as_ref() == Some(id)) {
            let wait = TRIAL_FIRST.saturating_mul(1 << open.trials.min(10)).min(TRIAL_CAP);
            open.trial = None;
            open.trials += 1;
            open.next_trial = now + wait;
        }
        // It waits with those of its newest cause only.
        self.open.retain(|other, open| *other == cause || !open.members.remove(id) || !open.members.is_empty());
        if let Some(open) = self.open.get_mut(cause) {
            open.members.insert(id.clone());
            return None;
        }
        self.recent.push_back((now, id.clone(), cause));
        let members: BTreeSet<ReplicaId> =
            self.recent.iter().filter(|(_, _, c)| *c == cause).map(|(_, r, _)| r.clone()).collect();
        if members.len() < config.crashes as usize {
            return None;
        }
        let text = format!(
            "{} replicas failed within {} ({cause}); one is tried first",
            members.len(),
            super::span(config.window)
        );
        let open = Open { members: BTreeSet::from([id.clone()]), trial: None, trials: 0, next_trial: now };
        self.open.insert(cause, open);
        Some((text, members))
    }

    /// It is held as well, unless it waits already for another cause.
    pub fn hold(&mut self, id: &ReplicaId, cause: &'static str) {
        if self.open.values().any(|open| open.members.contains(id)) {
            return;
        }
        if let Some(open) = self.open.get_mut(cause) {
            open.members.insert(id.clone());
        }
    }

    /// May it start?
    pub fn gate(&self, id: &ReplicaId, now: Mono) -> Gate {
        for (cause, open) in &self.open {
            if !open.members.contains(id) {
                continue;
            }
            return match &open.trial {
                Some(trial) if trial == id => Gate::Free,
                Some(trial) => Gate::Held(None, format!("mass crash ({cause}): waits for the trial of {trial}")),
                None if open.next_trial > now => {
                    Gate::Held(Some(open.next_trial), format!("mass crash ({cause}): the next trial is not due"))
                }
                None => Gate::Trial(cause),
            };
        }
        Gate::Free
    }

    /// It starts as the trial of `cause`.
    pub fn begin_trial(&mut self, id: &ReplicaId, cause: &'static str) {
        if let Some(open) = self.open.get_mut(cause) {
            open.trial = Some(id.clone());
        }
    }

    /// Whether it is the trial of some cause, and how long it must stay well.
    pub fn is_trial(&self, id: &ReplicaId) -> Option<Duration> {
        let config = self.config?;
        self.open.values().any(|o| o.trial.as_ref() == Some(id)).then_some(config.window)
    }

    /// It has stayed well: the breaker closes. Returns those that were held, and the text.
    pub fn trial_passed(&mut self, id: &ReplicaId) -> Option<(Vec<ReplicaId>, String)> {
        let cause = *self.open.iter().find(|(_, o)| o.trial.as_ref() == Some(id))?.0;
        let open = self.open.remove(cause)?;
        self.recent.retain(|(_, _, c)| *c != cause);
        let text = format!("the trial {id} is well; {} others follow", open.members.len().saturating_sub(1));
        Some((open.members.into_iter().filter(|m| m != id).collect(), text))
    }

    /// It is gone, reset or stopped by hand: it neither holds nor is held. `true` when others may go ahead now.
    pub fn remove(&mut self, id: &ReplicaId) -> bool {
        let mut freed = false;
        self.open.retain(|_, open| {
            if open.members.remove(id) && open.trial.as_ref() == Some(id) {
                open.trial = None;
                freed = true;
            }
            !open.members.is_empty()
        });
        freed
    }

    /// Trials under way: cause and replica, for checks.
    pub fn trials(&self) -> impl Iterator<Item = (&'static str, &ReplicaId)> {
        self.open.iter().filter_map(|(cause, open)| Some((*cause, open.trial.as_ref()?)))
    }
}
