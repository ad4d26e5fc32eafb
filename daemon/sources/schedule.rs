//! When each source looks.

use super::bonding::Bonding;
use super::config::{ReadClock, SourcesConfig};
use super::files::Scratch;
use super::workers::{Workers, WorkersHandle};
use super::{Look, Source};
use super::{
    cpu, disk, edac, filefd, filesystem, hardware, host, load, mdstat, memory, network, numa, pressure, timex,
};
use reeve_core::Mono;
use reeve_core::metrics::Report;
use std::time::Duration;

/// A source may take this long; what reads many files stops there, and one that took longer looks less often.
const BUDGET: Duration = Duration::from_millis(250);
/// At most this many times its period lies between two looks of a source that takes too long.
const LEAST: u32 = 16;

/// All sources with their times.
pub(super) struct Schedule {
    entries: Vec<Entry>,
    scratch: Scratch,
    clock: ReadClock,
}

struct Entry {
    source: Box<dyn Source>,
    period: Duration,
    /// Periods between two looks; grows while it takes too long.
    every: u32,
    due: Mono,
}

impl Schedule {
    /// All that the configuration asks for, due at once.
    pub(super) fn new(config: &SourcesConfig, workers: WorkersHandle) -> Self {
        let mut base: Vec<Box<dyn Source>> = vec![Box::new(Workers::new(workers, &config.proc, &config.sys))];
        let mut slow: Vec<Box<dyn Source>> = Vec::new();
        if config.system {
            let (proc, sys) = (&config.proc, &config.sys);
            base.push(Box::new(cpu::Cpu::new(proc)));
            base.push(Box::new(memory::Memory::new(proc)));
            base.push(Box::new(memory::Vmstat::new(proc)));
            base.push(Box::new(load::Load::new(proc)));
            base.push(Box::new(pressure::Pressure::new(proc)));
            base.push(Box::new(disk::Disk::new(proc)));
            base.push(Box::new(network::Network::new(proc, sys)));
            base.push(Box::new(filefd::FileFd::new(proc)));
            base.push(Box::new(filefd::Conntrack::new(proc)));
            base.push(Box::new(timex::Timex::default()));
            base.push(Box::new(host::Time));
            // Last: its mounts answer while the others look.
            base.push(Box::new(filesystem::Filesystem::new(config)));
            slow.push(Box::new(host::Host::new(&config.root, proc)));
            slow.push(Box::new(mdstat::Mdstat::new(proc)));
            slow.push(Box::new(Bonding::new(sys)));
            slow.push(Box::new(edac::Edac::new(sys)));
            slow.push(Box::new(numa::Numa::new(sys)));
            if config.hardware {
                slow.push(Box::new(hardware::Hardware::new(sys)));
            }
        }
        let lane = |sources: Vec<_>, period| {
            sources.into_iter().map(move |source| Entry { source, period, every: 1, due: Mono::default() })
        };
        let entries = lane(base, config.base).chain(lane(slow, config.slow)).collect();
        Self { entries, scratch: Scratch::new(), clock: config.clock.clone() }
    }

    /// Lets all look that are due, and says how long to wait for the next; `None` when nobody takes the reports.
    pub(super) fn tick(&mut self, take: &mut dyn FnMut(Report) -> bool) -> Option<Duration> {
        let clock = &self.clock;
        let now = clock();
        let due = |entry: &&mut Entry| entry.due <= now.mono;
        self.entries.iter_mut().filter(due).for_each(|entry| entry.source.begin(now, &mut self.scratch));
        for entry in self.entries.iter_mut().filter(due) {
            let begun = clock().mono;
            let spent = || clock().mono.since(begun) > BUDGET;
            let mut look = Look { now, scratch: &mut self.scratch, spent: &spent };
            let outcome = entry.source.look(&mut look);
            let took = clock().mono.since(begun);
            entry.next(now.mono, took);
            if !take(Report { source: entry.source.name(), at: now.mono, took, outcome }) {
                return None;
            }
        }
        let next = self.entries.iter().map(|entry| entry.due).min()?;
        Some(next.since(clock().mono))
    }
}

impl Entry {
    /// Looks again at the next multiple of its period, or later when it took too long.
    fn next(&mut self, now: Mono, took: Duration) {
        let before = self.every;
        self.every = if took > BUDGET { (before * 2).min(LEAST) } else { (before / 2).max(1) };
        if before == 1 && self.every > 1 {
            let (source, took) = (self.source.name(), took.as_secs_f64());
            tracing::warn!(source, took, "a source takes too long and is looked at less often");
        }
        let span = self.period * self.every;
        // Missed times are not made up for.
        self.due = if now.since(self.due) < span { self.due + span } else { now + span };
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use reeve_core::Now;
    use reeve_core::metrics::Samples;
    use std::sync::{Arc, Mutex};

    struct Fake {
        name: &'static str,
        takes: Duration,
        clock: Arc<Mutex<Duration>>,
    }

    impl Source for Fake {
        fn name(&self) -> &'static str {
            self.name
        }

        fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
            assert!(!(look.spent)());
            *self.clock.lock().unwrap() += self.takes;
            if self.name == "broken" { Err("no".to_owned()) } else { Ok(Samples::new()) }
        }
    }

    fn schedule(sources: &[(&'static str, u64, u64)]) -> (Schedule, Arc<Mutex<Duration>>) {
        let time = Arc::new(Mutex::new(Duration::from_secs(1000)));
        let read = Arc::clone(&time);
        let entry = |&(name, period, takes): &(&'static str, u64, u64)| Entry {
            source: Box::new(Fake { name, takes: Duration::from_millis(takes), clock: Arc::clone(&time) }),
            period: Duration::from_secs(period),
            every: 1,
            due: Mono::default(),
        };
        let entries = sources.iter().map(entry).collect();
        let clock: ReadClock = Arc::new(move || Now { mono: Mono(*read.lock().unwrap()), ..Now::default() });
        (Schedule { entries, scratch: Scratch::new(), clock }, time)
    }

    /// Looks for so many seconds; each look as its second and source.
    fn play(schedule: &mut Schedule, time: &Mutex<Duration>, seconds: u64) -> Vec<(u64, &'static str, bool)> {
        let mut seen = Vec::new();
        while time.lock().unwrap().as_secs() < 1000 + seconds {
            let wait = schedule
                .tick(&mut |r| {
                    seen.push((r.at.0.as_secs() - 1000, r.source, r.outcome.is_ok()));
                    true
                })
                .unwrap();
            *time.lock().unwrap() += wait;
        }
        seen
    }

    #[test]
    fn met_01_a_failing_source_stops_nobody_and_a_tick_is_one_instant() {
        let (mut schedule, time) = schedule(&[("cpu", 5, 1), ("broken", 5, 1), ("md", 60, 1)]);
        let seen = play(&mut schedule, &time, 64);
        let at = |s: u64| seen.iter().filter(|(t, ..)| *t == s).map(|(_, n, ok)| (*n, *ok)).collect::<Vec<_>>();
        assert_eq!(at(0), [("cpu", true), ("broken", false), ("md", true)]);
        assert_eq!(at(5), [("cpu", true), ("broken", false)]);
        assert_eq!(at(60), at(0));
        assert_eq!(seen.len(), 13 * 2 + 2);
    }

    #[test]
    fn met_01_a_slow_source_is_looked_at_less_often_and_recovers() {
        let (mut schedule, time) = schedule(&[("i2c", 60, 300)]);
        let seen: Vec<_> = play(&mut schedule, &time, 1000).iter().map(|(t, ..)| *t).collect();
        assert_eq!(seen, [0, 120, 360, 840]);
        schedule.entries[0].source = Box::new(Fake { name: "i2c", takes: Duration::ZERO, clock: Arc::clone(&time) });
        let seen: Vec<_> = play(&mut schedule, &time, 4000).iter().map(|(t, ..)| *t).collect();
        assert_eq!(seen.windows(2).last().map(|w| w[1] - w[0]), Some(60));
    }

    #[test]
    fn missed_ticks_are_not_made_up_for() {
        let (mut schedule, time) = schedule(&[("cpu", 5, 0)]);
        play(&mut schedule, &time, 5);
        *time.lock().unwrap() += Duration::from_secs(3600);
        let seen = play(&mut schedule, &time, 3600 + 12);
        assert_eq!(seen.len(), 2, "{seen:?}");
    }

    #[test]
    fn it_ends_when_nobody_takes_the_reports() {
        let (mut schedule, _) = schedule(&[("cpu", 5, 0)]);
        assert_eq!(schedule.tick(&mut |_| false), None);
    }
}
