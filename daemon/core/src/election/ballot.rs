//! What a voter keeps on its disk, and has on its disk before anything that depends on it leaves.

use super::ids::{Boot, NodeName, Seat, Term};
use crate::fleet::Document;
use serde::{Deserialize, Serialize};

/// The voter file. Losing it, or going back to an older one, breaks promises: see [`Seat`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// The fleet it is for: another's votes are not ours.
    pub fleet: String,
    /// Whose.
    pub node: NodeName,
    /// Drawn when the file was made.
    pub seat: Seat,
    /// Starts of the daemon.
    pub boot: Boot,
    /// Highest term seen.
    pub term: Term,
    /// Who got this voter's vote in that term.
    pub voted_for: Option<NodeName>,
    /// The newest document, committed or not.
    pub document: Document,
}

impl Ballot {
    /// Of a voter that has never taken part. `seat` is drawn at random.
    pub fn new(fleet: &str, node: NodeName, seat: Seat, document: Document) -> Self {
        Self { fleet: fleet.to_owned(), node, seat, boot: Boot(0), term: document.ver.term, voted_for: None, document }
    }
}
