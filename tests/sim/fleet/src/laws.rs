//! What must hold at every step.

use crate::clock::True;
use crate::node::Node;
use crate::plan::{Plan, Weather};
use reeve_core::election::{Ballot, Effect, Member, Message, NodeName, Role, Seat, Sender, Term, Told, Ver};
use reeve_core::fleet::Document;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct Laws {
    /// I1.
    leaders: BTreeMap<Term, usize>,
    /// I3: which version each was made from, and what it says.
    parents: BTreeMap<Ver, Ver>,
    contents: BTreeMap<Ver, Document>,
    held: BTreeMap<Ver, BTreeSet<usize>>,
    committed: BTreeSet<Ver>,
    commits_at: Vec<(True, Ver)>,
    /// I4: what was said with this voter file.
    terms: BTreeMap<Seat, Term>,
    votes: BTreeMap<(Seat, Term), NodeName>,
    /// Nodes that run on an old image of their disk: what they promised after it is no law for them.
    forgetful: BTreeSet<usize>,
    /// Cut off for good.
    pub deaf: Option<usize>,
    lost_at: Option<True>,
    last_lease: Option<True>,
    given_up: u64,
    pub seen: Seen,
}

/// What is told at the end.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub elections: u64,
    pub commits: u64,
    /// From the death of a leader to the next lease, ms: with the standard times.
    pub failovers: Vec<u64>,
    pub handovers: u64,
    pub silent: u64,
    pub voter_changes: u64,
}

impl Laws {
    pub fn committed(&self) -> Ver {
        self.committed.last().copied().unwrap_or_default()
    }

    pub fn leader_lost(&mut self, at: Option<True>) {
        if at.is_some() {
            self.lost_at = at;
        }
    }

    pub fn forgets(&mut self, node: usize) {
        self.forgetful.insert(node);
    }

    pub fn remembers(&mut self, node: usize) {
        self.forgetful.remove(&node);
    }

    /// A disk has a ballot now.
    pub fn kept(&mut self, node: usize, ballot: &Ballot) {
        self.held.entry(ballot.document.ver).or_default().insert(node);
    }

    /// A leader has written a version on top of another.
    pub fn wrote(&mut self, before: Ver, member: &Member) {
        let document = &member.ballot().document;
        if document.ver != before && member.role() == Role::Leader && document.ver.term == member.ballot().term {
            let parent = *self.parents.entry(document.ver).or_insert(before);
            if let Some(earlier) = self.contents.get(&before)
                && parent == before
                && earlier.voters.len() != document.voters.len()
            {
                self.seen.voter_changes += 1;
            }
        }
        self.contents.entry(document.ver).or_insert_with(|| document.clone());
    }

    /// I3, and what is worth counting.
    pub fn heard(&mut self, node: usize, now: True, effects: &[Effect], nodes: &[Node]) -> Result<(), String> {
        for effect in effects {
            match effect {
                Effect::Write(_, ballot) => {
                    let ver = ballot.document.ver;
                    if self.contents.get(&ver).is_some_and(|known| *known != ballot.document) {
                        return Err(format!("I3: two documents are called {ver}"));
                    }
                }
                Effect::Committed(ver) => self.commits(node, *ver, now, nodes)?,
                Effect::Told(Told::Leads { term, .. }) => {
                    self.seen.elections += 1;
                    self.is_complete(node, *term, nodes)?;
                }
                Effect::Told(Told::LeadsNoMore { why, .. }) => {
                    self.given_up += 1;
                    self.seen.handovers += u64::from(why.starts_with("handed over"));
                }
                Effect::Told(Told::Silent(_)) => self.seen.silent += 1,
                Effect::Told(_) | Effect::Send(..) => {}
            }
        }
        Ok(())
    }

    fn commits(&mut self, node: usize, ver: Ver, now: True, nodes: &[Node]) -> Result<(), String> {
        if self.committed.contains(&ver) {
            return Ok(());
        }
        // A version between two others that were committed was committed with the later one.
        let last = self.committed();
        if ver < last {
            let line: BTreeSet<_> = self.line(last).collect();
            if !line.contains(&ver) {
                return Err(format!("I3: {} knows {ver} committed, which is not in the line of {last}", node + 1));
            }
            return Ok(());
        }
        let from = self.line(ver).find(|before| *before <= last).unwrap_or_default();
        if from != last {
            return Err(format!("I3: {ver} was committed, made from {from}, though {last} was committed before"));
        }
        let leads = nodes[node].life.as_ref().is_some_and(|life| life.member.role() == Role::Leader);
        if leads && let Some(document) = self.contents.get(&ver) {
            let votes = |node: &&usize| document.voters.keys().any(|name| name.as_str() == format!("n{}", **node + 1));
            let holders = self.held.get(&ver).map_or(0, |held| held.iter().filter(votes).count());
            let majority = document.voters.len() / 2 + 1;
            if holders < majority {
                return Err(format!("I3: {ver} counts as committed on {holders} disks of {majority}"));
            }
        }
        self.committed.insert(ver);
        self.commits_at.push((now, ver));
        self.seen.commits += 1;
        Ok(())
    }

    /// This version and all it was made from, newest first.
    fn line(&self, from: Ver) -> impl Iterator<Item = Ver> {
        std::iter::successors(Some(from), |ver| self.parents.get(ver).copied())
    }

    /// Whoever leads has all that was committed.
    fn is_complete(&self, node: usize, term: Term, nodes: &[Node]) -> Result<(), String> {
        let (last, ver) = (self.committed(), nodes[node].life.as_ref().unwrap().member.ballot().document.ver);
        if last.term < term && !self.line(ver).any(|before| before == last) {
            return Err(format!(
                "I3: n{} leads in term {term} with {ver}, without {last} that was committed",
                node + 1
            ));
        }
        Ok(())
    }

    /// I4: what leaves a node.
    pub fn says(&mut self, node: usize, sender: &Sender, message: &Message) -> Result<(), String> {
        if self.forgetful.contains(&node) || matches!(message, Message::PreVote { .. }) {
            return Ok(());
        }
        let term = message.term();
        let most = self.terms.entry(sender.seat).or_default();
        if term < *most {
            return Err(format!("I4: {} says term {term} after term {most}", sender.node));
        }
        *most = term;
        Ok(())
    }

    /// One vote a term.
    pub fn votes(&mut self, node: usize, voter: &Sender, for_whom: &NodeName, message: &Message) -> Result<(), String> {
        if let Message::VoteReply { term, granted: true } = message
            && !self.forgetful.contains(&node)
        {
            let chosen = self.votes.entry((voter.seat, *term)).or_insert_with(|| for_whom.clone());
            if chosen != for_whom {
                return Err(format!("I4: {} votes for {chosen} and {for_whom} in term {term}", voter.node));
            }
        }
        Ok(())
    }

    /// I1 and I2, at the instant of a change of this node.
    pub fn holds(&mut self, node: usize, now: True, nodes: &[Node]) -> Result<(), String> {
        let Some(life) = &nodes[node].life else { return Ok(()) };
        if life.member.role() != Role::Leader {
            return Ok(());
        }
        let term = life.member.ballot().term;
        let leader = *self.leaders.entry(term).or_insert(node);
        if leader != node {
            return Err(format!("I1: n{} and n{} lead in term {term}", leader + 1, node + 1));
        }
        let holds = |at: &Node| at.life.as_ref().is_some_and(|life| life.member.holds_lease(at.clock.at(now)));
        if !holds(&nodes[node]) {
            return Ok(());
        }
        // Who serves knows all that was decided before its time.
        let (before, knows) = (Ver { term, n: 0 }, life.member.view().commit);
        if let Some(decided) = self.committed.range(..before).next_back()
            && knows < *decided
        {
            return Err(format!("I3: n{} serves in term {term} and knows only {knows} of {decided}", node + 1));
        }
        if let Some(lost) = self.lost_at.take() {
            self.seen.failovers.push((now - lost) / 1000);
        }
        self.last_lease = Some(now);
        // A stopped process counts, as it may wake up at any instant.
        for (other, at) in nodes.iter().enumerate() {
            if other != node && holds(at) {
                let theirs = at.life.as_ref().unwrap().member.ballot().term;
                return Err(format!(
                    "I2: n{} (term {term}) and n{} (term {theirs}) both hold a lease",
                    node + 1,
                    other + 1
                ));
            }
        }
        Ok(())
    }

    /// What was committed at this time, newest first.
    pub fn committed_before(&self, then: True) -> Ver {
        self.commits_at.iter().rev().find(|(at, _)| *at <= then).map_or_else(Ver::default, |(_, ver)| *ver)
    }

    pub fn at_the_end(&self, plan: &Plan) -> Result<(), String> {
        if matches!(plan.weather, Weather::Returns | Weather::Fair) && self.given_up > 0 {
            return Err(format!("L2: a leader stepped down {} times, though it was never lost", self.given_up));
        }
        Ok(())
    }

    /// Whether somebody held a lease not longer ago than this.
    pub fn had_lease_since(&self, then: True) -> bool {
        self.last_lease.is_some_and(|at| at >= then)
    }
}
