//! The newest report of each source; owned by the loop.
//!
//! ```text
//! Report (Ok) ──► checked, capped ──► kept, replaces the one before   ┐
//! Report (Err) ─► success 0, the last good samples stay for 2 periods ├─► Exposition
//! nothing ──────► after 2 periods: success 0, series withdrawn        ┘
//! ```

use super::exposition::{Exposition, Source, Theirs};
use super::families;
use super::family::{Kind, Lane};
use super::intake::Told;
use super::report::Report;
use super::samples::{Samples, Series, Value};
use crate::ids::ReplicaId;
use crate::time::{Mono, Now};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Over the cap of the node.
const OVER_NODE: &str = "node-cap";
/// Over the cap of a worker.
const OVER_WORKER: &str = "worker-cap";
/// The same series twice.
const DUPLICATE: &str = "duplicate";
/// Not a valid value, name or label.
const INVALID: &str = "invalid";
/// Of another kind than the family that has this name.
const CONFLICT: &str = "kind-conflict";

/// How many series are kept at most (MET-17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// On the node.
    pub node: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { node: 20_000 }
    }
}

/// The newest report of each source.
#[derive(Debug)]
pub struct Board {
    caps: Caps,
    kinds: BTreeMap<&'static str, Kind>,
    at: BTreeMap<&'static str, Mono>,
    now: Exposition,
}

impl Board {
    /// An empty board.
    pub fn new(caps: Caps) -> Self {
        let kinds = families::all().map(|family| (family.name, family.kind)).collect();
        let reasons = [OVER_NODE, OVER_WORKER, DUPLICATE, INVALID, CONFLICT];
        let dropped = reasons.into_iter().map(|reason| (reason, 0)).collect();
        Self { caps, kinds, at: BTreeMap::new(), now: Exposition { dropped, ..Exposition::default() } }
    }

    /// Other caps, from the next report on.
    pub fn set_caps(&mut self, caps: Caps) {
        self.caps = caps;
    }

    /// Takes a report.
    pub fn take(&mut self, report: Report, now: Now) {
        let before = self.at.insert(report.source, report.at);
        let interval = before.map(|before| report.at.since(before));
        let old = self.now.sources.remove(report.source);
        let mut source = old.unwrap_or(Source {
            samples: None,
            heard: now.mono,
            good: None,
            period: None,
            took: Duration::ZERO,
            success: false,
        });
        source.heard = now.mono;
        source.took = report.took;
        source.success = report.outcome.is_ok();
        if let Ok(samples) = report.outcome {
            let samples = self.admit(samples);
            source.period = period(&samples, source.period, interval);
            source.samples = Some(Arc::new(samples));
            source.good = Some((now.mono, now.wall));
        }
        self.now.sources.insert(report.source, source);
    }

    /// Takes what a replica says of itself, already labelled with who it is and cut to what one replica may bring.
    /// `period` is how often it is told at least.
    pub fn take_foreign(&mut self, of: ReplicaId, told: Told, period: Duration, now: Now) {
        let Told { mut foreign, dropped } = told;
        self.now.workers.remove(&of);
        self.drop_for(OVER_WORKER, dropped.over);
        self.drop_for(DUPLICATE, dropped.duplicate);
        self.drop_for(INVALID, dropped.invalid);
        let others = &self.now.workers;
        let conflicts = foreign.retain(|name, family| {
            let known = self.kinds.get(name).copied();
            let known = known.or_else(|| others.values().find_map(|o| o.foreign.get(name)).map(|f| f.kind));
            known.is_none_or(|kind| kind == family.kind)
        });
        let mut room = self.caps.node.saturating_sub(self.series());
        let over_node = foreign.retain_lines(|_, _| take_one(&mut room));
        self.drop_for(CONFLICT, conflicts as u64);
        self.drop_for(OVER_NODE, over_node as u64);
        let theirs = Theirs { foreign: Arc::new(foreign), heard: now.mono, period };
        self.now.workers.insert(of, theirs);
    }

    /// A run is over: what it said of itself goes with it. Replicas for which `stays` says no lose theirs.
    pub fn forget_foreign(&mut self, stays: impl Fn(&ReplicaId) -> bool) {
        self.now.workers.retain(|id, _| stays(id));
    }

    /// A source was released: its series end at once.
    pub fn withdraw(&mut self, source: &str) {
        self.now.sources.remove(source);
        self.at.remove(source);
    }

    /// The service manager was told that the loop lives.
    pub fn pinged(&mut self) {
        self.now.pings += 1;
    }

    /// What is known now. Cheap: the samples are shared.
    pub fn exposition(&self) -> Arc<Exposition> {
        Arc::new(self.now.clone())
    }

    fn series(&self) -> usize {
        let ours: usize = self.now.sources.values().filter_map(|s| s.samples.as_ref()).map(|s| s.len()).sum();
        ours + self.now.workers.values().map(|t| t.foreign.len()).sum::<usize>()
    }

    fn drop_for(&mut self, reason: &'static str, count: u64) {
        *self.now.dropped.entry(reason).or_default() += count;
    }

    /// Leaves out what stands there twice, what is not a valid value, and what there is no room for.
    fn admit(&mut self, samples: Samples) -> Samples {
        let room = self.caps.node.saturating_sub(self.series());
        if samples.len() <= room
            && samples.iter().all(|series| unique(series) && series.samples.iter().all(valid_in(series)))
        {
            return samples;
        }
        let mut kept = Samples::new();
        for series in samples.iter() {
            let mut seen = BTreeSet::new();
            for sample in &series.samples {
                let reason = match () {
                    () if !valid_in(series)(sample) => INVALID,
                    () if !seen.insert(sample.0.as_str()) => DUPLICATE,
                    () if kept.len() >= room => OVER_NODE,
                    () => {
                        kept.add(series.family, sample.0.clone(), sample.1.clone());
                        continue;
                    }
                };
                self.drop_for(reason, 1);
            }
        }
        kept
    }
}

fn take_one(room: &mut usize) -> bool {
    let some = *room > 0;
    *room = room.saturating_sub(1);
    some
}

/// A counter counts from zero up; a histogram is a histogram.
fn valid_in(series: &Series) -> impl Fn(&(super::Labels, Value)) -> bool {
    let kind = series.family.kind;
    move |(_, value)| match value {
        Value::Number(number) => kind != Kind::Histogram && (kind != Kind::Counter || *number >= 0.0),
        Value::Histogram(_) => kind == Kind::Histogram,
    }
}

/// Whether no two samples have the same labels.
fn unique(series: &Series) -> bool {
    let samples = &series.samples;
    if samples.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return true;
    }
    let mut labels: Vec<_> = samples.iter().map(|(labels, _)| labels.as_str()).collect();
    labels.sort_unstable();
    labels.windows(2).all(|pair| pair[0] != pair[1])
}

/// How far apart the reports of a source are: as its lanes say, or further if it is seen to be slower. One long pause
/// does not make a slow source, hence at most twice what was believed before.
fn period(samples: &Samples, before: Option<Duration>, interval: Option<Duration>) -> Option<Duration> {
    let lane = samples.iter().filter_map(|series| of_lane(series.family.lane)).min().or(before)?;
    let bound = before.unwrap_or(lane).max(lane) * 2;
    Some(interval.unwrap_or(lane).min(bound).max(lane))
}

fn of_lane(lane: Lane) -> Option<Duration> {
    match lane {
        Lane::Base | Lane::Mount | Lane::Fast => Some(Duration::from_secs(5)),
        Lane::Process => Some(Duration::from_secs(10)),
        Lane::Worker => Some(Duration::from_secs(15)),
        Lane::Slow => Some(Duration::from_secs(60)),
        Lane::Event | Lane::Start => None,
    }
}

#[cfg(test)]
mod tests;
