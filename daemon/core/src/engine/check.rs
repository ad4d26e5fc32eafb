//! The core looks at itself: what is kept beside the replicas must agree with them. For simulations.

use super::Core;
use crate::plan::{self, Decision, On, Tally};
use crate::replica::State;
use crate::timers::Timer;
use std::collections::BTreeMap;

impl Core {
    /// Recomputes what is kept for speed, and looks for a replica that nobody would ever look at again. Costs as much
    /// as deciding about everything anew.
    pub fn check(&self) -> Result<(), String> {
        self.check_counts()?;
        self.check_order()?;
        let mut entries = 0;
        for (id, replica) in &self.replicas {
            let wrong = |what: &str| Err(format!("{id} is {:?}: {what}", replica.state));
            if replica.live.is_some() != replica.state.is_live() {
                return wrong("its run and its state disagree");
            }
            let has = |timer| self.timers.get(id, timer).is_some();
            let bounded = matches!(
                replica.state,
                State::Launching
                    | State::Aborting
                    | State::Starting
                    | State::Draining
                    | State::Saving
                    | State::Stopping
                    | State::Killing
            );
            if bounded != has(Timer::State) {
                return wrong(if bounded { "nothing ends this state" } else { "its deadline has no state" });
            }
            if has(Timer::Disarm) != replica.armed.is_some() || (replica.armed.is_some() && replica.state.is_live()) {
                return wrong("its dead-man timer is not as armed");
            }
            if let Some(wait) = &replica.waits {
                entries += usize::from(wait.on != On::Nothing);
                if !self.waiting.contains(id, &wait.on) {
                    return wrong(&format!("nobody would wake it: {}", wait.reason));
                }
                if wait.on != On::Turn && wait.until != self.timers.get(id, Timer::Start) {
                    return wrong(&format!("its start timer is not set for: {}", wait.reason));
                }
            }
            match plan::decide(&self.view(), id, self.now.mono) {
                Decision::Act(action, reason) => {
                    let known = &replica.waits;
                    return wrong(&format!("{} was left undone: {reason}; it waits for {known:?}", action.word()));
                }
                // It may be known to wait for a later gate while an earlier one has shut again: when the later one
                // opens it is looked at, and then waits for the earlier one.
                Decision::Wait(wait) if replica.waits.is_none() => {
                    return wrong(&format!("waits and does not know it: {}", wait.reason));
                }
                Decision::Content if replica.waits.is_some() => {
                    return wrong(&format!("still waits for {:?}", replica.waits));
                }
                Decision::Wait(_) | Decision::Content => {}
            }
        }
        if entries != self.waiting.len() {
            return Err(format!("{entries} replicas wait, {} are registered", self.waiting.len()));
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), String> {
        let mut tally: BTreeMap<_, Tally> = BTreeMap::new();
        for (id, replica) in &self.replicas {
            let entry = tally.entry(id.worker.clone()).or_default();
            entry.live += u32::from(replica.state.is_live());
            entry.ready += u32::from(replica.is_ready());
        }
        let live: u32 = tally.values().map(|t| t.live).sum();
        for (name, count) in &tally {
            let kept = self.tally.get(name).copied().unwrap_or_default();
            if kept != *count {
                return Err(format!("{name}: {count:?}, counted {kept:?}"));
            }
        }
        if live != self.live || self.tally.values().map(|t| t.live).sum::<u32>() != live {
            return Err(format!("{live} live, counted {}", self.live));
        }
        Ok(())
    }

    fn check_order(&self) -> Result<(), String> {
        let fresh = self.all_unsettled();
        if fresh != self.unsettled {
            return Err(format!("unsettled: {fresh:?}, kept {:?}", self.unsettled));
        }
        Ok(())
    }

    /// Trials of mass crashes under way: cause and replica.
    pub fn trials(&self) -> Vec<(String, crate::ids::ReplicaId)> {
        self.damping.trials().map(|(cause, id)| (cause.to_owned(), id.clone())).collect()
    }
}
