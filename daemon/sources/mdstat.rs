//! Software RAID, from `/proc/mdstat`.

use super::files::Kept;
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};
use std::path::Path;

pub(super) struct Mdstat {
    file: Kept,
}

impl Mdstat {
    pub(super) fn new(proc: &Path) -> Self {
        Self { file: Kept::new(proc.join("mdstat")) }
    }
}

impl Source for Mdstat {
    fn name(&self) -> &'static str {
        "mdstat"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        for array in self.file.read(look.scratch)?.map(parse).unwrap_or_default() {
            let device = Labels::new(&[("device", &array.device)]);
            for (state, disks) in [("active", array.active), ("failed", array.failed), ("spare", array.spare)] {
                samples.put_with(&f::NODE_MD_DISKS, &device.and(&[("state", state)]), f64::from(disks));
            }
            samples.put_with(&f::NODE_MD_DISKS_REQUIRED, &device, f64::from(array.required));
        }
        Ok(samples)
    }
}

#[derive(Debug, PartialEq)]
struct Array {
    device: String,
    active: u32,
    failed: u32,
    spare: u32,
    required: u32,
}

/// `md0 : active raid1 sdb1[1] sda1[0](F)`, and on the next line `1048512 blocks super 1.2 [2/1] [U_]`.
fn parse(text: &str) -> Vec<Array> {
    let mut arrays = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((device, about)) = line.split_once(" : ") else { continue };
        if !device.starts_with("md") {
            continue;
        }
        let count = |what: &str| u32::try_from(about.matches(what).count()).unwrap_or(u32::MAX);
        let mut words = about.split_ascii_whitespace();
        let striped = words.any(|word| matches!(word, "raid0" | "linear"));
        let (required, active) = match lines.peek().and_then(|next| needed(next)) {
            _ if about.starts_with("inactive") => (0, 0),
            // Without redundancy all disks are needed, and the file does not say how many.
            _ if striped => (count("["), count("[")),
            Some(numbers) => numbers,
            None => continue,
        };
        arrays.push(Array { device: device.to_owned(), active, failed: count("(F)"), spare: count("(S)"), required });
    }
    arrays
}

/// `[2/1]`: disks needed, and in use.
fn needed(line: &str) -> Option<(u32, u32)> {
    line.split_ascii_whitespace().find_map(|word| {
        let (needed, used) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
        Some((needed.parse().ok()?, used.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Personalities : [raid1] [raid0]\n\
        md0 : active raid1 sdc1[2](S) sdb1[1] sda1[0](F)\n      1048512 blocks super 1.2 [2/1] [_U]\n      \
        [=>...]  recovery =  9.9% (1/9) finish=1min speed=1K/sec\n\n\
        md1 : active raid0 sdd1[0] sde1[1]\n      2096128 blocks super 1.2 512k chunks\n\n\
        md2 : inactive sdf1[0](S)\n      1048512 blocks super 1.2\n\nunused devices: <none>\n";

    #[test]
    fn met_03_arrays_are_counted_by_the_state_of_their_disks() {
        let array = |device: &str, active, failed, spare, required| Array {
            device: device.to_owned(),
            active,
            failed,
            spare,
            required,
        };
        assert_eq!(parse(TEXT), [array("md0", 1, 1, 1, 2), array("md1", 2, 0, 0, 2), array("md2", 0, 0, 1, 0)]);
        assert_eq!(parse("Personalities : \nunused devices: <none>\n"), []);
    }
}
