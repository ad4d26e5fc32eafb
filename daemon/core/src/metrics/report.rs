//! What a source hands to the loop.

use super::samples::Samples;
use crate::time::Mono;
use std::time::Duration;

/// One look at a source.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which source: `cpu`, `memory`, `filesystem`, `workers`, `gpu` …
    pub source: &'static str,
    /// When the look began; all its samples are of this instant.
    pub at: Mono,
    /// How long it took.
    pub took: Duration,
    /// Everything it saw, or why it saw nothing. Nothing to report is an empty set, not an error.
    pub outcome: Result<Samples, String>,
}
