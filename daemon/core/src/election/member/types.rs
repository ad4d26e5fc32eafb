//! What a member is told, what it wants done, and how it sees the fleet.

use crate::election::ballot::Ballot;
use crate::election::ids::{Mark, NodeName, Term, Ver};
use crate::election::message::{Message, Sender};
use crate::election::table::{Kind, Role};
use crate::time::Mono;
use std::time::Duration;

/// What happens to a member.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A message for this node, of this fleet, whose sender is who it says.
    Received(Sender, Message),
    /// The deadline has come.
    Tick,
    /// All writes up to this one are on the disk.
    Written(Mark),
    /// A write failed; why.
    WriteFailed(String),
    /// A broker says that this node's connection is gone: a hint, never a proof.
    LeaderGone(NodeName),
}

impl Event {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Event::Received(_, message) => match message {
                Message::PreVote { .. } => Kind::PreVote,
                Message::PreVoteReply { .. } => Kind::PreVoteReply,
                Message::Vote { .. } => Kind::Vote,
                Message::VoteReply { .. } => Kind::VoteReply,
                Message::Beat { .. } => Kind::Beat,
                Message::BeatReply { .. } => Kind::BeatReply,
                Message::TimeoutNow { .. } => Kind::TimeoutNow,
            },
            Event::Tick => Kind::Tick,
            Event::Written(_) => Kind::Written,
            Event::WriteFailed(_) => Kind::WriteFailed,
            Event::LeaderGone(_) => Kind::LeaderGone,
        }
    }
}

/// What a member wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Write the voter file, and its folder, through to the disk: a barrier.
    Write(Mark, Ballot),
    /// Send a message.
    Send(NodeName, Message),
    /// A majority has this version of the document.
    Committed(Ver),
    /// Something an operator wants to know.
    Told(Told),
}

/// What an operator wants to know of an election.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Told {
    /// This node stands.
    Stands {
        /// In which term.
        term: Term,
        /// Why.
        cause: Cause,
    },
    /// This node leads.
    Leads {
        /// In which term.
        term: Term,
        /// Who has voted for it.
        votes: Vec<NodeName>,
        /// From standing to being elected.
        took: Duration,
    },
    /// This node leads no more.
    LeadsNoMore {
        /// Of which term.
        term: Term,
        /// Why.
        why: String,
    },
    /// Another leads.
    Follows {
        /// In which term.
        term: Term,
        /// Who.
        leader: NodeName,
    },
    /// This node votes no more.
    Silent(String),
}

/// Why a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// There is no other voter.
    Alone,
    /// Nothing was heard of a leader for long enough.
    Silence,
    /// As above, and a broker had told that its connection was gone.
    Gone,
    /// The leader asked for it.
    HandOver,
}

/// How a member sees the fleet, for showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its role.
    pub role: Role,
    /// Highest term it has seen.
    pub term: Term,
    /// Who leads in that term, as far as it knows.
    pub leader: Option<NodeName>,
    /// Until when it may act as the leader.
    pub lease_end: Option<Mono>,
    /// Newest document it has.
    pub ver: Ver,
    /// Newest it knows to be committed.
    pub commit: Ver,
    /// Why it votes no more.
    pub silent: Option<String>,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Cause::Alone => "there is no other voter",
            Cause::Silence => "no leader was heard",
            Cause::Gone => "no leader was heard, and a broker had lost its connection",
            Cause::HandOver => "the leader hands over",
        })
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Told::Stands { term, cause } => write!(f, "stands in term {term}: {cause}"),
            Told::Leads { term, votes, took } => {
                let votes: Vec<_> = votes.iter().map(NodeName::as_str).collect();
                write!(f, "leads in term {term}, by the votes of {}, after {} ms", votes.join(", "), took.as_millis())
            }
            Told::LeadsNoMore { term, why } => write!(f, "leads no more in term {term}: {why}"),
            Told::Follows { term, leader } => write!(f, "follows {leader} in term {term}"),
            Told::Silent(why) => write!(f, "votes no more: {why}"),
        }
    }
}
