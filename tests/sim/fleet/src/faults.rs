//! What befalls a fleet. Half of it aims at the leader.

use crate::node::Disk;
use crate::plan::{SECOND, Weather};
use crate::world::{Mend, Next, World};
use reeve_core::election::{Ballot, Seat};
use reeve_core::fleet::{Document, VoterChange};

#[derive(Debug, Clone)]
pub enum Fault {
    Kill(usize),
    KillWriting(usize),
    Blink(usize),
    Undermine,
    Stop(usize),
    Suspend(usize),
    Deaf(usize),
    Mute(usize),
    Alone(usize),
    Link(usize, usize),
    Split(u64),
    Broker(usize),
    FullDisk(usize),
    SlowDisk(usize),
    LoseFile(usize),
    OldImage(usize),
    Reinstall(usize),
    Change,
    FalseHint,
    HandOver,
    ChangeVoters,
}

impl World {
    /// Thinks of the next fault.
    pub fn trouble(&mut self) -> Result<(), String> {
        if self.now >= self.plan.calm_from {
            return Ok(());
        }
        let leader = self.a_leader();
        let any = self.rng.below(self.nodes.len() as u64) as usize;
        let aimed = if self.rng.below(2) == 0 { leader.unwrap_or(any) } else { any };
        let (fault, pause) = match self.plan.weather {
            Weather::Fair => (None, 60 * SECOND),
            Weather::Kills => (leader.map(Fault::Kill), 12 * SECOND),
            Weather::Returns => ((Some(any) != leader).then_some(Fault::Alone(any)), 8 * SECOND),
            // Once, and for good.
            Weather::Deaf if self.now < 60 * SECOND => (None, 60 * SECOND),
            Weather::Deaf => (leader.map(Fault::Deaf), 60 * SECOND),
            Weather::Storm => (Some(self.storm(aimed)), 300_000 + self.rng.below(5 * SECOND)),
        };
        if let Some(fault) = fault {
            self.later(0, Next::Fault(fault));
        }
        self.later(pause, Next::Trouble);
        Ok(())
    }

    fn storm(&mut self, node: usize) -> Fault {
        let other = self.rng.below(self.nodes.len() as u64) as usize;
        match self.rng.below(100) {
            0..=10 => Fault::Kill(node),
            11..=13 => Fault::Undermine,
            14..=25 => Fault::KillWriting(node),
            26..=33 => Fault::Stop(node),
            34..=41 => Fault::Suspend(node),
            42..=46 => Fault::Deaf(node),
            47..=51 => Fault::Mute(node),
            52..=57 => Fault::Alone(node),
            58..=66 => Fault::Link(node, other),
            67..=72 => Fault::Split(self.rng.next_u64()),
            73..=77 => Fault::Broker(self.rng.below(self.plan.brokers as u64) as usize),
            78 => Fault::FullDisk(node),
            79 => Fault::SlowDisk(node),
            80 => Fault::Reinstall(node),
            81..=82 => Fault::LoseFile(node),
            83..=84 => Fault::OldImage(node),
            85..=88 => Fault::FalseHint,
            89..=93 => Fault::HandOver,
            _ => Fault::ChangeVoters,
        }
    }

    pub fn fault(&mut self, fault: Fault) -> Result<(), String> {
        if self.now >= self.plan.calm_from && !matches!(fault, Fault::Change) {
            return Ok(());
        }
        // Each start makes an old image look newer: what it is can only be known for as many as it is behind.
        if let Fault::Kill(node) | Fault::Blink(node) | Fault::KillWriting(node) | Fault::FullDisk(node) = fault
            && self.old_images.contains(&node)
        {
            return Ok(());
        }
        self.say(|_| format!("! {fault:?}"));
        let el_max = u64::try_from(self.plan.timing.election_max.as_micros()).unwrap();
        let short = 5_000 + self.rng.below(4 * SECOND);
        let long = 100_000 + self.rng.below(2 * el_max);
        match fault {
            Fault::Kill(node) => {
                let led = self.a_leader() == Some(node);
                self.kill(node);
                self.laws.leader_lost(led.then_some(self.now));
                self.hint(node);
                // So long that another leads by then, where that is what is measured.
                let back = if self.plan.weather == Weather::Kills { 9 * SECOND } else { short };
                self.later(back, Next::Mend(Mend::Start(node)));
            }
            Fault::Blink(node) => {
                self.kill(node);
                let after = 2_000 + self.rng.below(300_000);
                self.later(after, Next::Mend(Mend::Start(node)));
            }
            Fault::Undermine => self.undermine(),
            Fault::KillWriting(node) => self.nodes[node].dies_writing = true,
            Fault::Stop(node) => {
                self.sleep(node, false);
                self.later(long, Next::Mend(Mend::Awake(node)));
            }
            Fault::Suspend(node) => {
                self.sleep(node, true);
                self.later(long, Next::Mend(Mend::Awake(node)));
            }
            Fault::Deaf(node) => {
                self.net.set_deaf(node, true);
                if self.plan.weather == Weather::Deaf {
                    self.laws.deaf = Some(node);
                } else {
                    self.later(long, Next::Mend(Mend::Hears(node)));
                }
            }
            Fault::Mute(node) => {
                self.net.set_mute(node, true);
                self.later(long, Next::Mend(Mend::IsHeard(node)));
            }
            Fault::Alone(node) => {
                self.net.set_mute(node, true);
                self.net.set_deaf(node, true);
                // Never at the same time: half a second in which it can do harm.
                let gap = self.rng.below(2) * 500_000;
                let span = if self.plan.weather == Weather::Returns { 5 * SECOND } else { long };
                self.later(span, Next::Mend(Mend::IsHeard(node)));
                self.later(span + gap, Next::Mend(Mend::Hears(node)));
            }
            Fault::Link(from, to) => {
                self.net.set_cut(from, to, true);
                self.later(long, Next::Mend(Mend::Link(from, to)));
                if self.rng.below(2) == 0 {
                    self.net.set_cut(to, from, true);
                    self.later(long, Next::Mend(Mend::Link(to, from)));
                }
            }
            Fault::Split(sides) => {
                for from in 0..self.nodes.len() {
                    for to in 0..self.nodes.len() {
                        if (sides >> from) & 1 != (sides >> to) & 1 {
                            self.net.set_cut(from, to, true);
                            self.later(long, Next::Mend(Mend::Link(from, to)));
                        }
                    }
                }
            }
            Fault::Broker(broker) => {
                self.net.broker(broker, false);
                self.later(short, Next::Mend(Mend::Broker(broker)));
            }
            Fault::FullDisk(node) => {
                self.nodes[node].disk.full = true;
                self.later(short, Next::Mend(Mend::Disk(node)));
            }
            Fault::SlowDisk(node) => {
                self.nodes[node].slow = true;
                self.later(long * 2, Next::Mend(Mend::Fast(node)));
            }
            Fault::Change => self.change()?,
            // A healthy voter goes out, and comes in again with a new file.
            Fault::Reinstall(node) => {
                if self.a_minority_is_lost(node) && self.laws.committed().n > 0 && !self.lost_files.contains(&node) {
                    self.is_lost(node);
                }
            }
            Fault::LoseFile(node) => self.lose_file(node),
            Fault::OldImage(node) => self.old_image(node),
            Fault::FalseHint => {
                if let Some(leader) = self.a_leader() {
                    self.hint(leader);
                }
            }
            Fault::HandOver => {
                if let Some(leader) = self.a_leader() {
                    self.ask(leader, |member, now| member.hand_over(None, now).map(|(_, effects)| effects))?;
                }
            }
            Fault::ChangeVoters => self.change_voters()?,
        }
        Ok(())
    }

    pub fn mend(&mut self, mend: Mend) -> Result<(), String> {
        match mend {
            Mend::Start(node) => self.start(node)?,
            Mend::Awake(node) => self.wake(node)?,
            Mend::Hears(node) => self.net.set_deaf(node, false),
            Mend::IsHeard(node) => self.net.set_mute(node, false),
            Mend::Link(from, to) => self.net.set_cut(from, to, false),
            Mend::Broker(broker) => self.net.broker(broker, true),
            Mend::Disk(node) => {
                // The one whose write failed votes no more in that life.
                self.nodes[node].disk.full = false;
                let silent = |world: &World| {
                    let life = world.nodes[node].life.as_ref();
                    life.is_some_and(|life| life.member.role() == reeve_core::election::Role::Silent)
                };
                if silent(self) && !self.lost_files.contains(&node) {
                    self.kill(node);
                    self.start(node)?;
                }
            }
            Mend::Fast(node) => self.nodes[node].slow = false,
            Mend::Rejoin(node) => self.rejoin(node)?,
        }
        Ok(())
    }

    /// Cuts the link between two nodes for a while.
    fn cut_for(&mut self, one: usize, other: usize) {
        let span = SECOND + self.rng.below(8 * SECOND);
        for (from, to) in [(one, other), (other, one)] {
            self.net.set_cut(from, to, true);
            self.later(span, Next::Mend(Mend::Link(from, to)));
        }
    }

    /// One voter no longer hears the leader, another that does dies and is back at once: it may have answered the
    /// leader just before.
    fn undermine(&mut self) {
        let Some(leader) = self.a_leader() else { return };
        let count = self.nodes.len() as u64;
        let (one, other) = (self.rng.below(count) as usize, self.rng.below(count) as usize);
        if one == leader || other == leader || one == other {
            return;
        }
        self.cut_for(leader, one);
        let el_min = u64::try_from(self.plan.timing.election_min.as_micros()).unwrap();
        let after = el_min + self.rng.below(2 * SECOND);
        self.later(after, Next::Fault(Fault::Blink(other)));
    }

    /// The broker tells most others that its connection is gone, true or not.
    fn hint(&mut self, gone: usize) {
        for node in 0..self.nodes.len() {
            if self.rng.below(10) < 7 {
                let after = 500 + self.rng.below(10_000);
                let gone = self.names[gone].clone();
                self.later(after, Next::Hint { node, gone });
            }
        }
    }

    fn a_minority_is_lost(&self, more: usize) -> bool {
        let lost = self.lost_files.iter().chain([&more]);
        let mut lost: Vec<_> = lost.collect();
        lost.sort_unstable();
        lost.dedup();
        // A version that a majority has keeps at least one holder that remembers it.
        lost.len() * 2 < self.plan.voters
    }

    /// The voter file is gone, and the daemon starts as if it had never taken part; some time later an operator lets it
    /// join again.
    fn lose_file(&mut self, node: usize) {
        if !self.a_minority_is_lost(node) || self.laws.committed().n == 0 {
            return;
        }
        self.kill(node);
        self.new_file(node);
        self.is_lost(node);
    }

    fn new_file(&mut self, node: usize) {
        let founding = Document::founding(self.names.iter().take(self.plan.voters).cloned());
        let seat = Seat(self.rng.next_u64());
        let file = Ballot::new("lab", self.names[node].clone(), seat, founding);
        self.nodes[node].disk = Disk { file: Some(file), full: false };
        self.images[node].clear();
        self.old_images.remove(&node);
    }

    /// Somebody puts back the disk of two lives ago, where every other disk tells that it is old.
    fn old_image(&mut self, node: usize) {
        let lives = self.images[node].len();
        if lives < 3 || !self.a_minority_is_lost(node) {
            return;
        }
        let image = self.images[node][lives - 3].clone();
        let knows = |file: &Ballot| {
            let bound = file.document.voters.get(&self.names[node]).copied().flatten();
            bound.is_some_and(|bound| bound.boot.0 > image.boot.0 + 1)
        };
        let others = (0..self.nodes.len()).filter(|other| *other != node);
        if !others.filter_map(|other| self.nodes[other].disk.file.as_ref()).all(knows) {
            return;
        }
        self.kill(node);
        self.nodes[node].disk = Disk { file: Some(image), full: false };
        self.nodes[node].dies_writing = false;
        self.old_images.insert(node);
        self.images[node].truncate(lives - 3);
        self.is_lost(node);
    }

    fn is_lost(&mut self, node: usize) {
        self.lost_files.push(node);
        self.laws.forgets(node);
        self.nodes[node].anew = false;
        let after = 5_000 + self.rng.below(SECOND);
        self.later(after, Next::Mend(Mend::Start(node)));
        let after = 3 * SECOND + self.rng.below(10 * SECOND);
        self.later(after, Next::Mend(Mend::Rejoin(node)));
    }

    /// `fleet rejoin`: the old voter out, a new file, the new voter in, one after the other.
    fn rejoin(&mut self, node: usize) -> Result<(), String> {
        if self.now >= self.plan.calm_from {
            return Ok(());
        }
        let name = self.names[node].clone();
        let known = self.a_leader().map(|leader| {
            let document = &self.nodes[leader].life.as_ref().unwrap().member.ballot().document;
            (leader, document.ver, document.voters.get(&name).copied().flatten())
        });
        if let Some((leader, ver, known)) = known
            && self.laws.committed() >= ver
        {
            match (known, self.bound_of(node)) {
                // Back only when it knows it itself: until then one more lost file would be one too many.
                (Some(known), Some(bound)) if known.seat == bound.seat && self.nodes[node].anew => {
                    if !self.knows_its_place(node) {
                        self.later(500_000, Next::Mend(Mend::Rejoin(node)));
                        return Ok(());
                    }
                    self.lost_files.retain(|lost| *lost != node);
                    self.laws.remembers(node);
                    return Ok(());
                }
                (Some(_), _) => {
                    let change = VoterChange::Remove(name);
                    self.ask(leader, |member, now| member.change_voters(&change, now).map(|(_, effects)| effects))?;
                }
                (None, Some(bound)) if self.nodes[node].anew => {
                    let change = VoterChange::Add(name, bound);
                    self.ask(leader, |member, now| member.change_voters(&change, now).map(|(_, effects)| effects))?;
                }
                (None, _) => {
                    self.kill(node);
                    self.new_file(node);
                    self.nodes[node].anew = true;
                    self.start(node)?;
                }
            }
        }
        self.later(500_000, Next::Mend(Mend::Rejoin(node)));
        Ok(())
    }

    fn knows_its_place(&self, node: usize) -> bool {
        let Some(life) = &self.nodes[node].life else { return false };
        let bound = life.member.ballot().document.voters.get(&self.names[node]).copied().flatten();
        bound.is_some_and(|bound| Some(bound.seat) == self.bound_of(node).map(|own| own.seat))
    }

    fn change_voters(&mut self) -> Result<(), String> {
        let Some(leader) = self.a_leader() else { return Ok(()) };
        let node = self.rng.below(self.nodes.len() as u64) as usize;
        if self.lost_files.contains(&node) {
            return Ok(());
        }
        let Some(bound) = self.bound_of(node) else { return Ok(()) };
        let name = self.names[node].clone();
        let voters = self.nodes[leader].life.as_ref().map(|life| life.member.ballot().document.voters.clone()).unwrap();
        let change = match voters.contains_key(&name) {
            // Never fewer than there were: the seed's faults are meant for that many.
            true if voters.len() > self.plan.voters => VoterChange::Remove(name),
            true => return Ok(()),
            false => VoterChange::Add(name, bound),
        };
        if self.rng.below(3) == 0 {
            // Whoever voted before does not hear of it.
            for (other, name) in self.names.clone().iter().enumerate() {
                if other != leader && voters.contains_key(name) {
                    self.cut_for(leader, other);
                }
            }
        }
        self.ask(leader, |member, now| member.change_voters(&change, now).map(|(_, effects)| effects))?;
        // A second change before the first is committed has to wait.
        {
            let other = self.rng.below(self.nodes.len() as u64) as usize;
            if let (Some(bound), false) = (self.bound_of(other), voters.contains_key(&self.names[other])) {
                let change = VoterChange::Add(self.names[other].clone(), bound);
                self.ask(leader, |member, now| member.change_voters(&change, now).map(|(_, effects)| effects))?;
            }
        }
        Ok(())
    }
}
