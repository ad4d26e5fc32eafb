//! A whole fleet: voters and observers with all that a node does, brokers, and people who want slots.

mod laws;

use crate::clock::{Clock, True};
use crate::queue::Queue;
use reeve_core::config::Fleet as Config;
use reeve_core::election::{Ballot, NodeName, Role, Seat, Sender, Timing, Ver};
use reeve_core::event::Standing;
use reeve_core::fleet::{
    Amount, Document, Fleet, FleetCommand, FleetPlant, Found, Input, NodeFile, NodeReport, Output, SlotId, SlotPolicy,
    Start, Talk, To,
};
use reeve_core::ids::OperationId;
use reeve_core::rng::Rng;
use reeve_core::time::{Now, Wall};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const SECOND: u64 = 1_000_000;
const CALM: u64 = 80 * SECOND;
/// A run takes a fraction of it.
const MOST_STEPS: u64 = 2_000_000;
/// Nobody wants anything new from here on, so that at the end nobody may wait.
const ENOUGH: u64 = CALM + 15 * SECOND;
const END: u64 = 150 * SECOND;
const KINDS: [&str; 2] = ["reboot", "update"];

#[derive(Debug)]
enum Next {
    Deliver { to: usize, from: Sender, seq: u64, broker: usize, talk: Talk },
    Wake { node: usize, life: u64, at: True },
    Wrote { node: usize, life: u64 },
    Start(usize),
    Awake(usize),
    Broker(usize, bool),
    Hears(usize),
    Want,
    Work { node: usize, life: u64, slot: SlotId },
    Trouble,
    Person,
}

#[derive(Debug)]
struct Life {
    fleet: Fleet,
    outputs: VecDeque<Output>,
    writing: Option<Output>,
    wakes: Option<True>,
    seq: u64,
    ops: u64,
    /// What people wait for: until it is answered.
    waiting: BTreeMap<OperationId, (FleetCommand, True)>,
}

#[derive(Debug)]
struct Node {
    clock: Clock,
    ballot: Option<Ballot>,
    file: NodeFile,
    life: Option<Life>,
    lives: u64,
    asleep: Option<VecDeque<Input>>,
    deaf: bool,
    dies_writing: bool,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub grants: u64,
    pub releases: u64,
    pub suspects: u64,
    pub breaks: u64,
    pub kills: u64,
    /// µs from the ask to the answer, when nobody is in the way.
    pub quick: Vec<u64>,
}

pub struct World {
    rng: Rng,
    now: True,
    config: Arc<Config>,
    names: Vec<NodeName>,
    nodes: Vec<Node>,
    brokers: Vec<bool>,
    queue: Queue<Next>,
    calm: bool,
    lossy: u64,
    plant: Option<FleetPlant>,
    /// Slots that were broken: their holders may not know.
    broken: BTreeSet<SlotId>,
    committed: BTreeMap<Ver, Document>,
    pub seen: Seen,
    pub steps: u64,
    trail: Option<Vec<String>>,
}

impl World {
    pub fn new(seed: u64, plant: Option<FleetPlant>, trail: bool) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x51075);
        let voters = [1, 3, 3, 3][rng.below(4) as usize];
        let observers = 1 + rng.below(3) as usize;
        let names: Vec<_> = (1..=voters + observers).map(|n| NodeName::new(format!("n{n}")).unwrap()).collect();
        let policy = |rng: &mut Rng, per: bool| SlotPolicy {
            max_unavailable: Amount::Count(1 + u32::try_from(rng.below(2)).unwrap()),
            per: per.then(|| "rack".to_owned()),
            ttl: Duration::from_secs(10 + rng.below(10)),
            break_after: (rng.below(2) == 0).then(|| Duration::from_secs(6)),
            windows: Vec::new(),
        };
        let per = rng.below(3) == 0;
        let slots = BTreeMap::from([
            ("reboot".to_owned(), policy(&mut rng, per)),
            ("default".to_owned(), policy(&mut rng, false)),
        ]);
        let brokers = 1 + rng.below(2) as usize;
        let config = Arc::new(Config {
            name: "lab".to_owned(),
            voters: names[..voters].to_vec(),
            priority: BTreeMap::new(),
            brokers: (0..brokers).map(|n| format!("mqtt://b{n}")).collect(),
            timing: if rng.below(2) == 0 { Timing::STD } else { Timing::FAST },
            credentials: None,
            report_interval: Duration::from_secs(2),
            slots,
        });
        let node = |rng: &mut Rng| Node {
            clock: Clock::new(960_000 + rng.below(80_001), rng.below(1000 * SECOND)),
            ballot: None,
            file: NodeFile::default(),
            life: None,
            lives: 0,
            asleep: None,
            deaf: false,
            dies_writing: false,
        };
        let nodes: Vec<_> = names.iter().map(|_| node(&mut rng)).collect();
        let mut world = Self {
            now: 0,
            brokers: vec![true; brokers],
            queue: Queue::new(),
            calm: false,
            lossy: if rng.below(2) == 0 { 0 } else { rng.below(200) },
            plant,
            broken: BTreeSet::new(),
            committed: BTreeMap::new(),
            seen: Seen::default(),
            steps: 0,
            trail: trail.then(Vec::new),
            rng,
            config,
            names,
            nodes,
        };
        for node in 0..world.nodes.len() {
            let after = world.rng.below(SECOND);
            world.later(after, Next::Start(node));
        }
        world.later(4 * SECOND, Next::Want);
        world.later(6 * SECOND, Next::Trouble);
        world.later(8 * SECOND, Next::Person);
        world
    }

    pub fn run(&mut self) -> Result<(), String> {
        while let Some((at, next)) = self.queue.pop() {
            if at > END {
                break;
            }
            self.now = at;
            self.steps += 1;
            if self.steps > MOST_STEPS {
                let due = |node: &Node| node.life.as_ref().and_then(|life| life.fleet.deadline());
                let due: Vec<_> = self.nodes.iter().map(|node| (node.clock.at(self.now), due(node))).collect();
                return Err(format!("L0: it never rests: {due:?}"));
            }
            if !self.calm && at >= CALM {
                self.heal();
            }
            self.step(next);
            self.laws()?;
        }
        self.at_the_end()
    }

    pub fn trail(&mut self) -> Vec<String> {
        self.trail.take().unwrap_or_default()
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trail) = &mut self.trail {
            trail.push(format!("{:>10.6} {}", self.now as f64 / 1e6, line()));
        }
    }

    fn later(&mut self, after: u64, next: Next) {
        self.queue.push(self.now + after, next);
    }

    fn clock(&self, node: usize) -> Now {
        Now { mono: self.nodes[node].clock.at(self.now), wall: Wall(self.now) }
    }

    fn step(&mut self, next: Next) {
        match next {
            Next::Deliver { to, from, seq, broker, talk } => {
                if self.brokers[broker] && !self.nodes[to].deaf {
                    self.tell(to, Input::Heard { from, seq, broker, retained: false, talk });
                }
            }
            Next::Wake { node, life, at } => {
                let due = self.nodes[node].life.as_ref().is_some_and(|l| l.wakes == Some(at));
                if due && self.nodes[node].lives == life && self.nodes[node].asleep.is_none() {
                    self.tell(node, Input::Tick);
                }
            }
            Next::Wrote { node, life } => self.wrote(node, life),
            Next::Start(node) => self.start(node),
            Next::Awake(node) => {
                for input in self.nodes[node].asleep.take().unwrap_or_default() {
                    self.tell(node, input);
                }
                self.tell(node, Input::Tick);
            }
            Next::Broker(broker, up) => self.set_broker(broker, up),
            Next::Hears(node) => self.nodes[node].deaf = false,
            Next::Want => {
                let after = 500_000 + self.rng.below(4 * SECOND);
                self.later(after, Next::Want);
                if self.now < ENOUGH {
                    self.want();
                }
            }
            Next::Work { node, life, slot } => {
                if self.nodes[node].lives == life && self.nodes[node].life.is_some() {
                    let failed = !self.calm && self.rng.below(8) == 0;
                    self.command(node, FleetCommand::Release { slot, failed });
                }
            }
            Next::Trouble => self.trouble(),
            Next::Person => {
                self.later(5 * SECOND, Next::Person);
                self.tidy();
            }
        }
    }

    fn start(&mut self, index: usize) {
        let now = self.clock(index);
        let (seat, seed) = (Seat(index as u64 + 1), self.rng.next_u64());
        let node = &mut self.nodes[index];
        if node.life.is_some() {
            return;
        }
        let start = Start {
            node: self.names[index].clone(),
            config: Some(Arc::clone(&self.config)),
            voter: node.ballot.clone().map_or(Found::Never, |ballot| Found::Ballot(Box::new(ballot))),
            file: node.file.clone(),
            seat,
            seed,
        };
        let (mut fleet, outputs) = Fleet::start(start, now);
        if let Some(plant) = self.plant {
            fleet.plant(plant);
        }
        node.lives += 1;
        node.life = Some(Life {
            fleet,
            outputs: outputs.into(),
            writing: None,
            wakes: None,
            seq: 0,
            ops: 0,
            waiting: BTreeMap::new(),
        });
        let name = self.names[index].clone();
        self.note(|| format!("{name} starts"));
        let rack = if index.is_multiple_of(2) { "r1" } else { "r2" };
        let labels = BTreeMap::from([("rack".to_owned(), rack.to_owned())]);
        self.tell(index, Input::Report(Arc::new(NodeReport { labels, ..NodeReport::default() })));
        for broker in 0..self.brokers.len() {
            let state = if self.brokers[broker] { Ok(()) } else { Err("away".to_owned()) };
            self.tell(index, Input::Broker(broker, state));
        }
    }

    fn tell(&mut self, index: usize, input: Input) {
        let now = self.clock(index);
        let node = &mut self.nodes[index];
        if let Some(asleep) = &mut node.asleep {
            // A sleeping machine's sockets hold some of it.
            let from_afar = matches!(input, Input::Heard { .. });
            if !from_afar || asleep.len() < 200 {
                asleep.push_back(input);
            }
            return;
        }
        let Some(life) = &mut node.life else { return };
        let shown = self.trail.is_some().then(|| format!("{input:?}"));
        let outputs = life.fleet.handle(input, now);
        life.outputs.extend(outputs);
        if let Some(shown) = shown.filter(|shown| !shown.starts_with("Tick")) {
            let name = self.names[index].clone();
            self.note(|| format!("{name} <- {shown}"));
        }
        self.carry_out(index);
    }

    /// In order; nothing passes a write.
    fn carry_out(&mut self, index: usize) {
        loop {
            let node = &mut self.nodes[index];
            let Some(life) = node.life.as_mut().filter(|life| life.writing.is_none()) else { break };
            let Some(output) = life.outputs.pop_front() else { break };
            let name = self.names[index].clone();
            if self.trail.is_some() {
                self.note(|| format!("{name} -> {output:?}"));
            }
            match output {
                Output::Write(..) | Output::Keep(_) => {
                    let number = node_life(&mut self.nodes[index], output);
                    let after = 300 + self.rng.below(5000);
                    self.later(after, Next::Wrote { node: index, life: number });
                }
                Output::Say(to, talk) => self.say(index, &to, &talk),
                Output::Standing(op, standing) => self.answered(index, op, &standing),
                Output::Notice(_) | Output::RoundTrip(..) => {}
            }
        }
        self.wake(index);
    }

    fn wake(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let number = node.lives;
        let Some(life) = &mut node.life else { return };
        let at = life.fleet.deadline().map(|(at, _)| node.clock.when(at).max(self.now + 1));
        if let Some(at) = at.filter(|at| life.wakes.is_none_or(|known| known != *at)) {
            life.wakes = Some(at);
            let after = at - self.now;
            self.later(after, Next::Wake { node: index, life: number, at });
        }
    }

    fn wrote(&mut self, index: usize, number: u64) {
        let node = &mut self.nodes[index];
        if node.lives != number || node.life.is_none() {
            return;
        }
        if std::mem::take(&mut node.dies_writing) {
            return self.kill(index);
        }
        let writing = node.life.as_mut().and_then(|life| life.writing.take());
        match writing {
            Some(Output::Write(mark, ballot)) => {
                node.ballot = Some(ballot);
                self.tell(index, Input::Written(mark));
            }
            Some(Output::Keep(file)) => node.file = file,
            _ => {}
        }
        self.carry_out(index);
    }

    fn say(&mut self, from: usize, to: &To, talk: &Talk) {
        let life = self.nodes[from].life.as_mut().unwrap();
        life.seq += 1;
        let (sender, seq) = (life.fleet.sender(), life.seq);
        let voters: Vec<usize> = (0..self.nodes.len())
            .filter(|n| self.nodes[*n].life.as_ref().is_some_and(|life| life.fleet.is_voter()))
            .collect();
        let place = |name: &NodeName| self.names.iter().position(|known| known == name);
        let to: Vec<usize> = match to {
            To::Voter(name) | To::Node(name) => place(name).into_iter().collect(),
            To::All => (0..self.nodes.len()).collect(),
            To::Registry | To::Leader => voters,
        };
        for to in to {
            for broker in 0..self.brokers.len() {
                if !self.brokers[broker] || self.nodes[from].deaf {
                    continue;
                }
                for _ in 0..=u64::from(!self.calm && self.rng.below(50) == 0) {
                    if !self.calm && self.rng.below(1000) < self.lossy {
                        continue;
                    }
                    let late = if !self.calm && self.rng.below(40) == 0 { self.rng.below(3 * SECOND) } else { 0 };
                    let after = 300 + self.rng.below(2000) + late;
                    let deliver = Next::Deliver { to, from: sender.clone(), seq, broker, talk: talk.clone() };
                    self.later(after, deliver);
                }
            }
        }
    }

    fn set_broker(&mut self, broker: usize, up: bool) {
        self.brokers[broker] = up;
        let state = if up { Ok(()) } else { Err("connection refused".to_owned()) };
        for node in 0..self.nodes.len() {
            self.tell(node, Input::Broker(broker, state.clone()));
        }
    }

    fn command(&mut self, index: usize, command: FleetCommand) {
        let now = self.now;
        let Some(life) = &mut self.nodes[index].life else { return };
        life.ops += 1;
        let id = OperationId(life.ops);
        life.waiting.insert(id, (command.clone(), now));
        self.tell(index, Input::Command { id, command, by: "uid 0".to_owned(), reason: "test".to_owned() });
    }

    fn answered(&mut self, index: usize, op: OperationId, standing: &Standing) {
        let (calm, now, number) = (self.calm, self.now, self.nodes[index].lives);
        let Some(life) = &mut self.nodes[index].life else { return };
        if matches!(standing, Standing::Waits(_)) {
            return;
        }
        let Some((command, asked)) = life.waiting.remove(&op) else { return };
        match (command, standing) {
            (FleetCommand::Ask { .. }, Standing::Done(text)) => {
                self.seen.grants += 1;
                if calm {
                    self.seen.quick.push(now - asked);
                }
                let slot: SlotId = text.split_whitespace().next().unwrap().parse().unwrap();
                // Some forget to give it back in time.
                let most = match calm {
                    true => SECOND,
                    false if self.rng.below(5) > 0 => 4 * SECOND,
                    false => 30 * SECOND,
                };
                let after = self.rng.below(most);
                self.later(after, Next::Work { node: index, life: number, slot });
            }
            (FleetCommand::Release { .. }, Standing::Done(_)) => self.seen.releases += 1,
            _ => {}
        }
    }

    fn up(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|n| self.nodes[*n].life.is_some()).collect()
    }

    fn some(&mut self, of: &[usize]) -> Option<usize> {
        (!of.is_empty()).then(|| of[self.rng.below(of.len() as u64) as usize])
    }

    fn want(&mut self) {
        let up = self.up();
        let Some(node) = self.some(&up) else { return };
        match self.rng.below(20) {
            0 if !self.calm => {
                // Whoever waits gives up.
                let op = self.nodes[node].life.as_ref().and_then(|life| life.waiting.keys().next().copied());
                if let Some(op) = op {
                    self.nodes[node].life.as_mut().unwrap().waiting.remove(&op);
                    self.tell(node, Input::Cancel(op));
                }
            }
            1 if !self.calm => self.command(node, FleetCommand::HandOver(None)),
            2 if !self.calm => self.command(node, FleetCommand::Freeze),
            _ => {
                let kind = KINDS[self.rng.below(2) as usize].to_owned();
                self.command(node, FleetCommand::Ask { kind });
            }
        }
    }

    /// A person looks after what is stuck: breaks slots that nobody uses any more, thaws.
    fn tidy(&mut self) {
        let Some(leader) = self.leader() else { return };
        let document = self.nodes[leader].life.as_ref().unwrap().fleet.member().ballot().document.clone();
        if document.frozen.is_some() {
            self.command(leader, FleetCommand::Unfreeze);
        }
        for (id, slot) in document.slots.iter() {
            let calm = self.calm && self.now > CALM + 10 * SECOND;
            if slot.suspect.is_some() && (calm || self.rng.below(4) == 0) {
                self.broken.insert(id.clone());
                self.seen.breaks += 1;
                self.command(leader, FleetCommand::Break(id.clone()));
            }
        }
    }

    fn leader(&self) -> Option<usize> {
        (0..self.nodes.len()).find(|n| {
            self.nodes[*n].asleep.is_none()
                && self.nodes[*n].life.as_ref().is_some_and(|life| {
                    life.fleet.member().role() == Role::Leader && life.fleet.member().holds_lease(self.clock(*n).mono)
                })
        })
    }

    fn kill(&mut self, node: usize) {
        self.seen.kills += 1;
        let name = self.names[node].clone();
        self.note(|| format!("{name} dies"));
        self.nodes[node].life = None;
        self.nodes[node].asleep = None;
        let after = 5000 + self.rng.below(6 * SECOND);
        self.later(after, Next::Start(node));
    }

    fn trouble(&mut self) {
        let after = 200_000 + self.rng.below(5 * SECOND);
        self.later(after, Next::Trouble);
        if self.calm {
            return;
        }
        let up = self.up();
        let Some(any) = self.some(&up) else { return };
        let victim = if self.rng.below(2) == 0 { self.leader().unwrap_or(any) } else { any };
        match self.rng.below(6) {
            0 => self.kill(victim),
            1 => self.nodes[victim].dies_writing = true,
            2 if self.nodes[victim].asleep.is_none() => {
                self.nodes[victim].asleep = Some(VecDeque::new());
                let after = 100_000 + self.rng.below(40 * SECOND);
                self.later(after, Next::Awake(victim));
            }
            3 => {
                let broker = self.rng.below(self.brokers.len() as u64) as usize;
                self.set_broker(broker, false);
                let after = self.rng.below(5 * SECOND);
                self.later(after, Next::Broker(broker, true));
            }
            4 => {
                self.nodes[victim].deaf = true;
                let after = self.rng.below(10 * SECOND);
                self.later(after, Next::Hears(victim));
            }
            _ => {}
        }
    }

    fn heal(&mut self) {
        self.calm = true;
        self.note(|| "calm".to_owned());
        for node in 0..self.nodes.len() {
            self.nodes[node].deaf = false;
            self.nodes[node].dies_writing = false;
            if self.nodes[node].asleep.is_some() {
                self.later(1, Next::Awake(node));
            }
            if self.nodes[node].life.is_none() {
                self.later(1, Next::Start(node));
            }
        }
        for broker in 0..self.brokers.len() {
            if !self.brokers[broker] {
                self.set_broker(broker, true);
            }
        }
    }
}

fn node_life(node: &mut Node, output: Output) -> u64 {
    if let Some(life) = &mut node.life {
        life.writing = Some(output);
    }
    node.lives
}
