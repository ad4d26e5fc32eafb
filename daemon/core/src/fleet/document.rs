//! The document: all that the fleet decides together, in one piece, small enough for one message.

use super::slot::{Slot, SlotId};
use crate::election::{Boot, NodeName, Seat, Ver};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which voter file belongs to a voter's name, and the last start of its daemon that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bound {
    /// Voter file.
    pub seat: Seat,
    /// Start.
    pub boot: Boot,
}

/// One version of it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Document {
    /// Version.
    pub ver: Ver,
    /// Who elects, and which file of each counts; `None` only as long as the fleet has never had a leader.
    pub voters: Arc<BTreeMap<NodeName, Option<Bound>>>,
    /// Slots that are granted or suspect (MNT-09).
    #[serde(default)]
    pub slots: Arc<BTreeMap<SlotId, Slot>>,
    /// No new slots, and why.
    #[serde(default)]
    pub frozen: Option<String>,
}

/// A change of who elects: one voter at a time, so that any majority before shares a voter with any majority after
/// (Raft dissertation §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoterChange {
    /// A voter more, as it was heard.
    Add(NodeName, Bound),
    /// A voter less.
    Remove(NodeName),
}

/// Why voters stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoterChangeError {
    /// Of `Add`.
    #[error("{0} is a voter already")]
    Is(NodeName),
    /// Of `Remove`.
    #[error("{0} is no voter")]
    IsNot(NodeName),
    /// Of `Remove`.
    #[error("{0} is the only voter; add another first")]
    Last(NodeName),
    /// Of `Remove`.
    #[error("{0} leads; hand over first")]
    Leads(NodeName),
    /// Of `Add`.
    #[error("there are {0} voters, expected at most 5; more make each decision slower and none safer")]
    Many(usize),
}

/// More than this many are refused; 6 exists in passing, when one of five is replaced.
const MOST_VOTERS: usize = 6;

impl Document {
    /// Of a fleet that has never had a leader: `voters` as configured, the same on each of them.
    pub fn founding(voters: impl IntoIterator<Item = NodeName>) -> Self {
        Self {
            ver: Ver::default(),
            voters: Arc::new(voters.into_iter().map(|name| (name, None)).collect()),
            slots: Arc::default(),
            frozen: None,
        }
    }

    /// Whether the fleet has never had a leader, as far as this version tells.
    pub fn is_founding(&self) -> bool {
        self.ver == Ver::default()
    }

    /// How many voters decide: more than half of them; for the first leader all, so that the file of each is known
    /// from then on, and none that has lost its file can help to found the fleet a second time.
    pub fn majority(&self) -> usize {
        if self.is_founding() { self.voters.len() } else { self.voters.len() / 2 + 1 }
    }

    /// Whether a message of `node`, with this file and this start, may count: it is a voter, and not one that has
    /// forgotten what it promised.
    pub fn counts(&self, node: &NodeName, bound: Bound) -> bool {
        match self.voters.get(node) {
            None => false,
            Some(None) => true,
            Some(Some(known)) => known.seat == bound.seat && bound.boot >= known.boot,
        }
    }

    /// With one voter more or less; `leader` cannot be removed.
    ///
    /// # Errors
    /// If nothing would change, or too many or none would be left.
    pub fn with_voter_change(&self, change: &VoterChange, leader: &NodeName) -> Result<Document, VoterChangeError> {
        let mut voters = BTreeMap::clone(&self.voters);
        match change {
            VoterChange::Add(name, _) if voters.contains_key(name) => return Err(VoterChangeError::Is(name.clone())),
            VoterChange::Add(..) if voters.len() >= MOST_VOTERS => return Err(VoterChangeError::Many(voters.len())),
            VoterChange::Add(name, bound) => {
                voters.insert(name.clone(), Some(*bound));
            }
            VoterChange::Remove(name) if !voters.contains_key(name) => {
                return Err(VoterChangeError::IsNot(name.clone()));
            }
            VoterChange::Remove(name) if voters.len() == 1 => return Err(VoterChangeError::Last(name.clone())),
            VoterChange::Remove(name) if name == leader => return Err(VoterChangeError::Leads(name.clone())),
            VoterChange::Remove(name) => {
                voters.remove(name);
            }
        }
        Ok(Document { voters: Arc::new(voters), ..self.clone() })
    }

    /// With these voters bound to these files and starts. Nodes that are no voters are left out.
    pub fn with_bound(&self, heard: impl IntoIterator<Item = (NodeName, Bound)>) -> Document {
        let mut voters = BTreeMap::clone(&self.voters);
        for (node, bound) in heard {
            if let Some(place) = voters.get_mut(&node) {
                *place = Some(bound);
            }
        }
        Document { voters: Arc::new(voters), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::Term;

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap_or_else(|e| unreachable!("{e}"))
    }

    fn bound(seat: u64, boot: u64) -> Bound {
        Bound { seat: Seat(seat), boot: Boot(boot) }
    }

    fn founded(names: &[&str]) -> Document {
        let names: Vec<_> = names.iter().map(|n| name(n)).collect();
        let heard: Vec<_> = names.iter().map(|n| (n.clone(), bound(1, 1))).collect();
        Document { ver: Ver { term: Term(1), n: 1 }, ..Document::founding(names).with_bound(heard) }
    }

    #[test]
    fn all_found_a_fleet_and_more_than_half_keep_it() {
        assert_eq!(Document::founding(["a", "b", "c"].map(name)).majority(), 3);
        for (names, majority) in [(&["a"][..], 1), (&["a", "b"], 2), (&["a", "b", "c"], 2), (&["a", "b", "c", "d"], 3)]
        {
            assert_eq!(founded(names).majority(), majority, "{names:?}");
        }
    }

    #[test]
    fn a_voter_that_has_lost_its_file_does_not_count() {
        let document = founded(&["a", "b"]).with_bound([(name("a"), bound(7, 3)), (name("x"), bound(1, 1))]);
        assert!(document.counts(&name("a"), bound(7, 3)) && document.counts(&name("a"), bound(7, 4)));
        assert!(!document.counts(&name("a"), bound(8, 3)), "another file");
        assert!(!document.counts(&name("a"), bound(7, 2)), "an old image");
        assert!(!document.counts(&name("x"), bound(1, 1)), "no voter");
        assert!(Document::founding([name("a")]).counts(&name("a"), bound(8, 1)));
    }

    #[test]
    fn voters_change_one_at_a_time_and_never_to_none() {
        use VoterChangeError as E;
        let (a, b) = (name("a"), name("b"));
        let two = founded(&["a", "b"]);
        let add = |n: &str| VoterChange::Add(name(n), bound(2, 1));
        let remove = |n: &str| VoterChange::Remove(name(n));
        let change = |document: &Document, change| document.with_voter_change(&change, &a);
        assert_eq!(change(&two, add("c")).map(|d| d.voters.len()), Ok(3));
        assert_eq!(change(&two, remove("b")).map(|d| d.voters.len()), Ok(1));
        assert_eq!(change(&two, add("b")), Err(E::Is(b.clone())));
        assert_eq!(change(&two, remove("x")), Err(E::IsNot(name("x"))));
        assert_eq!(change(&two, remove("a")), Err(E::Leads(a.clone())));
        assert_eq!(change(&founded(&["b"]), remove("b")), Err(E::Last(b)));
        assert_eq!(change(&founded(&["a", "b", "c", "d", "e", "f"]), add("g")), Err(E::Many(6)));
    }
}
