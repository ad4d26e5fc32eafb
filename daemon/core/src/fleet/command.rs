//! What people ask of the fleet. Each goes on as a task run until it is done, refused or cancelled.

use super::slot::SlotId;
use crate::election::NodeName;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetCommand {
    /// A slot, please: permission to be disruptive. Done when it is granted.
    Ask {
        /// What for: names the budget, `[fleet.slots.KIND]`.
        kind: String,
    },
    /// The work is done.
    Release {
        /// Which.
        slot: SlotId,
        /// The check after the work has failed: the slot is not given on, it turns suspect.
        failed: bool,
    },
    /// Whoever holds it: it is free again. For a slot whose holder will not come back.
    Break(SlotId),
    /// No new slots until `Unfreeze`.
    Freeze,
    /// Slots again.
    Unfreeze,
    /// Another voter shall lead: this one, or the best.
    HandOver(Option<NodeName>),
    /// This observer becomes a voter. `force`: without the others, in a new epoch, as the only voter.
    Promote {
        /// The majority is lost for good.
        force: bool,
    },
    /// This voter becomes an observer.
    Demote(NodeName),
    /// This node has lost its voter file: it becomes a new voter of its name.
    Rejoin,
    /// The majority is lost for good: this voter goes on alone, in a new epoch that old tokens lose to.
    Recover,
}

impl FleetCommand {
    /// What a task run is called.
    pub fn what(&self) -> String {
        match self {
            FleetCommand::Ask { kind } => format!("ask for a {kind} slot"),
            FleetCommand::Release { slot, failed: false } => format!("release slot {slot}"),
            FleetCommand::Release { slot, failed: true } => format!("give up slot {slot} as failed"),
            FleetCommand::Break(slot) => format!("break slot {slot}"),
            FleetCommand::Freeze => "freeze slots".to_owned(),
            FleetCommand::Unfreeze => "unfreeze slots".to_owned(),
            FleetCommand::HandOver(None) => "hand over".to_owned(),
            FleetCommand::HandOver(Some(node)) => format!("hand over to {node}"),
            FleetCommand::Promote { force: false } => "promote this node to a voter".to_owned(),
            FleetCommand::Promote { force: true } => "promote this node to the only voter".to_owned(),
            FleetCommand::Demote(node) => format!("make {node} an observer"),
            FleetCommand::Rejoin => "rejoin as a voter".to_owned(),
            FleetCommand::Recover => "recover the fleet with this voter alone".to_owned(),
        }
    }
}
