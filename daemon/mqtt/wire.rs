//! How what the fleet says looks on its way: JSON, in one envelope. Unknown fields are passed over, so that a fleet can be
//! upgraded node by node; an unknown kind, another version or a doubtful sender is dropped by name.

mod convert;

use super::topics::Home;
use convert::Body;
use reeve_core::election::{Boot, NodeName, Seat, Sender};
use reeve_core::fleet::Talk;
use serde::{Deserialize, Serialize};

/// Version of the protocol. Another one is not understood.
const VERSION: u32 = 1;

/// Around everything that is said.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope {
    v: u32,
    fleet: String,
    node: NodeName,
    seat: u64,
    boot: u64,
    seq: u64,
    say: Body,
}

/// What is told of one that cannot be read: it may be of another version, or of others.
#[derive(Debug, Deserialize)]
struct Outside {
    v: u32,
    fleet: String,
    node: String,
}

/// Why a message is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Larger than anything a node says.
    #[error("too-large")]
    TooLarge,
    /// No topic of ours.
    #[error("topic")]
    Topic,
    /// It cannot be read.
    #[error("malformed")]
    Malformed,
    /// Of a protocol that is not ours.
    #[error("version")]
    Version,
    /// Of another fleet.
    #[error("other-fleet")]
    OtherFleet,
    /// The payload names another sender than the topic.
    #[error("sender")]
    Sender,
}

impl Wrong {
    /// As it is counted.
    pub fn word(self) -> &'static str {
        match self {
            Wrong::TooLarge => "too-large",
            Wrong::Topic => "topic",
            Wrong::Malformed => "malformed",
            Wrong::Version => "version",
            Wrong::OtherFleet => "other-fleet",
            Wrong::Sender => "sender",
        }
    }
}

/// A payload. `seq` counts the messages of this life.
pub fn encode(fleet: &str, sender: &Sender, seq: u64, talk: &Talk) -> Vec<u8> {
    let envelope = Envelope {
        v: VERSION,
        fleet: fleet.to_owned(),
        node: sender.node.clone(),
        seat: sender.seat.0,
        boot: sender.boot.0,
        seq,
        say: Body::from(talk),
    };
    // Maps have text as keys and no number is out of the ordinary, so that it cannot fail; nothing would be dropped.
    serde_json::to_vec(&envelope).unwrap_or_default()
}

/// Reads what has come on a topic.
///
/// # Errors
/// Why it is dropped.
pub fn decode(home: &Home, topic: &str, payload: &[u8]) -> Result<(Sender, u64, Talk), Wrong> {
    if payload.len() > super::PAYLOAD_MOST {
        return Err(Wrong::TooLarge);
    }
    let (class, writer) = home.read(topic).ok_or(Wrong::Topic)?;
    let known = |v: u32, fleet: &str, node: &str| match () {
        () if v != VERSION => Err(Wrong::Version),
        () if fleet != home.fleet() => Err(Wrong::OtherFleet),
        () if node != writer => Err(Wrong::Sender),
        () => Ok(()),
    };
    let Ok(envelope) = serde_json::from_slice::<Envelope>(payload) else {
        let outside: Outside = serde_json::from_slice(payload).map_err(|_| Wrong::Malformed)?;
        known(outside.v, &outside.fleet, &outside.node)?;
        return Err(Wrong::Malformed);
    };
    known(envelope.v, &envelope.fleet, envelope.node.as_str())?;
    let talk = Talk::from(envelope.say);
    if !class.carries(&talk) {
        return Err(Wrong::Topic);
    }
    let sender = Sender { node: envelope.node, seat: Seat(envelope.seat), boot: Boot(envelope.boot) };
    Ok((sender, envelope.seq, talk))
}

#[cfg(test)]
mod tests;
