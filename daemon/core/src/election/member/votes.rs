//! Standing for election, and voting. Raft (Ongaro 2014) §3.4, §3.6.1, §9.6, with sticky voters as in §4.2.3.

use super::{Cause, Member, Message, Plant, Round, State, Told};
use crate::election::ids::{Mark, Term, Ver};
use crate::election::message::Sender;
use crate::time::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

impl Member {
    /// Whether this voter owes its silence to a leader: it leads, or has heard one less than `election_min` ago.
    fn is_sticky(&self, now: Mono) -> bool {
        if self.planted(Plant::NotSticky) {
            return false;
        }
        match self.state {
            State::Leader(_) => true,
            State::Follower | State::Observer => {
                self.heard.is_some_and(|heard| now.since(heard) < self.timing.election_min)
            }
            State::Silent(_) | State::PreCandidate(_) | State::Candidate(_) => false,
        }
    }

    // --- as a voter -----------------------------------------------------------------------------------------------

    /// A pre-vote changes nothing here, whatever the answer.
    pub(super) fn answer(&mut self, from: &Sender, term: Term, ver: Ver, nonce: u64, now: Mono) {
        let granted = term > self.ballot.term && ver >= self.ballot.document.ver && !self.is_sticky(now);
        self.send(&from.node, Message::PreVoteReply { term: self.ballot.term, nonce, granted });
    }

    /// One vote a term, for a candidate that has at least what this voter has. A sticky voter does not even take over
    /// the term: a candidate that only cannot hear the leader must not unseat it.
    pub(super) fn decide(&mut self, from: &Sender, term: Term, ver: Ver, handover: bool, now: Mono) {
        if term >= self.ballot.term && !handover && self.is_sticky(now) {
            return;
        }
        if term > self.ballot.term {
            self.enter_term(term, &format!("{} stands in term {term}", from.node));
            self.wait_for_leader(now);
        }
        let fresh = ver >= self.ballot.document.ver || self.planted(Plant::NoFreshness);
        let free = self.ballot.voted_for.as_ref().is_none_or(|chosen| *chosen == from.node);
        let waits = matches!(self.state, State::Follower | State::Observer);
        let granted = term == self.ballot.term && waits && fresh && free;
        if granted && self.ballot.voted_for.is_none() {
            self.ballot.voted_for = Some(from.node.clone());
            self.dirty = !self.planted(Plant::VoteNotWritten);
            self.wait_for_leader(now);
        }
        self.send(&from.node, Message::VoteReply { term: self.ballot.term, granted });
    }

    // --- as one who stands ----------------------------------------------------------------------------------------

    /// Asks whether it would be elected.
    pub(super) fn ask(&mut self, cause: Cause, now: Mono) {
        let since = match &self.state {
            State::PreCandidate(round) | State::Candidate(round) => round.since,
            State::Observer | State::Silent(_) | State::Follower | State::Leader(_) => now,
        };
        self.leader = None;
        let others = self.others();
        if others.is_empty() || self.planted(Plant::NoPreVote) {
            let cause = if others.is_empty() { Cause::Alone } else { cause };
            return self.stand(cause, since, now);
        }
        let round = Round {
            nonce: self.rng.next_u64(),
            granted: BTreeMap::from([self.sender().granted()]),
            until: now + self.patience(),
            over: now,
            since,
            cause,
            own: Mark::default(),
        };
        let question =
            Message::PreVote { term: self.ballot.term.next(), ver: self.ballot.document.ver, nonce: round.nonce };
        self.state = State::PreCandidate(round);
        others.iter().for_each(|other| self.send(other, question.clone()));
    }

    /// The answers have not come in time: a candidate asks for the votes that are missing, for as long as disks may take
    /// to write two of them, one after the other; then all begin anew.
    pub(super) fn ask_again(&mut self, now: Mono) {
        let (State::PreCandidate(round) | State::Candidate(round)) = &self.state else { return };
        if now < round.until {
            return;
        }
        let written = self.written.0 >= round.own;
        let (over, cause) = (now >= round.over && written, round.cause);
        if over {
            // What a leader asked for it did not get.
            return self.ask(if cause == Cause::HandOver { Cause::Silence } else { cause }, now);
        }
        let missing: Vec<_> = self.others().into_iter().filter(|name| !round.granted.contains_key(name)).collect();
        let until = now + self.patience();
        if let State::Candidate(round) = &mut self.state {
            round.until = until;
        }
        if written {
            let vote = self.vote(cause);
            missing.iter().for_each(|other| self.send(other, vote.clone()));
        }
    }

    fn vote(&self, cause: Cause) -> Message {
        let (term, ver) = (self.ballot.term, self.ballot.document.ver);
        Message::Vote { term, ver, handover: cause == Cause::HandOver }
    }

    /// How long answers are waited for: about two beats, each time different and later for whoever is further down
    /// the line.
    fn patience(&mut self) -> Duration {
        self.timing.beat * 3 / 2 + self.place_in_line() + self.chance(self.timing.beat)
    }

    pub(super) fn count_answer(&mut self, from: Sender, term: Term, nonce: u64, granted: bool, now: Mono) {
        let State::PreCandidate(round) = &mut self.state else { return };
        if round.nonce != nonce {
            return;
        }
        if granted {
            let (cause, since) = (round.cause, round.since);
            round.granted.extend([from.granted()]);
            if self.is_majority() {
                self.stand(cause, since, now);
            }
        } else if term > self.ballot.term {
            self.enter_term(term, "a newer term");
            self.stands_at = now + self.patience();
        }
    }

    /// Stands: a new term, and its own vote. `since` is when it began to ask.
    pub(super) fn stand(&mut self, cause: Cause, since: Mono, now: Mono) {
        let term = self.ballot.term.next();
        if term == self.ballot.term {
            // There is none after it.
            return;
        }
        self.enter_term(term, "it stands itself");
        self.ballot.voted_for = Some(self.ballot.node.clone());
        self.dirty = true;
        let mut granted = BTreeMap::new();
        if self.planted(Plant::OwnVoteUnwritten) {
            granted.extend([self.sender().granted()]);
            self.dirty = false;
        }
        let until = now + self.patience();
        let over = now + self.timing.election_min;
        let own = if self.dirty { self.next_mark() } else { self.mark };
        self.state = State::Candidate(Round { nonce: 0, granted, until, over, since, cause, own });
        self.out.push(super::Effect::Told(Told::Stands { term, cause }));
        let vote = self.vote(cause);
        self.others().iter().for_each(|other| self.send(other, vote.clone()));
        if self.planted(Plant::OwnVoteUnwritten) {
            self.lead_if_elected(now);
        }
    }

    /// Its own vote counts from the moment it is on the disk.
    pub(super) fn own_vote_written(&mut self, now: Mono) {
        let own = self.sender().granted();
        if let State::Candidate(round) = &mut self.state
            && self.written.0 >= round.own
        {
            round.granted.extend([own]);
            self.lead_if_elected(now);
        }
    }

    pub(super) fn count_vote(&mut self, from: Sender, term: Term, granted: bool, now: Mono) {
        if term > self.ballot.term {
            self.enter_term(term, "a newer term");
            self.wait_for_leader(now);
        } else if granted
            && term == self.ballot.term
            && let State::Candidate(round) = &mut self.state
        {
            round.granted.extend([from.granted()]);
            self.lead_if_elected(now);
        }
    }

    fn lead_if_elected(&mut self, now: Mono) {
        if self.is_majority()
            && let State::Candidate(round) = &self.state
        {
            let (granted, since) = (round.granted.clone(), round.since);
            self.take_office(granted, since, now);
        }
    }

    /// Whether enough of the voters that count have agreed.
    fn is_majority(&self) -> bool {
        let (State::PreCandidate(round) | State::Candidate(round)) = &self.state else { return false };
        let agreed = round.granted.iter().filter(|(name, bound)| self.counts(name, **bound)).count();
        agreed >= self.ballot.document.majority()
    }
}
