//! The loop: the only owner of state.
//!
//! ```text
//! launcher events ─┐
//! probe answers ───┤              ┌─► launcher, prober, notify, store, journal      (effects)
//! bus requests ────┼─► turn ─► Core
//! boot-clock timer ┤              └─► snapshot (watch), entries (broadcast), STATUS=, WATCHDOG=1
//! brokers, files ───┤
//! signals ─────────┘
//! ```
//!
//! One task, one thread. [`run`] waits and turns; [`effects`] carries out; [`requests`] answers the bus; [`setup`] joins
//! the parts; nothing here decides anything about a worker.

pub mod args;
mod effects;
mod fleet;
mod gpu;
pub mod handle;
mod logs;
mod metrics;
mod report;
mod requests;
mod run;
mod setup;
mod trail;

pub use setup::reeved_main;
