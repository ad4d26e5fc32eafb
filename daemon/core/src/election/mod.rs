//! The election of a leader among the voters of a fleet, over a network that loses, doubles, delays and reorders.
//!
//! Raft's votes (Ongaro, "Consensus: Bridging Theory and Practice", 2014) over one small versioned document instead of
//! a log. One voter writes a version, a majority has it on disk, it is committed.
//!
//! ```text
//!                     no leader heard                    a majority would
//!   ┌──────────► Follower ───────────► PreCandidate ───────────────────► Candidate
//!   │   newer      │  ▲ ▲               │ asks again ┐                    │  │
//!   │ document     │  │ └───────────────┴────────────┘◄── nobody elected ─┘  │ a majority has
//!   │ names it     │  │      a beat, a newer term                            ▼ voted
//!   ▼              │  └──────────────────────────────────────────────────── Leader
//! Observer ◄───────┘    newer term · no majority answers · handed over
//!
//! Silent: from anywhere, when a write fails, for the rest of this life; or when the voter file is not the one the fleet
//! knows, until a newer document knows it.
//! ```
//!
//! What holds, whatever the network does:
//! - at most one leader a term, as a vote is on the disk before it leaves, and there is one a term (I1);
//! - at most one holder of a lease at any instant, as voters are sticky for longer than a lease lasts, counted from
//!   before the beat left, by clocks that differ by less than 5 % and go on in suspend (I2);
//! - committed versions form one line, as a candidate needs a majority that has nothing newer, and a leader commits only
//!   what it wrote itself (I3);
//! - terms only grow (I4).
//!
//! The first leader of a fleet needs the votes of all voters; from then on the file of each is known by its seat, and the
//! votes of one that comes without it do not count ([`Seat`]). What this cannot see for long: an old image of a disk put
//! back, which each start makes look newer. What it cannot see at all: a fleet founded a second time by nodes that are new
//! or have lost their files, together with a voter that was away since before the first version was committed.

mod ballot;
mod ids;
mod member;
mod message;
mod plant;
mod table;
mod timing;

pub use ballot::Ballot;
pub use ids::{Boot, Mark, NodeName, NodeNameError, Seat, Term, Ver};
pub use member::{Cause, Effect, Event, HandOverError, Member, ProposeError, Told, View};
pub use message::{Message, Sender};
pub use plant::Plant;
pub use table::{Act, Kind, Role, act};
pub use timing::{Timing, TimingError};
