//! `[worker.metrics]`: what a worker says of itself, and how much of it is kept.

use std::collections::BTreeMap;
use std::time::Duration;

/// `[worker.metrics]` (MET-05 to MET-17).
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerMetrics {
    /// Where its own page is read, templates not yet replaced. `None`: it has none.
    pub scrape: Option<String>,
    /// From one reading to the next.
    pub period: Duration,
    /// A reading that takes longer has failed; never longer than the period.
    pub timeout: Duration,
    /// Globs of the families that are kept; empty: all.
    pub allow: Vec<String>,
    /// Series of one replica at most; `None`: as the node says.
    pub max_series: Option<u32>,
    /// Names of DogStatsD tags that become labels; the others are dropped.
    pub labels: Vec<String>,
    /// Upper bounds of histograms made from DogStatsD, by the name that is sent.
    pub buckets: BTreeMap<String, Vec<f64>>,
    /// Whether each replica is given a DogStatsD socket.
    pub statsd: bool,
    /// Whether each run is given an empty folder for the multiprocess mode of Python's client library.
    pub multiprocess: bool,
}

/// Labels that are kept of DogStatsD tags unless the definition says otherwise: those of the documented metrics
/// (MET-17).
pub const LABELS: &[&str] =
    &["algorithm", "cluster", "complexity", "direction", "kind", "message_type", "outcome", "transport"];

impl Default for WorkerMetrics {
    fn default() -> Self {
        Self {
            scrape: None,
            period: Duration::from_secs(15),
            timeout: Duration::from_secs(5),
            allow: Vec::new(),
            max_series: None,
            labels: LABELS.iter().map(|label| (*label).to_owned()).collect(),
            buckets: BTreeMap::new(),
            statsd: true,
            multiprocess: true,
        }
    }
}
