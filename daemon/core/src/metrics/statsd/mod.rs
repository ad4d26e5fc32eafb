//! DogStatsD: what workers send to their socket, read and added up (MET-05 to MET-17).
//!
//! ```text
//! datagram ─lines─► parse ─Message─► names ─family, labels─► Aggregator ──► Foreign
//!                     └── Refused, counted by reason ──────────┘
//! ```
//!
//! Nothing here grows with what is sent: series, values of a set and names are bounded, the rest is counted and
//! forgotten.

mod aggregate;
mod cell;
mod names;
mod parse;

pub use aggregate::{Aggregator, Rules};
pub use names::DEFAULT_BOUNDS;
pub use parse::{Message, Refused, Type, parse};

#[cfg(test)]
mod tests;
