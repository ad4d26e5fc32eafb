//! What is heard: of others, of the brokers, of the election.

use super::{BEACON_AGE, Fleet, Output, QUORUM_PATIENCE};
use crate::election::{Effect, Event, NodeName, Sender, Told};
use crate::event::Standing;
use crate::fleet::node::{NodeReport, NodeState};
use crate::fleet::roster::{Change, interval};
use crate::fleet::talk::{Beacon, Presence, Talk, To};
use crate::notice::Kind;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

impl Fleet {
    pub(super) fn hear(&mut self, from: Sender, seq: u64, broker: usize, retained: bool, talk: Talk) {
        let mine = from.node == self.me;
        if let Talk::Echo(nonce) = talk {
            if mine && nonce == self.echo.0 {
                let took = self.now.mono.since(self.echo.1);
                self.out.push(Output::RoundTrip(broker, took));
            }
            return;
        }
        if mine {
            return self.hear_own(&from, retained);
        }
        // A will was written before all else: it has the number of the life, not of the message.
        let is_will = matches!(talk, Talk::Presence(Presence::Gone));
        if !is_will && !self.dedup.is_new(&from, seq) {
            return self.dropped("duplicate");
        }
        match talk {
            Talk::Election(message) => self.tell_member(Event::Received(from, message)),
            Talk::Beacon(beacon) => self.hear_beacon(from.node, beacon, retained),
            Talk::Presence(presence) => self.hear_presence(&from, presence, retained),
            Talk::Report(report) => {
                let change = self.roster.report(&from, &report, retained, self.now);
                self.node_changed(change);
            }
            Talk::Ask(ask) => self.hear_ask(&from.node, &ask),
            Talk::Answer(answer) => self.hear_answer(answer),
            Talk::Echo(_) => {}
        }
    }

    /// Its own voice, back through a broker; or another node of its name.
    fn hear_own(&mut self, from: &Sender, retained: bool) {
        let me = self.sender();
        if !retained && (from.seat != me.seat || from.boot > me.boot) {
            let text = format!("another node calls itself {}: two of one name take each other's place", self.me);
            self.past("node", self.me.to_string(), "same name", text.clone());
            if self.tallies.dropped.insert("same-name", 1).is_none() {
                self.notice(Kind::FleetTrouble, text);
            }
        }
    }

    fn hear_presence(&mut self, from: &Sender, presence: Presence, retained: bool) {
        let change = self.roster.presence(from, presence, retained, self.now);
        self.node_changed(change);
        if presence != Presence::Here && !retained {
            self.tell_member(Event::LeaderGone(from.node.clone()));
        }
    }

    fn hear_beacon(&mut self, leader: NodeName, beacon: Beacon, retained: bool) {
        let known = self.beacon.as_ref().map(|(_, beacon, _)| beacon.term);
        if known.is_some_and(|term| beacon.term < term) || beacon.term < self.file.term {
            if !retained && beacon.term < self.file.term {
                self.old_leader = Some((leader, beacon.term));
            }
            return self.dropped("old-term");
        }
        if beacon.term.epoch() > self.member.ballot().term.epoch() && self.member.is_voter() {
            let effects = self.member.supersede(beacon.term, &leader);
            self.election(effects);
        }
        let changed = known != Some(beacon.term);
        self.old_leader = None;
        if !retained {
            self.note_term(beacon.term);
        }
        // What a broker has kept may be of a leader that is long gone; it says where to look, and not that it is there.
        let heard = match (&self.beacon, retained) {
            (Some((_, _, heard)), true) => *heard,
            (None, true) => crate::time::Now { mono: self.now.mono - BEACON_AGE, ..self.now },
            (_, false) => self.now,
        };
        self.roster.set_interval(beacon.interval, self.now.mono);
        if changed {
            // All at once would be a storm: each at a time of its own within an interval.
            let spread = self.rng.below(u64::try_from(beacon.interval.as_millis()).unwrap_or(0));
            self.report_due = self.report_due.min(self.now.mono + Duration::from_millis(spread));
            if !retained {
                self.errands.hurry(self.now.mono);
            }
        }
        self.beacon = Some((leader, beacon, heard));
    }

    pub(super) fn broker(&mut self, index: usize, state: Result<(), String>) {
        let Some(broker) = self.brokers.get_mut(index) else { return };
        let (was, url, known) = (broker.connected, broker.url.clone(), broker.reason.clone());
        broker.connected = state.is_ok();
        broker.reason = state.err().unwrap_or_default();
        let reason = broker.reason.clone();
        if broker.connected {
            let silent = self.brokers.iter().filter(|broker| broker.connected).count() == 1;
            self.past("broker", url.clone(), "connected", format!("{url} is connected"));
            self.notice(Kind::FleetBrokerBack, format!("{url} is connected"));
            if silent {
                // Nobody could be heard: all ages begin anew.
                self.roster.restart(self.now.mono);
            }
            let presence = if self.leaving { Presence::Leaves } else { Presence::Here };
            self.say(To::Registry, Talk::Presence(presence));
            self.report_due = self.now.mono;
            self.beacon_due = self.now.mono;
            self.echo_due = self.now.mono;
            self.errands.hurry(self.now.mono);
        } else {
            self.past("broker", url.clone(), "lost", format!("{url}: {reason}"));
            if was || known != reason {
                self.notice(Kind::FleetBrokerLost, format!("{url}: {reason}"));
            }
        }
    }

    pub(super) fn tell_member(&mut self, event: Event) {
        let effects = self.member.handle(event, self.now.mono);
        self.election(effects);
    }

    /// Carries out what the election wants.
    pub(super) fn election(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Write(mark, _) if self.lost.is_some() => {
                    // There is nothing that it could keep.
                    let effects = self.member.handle(Event::Written(mark), self.now.mono);
                    self.election(effects);
                }
                Effect::Write(mark, ballot) => self.out.push(Output::Write(mark, ballot)),
                Effect::Send(to, message) => self.say(To::Voter(to), Talk::Election(message)),
                Effect::Committed(ver) => self.committed(ver),
                Effect::Told(told) => self.told(&told),
            }
        }
    }

    fn told(&mut self, told: &Told) {
        let text = format!("{} {told}", self.me);
        match told {
            Told::Stands { .. } => {
                self.tallies.stood += 1;
                self.past("leader", self.me.to_string(), "stands", text);
            }
            Told::Leads { took, .. } => {
                self.tallies.won += 1;
                self.tallies.last_election = Some(*took);
                self.past("leader", self.me.to_string(), "elected", text.clone());
                self.new_leader(Some(self.me.clone()), &text);
            }
            Told::LeadsNoMore { .. } => {
                self.past("leader", self.me.to_string(), "steps down", text.clone());
                self.notice(Kind::FleetLeader, text);
                self.leader = None;
            }
            Told::Follows { leader, .. } => {
                self.past("leader", leader.to_string(), "follows", text.clone());
                self.new_leader(Some(leader.clone()), &text);
            }
            Told::Silent(why) => {
                self.past("voters", self.me.to_string(), "silent", text);
                self.notice(Kind::FleetSilent, format!("this node votes no more: {why}"));
            }
        }
    }

    pub(super) fn new_leader(&mut self, leader: Option<NodeName>, text: &str) {
        if self.leader != leader {
            self.leader = leader;
            self.tallies.leader_changes += 1;
            self.errands.hurry(self.now.mono);
            self.notice(Kind::FleetLeader, text.to_owned());
        }
    }

    /// This node's own report.
    pub(super) fn own_report(&mut self, report: Arc<NodeReport>) {
        let hurry = self.report.as_ref().is_none_or(|known| report.tells_more_than(known));
        self.report = Some(report);
        if hurry {
            // A change is told at once, but not more often than each second.
            self.report_due = self.report_due.min(self.now.mono + Duration::from_secs(1));
        }
    }

    /// What it says from time to time.
    pub(super) fn speak(&mut self) {
        let now = self.now.mono;
        if now >= self.report_due {
            self.report_due = now + self.interval();
            if let Some(report) = self.report.clone() {
                if self.is_voter() {
                    let me = self.sender();
                    self.roster.report(&me, &report, false, self.now);
                }
                self.say(To::Registry, Talk::Report(report));
            }
        }
        if now >= self.echo_due {
            self.echo_due = now + self.rng.jitter(super::ECHO);
            self.echo = (self.rng.next_u64(), now);
            self.say(To::Node(self.me.clone()), Talk::Echo(self.echo.0));
        }
    }

    /// Time between two reports.
    pub(super) fn interval(&self) -> Duration {
        match (&self.desk, &self.beacon) {
            (None, Some((_, beacon, _))) => beacon.interval,
            _ => interval(self.roster.len(), self.config.report_interval),
        }
    }

    /// Ages: of nodes, and of the leader.
    pub(super) fn look_around(&mut self) {
        if self.is_voter() && self.roster.deadline().is_some_and(|at| at <= self.now.mono) {
            let document = &self.member.ballot().document;
            let holders = document.slots.keys().map(|id| id.node.clone());
            let kept: BTreeSet<NodeName> = document.voters.keys().cloned().chain(holders).collect();
            for change in self.roster.look(&self.me.clone(), &kept, self.now.mono) {
                self.node_changed(Some(change));
            }
        }
        let silence = self.roster.silence();
        if std::mem::replace(&mut self.silence, silence) != silence {
            let text = match silence {
                true => "most nodes fell silent at once: a broker is the likely cause; nobody is declared lost",
                false => "most nodes are heard again",
            };
            self.past("node", String::new(), if silence { "silence" } else { "heard" }, text.to_owned());
            self.notice(Kind::FleetTrouble, text.to_owned());
        }
        self.look_for_leader();
    }

    fn look_for_leader(&mut self) {
        if self.quorum() {
            self.quorum_at = self.now;
            if std::mem::take(&mut self.quorum_missed) {
                self.notice(Kind::FleetQuorum, "there is a leader again".to_owned());
            }
            if !self.member.is_voter()
                && let Some((leader, beacon, _)) = &self.beacon
            {
                let (leader, text) = (leader.clone(), format!("{} follows {leader} in term {}", self.me, beacon.term));
                self.new_leader(Some(leader), &text);
            }
            return;
        }
        if !self.quorum_missed && self.now.mono >= self.quorum_at.mono + QUORUM_PATIENCE {
            self.quorum_missed = true;
            let text = self.trouble();
            self.past("leader", String::new(), "missing", text.clone());
            self.notice(Kind::FleetNoQuorum, text);
            let waits = Standing::Waits("waits for a leader".to_owned());
            let asks: Vec<_> = self.errands.list().iter().map(|errand| errand.op).collect();
            asks.into_iter().for_each(|op| self.standing(op, waits.clone()));
        }
    }

    fn node_changed(&mut self, change: Option<Change>) {
        let Some(Change { node, old, new, why }) = change else { return };
        if node == self.me {
            return;
        }
        self.past("node", node.to_string(), new.word(), format!("{node} {why}"));
        match (old, new) {
            (_, NodeState::Lost) => self.notice(Kind::FleetNodeLost, format!("{node} is lost: {why}")),
            (Some(NodeState::Lost), NodeState::Alive) => {
                self.notice(Kind::FleetNodeBack, format!("{node} {why}"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::Fleet as Config;
    use crate::election::{Boot, Seat, Term, Ver};
    use crate::fleet::errand::NodeFile;
    use crate::fleet::machine::{Found, Input, Start};
    use crate::fleet::node::WorkerReport;
    use crate::time::{Mono, Now, Wall};

    fn at(millis: u64) -> Now {
        Now { mono: Mono(Duration::from_millis(millis)), wall: Wall(millis * 1000) }
    }

    fn report(state: &str, queue_depth: u64) -> Input {
        let worker = WorkerReport { queue_depth: Some(queue_depth), ..WorkerReport::default() };
        Input::Report(Arc::new(NodeReport { state: state.to_owned(), workers: vec![worker], ..NodeReport::default() }))
    }

    #[test]
    fn cap_04_a_queue_that_moves_waits_for_the_next_report_and_a_state_does_not() {
        let (node, leader) = (NodeName::new("a").unwrap(), NodeName::new("n1").unwrap());
        let brokers = vec!["mqtt://b:1883".to_owned()];
        let config = Config { name: "lab".to_owned(), brokers, voters: vec![leader.clone()], ..Config::alone(&node) };
        let start = Start {
            node,
            config: Some(Arc::new(config)),
            voter: Found::Never,
            file: NodeFile::default(),
            seat: Seat(1),
            seed: 1,
        };
        let (mut fleet, _) = Fleet::start(start, at(0));
        fleet.handle(Input::Broker(0, Ok(())), at(0));
        let beacon = Beacon {
            term: Term(1),
            commit: Ver::default(),
            interval: Duration::from_secs(20),
            voters: vec![leader.clone()],
            nodes: 10_000,
            frozen: None,
        };
        let from = Sender { node: leader, seat: Seat(2), boot: Boot(1) };
        let talk = Talk::Beacon(beacon);
        fleet.handle(Input::Heard { from, seq: 1, broker: 0, retained: false, talk }, at(0));
        let mut told = Vec::new();
        for millis in (0..100_000).step_by(100) {
            let state = if millis < 61_000 { "ready" } else { "drained" };
            let outputs = fleet.handle(report(state, millis), at(millis));
            if outputs.iter().any(|output| matches!(output, Output::Say(To::Registry, Talk::Report(_)))) {
                told.push((millis, state));
            }
        }
        let first = told.first().unwrap().0;
        assert!(first <= 1_000, "{told:?}");
        let drained = told.iter().find(|(_, state)| *state == "drained").unwrap().0;
        assert!((61_000..=62_000).contains(&drained), "{told:?}");
        assert!((5..=7).contains(&told.len()), "one in 20 s, and the change: {told:?}");
    }
}
