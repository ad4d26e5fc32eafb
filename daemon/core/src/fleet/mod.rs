//! What the fleet shares: one small document, replicated by the election.

mod command;
mod document;
mod node;
mod slot;
mod status;

pub use command::FleetCommand;
pub use document::{Bound, Document, VoterChange, VoterChangeError};
pub use node::{GpuReport, NodeReport, NodeState, WorkerReport};
pub use slot::{Slot, SlotId, SlotIdError};
pub use status::{BrokerStatus, FleetStatus, FleetTallies, Happened, NodeEntry, SlotStatus};
