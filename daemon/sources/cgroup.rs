//! The figures of one cgroup v2. A file that is not there – another controller layout, an older kernel – is a figure that
//! is not there.

use super::fields::{keyed, micros};
use super::files::{Kept, Scratch};
use super::pressure::{self, Totals};
use reeve_core::metrics::accumulate::{Counts, MEMORY_EVENTS};
use std::path::Path;

/// How many files of a cgroup are kept open at most.
pub(super) const FILES: u64 = 16;

/// Its files.
pub(super) struct Files {
    cpu_stat: Kept,
    cpu_max: Kept,
    memory_current: Kept,
    memory_peak: Kept,
    memory_swap: Kept,
    memory_max: Kept,
    memory_high: Kept,
    memory_stat: Kept,
    memory_events: Kept,
    io_stat: Kept,
    pids_current: Kept,
    pids_max: Kept,
    pids_events: Kept,
    /// CPU, memory, I/O.
    pressure: [Kept; 3],
}

/// What they say: seconds, bytes, counts.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Figures {
    pub cpu: Cpu,
    pub cpu_limit: Option<f64>,
    pub memory: Option<f64>,
    pub memory_peak: Option<f64>,
    pub memory_swap: Option<f64>,
    pub memory_limit: Option<f64>,
    pub memory_high: Option<f64>,
    pub stat: MemoryStat,
    pub events: Counts,
    pub io: Vec<Io>,
    pub pids: Option<f64>,
    pub pids_limit: Option<f64>,
    pub pids_refused: Option<f64>,
    /// CPU, memory, I/O.
    pub pressure: [Totals; 3],
}

/// `cpu.stat`.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Cpu {
    pub usage: Option<f64>,
    pub user: Option<f64>,
    pub system: Option<f64>,
    pub periods: Option<f64>,
    pub throttled_periods: Option<f64>,
    pub throttled: Option<f64>,
}

/// `memory.stat`.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct MemoryStat {
    pub anon: Option<f64>,
    pub file: Option<f64>,
    pub kernel: Option<f64>,
    pub sock: Option<f64>,
    pub shmem: Option<f64>,
    pub inactive_file: Option<f64>,
    pub major_faults: Option<f64>,
    pub refault_anon: Option<f64>,
    pub refault_file: Option<f64>,
}

/// A line of `io.stat`.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Io {
    /// `254:0`.
    pub device: String,
    pub read: Option<f64>,
    pub written: Option<f64>,
    pub reads: Option<f64>,
    pub writes: Option<f64>,
}

impl Files {
    /// Those in this folder; they stay open if there are descriptors to spare.
    pub(super) fn new(folder: &Path, keep: bool) -> Self {
        let file = |name: &str| Kept::kept_if(keep, folder.join(name));
        Self {
            cpu_stat: file("cpu.stat"),
            cpu_max: file("cpu.max"),
            memory_current: file("memory.current"),
            memory_peak: file("memory.peak"),
            memory_swap: file("memory.swap.current"),
            memory_max: file("memory.max"),
            memory_high: file("memory.high"),
            memory_stat: file("memory.stat"),
            memory_events: file("memory.events"),
            io_stat: file("io.stat"),
            pids_current: file("pids.current"),
            pids_max: file("pids.max"),
            pids_events: file("pids.events"),
            pressure: [file("cpu.pressure"), file("memory.pressure"), file("io.pressure")],
        }
    }

    /// Reads them all. What cannot be read is left out: the cgroup may be going away.
    pub(super) fn read(&mut self, scratch: &mut Scratch) -> Figures {
        let mut text = |file: &mut Kept, parse: &mut dyn FnMut(&str)| {
            if let Ok(Some(text)) = file.read(scratch) {
                parse(text);
            }
        };
        let mut now = Figures::default();
        text(&mut self.cpu_stat, &mut |t| now.cpu = cpu(t));
        text(&mut self.cpu_max, &mut |t| now.cpu_limit = cpu_max(t));
        text(&mut self.memory_current, &mut |t| now.memory = number(t));
        text(&mut self.memory_peak, &mut |t| now.memory_peak = number(t));
        text(&mut self.memory_swap, &mut |t| now.memory_swap = number(t));
        text(&mut self.memory_max, &mut |t| now.memory_limit = number(t));
        text(&mut self.memory_high, &mut |t| now.memory_high = number(t));
        text(&mut self.memory_stat, &mut |t| now.stat = memory_stat(t));
        text(&mut self.memory_events, &mut |t| now.events = events(t));
        text(&mut self.io_stat, &mut |t| now.io = t.lines().filter_map(io).collect());
        text(&mut self.pids_current, &mut |t| now.pids = number(t));
        text(&mut self.pids_max, &mut |t| now.pids_limit = number(t));
        text(&mut self.pids_events, &mut |t| now.pids_refused = value(t, "max"));
        for (file, totals) in self.pressure.iter_mut().zip(&mut now.pressure) {
            *totals = pressure::read(file, scratch).unwrap_or_default();
        }
        now
    }
}

impl Figures {
    /// Memory in use without cache that has not been used lately.
    pub(super) fn working_set(&self) -> Option<f64> {
        Some((self.memory? - self.stat.inactive_file?).max(0.0))
    }
}

/// A file with one number; `max` is none.
fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// The number behind `key ` at the beginning of a line.
fn value<T: std::str::FromStr>(text: &str, key: &str) -> Option<T> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

fn cpu(text: &str) -> Cpu {
    Cpu {
        usage: value(text, "usage_usec").map(micros),
        user: value(text, "user_usec").map(micros),
        system: value(text, "system_usec").map(micros),
        periods: value(text, "nr_periods"),
        throttled_periods: value(text, "nr_throttled"),
        throttled: value(text, "throttled_usec").map(micros),
    }
}

/// `450000 100000`: quota and period; `max` is no limit.
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok().filter(|p| *p > 0.0)?)
}

fn memory_stat(text: &str) -> MemoryStat {
    let mut stat = MemoryStat::default();
    for line in text.lines() {
        let Some((key, number)) = line.split_once(' ') else { continue };
        let place = match key {
            "anon" => &mut stat.anon,
            "file" => &mut stat.file,
            "kernel" => &mut stat.kernel,
            "sock" => &mut stat.sock,
            "shmem" => &mut stat.shmem,
            "inactive_file" => &mut stat.inactive_file,
            "pgmajfault" => &mut stat.major_faults,
            "workingset_refault_anon" => &mut stat.refault_anon,
            "workingset_refault_file" => &mut stat.refault_file,
            _ => continue,
        };
        *place = number.parse().ok();
    }
    stat
}

fn events(text: &str) -> Counts {
    MEMORY_EVENTS.map(|event| value(text, event))
}

/// `254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`
fn io(line: &str) -> Option<Io> {
    let (device, rest) = line.split_once(' ')?;
    Some(Io {
        device: device.to_owned(),
        read: keyed(rest, "rbytes"),
        written: keyed(rest, "wbytes"),
        reads: keyed(rest, "rios"),
        writes: keyed(rest, "wios"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn met_01_no_limit_is_no_value() {
        assert_eq!(cpu_max("450000 100000\n"), Some(4.5));
        assert_eq!(cpu_max("max 100000\n"), None);
        assert_eq!(number("max\n"), None);
        assert_eq!(number("1073741824\n"), Some(1_073_741_824.0));
    }

    #[test]
    fn met_02_events_that_the_kernel_does_not_count_are_unknown() {
        let old = "low 0\nhigh 12\nmax 3\noom 1\noom_kill 1\n";
        assert_eq!(events(old), [Some(0), Some(12), Some(3), Some(1), Some(1), None]);
        assert_eq!(events("oom_kill 2\n")[3], None);
    }

    #[test]
    fn met_02_the_working_set_is_never_below_nothing() {
        let with = |memory, inactive_file| Figures {
            memory,
            stat: MemoryStat { inactive_file, ..MemoryStat::default() },
            ..Figures::default()
        };
        assert_eq!(with(Some(10.0), Some(4.0)).working_set(), Some(6.0));
        assert_eq!(with(Some(1.0), Some(4.0)).working_set(), Some(0.0));
        assert_eq!(with(Some(1.0), None).working_set(), None);
    }
}
