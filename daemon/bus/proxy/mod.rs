//! Asking `org.reeve.Node1`: what `reevectl` and tests speak. No zbus type leaves this folder.
//!
//! - `traits`: the interfaces as the control note fixes them, interactive authorisation allowed on every call.
//! - [`connect`]: where the daemon is, and how to get there.
//! - [`client`]: one plain function per method.
//! - [`watch`]: following a task run to its end, and the stream of events.
//! - [`fleet`]: the same of the fleet.
//! - [`records`]: what comes back, as plain data; a missing key is an absent value, never an error.

pub mod client;
pub mod connect;
mod convert;
pub mod error;
pub mod fleet;
pub mod records;
mod traits;
pub mod watch;

pub use client::{Client, Options};
pub use connect::Place;
pub use error::CallError;
pub use records::{
    AuditEntry, ConfigMark, EventEntry, Gpu, Gpus, NodeState, PlanLine, Replica, ReplicaExit, Run, Series, TaskRun,
    Worker,
};

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
