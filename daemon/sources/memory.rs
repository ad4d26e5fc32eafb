//! Memory, from `/proc/meminfo` and `/proc/vmstat`.

use super::files::Kept;
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Family, Samples};
use std::path::Path;

const MEMINFO: [(&str, &Family); 15] = [
    ("MemTotal", &f::NODE_MEMORY_MEM_TOTAL),
    ("MemFree", &f::NODE_MEMORY_MEM_FREE),
    ("MemAvailable", &f::NODE_MEMORY_MEM_AVAILABLE),
    ("Buffers", &f::NODE_MEMORY_BUFFERS),
    ("Cached", &f::NODE_MEMORY_CACHED),
    ("Slab", &f::NODE_MEMORY_SLAB),
    ("SwapTotal", &f::NODE_MEMORY_SWAP_TOTAL),
    ("SwapFree", &f::NODE_MEMORY_SWAP_FREE),
    ("Dirty", &f::NODE_MEMORY_DIRTY),
    ("Writeback", &f::NODE_MEMORY_WRITEBACK),
    ("AnonPages", &f::NODE_MEMORY_ANON_PAGES),
    ("HugePages_Total", &f::NODE_MEMORY_HUGE_PAGES_TOTAL),
    ("HugePages_Free", &f::NODE_MEMORY_HUGE_PAGES_FREE),
    ("HugePages_Rsvd", &f::NODE_MEMORY_HUGE_PAGES_RSVD),
    ("HugePages_Surp", &f::NODE_MEMORY_HUGE_PAGES_SURP),
];

const VMSTAT: [(&str, &Family); 7] = [
    ("pgmajfault", &f::NODE_VMSTAT_PGMAJFAULT),
    ("pgfault", &f::NODE_VMSTAT_PGFAULT),
    ("oom_kill", &f::NODE_VMSTAT_OOM_KILL),
    ("pgpgin", &f::NODE_VMSTAT_PGPGIN),
    ("pgpgout", &f::NODE_VMSTAT_PGPGOUT),
    ("pswpin", &f::NODE_VMSTAT_PSWPIN),
    ("pswpout", &f::NODE_VMSTAT_PSWPOUT),
];

pub(super) struct Memory {
    file: Kept,
}

pub(super) struct Vmstat {
    file: Kept,
}

impl Memory {
    pub(super) fn new(proc: &Path) -> Self {
        Self { file: Kept::new(proc.join("meminfo")) }
    }
}

impl Vmstat {
    pub(super) fn new(proc: &Path) -> Self {
        Self { file: Kept::new(proc.join("vmstat")) }
    }
}

impl Source for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        Ok(self.file.read(look.scratch)?.map(meminfo).unwrap_or_default())
    }
}

impl Source for Vmstat {
    fn name(&self) -> &'static str {
        "vmstat"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        Ok(self.file.read(look.scratch)?.map(vmstat).unwrap_or_default())
    }
}

fn meminfo(text: &str) -> Samples {
    let mut samples = Samples::new();
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let Some((_, family)) = MEMINFO.iter().find(|(name, _)| *name == key) else { continue };
        let (number, unit) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
        if let Ok(number) = number.parse::<f64>() {
            samples.put(family, if unit == "kB" { number * 1024.0 } else { number });
        }
    }
    samples
}

fn vmstat(text: &str) -> Samples {
    let mut samples = Samples::new();
    for line in text.lines() {
        let Some((key, number)) = line.split_once(' ') else { continue };
        if let Some((_, family)) = VMSTAT.iter().find(|(name, _)| *name == key)
            && let Ok(number) = number.parse()
        {
            samples.put(family, number);
        }
    }
    samples
}
