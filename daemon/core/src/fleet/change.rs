//! Changes of the document, one by one.

use super::document::{Document, VoterChange};
use super::slot::{Slot, SlotId};
use crate::election::Ver;
use std::sync::Arc;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// A slot is given.
    Grant(SlotId, Slot),
    /// Its holder has given it back.
    Release(SlotId),
    /// It is taken from whoever held it; why.
    Break(SlotId, String),
    /// Nobody knows how its node is; why.
    Suspect(SlotId, String),
    /// Its holder has asked again: it is held.
    Trust(SlotId),
    /// No new slots, and why; or slots again.
    Freeze(Option<String>),
    /// Who elects.
    Voters(VoterChange),
}

impl Change {
    /// The slot it is about.
    pub(super) fn slot(&self) -> Option<&SlotId> {
        match self {
            Change::Grant(id, _)
            | Change::Release(id)
            | Change::Break(id, _)
            | Change::Suspect(id, _)
            | Change::Trust(id) => Some(id),
            Change::Freeze(_) | Change::Voters(_) => None,
        }
    }

    /// A word for it.
    pub(super) fn cause(&self) -> &'static str {
        match self {
            Change::Grant(..) => "granted",
            Change::Release(_) => "released",
            Change::Break(..) => "broken",
            Change::Suspect(..) => "suspect",
            Change::Trust(_) => "held again",
            Change::Freeze(Some(_)) => "frozen",
            Change::Freeze(None) => "unfrozen",
            Change::Voters(VoterChange::Add(..)) => "voter added",
            Change::Voters(VoterChange::Remove(_)) => "voter removed",
        }
    }

    /// A sentence for it.
    pub(super) fn text(&self) -> String {
        match self {
            Change::Grant(id, slot) if slot.reason.is_empty() => format!("{id} is granted for {}", slot.kind),
            Change::Grant(id, slot) => format!("{id} is granted for {}: {}", slot.kind, slot.reason),
            Change::Release(id) => format!("{id} is released"),
            Change::Break(id, why) => format!("{id} is {why}"),
            Change::Suspect(id, why) => format!("{id} is suspect: {why}; it counts until it is released or broken"),
            Change::Trust(id) => format!("{id} is held again: its holder has asked for it"),
            Change::Freeze(Some(why)) => format!("no new slots: {why}"),
            Change::Freeze(None) => "slots are granted again".to_owned(),
            Change::Voters(VoterChange::Add(node, _)) => format!("{node} is a voter now"),
            Change::Voters(VoterChange::Remove(node)) => format!("{node} is no voter any more"),
        }
    }
}

/// The document with a change. `fence` is the version that brings it. Changes of voters are the election's.
pub(super) fn apply(document: &mut Document, change: &Change, fence: Ver) {
    match change {
        Change::Grant(id, slot) => {
            let slot = Slot { fence, ..slot.clone() };
            Arc::make_mut(&mut document.slots).insert(id.clone(), slot);
        }
        Change::Release(id) | Change::Break(id, _) => {
            Arc::make_mut(&mut document.slots).remove(id);
        }
        Change::Suspect(id, why) => {
            if let Some(slot) = Arc::make_mut(&mut document.slots).get_mut(id) {
                slot.suspect = Some(why.clone());
            }
        }
        Change::Trust(id) => {
            if let Some(slot) = Arc::make_mut(&mut document.slots).get_mut(id) {
                slot.suspect = None;
            }
        }
        Change::Freeze(why) => document.frozen.clone_from(why),
        Change::Voters(_) => {}
    }
}
