//! One member of the election: what it is told becomes what it does.
//!
//! Each call of [`Member::handle`] may change the ballot. Then the first effect is a [`Effect::Write`], and it is a
//! **barrier**: nothing that stands behind it, in this answer or in a later one, may leave before the write is on the
//! disk. Whoever carries effects out keeps them in order and says [`Event::Written`] when a write is done.

mod follow;
mod lead;
#[cfg(feature = "plants")]
mod model;
mod types;
mod votes;

pub use lead::{HandOverError, ProposeError};
pub use types::{Cause, Effect, Event, Told, View};

use super::ballot::Ballot;
use super::ids::{Boot, Mark, NodeName, Term, Ver};
use super::message::{Message, Sender};
use super::plant::Plant;
use super::table::{Act, Kind, Role, act};
use super::timing::Timing;
use crate::fleet::{Bound, Document};
use crate::rng::Rng;
use crate::time::Mono;
use lead::Reign;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A term that is more epochs ahead than people can have recovered the fleet is no term, but an attempt to use them up.
const EPOCHS_AHEAD: u64 = 1000;

/// An election this node takes part in as one to be elected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Round {
    nonce: u64,
    granted: BTreeMap<NodeName, Bound>,
    /// When it asks again.
    until: Mono,
    /// When a candidate gives up.
    over: Mono,
    since: Mono,
    cause: Cause,
    /// The write that has its own vote.
    own: Mark,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    Observer,
    Silent(String),
    Follower,
    PreCandidate(Round),
    Candidate(Round),
    Leader(Reign),
}

/// A member of the election.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    timing: Timing,
    priority: BTreeMap<NodeName, u32>,
    ballot: Ballot,
    state: State,
    /// Who leads in the ballot's term, as far as known.
    leader: Option<NodeName>,
    /// When a leader was heard last; at a start: just now, as this voter may have answered one before it died.
    heard: Option<Mono>,
    gone: bool,
    /// A write has failed: nothing can be promised any more in this life.
    failed: bool,
    commit: Ver,
    /// When a follower stands.
    stands_at: Mono,
    asked: VecDeque<(Mark, Ver)>,
    mark: Mark,
    /// What is on the disk.
    written: (Mark, Ver),
    rng: Rng,
    dirty: bool,
    out: Vec<Effect>,
    ignored: BTreeMap<(Role, Kind), u64>,
    forgotten: u64,
    /// Always empty but in the simulation's own builds.
    plants: BTreeSet<Plant>,
}

impl Member {
    /// A voter, or one that may become it, with what was on its disk. `priority` says who stands first when the leader
    /// is lost: the highest; missing is 0. The seed decides waiting times alone.
    pub fn start(
        mut ballot: Ballot,
        timing: Timing,
        priority: BTreeMap<NodeName, u32>,
        seed: u64,
        now: Mono,
    ) -> (Self, Vec<Effect>) {
        ballot.boot = Boot(ballot.boot.0 + 1);
        let written = (Mark(0), ballot.document.ver);
        let mut member = Self {
            timing,
            priority,
            ballot,
            state: State::Observer,
            leader: None,
            heard: Some(now),
            gone: false,
            failed: false,
            commit: Ver::default(),
            stands_at: now,
            asked: VecDeque::new(),
            mark: Mark(0),
            written,
            rng: Rng::new(seed),
            dirty: true,
            out: Vec::new(),
            ignored: BTreeMap::new(),
            forgotten: 0,
            plants: BTreeSet::new(),
        };
        member.take_place();
        member.wait_for_leader(now);
        let effects = member.drain();
        (member, effects)
    }

    /// Plants a defect, as if the code were wrong.
    #[cfg(feature = "plants")]
    pub fn plant(&mut self, plant: Plant) {
        self.plants.insert(plant);
        if plant == Plant::NoBootGrace {
            self.heard = None;
        }
    }

    /// What happens, when, and what is to be done about it.
    pub fn handle(&mut self, event: Event, now: Mono) -> Vec<Effect> {
        let (role, kind) = (self.role(), event.kind());
        if let Event::Received(sender, message) = &event {
            if message.term().epoch() > self.ballot.term.epoch() + EPOCHS_AHEAD {
                self.ignore(role, kind);
                return Vec::new();
            }
            if self.has_forgotten(sender, message) {
                self.forgotten += 1;
                self.tell_forgetful(&sender.node);
                return Vec::new();
            }
        }
        match (act(role, kind), event) {
            (Act::Ignored(_), _) => self.ignore(role, kind),
            (_, Event::Received(from, message)) => self.receive(from, message, now),
            (_, Event::Written(mark)) => self.settle(mark, now),
            (_, Event::WriteFailed(why)) => self.fall_silent(format!("cannot write its voter file: {why}")),
            (_, Event::LeaderGone(node)) => self.note_gone(&node),
            (Act::Lead, Event::Tick) => self.lead(now),
            (Act::AskAgain, Event::Tick) => self.ask_again(now),
            (_, Event::Tick) if now < self.stands_at => {}
            (_, Event::Tick) => self.ask(self.cause(), now),
        }
        self.drain()
    }

    fn ignore(&mut self, role: Role, kind: Kind) {
        *self.ignored.entry((role, kind)).or_default() += 1;
    }

    fn receive(&mut self, from: Sender, message: Message, now: Mono) {
        match message {
            Message::PreVote { term, ver, nonce } => self.answer(&from, term, ver, nonce, now),
            Message::PreVoteReply { term, nonce, granted } => self.count_answer(from, term, nonce, granted, now),
            Message::Vote { term, ver, handover } => self.decide(&from, term, ver, handover, now),
            Message::VoteReply { term, granted } => self.count_vote(from, term, granted, now),
            Message::Beat { term, document, commit, sent, .. } => self.follow(from, term, document, commit, sent, now),
            Message::BeatReply { term, ver, sent } => self.count_ack(&from, term, ver, sent, now),
            Message::TimeoutNow { term } => {
                if term == self.ballot.term && self.leader.as_ref() == Some(&from.node) {
                    self.stand(Cause::HandOver, now, now);
                }
            }
        }
    }

    /// When it wants to be called next, and why.
    pub fn deadline(&self) -> Option<(Mono, &'static str)> {
        match &self.state {
            State::Observer | State::Silent(_) => None,
            State::Follower => Some((self.stands_at, "nobody leads")),
            State::PreCandidate(round) => Some((round.until, "ask again")),
            State::Candidate(round) => Some((round.until, "stand again")),
            // Nobody has to hear it.
            State::Leader(reign) => self.beats().then_some((reign.next_beat, "beat")),
        }
    }

    /// Its role.
    pub fn role(&self) -> Role {
        match self.state {
            State::Observer => Role::Observer,
            State::Silent(_) => Role::Silent,
            State::Follower => Role::Follower,
            State::PreCandidate(_) => Role::PreCandidate,
            State::Candidate(_) => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    /// What it has promised, on its disk or on the way there.
    pub fn ballot(&self) -> &Ballot {
        &self.ballot
    }

    /// Who this is, to put on its messages.
    pub fn sender(&self) -> Sender {
        Sender { node: self.ballot.node.clone(), seat: self.ballot.seat, boot: self.ballot.boot }
    }

    /// How it sees the fleet.
    pub fn view(&self) -> View {
        View {
            role: self.role(),
            term: self.ballot.term,
            leader: self.leader.clone(),
            lease_end: self.lease_end(),
            ver: self.ballot.document.ver,
            commit: self.commit,
            silent: self.silent().map(str::to_owned),
        }
    }

    /// Who leads in the ballot's term, as far as it knows.
    pub fn leader(&self) -> Option<&NodeName> {
        self.leader.as_ref()
    }

    /// The newest version it knows to be committed.
    pub fn commit(&self) -> Ver {
        self.commit
    }

    /// Why it votes no more.
    pub fn silent(&self) -> Option<&str> {
        match &self.state {
            State::Silent(why) => Some(why),
            _ => None,
        }
    }

    /// When a leader was heard last by a voter that follows one.
    pub fn heard(&self) -> Option<Mono> {
        self.heard
    }

    /// Goes on alone, in a new epoch: the majority is lost for good. Old tokens lose, as their terms are smaller.
    /// Whether the others are lost nobody but a person can know.
    pub fn recover(&mut self, now: Mono) -> Vec<Effect> {
        self.step_down("the fleet is recovered");
        let ballot = &mut self.ballot;
        let term = ballot.term.next_epoch();
        ballot.term = term;
        ballot.voted_for = None;
        let own = (ballot.node.clone(), Some(Bound { seat: ballot.seat, boot: ballot.boot }));
        let ver = Ver { term, n: ballot.document.ver.n + 1 };
        ballot.document = Document { ver, voters: Arc::new(BTreeMap::from([own])), ..ballot.document.clone() };
        self.dirty = true;
        self.leader = None;
        self.failed = false;
        self.state = State::Follower;
        self.wait_for_leader(now);
        self.drain()
    }

    /// The fleet was recovered without this voter: it must not elect beside it.
    pub fn supersede(&mut self, term: Term, leader: &NodeName) -> Vec<Effect> {
        if term.epoch() > self.ballot.term.epoch() && !matches!(self.state, State::Observer | State::Silent(_)) {
            let why = format!(
                "{leader} has recovered the fleet without it, in term {term}; `reevectl fleet rejoin` makes it a voter again"
            );
            self.fall_silent(why);
            // A newer document may take it in again in this life.
            self.failed = false;
        }
        self.drain()
    }

    /// Events that came in a role that has no use for them, counted.
    pub fn ignored(&self) -> impl Iterator<Item = (Role, Kind, u64)> {
        self.ignored.iter().map(|((role, kind), count)| (*role, *kind, *count))
    }

    /// Messages of voters that have lost their file, counted.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    // What the parts share.

    fn planted(&self, plant: Plant) -> bool {
        cfg!(feature = "plants") && self.plants.contains(&plant)
    }

    /// Whether it elects, by the newest document it has.
    pub fn is_voter(&self) -> bool {
        self.ballot.document.voters.contains_key(&self.ballot.node)
    }

    /// The other voters.
    fn others(&self) -> Vec<NodeName> {
        self.ballot.document.voters.keys().filter(|name| **name != self.ballot.node).cloned().collect()
    }

    /// Whether what a voter with this file says may count.
    fn counts(&self, node: &NodeName, bound: Bound) -> bool {
        let document = &self.ballot.document;
        document.counts(node, bound) || (self.planted(Plant::AnyFileCounts) && document.voters.contains_key(node))
    }

    /// Whether the sender is a voter whose file is not the one the document knows, so that neither its vote nor its
    /// candidacy may count. A leader was elected by voters that knew better than this one may; the same goes for whoever
    /// has a newer document; and others may ask that this node knows as no voter, or not yet.
    fn has_forgotten(&self, sender: &Sender, message: &Message) -> bool {
        let document = &self.ballot.document;
        let judged = match message {
            Message::Beat { .. } | Message::TimeoutNow { .. } => false,
            Message::PreVote { ver, .. } | Message::Vote { ver, .. } => *ver <= document.ver,
            Message::PreVoteReply { .. } | Message::VoteReply { .. } | Message::BeatReply { .. } => true,
        };
        judged && document.voters.contains_key(&sender.node) && !self.counts(&sender.node, sender.bound())
    }

    /// Follower or observer, as the document says.
    fn take_place(&mut self) {
        self.state = if !self.is_voter() {
            State::Observer
        } else if !self.counts(&self.ballot.node, self.sender().bound()) {
            let why = "its voter file is not the one that the fleet knows: it was lost, or an old one was put back; `reevectl \
                       fleet rejoin` makes it a new voter";
            if !matches!(self.state, State::Silent(_)) {
                self.out.push(Effect::Told(Told::Silent(why.to_owned())));
            }
            self.leader = None;
            State::Silent(why.to_owned())
        } else {
            State::Follower
        };
    }

    /// Sets when a follower that hears nothing more stands: voters one after the other, best first.
    fn wait_for_leader(&mut self, from: Mono) {
        self.gone = false;
        let alone = self.ballot.document.voters.len() == 1;
        self.stands_at = if alone { from } else { from + self.timing.election_min + self.place_in_line() };
    }

    /// Rank among the voters, without the leader that was lost, and a little chance.
    fn place_in_line(&mut self) -> Duration {
        let mine = (self.priority_of(&self.ballot.node), &self.ballot.node);
        let before = |name: &&NodeName| {
            let theirs = self.priority_of(name);
            Some(*name) != self.leader.as_ref() && (theirs > mine.0 || (theirs == mine.0 && *name < mine.1))
        };
        let rank = self.ballot.document.voters.keys().filter(before).count();
        let stagger = self.timing.stagger();
        stagger * u32::try_from(rank).unwrap_or(u32::MAX) + self.chance(stagger / 2)
    }

    fn priority_of(&self, name: &NodeName) -> u32 {
        self.priority.get(name).copied().unwrap_or(0)
    }

    /// A span below `most`.
    fn chance(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.rng.below(u64::try_from(most.as_micros()).unwrap_or(u64::MAX)))
    }

    fn send(&mut self, to: &NodeName, message: Message) {
        self.out.push(Effect::Send(to.clone(), message));
    }

    /// A newer term: whoever it led or voted for before is over.
    fn enter_term(&mut self, term: Term, why: &str) {
        self.ballot.term = term;
        self.ballot.voted_for = None;
        self.dirty |= !self.planted(Plant::TermNotWritten);
        self.leader = None;
        self.step_down(why);
    }

    /// Leads, stands and asks no more.
    fn step_down(&mut self, why: &str) {
        match &self.state {
            State::Leader(reign) => {
                let told = Told::LeadsNoMore { term: reign.term, why: why.to_owned() };
                self.out.push(Effect::Told(told));
                self.leader = None;
            }
            State::Observer | State::Silent(_) => return,
            State::Follower | State::PreCandidate(_) | State::Candidate(_) => {}
        }
        self.state = State::Follower;
    }

    fn fall_silent(&mut self, why: String) {
        self.failed = true;
        self.step_down(&why);
        self.leader = None;
        self.out.push(Effect::Told(Told::Silent(why.clone())));
        self.state = State::Silent(why);
    }

    /// The write that this call will ask for.
    fn next_mark(&self) -> Mark {
        Mark(self.mark.0 + 1)
    }

    fn settle(&mut self, mark: Mark, now: Mono) {
        while let Some((_, ver)) = self.asked.pop_front_if(|(asked, _)| *asked <= mark) {
            self.written = (mark, ver);
        }
        self.own_vote_written(now);
        self.try_commit();
    }

    /// What this call has led to: the write first.
    fn drain(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.out);
        if std::mem::take(&mut self.dirty) {
            self.mark = self.next_mark();
            self.asked.push_back((self.mark, self.ballot.document.ver));
            effects.insert(0, Effect::Write(self.mark, self.ballot.clone()));
        }
        effects
    }
}
