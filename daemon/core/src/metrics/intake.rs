//! What one replica says of itself, put together: its page, its DogStatsD, and what follows from both (MET-05 to
//! MET-17).
//!
//! ```text
//! page ──parse──┐ wins where both give a family
//!               ├─► agent (derived, mirrored) ─► allow-list ─► cap ─► labels ─► Told ─► board
//! datagrams ────┘
//! ```
//!
//! A run's gauges go with it. Counters stay, at their last value, until the replica does: those that were sent go on with
//! the next run, since Reeve counts them; those of a page are replaced by the first page of the next run, whose beginning
//! is `reeve_worker_start_timestamp_seconds`. A reading that fails leaves the last page for one more period; then it is a
//! gap (HLT-03).

use super::agent::Agent;
use super::families::intake as of;
use super::family::Kind;
use super::foreign::{Foreign, Line, as_number};
use super::labels::Labels;
use super::parse::{self, Dropped, Limits};
use super::samples::Samples;
use super::statsd::{Aggregator, Refused, Rules};
use crate::glob;
use crate::time::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Bytes of a page; more is refused.
pub const PAGE_MAX: usize = 2 << 20;
/// Series of a page that are looked at, before any is left out.
const PAGE_SERIES: usize = 50_000;
/// Values that are asked for whatever the configuration says.
const ALWAYS: [&str; 2] = ["active_tasks", "queue_depth"];

/// How a replica's numbers are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Habits {
    /// `worker`, `replica`, `role`.
    pub who: [String; 3],
    /// From one reading to the next.
    pub period: Duration,
    /// Globs of the families that are kept; empty: all.
    pub allow: Vec<String>,
    /// How DogStatsD is read; its cap is that of the whole.
    pub statsd: Rules,
    /// Further names whose values are asked for: those of `until`.
    pub watched: BTreeSet<String>,
}

/// One replica.
#[derive(Debug, Clone)]
pub struct Intake {
    habits: Habits,
    running: bool,
    /// What is known of the counters of a run that is about to start.
    base: Option<Foreign>,
    page: Option<(Foreign, Mono)>,
    /// Counters of the page of a run that is over.
    kept: Foreign,
    last: Option<Reading>,
    statsd: Aggregator,
    agent: Agent,
    wants_cpu: bool,
    dropped: Dropped,
}

/// How the last reading went.
#[derive(Debug, Clone, Copy)]
struct Reading {
    success: bool,
    took: Duration,
    series: Option<u64>,
}

/// What is to be shown of a replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its series, labelled with who it is.
    pub foreign: Foreign,
    /// What was left out since the last time.
    pub dropped: Dropped,
}

impl Intake {
    /// A replica that has said nothing yet.
    pub fn new(habits: Habits) -> Self {
        let statsd = Aggregator::new(habits.statsd.clone());
        Self {
            habits,
            running: false,
            base: None,
            page: None,
            kept: Foreign::new(),
            last: None,
            statsd,
            agent: Agent::default(),
            wants_cpu: false,
            dropped: Dropped::default(),
        }
    }

    /// The definition has changed.
    pub fn set_habits(&mut self, habits: Habits) {
        self.statsd.set_rules(habits.statsd.clone());
        self.habits = habits;
    }

    /// A run is about to start: what comes from now on is of it, and all of it.
    pub fn starting(&mut self, now: Mono) {
        self.run_over();
        self.statsd.run_ended();
        let mut base = Foreign::new();
        self.statsd.write(&mut base, now);
        self.base = Some(base);
    }

    /// It runs. Without [`Intake::starting`] before, it did so before we looked.
    pub fn begin(&mut self, now: Mono) {
        if self.running {
            self.run_over();
        }
        self.running = true;
        self.agent.begin(self.base.take().as_ref(), now);
    }

    /// The run is over, or another has taken its place: what comes from now on is not of this one.
    pub fn run_over(&mut self) {
        if let Some((page, _)) = self.page.take() {
            self.kept = page;
            self.kept.retain(|_, family| lasts(family.kind));
        }
        if self.running {
            self.statsd.run_ended();
        }
        self.last = None;
        self.running = false;
    }

    /// A datagram has come.
    pub fn datagram(&mut self, bytes: &[u8], now: Mono) {
        self.statsd.datagram(bytes, now);
    }

    /// A datagram has come that is not taken.
    pub fn refuse(&mut self, reason: Refused) {
        self.statsd.refuse(reason);
    }

    /// Its page was read, or could not be. The error says what is wrong with it.
    pub fn scraped(&mut self, page: Result<&str, &str>, took: Duration, now: Mono) -> Result<(), String> {
        let limits = Limits { bytes: PAGE_MAX, series: PAGE_SERIES, ..Limits::default() };
        let read = page.map_err(str::to_owned).and_then(|text| parse::parse(text, &limits).map_err(|e| e.to_string()));
        let series = read.as_ref().ok().map(|page| page.foreign.len() as u64 + page.dropped.over);
        self.last = Some(Reading { success: read.is_ok(), took, series });
        let page = read?;
        self.dropped.add(page.dropped);
        self.kept = Foreign::new();
        self.page = Some((page.foreign, now));
        Ok(())
    }

    /// CPU time that the run has used, in CPUs that it may use.
    pub fn cpu(&mut self, used: f64, now: Mono) {
        self.agent.cpu(used, now);
    }

    /// Whether [`Intake::cpu`] is of use, as of the last [`Intake::tell`].
    pub fn wants_cpu(&self) -> bool {
        self.running && self.wants_cpu
    }

    /// Values that somebody asks about, while there is a run.
    pub fn values(&self, now: Mono) -> BTreeMap<String, f64> {
        if !self.running {
            return BTreeMap::new();
        }
        let page = self.page_of(now);
        let names = ALWAYS.into_iter().chain(self.habits.watched.iter().map(String::as_str));
        let value = |name: &str| page.and_then(|page| page.sum(name)).or_else(|| self.statsd.sum(name, now));
        names.filter_map(|name| Some((name.to_owned(), value(name)?))).collect()
    }

    /// Whether there is anything to tell.
    pub fn speaks(&self) -> bool {
        self.last.is_some() || self.page.is_some() || !self.kept.is_empty() || self.statsd.is_used()
    }

    /// Puts it together.
    pub fn tell(&mut self, now: Mono) -> Told {
        let mut page = self.given(now);
        self.wants_cpu = Agent::wants_cpu(&page);
        if self.running {
            self.agent.complete(&mut page, now);
        } else {
            page.retain(|_, family| lasts(family.kind));
        }
        page.adopt(&self.kept);
        let foreigners = page.retain(|name, _| !name.starts_with("reeve_") || name.starts_with("reeve_agent_"));
        self.dropped.invalid += foreigners as u64;
        let allow = &self.habits.allow;
        page.retain(|name, _| allow.is_empty() || allow.iter().any(|pattern| glob::matches(pattern, name)));
        self.dropped.over += page.cut(self.habits.statsd.max_series) as u64;
        page.adopt(&Foreign::from(&self.about()));
        let [worker, replica, role] = &self.habits.who;
        let foreign = page.labelled(&[("worker", worker), ("replica", replica), ("role", role)]);
        Told { foreign, dropped: std::mem::take(&mut self.dropped) }
    }

    /// What it gives now, before anything follows from it.
    fn given(&self, now: Mono) -> Foreign {
        let mut page = self.page_of(now).cloned().unwrap_or_default();
        let mut sent = Foreign::new();
        self.statsd.write(&mut sent, now);
        page.adopt(&sent);
        page
    }

    /// Its page, while it is true: one reading may fail.
    fn page_of(&self, now: Mono) -> Option<&Foreign> {
        let (page, at) = self.page.as_ref()?;
        (now.since(*at) < self.habits.period * 2).then_some(page)
    }

    /// How its numbers come in.
    fn about(&self) -> Samples {
        let none = Labels::none();
        let mut out = Samples::new();
        if let Some(last) = self.last {
            out.put(&of::SCRAPE_SUCCESS, f64::from(u8::from(last.success)));
            out.put(&of::SCRAPE_DURATION, last.took.as_secs_f64());
            out.put_some(&of::SCRAPE_SERIES, &none, last.series.map(as_number));
        }
        if self.statsd.is_used() {
            out.put(&of::STATSD_MESSAGES, as_number(self.statsd.messages()));
            for reason in Refused::ALL {
                let count = self.statsd.refused().get(&reason).copied().unwrap_or(0);
                out.put_with(&of::STATSD_DROPPED, &Labels::new(&[("reason", reason.word())]), as_number(count));
            }
        }
        out
    }
}

/// Whether a family outlives the run that told it.
fn lasts(kind: Kind) -> bool {
    matches!(kind, Kind::Counter | Kind::Histogram)
}

impl Foreign {
    /// Keeps at most so many lines and says how many went: whole series only, since half a histogram is none.
    fn cut(&mut self, most: usize) -> usize {
        if self.len() <= most {
            return 0;
        }
        let mut room = most;
        let mut gone: BTreeSet<(String, Labels)> = BTreeSet::new();
        for (name, family) in self.iter() {
            let mut sizes: BTreeMap<&Labels, usize> = BTreeMap::new();
            for Line { labels, .. } in &family.lines {
                *sizes.entry(labels).or_default() += 1;
            }
            for (labels, size) in sizes {
                if size <= room {
                    room -= size;
                } else {
                    gone.insert((name.to_owned(), labels.clone()));
                }
            }
        }
        self.retain_lines(|name, line| !gone.contains(&(name.to_owned(), line.labels.clone())))
    }
}

#[cfg(test)]
mod tests;
