//! The fleet: what nodes share, and what they want of each other.
//!
//! ```text
//!  a node that wants a slot              brokers                    the leader
//!  ┌───────────┐ ask, again until     ┌───────────┐         ┌────────────────────────┐
//!  │ errands   ├──── answered ───────►│           ├────────►│ desk: queue, budgets   │
//!  │ held slots│◄─── answer ──────────┤           │◄────────┤   │ one change           │
//!  └───────────┘                      │           │         │   ▼                    │
//!   report, presence ────────────────►│           ├────────►│ roster: who is alive   │
//!                                     │           │         │ member: the election,  │
//!   beacon ◄──────────────────────────┤           │◄────────┤   the document         │
//!                                     └───────────┘         └────────────────────────┘
//! ```
//! Every node has all of this; what it does follows from its role. [`Fleet`] joins the parts.

pub mod broker;
mod change;
mod command;
mod dedup;
mod desk;
mod document;
mod errand;
mod machine;
mod node;
mod past;
mod plant;
mod policy;
mod roster;
mod slot;
mod status;
mod talk;

pub use command::FleetCommand;
pub use document::{Bound, Document, VoterChange, VoterChangeError};
pub use errand::{HeldRecord, NodeFile};
pub use machine::{Fleet, Found, Input, Output, Start};
pub use node::{GpuReport, NodeReport, NodeState, WorkerReport};
pub use plant::FleetPlant;
pub use policy::{Amount, DEFAULT_POOL, Group, SlotPolicy, Wanted, Window};
pub use slot::{Slot, SlotId, SlotIdError};
pub use status::{BrokerStatus, FleetStatus, FleetTallies, Happened, LinkCounters, NodeEntry, SlotStatus};
pub use talk::{Answer, Ask, Beacon, Presence, Said, Talk, To, Want};
