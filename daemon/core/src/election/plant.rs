//! Defects that can be planted, to show that the simulation would find them. Only a build with the feature `plants` can
//! plant one, and only the simulation asks for that feature.

/// One defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Plant {
    /// The reply to a vote leaves, and nothing is written.
    VoteNotWritten,
    /// A candidate counts its own vote before it is on its disk.
    OwnVoteUnwritten,
    /// A vote is granted although the leader was heard just now.
    NotSticky,
    /// A vote is granted to a candidate with an older document.
    NoFreshness,
    /// After a start a voter grants at once, though it may have answered a leader just before it died.
    NoBootGrace,
    /// The lease counts from when the answer came, not from when the beat was sent.
    LeaseFromReceipt,
    /// A version of an older term counts as committed as soon as a majority has it.
    CommitsOlderTerm,
    /// The lease holds before anything is committed in the own term.
    ServesEarly,
    /// The lease goes on after it was handed over.
    LeaseAfterHandOver,
    /// A follower takes the leader's commit for its own document, whoever wrote that.
    CommitsForeignLine,
    /// A voter that has lost its file counts.
    AnyFileCounts,
    /// The voters change before the change before is committed.
    HastyVoterChange,
    /// A term that only a question named is taken over without a write.
    TermNotWritten,
    /// Votes are asked for at once.
    NoPreVote,
    /// A leader that nobody answers stays.
    NoCheckQuorum,
}

impl Plant {
    /// All of them.
    pub const ALL: [Plant; 15] = [
        Plant::VoteNotWritten,
        Plant::OwnVoteUnwritten,
        Plant::NotSticky,
        Plant::NoFreshness,
        Plant::NoBootGrace,
        Plant::LeaseFromReceipt,
        Plant::CommitsOlderTerm,
        Plant::ServesEarly,
        Plant::LeaseAfterHandOver,
        Plant::CommitsForeignLine,
        Plant::AnyFileCounts,
        Plant::HastyVoterChange,
        Plant::TermNotWritten,
        Plant::NoPreVote,
        Plant::NoCheckQuorum,
    ];
}
