//! Memory by NUMA node, from `/sys/devices/system/node`; only where there is more than one.

use super::files::{line, names};
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Family, Labels, Samples};
use std::path::{Path, PathBuf};

const MEMINFO: [(&str, &Family); 3] = [
    ("MemTotal:", &f::NODE_MEMORY_NUMA_MEM_TOTAL),
    ("MemFree:", &f::NODE_MEMORY_NUMA_MEM_FREE),
    ("FilePages:", &f::NODE_MEMORY_NUMA_FILE_PAGES),
];
const NUMASTAT: [(&str, &Family); 2] =
    [("numa_hit", &f::NODE_MEMORY_NUMA_HIT), ("numa_miss", &f::NODE_MEMORY_NUMA_MISS)];

pub(super) struct Numa {
    folder: PathBuf,
}

impl Numa {
    pub(super) fn new(sys: &Path) -> Self {
        Self { folder: sys.join("devices/system/node") }
    }
}

impl Source for Numa {
    fn name(&self) -> &'static str {
        "numa"
    }

    fn look(&mut self, _: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        let number = |name: &String| name["node".len()..].parse::<u32>().is_ok();
        let nodes: Vec<_> = names(&self.folder, "node").into_iter().filter(number).collect();
        if nodes.len() < 2 {
            return Ok(samples);
        }
        for node in nodes {
            let labels = Labels::new(&[("node", &node["node".len()..])]);
            let folder = self.folder.join(&node);
            for text in [line(&folder.join("meminfo")), line(&folder.join("numastat"))].into_iter().flatten() {
                parse(&text, &labels, &mut samples);
            }
        }
        Ok(samples)
    }
}

/// `Node 0 MemTotal:       131891844 kB`, and `numa_hit 12345`.
fn parse(text: &str, labels: &Labels, samples: &mut Samples) {
    for line in text.lines() {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let (key, value, kilo) = match words[..] {
            ["Node", _, key, value, "kB"] => (key, value, 1024.0),
            [key, value] => (key, value, 1.0),
            _ => continue,
        };
        if let Some((_, family)) = MEMINFO.iter().chain(&NUMASTAT).find(|(name, _)| *name == key) {
            samples.put_some(family, labels, value.parse::<f64>().ok().map(|v| v * kilo));
        }
    }
}
