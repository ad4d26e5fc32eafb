//! Duplicates fall: with several brokers everything comes once from each.

use crate::election::{Boot, NodeName, Seat, Sender};
use std::collections::BTreeMap;

/// More senders than a fleet may have nodes, so that made-up names cannot fill the memory.
const SENDERS: usize = 20_000;

/// The newest of one sender: a window as in RFC 4303 §3.4.3.
#[derive(Debug, Clone, Copy)]
struct Seen {
    seat: Seat,
    boot: Boot,
    newest: u64,
    /// Bit n: `newest - n` was seen.
    window: u128,
}

/// What was seen of each sender.
#[derive(Debug, Clone, Default)]
pub(super) struct Dedup {
    seen: BTreeMap<NodeName, Seen>,
}

impl Dedup {
    /// Whether a message is new. One that is older than the window, or of an earlier life of its sender, is not.
    pub(super) fn is_new(&mut self, from: &Sender, seq: u64) -> bool {
        let fresh = Seen { seat: from.seat, boot: from.boot, newest: seq, window: 1 };
        let Some(seen) = self.seen.get_mut(&from.node) else {
            if self.seen.len() >= SENDERS {
                return false;
            }
            self.seen.insert(from.node.clone(), fresh);
            return true;
        };
        // Another file counts its starts anew.
        if seen.seat != from.seat || seen.boot < from.boot {
            *seen = fresh;
            return true;
        }
        if seen.boot > from.boot {
            return false;
        }
        if seq > seen.newest {
            let ahead = u32::try_from(seq - seen.newest).unwrap_or(u32::MAX);
            seen.window = seen.window.checked_shl(ahead).unwrap_or(0) | 1;
            seen.newest = seq;
            return true;
        }
        let Some(bit) = u32::try_from(seen.newest - seq).ok().and_then(|back| 1_u128.checked_shl(back)) else {
            return false;
        };
        let new = seen.window & bit == 0;
        seen.window |= bit;
        new
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeSet;

    fn sender(boot: u64) -> Sender {
        Sender { node: NodeName::new("a").unwrap(), seat: Seat(1), boot: Boot(boot) }
    }

    #[test]
    fn rec_03_each_message_counts_once() {
        let mut dedup = Dedup::default();
        let from = sender(1);
        assert!(dedup.is_new(&from, 10) && !dedup.is_new(&from, 10));
        assert!(dedup.is_new(&from, 9), "late, but new");
        assert!(!dedup.is_new(&from, 9));
        assert!(dedup.is_new(&from, 137) && dedup.is_new(&from, 11) && !dedup.is_new(&from, 10));
        assert!(!dedup.is_new(&from, 8), "older than the window");
        assert!(dedup.is_new(&from, u64::MAX) && !dedup.is_new(&from, 138));
        assert!(dedup.is_new(&sender(2), 1) && !dedup.is_new(&from, 12), "of an earlier life");
        let other = Sender { seat: Seat(9), ..sender(1) };
        assert!(dedup.is_new(&other, 1), "a new file counts from the start");
    }

    /// Against a set that remembers everything: nothing comes twice, and nothing that is at most 127 behind is lost.
    #[test]
    fn it_agrees_with_a_set_that_forgets_nothing() {
        let mut rng = Rng::new(7);
        let (mut dedup, mut all, mut newest) = (Dedup::default(), BTreeSet::new(), 0);
        for _ in 0..100_000 {
            let seq = (newest + 5_u64).saturating_sub(rng.below(200));
            let new = dedup.is_new(&sender(1), seq);
            let first = all.insert(seq);
            newest = newest.max(seq);
            assert!(!new || first, "{seq} came twice");
            assert!(new || !first || newest - seq >= 128, "{seq} was lost at {newest}");
        }
    }
}
