//! What nodes say to each other besides the election. Domain types: the door to MQTT has its own.

use super::document::Bound;
use super::node::NodeReport;
use super::slot::SlotId;
use crate::election::{Message, NodeName, Term, Ver};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Something that is said.
#[derive(Debug, Clone, PartialEq)]
pub enum Talk {
    /// Between voters.
    Election(Message),
    /// The leader to all.
    Beacon(Beacon),
    /// A node is here, or leaves; said for it by a broker: is gone.
    Presence(Presence),
    /// A node of itself.
    Report(Arc<NodeReport>),
    /// A node wants something of the leader.
    Ask(Ask),
    /// The leader answers.
    Answer(Answer),
    /// A node to itself, through one broker (HLT-10, MET-14).
    Echo(u64),
}

/// To whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// One voter.
    Voter(NodeName),
    /// Everybody; kept by the brokers.
    All,
    /// Whoever reads the registry; kept by the brokers.
    Registry,
    /// Voters: whoever leads answers.
    Leader,
    /// One node.
    Node(NodeName),
}

/// I lead, and the fleet stands thus.
#[derive(Debug, Clone, PartialEq)]
pub struct Beacon {
    /// Term.
    pub term: Term,
    /// What is committed.
    pub commit: Ver,
    /// Time between two reports of a node.
    pub interval: Duration,
    /// Who elects.
    pub voters: Vec<NodeName>,
    /// Nodes that are known.
    pub nodes: u32,
    /// No new slots, and why.
    pub frozen: Option<String>,
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It has come.
    Here,
    /// Its daemon ends, as it was asked to.
    Leaves,
    /// A broker has lost its connection: its last will. A hint, never a proof.
    Gone,
}

/// A node wants something. Repeated until it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Comes back with the answer. A grant counts from when the first ask with it was sent.
    pub nonce: u64,
    /// For how long it has been wanted: keeps the order over a change of the leader.
    pub waited: Duration,
    /// What.
    pub want: Want,
    /// Why, and who wants it.
    pub reason: String,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// A slot.
    Slot {
        /// Named by the asker.
        id: SlotId,
        /// What for.
        kind: String,
        /// Labels of the asker: one of them may decide the group.
        labels: BTreeMap<String, String>,
    },
    /// To hold a slot longer, or again after a start. Refused when it was broken meanwhile.
    Keep(SlotId),
    /// As [`super::FleetCommand::Release`].
    Release {
        /// Which.
        id: SlotId,
        /// It turns suspect.
        failed: bool,
    },
    /// As [`super::FleetCommand::Break`].
    Break(SlotId),
    /// As [`super::FleetCommand::Freeze`] and `Unfreeze`.
    Freeze(bool),
    /// The asker becomes a voter, with this file.
    Join(Bound),
    /// A voter becomes an observer.
    Leave(NodeName),
    /// As [`super::FleetCommand::HandOver`].
    HandOver {
        /// Who leads as far as the asker knows: an ask that is repeated to the next leader has had its way.
        from: NodeName,
        /// To whom.
        to: Option<NodeName>,
    },
}

/// The leader's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Of the ask.
    pub nonce: u64,
    /// Of the leader: one of an older term than was heard of is dropped.
    pub term: Term,
    /// What it says.
    pub said: Said,
}

/// What a leader answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Granted: committed before this was sent.
    Granted {
        /// Which.
        id: SlotId,
        /// See [`super::Slot::fence`].
        fence: Ver,
        /// From the ask.
        ttl: Duration,
    },
    /// Not yet.
    Queued {
        /// Place, from 1.
        position: u32,
        /// What is in the way.
        blocked: String,
    },
    /// Done: committed before this was sent.
    Done(String),
    /// It will not be done.
    Refused(String),
}
