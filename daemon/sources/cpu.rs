//! CPU time, forks and the run queue, from `/proc/stat`.

use super::files::Kept;
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Family, Labels, Samples};
use std::collections::BTreeMap;
use std::path::Path;

/// In the order of the file. Time of guests is part of `user` and `nice`.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const IDLE: usize = 3;
/// Ticks a second, on every architecture Linux tells user space of.
const USER_HZ: f64 = 100.0;
/// The kernel lets idle time fall a little back; by more, and the CPU was taken away and came anew.
const NEW_CPU: f64 = 3.0;

pub(super) struct Cpu {
    file: Kept,
    cpus: BTreeMap<String, One>,
}

struct One {
    labels: [Labels; MODES.len()],
    seconds: [f64; MODES.len()],
}

impl Cpu {
    pub(super) fn new(proc: &Path) -> Self {
        Self { file: Kept::new(proc.join("stat")), cpus: BTreeMap::new() }
    }
}

impl Source for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        if let Some(text) = self.file.read(look.scratch)? {
            parse(text, &mut self.cpus, &mut samples);
        }
        Ok(samples)
    }
}

fn parse(text: &str, cpus: &mut BTreeMap<String, One>, samples: &mut Samples) {
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(' ') else { continue };
        let family: &'static Family = match key {
            "ctxt" => &f::NODE_CONTEXT_SWITCHES,
            "intr" => &f::NODE_INTR,
            "processes" => &f::NODE_FORKS,
            "btime" => &f::NODE_BOOT_TIME,
            "procs_running" => &f::NODE_PROCS_RUNNING,
            "procs_blocked" => &f::NODE_PROCS_BLOCKED,
            _ => {
                if let Some(cpu) = key.strip_prefix("cpu").filter(|n| !n.is_empty()) {
                    one(cpu, rest, cpus, samples);
                }
                continue;
            }
        };
        // Behind the sum of all interrupts follow those of each source.
        let first = rest.split_ascii_whitespace().next();
        samples.put_some(family, &Labels::none(), first.and_then(|number| number.parse().ok()));
    }
}

fn one(cpu: &str, rest: &str, cpus: &mut BTreeMap<String, One>, samples: &mut Samples) {
    let mut ticks = rest.split_ascii_whitespace().map(str::parse::<f64>);
    let mut now = [0.0; MODES.len()];
    for seconds in &mut now {
        let Some(Ok(ticks)) = ticks.next() else { return };
        *seconds = ticks / USER_HZ;
    }
    if !cpus.contains_key(cpu) {
        let labels = MODES.map(|mode| Labels::new(&[("cpu", cpu), ("mode", mode)]));
        cpus.insert(cpu.to_owned(), One { labels, seconds: now });
    }
    let Some(one) = cpus.get_mut(cpu) else { return };
    if now[IDLE] + NEW_CPU < one.seconds[IDLE] {
        one.seconds = now;
    }
    for ((labels, seconds), now) in one.labels.iter().zip(&mut one.seconds).zip(now) {
        *seconds = seconds.max(now);
        samples.put_with(&f::NODE_CPU_SECONDS, labels, *seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_core::metrics::Value;

    fn idle(cpus: &mut BTreeMap<String, One>, idle: u64, iowait: u64) -> Vec<f64> {
        let mut samples = Samples::new();
        parse(&format!("cpu  1 1 1 1\ncpu0 1 2 3 {idle} {iowait} 0 0 0 0 0\n"), cpus, &mut samples);
        let all = samples.get("node_cpu_seconds_total").map(|s| s.samples.clone()).unwrap_or_default();
        all.iter().filter_map(|(_, v)| if let Value::Number(n) = v { Some(*n) } else { None }).skip(IDLE).collect()
    }

    #[test]
    fn met_01_counters_never_fall_unless_the_cpu_is_a_new_one() {
        let mut cpus = BTreeMap::new();
        assert_eq!(idle(&mut cpus, 1000, 100), [10.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(idle(&mut cpus, 990, 90), [10.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(idle(&mut cpus, 20, 5), [0.2, 0.05, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn met_01_a_torn_line_gives_no_sample() {
        let mut samples = Samples::new();
        parse("cpu0 1 2 3\nctxt x\nbtime 17\nintr\n", &mut BTreeMap::new(), &mut samples);
        assert_eq!(samples.iter().map(|s| s.family.name).collect::<Vec<_>>(), ["node_boot_time_seconds"]);
    }
}
