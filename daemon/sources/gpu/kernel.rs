//! XIDs in the kernel's log: some reach nothing else. Read by a journalctl that follows it while NVML is held, also
//! while NVML hangs, which is when they matter.

use super::shared::Shared;
use super::xid::{Seen, seen};
use crate::host::threads;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// The program that follows the log. Ends with it.
#[derive(Debug)]
pub(super) struct Kernel(Child);

impl Kernel {
    /// Starts it; `None` where there is no journal. `cards`: number, UUID and PCI address.
    pub(super) fn follow(journal: &Path, cards: Vec<(u32, String, String)>, shared: &Arc<Shared>) -> Option<Self> {
        let mut command = Command::new(journal);
        command.args(["--dmesg", "--follow", "--lines=0", "--output=cat", "--no-pager", "--quiet", "--grep=NVRM: Xid"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let lines = BufReader::new(child.stdout.take()?).lines();
        let shared = Arc::clone(shared);
        let read = move || {
            for line in lines.map_while(Result::ok) {
                let Some((address, xid)) = parse(&line) else { continue };
                if let Some((index, uuid, _)) = cards.iter().find(|(_, _, bus_id)| same(bus_id, address)) {
                    seen(&shared, *index, uuid, xid, Seen::Kernel);
                }
            }
        };
        if let Err(error) = threads::named("gpu-kernel").spawn(read) {
            tracing::warn!(%error, "XIDs in the kernel's log cannot be followed");
        }
        Some(Self(child))
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // Its reader ends with its output.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// PCI address and number in `NVRM: Xid (PCI:0000:1b:00): 79, pid=…, …`.
fn parse(line: &str) -> Option<(&str, u32)> {
    let (_, rest) = line.split_once("NVRM: Xid (PCI:")?;
    let (address, rest) = rest.split_once("): ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((address, rest.get(..end)?.parse().ok()?))
}

/// Whether both are the same card: the kernel leaves out the function, and writes the domain with four digits.
fn same(bus_id: &str, address: &str) -> bool {
    fn parts(text: &str) -> Option<[u32; 3]> {
        let text = text.split('.').next()?;
        let mut numbers = text.split(':').map(|part| u32::from_str_radix(part, 16).ok());
        Some([numbers.next()??, numbers.next()??, numbers.next()??])
    }
    parts(bus_id).is_some_and(|mine| parts(address) == Some(mine))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MET-21: as the driver writes them, with a process and without.
    #[test]
    fn met_21_xids_are_read_from_the_kernels_log() {
        let fallen = "NVRM: Xid (PCI:0000:1b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.";
        assert_eq!(parse(fallen), Some(("0000:1b:00", 79)));
        assert_eq!(parse("NVRM: Xid (PCI:0001:9a:00): 31, pid=4711, Ch 00000008"), Some(("0001:9a:00", 31)));
        assert_eq!(parse("NVRM: GPU at PCI:0000:1b:00: GPU-5ee0f1c2"), None);
        assert_eq!(parse("NVRM: Xid (PCI:0000:1b:00): many"), None);
        assert!(same("00000000:1B:00.0", "0000:1b:00") && !same("00000000:1C:00.0", "0000:1b:00"));
        assert!(!same("00000001:1B:00.0", "0000:1b:00") && !same("", ""));
    }
}
