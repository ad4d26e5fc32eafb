//! The link to the brokers against a real one: Debian's mosquitto as a child process, with certificates made on the
//! spot, and a proxy between that plays a bad network. Nothing here sleeps to let time pass: each test waits for what
//! has to happen, with a generous deadline.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod broker;
mod certificates;
mod life;
mod login;
mod proxy;
mod raw;
mod rig;
mod trouble;
