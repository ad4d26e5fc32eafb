//! Which role does what on which event: total, without a wildcard.

/// Where a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// No voter, as far as its document tells.
    Observer,
    /// A voter that cannot keep a promise: its disk fails, or it has lost its file.
    Silent,
    /// Has a leader, or waits for one.
    Follower,
    /// Asks whether it would be elected.
    PreCandidate,
    /// Asks to be elected.
    Candidate,
    /// Elected.
    Leader,
}

impl Role {
    /// All of them, for tables and tests.
    pub const ALL: [Role; 6] =
        [Role::Observer, Role::Silent, Role::Follower, Role::PreCandidate, Role::Candidate, Role::Leader];

    /// As shown.
    pub fn word(self) -> &'static str {
        match self {
            Role::Observer => "observer",
            Role::Silent => "silent",
            Role::Follower => "follower",
            Role::PreCandidate => "pre-candidate",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
        }
    }
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as the messages and events are")]
pub enum Kind {
    PreVote,
    PreVoteReply,
    Vote,
    VoteReply,
    Beat,
    BeatReply,
    TimeoutNow,
    Tick,
    Written,
    WriteFailed,
    LeaderGone,
}

impl Kind {
    /// All of them, for tables and tests.
    pub const ALL: [Kind; 11] = [
        Kind::PreVote,
        Kind::PreVoteReply,
        Kind::Vote,
        Kind::VoteReply,
        Kind::Beat,
        Kind::BeatReply,
        Kind::TimeoutNow,
        Kind::Tick,
        Kind::Written,
        Kind::WriteFailed,
        Kind::LeaderGone,
    ];
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Say whether one would grant a vote.
    Answer,
    /// Count an answer to a pre-vote.
    CountAnswer,
    /// Grant a vote or not.
    Decide,
    /// Count a vote.
    CountVote,
    /// Follow whoever leads, unless its term is over.
    Follow,
    /// Count an acknowledged beat.
    CountAck,
    /// Stand at once.
    Stand,
    /// Stand, as nobody leads.
    Ask,
    /// Ask again.
    AskAgain,
    /// Beat, or give up.
    Lead,
    /// Something is on the disk now.
    Settle,
    /// Nothing can be kept any more.
    FallSilent,
    /// Remember it as a reason.
    NoteGone,
    /// Nothing, because.
    Ignored(&'static str),
}

/// The table.
pub fn act(role: Role, kind: Kind) -> Act {
    use Act::*;
    use Kind as K;
    match role {
        Role::Observer => match kind {
            // Whoever asks may know already that it is a voter.
            K::PreVote => Answer,
            K::Vote => Decide,
            K::Beat => Follow,
            K::Written => Settle,
            K::WriteFailed => FallSilent,
            K::PreVoteReply | K::VoteReply | K::BeatReply => Ignored("an observer has asked nobody"),
            K::TimeoutNow | K::LeaderGone => Ignored("an observer does not stand"),
            K::Tick => Ignored("an observer waits for nothing"),
        },
        Role::Silent => match kind {
            // It may be told that its file is the right one now.
            K::Beat => Follow,
            K::PreVote | K::Vote | K::TimeoutNow => Ignored("it can keep no promise"),
            K::PreVoteReply | K::VoteReply | K::BeatReply => Ignored("it counts nothing any more"),
            K::Tick | K::LeaderGone => Ignored("it does not stand"),
            K::Written => Settle,
            K::WriteFailed => FallSilent,
        },
        Role::Follower => match kind {
            K::PreVote => Answer,
            K::Vote => Decide,
            K::Beat => Follow,
            K::TimeoutNow => Stand,
            K::Tick => Ask,
            K::Written => Settle,
            K::WriteFailed => FallSilent,
            K::LeaderGone => NoteGone,
            K::PreVoteReply => Ignored("it no longer asks"),
            K::VoteReply | K::BeatReply => Ignored("it no longer stands or leads"),
        },
        Role::PreCandidate => match kind {
            K::PreVote => Answer,
            K::PreVoteReply => CountAnswer,
            K::Vote => Decide,
            K::Beat => Follow,
            K::Tick => AskAgain,
            K::Written => Settle,
            K::WriteFailed => FallSilent,
            K::VoteReply | K::BeatReply => Ignored("it no longer stands or leads"),
            K::TimeoutNow => Ignored("its leader was silent; whoever leads will beat"),
            K::LeaderGone => Ignored("it asks already"),
        },
        Role::Candidate => match kind {
            K::PreVote => Answer,
            K::Vote => Decide,
            K::VoteReply => CountVote,
            K::Beat => Follow,
            K::Tick => AskAgain,
            K::Written => Settle,
            K::WriteFailed => FallSilent,
            K::PreVoteReply => Ignored("enough have answered"),
            K::BeatReply => Ignored("it no longer leads"),
            K::TimeoutNow | K::LeaderGone => Ignored("it stands already"),
        },
        Role::Leader => match kind {
            K::PreVote => Answer,
            K::Vote => Decide,
            K::Beat => Follow,
            K::BeatReply => CountAck,
            K::Tick => Lead,
            K::Written => Settle,
            K::WriteFailed => FallSilent,
            K::PreVoteReply | K::VoteReply => Ignored("it is elected"),
            K::TimeoutNow | K::LeaderGone => Ignored("it leads itself"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        let mut text = String::new();
        for role in Role::ALL {
            for kind in Kind::ALL {
                text.push_str(&format!("{role:?} {kind:?} -> {:?}\n", act(role, kind)));
            }
        }
        assert_eq!(text, include_str!("table.txt"));
    }

    #[test]
    fn who_can_keep_no_promise_makes_none() {
        for kind in Kind::ALL {
            let told = matches!(kind, Kind::Beat | Kind::Written | Kind::WriteFailed);
            assert_eq!(matches!(act(Role::Silent, kind), Act::Ignored(_)), !told, "{kind:?}");
        }
    }
}
