//! Starts under way, and the replicas that wait for their turn.
//!
//! One that waits is nothing but a name here: its unit is rendered, and its conversation with PID 1 begun, when its turn
//! has come. A thousand at once would hold all of that at the same time, and leave the heap in pieces.

use reeve_core::ReplicaId;
use std::collections::{BTreeSet, VecDeque};

/// Starts under way at once. PID 1 takes calls and runs jobs in turns, so a few make it wait for us; more only makes a
/// queue inside it.
const AT_ONCE: usize = 32;

/// First come, first served.
#[derive(Debug, Default)]
pub(super) struct Turns {
    under_way: usize,
    line: VecDeque<ReplicaId>,
    /// Those in the line.
    waiting: BTreeSet<ReplicaId>,
}

impl Turns {
    /// Whether a start of this replica may begin; if not, it waits for [`Turns::next`]. Each `true` is given back by
    /// [`Turns::over`].
    pub fn may_start(&mut self, replica: &ReplicaId) -> bool {
        let may = self.under_way < AT_ONCE;
        if may {
            self.under_way += 1;
        } else if self.waiting.insert(replica.clone()) {
            self.line.push_back(replica.clone());
        }
        may
    }

    /// A start is over, or was not one.
    pub fn over(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Who may try next, if there is room.
    pub fn next(&mut self) -> Option<ReplicaId> {
        if self.under_way >= AT_ONCE {
            return None;
        }
        let next = self.line.pop_front()?;
        self.waiting.remove(&next);
        Some(next)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_served_once_and_in_order() {
        let replica = |n: usize| -> ReplicaId { format!("web/{n}").parse().unwrap() };
        let mut turns = Turns::default();
        for n in 1..=AT_ONCE {
            assert!(turns.may_start(&replica(n)));
        }
        let (first, second) = (replica(AT_ONCE + 1), replica(AT_ONCE + 2));
        for late in [&first, &second, &first] {
            assert!(!turns.may_start(late));
        }
        assert_eq!(turns.next(), None);
        turns.over();
        turns.over();
        assert_eq!(turns.next(), Some(first));
        assert_eq!(turns.next(), Some(second));
        assert_eq!(turns.next(), None);
    }
}
