//! Slots: permission to be disruptive, for a time, given by the fleet (MNT-09).
//!
//! ```text
//!   asked ──► queued ──► granted ──────► (released: gone)
//!                           │  ▲             ▲
//!      its time is over, or │  │ its holder  │ released by its holder,
//!  the work's check failed  ▼  │ asks again  │ or broken by a person or by `break_after`
//!                        suspect ────────────┘
//! ```
//! A suspect slot still counts: nobody knows what state its node is in.

use crate::election::{Boot, NodeName, Ver};
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A text that is no slot's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no slot's id; expected one such as gpu-07/12.1, as `reevectl fleet slots` lists them")]
pub struct SlotIdError(String);

/// A slot: whose it is, in which life of its daemon it was asked for, and a number. Rendered `gpu-07/12.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SlotId {
    /// Who asks.
    pub node: NodeName,
    /// Life of its daemon.
    pub boot: Boot,
    /// Counts from 1 in each.
    pub n: u32,
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}.{}", self.node, self.boot.0, self.n))
    }
}
impl FromStr for SlotId {
    type Err = SlotIdError;
    fn from_str(text: &str) -> Result<Self, SlotIdError> {
        let parse = || {
            let (node, rest) = text.split_once('/')?;
            let (boot, n) = rest.split_once('.')?;
            let id = SlotId { node: NodeName::new(node).ok()?, boot: Boot(boot.parse().ok()?), n: n.parse().ok()? };
            (id.to_string() == text).then_some(id)
        };
        parse().ok_or_else(|| SlotIdError(text.to_owned()))
    }
}
impl TryFrom<String> for SlotId {
    type Error = SlotIdError;
    fn try_from(text: String) -> Result<Self, SlotIdError> {
        text.parse()
    }
}
impl From<SlotId> for String {
    fn from(id: SlotId) -> String {
        id.to_string()
    }
}

/// A slot in the document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// What it is for.
    pub kind: String,
    /// The budget it counts in: a section of `[fleet.slots]`.
    pub pool: String,
    /// Value of the label that shares a budget; empty: the whole fleet does.
    pub group: String,
    /// Why it was asked for.
    pub reason: String,
    /// The version that granted it: orders grants, and a resource that has seen one refuses every smaller.
    pub fence: Ver,
    /// When it was granted, by the leader's clock: for showing.
    pub since: Wall,
    /// How long it lasts, from the holder's own ask.
    pub ttl: Duration,
    /// Why it is suspect, with the time; `None`: it is granted.
    pub suspect: Option<String>,
}
