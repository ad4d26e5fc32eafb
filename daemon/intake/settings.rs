//! From a definition to how one replica's numbers are kept.

use super::replica::Shown;
use crate::host::paths::Paths;
use reeve_core::ReplicaId;
use reeve_core::config::{Config, TemplateValues, Until, expand};
use reeve_core::metrics::Habits;
use reeve_core::metrics::statsd::Rules;
use std::collections::BTreeSet;
use std::time::Duration;

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) habits: Habits,
    /// Templates not yet replaced; `None`: it has no page.
    scrape: Option<String>,
    pub(super) timeout: Duration,
    /// CPUs that it may use; 1 when that is not said.
    pub(super) cpus: f64,
}

impl Settings {
    /// `None`: the worker is not defined any more.
    pub(super) fn of(config: &Config, replica: &ReplicaId) -> Option<Self> {
        let worker = config.workers.get(&replica.worker)?;
        let metrics = &worker.metrics;
        let watched = match worker.drain.as_ref().map(|drain| &drain.until) {
            Some(Until::Metric { name, .. }) => BTreeSet::from([name.clone()]),
            _ => BTreeSet::new(),
        };
        let role = worker.role.clone().unwrap_or_default();
        let habits = Habits {
            who: [replica.worker.to_string(), replica.index.to_string(), role],
            period: metrics.period,
            allow: metrics.allow.clone(),
            statsd: Rules {
                labels: metrics.labels.clone(),
                buckets: metrics.buckets.clone(),
                max_series: metrics.max_series.unwrap_or(config.metrics.max_worker_series) as usize,
            },
            watched,
        };
        let hundredths = worker.resources.cpu_limit.or(worker.resources.cpu_request).unwrap_or(100);
        #[expect(clippy::cast_precision_loss, reason = "hundredths of a CPU")]
        let cpus = hundredths.max(1) as f64 / 100.0;
        Some(Self { habits, scrape: metrics.scrape.clone(), timeout: metrics.timeout, cpus })
    }

    /// Where the replica's page is.
    pub(super) fn url(&self, replica: &ReplicaId, shown: &Shown, paths: &Paths) -> Option<String> {
        let values = TemplateValues {
            worker: replica.worker.to_string(),
            replica: replica.index,
            port: shown.port,
            runtime_dir: paths.runtime_dir(replica).to_string_lossy().into_owned(),
            gpus: shown.gpus.clone(),
        };
        self.scrape.as_ref().map(|text| expand(text, &values))
    }
}
