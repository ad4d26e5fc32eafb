//! XIDs: a count per card, number and place where it was seen, and when it was seen last.

use super::calls::{Fault, time, unsupported};
use super::shared::Shared;
use crate::host::clock::Clock;
use crate::host::lock::lock;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{EventSet, Nvml};
use reeve_core::Wall;
use reeve_core::gpu::health::{Tier, tier};
use reeve_core::metrics::families::{GPU_XID_ERRORS, GPU_XID_LAST};
use reeve_core::metrics::{Labels, Samples};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The name of the thread, for what is going on.
const THREAD: &str = "gpu-xid";
/// How long one wait lasts; the thread ends within it.
const WAIT_MS: u32 = 1000;
/// The same XID by another way within this span is the same one.
const SAME: Duration = Duration::from_secs(5);

/// Where an XID was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// NVML's event set.
    Nvml,
    /// The kernel's log.
    Kernel,
}

impl Seen {
    fn word(self) -> &'static str {
        match self {
            Seen::Nvml => "nvml",
            Seen::Kernel => "kernel",
        }
    }
}

/// All XIDs of this daemon's life.
#[derive(Debug, Default)]
pub(super) struct XidBook {
    /// By number of the card, UUID and XID.
    entries: BTreeMap<(u32, String, u32), Entry>,
    /// When the present hold began: an older XID says nothing of a card that was reset since.
    since: Wall,
}

#[derive(Debug, Default)]
struct Entry {
    counts: BTreeMap<Seen, u64>,
    last: Wall,
    last_seen: Option<Seen>,
}

impl XidBook {
    /// A new hold on NVML.
    pub(super) fn begin(&mut self, now: Wall) {
        self.since = now;
    }

    /// Counts one; `false` when it was counted already by another way.
    pub(super) fn add(&mut self, index: u32, uuid: &str, xid: u32, seen: Seen, at: Wall) -> bool {
        let entry = self.entries.entry((index, uuid.to_owned(), xid)).or_default();
        let other_way = entry.last_seen.is_some_and(|last| last != seen);
        if other_way && at.0.abs_diff(entry.last.0) < SAME.as_micros() as u64 {
            // Another one by this way is another one again.
            entry.last_seen = None;
            return false;
        }
        *entry.counts.entry(seen).or_default() += 1;
        entry.last = entry.last.max(at);
        entry.last_seen = Some(seen);
        true
    }

    /// The newest XID of the fatal tier since the hold began.
    pub(super) fn fatal(&self, uuid: &str) -> Option<(u32, Wall)> {
        let mine = self.entries.iter().filter(|((_, of, xid), _)| of == uuid && tier(*xid) == Tier::Fatal);
        mine.map(|((_, _, xid), e)| (*xid, e.last)).filter(|(_, at)| *at >= self.since).max_by_key(|(_, at)| *at)
    }

    /// Its families.
    pub(super) fn samples(&self) -> Samples {
        let mut samples = Samples::new();
        for ((index, uuid, xid), entry) in &self.entries {
            let labels = Labels::new(&[("gpu", &index.to_string()), ("uuid", uuid), ("xid", &xid.to_string())]);
            for (seen, count) in &entry.counts {
                samples.put_with(&GPU_XID_ERRORS, &labels.and(&[("source", seen.word())]), *count as f64);
            }
            samples.put_with(&GPU_XID_LAST, &labels, entry.last.0 as f64 / 1e6);
        }
        samples
    }
}

/// Something has been counted: tells it, and the card's health with it.
pub(super) fn seen(shared: &Shared, index: u32, uuid: &str, xid: u32, by: Seen) {
    let began = Clock::now();
    let samples = {
        let mut book = lock(&shared.xids);
        if !book.add(index, uuid, xid, by, began.wall) {
            return;
        }
        book.samples()
    };
    tracing::debug!(gpu = index, uuid, xid, "an XID was seen");
    shared.tell("gpu_xid", began.mono, Duration::ZERO, Ok(samples));
    if tier(xid) == Tier::Fatal {
        shared.fatal_xid(uuid, xid, began.wall);
    }
}

/// Blocks in the event set until the hold ends.
pub(super) fn run(nvml: &Nvml, cards: &[(u32, String)], shared: &Shared, over: &AtomicBool) {
    let mut silent: Vec<&str> = Vec::new();
    while !over.load(Ordering::SeqCst) {
        match register(nvml, cards, &mut silent, shared) {
            Ok(Some(set)) => listen(&set, cards, shared, over),
            // No card tells of events, or NVML is gone: the lanes find that out.
            Ok(None) | Err(Fault::Gone(_)) => return,
            Err(Fault::Lost(_)) => {}
        }
        // A card was lost: the set is made anew without it, and not in a circle.
        let mut left = WAIT_MS;
        while left > 0 && !over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(50));
            left -= 50;
        }
    }
}

/// A set with every card that can tell. `silent` grows by those that cannot.
fn register<'n, 'c>(
    nvml: &'n Nvml,
    cards: &'c [(u32, String)],
    silent: &mut Vec<&'c str>,
    shared: &Shared,
) -> Result<Option<EventSet<'n>>, Fault> {
    'anew: loop {
        let Ok(mut set) = time(shared, THREAD, "nvmlEventSetCreate", || nvml.create_event_set())? else {
            return Ok(None);
        };
        let mut registered = 0;
        for (_, uuid) in cards {
            if silent.contains(&uuid.as_str()) {
                continue;
            }
            let device = time(shared, THREAD, "nvmlDeviceGetHandleByUUID", || nvml.device_by_uuid(uuid.as_str()));
            let added = match device {
                Ok(Ok(device)) => time(shared, THREAD, "nvmlDeviceRegisterEvents", || {
                    device.register_events(EventTypes::CRITICAL_XID_ERROR, set).map_err(|e| e.error)
                }),
                Ok(Err(error)) => Ok(Err(error)),
                Err(fault) => Err(fault),
            };
            match added {
                Ok(Ok(more)) => {
                    set = more;
                    registered += 1;
                }
                Err(Fault::Gone(why)) => return Err(Fault::Gone(why)),
                // The set is freed with the failure.
                Ok(Err(_)) | Err(Fault::Lost(_)) => {
                    silent.push(uuid);
                    continue 'anew;
                }
            }
        }
        return Ok((registered > 0).then_some(set));
    }
}

/// Until a card is lost, NVML is gone, or the hold is over.
fn listen(set: &EventSet<'_>, cards: &[(u32, String)], shared: &Shared, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        // Not timed: it is meant to block.
        match set.wait(WAIT_MS) {
            Ok(event) => {
                let Some(XidError::Value(xid)) = event.event_data else { continue };
                // A card that has fallen off the bus may not say who it is, and then it is the one that is missing.
                let uuid = event.device.uuid().ok();
                let card = uuid.and_then(|uuid| cards.iter().find(|(_, known)| *known == uuid));
                let by_handle = || cards.iter().find(|(_, known)| same(set, known, &event.device));
                let Some((index, uuid)) = card.or_else(by_handle) else { continue };
                seen(shared, *index, uuid, u32::try_from(xid).unwrap_or(u32::MAX), Seen::Nvml);
            }
            Err(NvmlError::Timeout) => {}
            Err(error) => {
                if !unsupported(&error) {
                    tracing::debug!(%error, "the wait for GPU events has failed");
                }
                return;
            }
        }
    }
}

/// Whether a handle is that of this card.
fn same(set: &EventSet<'_>, uuid: &str, device: &nvml_wrapper::Device<'_>) -> bool {
    // SAFETY: the handles are compared, not used.
    set.nvml.device_by_uuid(uuid).is_ok_and(|known| unsafe { known.handle() == device.handle() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// MET-21: the same XID twice counts twice; the same one by two ways counts once.
    #[test]
    fn met_21_each_xid_is_counted_once() {
        let mut book = XidBook::default();
        let at = |s: u64| Wall(s * SECOND);
        assert!(book.add(0, "GPU-a", 79, Seen::Nvml, at(100)));
        assert!(!book.add(0, "GPU-a", 79, Seen::Kernel, at(101)));
        assert!(book.add(0, "GPU-a", 79, Seen::Nvml, at(110)));
        assert!(book.add(0, "GPU-a", 79, Seen::Kernel, at(200)));
        let samples = book.samples();
        let counts = &samples.get("reeve_gpu_xid_errors_total").unwrap().samples;
        let values: Vec<_> = counts.iter().map(|(l, v)| (l.as_str().to_owned(), format!("{v:?}"))).collect();
        assert_eq!(values.len(), 2, "{values:?}");
        assert!(values[0].0.ends_with("source=\"nvml\"") && values[0].1.contains("2.0"), "{values:?}");
        assert!(values[1].0.ends_with("source=\"kernel\"") && values[1].1.contains("1.0"), "{values:?}");
        assert_eq!(book.fatal("GPU-a"), Some((79, at(200))));
        book.begin(at(300));
        assert_eq!(book.fatal("GPU-a"), None);
    }
}
