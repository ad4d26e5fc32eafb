//! What voters say to each other. Domain types: the door to MQTT has its own.

use super::ids::{Boot, NodeName, Seat, Term, Ver};
use crate::fleet::{Bound, Document};
use crate::time::Mono;

/// Who says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sender {
    /// Node.
    pub node: NodeName,
    /// Its voter file.
    pub seat: Seat,
    /// Its daemon.
    pub boot: Boot,
}

impl Sender {
    /// What the document knows of a voter.
    pub fn bound(&self) -> Bound {
        Bound { seat: self.seat, boot: self.boot }
    }

    /// As a vote is counted.
    pub(super) fn granted(self) -> (NodeName, Bound) {
        let bound = self.bound();
        (self.node, bound)
    }
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// Would you vote for me in this term? Changes nothing at the receiver (Raft dissertation §9.6).
    PreVote {
        /// The term it would stand in.
        term: Term,
        /// Its document.
        ver: Ver,
        /// Comes back with the answer.
        nonce: u64,
    },
    /// Answer.
    PreVoteReply {
        /// The answerer's own term.
        term: Term,
        /// Of the question.
        nonce: u64,
        /// Yes or no.
        granted: bool,
    },
    /// Vote for me.
    Vote {
        /// The term it stands in.
        term: Term,
        /// Its document.
        ver: Ver,
        /// The leader has asked it to take over, and holds no lease any more.
        handover: bool,
    },
    /// Answer.
    VoteReply {
        /// The answerer's own term.
        term: Term,
        /// Yes or no.
        granted: bool,
    },
    /// I lead.
    Beat {
        /// Term.
        term: Term,
        /// Version of the leader's document.
        ver: Ver,
        /// The document, when the receiver may not have it.
        document: Option<Document>,
        /// What a majority has.
        commit: Ver,
        /// When it was sent, by the leader's clock; comes back with the answer.
        sent: Mono,
    },
    /// Answer.
    BeatReply {
        /// The answerer's own term.
        term: Term,
        /// What it has on its disk.
        ver: Ver,
        /// Of the beat.
        sent: Mono,
    },
    /// Stand at once: I give up my lease and name you my heir (Raft dissertation §3.10).
    TimeoutNow {
        /// Term of the leader.
        term: Term,
    },
}

impl Message {
    /// The sender's term, or the one it would stand in.
    pub fn term(&self) -> Term {
        match self {
            Message::PreVote { term, .. }
            | Message::PreVoteReply { term, .. }
            | Message::Vote { term, .. }
            | Message::VoteReply { term, .. }
            | Message::Beat { term, .. }
            | Message::BeatReply { term, .. }
            | Message::TimeoutNow { term } => *term,
        }
    }
}
