//! What the fleet shares: one small document, replicated by the election.

mod document;

pub use document::{Bound, Document, VoterChange, VoterChangeError};
