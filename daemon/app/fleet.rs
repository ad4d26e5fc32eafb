//! The fleet in the loop: its machine, its files, and the way to the brokers.
//!
//! What the machine wants is done in order. Files are written on a thread that may block; until that is done nothing that
//! stands behind leaves: a vote is on the disk before it is told.

use super::report::report;
use super::run::App;
use crate::host::clock::Clock;
use crate::host::paths::Paths;
use crate::host::store::RealDisk;
use crate::host::store::voter::VoterFile;
use crate::mqtt::{self, Home, Link, LinkEvent, Links, Login, Options, Publication};
use reeve_core::config::{self, Config};
use reeve_core::election::{Mark, NodeName, Role, Seat};
use reeve_core::fleet::{Fleet, FleetStatus, Found, Input, LinkCounters, NodeFile, Output, Start, Talk, To};
use reeve_core::{Event, Kind, Mono, Notice, Snapshot};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Messages of brokers that wait for the loop: a registry of ten thousand nodes comes at once when a voter connects.
const ROOM: usize = 32_768;
/// Beats decide; this is for a broker that hangs.
const VOTER_ALIVE: Duration = Duration::from_secs(5);
const OBSERVER_ALIVE: Duration = Duration::from_secs(20);
/// Between tries to connect: voters are few and wanted back, observers may be ten thousand.
const VOTER_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
const OBSERVER_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A leader that ends waits for an heir: what it has written last is on its way, or has to be sent again.
const HEIR: Duration = Duration::from_millis(1500);
const HEIR_LOOK: Duration = Duration::from_millis(50);
/// The picture of a fleet in which nothing happens is as old as this at most.
const PICTURE: Duration = Duration::from_secs(2);
/// On the leader, whose lease is part of it.
const LEADER_PICTURE: Duration = Duration::from_millis(500);

/// What a thread has done for the fleet.
#[derive(Debug)]
pub(super) enum Done {
    /// The voter file.
    Voter(Mark, Result<(), String>),
    /// The node's file.
    Node(Result<(), String>),
    /// The old link is closed: a new one may begin.
    Closed,
}

/// What the loop waits for on behalf of the fleet.
#[derive(Debug)]
pub(super) struct FleetInbox {
    pub links: mpsc::Receiver<LinkEvent>,
    pub done: mpsc::UnboundedReceiver<Done>,
}

/// The fleet's part of the loop.
pub(super) struct FleetDesk {
    fleet: Fleet,
    config: Option<Arc<config::Fleet>>,
    home: Home,
    files: VoterFile,
    credentials: PathBuf,
    outputs: VecDeque<Output>,
    /// A file is on its way to the disk.
    writing: bool,
    link: Option<Links>,
    /// An old link is being closed.
    closing: bool,
    /// Subscribed to what voters read.
    as_voter: bool,
    seq: u64,
    links: mpsc::Sender<LinkEvent>,
    done: mpsc::UnboundedSender<Done>,
    counters: Vec<LinkCounters>,
    drawn: Mono,
    mark: u64,
}

fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

impl FleetDesk {
    /// Reads the files and begins. What is wrong with them is told.
    pub(super) fn start(config: &Config, paths: &Paths) -> Result<(Self, FleetInbox, Vec<Notice>), String> {
        let node = NodeName::new(&config.node.name).map_err(|e| e.to_string())?;
        // Before it joins a fleet a node elects itself, and what it promises itself is nothing to others.
        let folder = if config.fleet.is_some() { paths.state.clone() } else { paths.state.join("alone") };
        std::fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        let files = VoterFile::new(&folder, Arc::new(RealDisk));
        // An unconfigured one never leaves the node.
        let fleet_name = config.fleet.as_ref().map(|fleet| fleet.name.clone()).unwrap_or_default();
        let voter = match (&config.fleet, files.read(&fleet_name, &node)) {
            // Nobody else relies on what it has promised.
            (None, Found::Lost(_)) => Found::Never,
            (_, found) => found,
        };
        let mut notices = Vec::new();
        let file = files.read_node().unwrap_or_else(|why| {
            notices.push(Notice::node(Kind::FleetTrouble, format!("slots of this node are forgotten: {why}")));
            NodeFile::default()
        });
        let start = Start {
            node: node.clone(),
            config: config.fleet.clone(),
            voter,
            file,
            seat: Seat(random()),
            seed: random(),
        };
        let (fleet, outputs) = Fleet::start(start, Clock::now());
        let (links, link_inbox) = mpsc::channel(ROOM);
        let (done, done_inbox) = mpsc::unbounded_channel();
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let desk = Self {
            fleet,
            config: config.fleet.clone(),
            home: Home::new(&fleet_name, &node),
            files,
            credentials: credentials.unwrap_or_else(|| paths.etc.join("credentials")),
            outputs: outputs.into(),
            writing: false,
            link: None,
            closing: false,
            as_voter: false,
            seq: 0,
            links,
            done,
            counters: Vec::new(),
            drawn: Mono::default(),
            mark: 0,
        };
        Ok((desk, FleetInbox { links: link_inbox, done: done_inbox }, notices))
    }

    /// When the fleet wants to be called.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.fleet.deadline().map(|(at, _)| at)
    }

    /// Connects, if there are brokers.
    fn connect(&mut self) -> Result<(), String> {
        let Some(config) = self.config.as_ref().filter(|config| !config.brokers.is_empty()) else { return Ok(()) };
        let sender = self.fleet.sender();
        let login =
            Login::read(sender.node.as_str(), &self.credentials, config.credentials.as_deref(), &config.brokers)?;
        self.as_voter = self.fleet.hears_voters();
        let will = self.publication(&To::Registry, &self.fleet.will());
        let (keep_alive, retry) =
            if self.as_voter { (VOTER_ALIVE, VOTER_RETRY) } else { (OBSERVER_ALIVE, OBSERVER_RETRY) };
        let options = Options {
            client: format!("reeve-{}-{}", config.name, sender.node),
            brokers: config.brokers.clone(),
            login,
            subscriptions: self.home.subscriptions(self.as_voter),
            will,
            keep_alive,
            retry,
            seed: random(),
        };
        self.counters.truncate(options.brokers.len());
        for (place, url) in options.brokers.iter().enumerate() {
            match self.counters.get_mut(place) {
                Some(known) if known.url == *url => {}
                Some(other) => *other = LinkCounters::new(url),
                None => self.counters.push(LinkCounters::new(url)),
            }
        }
        self.link = Some(Links::start(options, self.links.clone()));
        Ok(())
    }

    fn publication(&self, to: &To, talk: &Talk) -> Publication {
        let route = self.home.route(to, talk);
        let payload = mqtt::encode(self.home.fleet(), &self.fleet.sender(), self.seq, talk);
        Publication { topic: route.topic, payload, retain: route.retain, acknowledged: route.acknowledged }
    }

    fn publish(&mut self, to: &To, talk: &Talk) {
        self.seq += 1;
        let publication = self.publication(to, talk);
        // Reports are many, and all voters read all brokers: one is enough.
        let which = if matches!(talk, Talk::Report(_)) { mqtt::To::First } else { mqtt::To::All };
        if let Some(link) = &mut self.link {
            link.publish(which, publication);
        }
    }

    /// Leaves the old brokers, for new ones or other subscriptions.
    fn reconnect(&mut self) {
        match self.link.take() {
            Some(old) if !self.closing => {
                self.closing = true;
                let done = self.done.clone();
                tokio::spawn(async move {
                    old.close(None).await;
                    // The loop is gone only when the daemon ends.
                    let _ = done.send(Done::Closed);
                });
            }
            _ if !self.closing => drop(self.done.send(Done::Closed)),
            _ => {}
        }
    }

    /// What the fleet looks like now.
    fn draw(&mut self) -> FleetStatus {
        let now = Clock::now();
        self.drawn = now.mono;
        let mut status = self.fleet.status(now);
        if let Some(link) = &self.link {
            let counted = self.counters.iter_mut().zip(link.status());
            for ((counters, broker), shown) in counted.zip(&mut status.brokers) {
                shown.connected = broker.connected;
                counters.sent = broker.sent;
                counters.received = broker.received;
                counters.dropped = broker.dropped;
                counters.refused = broker.refused;
                counters.connects = broker.connects;
                counters.lost = broker.lost;
            }
        }
        status.links.clone_from(&self.counters);
        status
    }
}

impl App {
    /// Connects for the first time; what stands in the way is told, and everything else goes on.
    pub(super) fn join_fleet(&mut self) {
        self.connect_fleet();
        self.carry_out_fleet();
    }

    fn connect_fleet(&mut self) {
        if let Err(why) = self.fleet.connect() {
            let brokers = self.fleet.config.as_ref().map_or(0, |config| config.brokers.len());
            for broker in 0..brokers {
                self.tell_fleet(Input::Broker(broker, Err(why.clone())));
            }
        }
    }

    /// One input through the machine, and all that follows from it.
    pub(super) fn tell_fleet(&mut self, input: Input) {
        let outputs = self.fleet.fleet.handle(input, Clock::now());
        self.fleet.outputs.extend(outputs);
        self.carry_out_fleet();
        if self.fleet.fleet.hears_voters() != self.fleet.as_voter && self.fleet.link.is_some() {
            self.fleet.reconnect();
        }
        let mark = self.fleet.fleet.mark();
        let leads = self.fleet.fleet.member().role() == Role::Leader;
        let picture = if leads { LEADER_PICTURE } else { PICTURE };
        if mark != self.fleet.mark || Clock::now().mono >= self.fleet.drawn + picture {
            self.fleet.mark = mark;
            self.stale = true;
        }
    }

    /// In order; nothing passes a write.
    fn carry_out_fleet(&mut self) {
        while !self.fleet.writing {
            let Some(output) = self.fleet.outputs.pop_front() else { return };
            match output {
                Output::Write(mark, ballot) => {
                    self.fleet.writing = true;
                    let (files, done) = (self.fleet.files.clone(), self.fleet.done.clone());
                    tokio::task::spawn_blocking(move || {
                        let written = files.write(&ballot);
                        drop(done.send(Done::Voter(mark, written)));
                    });
                }
                Output::Keep(file) => {
                    self.fleet.writing = true;
                    let (files, done) = (self.fleet.files.clone(), self.fleet.done.clone());
                    tokio::task::spawn_blocking(move || drop(done.send(Done::Node(files.write_node(&file)))));
                }
                Output::Say(to, talk) => self.fleet.publish(&to, &talk),
                Output::Notice(notice) => self.notice(notice),
                Output::Standing(id, standing) => {
                    // In a later turn: the core may be in the middle of this one.
                    let _ = self.later.send(Event::Fleet { id, standing });
                }
                Output::RoundTrip(broker, took) => {
                    if let Some(counters) = self.fleet.counters.get_mut(broker) {
                        counters.observe(took);
                    }
                }
            }
        }
    }

    /// A thread has done its part.
    pub(super) fn fleet_done(&mut self, done: Done) {
        match done {
            Done::Closed => {
                self.fleet.closing = false;
                self.connect_fleet();
            }
            Done::Voter(mark, written) => {
                self.fleet.writing = false;
                if written.is_err() {
                    // What waited behind it tells of promises that are not kept.
                    self.fleet.outputs.retain(|output| !output.relies_on_ballot());
                }
                let input = written.map_or_else(Input::WriteFailed, |()| Input::Written(mark));
                self.tell_fleet(input);
            }
            Done::Node(written) => {
                self.fleet.writing = false;
                match written {
                    Ok(()) => self.carry_out_fleet(),
                    Err(why) => self.tell_fleet(Input::KeepFailed(why)),
                }
            }
        }
    }

    /// A broker has something, or is not there.
    pub(super) fn heard(&mut self, event: LinkEvent) {
        if self.fleet.link.is_none() {
            // Of a link that is gone.
            return;
        }
        let input = match event {
            LinkEvent::Connected(broker) => Input::Broker(broker, Ok(())),
            LinkEvent::Lost(broker, why) => Input::Broker(broker, Err(why)),
            LinkEvent::Message { broker, topic, payload, retained } => {
                match mqtt::decode(&self.fleet.home, &topic, &payload) {
                    Ok((from, seq, talk)) => Input::Heard { from, seq, broker, retained, talk },
                    Err(wrong) => {
                        tracing::debug!(topic, "a message was dropped: {wrong}");
                        Input::Dropped(wrong.word())
                    }
                }
            }
        };
        self.tell_fleet(input);
    }

    /// The fleet's deadline has come, if it has.
    pub(super) fn tick_fleet(&mut self) {
        if self.fleet.deadline().is_some_and(|at| at <= Clock::now().mono) {
            self.tell_fleet(Input::Tick);
        }
    }

    /// The fleet in the picture of the node, before it is taken.
    pub(super) fn draw_fleet(&mut self) {
        let status = self.fleet.draw();
        self.core.show_fleet(Arc::new(status), Clock::now());
    }

    /// What others may know of this node, after a picture was taken.
    pub(super) fn report_to_fleet(&mut self, snapshot: &Snapshot) {
        if self.fleet.config.is_some() {
            let report = report(snapshot, self.core.config(), self.core.site());
            if self.fleet.fleet.report() != Some(&report) {
                self.tell_fleet(Input::Report(Arc::new(report)));
            }
        }
    }

    /// The configuration was read again.
    pub(super) fn reconfigure_fleet(&mut self, config: &Config) {
        if self.fleet.config == config.fleet {
            return;
        }
        let links = |config: Option<&Arc<config::Fleet>>| {
            config.map(|config| (config.brokers.clone(), config.credentials.clone()))
        };
        let relink = links(self.fleet.config.as_ref()) != links(config.fleet.as_ref());
        if self.fleet.config.is_some() != config.fleet.is_some() {
            let text = "the section [fleet] is taken over when reeved is restarted; workers run on";
            self.notice(Notice::node(Kind::FleetTrouble, text));
            return;
        }
        // The name is a level of every topic, and of the voter file: it stays until the restart.
        let name = self.fleet.home.fleet().to_owned();
        self.fleet.config = config.fleet.as_ref().map(|new| Arc::new(config::Fleet { name, ..(**new).clone() }));
        self.tell_fleet(Input::Configured(config.fleet.clone()));
        if relink {
            self.fleet.reconnect();
        }
    }

    /// The daemon ends: another leads before it is gone, and nobody takes its silence for death. What waits behind a file
    /// that is being written still leaves.
    pub(super) async fn leave_fleet(&mut self, inbox: &mut FleetInbox) {
        let until = Instant::now() + HEIR;
        let wanted = |app: &Self| app.fleet.link.is_some() && (app.fleet.fleet.is_wanted() || app.fleet.writing);
        while wanted(self) && Instant::now() < until {
            tokio::select! {
                Some(done) = inbox.done.recv() => self.fleet_done(done),
                Some(event) = inbox.links.recv() => self.heard(event),
                () = tokio::time::sleep(HEIR_LOOK) => self.tick_fleet(),
            }
        }
        if let Some(link) = self.fleet.link.take() {
            link.close(None).await;
        }
    }
}
