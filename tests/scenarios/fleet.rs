//! A few voters, a network that does as it is told, and time.

use reeve_core::Mono;
use reeve_core::election::{Ballot, Effect, Event, Member, Message, NodeName, Role, Seat, Sender, Timing};
use reeve_core::fleet::{Bound, Document, VoterChange};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::time::Duration;

const STEP: u64 = 1;
/// A write on a slow disk.
const SLOW: u64 = 900;

#[derive(Default)]
pub struct Fleet {
    now: u64,
    voters: Vec<NodeName>,
    nodes: BTreeMap<NodeName, Node>,
    sent: BTreeMap<u64, Vec<(Sender, NodeName, Message)>>,
    cut: BTreeSet<(NodeName, NodeName)>,
    deaf: BTreeSet<NodeName>,
    out: String,
}

struct Node {
    disk: Ballot,
    starts: Vec<Ballot>,
    full: bool,
    slow: bool,
    member: Option<Member>,
    effects: VecDeque<Effect>,
    /// When the write at the head is done.
    writing: Option<u64>,
}

fn name(word: &str) -> Result<NodeName, String> {
    NodeName::new(word).map_err(|e| e.to_string())
}

impl Fleet {
    pub fn perform(&mut self, line: &str) -> Result<String, String> {
        self.out.clear();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["fleet", nodes @ ..] => {
                self.voters = nodes.iter().map(|node| name(node)).collect::<Result<_, _>>()?;
                self.make(nodes)?;
            }
            ["also", nodes @ ..] => self.make(nodes)?,
            ["up", nodes @ ..] => nodes.iter().try_for_each(|node| self.up(&name(node)?))?,
            ["kill", nodes @ ..] => {
                for node in nodes {
                    self.kill(&name(node)?);
                }
            }
            ["lose-file", node] => {
                let (node, seat) = (name(node)?, self.now + 100);
                self.at(&node)?.disk = Ballot::new("lab", node.clone(), Seat(seat), self.founding());
            }
            ["old-file", node] => {
                let at = self.at(&name(node)?)?;
                at.disk = at.starts.iter().rev().nth(1).cloned().ok_or("it has not started twice")?;
            }
            ["disk", node, how] => {
                let at = self.at(&name(node)?)?;
                (at.full, at.slow) = (*how == "full", *how == "slow");
            }
            ["cut", a, b] => {
                let (a, b) = (name(a)?, name(b)?);
                self.cut.extend([(a.clone(), b.clone()), (b, a)]);
            }
            ["deafen", node] => drop(self.deaf.insert(name(node)?)),
            ["heal"] => {
                self.cut.clear();
                self.deaf.clear();
            }
            ["gone", node] => {
                let node = name(node)?;
                self.all().iter().for_each(|other| self.tell(other, Event::LeaderGone(node.clone())));
            }
            ["tick", span] => self.tick(span)?,
            ["write", node] => self.ask(node, |member, now| {
                let document = member.ballot().document.clone();
                member
                    .propose(document, now)
                    .map_err(|e| e.to_string())
                    .map(|(ver, effects)| (ver.to_string(), effects))
            })?,
            ["add", node, voter] => {
                let sender = self.at(&name(voter)?)?.member.as_ref().ok_or("it is not up")?.sender();
                let change = VoterChange::Add(sender.node, Bound { seat: sender.seat, boot: sender.boot });
                self.change(node, &change)?;
            }
            ["remove", node, voter] => self.change(node, &VoterChange::Remove(name(voter)?))?,
            ["hand-over", node, to @ ..] => {
                let to = to.first().map(|to| name(to)).transpose()?;
                self.ask(node, |member, now| {
                    let handed = member.hand_over(to.as_ref(), now).map_err(|e| e.to_string());
                    handed.map(|(heir, effects)| (format!("to {heir}"), effects))
                })?;
            }
            ["show"] => self.show(),
            _ => return Err("no such word".to_owned()),
        }
        Ok(std::mem::take(&mut self.out))
    }

    fn founding(&self) -> Document {
        Document::founding(self.voters.iter().cloned())
    }

    fn make(&mut self, nodes: &[&str]) -> Result<(), String> {
        for (seat, node) in (1..).zip(nodes) {
            let node = name(node)?;
            let disk = Ballot::new("lab", node.clone(), Seat(seat), self.founding());
            let fresh = Node {
                disk,
                starts: Vec::new(),
                full: false,
                slow: false,
                member: None,
                effects: VecDeque::new(),
                writing: None,
            };
            self.nodes.insert(node, fresh);
        }
        Ok(())
    }

    fn at(&mut self, node: &NodeName) -> Result<&mut Node, String> {
        self.nodes.get_mut(node).ok_or_else(|| format!("there is no {node}"))
    }

    fn all(&self) -> Vec<NodeName> {
        self.nodes.keys().cloned().collect()
    }

    fn mono(&self) -> Mono {
        Mono(Duration::from_millis(self.now))
    }

    fn up(&mut self, node: &NodeName) -> Result<(), String> {
        let now = self.mono();
        let at = self.at(node)?;
        at.starts.push(at.disk.clone());
        let seed = node.as_str().bytes().map(u64::from).sum();
        let (member, effects) = Member::start(at.disk.clone(), Timing::STD, BTreeMap::new(), seed, now);
        at.member = Some(member);
        self.took(node, effects);
        Ok(())
    }

    fn kill(&mut self, node: &NodeName) {
        if let Some(at) = self.nodes.get_mut(node) {
            at.member = None;
            at.effects.clear();
            at.writing = None;
        }
    }

    fn tell(&mut self, node: &NodeName, event: Event) {
        let now = self.mono();
        if let Some(member) = self.nodes.get_mut(node).and_then(|at| at.member.as_mut()) {
            let effects = member.handle(event, now);
            self.took(node, effects);
        }
    }

    fn ask(
        &mut self,
        node: &str,
        what: impl FnOnce(&mut Member, Mono) -> Result<(String, Vec<Effect>), String>,
    ) -> Result<(), String> {
        let (node, now) = (name(node)?, self.mono());
        let member = self.at(&node)?.member.as_mut().ok_or("it is not up")?;
        match what(member, now) {
            Ok((text, effects)) => {
                self.say(&node, &text);
                self.took(&node, effects);
            }
            Err(why) => self.say(&node, &format!("refused: {why}")),
        }
        Ok(())
    }

    fn change(&mut self, node: &str, change: &VoterChange) -> Result<(), String> {
        self.ask(node, |member, now| {
            let changed = member.change_voters(change, now).map_err(|e| e.to_string());
            changed.map(|(ver, effects)| (ver.to_string(), effects))
        })
    }

    fn say(&mut self, node: &NodeName, text: &str) {
        writeln!(self.out, "{:>8.3} {node}: {text}", self.now as f64 / 1000.0).unwrap();
    }

    /// Carries out what may be done before the next write.
    fn took(&mut self, node: &NodeName, effects: Vec<Effect>) {
        if let Some(at) = self.nodes.get_mut(node) {
            at.effects.extend(effects);
        }
        loop {
            let now = self.now;
            let Some(at) = self.nodes.get_mut(node).filter(|at| at.writing.is_none()) else { return };
            let Some(member) = &at.member else { return };
            let (sender, leads) = (member.sender(), member.role() == Role::Leader);
            match at.effects.pop_front() {
                None => return,
                Some(Effect::Write(mark, ballot)) => {
                    at.effects.push_front(Effect::Write(mark, ballot));
                    at.writing = Some(now + if at.slow { SLOW } else { STEP });
                }
                Some(Effect::Send(to, message)) => {
                    self.sent.entry(now + STEP).or_default().push((sender, to, message));
                }
                Some(Effect::Committed(ver)) if leads => self.say(node, &format!("{ver} is committed")),
                Some(Effect::Committed(_)) => {}
                Some(Effect::Told(told)) => self.say(node, &told.to_string()),
            }
        }
    }

    fn tick(&mut self, span: &str) -> Result<(), String> {
        let span: f64 = span.strip_suffix('s').and_then(|n| n.parse().ok()).ok_or("a span is written 2.5s")?;
        let end = self.now + Duration::from_secs_f64(span).as_millis() as u64;
        while self.now < end {
            self.now += STEP;
            for (sender, to, message) in self.sent.remove(&self.now).unwrap_or_default() {
                if !self.cut.contains(&(sender.node.clone(), to.clone())) && !self.deaf.contains(&to) {
                    self.tell(&to, Event::Received(sender, message));
                }
            }
            for node in self.all() {
                self.written(&node);
                let due = self.nodes.get(&node).and_then(|at| at.member.as_ref()).and_then(Member::deadline);
                if due.is_some_and(|(at, _)| at <= self.mono()) {
                    self.tell(&node, Event::Tick);
                }
            }
        }
        Ok(())
    }

    fn written(&mut self, node: &NodeName) {
        let now = self.now;
        let Some(at) = self.nodes.get_mut(node).filter(|at| at.writing == Some(now)) else { return };
        at.writing = None;
        let Some(Effect::Write(mark, ballot)) = at.effects.pop_front() else { return };
        if at.full {
            at.effects.clear();
            return self.tell(node, Event::WriteFailed("no space left on device".to_owned()));
        }
        at.disk = ballot;
        self.tell(node, Event::Written(mark));
        self.took(node, Vec::new());
    }

    fn show(&mut self) {
        for node in self.all() {
            let Some(member) = self.nodes.get(&node).and_then(|at| at.member.as_ref()) else {
                self.say(&node, "is down");
                continue;
            };
            let view = member.view();
            let mut text =
                format!("{}, term {}, has {}, knows {} committed", view.role.word(), view.term, view.ver, view.commit);
            if let Some(leader) = &view.leader {
                write!(text, ", led by {leader}").unwrap();
            }
            match view.lease_end {
                Some(end) if end.0 == Duration::MAX => text.push_str(", lease without end"),
                Some(end) => write!(text, ", lease for {} ms", end.since(self.mono()).as_millis()).unwrap(),
                None => {}
            }
            self.say(&node, &text);
        }
    }
}
