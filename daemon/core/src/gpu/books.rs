//! What the core knows of the cards: how they are, who has them, what dead runs have left on them.
//!
//! The breaker of a card:
//! ```text
//! closed ──XID of the fatal tier──► open ──span over──► closed, remembers ──another one──► open, twice as long
//!    ▲                                                        │
//!    └───────────────── a day without ◄───────────────────────┘
//! ```
//! What the card itself says (lost, a failed row remap, a recovery action) keeps it out for as long as it says so.

use super::gate::{Idle, Remains, on};
use super::health::Verdict;
use super::inventory::{Card, Hold, Inventory, is_within};
use crate::ids::ReplicaId;
use crate::persist::CardRecord;
use crate::time::{Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a breaker is open the first time.
const OPEN: Duration = Duration::from_secs(600);
/// And at most.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// After this long without another XID nothing is held against a card.
const FORGIVEN: Duration = Duration::from_secs(24 * 3600);

/// Why a card gets no work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Out {
    /// For people.
    pub reason: String,
    /// It does not answer: nothing on it can finish.
    pub lost: bool,
}

/// What an inventory has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Cards that are out now and were not, with the label.
    pub out: Vec<(String, String, Out)>,
    /// Cards that are back, with the label.
    pub back: Vec<(String, String)>,
    /// Breakers have changed: to be kept.
    pub records: bool,
    /// Replicas whose dead runs have processes left.
    pub stragglers: Vec<(ReplicaId, Option<String>)>,
    /// Replicas of whose dead runs nothing is left.
    pub clean: Vec<ReplicaId>,
    /// Something is clean, or what is in the way is another thing.
    pub gates: bool,
    /// Hold or cards are others than before.
    pub cards: bool,
}

/// The books.
#[derive(Debug, Clone, Default)]
pub struct Books {
    inventory: Inventory,
    records: BTreeMap<String, CardRecord>,
    out: BTreeMap<String, Out>,
    owners: BTreeMap<String, ReplicaId>,
    /// Whose a process on a card is, as long as it is there.
    processes: BTreeMap<u32, ReplicaId>,
    remains: Vec<Remains>,
    /// Ended runs of which nobody knows any more whether they had left their cards, by cgroup; until the first look.
    suspects: BTreeMap<ReplicaId, String>,
    idle: Idle,
    /// Whether a worker may be taken off a card that is out (REC-12).
    pub acts: bool,
}

impl Books {
    /// With the breakers that were kept.
    pub fn new(records: BTreeMap<String, CardRecord>) -> Self {
        Self { records, acts: true, ..Self::default() }
    }

    /// The newest look.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The breakers, to be kept.
    pub fn records(&self) -> &BTreeMap<String, CardRecord> {
        &self.records
    }

    /// Why a card gets no work, if it gets none.
    pub fn out(&self, card: &str) -> Option<&Out> {
        self.out.get(card)
    }

    /// Why a run on these should be somewhere else.
    pub fn sick(&self, given: &[String]) -> Option<&Out> {
        if !self.acts || self.inventory.hold != Hold::Held {
            return None;
        }
        given.iter().find_map(|uuid| self.out(&self.inventory.card_of(uuid)?.uuid))
    }

    /// Who was given this card or slice last.
    pub fn owner(&self, uuid: &str) -> Option<&ReplicaId> {
        self.owners.get(uuid)
    }

    /// Gives cards to a replica; what it had before is free. Those who lose theirs by that are returned.
    pub fn give(&mut self, id: &ReplicaId, uuids: &[String]) -> BTreeSet<ReplicaId> {
        self.owners.retain(|_, owner| owner != id);
        uuids.iter().filter_map(|uuid| self.owners.insert(uuid.clone(), id.clone())).collect()
    }

    /// Replicas with a process on this card or slice.
    pub fn users<'a>(&'a self, card: &'a Card, uuid: &str) -> impl Iterator<Item = &'a ReplicaId> {
        let dead = |user: &ReplicaId| self.remains.iter().any(|r| r.replica == *user);
        on(card, uuid).filter_map(|p| self.processes.get(&p.pid)).filter(move |user| !dead(user))
    }

    /// Whether processes that are none of ours are on it.
    pub fn has_strangers(&self, card: &Card) -> bool {
        card.processes.iter().any(|p| !self.processes.contains_key(&p.pid))
    }

    /// Whether a dead run may have left something on it.
    pub fn is_dirty(&self, uuid: &str) -> bool {
        self.remains.iter().any(|r| r.dirty.contains_key(uuid))
    }

    /// What is still in the way of a start on these.
    pub fn gate(&self, given: &[String]) -> Option<String> {
        let mut texts = self.remains.iter().flat_map(|r| given.iter().filter_map(|uuid| r.dirty.get(uuid)));
        let text = texts.next()?;
        Some(match &self.inventory.hold {
            Hold::Held => text.clone(),
            Hold::Unavailable(why) => format!("{text}; {why}"),
            other => format!("{text}; NVML is {}", other.word()),
        })
    }

    /// Whether anything is to be waited for.
    pub fn has_remains(&self, id: &ReplicaId) -> bool {
        self.remains.iter().any(|r| r.replica == *id)
    }

    /// Replicas of whose dead runs something may be left.
    pub fn in_question(&self) -> Vec<ReplicaId> {
        self.remains.iter().map(|r| r.replica.clone()).collect()
    }

    /// The same, and it can be looked at.
    pub fn settles(&self, id: &ReplicaId) -> bool {
        self.inventory.hold == Hold::Held && self.has_remains(id)
    }

    /// A run has ended on these cards.
    pub fn died(&mut self, id: &ReplicaId, given: &[String], cgroup: Option<String>, pid: Option<u32>, now: Mono) {
        if given.is_empty() {
            return;
        }
        let mine = self.processes.iter().filter(|(_, of)| *of == id).map(|(pid, _)| *pid);
        let pids: BTreeSet<u32> = mine.chain(pid).collect();
        let text = "waits for a look whether its GPUs are clean";
        let dirty = given.iter().map(|uuid| (uuid.clone(), text.to_owned())).collect();
        self.remains.retain(|r| r.replica != *id);
        self.remains.push(Remains { replica: id.clone(), since: now, cgroup, pids, dirty });
    }

    /// Its last run ended before this daemon began; what is in that cgroup is not to be there.
    pub fn suspect(&mut self, id: &ReplicaId, cgroup: String) {
        self.suspects.insert(id.clone(), cgroup);
    }

    /// It runs, whatever was before.
    pub fn lives(&mut self, id: &ReplicaId) {
        self.suspects.remove(id);
        self.remains.retain(|r| r.replica != *id);
    }

    /// A look at the cards. `owner` tells whose live run a cgroup or a process belongs to.
    pub fn saw(&mut self, seen: Inventory, now: Now, owner: impl Fn(&str) -> Option<ReplicaId>) -> Changed {
        let mut changed = Changed::default();
        let identity = |i: &Inventory| -> Vec<_> {
            i.cards.iter().map(|c| (c.uuid.clone(), c.index, c.sliced, c.slices.len())).collect()
        };
        changed.cards = seen.hold != self.inventory.hold || identity(&seen) != identity(&self.inventory);
        self.inventory = seen;
        if self.inventory.hold != Hold::Held {
            changed.gates = changed.cards;
            return changed;
        }
        let mut processes = BTreeMap::new();
        for process in self.inventory.cards.iter().flat_map(|c| &c.processes) {
            let by_group = process.cgroup.as_deref().and_then(&owner);
            // One whose cgroup is gone is whose it was.
            let id = by_group.or_else(|| self.processes.get(&process.pid).cloned());
            processes.extend(id.map(|id| (process.pid, id)));
        }
        self.processes = processes;
        self.accuse();
        self.learn_idle();
        changed.records = self.trip(now);
        self.settle(now, &mut changed);
        let before = std::mem::take(&mut self.out);
        self.out = self.all_out(now);
        let label = |uuid: &String| self.inventory.card_of(uuid).map_or_else(|| uuid.clone(), Card::label);
        let fresh = self.out.iter().filter(|(uuid, _)| !before.contains_key(*uuid));
        changed.out = fresh.map(|(uuid, out)| (uuid.clone(), label(uuid), out.clone())).collect();
        let back = before.keys().filter(|uuid| !self.out.contains_key(*uuid));
        changed.back = back.map(|uuid| (uuid.clone(), label(uuid))).collect();
        changed.gates |= !changed.out.is_empty() || !changed.back.is_empty() || changed.cards;
        changed
    }

    fn learn_idle(&mut self) {
        for card in &self.inventory.cards {
            if card.processes.is_empty() && !self.remains.iter().any(|r| r.dirty.contains_key(&card.uuid)) {
                self.idle.extend(card.memory_used.map(|used| (card.uuid.clone(), used)));
            }
            for slice in &card.slices {
                if on(card, &slice.uuid).next().is_none() && !self.is_dirty(&slice.uuid) {
                    self.idle.extend(slice.memory_used.map(|used| (slice.uuid.clone(), used)));
                }
            }
        }
    }

    /// Opens breakers for new XIDs, and forgets old ones. `true`: to be kept.
    fn trip(&mut self, now: Now) -> bool {
        let mut changed = false;
        for card in &self.inventory.cards {
            let Some((xid, at)) = card.facts.fatal_xid else { continue };
            let record = self.records.entry(card.uuid.clone()).or_default();
            if at <= record.last {
                continue;
            }
            let span = OPEN.saturating_mul(1 << record.opened.min(10)).min(LONGEST);
            *record = CardRecord {
                opened: record.opened.saturating_add(1),
                last: at,
                open_until: now.wall.plus(span),
                reason: format!("XID {xid}"),
            };
            changed = true;
        }
        let count = self.records.len();
        let old = |r: &CardRecord| r.open_until.plus(FORGIVEN) < now.wall;
        // An XID that still stands in the card's facts would open it again.
        let shown = |uuid: &str| self.inventory.card_of(uuid).is_some_and(|c| c.facts.fatal_xid.is_some());
        let gone: Vec<_> = self.records.iter().filter(|(u, r)| old(r) && !shown(u)).map(|(u, _)| u.clone()).collect();
        gone.iter().for_each(|uuid| drop(self.records.remove(uuid)));
        changed || self.records.len() != count
    }

    /// What is left of runs that had ended before this daemon began.
    fn accuse(&mut self) {
        for (replica, cgroup) in std::mem::take(&mut self.suspects) {
            let mut dirty = BTreeMap::new();
            for card in &self.inventory.cards {
                let pieces = std::iter::once(&card.uuid).chain(card.slices.iter().map(|s| &s.uuid));
                let there = |uuid: &&String| {
                    on(card, uuid).any(|p| p.cgroup.as_deref().is_some_and(|path| is_within(path, &cgroup)))
                };
                dirty.extend(pieces.filter(there).map(|uuid| (uuid.clone(), String::new())));
            }
            if !dirty.is_empty() {
                let (since, pids) = (self.inventory.at, BTreeSet::new());
                self.remains.push(Remains { replica, since, cgroup: Some(cgroup), pids, dirty });
            }
        }
    }

    /// Looks what dead runs have left.
    fn settle(&mut self, now: Now, changed: &mut Changed) {
        let before: Vec<_> = self.remains.iter().map(|r| r.dirty.clone()).collect();
        for remains in &mut self.remains {
            if remains.look(&self.inventory, &self.idle) {
                changed.stragglers.push((remains.replica.clone(), remains.cgroup.clone()));
            }
        }
        let overdue = self.remains.iter().any(|r| r.is_overdue(now.mono));
        changed.gates |= overdue || before.iter().ne(self.remains.iter().map(|r| &r.dirty));
        let clean = self.remains.iter().filter(|r| r.dirty.is_empty());
        changed.clean = clean.map(|r| r.replica.clone()).collect();
        self.remains.retain(|r| !r.dirty.is_empty());
    }

    fn all_out(&self, now: Now) -> BTreeMap<String, Out> {
        let of = |card: &Card| {
            let verdict = card.facts.verdict();
            let open = self.records.get(&card.uuid).filter(|r| is_open(r, now.wall));
            let overdue = self.remains.iter().filter(|r| r.is_overdue(now.mono)).find_map(|r| {
                let mine = r.dirty.iter().find(|(uuid, _)| card.uuid == **uuid || card.slice(uuid).is_some())?;
                Some(format!("it is not clean after {} s: {}", super::gate::LIMIT.as_secs(), mine.1))
            });
            match (verdict, open, overdue) {
                (Verdict::Lost(reason), _, _) => Some(Out { reason, lost: true }),
                (Verdict::Sick(reason), _, _) => Some(Out { reason, lost: false }),
                (_, Some(record), _) => Some(Out { reason: record.reason.clone(), lost: false }),
                (_, None, Some(reason)) => Some(Out { reason, lost: false }),
                (Verdict::Well | Verdict::Worn(_), None, None) => None,
            }
        };
        self.inventory.cards.iter().filter_map(|card| Some((card.uuid.clone(), of(card)?))).collect()
    }
}

/// Whether a breaker is open; a wall clock that was set back keeps none open for longer than its longest span.
fn is_open(record: &CardRecord, now: Wall) -> bool {
    let left = record.open_until.0.saturating_sub(now.0);
    left > 0 && left <= u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX)
}

/// Whose live run this cgroup belongs to, among these.
pub fn owner_of<'a>(runs: impl Iterator<Item = (&'a ReplicaId, &'a str)>, cgroup: &str) -> Option<ReplicaId> {
    let mut mine = runs.filter(|(_, of)| is_within(cgroup, of));
    mine.next().map(|(id, _)| id.clone())
}
