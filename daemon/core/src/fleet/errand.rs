//! What this node wants of the leader: asked again until it is answered; and the slots it holds.

use super::slot::SlotId;
use super::talk::{Ask, Want};
use crate::election::{Term, Ver};
use crate::ids::OperationId;
use crate::rng::Rng;
use crate::time::Mono;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two tries, while nobody answers.
const RETRY: Duration = Duration::from_secs(1);
/// Between two questions whether it is this node's turn.
const POLL: Duration = Duration::from_secs(5);

/// A slot that was asked for, on this node's disk before the ask leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRecord {
    /// What for.
    pub kind: String,
    /// Who asked, and why.
    pub reason: String,
    /// What granted it; `None`: it is not known to be granted.
    pub fence: Option<Ver>,
}

/// What each node keeps on its disk of the fleet: `fleet.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeFile {
    /// The highest term a leader was heard of in: answers of older ones are dropped (I4).
    pub term: Term,
    /// Slots that it holds or has asked for.
    pub held: BTreeMap<SlotId, HeldRecord>,
}

/// Something that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Errand {
    /// Who waits for it.
    pub op: Option<OperationId>,
    pub want: Want,
    pub reason: String,
    first: Mono,
    nonce: u64,
    /// When this nonce first left.
    sent: Option<Mono>,
    /// The nonce before, and when it left: a grant may come for it while this one is not due yet.
    before: Option<(u64, Mono)>,
    next: Mono,
}

impl Errand {
    fn has(&self, nonce: u64) -> bool {
        self.nonce == nonce || self.before.is_some_and(|(before, _)| before == nonce)
    }
}

/// All of it, and until when the slots of this life are held.
#[derive(Debug, Clone)]
pub(super) struct Errands {
    list: Vec<Errand>,
    /// From this node's own ask, in this life of its daemon (I6).
    pub until: BTreeMap<SlotId, Mono>,
    rng: Rng,
}

impl Errands {
    pub(super) fn new(seed: u64) -> Self {
        Self { list: Vec::new(), until: BTreeMap::new(), rng: Rng::new(seed) }
    }

    /// One more.
    pub(super) fn add(&mut self, op: Option<OperationId>, want: Want, reason: String, now: Mono) {
        let nonce = self.rng.next_u64();
        self.list.push(Errand { op, want, reason, first: now, nonce, sent: None, before: None, next: now });
    }

    /// All of it.
    pub(super) fn list(&self) -> &[Errand] {
        &self.list
    }

    /// Nobody waits for it any more.
    pub(super) fn cancel(&mut self, op: OperationId) -> Option<Errand> {
        let place = self.list.iter().position(|errand| errand.op == Some(op))?;
        Some(self.list.remove(place))
    }

    /// Nothing more is wanted about this slot.
    pub(super) fn drop_asks_for(&mut self, id: &SlotId) -> Vec<Errand> {
        let asks = |errand: &mut Errand| matches!(&errand.want, Want::Slot { id: asked, .. } | Want::Keep(asked) if asked == id);
        self.list.extract_if(.., asks).collect()
    }

    /// There is a new leader, or the way to it is open again: everybody asks at once.
    pub(super) fn hurry(&mut self, now: Mono) {
        self.list.iter_mut().for_each(|errand| errand.next = now);
    }

    /// When the next is due.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.list.iter().map(|errand| errand.next).min()
    }

    /// What is to be asked now.
    pub(super) fn due(&mut self, now: Mono) -> Vec<Ask> {
        let mut asks = Vec::new();
        for errand in self.list.iter_mut().filter(|errand| errand.next <= now) {
            errand.sent.get_or_insert(now);
            errand.next = now + self.rng.jitter(RETRY);
            asks.push(Ask {
                nonce: errand.nonce,
                waited: now.since(errand.first),
                want: errand.want.clone(),
                reason: errand.reason.clone(),
            });
        }
        asks
    }

    /// The errand that was asked with this nonce, and when it first left.
    pub(super) fn asked(&self, nonce: u64) -> Option<(&Errand, Mono)> {
        let errand = self.list.iter().find(|errand| errand.has(nonce))?;
        let before = errand.before.filter(|(n, _)| *n == nonce).map(|(_, sent)| sent);
        Some((errand, before.or(errand.sent)?))
    }

    /// It has its answer.
    pub(super) fn done(&mut self, nonce: u64) -> Option<Errand> {
        let place = self.list.iter().position(|errand| errand.has(nonce))?;
        Some(self.list.remove(place))
    }

    /// The answer came too late: it asks again at once.
    pub(super) fn anew(&mut self, nonce: u64, now: Mono) {
        let fresh = self.rng.next_u64();
        if let Some(errand) = self.list.iter_mut().find(|errand| errand.has(nonce)) {
            (errand.nonce, errand.sent, errand.before, errand.next) = (fresh, None, None, now);
        }
    }

    /// Not yet: it asks again by and by, with a new nonce, so that a grant counts from then.
    pub(super) fn waits(&mut self, nonce: u64, now: Mono) {
        let fresh = self.rng.next_u64();
        if let Some(errand) = self.list.iter_mut().find(|errand| errand.nonce == nonce) {
            errand.before = errand.sent.map(|sent| (nonce, sent));
            errand.nonce = fresh;
            errand.sent = None;
            errand.next = now + self.rng.jitter(POLL);
        }
    }
}
