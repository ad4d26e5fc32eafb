//! Reeve's shell: everything that touches the world. Decisions live in `reeve-core`.
//!
//! - [`app`]: the one loop that owns the state; carries effects out, turns the world into events.
//! - [`host`]: this machine: clock, files, processes, systemd, journal, notify sockets.
//! - [`sources`]: reading this machine for the metrics.
//! - [`bus`]: the only door to D-Bus, for serving and for asking.
//! - [`export`]: the scrape endpoint and the textfile, on a thread of their own.
//! - [`intake`]: what workers say of themselves in numbers, on a thread of its own.
//! - [`mqtt`]: the only door to the brokers of a fleet; moves bytes.
//! - [`ctl`]: `reevectl`, which knows only the bus.

pub mod app;
pub mod bus;
pub mod ctl;
pub mod export;
pub mod host;
pub mod intake;
pub mod mqtt;
pub mod sources;
