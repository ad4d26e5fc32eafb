//! Whole fleets from outside: each node is a `reeved --root` process of its own, between them a real mosquitto, and all
//! that is known of them is what `reevectl` says. Nodes are killed, stopped and cut off; brokers as well.
//!
//! Every node runs two workers that note each of their starts, and each test ends with a look at them: whatever befalls
//! the fleet, nobody's worker is touched. Workers of the direct launcher end with their `reeved`, by design, so on a
//! node whose `reeved` was killed this says that there was one start a life at most.
//!
//! Nothing here sleeps to let time pass: [`poll`] asks until it is so, with a generous deadline.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

#[path = "../mqtt/broker.rs"]
#[expect(dead_code, reason = "shared with the tests of the link, which use more of it")]
mod broker;
#[path = "../mqtt/certificates.rs"]
mod certificates;
#[path = "../mqtt/proxy.rs"]
mod proxy;

mod fleet;
mod node;
mod poll;
mod says;

mod brokers;
mod elects;
mod files;
mod kills;
mod moves;
mod namespaces;
mod network;
mod pause;
mod secure;
mod slots;
