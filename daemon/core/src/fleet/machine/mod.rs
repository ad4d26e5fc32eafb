//! The fleet as one node lives it: what happens goes in, what is to be done comes out, in order.
//!
//! [`Output::Write`] and [`Output::Keep`] are **barriers**, as in the election: nothing behind them may leave before the
//! file is on the disk.

mod ask;
mod hear;
mod lead;
mod view;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod four;
#[cfg(test)]
mod tests;

use super::command::FleetCommand;
use super::dedup::Dedup;
use super::desk::Desk;
use super::document::Document;
use super::errand::{Errands, NodeFile};
use super::node::NodeReport;
use super::past::Past;
use super::plant::FleetPlant;
use super::roster::Roster;
use super::status::{BrokerStatus, FleetTallies, NodeEntry};
use super::talk::{Beacon, Presence, Talk, To};
use crate::config::Fleet as Config;
use crate::election::{Ballot, Event, Mark, Member, NodeName, Seat, Sender, Term};
use crate::event::Standing;
use crate::ids::OperationId;
use crate::notice::{Kind, Notice};
use crate::rng::Rng;
use crate::time::{Mono, Now, Wall};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The leader says that it leads, also when nothing has changed.
const BEACON: Duration = Duration::from_secs(5);
/// A leader whose beacon is this old is no leader any more to an observer.
const BEACON_AGE: Duration = Duration::from_secs(17);
/// Between two messages to itself through each broker.
const ECHO: Duration = Duration::from_secs(15);
/// No leader for this long is told to people.
const QUORUM_PATIENCE: Duration = Duration::from_secs(10);

/// What was found of the voter file.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// This node has never been a voter of this fleet.
    Never,
    /// Its ballot.
    Ballot(Box<Ballot>),
    /// There was one, and it cannot be used: a voter that has forgotten what it promised must not vote. The text says what
    /// to do.
    Lost(String),
}

/// What a node begins with.
#[derive(Debug)]
pub struct Start {
    /// Its name.
    pub node: NodeName,
    /// `[fleet]`; `None`: it is a fleet of its own.
    pub config: Option<Arc<Config>>,
    /// Its voter file.
    pub voter: Found,
    /// Its other file.
    pub file: NodeFile,
    /// Drawn at random, for a first or a new voter file.
    pub seat: Seat,
    /// Decides waiting times and nonces.
    pub seed: u64,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A message of this fleet whose sender is who it says.
    Heard {
        /// Who.
        from: Sender,
        /// Counts the messages of one life of a sender.
        seq: u64,
        /// Through which broker.
        broker: usize,
        /// A broker has kept it.
        retained: bool,
        /// What.
        talk: Talk,
    },
    /// A message was dropped at the door.
    Dropped(&'static str),
    /// The connection to a broker stands, or not, and why.
    Broker(usize, Result<(), String>),
    /// The voter file is on the disk, up to this write.
    Written(Mark),
    /// It could not be written.
    WriteFailed(String),
    /// The node's file could not be written.
    KeepFailed(String),
    /// The deadline has come.
    Tick,
    /// What this node has to say of itself.
    Report(Arc<NodeReport>),
    /// People want something.
    Command {
        /// Whom to tell.
        id: OperationId,
        /// What.
        command: FleetCommand,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Nobody waits for it any more.
    Cancel(OperationId),
    /// The configuration was read again.
    Configured(Option<Arc<Config>>),
    /// The daemon is about to end.
    Leaving,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Write the voter file through to the disk: a barrier.
    Write(Mark, Ballot),
    /// Write the node's file through to the disk: a barrier.
    Keep(NodeFile),
    /// Say something.
    Say(To, Talk),
    /// Tell people.
    Notice(Notice),
    /// Answer a command.
    Standing(OperationId, Standing),
    /// A message to itself took so long through this broker, there and back (HLT-10, MET-14).
    RoundTrip(usize, Duration),
}

impl Output {
    /// Whether it may leave only after the voter file that stands before it is on the disk: when that write fails, it must
    /// not leave at all.
    pub fn relies_on_ballot(&self) -> bool {
        matches!(self, Output::Write(..) | Output::Say(_, Talk::Election(_)))
    }
}

/// A node of a fleet.
#[derive(Debug, Clone)]
pub struct Fleet {
    me: NodeName,
    config: Arc<Config>,
    alone: bool,
    member: Member,
    /// The voter file is lost, and why: nothing is written until it is made anew.
    lost: Option<String>,
    desk: Option<Desk>,
    roster: Roster,
    dedup: Dedup,
    errands: Errands,
    file: NodeFile,
    past: Past,
    /// Who says that it leads, and when it said so last.
    beacon: Option<(NodeName, Beacon, Now)>,
    /// Says that it leads, in a term that is over.
    old_leader: Option<(NodeName, Term)>,
    brokers: Vec<BrokerStatus>,
    report: Option<Arc<NodeReport>>,
    report_due: Mono,
    beacon_due: Mono,
    echo_due: Mono,
    /// Messages to itself that are under way.
    echo: (u64, Mono),
    /// When it last knew of a leader that a majority answers.
    quorum_at: Now,
    /// People were told that there is none.
    quorum_missed: bool,
    silence: bool,
    leader: Option<NodeName>,
    since: (&'static str, Wall),
    slots_asked: u32,
    /// The daemon ends.
    leaving: bool,
    seat: Seat,
    seed: u64,
    rng: Rng,
    tallies: FleetTallies,
    nodes: (Option<Mono>, Arc<BTreeMap<NodeName, Arc<NodeEntry>>>),
    out: Vec<Output>,
    now: Now,
    /// Always empty but in the simulation's own builds.
    plant: Option<FleetPlant>,
}

impl Fleet {
    /// Begins, with what is to be done first.
    pub fn start(start: Start, now: Now) -> (Self, Vec<Output>) {
        let Start { node, config, voter, file, seat, seed } = start;
        let alone = config.is_none();
        let config = config.unwrap_or_else(|| Arc::new(Config::alone(&node)));
        let founding = || Document::founding(config.voters.iter().cloned());
        let (ballot, lost) = match voter {
            Found::Ballot(ballot) => (*ballot, None),
            Found::Never => (Ballot::new(&config.name, node.clone(), seat, founding()), None),
            Found::Lost(why) => {
                // It takes part as one that has no vote, and writes nothing.
                let others = config.voters.iter().filter(|name| **name != node).cloned();
                (Ballot::new(&config.name, node.clone(), seat, Document::founding(others)), Some(why))
            }
        };
        let (member, effects) = Member::start(ballot, config.timing, config.priority.clone(), seed, now.mono);
        let mut fleet = Self {
            me: node,
            alone,
            member,
            lost,
            desk: None,
            roster: Roster::new(now.mono),
            dedup: Dedup::default(),
            errands: Errands::new(seed ^ 0x5eed),
            file,
            past: Past::default(),
            beacon: None,
            old_leader: None,
            brokers: config.brokers.iter().map(|url| BrokerStatus::new(url)).collect(),
            report: None,
            report_due: now.mono,
            beacon_due: now.mono,
            echo_due: now.mono,
            echo: (0, now.mono),
            quorum_at: now,
            quorum_missed: false,
            silence: false,
            leader: None,
            since: ("", now.wall),
            slots_asked: 0,
            leaving: false,
            seat,
            seed,
            rng: Rng::new(seed.rotate_left(17)),
            tallies: FleetTallies::default(),
            nodes: (None, Arc::default()),
            out: Vec::new(),
            now,
            plant: None,
            config,
        };
        if let Some(why) = fleet.lost.clone() {
            fleet.past("voters", fleet.me.to_string(), "silent", why.clone());
            fleet.notice(Kind::FleetSilent, format!("this node votes no more: {why}"));
        }
        fleet.election(effects);
        fleet.ask_again_for_slots();
        fleet.settle();
        let out = std::mem::take(&mut fleet.out);
        (fleet, out)
    }

    /// Plants a defect, as if the code were wrong.
    #[cfg(feature = "plants")]
    pub fn plant(&mut self, plant: FleetPlant) {
        self.plant = Some(plant);
    }

    fn planted(&self, plant: FleetPlant) -> bool {
        cfg!(feature = "plants") && self.plant == Some(plant)
    }

    /// What happens, when, and what is to be done about it.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Output> {
        self.now = now;
        match input {
            Input::Heard { from, seq, broker, retained, talk } => self.hear(from, seq, broker, retained, talk),
            Input::Dropped(why) => self.dropped(why),
            Input::Broker(index, state) => self.broker(index, state),
            Input::Written(mark) => self.tell_member(Event::Written(mark)),
            Input::WriteFailed(why) => self.tell_member(Event::WriteFailed(why)),
            Input::KeepFailed(why) => self.keep_failed(&why),
            Input::Tick => {}
            Input::Report(report) => self.own_report(report),
            Input::Command { id, command, by, reason } => self.command(id, command, &by, reason),
            Input::Cancel(id) => self.cancel(id),
            Input::Configured(config) => self.configured(config),
            Input::Leaving => self.leave(),
        }
        self.settle();
        std::mem::take(&mut self.out)
    }

    /// What follows from the time and from what has just happened.
    fn settle(&mut self) {
        if self.member.deadline().is_some_and(|(at, _)| at <= self.now.mono) {
            self.tell_member(Event::Tick);
        }
        self.lead();
        self.look_around();
        self.run_errands();
        self.pass_on();
        // After it has said that it leaves, a report would say that it is there.
        if self.is_connected() && !self.leaving {
            self.speak();
        }
    }

    /// When it wants to be called next, and why.
    pub fn deadline(&self) -> Option<(Mono, &'static str)> {
        let mut due = vec![self.member.deadline()];
        due.push(self.errands.deadline().map(|at| (at, "ask again")));
        due.push(self.errands.until.values().min().map(|at| (*at, "a slot's time is over")));
        let serves = self.member.holds_lease(self.now.mono);
        if let Some(desk) = self.desk.as_ref().filter(|_| serves) {
            let document = &self.member.ballot().document;
            due.push(desk.deadline(document, &self.config.slots).map(|at| (at, "slots")));
        }
        if !self.alone {
            due.push(self.roster.deadline().filter(|_| self.is_voter()).map(|at| (at, "ages of nodes")));
            due.push(self.is_connected().then_some((self.report_due.min(self.echo_due), "report")));
            due.push(serves.then_some((self.beacon_due, "beacon")));
            due.push((!self.quorum_missed).then(|| (self.quorum_at.mono + QUORUM_PATIENCE, "no leader")));
        }
        due.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Who this is, to put on its messages.
    pub fn sender(&self) -> Sender {
        self.member.sender()
    }

    /// What a broker shall say for this node when it loses the connection.
    pub fn will(&self) -> Talk {
        Talk::Presence(Presence::Gone)
    }

    /// Whether it reads the registry and what nodes ask for.
    pub fn is_voter(&self) -> bool {
        self.member.is_voter() || self.lost.is_some()
    }

    /// Whether it has to hear what is said to voters. The leader may count on a new one before that knows, and only what is
    /// said to voters tells it.
    pub fn hears_voters(&self) -> bool {
        self.is_voter() || self.beacon.as_ref().is_some_and(|(_, beacon, _)| beacon.voters.contains(&self.me))
    }

    fn is_connected(&self) -> bool {
        self.brokers.iter().any(|broker| broker.connected)
    }

    /// The election.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Grows with whatever people would want to see anew.
    pub fn mark(&self) -> u64 {
        self.past.count() + self.tallies.leader_changes + u64::from(self.quorum()) + self.member.commit().n
    }

    /// What it has said of itself.
    pub fn report(&self) -> Option<&NodeReport> {
        self.report.as_deref()
    }

    fn say(&mut self, to: To, talk: Talk) {
        self.out.push(Output::Say(to, talk));
    }

    fn dropped(&mut self, why: &'static str) {
        *self.tallies.dropped.entry(why).or_default() += 1;
    }

    fn past(&mut self, kind: &'static str, subject: String, cause: &'static str, text: String) {
        self.past.note(self.now.wall, kind, subject, cause, text);
    }

    fn notice(&mut self, kind: Kind, text: String) {
        if !self.alone {
            self.out.push(Output::Notice(Notice::node(kind, text)));
        }
    }

    fn standing(&mut self, op: Option<OperationId>, standing: Standing) {
        if let Some(id) = op {
            self.out.push(Output::Standing(id, standing));
        }
    }

    /// Writes the node's file before anything that follows.
    fn keep(&mut self) {
        self.out.push(Output::Keep(self.file.clone()));
    }
}
