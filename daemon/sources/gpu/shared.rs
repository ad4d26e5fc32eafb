//! What the threads of the source share: stamps, counts, the runs that live. Locks are held for a copy, never over a
//! call into NVML.

use super::calls::CallBook;
use super::join::Places;
use super::xid::XidBook;
use super::{Options, Outlet};
use crate::host::clock::Clock;
use crate::host::lock::lock;
use reeve_core::gpu::{Hold, Inventory};
use reeve_core::metrics::{Report, Samples};
use reeve_core::{Mono, Wall};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The lanes of the NVML thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Fast,
    Process,
    Slow,
}

impl Lane {
    pub(super) const ALL: [Lane; 3] = [Lane::Fast, Lane::Process, Lane::Slow];

    /// The word in labels.
    pub(super) fn word(self) -> &'static str {
        match self {
            Lane::Fast => "fast",
            Lane::Process => "process",
            Lane::Slow => "slow",
        }
    }

    /// The source its samples are reported as.
    pub(super) fn source(self) -> &'static str {
        match self {
            Lane::Fast => "gpu_fast",
            Lane::Process => "gpu_process",
            Lane::Slow => "gpu_slow",
        }
    }
}

/// The stamps of a lane.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    /// How often it looks, as it is now.
    pub period: Duration,
    /// When it last ended, or since when it should have looked.
    pub ended: Mono,
    /// How long it took.
    pub took: Option<Duration>,
    /// It ended well.
    pub ok: bool,
    /// When it last ended well.
    pub last_ok: Option<Wall>,
}

/// All that is shared.
pub(super) struct Shared {
    outlet: Arc<dyn Outlet>,
    pub calls: Mutex<CallBook>,
    pub xids: Mutex<XidBook>,
    stamps: Mutex<[Stamp; 3]>,
    hold: Mutex<Hold>,
    last: Mutex<Option<Inventory>>,
    /// The session is asked to look at its commands.
    interrupted: AtomicBool,
    ending: AtomicBool,
    changed: (Mutex<u64>, Condvar),
    pub periods: super::Periods,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("stamps", &self.stamps).field("hold", &self.hold).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(options: &Options, outlet: Arc<dyn Outlet>) -> Self {
        let now = Clock::now().mono;
        let periods = options.periods;
        let stamp = |period| Stamp { period, ended: now, took: None, ok: false, last_ok: None };
        Self {
            outlet,
            calls: Mutex::default(),
            xids: Mutex::default(),
            stamps: Mutex::new([stamp(periods.fast), stamp(periods.process), stamp(periods.slow)]),
            hold: Mutex::default(),
            last: Mutex::default(),
            interrupted: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            changed: (Mutex::new(0), Condvar::new()),
            periods,
        }
    }

    pub(super) fn places(&self) -> Places {
        Places::new(self.outlet.places())
    }

    /// Somebody has sent a command.
    pub(super) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }

    /// Whether somebody has, since it was last asked.
    pub(super) fn take_interrupt(&self) -> bool {
        self.interrupted.swap(false, Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Calls the watch.
    pub(super) fn wake(&self) {
        *lock(&self.changed.0) += 1;
        self.changed.1.notify_all();
    }

    /// Waits for something to watch, at most so long.
    pub(super) fn watch(&self, seen: &mut u64, at_most: Duration) {
        let guard = lock(&self.changed.0);
        let quiet = |count: &mut u64| *count == *seen && !self.is_ending();
        let (count, _) =
            self.changed.1.wait_timeout_while(guard, at_most, quiet).unwrap_or_else(PoisonError::into_inner);
        *seen = *count;
    }

    pub(super) fn stamps(&self) -> [Stamp; 3] {
        lock(&self.stamps).clone()
    }

    /// A look of a lane has ended. Returns how long the lane waits from now: one that takes over 5 % of the time waits
    /// longer, at most ten times as long.
    pub(super) fn stamp(&self, lane: Lane, began: Instant, ok: bool) -> Duration {
        let took = began.elapsed();
        let configured = match lane {
            Lane::Fast => self.periods.fast,
            Lane::Process => self.periods.process,
            Lane::Slow => self.periods.slow,
        };
        let now = Clock::now();
        let mut stamps = lock(&self.stamps);
        let [fast, process, slow] = &mut *stamps;
        let stamp = match lane {
            Lane::Fast => fast,
            Lane::Process => process,
            Lane::Slow => slow,
        };
        let period = configured.max((took * 20).min(configured * 10));
        let last_ok = if ok { Some(now.wall) } else { stamp.last_ok };
        *stamp = Stamp { period, ended: now.mono, took: Some(took), ok, last_ok };
        period
    }

    /// A hold begins: no lane is overdue yet.
    pub(super) fn begin(&self) {
        let now = Clock::now().mono;
        lock(&self.stamps).iter_mut().for_each(|s| (s.ended, s.ok, s.took) = (now, false, None));
    }

    pub(super) fn hold(&self) -> Hold {
        lock(&self.hold).clone()
    }

    pub(super) fn set_hold(&self, hold: Hold) {
        *lock(&self.hold) = hold;
        self.wake();
    }

    /// Samples of one part, looked at from `at` on.
    pub(super) fn tell(&self, source: &'static str, at: Mono, took: Duration, outcome: Result<Samples, String>) {
        self.outlet.report(Report { source, at, took, outcome });
    }

    /// The cards as they are now.
    pub(super) fn inventory(&self, inventory: Inventory) {
        *lock(&self.last) = Some(inventory.clone());
        self.outlet.inventory(inventory);
    }

    /// A card has had an XID of the fatal tier: told at once, as nobody has to be asked for it.
    pub(super) fn fatal_xid(&self, uuid: &str, xid: u32, at: Wall) {
        let told = lock(&self.last).as_mut().and_then(|last| {
            last.cards.iter_mut().find(|c| c.uuid == uuid)?.facts.fatal_xid = Some((xid, at));
            Some(last.clone())
        });
        if let Some(inventory) = told {
            self.outlet.inventory(inventory);
        }
    }

    /// The cards as they were last seen, under another hold.
    pub(super) fn inventory_under(&self, hold: Hold) {
        let mut last = lock(&self.last).clone().unwrap_or_default();
        last.hold = hold;
        last.at = Clock::now().mono;
        self.outlet.inventory(last);
    }
}
