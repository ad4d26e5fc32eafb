//! Time lost to waiting, from `/proc/pressure`.

use super::fields::{keyed, micros};
use super::files::{Kept, Scratch};
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Family, Labels, Samples};
use std::path::Path;

type Pair = (Option<&'static Family>, Option<&'static Family>);

pub(super) struct Pressure {
    files: [(Kept, Pair); 4],
}

impl Pressure {
    pub(super) fn new(proc: &Path) -> Self {
        let file = |name: &str, some, full| (Kept::new(proc.join("pressure").join(name)), (some, full));
        Self {
            files: [
                // For the CPU, `full` is not defined on a whole host.
                file("cpu", Some(&f::NODE_PRESSURE_CPU_WAITING), None),
                file("memory", Some(&f::NODE_PRESSURE_MEMORY_WAITING), Some(&f::NODE_PRESSURE_MEMORY_STALLED)),
                file("io", Some(&f::NODE_PRESSURE_IO_WAITING), Some(&f::NODE_PRESSURE_IO_STALLED)),
                file("irq", None, Some(&f::NODE_PRESSURE_IRQ_STALLED)),
            ],
        }
    }
}

impl Source for Pressure {
    fn name(&self) -> &'static str {
        "pressure"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        for (file, (some, full)) in &mut self.files {
            let totals = read(file, look.scratch)?;
            for (family, total) in [(some, totals.some), (full, totals.full)] {
                if let Some(family) = family {
                    samples.put_some(family, &Labels::none(), total);
                }
            }
        }
        Ok(samples)
    }
}

/// Seconds in which some, or all, waited.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Totals {
    pub some: Option<f64>,
    pub full: Option<f64>,
}

/// Reads a pressure file; none where the kernel does not account for it.
pub(super) fn read(file: &mut Kept, scratch: &mut Scratch) -> Result<Totals, String> {
    Ok(file.read(scratch)?.map(parse).unwrap_or_default())
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=123`, in microseconds, and the same for `full`.
fn parse(text: &str) -> Totals {
    let total = |what: &str| {
        let line = text.lines().find(|line| line.starts_with(what))?;
        keyed(line, "total").map(micros)
    };
    Totals { some: total("some "), full: total("full ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn met_02_microseconds_become_seconds_and_a_missing_line_is_no_value() {
        let text = "some avg10=0.00 avg60=1.50 avg300=0.00 total=2500000\n";
        assert_eq!(parse(text), Totals { some: Some(2.5), full: None });
        assert_eq!(parse("full avg10=0.00 total=7\n").full, Some(7e-6));
        assert_eq!(parse("some avg10=0.00 total=x"), Totals::default());
    }
}
