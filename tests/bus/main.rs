//! The D-Bus server against a played loop: every method, refusal, property and signal, peer to peer; and once on a
//! real bus with a played polkit.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod daemon;
mod fake;
mod fleet;
mod fleet_ctl;
mod matrix;
mod memory;
mod methods;
mod pid1;
mod private;
mod real;
mod reevectl;
mod signals;
mod xml;
