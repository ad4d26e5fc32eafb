//! GPUs: what there is, how it is, who gets it (SUP-05, MET-21).
//!
//! ```text
//! source ──Event::Gpus(Inventory)──► health: is each card well? ──► books: breakers of cards
//!                                                                      │
//!        start of a replica ──► place: which cards ──► gate: are they clean? ──► launch
//! ```
//!
//! Cards and slices are known by their UUID: numbers move. A card is given to one replica as a whole, a MIG slice
//! likewise; nothing is shared.

pub mod books;
pub mod gate;
pub mod health;
pub mod inventory;
pub mod place;

pub use health::{Facts, Verdict};
pub use inventory::{Card, Hold, Inventory, Process, Slice, Way};

#[cfg(test)]
mod tests;
