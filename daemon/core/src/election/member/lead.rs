//! Leading: beats, commits, the lease, stepping down.

use super::{Effect, Member, Message, Plant, State, Told};
use crate::election::ids::{Boot, NodeName, Seat, Term, Ver};
use crate::election::message::Sender;
use crate::fleet::{Bound, Document, VoterChange, VoterChangeError};
use crate::time::Mono;
use std::collections::BTreeMap;

/// What a leader knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Reign {
    pub(super) term: Term,
    pub(super) next_beat: Mono,
    /// When the newest beat was sent that a majority of the voters of its time has answered.
    answered: Mono,
    /// When the present version was written.
    written: Mono,
    peers: BTreeMap<NodeName, Peer>,
    /// A removed voter, told so until it has answered or this many beats have gone by.
    leaving: Option<(NodeName, u32)>,
}

/// What a leader knows of another voter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Peer {
    /// Whose answers these are: of another file of the same voter nothing is known.
    seat: Option<Seat>,
    /// What it has on its disk.
    ver: Option<Ver>,
    /// When the newest beat was sent that it has answered.
    acked: Option<Mono>,
    /// Start of its daemon.
    boot: Boot,
    /// It has answered, and not with the present version.
    wants: bool,
}

#[cfg(feature = "plants")]
impl Reign {
    /// As [`Member::without_time`].
    pub(super) fn without_time(&mut self) {
        self.next_beat = Mono::default();
        self.answered = Mono::default();
        self.written = Mono::default();
        self.peers.values_mut().for_each(|peer| peer.acked = None);
    }
}

/// How often a removed voter is told.
const FAREWELLS: u32 = 10;

/// Why the document stays as it is for now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Ask whoever does.
    #[error("this node does not lead")]
    NotLeader,
    /// One change at a time: what comes meanwhile goes together into the next.
    #[error("the change before this one is not committed yet")]
    Busy,
    /// It would leave the fleet without voters, or change nothing.
    #[error(transparent)]
    Voters(#[from] VoterChangeError),
}

/// Why nothing is handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// Ask whoever does.
    #[error("this node does not lead")]
    NotLeader,
    /// Only voters lead.
    #[error("{0} is no voter")]
    NotVoter(NodeName),
    /// The heir must have all that was decided.
    #[error("no voter that could take over has answered just now with the newest document")]
    NobodyReady,
}

impl Member {
    /// Elected: the document is written again under the own term, and nothing is served before a majority has that.
    pub(super) fn take_office(&mut self, granted: BTreeMap<NodeName, Bound>, since: Mono, now: Mono) {
        let term = self.ballot.term;
        let votes = granted.keys().cloned().collect();
        self.out.push(Effect::Told(Told::Leads { term, votes, took: now.since(since) }));
        self.leader = Some(self.ballot.node.clone());
        self.gone = false;
        let peers = BTreeMap::new();
        self.state = State::Leader(Reign { term, next_beat: now, answered: now, written: now, peers, leaving: None });
        if self.planted(Plant::CommitsOlderTerm) && !self.ballot.document.is_founding() {
            return self.broadcast(true, now);
        }
        let document = self.ballot.document.with_bound(granted);
        self.write_version(document, now);
    }

    /// A new version of the document, in the own term.
    fn write_version(&mut self, document: Document, now: Mono) {
        self.ballot.document = Document { ver: self.next_ver(), ..document };
        self.dirty = true;
        if let State::Leader(reign) = &mut self.state {
            reign.written = now;
        }
        self.broadcast(true, now);
    }

    /// A beat to each other voter: a new document to all, later to those that have answered without it. One that is
    /// away is not sent it again and again.
    fn broadcast(&mut self, new: bool, now: Mono) {
        let mut to = self.others();
        let State::Leader(reign) = &mut self.state else { return };
        reign.next_beat = now + self.timing.beat;
        // Not before its removal is committed: else a voter that only it has told of the change could be missed when
        // the leader is lost.
        if self.commit == self.ballot.document.ver
            && let Some((name, left)) = &mut reign.leaving
        {
            to.push(name.clone());
            reign.peers.entry(name.clone()).or_default().wants = true;
            *left -= 1;
            if *left == 0 {
                reign.leaving = None;
            }
        }
        let document = &self.ballot.document;
        for name in to {
            let wants = reign.peers.get_mut(&name).is_some_and(|peer| std::mem::take(&mut peer.wants));
            let beat = Message::Beat {
                term: self.ballot.term,
                ver: document.ver,
                document: (new || wants).then(|| document.clone()),
                commit: self.commit,
                sent: now,
            };
            self.out.push(Effect::Send(name, beat));
        }
    }

    /// Beats, or gives up when no majority has answered for too long.
    pub(super) fn lead(&mut self, now: Mono) {
        let answered = self.majority_answered(now);
        let State::Leader(reign) = &mut self.state else { return };
        reign.answered = reign.answered.max(answered.unwrap_or_default());
        let (silence, due) = (now.since(reign.answered), now >= reign.next_beat);
        if silence >= self.timing.lease + self.timing.election_max && !self.planted(Plant::NoCheckQuorum) {
            self.step_down(&format!("no majority has answered for {} s", silence.as_secs()));
            self.wait_for_leader(now);
        } else if due {
            self.broadcast(false, now);
        }
    }

    pub(super) fn count_ack(&mut self, from: &Sender, term: Term, ver: Ver, sent: Mono, now: Mono) {
        if term > self.ballot.term {
            self.enter_term(term, &format!("{} has seen term {term}", from.node));
            return self.wait_for_leader(now);
        }
        let (asked, sent) = (sent, if self.planted(Plant::LeaseFromReceipt) { now } else { sent });
        let State::Leader(reign) = &mut self.state else { return };
        let leaves = reign.leaving.as_ref().is_some_and(|(name, _)| *name == from.node);
        let mine = self.ballot.document.ver;
        if term != reign.term || ver > mine || !(leaves || self.ballot.document.voters.contains_key(&from.node)) {
            return;
        }
        let peer = reign.peers.entry(from.node.clone()).or_default();
        if peer.seat != Some(from.seat) {
            *peer = Peer { seat: Some(from.seat), ..Peer::default() };
        }
        peer.ver = peer.ver.max(Some(ver));
        peer.wants = ver != mine && asked >= reign.written;
        // Nobody can have answered what is not sent yet.
        peer.acked = peer.acked.max(Some(sent.min(now)));
        peer.boot = peer.boot.max(from.boot);
        if leaves && ver == mine {
            reign.leaving = None;
        }
        self.try_commit();
        self.note_restarts(now);
    }

    /// A voter that has forgotten what it promised has answered: with the document it learns that it has.
    pub(super) fn tell_forgetful(&mut self, node: &NodeName) {
        if let State::Leader(reign) = &mut self.state {
            reign.peers.entry(node.clone()).or_default().wants = true;
        }
    }

    /// A version counts as committed when a majority has it on disk, and only if it was written in the own term: one of
    /// an older term may still be overruled (Raft §5.4.2).
    pub(super) fn try_commit(&mut self) {
        let document = &self.ballot.document;
        let State::Leader(reign) = &self.state else { return };
        if self.commit == document.ver || (document.ver.term != reign.term && !self.planted(Plant::CommitsOlderTerm)) {
            return;
        }
        let has = |name: &NodeName| match reign.peers.get(name) {
            _ if *name == self.ballot.node => self.written.1 >= document.ver,
            peer => peer.is_some_and(|peer| peer.ver == Some(document.ver)),
        };
        if document.voters.keys().filter(|name| has(name)).count() >= document.majority() {
            self.commit = document.ver;
            self.out.push(Effect::Committed(self.commit));
        }
    }

    /// Binds the newer start of a voter, so that an older image of its disk is known as one.
    fn note_restarts(&mut self, now: Mono) {
        let State::Leader(reign) = &self.state else { return };
        let document = &self.ballot.document;
        if self.commit != document.ver {
            return;
        }
        let newer: Vec<_> = document
            .voters
            .iter()
            .filter_map(|(name, bound)| bound.map(|bound| (name, bound)))
            .filter_map(|(name, bound)| Some((name, bound, reign.peers.get(name)?)))
            .filter(|(_, bound, peer)| peer.seat == Some(bound.seat) && peer.boot > bound.boot)
            .map(|(name, bound, peer)| (name.clone(), Bound { boot: peer.boot, ..bound }))
            .collect();
        if !newer.is_empty() {
            self.write_version(document.with_bound(newer), now);
        }
    }

    /// When the newest beat was sent that a majority has answered; `None`: none yet.
    fn majority_answered(&self, now: Mono) -> Option<Mono> {
        let State::Leader(reign) = &self.state else { return None };
        let voters = &self.ballot.document.voters;
        let answered = |name: &NodeName| match reign.peers.get(name) {
            _ if *name == self.ballot.node => Some(now),
            peer => peer.and_then(|peer| peer.acked),
        };
        let mut times: Vec<_> = voters.keys().map(answered).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        times.get(voters.len() / 2).copied().flatten()
    }

    /// Until when it may act as the leader: some time after a majority's newest answer was asked for, and nothing
    /// before a document of its own term is committed. Compare with a clock that was read just now.
    pub(super) fn lease_end(&self) -> Option<Mono> {
        let State::Leader(reign) = &self.state else { return None };
        let serves = self.commit.term == reign.term
            || self.planted(Plant::ServesEarly)
            || (self.planted(Plant::CommitsOlderTerm) && self.commit == self.ballot.document.ver);
        if !serves {
            return None;
        }
        let never = Mono(std::time::Duration::MAX);
        let answered = self.majority_answered(never)?;
        Some(if answered == never { never } else { answered + self.timing.lease })
    }

    /// Whether it may act as the leader at this instant.
    pub fn holds_lease(&self, now: Mono) -> bool {
        self.lease_end().is_some_and(|end| now < end)
    }

    /// Changes the document. Committed, and so in force, when [`Effect::Committed`] names the returned version or a
    /// later one of this term; lost if another leads before that.
    ///
    /// # Errors
    /// If this node does not lead, or its change before is not committed yet.
    pub fn propose(&mut self, document: Document, now: Mono) -> Result<(Ver, Vec<Effect>), ProposeError> {
        self.may_propose()?;
        self.write_version(Document { voters: self.ballot.document.voters.clone(), ..document }, now);
        Ok((self.ballot.document.ver, self.drain()))
    }

    /// One voter more or less. A voter is added that was heard just now: with one that is away a fleet of one has no
    /// majority any more, and cannot take the change back.
    ///
    /// # Errors
    /// As [`Member::propose`], and if the change itself is refused.
    pub fn change_voters(&mut self, change: &VoterChange, now: Mono) -> Result<(Ver, Vec<Effect>), ProposeError> {
        self.may_propose()?;
        let document = self.ballot.document.with_voter_change(change, &self.ballot.node)?;
        if let State::Leader(reign) = &mut self.state {
            let (VoterChange::Add(name, _) | VoterChange::Remove(name)) = change;
            reign.peers.remove(name);
            reign.leaving.take_if(|(leaves, _)| leaves == name);
            if let VoterChange::Remove(name) = change {
                reign.leaving = Some((name.clone(), FAREWELLS));
            }
        }
        self.write_version(document, now);
        Ok((self.ballot.document.ver, self.drain()))
    }

    /// Whether anybody is to hear beats.
    pub(super) fn beats(&self) -> bool {
        let State::Leader(reign) = &self.state else { return false };
        self.ballot.document.voters.len() > 1 || reign.leaving.is_some()
    }

    /// The version that a change which is proposed now would bring.
    pub fn next_ver(&self) -> Ver {
        Ver { term: self.ballot.term, n: self.ballot.document.ver.n + 1 }
    }

    /// Voters that have answered within a lease.
    pub fn answered(&self, now: Mono) -> BTreeMap<NodeName, bool> {
        let State::Leader(reign) = &self.state else { return BTreeMap::new() };
        let fresh = |name: &NodeName| {
            let acked = reign.peers.get(name).and_then(|peer| peer.acked);
            *name == self.ballot.node || acked.is_some_and(|at| now.since(at) < self.timing.lease)
        };
        self.ballot.document.voters.keys().map(|name| (name.clone(), fresh(name))).collect()
    }

    fn may_propose(&self) -> Result<(), ProposeError> {
        let State::Leader(reign) = &self.state else { return Err(ProposeError::NotLeader) };
        let own = self.commit.term == reign.term || self.planted(Plant::CommitsOlderTerm);
        let settled = self.commit == self.ballot.document.ver && own;
        if settled || self.planted(Plant::HastyVoterChange) { Ok(()) } else { Err(ProposeError::Busy) }
    }

    /// Gives up the lease, then names an heir: this voter, or the one that has answered last. If it fails, the others
    /// elect as after any loss; this node does not take the lease back in its term.
    ///
    /// # Errors
    /// If this node does not lead, or nobody it may name has the newest document.
    pub fn hand_over(&mut self, to: Option<&NodeName>, now: Mono) -> Result<(NodeName, Vec<Effect>), HandOverError> {
        let State::Leader(reign) = &self.state else { return Err(HandOverError::NotLeader) };
        let document = &self.ballot.document;
        if let Some(name) = to.filter(|name| !document.voters.contains_key(*name)) {
            return Err(HandOverError::NotVoter(name.clone()));
        }
        let fresh = |peer: &Peer| peer.acked.is_some_and(|at| now.since(at) < self.timing.lease);
        let ready = |name: &&NodeName| {
            let peer = reign.peers.get(*name);
            peer.is_some_and(|peer| peer.ver == Some(document.ver) && fresh(peer)) && **name != self.ballot.node
        };
        let heir = (document.voters.keys().filter(ready))
            .filter(|name| to.is_none_or(|to| *name == to))
            .max_by_key(|name| reign.peers.get(*name).map(|peer| peer.acked));
        let heir = heir.cloned().ok_or(HandOverError::NobodyReady)?;
        let term = self.ballot.term;
        if !self.planted(Plant::LeaseAfterHandOver) {
            self.step_down(&format!("handed over to {heir}"));
            self.wait_for_leader(now);
        }
        self.send(&heir, Message::TimeoutNow { term });
        Ok((heir, self.drain()))
    }
}
