//! The pure decisions of Reeve.
//!
//! Everything that happens is an [`Event`], everything to be done is an [`Effect`]; [`Core`] turns one into the other.
//! There is no clock, no randomness of its own, no file, no network and no thread in here: time and a seed are handed
//! in, facts arrive as events, consequences leave as effects.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod config;
mod desired;
pub mod effect;
pub mod election;
mod engine;
pub mod event;
pub mod exit;
pub mod fleet;
pub mod glob;
pub mod gpu;
pub mod ids;
pub mod limits;
pub mod metrics;
pub mod notice;
pub mod persist;
mod plan;
pub mod replica;
pub mod restart;
pub mod rng;
pub mod status;
pub mod time;
mod timers;

pub use config::Config;
pub use effect::{Accepted, Effect, HookAction, Refusal, RefusalKind, RunSpec};
pub use engine::{Core, Site};
pub use event::{
    Applied, Command, CommandRequest, Event, Found, HookKind, LauncherEvent, Notification, ProbeKind, Standing,
};
pub use exit::{Cause, ExitInfo, ExitRecord, ExitStatus};
pub use ids::{CommandId, OperationId, ReplicaId, RunId, StartToken, Target, TeamName, WorkerName};
pub use notice::{Kind, Level, Notice};
pub use persist::{NodeRecord, Restored, RunEntry};
pub use status::Snapshot;
pub use time::{Deadline, Mono, Now, Wall};
