//! What should be: configuration and operators' decisions, joined. Pure and cheap to make anew.

use crate::config::{Config, Resources, Worker};
use crate::ids::{ReplicaId, TeamName, WorkerName};
use crate::persist::NodeRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What should be on this node.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// Per worker.
    pub workers: BTreeMap<WorkerName, DesiredWorker>,
    /// Replicas an operator has stopped, with the reason.
    pub stopped: BTreeMap<ReplicaId, String>,
    /// Those of them that finish their work first.
    pub draining: BTreeSet<ReplicaId>,
    /// Replicas an operator has paused, and whether they are off the network too.
    pub paused: BTreeMap<ReplicaId, bool>,
    /// Teams whose members fail and start together, with their workers.
    pub together: BTreeMap<TeamName, Vec<WorkerName>>,
    /// Everything goes down, for this reason: node drain or shutdown.
    pub all_off: Option<Off>,
    /// Nothing is started, restarted or replaced, for these reasons: holds, the daemon is ending.
    pub holds: Vec<String>,
    /// Nothing new is started for this reason: what runs goes on, and is restarted when it fails.
    pub cordoned: Option<String>,
    /// It is not known yet what runs already: nothing at all is done.
    pub attaching: bool,
}

/// Why something should not run, and how gently it goes down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Off {
    /// For people.
    pub reason: String,
    /// Finish work first.
    pub drain: bool,
}

/// One worker.
#[derive(Debug, Clone)]
pub struct DesiredWorker {
    /// Its definition.
    pub def: Arc<Worker>,
    /// Digest of what a new run would be.
    pub digest: Arc<str>,
    /// Limits with those set by hand.
    pub limits: Resources,
    /// Numbers of its replicas.
    pub indices: BTreeSet<u32>,
    /// It does not fit this node.
    pub unplaceable: Option<String>,
}

/// Joins configuration and decisions. `limits` have been checked when they were set; `former` spares making digests of
/// definitions that have not changed.
pub fn desired(config: &Config, node: &NodeRecord, former: &Desired) -> Desired {
    let workers: BTreeMap<_, _> = config
        .workers
        .iter()
        .map(|(name, def)| {
            let wanted = node.scaled.get(name).copied().unwrap_or(def.replicas);
            let indices = match node.indices.get(name) {
                Some(kept) if kept.len() == wanted as usize => kept.clone(),
                _ => (1..=wanted).collect(),
            };
            let limits = node.limits.get(name).map_or(def.resources, |set| crate::limits::apply(def.resources, set));
            let worker = DesiredWorker {
                def: def.clone(),
                digest: match former.workers.get(name) {
                    Some(f) if Arc::ptr_eq(&f.def, def) => Arc::clone(&f.digest),
                    _ => def.run_digest().into(),
                },
                limits,
                indices,
                unplaceable: unplaceable(config, def),
            };
            (name.clone(), worker)
        })
        .collect();
    let mut together: BTreeMap<TeamName, Vec<WorkerName>> =
        config.teams.iter().filter(|(_, t)| t.fail_together).map(|(n, _)| (n.clone(), Vec::new())).collect();
    for (name, def) in &config.workers {
        if let Some(members) = together.get_mut(&def.team) {
            members.push(name.clone());
        }
    }
    Desired {
        workers,
        stopped: node.stopped.clone(),
        draining: node.draining.clone(),
        paused: node.paused.clone(),
        together,
        all_off: node.drained.as_ref().map(|why| Off { reason: format!("node drained: {why}"), drain: true }),
        holds: Vec::new(),
        cordoned: node.cordoned.as_ref().map(|why| format!("node cordoned: {why}")),
        attaching: false,
    }
}

/// SUP-06: a worker whose `node_selector` does not match the node's labels is not started.
fn unplaceable(config: &Config, def: &Worker) -> Option<String> {
    let (key, want) = def.node_selector.iter().find(|(k, v)| config.node.labels.get(*k) != Some(v))?;
    Some(match config.node.labels.get(key) {
        Some(have) => format!("it needs a node with {key} = {want:?}, here it is {have:?}"),
        None => format!("it needs a node with {key} = {want:?}, this node has no such label"),
    })
}

/// Which replica numbers to keep when `wanted` are to remain (SUP-03, SCL-06). `cost` orders the present ones: those
/// with the lowest go first, so that a replica with work is chosen last; among equals the highest number goes.
pub fn choose(present: &BTreeSet<u32>, wanted: u32, cost: impl Fn(u32) -> (u8, u64)) -> BTreeSet<u32> {
    let mut kept = present.clone();
    while kept.len() > wanted as usize {
        let Some(victim) = kept.iter().copied().min_by_key(|i| (cost(*i), std::cmp::Reverse(*i))) else {
            break;
        };
        kept.remove(&victim);
    }
    let mut next = 1;
    while kept.len() < wanted as usize {
        kept.insert(next);
        next += 1;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::choose;
    use std::collections::BTreeSet;

    #[test]
    fn sup_03_a_replica_with_work_is_chosen_last() {
        let present: BTreeSet<u32> = (1..=5).collect();
        let busy = |i: u32| if i == 5 { (3, 2) } else { (1, 0) };
        assert_eq!(choose(&present, 3, busy), BTreeSet::from([1, 2, 5]));
        assert_eq!(choose(&present, 7, busy), (1..=7).collect());
        assert_eq!(choose(&BTreeSet::from([2, 5]), 3, busy), BTreeSet::from([1, 2, 5]));
        assert_eq!(choose(&present, 0, busy), BTreeSet::new());
    }
}
