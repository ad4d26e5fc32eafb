//! All that is known at one instant, immutable: the board hands it out, whoever writes a page reads it.

use super::families::daemon as own;
use super::foreign::{Foreign, as_number};
use super::labels::Labels;
use super::samples::Samples;
use super::selection::Selection;
use super::text::Page;
use crate::ids::ReplicaId;
use crate::time::{Mono, Wall};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The newest samples of each source, of each worker, and what is known of the sources themselves.
#[derive(Debug, Clone, Default)]
pub struct Exposition {
    pub(super) sources: BTreeMap<&'static str, Source>,
    pub(super) workers: BTreeMap<ReplicaId, Theirs>,
    pub(super) dropped: BTreeMap<&'static str, u64>,
    pub(super) pings: u64,
}

/// One source.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The last good samples.
    pub(super) samples: Option<Arc<Samples>>,
    /// When the last report came.
    pub(super) heard: Mono,
    /// When the last good one came.
    pub(super) good: Option<(Mono, Wall)>,
    /// How far apart its reports are; `None`: it reports when it has something to say.
    pub(super) period: Option<Duration>,
    /// How long the last look took.
    pub(super) took: Duration,
    /// Whether it worked.
    pub(super) success: bool,
}

/// What a worker says of itself.
#[derive(Debug, Clone)]
pub(super) struct Theirs {
    pub(super) foreign: Arc<Foreign>,
    pub(super) heard: Mono,
    pub(super) period: Duration,
}

/// Periods that may be missed before series end (HLT-03: a gap, never an invention).
const MISSED: u32 = 2;

impl Source {
    /// A source that has not been heard of for two periods is late.
    fn late(&self, now: Mono) -> bool {
        self.period.is_some_and(|period| now.since(self.heard) >= period * MISSED)
    }

    /// Its samples, while they are true.
    fn current(&self, now: Mono) -> Option<&Samples> {
        let (good, _) = self.good?;
        let old = self.period.is_some_and(|period| now.since(good) >= period * MISSED);
        self.samples.as_deref().filter(|_| !old)
    }
}

impl Theirs {
    fn current(&self, now: Mono) -> bool {
        now.since(self.heard) < self.period * MISSED
    }
}

/// The name under which what workers say of themselves is asked for.
pub const OF_WORKERS: &str = "workers-own";

impl Exposition {
    /// What is known of the sources, the caps and the watchdog.
    pub fn about(&self, now: Mono) -> Samples {
        let mut out = Samples::new();
        for (name, source) in &self.sources {
            let labels = Labels::new(&[("source", name)]);
            let well = source.success && !source.late(now);
            out.put_with(&own::SOURCE_DURATION, &labels, source.took.as_secs_f64());
            out.put_with(&own::SOURCE_SUCCESS, &labels, f64::from(u8::from(well)));
            let last = source.good.map(|(_, wall)| as_number(wall.0) / 1e6);
            out.put_some(&own::SOURCE_LAST_SUCCESS, &labels, last);
        }
        for (reason, count) in &self.dropped {
            out.put_with(&own::SERIES_DROPPED, &Labels::new(&[("reason", reason)]), as_number(*count));
        }
        out.put(&own::WATCHDOG_PINGS, as_number(self.pings));
        out
    }

    /// What is to be written of what is still true, and of `beside`: the picture of the supervisor, the process itself.
    pub fn page<'a>(&'a self, beside: &'a [(&'static str, Samples)], now: Mono, wanted: &Selection) -> Page<'a> {
        let mut page = Page::new();
        let kept = self.sources.iter().filter_map(|(name, source)| Some((*name, source.current(now)?)));
        for (name, samples) in kept.chain(beside.iter().map(|(name, samples)| (*name, samples))) {
            page.add(samples, &|family| wanted.wants(name, family));
        }
        for theirs in self.workers.values().filter(|theirs| theirs.current(now)) {
            page.add_foreign(&theirs.foreign, &|family| wanted.wants(OF_WORKERS, family));
        }
        page
    }
}
