//! What to do next about one replica, and why. Pure: the same view gives the same decision, and once a decision has
//! been carried out the next one is to wait or to be content. Only this module starts or stops runs.
//!
//! A start passes these gates, in this order; the first that is shut is the reason people see:
//! attaching · node held or cordoned · unplaceable · stopped or paused by hand · parked · backoff or breaker ·
//! dependencies ready · order · team together · port · GPUs given · GPUs clean · damping · start rate.

mod gates;
mod order;

pub use order::GoingDown;

use crate::config::Resources;
use crate::desired::{Desired, Off};
use crate::gpu::books::Books;
use crate::ids::{ReplicaId, TeamName, WorkerName};
use crate::replica::{Replica, State};
use crate::restart::bucket::Bucket;
use crate::restart::damping::Damping;
use crate::time::Mono;
use std::collections::{BTreeMap, BTreeSet};

/// All that a decision may look at.
#[derive(Debug)]
pub struct View<'a> {
    /// What should be.
    pub desired: &'a Desired,
    /// What is.
    pub replicas: &'a BTreeMap<ReplicaId, Box<Replica>>,
    /// Workers of which every living replica should be down.
    pub going_down: &'a GoingDown,
    /// Counts per worker.
    pub tally: &'a BTreeMap<WorkerName, Tally>,
    /// Workers that hold back higher orders, with theirs: they have never been ready as a whole.
    pub unsettled: &'a BTreeSet<(i32, WorkerName)>,
    /// Teams that are going down together, with the reason.
    pub failing_teams: &'a BTreeMap<TeamName, String>,
    /// Mass crashes.
    pub damping: &'a Damping,
    /// Starts left.
    pub bucket: &'a Bucket,
    /// Cards.
    pub gpus: &'a Books,
}

/// Counts of one worker's replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// With a process, or about to have one.
    pub live: u32,
    /// Taking work.
    pub ready: u32,
}

/// What is to be done about a replica.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Ask for a port first.
    AllocatePort,
    /// Give it these cards first.
    AssignGpus(Vec<String>),
    /// Launch a run.
    Start,
    /// Send the stop signal.
    Stop,
    /// Finish its work, then stop.
    Drain,
    /// Stop it (with a drain or not) so that a new run can follow.
    Replace {
        /// Finish its work first.
        drain: bool,
    },
    /// Change limits of the live run.
    SetLimits(Resources),
    /// Freeze it.
    Pause,
    /// Thaw it.
    Resume,
    /// Cut it off the network, or give it back.
    Network {
        /// Cut off.
        deny: bool,
    },
    /// Nobody wants it and it is down.
    Forget,
}

impl Action {
    /// The word in `reevectl plan`.
    pub fn word(&self) -> &'static str {
        match self {
            Action::AllocatePort | Action::AssignGpus(_) | Action::Start => "start",
            Action::Stop => "stop",
            Action::Drain => "drain",
            Action::Replace { .. } => "replace",
            Action::SetLimits(_) => "set-limits",
            Action::Pause => "pause",
            Action::Resume => "resume",
            Action::Network { deny: true } => "isolate",
            Action::Network { deny: false } => "reconnect",
            Action::Forget => "forget",
        }
    }
}

/// A decision with its reason.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Do this.
    Act(Action, String),
    /// Something should be done, and this is in the way.
    Wait(Wait),
    /// All is as it should be.
    Content,
}

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// For people.
    pub reason: String,
    /// Look again at that time, if it can be said.
    pub until: Option<Mono>,
    /// Look again when this changes.
    pub on: On,
}

/// What a replica waits for, so that a change wakes those it concerns and nobody else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// Only time, the replica itself or a change of what is desired.
    Nothing,
    /// This worker: to be ready, or to be down.
    Worker(WorkerName),
    /// All orders lower than its own, this one, to be ready.
    LowerOrders(i32),
    /// All orders higher than its own, this one, to be down.
    HigherOrders(i32),
    /// Members of its team.
    Team(TeamName),
    /// More ready replicas of its own worker.
    Rolling(WorkerName),
    /// The trial of a mass crash.
    Damping,
    /// Its turn in the start rate of the node.
    Turn,
    /// GPUs to be free, well and clean.
    Gpus,
    /// More GPUs than this node has.
    MoreGpus,
}

fn wait(reason: impl Into<String>, on: On) -> Decision {
    Decision::Wait(Wait { reason: reason.into(), until: None, on })
}

/// Decides about one replica.
pub fn decide(view: &View<'_>, id: &ReplicaId, now: Mono) -> Decision {
    let Some(replica) = view.replicas.get(id) else {
        return Decision::Content;
    };
    if view.desired.attaching {
        return wait("waits for the list of what runs already", On::Nothing);
    }
    match off(view, id) {
        Some(off) if replica.state == State::Down => {
            let gone = view.desired.workers.get(&id.worker).is_none_or(|w| !w.indices.contains(&id.index));
            if gone && view.gpus.settles(id) {
                let left = view.gpus.gate(&replica.gpus).unwrap_or_default();
                wait(format!("{}; {left}", off.reason), On::Nothing)
            } else if gone && replica.strays.is_empty() {
                Decision::Act(Action::Forget, off.reason)
            } else {
                wait(off.reason, On::Nothing)
            }
        }
        Some(off) if replica.state.is_running() || replica.state == State::Launching => {
            if let Some((first, on)) = view.going_down.before(&id.worker) {
                return wait(format!("{}; {first} first", off.reason), on);
            }
            let drain = off.drain && replica.state != State::Launching && has_drain(replica);
            Decision::Act(if drain { Action::Drain } else { Action::Stop }, off.reason)
        }
        Some(_) => Decision::Content,
        None if replica.state == State::Down => gates::start(view, replica, now),
        None if replica.state.is_running() => keep(view, replica),
        None => Decision::Content,
    }
}

fn has_drain(replica: &Replica) -> bool {
    replica.def.as_ref().is_some_and(|d| d.drain.is_some())
}

/// Why a replica should be down, if it should.
pub fn off(view: &View<'_>, id: &ReplicaId) -> Option<Off> {
    let gentle = |reason: String| Some(Off { reason, drain: true });
    let Some(worker) = view.desired.workers.get(&id.worker) else {
        return gentle("its definition is gone".into());
    };
    if let Some(off) = &view.desired.all_off {
        return Some(off.clone());
    }
    if !worker.indices.contains(&id.index) {
        return gentle(format!("scaled to {}", worker.indices.len()));
    }
    if let Some(reason) = view.desired.stopped.get(id) {
        return Some(Off { reason: reason.clone(), drain: view.desired.draining.contains(id) });
    }
    if let Some(reason) = &worker.unplaceable {
        return gentle(format!("unplaceable: {reason}"));
    }
    if let Some(reason) = view.failing_teams.get(&worker.def.team) {
        return Some(Off { reason: reason.clone(), drain: false });
    }
    None
}

/// A running replica that should run: is it the right run, with the right limits, frozen or not?
fn keep(view: &View<'_>, replica: &Replica) -> Decision {
    let (Some(live), Some(worker)) = (&replica.live, view.desired.workers.get(&replica.id.worker)) else {
        return Decision::Content;
    };
    // An answer is awaited; then it is looked at again.
    if live.freezing {
        return Decision::Content;
    }
    let tried = replica.refused.is_some();
    match view.desired.paused.get(&replica.id) {
        Some(_) if !live.frozen && !tried => return Decision::Act(Action::Pause, "paused on request".into()),
        Some(deny) if *deny != live.isolated && !tried => {
            return Decision::Act(Action::Network { deny: *deny }, "isolation on request".into());
        }
        Some(_) => return Decision::Content,
        None if live.isolated && !tried => {
            return Decision::Act(Action::Network { deny: false }, "resumed on request".into());
        }
        None if live.frozen => return Decision::Act(Action::Resume, "nobody has paused it".into()),
        None => {}
    }
    // A card that is out takes nobody's work, whoever holds changes.
    if let Some(out) = view.gpus.sick(&replica.gpus) {
        let reason = format!("its GPU is out: {}", out.reason);
        return Decision::Act(Action::Replace { drain: !out.lost && has_drain(replica) }, reason);
    }
    let changed = live.digest != *worker.digest;
    let wish = match (&replica.wish, changed) {
        (Some(wish), _) => Some((wish.reason.clone(), wish.rolling, wish.drain)),
        (None, true) => Some(("its definition has changed".to_owned(), true, true)),
        (None, false) => None,
    };
    if let Some((reason, rolling, drain)) = wish {
        // A restart by hand is no new work: a cordon does not hold it.
        let cordon = view.desired.cordoned.as_ref().filter(|_| replica.wish.is_none());
        if let Some(hold) = view.desired.holds.first().or(cordon) {
            return wait(format!("{reason}; {hold}"), On::Nothing);
        }
        if rolling && let Some(why) = gates::rolling(view, replica) {
            return wait(format!("{reason}; {why}"), On::Rolling(replica.id.worker.clone()));
        }
        return Decision::Act(Action::Replace { drain: drain && has_drain(replica) }, reason);
    }
    if live.limits != worker.limits {
        return Decision::Act(Action::SetLimits(worker.limits), "its limits have changed".into());
    }
    Decision::Content
}

#[cfg(test)]
mod tests;
