//! Memory events of replicas over all their runs.
//!
//! The kernel counts them in the cgroup, which goes away with the run: the last kill is the one that nobody can read any
//! more. So the counts of ended runs are kept here by replica, and an end for memory that no look has seen is added from
//! its exit record.

use crate::ids::{ReplicaId, RunId};
use std::collections::BTreeMap;

/// The events of `memory.events`, in the order of [`Counts`].
pub const MEMORY_EVENTS: [&str; 6] = ["low", "high", "max", "oom", "oom_kill", "oom_group_kill"];

/// One count per event; `None` where the kernel does not keep it.
pub type Counts = [Option<u64>; MEMORY_EVENTS.len()];

const OOM_KILL: usize = 4;

/// Counts of all replicas, since this was made.
#[derive(Debug, Default)]
pub struct MemoryEvents {
    replicas: BTreeMap<ReplicaId, Tally>,
}

/// What is known of one replica.
#[derive(Debug, Default)]
struct Tally {
    /// Of runs that are over.
    past: Counts,
    /// The run that lives, or lived last.
    run: Option<RunId>,
    seen: Counts,
    /// The end of `run` has been told.
    over: bool,
    /// The run before, when its end had not been told by then, and whether a kill of it was seen.
    before: Option<(RunId, bool)>,
}

impl MemoryEvents {
    /// What `memory.events` of a living run says.
    pub fn look(&mut self, replica: &ReplicaId, run: RunId, counts: Counts) {
        let tally = self.of(replica, run);
        // Within a run a count never falls; a cgroup that was made anew under the same run begins at nothing.
        if tally.seen.iter().zip(&counts).any(|(before, now)| now.is_some() && now < before) {
            tally.settle(run);
        }
        for (seen, now) in tally.seen.iter_mut().zip(counts) {
            *seen = now.or(*seen);
        }
    }

    /// A run has ended; `oom` when the kernel killed it for memory. Said twice, it counts once.
    pub fn ended(&mut self, replica: &ReplicaId, run: RunId, oom: bool) {
        if let Some(tally) = self.replicas.get_mut(replica)
            && tally.run != Some(run)
            && !tally.over
        {
            // Runs follow one another: while one lives, only those before it can have ended.
            let seen = tally.before.take_if(|(id, _)| *id == run);
            if oom && seen.is_some_and(|(_, kill)| !kill) {
                tally.past[OOM_KILL] = sum(tally.past[OOM_KILL], Some(1));
            }
            return;
        }
        let tally = self.of(replica, run);
        if !std::mem::replace(&mut tally.over, true) && oom && tally.seen[OOM_KILL].unwrap_or(0) == 0 {
            tally.seen[OOM_KILL] = Some(1);
        }
    }

    /// Forgets replicas that are not configured any more.
    pub fn retain(&mut self, mut configured: impl FnMut(&ReplicaId) -> bool) {
        self.replicas.retain(|replica, _| configured(replica));
    }

    /// Each replica with its counts.
    pub fn totals(&self) -> impl Iterator<Item = (&ReplicaId, Counts)> {
        self.replicas.iter().map(|(replica, tally)| {
            let counts = std::array::from_fn(|i| sum(tally.past[i], tally.seen[i]));
            (replica, counts)
        })
    }

    fn of(&mut self, replica: &ReplicaId, run: RunId) -> &mut Tally {
        if !self.replicas.contains_key(replica) {
            self.replicas.insert(replica.clone(), Tally::default());
        }
        let tally = self.replicas.entry(replica.clone()).or_default();
        if tally.run != Some(run) {
            tally.settle(run);
        }
        tally
    }
}

impl Tally {
    /// Adds what was seen to what is past, and begins with `run`.
    fn settle(&mut self, run: RunId) {
        let before = self.run.replace(run).filter(|id| *id != run && !self.over);
        self.before = before.map(|id| (id, self.seen[OOM_KILL].unwrap_or(0) > 0));
        for (past, seen) in self.past.iter_mut().zip(std::mem::take(&mut self.seen)) {
            *past = sum(*past, seen);
        }
        self.over = false;
    }
}

/// Two counts together; unknown only when both are.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::WorkerName;

    fn replica(n: u32) -> ReplicaId {
        #[expect(clippy::unwrap_used, reason = "tests")]
        ReplicaId::new(WorkerName::new("web").unwrap(), n)
    }

    fn run(n: u8) -> RunId {
        RunId([n; 16])
    }

    fn counts(oom_kill: u64) -> Counts {
        [Some(0), Some(0), Some(3), Some(oom_kill), Some(oom_kill), None]
    }

    fn kills(events: &MemoryEvents) -> Vec<(u32, Option<u64>)> {
        events.totals().map(|(id, counts)| (id.index, counts[OOM_KILL])).collect()
    }

    #[test]
    fn met_02_counts_survive_the_cgroup() {
        let mut events = MemoryEvents::default();
        events.look(&replica(1), run(1), counts(1));
        events.ended(&replica(1), run(1), true);
        events.look(&replica(1), run(2), counts(0));
        assert_eq!(kills(&events), [(1, Some(1))]);
        events.look(&replica(1), run(2), counts(2));
        assert_eq!(kills(&events), [(1, Some(3))]);
        assert_eq!(events.totals().next().map(|(_, counts)| counts[2]), Some(Some(6)));
    }

    #[test]
    fn met_02_a_kill_that_no_look_has_seen_counts_from_the_record_once() {
        let mut events = MemoryEvents::default();
        events.look(&replica(1), run(1), counts(0));
        events.ended(&replica(1), run(1), true);
        events.ended(&replica(1), run(1), true);
        assert_eq!(kills(&events), [(1, Some(1))]);
        // A run that lived between two looks.
        events.ended(&replica(1), run(2), true);
        events.ended(&replica(1), run(3), false);
        assert_eq!(kills(&events), [(1, Some(2))]);
    }

    #[test]
    fn met_02_an_end_told_late_counts_for_the_run_before() {
        let mut events = MemoryEvents::default();
        events.look(&replica(1), run(1), counts(0));
        events.look(&replica(1), run(2), counts(1));
        events.ended(&replica(1), run(1), true);
        events.ended(&replica(1), run(1), true);
        events.look(&replica(1), run(2), counts(1));
        assert_eq!(kills(&events), [(1, Some(2))]);
    }

    #[test]
    fn met_02_what_the_host_does_not_count_is_unknown() {
        let mut events = MemoryEvents::default();
        events.look(&replica(1), run(1), [None; 6]);
        events.ended(&replica(1), run(1), false);
        assert_eq!(kills(&events), [(1, None)]);
        events.look(&replica(2), run(9), counts(1));
        assert_eq!(kills(&events), [(1, None), (2, Some(1))]);
        events.retain(|id| id.index == 2);
        assert_eq!(kills(&events), [(2, Some(1))]);
    }

    #[test]
    fn met_02_a_count_that_falls_is_a_new_cgroup() {
        let mut events = MemoryEvents::default();
        events.look(&replica(1), run(1), counts(4));
        events.look(&replica(1), run(1), counts(1));
        assert_eq!(kills(&events), [(1, Some(5))]);
    }
}
