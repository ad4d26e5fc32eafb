//! The link to the brokers: the one door to rumqttc. It moves bytes and interprets none.
//!
//! ```text
//!               publish()                       Connected, Lost, Message
//! the loop ───────────────► Line ◄────────────── poller ◄──── rumqttc ◄──── broker
//!                            │   outbox, news       ▲
//!                            └────────────────── keeper    one of each per broker
//! ```
//!
//! - `link`: [`Links`], the handle; a broker's **keeper** tries again, watches and reports what waits to be reported.
//! - `poller`: a broker's **poller** polls rumqttc in a task of its own and does nothing else, since a poll must not
//!   be raced against anything. What it hears it writes to the `line`.
//! - `line`: what loop, keeper and poller share of one broker, behind a lock that is never held across an await.
//! - `outbox`: what waits to be sent: bounded, the oldest goes first. `news`: what waits to be told.
//! - `retry`: spans between tries. `reason`: rumqttc's errors in words for people.
//! - `options`, `login`: what it is told at the start.
//! - `topics`, `wire`: how what the fleet says looks on its way; the link itself knows neither.
//!
//! **Each connection gets an event loop of its own.** rumqttc keeps requests of the former connection, keeps a
//! collision of packet ids for ever, and cannot be pulled out of a poll that hangs; a new one has none of that. So
//! what was queued at a loss is lost, and counted.
//!
//! **The outbox is ours, rumqttc's request channel is not used as one.** That channel cannot give back its oldest entry,
//! so it is kept at a few places and refilled, from the outbox, by whoever publishes and after each event of the poller.
//! Nobody ever waits for it.
//!
//! **Connected** is told when the broker has granted the subscriptions (or a message has come by one of them). A
//! broker that refuses one of them is left again, politely, so that no will is published, and says so as the reason of
//! **Lost**.
//!
//! **Silence.** rumqttc pings at each keep-alive and gives up when the next one is due without an answer. The keeper
//! does the same from outside the poller, by counted ticks, so that a pause of this process is not held against the
//! broker.

mod line;
mod link;
mod login;
mod news;
mod options;
mod outbox;
mod poller;
mod reason;
mod retry;
mod topics;
mod wire;

pub use link::Links;
pub use login::Login;
pub use options::Options;
pub use topics::{Home, Route};
pub use wire::{Wrong, decode, encode};

use std::fmt::Debug;

/// The largest payload that is published; a larger one is refused.
pub const PAYLOAD_MOST: usize = 128 * 1024;

/// Something to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Where; without wildcards.
    pub topic: String,
    /// What, at most [`PAYLOAD_MOST`] (a will: 65,535 bytes).
    pub payload: Vec<u8>,
    /// Whether the broker keeps it for those who subscribe later.
    pub retain: bool,
    /// Sent at QoS 1, else at 0.
    pub acknowledged: bool,
}

/// What a link tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The broker of this index is there and has granted the subscriptions. Everything queued before is lost.
    Connected(usize),
    /// The broker of this index is not there, and why. Told once per reason; repeats are counted.
    Lost(usize, String),
    /// Something came by a subscription.
    Message {
        /// Index of the broker.
        broker: usize,
        /// Where it was published.
        topic: String,
        /// What was published.
        payload: Vec<u8>,
        /// The broker had kept it; nobody knows for how long.
        retained: bool,
    },
}

/// To which brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Each that is connected.
    All,
    /// The first that is connected.
    First,
}

/// One broker as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerStatus {
    /// As configured.
    pub url: String,
    /// Whether it is connected.
    pub connected: bool,
    /// Why it is not; empty when it is.
    pub reason: String,
    /// Publications that were written to it.
    pub sent: u64,
    /// Messages that came from it.
    pub received: u64,
    /// Publications that were dropped unsent, and messages that the receiver of events had no room for.
    pub dropped: u64,
    /// Publications that were refused: too large, or to a topic that is none.
    pub refused: u64,
    /// Connections made.
    pub connects: u64,
    /// Connections lost and tries that failed.
    pub lost: u64,
}

/// A way to the brokers.
pub trait Link: Debug + Send {
    /// Never waits. What no broker takes now is dropped and counted: without a connection this one, with a full outbox
    /// the oldest of QoS 0 that waits there.
    fn publish(&mut self, to: To, publication: Publication);

    /// How each broker stands, in the order of the configuration.
    fn status(&self) -> Vec<BrokerStatus>;
}
