//! The run: a queue of what comes next, in true time.

use crate::clock::{Clock, True};
use crate::faults::Fault;
use crate::laws::Laws;
use crate::net::Net;
use crate::node::{Asleep, Disk, Life, Node};
use crate::plan::{Plan, SECOND, Weather};
use crate::queue::Queue;
use crate::runs::Mutant;
use reeve_core::election::{Ballot, Effect, Event, Mark, Member, Message, NodeName, Role, Seat, Sender};
use reeve_core::fleet::{Bound, Document};
use reeve_core::rng::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What comes next.
#[derive(Debug)]
pub enum Next {
    Deliver {
        from: usize,
        to: usize,
        broker: usize,
        sender: Sender,
        message: Message,
    },
    Wake {
        node: usize,
        life: u64,
    },
    Written {
        node: usize,
        life: u64,
        mark: Mark,
    },
    Hint {
        node: usize,
        gone: NodeName,
    },
    Fault(Fault),
    /// What ends a fault.
    Mend(Mend),
    /// Somebody wants the document changed.
    Change,
    /// The next fault is to be thought of.
    Trouble,
}

#[derive(Debug, Clone)]
pub enum Mend {
    Start(usize),
    Awake(usize),
    Hears(usize),
    IsHeard(usize),
    Link(usize, usize),
    Broker(usize),
    Disk(usize),
    Fast(usize),
    Rejoin(usize),
}

pub struct World {
    pub plan: Plan,
    pub rng: Rng,
    pub now: True,
    pub nodes: Vec<Node>,
    pub names: Vec<NodeName>,
    pub net: Net,
    pub laws: Laws,
    pub steps: u64,
    pub mutant: Option<Mutant>,
    /// Nodes whose voter file is lost: an operator has to bring them back.
    pub lost_files: Vec<usize>,
    pub old_images: BTreeSet<usize>,
    /// What was on the disk at each start.
    pub images: Vec<Vec<Ballot>>,
    queue: Queue<Next>,
    trail: Option<Vec<String>>,
}

impl World {
    pub fn new(seed: u64, mutant: Option<Mutant>, trail: bool) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let plan = Plan::draw(&mut rng);
        let names: Vec<_> = (1..=plan.voters + plan.spares).map(|n| NodeName::new(format!("n{n}")).unwrap()).collect();
        let founding = Document::founding(names.iter().take(plan.voters).cloned());
        let nodes = names.iter().map(|name| {
            // ± 4 %.
            let clock = Clock::new(960_000 + rng.below(80_001), rng.below(1000 * SECOND));
            let file = Ballot::new("lab", name.clone(), Seat(rng.next_u64()), founding.clone());
            let disk = Disk { file: Some(file), full: false };
            Node { clock, disk, life: None, lives: 0, asleep: None, dies_writing: false, slow: false, anew: false }
        });
        let nodes: Vec<_> = nodes.collect();
        let mut world = Self {
            net: Net::new(&plan),
            laws: Laws::default(),
            images: vec![Vec::new(); nodes.len()],
            steps: 0,
            mutant,
            lost_files: Vec::new(),
            old_images: BTreeSet::new(),
            queue: Queue::new(),
            trail: trail.then(Vec::new),
            now: 0,
            plan,
            rng,
            nodes,
            names,
        };
        world.say(|world| format!("plan: {:?}", world.plan));
        for node in 0..world.nodes.len() {
            let at = world.rng.below(SECOND);
            world.later(at, Next::Mend(Mend::Start(node)));
        }
        let first = 3 * SECOND + world.rng.below(2 * SECOND);
        world.later(first, Next::Change);
        world.later(first + 4 * SECOND, Next::Trouble);
        // Nobody's: so that the calm begins also where nothing happens.
        world.later(world.plan.calm_from, Next::Wake { node: 0, life: u64::MAX });
        world
    }

    /// To the end, or to the first law that is broken.
    pub fn run(&mut self) -> Result<(), String> {
        let mut healed = false;
        while let Some((at, next)) = self.queue.pop() {
            if at > self.plan.end {
                break;
            }
            self.now = at;
            if !healed && at >= self.plan.calm_from {
                healed = true;
                self.heal();
            }
            self.steps += 1;
            self.step(next)?;
        }
        self.laws.at_the_end(&self.plan)?;
        self.there_is_a_leader()
    }

    pub fn trail(&mut self) -> Vec<String> {
        self.trail.take().unwrap_or_default()
    }

    pub fn say(&mut self, what: impl Fn(&World) -> String) {
        if self.trail.is_some() {
            let line = format!("{:>10.6} {}", self.now as f64 / 1e6, what(self));
            self.trail.get_or_insert_default().push(line);
        }
    }

    pub fn later(&mut self, after: u64, next: Next) {
        self.queue.push(self.now + after, next);
    }

    fn step(&mut self, next: Next) -> Result<(), String> {
        match next {
            Next::Deliver { from, to, broker, sender, message } => {
                if self.net.passes(from, to, broker) {
                    self.tell(to, Event::Received(sender, message))?;
                }
            }
            Next::Hint { node, gone } => self.tell(node, Event::LeaderGone(gone))?,
            Next::Wake { node, life } => {
                if self.nodes[node].lives == life && self.nodes[node].asleep.is_none() {
                    let due = self.nodes[node].life.as_ref().is_some_and(|life| life.wakes_at == Some(self.now));
                    if due {
                        self.tell(node, Event::Tick)?;
                    }
                }
            }
            Next::Written { node, life, mark } => self.written(node, life, mark)?,
            Next::Fault(fault) => self.fault(fault)?,
            Next::Mend(mend) => self.mend(mend)?,
            Next::Trouble => self.trouble()?,
            Next::Change => {
                self.change()?;
                let pause = if self.plan.busy { 300_000 + self.rng.below(900_000) } else { 30 * SECOND };
                let more = if self.plan.busy { 0 } else { self.rng.below(60 * SECOND) };
                self.later(pause + more, Next::Change);
            }
        }
        Ok(())
    }

    // --- processes ------------------------------------------------------------------------------------------------

    pub fn start(&mut self, node: usize) -> Result<(), String> {
        if self.nodes[node].life.is_some() {
            return Ok(());
        }
        // Without a file that can be read it takes no part.
        let Some(file) = self.nodes[node].disk.file.clone() else { return Ok(()) };
        self.images[node].push(file.clone());
        let seed = self.rng.next_u64();
        let now = self.nodes[node].clock.at(self.now);
        let (mut member, effects) = Member::start(file, self.plan.timing, BTreeMap::new(), seed, now);
        if let Some(Mutant::Core(plant)) = self.mutant {
            member.plant(plant);
        }
        self.nodes[node].lives += 1;
        self.nodes[node].asleep = None;
        self.nodes[node].life = Some(Life { member, effects: VecDeque::from(effects), writing: None, wakes_at: None });
        self.say(|world| format!("{} starts", world.names[node]));
        self.carry_out(node)
    }

    /// What was on its way to the disk may have arrived there, or not.
    pub fn kill(&mut self, node: usize) {
        let Some(life) = self.nodes[node].life.take() else { return };
        self.nodes[node].asleep = None;
        let arrived = self.rng.below(2) == 0;
        if let Some((_, ballot)) = life.writing.filter(|_| arrived) {
            self.keep(node, ballot);
        }
        self.say(|world| format!("{} is killed", world.names[node]));
    }

    fn keep(&mut self, node: usize, ballot: Ballot) {
        self.laws.kept(node, &ballot);
        self.nodes[node].disk.file = Some(ballot);
    }

    pub fn sleep(&mut self, node: usize, suspended: bool) {
        if self.nodes[node].life.is_some() && self.nodes[node].asleep.is_none() {
            let asleep = Asleep { since: self.now, suspended, waiting: VecDeque::new() };
            self.nodes[node].asleep = Some(asleep);
            self.say(|world| {
                format!("{} {}", world.names[node], if suspended { "is suspended" } else { "is stopped" })
            });
        }
    }

    pub fn wake(&mut self, node: usize) -> Result<(), String> {
        let Some(asleep) = self.nodes[node].asleep.take() else { return Ok(()) };
        if asleep.suspended && self.mutant == Some(Mutant::BlindClock) {
            let slept = self.now - asleep.since;
            self.nodes[node].clock.blind_for(slept);
        }
        self.say(|world| format!("{} goes on", world.names[node]));
        self.carry_out(node)?;
        for event in asleep.waiting {
            self.tell(node, event)?;
        }
        self.tell(node, Event::Tick)
    }

    fn tell(&mut self, node: usize, event: Event) -> Result<(), String> {
        let at = &mut self.nodes[node];
        if let Some(asleep) = &mut at.asleep {
            asleep.waiting.push_back(event);
            return Ok(());
        }
        let now = at.clock.at(self.now);
        let Some(life) = &mut at.life else { return Ok(()) };
        let said = self.trail.is_some().then(|| match &event {
            Event::Received(from, message) => format!("<- {} {}", from.node, brief(message)),
            other => format!("{other:?}"),
        });
        let before = life.member.ballot().document.ver;
        let effects = life.member.handle(event, now);
        if let Some(said) = said {
            let (name, role) = (self.names[node].clone(), life.member.role().word());
            if !matches!(said.as_str(), "Tick") || !effects.is_empty() {
                self.say(|_| format!("{name} ({role}) {said}"));
            }
        }
        self.took(node, before, effects)
    }

    /// The member has changed: laws, then what it wants done.
    pub fn took(&mut self, node: usize, before: reeve_core::election::Ver, effects: Vec<Effect>) -> Result<(), String> {
        if let Some(life) = &mut self.nodes[node].life {
            life.effects.extend(effects.iter().cloned());
            self.laws.wrote(before, &life.member);
        }
        self.laws.heard(node, self.now, &effects, &self.nodes)?;
        self.laws.holds(node, self.now, &self.nodes)?;
        self.carry_out(node)
    }

    fn carry_out(&mut self, node: usize) -> Result<(), String> {
        loop {
            let at = &mut self.nodes[node];
            let (Some(life), None) = (&mut at.life, &at.asleep) else { return Ok(()) };
            if life.writing.is_some() {
                break;
            }
            let sender = life.member.sender();
            match life.effects.pop_front() {
                None => break,
                Some(Effect::Write(mark, ballot)) => {
                    if std::mem::take(&mut self.nodes[node].dies_writing) {
                        // Written, and nobody hears of it.
                        if self.rng.below(4) > 0 {
                            self.keep(node, ballot);
                        }
                        self.kill(node);
                        let after = 5_000 + self.rng.below(4 * SECOND);
                        self.later(after, Next::Mend(Mend::Start(node)));
                        return Ok(());
                    }
                    let span = match self.rng.below(50) {
                        _ if self.nodes[node].slow => 200_000 + self.rng.below(400_000),
                        0 if self.plan.weather == Weather::Storm => 50_000 + self.rng.below(800_000),
                        _ => 500 + self.rng.below(8_000),
                    };
                    let life = self.nodes[node].life.as_mut().unwrap();
                    life.writing = Some((mark, ballot));
                    let next = Next::Written { node, life: self.nodes[node].lives, mark };
                    self.later(span, next);
                }
                Some(Effect::Send(to, message)) => {
                    self.laws.says(node, &sender, &message)?;
                    self.laws.votes(node, &sender, &to, &message)?;
                    let Some(to) = self.names.iter().position(|name| *name == to) else { continue };
                    for (broker, after) in self.net.copies(node, to, &self.plan, &mut self.rng) {
                        let (sender, message) = (sender.clone(), message.clone());
                        self.later(after, Next::Deliver { from: node, to, broker, sender, message });
                    }
                }
                Some(Effect::Committed(ver)) => {
                    self.say(|world| format!("{} knows {ver} committed", world.names[node]))
                }
                Some(Effect::Told(told)) => self.say(|world| format!("{}: {told:?}", world.names[node])),
            }
        }
        let at = &mut self.nodes[node];
        if let Some(life) = &mut at.life
            && let Some((deadline, _)) = life.member.deadline()
        {
            let when = at.clock.when(deadline).max(self.now + 1);
            if life.wakes_at != Some(when) {
                life.wakes_at = Some(when);
                let next = Next::Wake { node, life: at.lives };
                self.later(when - self.now, next);
            }
        }
        Ok(())
    }

    fn written(&mut self, node: usize, life: u64, mark: Mark) -> Result<(), String> {
        let at = &mut self.nodes[node];
        if at.lives != life {
            return Ok(());
        }
        let full = at.disk.full;
        let Some(life) = &mut at.life else { return Ok(()) };
        let Some((_, ballot)) = life.writing.take_if(|(writing, _)| *writing == mark) else { return Ok(()) };
        if full {
            // What stands behind it never leaves.
            life.effects.clear();
            return self.tell(node, Event::WriteFailed("no space left on device".into()));
        }
        self.keep(node, ballot);
        self.tell(node, Event::Written(mark))?;
        self.carry_out(node)
    }

    // --- what is asked of the fleet -------------------------------------------------------------------------------

    /// A node that believes to lead, awake.
    pub fn a_leader(&mut self) -> Option<usize> {
        let leads = |node: &Node| {
            node.asleep.is_none() && node.life.as_ref().is_some_and(|life| life.member.role() == Role::Leader)
        };
        let all: Vec<_> = (0..self.nodes.len()).filter(|node| leads(&self.nodes[*node])).collect();
        let chosen = self.rng.below(all.len() as u64) as usize;
        all.get(chosen).copied()
    }

    /// Calls the member of a node, if it is awake.
    pub fn ask<E>(
        &mut self,
        node: usize,
        what: impl FnOnce(&mut Member, reeve_core::Mono) -> Result<Vec<Effect>, E>,
    ) -> Result<bool, String> {
        let at = &mut self.nodes[node];
        let (Some(life), None) = (&mut at.life, &at.asleep) else { return Ok(false) };
        let before = life.member.ballot().document.ver;
        match what(&mut life.member, at.clock.at(self.now)) {
            Ok(effects) => self.took(node, before, effects).map(|()| true),
            Err(_) => Ok(false),
        }
    }

    pub fn change(&mut self) -> Result<(), String> {
        let Some(leader) = self.a_leader() else { return Ok(()) };
        self.ask(leader, |member, now| {
            let document = member.ballot().document.clone();
            member.propose(document, now).map(|(_, effects)| effects)
        })?;
        Ok(())
    }

    pub fn bound_of(&self, node: usize) -> Option<Bound> {
        let sender = self.nodes[node].life.as_ref()?.member.sender();
        Some(Bound { seat: sender.seat, boot: sender.boot })
    }

    /// After the last fault everything works again, but what needs an operator and was not mended by him.
    fn heal(&mut self) {
        self.say(|_| "calm from here on".to_owned());
        let deaf = self.laws.deaf;
        self.net.heal();
        if let Some(node) = deaf {
            self.net.set_deaf(node, true);
        }
        for after in [14, 18] {
            self.later(after * SECOND, Next::Fault(Fault::Change));
        }
        self.plan.lost = self.plan.lost.min(10);
        self.plan.late = 0;
        for node in 0..self.nodes.len() {
            self.nodes[node].dies_writing = false;
            self.nodes[node].slow = false;
            self.later(0, Next::Mend(Mend::Awake(node)));
            self.later(1, Next::Mend(Mend::Disk(node)));
            self.later(2, Next::Mend(Mend::Start(node)));
        }
    }
}

impl World {
    /// L1: enough voters that can, and long enough quiet: then somebody holds a lease.
    fn there_is_a_leader(&self) -> Result<(), String> {
        let document = self
            .nodes
            .iter()
            .filter_map(|node| Some(&node.disk.file.as_ref()?.document))
            .max_by_key(|document| document.ver)
            .unwrap();
        let can = |name: &&NodeName| {
            let node = self.names.iter().position(|known| known == *name).unwrap();
            let up = self.nodes[node].life.as_ref().is_some_and(|life| life.member.role() != Role::Silent);
            up && !self.lost_files.contains(&node) && self.laws.deaf != Some(node)
        };
        let able = document.voters.keys().filter(can).count();
        for node in (0..self.nodes.len()).filter(|node| !self.lost_files.contains(node)) {
            if self.nodes[node].life.as_ref().is_some_and(|life| life.member.role() == Role::Silent) {
                return Err(format!("L3: {} votes no more, though it has lost nothing", self.names[node]));
            }
        }
        let el_max = u64::try_from(self.plan.timing.election_max.as_micros()).unwrap();
        // One that elects alone has nothing to do all the time.
        let holds = |node: &Node| {
            let now = node.clock.at(self.now);
            node.asleep.is_none() && node.life.as_ref().is_some_and(|life| life.member.holds_lease(now))
        };
        let led = self.laws.had_lease_since(self.plan.end - el_max) || self.nodes.iter().any(holds);
        if able >= document.majority() && !led {
            return Err(format!("L1: nobody leads, though {able} of {} voters could", document.voters.len()));
        }
        if able < document.majority() {
            return Ok(());
        }
        // Somebody has changed the document since the calm, and each voter that could has got it.
        let then = self.laws.committed_before(self.plan.end - 3 * SECOND);
        if then <= self.laws.committed_before(self.plan.calm_from) {
            return Err(format!("L4: nothing was committed after {then} in all the calm"));
        }
        for name in document.voters.keys().filter(can) {
            let node = self.names.iter().position(|known| known == name).unwrap();
            let has = self.nodes[node].life.as_ref().unwrap().member.ballot().document.ver;
            if has < then {
                return Err(format!("L4: {name} has {has} and not {then}, which was committed long ago"));
            }
        }
        Ok(())
    }
}

/// A message without its document.
fn brief(message: &Message) -> String {
    match message {
        Message::Beat { term, ver, document, commit, .. } => {
            let with = if document.is_some() { " with it" } else { "" };
            format!("Beat term {term} ver {ver}{with} commit {commit}")
        }
        other => format!("{other:?}"),
    }
}
