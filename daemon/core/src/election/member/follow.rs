//! Following a leader.

use super::{Cause, Effect, Member, Message, Plant, State, Told};
use crate::election::ids::{NodeName, Term, Ver};
use crate::election::message::Sender;
use crate::fleet::Document;
use crate::time::Mono;

impl Member {
    pub(super) fn follow(
        &mut self,
        from: Sender,
        term: Term,
        document: Option<Document>,
        commit: Ver,
        sent: Mono,
        now: Mono,
    ) {
        if matches!(self.state, State::Silent(_)) {
            return self.look_for_a_place(from, term, document, now);
        }
        if term < self.ballot.term {
            // Its time is over, and so it learns.
            let (term, ver) = (self.ballot.term, self.ballot.document.ver);
            return self.send(&from.node, Message::BeatReply { term, ver, sent });
        }
        if term > self.ballot.term {
            self.enter_term(term, &format!("{} leads in term {term}", from.node));
        }
        if matches!(self.state, State::Leader(_)) {
            // Cannot be, unless a voter has voted twice: nobody gives way, and the laws of the simulation cry out.
            return;
        }
        self.step_down("another leads");
        if self.leader.as_ref() != Some(&from.node) {
            self.out.push(Effect::Told(Told::Follows { term, leader: from.node.clone() }));
        }
        self.leader = Some(from.node.clone());
        self.heard = Some(now);
        if let Some(document) = document
            && document.ver > self.ballot.document.ver
        {
            self.ballot.document = document;
            self.dirty = true;
            self.take_place();
            if matches!(self.state, State::Silent(_)) {
                return;
            }
        }
        self.wait_for_leader(now);
        self.learn_commit(commit);
        let ver = self.ballot.document.ver;
        self.send(&from.node, Message::BeatReply { term, ver, sent });
    }

    /// A voter whose file is not the one the fleet knew may be told that it is now: a newer document names it.
    fn look_for_a_place(&mut self, from: Sender, term: Term, document: Option<Document>, now: Mono) {
        let Some(document) = document else { return };
        if self.failed || term < self.ballot.term || document.ver <= self.ballot.document.ver {
            return;
        }
        if term > self.ballot.term {
            self.enter_term(term, "a newer term");
        }
        self.ballot.document = document;
        self.dirty = true;
        self.take_place();
        if !matches!(self.state, State::Silent(_)) {
            self.leader = Some(from.node);
            self.heard = Some(now);
            self.wait_for_leader(now);
        }
    }

    /// Up to what this node has, and only if what it has is of this leader: a version of an older term may lie beside
    /// the line that was committed.
    fn learn_commit(&mut self, commit: Ver) {
        let own = self.ballot.document.ver;
        if own.term != self.ballot.term && !self.planted(Plant::CommitsForeignLine) {
            return;
        }
        let commit = commit.min(own);
        if commit > self.commit {
            self.commit = commit;
            self.out.push(Effect::Committed(commit));
        }
    }

    /// The leader's connection is gone, says a broker. It may be wrong, and voters stand one after the other as soon as
    /// stickiness ends anyway: it only makes the reason better.
    pub(super) fn note_gone(&mut self, node: &NodeName) {
        self.gone |= self.leader.as_ref() == Some(node);
    }

    /// Why it would stand now.
    pub(super) fn cause(&self) -> Cause {
        if self.gone { Cause::Gone } else { Cause::Silence }
    }
}
