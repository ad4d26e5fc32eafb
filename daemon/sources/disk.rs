//! Block devices, from `/proc/diskstats`.

use super::fields::Known;
use super::files::Kept;
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Family, Samples};
use std::path::Path;

/// Sectors are of 512 bytes, whatever the device says.
const SECTORS: (f64, f64) = (512.0, 1.0);
const MILLISECONDS: (f64, f64) = (1.0, 1000.0);
const COUNT: (f64, f64) = (1.0, 1.0);

/// Family, place behind the name, unit as a fraction.
const FIELDS: [(&Family, usize, (f64, f64)); 9] = [
    (&f::NODE_DISK_READS_COMPLETED, 0, COUNT),
    (&f::NODE_DISK_READ_BYTES, 2, SECTORS),
    (&f::NODE_DISK_READ_TIME, 3, MILLISECONDS),
    (&f::NODE_DISK_WRITES_COMPLETED, 4, COUNT),
    (&f::NODE_DISK_WRITTEN_BYTES, 6, SECTORS),
    (&f::NODE_DISK_WRITE_TIME, 7, MILLISECONDS),
    (&f::NODE_DISK_IO_NOW, 8, COUNT),
    (&f::NODE_DISK_IO_TIME, 9, MILLISECONDS),
    (&f::NODE_DISK_IO_TIME_WEIGHTED, 10, MILLISECONDS),
];

pub(super) struct Disk {
    file: Kept,
    labels: Known,
}

impl Disk {
    pub(super) fn new(proc: &Path) -> Self {
        Self { file: Kept::new(proc.join("diskstats")), labels: Known::new("device") }
    }
}

impl Source for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let text = self.file.read(look.scratch)?;
        Ok(text.map(|text| parse(text, &mut self.labels)).unwrap_or_default())
    }
}

fn parse(text: &str, labels: &mut Known) -> Samples {
    let mut samples = Samples::new();
    for line in text.lines() {
        // Major, minor, name, counts.
        let mut words = line.split_ascii_whitespace().skip(2);
        let Some(device) = words.next().filter(|device| !excluded(device)) else { continue };
        let labels = labels.get(device);
        let mut fields = FIELDS.iter().peekable();
        for (at, word) in words.enumerate() {
            if let Some((family, _, (times, by))) = fields.next_if(|(_, place, _)| *place == at) {
                let value = word.parse::<f64>().ok();
                samples.put_some(family, &labels, value.map(|v| v * times / by));
            }
        }
    }
    samples
}

/// Partitions and memory, as node_exporter leaves them out:
/// `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`.
fn excluded(device: &str) -> bool {
    let stem = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == device.len() {
        return false;
    }
    let disk = |stem: &str| {
        let letter = ["hd", "sd", "vd", "xvd"].iter().find_map(|kind| stem.strip_prefix(kind));
        letter.is_some_and(|l| l.len() == 1 && l.bytes().all(|b| b.is_ascii_lowercase()))
    };
    let nvme = |stem: &str| {
        let numbers = stem.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p')?.split_once('n'));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        numbers.is_some_and(|(controller, space)| digits(controller) && digits(space))
    };
    matches!(stem, "ram" | "zram" | "loop" | "fd") || disk(stem) || nvme(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn met_03_partitions_and_memory_are_left_out() {
        let out = ["ram0", "zram1", "loop12", "fd0", "sda1", "vda15", "xvdb2", "nvme0n1p3"];
        let kept = ["sda", "vda", "nvme0n1", "md0", "dm-0", "sr0", "mmcblk0", "sdaa1", "xvda", "nvme0c0n1"];
        assert_eq!(out.iter().filter(|d| !excluded(d)).collect::<Vec<_>>(), Vec::<&&str>::new());
        assert_eq!(kept.iter().filter(|d| excluded(d)).collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn met_03_a_line_of_an_old_kernel_gives_what_it_has() {
        let samples = parse("   8       0 sda 10 0 4 250\n\n", &mut Known::new("device"));
        let names: Vec<_> = samples.iter().map(|s| s.family.name).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(samples.get("node_disk_read_bytes_total").is_some());
    }
}
