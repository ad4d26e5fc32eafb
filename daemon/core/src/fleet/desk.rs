//! The leader's desk: what nodes want, in order, becomes changes of the document; each is answered when it is committed.
//!
//! Nothing here outlives the reign: slots are in the document, and whoever still waits asks again. A new leader counts all
//! times from when it took over, as it knows of no earlier answer.

use super::change::{Change, apply};
use super::plant::FleetPlant;
use super::policy::{DEFAULT_POLICY, DEFAULT_POOL, SlotPolicy, Wanted};
use super::roster::Roster;
use super::slot::{Slot, SlotId};
use super::talk::{Ask, Said, Want};
use crate::election::{HandOverError, Member, NodeName, ProposeError, Ver};
use crate::fleet::{Bound, Document, VoterChange};
use crate::time::{Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Whoever waits asks again; one that is silent for this long is not in the queue any more.
const PATIENCE: Duration = Duration::from_secs(20);
/// A slot is suspect a little later than its holder thinks.
const SLACK: Duration = Duration::from_secs(1);
/// 100 to 200 bytes each, in a document of at most 64 KiB.
const MOST_SLOTS: usize = 300;
/// More than a fleet may want at once; whoever asks then asks again.
const MOST_WAIT: usize = 1000;
/// Longer reasons are cut.
const REASON: usize = 200;
/// A queue with somebody in it is looked at again: windows open, nodes are found.
const QUEUE_LOOK: Duration = Duration::from_secs(1);

/// Somebody who waits for a slot.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub id: SlotId,
    pub kind: String,
    pub group: String,
    pub reason: String,
    pub since: Wall,
    pub blocked: String,
    pool: String,
    first: Mono,
    heard: Mono,
    nonce: u64,
}

/// A change, and who waits for it.
#[derive(Debug, Clone)]
struct Job {
    change: Change,
    waits: Vec<(NodeName, u64)>,
}

/// What the desk wants said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// To a node, about its ask.
    Answer(NodeName, u64, Said),
    /// To people: this change is in force.
    Done(Change),
    /// Of the member that was asked to do it.
    Effect(crate::election::Effect),
}

/// What the desk looks at.
pub(super) struct Office<'a> {
    pub policies: &'a BTreeMap<String, SlotPolicy>,
    pub roster: &'a Roster,
    pub now: Now,
    /// Always empty but in the simulation's own builds.
    pub plant: Option<FleetPlant>,
}

impl Office<'_> {
    fn planted(&self, plant: FleetPlant) -> bool {
        cfg!(feature = "plants") && self.plant == Some(plant)
    }
}

/// The desk.
#[derive(Debug, Clone, Default)]
pub(super) struct Desk {
    /// When a slot was last granted or asked for again.
    renewed: BTreeMap<SlotId, Mono>,
    suspect: BTreeMap<SlotId, Mono>,
    queue: Vec<Waiting>,
    pending: VecDeque<Job>,
    flying: Option<(Ver, Vec<Job>)>,
    looked: Mono,
}

impl Desk {
    /// Somebody wants something. Only while this node may act as the leader.
    pub(super) fn ask(&mut self, from: &NodeName, ask: &Ask, member: &mut Member, office: &Office<'_>) -> Vec<Word> {
        if self.is_under_way(from, ask.nonce) || self.pending.len() >= MOST_WAIT {
            return Vec::new();
        }
        let reason: String = ask.reason.chars().filter(|c| !c.is_control()).take(REASON).collect();
        let answer = |said| vec![Word::Answer(from.clone(), ask.nonce, said)];
        let refused = |why: String| answer(Said::Refused(why));
        let planned = self.planned(member);
        match &ask.want {
            Want::Slot { id, kind, labels } if id.node == *from => {
                if let Some(slot) = planned.slots.get(id) {
                    return self.again(from, ask.nonce, id, slot, office.now);
                }
                let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                if kind.is_empty() || kind.len() > 64 || !kind.chars().all(fits) {
                    return refused(format!("{kind:?} is no kind of slot; expected one such as reboot"));
                }
                let (pool, policy) = budget(office.policies, kind);
                let group = policy.per.as_ref().and_then(|label| labels.get(label)).cloned().unwrap_or_default();
                if self.queue.len() >= MOST_WAIT && !self.queue.iter().any(|waiting| waiting.id == *id) {
                    return refused(format!("{MOST_WAIT} wait for slots already"));
                }
                self.enqueue(id, kind, pool, group, reason, ask, office.now);
                self.serve(member, office);
                let early = office.planted(FleetPlant::GrantsUncommitted).then(|| self.planned(member));
                if let Some(slot) = early.and_then(|document| document.slots.get(id).cloned()) {
                    return answer(granted(id, &slot));
                }
                self.place(from, ask.nonce, id)
            }
            Want::Keep(id) if id.node == *from => match planned.slots.get(id) {
                Some(slot) => self.again(from, ask.nonce, id, slot, office.now),
                None => refused(format!("{id} was broken, or is not granted: it is not held any more")),
            },
            Want::Release { id, .. } | Want::Keep(id) | Want::Slot { id, .. } if id.node != *from => {
                refused(format!("{id} is not a slot of {from}"))
            }
            Want::Release { id, failed } => {
                self.queue.retain(|waiting| waiting.id != *id);
                match planned.slots.get(id) {
                    None => answer(Said::Done(format!("{id} is released"))),
                    Some(_) if *failed => self.job(
                        Change::Suspect(id.clone(), format!("the check after the work has failed: {reason}")),
                        from,
                        ask,
                    ),
                    Some(_) => self.job(Change::Release(id.clone()), from, ask),
                }
            }
            Want::Slot { .. } | Want::Keep(_) => Vec::new(),
            Want::Break(id) if planned.slots.contains_key(id) => {
                self.job(Change::Break(id.clone(), format!("broken: {reason}")), from, ask)
            }
            Want::Break(id) => refused(format!("there is no slot {id}; `reevectl fleet slots` lists those there are")),
            Want::Freeze(true) => self.job(Change::Freeze(Some(reason)), from, ask),
            Want::Freeze(false) if planned.frozen.is_none() => answer(Said::Done("slots are not frozen".to_owned())),
            Want::Freeze(false) => self.job(Change::Freeze(None), from, ask),
            Want::Join(bound) => self.join(from, *bound, &planned, ask),
            Want::Leave(node) => self.job(Change::Voters(VoterChange::Remove(node.clone())), from, ask),
            Want::HandOver { from: leader, .. } if *leader != member.ballot().node => {
                answer(Said::Done(format!("{} leads", member.ballot().node)))
            }
            Want::HandOver { to, .. } => match member.hand_over(to.as_ref(), office.now.mono) {
                Ok((heir, effects)) => {
                    let said = Said::Done(format!("handed over to {heir}"));
                    let words = effects.into_iter().map(Word::Effect);
                    answer(said).into_iter().chain(words).collect()
                }
                // What has just been written is on its way to the heirs: it is asked again.
                Err(HandOverError::NobodyReady) if member.commit() != member.ballot().document.ver => Vec::new(),
                Err(why) => refused(why.to_string()),
            },
        }
    }

    /// A voter with this file: one of its name with another file goes first.
    fn join(&mut self, from: &NodeName, bound: Bound, planned: &Document, ask: &Ask) -> Vec<Word> {
        match planned.voters.get(from) {
            Some(Some(known)) if known.seat == bound.seat => {
                vec![Word::Answer(from.clone(), ask.nonce, Said::Done(format!("{from} is a voter")))]
            }
            known => {
                if known.is_some() {
                    let change = Change::Voters(VoterChange::Remove(from.clone()));
                    self.pending.push_back(Job { change, waits: Vec::new() });
                }
                self.job(Change::Voters(VoterChange::Add(from.clone(), bound)), from, ask)
            }
        }
    }

    fn job(&mut self, change: Change, from: &NodeName, ask: &Ask) -> Vec<Word> {
        self.pending.push_back(Job { change, waits: vec![(from.clone(), ask.nonce)] });
        Vec::new()
    }

    fn is_under_way(&self, from: &NodeName, nonce: u64) -> bool {
        self.jobs().any(|job| job.waits.iter().any(|(node, n)| node == from && *n == nonce))
    }

    /// All that is written, or to be written.
    fn jobs(&self) -> impl Iterator<Item = &Job> {
        let flying = self.flying.iter().flat_map(|(_, jobs)| jobs);
        flying.chain(&self.pending)
    }

    /// The holder of a slot asks again: it holds it for longer.
    fn again(&mut self, from: &NodeName, nonce: u64, id: &SlotId, slot: &Slot, now: Now) -> Vec<Word> {
        let flying = self.flying.iter_mut().flat_map(|(_, jobs)| jobs);
        let granting = |job: &&mut Job| matches!(&job.change, Change::Grant(granted, _) if granted == id);
        if let Some(job) = flying.chain(&mut self.pending).find(granting) {
            job.waits = vec![(from.clone(), nonce)];
            return Vec::new();
        }
        if slot.suspect.is_some() {
            let waits = vec![(from.clone(), nonce)];
            self.pending.push_back(Job { change: Change::Trust(id.clone()), waits });
            return Vec::new();
        }
        self.renewed.insert(id.clone(), now.mono);
        vec![Word::Answer(from.clone(), nonce, granted(id, slot))]
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one record")]
    fn enqueue(&mut self, id: &SlotId, kind: &str, pool: &str, group: String, reason: String, ask: &Ask, now: Now) {
        if let Some(waiting) = self.queue.iter_mut().find(|waiting| waiting.id == *id) {
            waiting.heard = now.mono;
            waiting.nonce = ask.nonce;
            return;
        }
        let first = now.mono - ask.waited;
        let waited = u64::try_from(ask.waited.as_micros()).unwrap_or(u64::MAX);
        let waiting = Waiting {
            id: id.clone(),
            kind: kind.to_owned(),
            pool: pool.to_owned(),
            group,
            reason,
            since: Wall(now.wall.0.saturating_sub(waited)),
            blocked: String::new(),
            first,
            heard: now.mono,
            nonce: ask.nonce,
        };
        let place = self.queue.iter().position(|other| other.first > first).unwrap_or(self.queue.len());
        self.queue.insert(place, waiting);
    }

    /// What is answered to one that waits.
    fn place(&self, from: &NodeName, nonce: u64, id: &SlotId) -> Vec<Word> {
        let waits = self.queue().find(|(_, waiting)| waiting.id == *id);
        let said = waits.map(|(position, waiting)| Said::Queued { position, blocked: waiting.blocked.clone() });
        said.map(|said| Word::Answer(from.clone(), nonce, said)).into_iter().collect()
    }

    /// Grants what can be granted: in order within a budget, so that nobody is overtaken for ever.
    fn serve(&mut self, member: &Member, office: &Office<'_>) {
        let mut planned = self.planned(member);
        let mut before: Vec<(String, String, SlotId)> = Vec::new();
        for mut waiting in std::mem::take(&mut self.queue) {
            let (_, policy) = budget(office.policies, &waiting.kind);
            let wanted = Wanted { id: &waiting.id, pool: &waiting.pool, group: &waiting.group };
            let group = office.roster.group(policy.per.as_deref(), &waiting.group);
            let first = before.iter().find(|(pool, group, _)| *pool == waiting.pool && *group == waiting.group);
            let verdict = match first {
                Some((_, _, id)) => Err(format!("{id} comes first")),
                None if planned.slots.len() >= MOST_SLOTS => Err(format!("{MOST_SLOTS} slots are held in the fleet")),
                None if office.planted(FleetPlant::SuspectIsFree) => {
                    let mut trusting = planned.clone();
                    Arc::make_mut(&mut trusting.slots).retain(|_, slot| slot.suspect.is_none());
                    policy.judge(&trusting, &wanted, &group, office.now.wall)
                }
                None => policy.judge(&planned, &wanted, &group, office.now.wall),
            };
            if let Err(why) = verdict {
                before.push((waiting.pool.clone(), waiting.group.clone(), waiting.id.clone()));
                waiting.blocked = why;
                self.queue.push(waiting);
                continue;
            }
            let slot = Slot {
                kind: waiting.kind,
                pool: waiting.pool,
                group: waiting.group,
                reason: waiting.reason,
                fence: Ver::default(),
                since: office.now.wall,
                ttl: policy.ttl,
                suspect: None,
            };
            let change = Change::Grant(waiting.id.clone(), slot);
            apply(&mut planned, &change, Ver::default());
            self.pending.push_back(Job { change, waits: vec![(waiting.id.node, waiting.nonce)] });
        }
    }

    /// The document with all that is to be written.
    fn planned(&self, member: &Member) -> Document {
        let mut document = member.ballot().document.clone();
        self.pending.iter().for_each(|job| apply(&mut document, &job.change, Ver::default()));
        document
    }

    /// Looks at times and at the queue, and writes what is to be written, if nothing is under way.
    pub(super) fn advance(&mut self, member: &mut Member, office: &Office<'_>) -> Vec<Word> {
        self.expire(member, office);
        if !self.queue.is_empty() && office.now.mono >= self.looked + QUEUE_LOOK {
            self.looked = office.now.mono;
            self.queue.retain(|waiting| office.now.mono.since(waiting.heard) < PATIENCE);
            self.serve(member, office);
        }
        self.write(member, office.now)
    }

    fn expire(&mut self, member: &Member, office: &Office<'_>) {
        let document = member.ballot().document.clone();
        let now = office.now.mono;
        self.renewed.retain(|id, _| document.slots.contains_key(id));
        self.suspect.retain(|id, _| document.slots.get(id).is_some_and(|slot| slot.suspect.is_some()));
        let busy: BTreeSet<SlotId> = self.under_way().cloned().collect();
        let mut changes = Vec::new();
        for (id, slot) in document.slots.iter().filter(|(id, _)| !busy.contains(id)) {
            if slot.suspect.is_some() {
                let since = *self.suspect.entry(id.clone()).or_insert(now);
                let (_, policy) = budget(office.policies, &slot.kind);
                if let Some(after) = policy.break_after.filter(|after| now >= since + *after) {
                    let why = format!("broken: suspect for {} s, break_after", after.as_secs());
                    changes.push(Change::Break(id.clone(), why));
                }
            } else {
                let renewed = *self.renewed.entry(id.clone()).or_insert(now);
                if now >= renewed + slot.ttl + SLACK {
                    let why = format!("its time of {} s is over and it was not released", slot.ttl.as_secs());
                    changes.push(Change::Suspect(id.clone(), why));
                }
            }
        }
        self.pending.extend(changes.into_iter().map(|change| Job { change, waits: Vec::new() }));
    }

    /// Slots about which something is on its way that changes how long they last.
    fn under_way(&self) -> impl Iterator<Item = &SlotId> {
        self.jobs().filter_map(|job| job.change.slot())
    }

    /// One version at a time; what came meanwhile goes together into the next. Voters change alone.
    fn write(&mut self, member: &mut Member, now: Now) -> Vec<Word> {
        if self.flying.is_some() {
            return Vec::new();
        }
        let mut words = Vec::new();
        while let Some(job) = self.pending.pop_front() {
            if let Change::Voters(change) = &job.change {
                match member.change_voters(change, now.mono) {
                    Ok((ver, effects)) => {
                        self.flying = Some((ver, vec![job]));
                        words.extend(effects.into_iter().map(Word::Effect));
                    }
                    Err(ProposeError::Busy | ProposeError::NotLeader) => self.pending.push_front(job),
                    Err(ProposeError::Voters(why)) => {
                        words.extend(answers(job.waits, &Said::Refused(why.to_string())));
                        continue;
                    }
                }
                return words;
            }
            let mut jobs = vec![job];
            while let Some(next) = self.pending.pop_front_if(|job| !matches!(job.change, Change::Voters(_))) {
                jobs.push(next);
            }
            let mut document = member.ballot().document.clone();
            let fence = member.next_ver();
            jobs.iter().for_each(|job| apply(&mut document, &job.change, fence));
            match member.propose(document, now.mono) {
                Ok((ver, effects)) => {
                    self.flying = Some((ver, jobs));
                    words.extend(effects.into_iter().map(Word::Effect));
                }
                Err(_) => jobs.into_iter().rev().for_each(|job| self.pending.push_front(job)),
            }
            return words;
        }
        words
    }

    /// A version is committed: what it brought is in force, and whoever waits for it hears so.
    pub(super) fn committed(&mut self, ver: Ver, document: &Document, now: Now) -> Vec<Word> {
        let Some((_, jobs)) = self.flying.take_if(|(flying, _)| *flying <= ver) else { return Vec::new() };
        let mut words = Vec::new();
        for job in jobs {
            let said = match &job.change {
                Change::Grant(id, _) | Change::Trust(id) => {
                    self.renewed.insert(id.clone(), now.mono);
                    document.slots.get(id).map(|slot| granted(id, slot))
                }
                other => Some(Said::Done(other.text())),
            };
            if let Some(said) = said {
                words.extend(answers(job.waits, &said));
            }
            words.push(Word::Done(job.change));
        }
        // Somebody may have waited for just this.
        self.looked = Mono::default();
        words
    }

    /// When it wants to look again.
    pub(super) fn deadline(&self, document: &Document, policies: &BTreeMap<String, SlotPolicy>) -> Option<Mono> {
        let queue = (!self.queue.is_empty()).then(|| self.looked + QUEUE_LOOK);
        let busy: BTreeSet<&SlotId> = self.under_way().collect();
        let slots = document.slots.iter().filter(|(id, _)| !busy.contains(id));
        let expiry = slots.filter_map(|(id, slot)| match slot.suspect {
            None => self.renewed.get(id).map(|at| *at + slot.ttl + SLACK),
            Some(_) => Some(*self.suspect.get(id)? + budget(policies, &slot.kind).1.break_after?),
        });
        expiry.chain(queue).min()
    }

    /// Who waits, in order, with the place from 1.
    pub(super) fn queue(&self) -> impl Iterator<Item = (u32, &Waiting)> {
        (1..).zip(&self.queue)
    }

    /// When a slot turns suspect.
    pub(super) fn expires(&self, id: &SlotId, slot: &Slot) -> Option<Mono> {
        self.renewed.get(id).filter(|_| slot.suspect.is_none()).map(|at| *at + slot.ttl)
    }
}

/// The budget of a kind: its own section, or the one that all others share.
fn budget<'a, 'b>(policies: &'a BTreeMap<String, SlotPolicy>, kind: &'b str) -> (&'b str, &'a SlotPolicy) {
    match policies.get(kind) {
        Some(policy) => (kind, policy),
        None => (DEFAULT_POOL, policies.get(DEFAULT_POOL).unwrap_or(&DEFAULT_POLICY)),
    }
}

fn granted(id: &SlotId, slot: &Slot) -> Said {
    Said::Granted { id: id.clone(), fence: slot.fence, ttl: slot.ttl }
}

/// The same to all who wait for it.
fn answers(waits: Vec<(NodeName, u64)>, said: &Said) -> impl Iterator<Item = Word> {
    waits.into_iter().map(|(node, nonce)| Word::Answer(node, nonce, said.clone()))
}
