//! The systemd launcher against a real PID 1. Needs root and a booted systemd, else every test says that it was skipped.
//!
//! One test at a time, since some of them restart the bus or PID 1 under all others.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "launcher_systemd/attach.rs"]
mod attach;
#[path = "launcher_systemd/confine.rs"]
mod confine;
#[path = "launcher_systemd/controllers.rs"]
mod controllers;
#[path = "launcher_systemd/life.rs"]
mod life;
#[path = "launcher_systemd/rig.rs"]
mod rig;
#[path = "launcher_systemd/speed.rs"]
mod speed;
