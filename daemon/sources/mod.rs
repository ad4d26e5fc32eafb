//! Reading this machine: one file per source, each of which returns samples or says why it has none.
//!
//! ```text
//!                 ┌ base, 5 s: cpu memory vmstat load pressure disk network filefd conntrack timex time
//! thread sources ─┤            workers (cgroups of living runs)        filesystem ── one thread per mount
//!                 └ slow, 60 s: hardware mdstat bonding edac numa host
//!        │
//!        └──Report──► the loop
//! ```
//!
//! All samples of a tick are of one instant. A source that fails says so in its report and stops nobody; one that the
//! host does not have returns nothing. Files that are read each tick stay open ([`files`]). Nothing here walks the
//! processes of the host: the cost grows with the workers.
//!
//! Cards are read through NVML on threads of their own: [`gpu`].

mod bonding;
mod cgroup;
mod config;
mod cpu;
mod disk;
mod edac;
mod fields;
mod filefd;
mod files;
mod filesystem;
pub mod gpu;
mod hardware;
mod host;
mod load;
mod mdstat;
mod memory;
mod mountinfo;
mod mounts;
mod network;
mod numa;
mod pressure;
mod rows;
mod schedule;
mod timex;
mod workers;

pub use config::{SourcesConfig, Space};
pub use workers::WorkersHandle;

use crate::host::threads;
use files::Scratch;
use reeve_core::Now;
use reeve_core::metrics::{Report, Samples};
use schedule::Schedule;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use tokio::sync::mpsc::UnboundedSender;

/// One source.
trait Source: Send {
    /// Its name in reports and in `reeve_source_*`.
    fn name(&self) -> &'static str;

    /// Sets off what goes on elsewhere while the other sources of the tick look.
    fn begin(&mut self, now: Now, scratch: &mut Scratch) {
        let _ = (now, scratch);
    }

    /// Looks once. Nothing to report is an empty set, not an error.
    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String>;
}

/// What a look is given.
struct Look<'a> {
    /// The instant of the tick.
    now: Now,
    /// Room to read into.
    scratch: &'a mut Scratch,
    /// Whether the time that the source may take is used up: it stops then, with what it has.
    spent: &'a dyn Fn() -> bool,
}

/// The running sources. They stop after the look in hand when this is dropped.
#[derive(Debug)]
pub struct Sources {
    _stop: mpsc::Sender<()>,
}

/// Starts looking, at once and then in the lanes' periods, on a thread of its own (MET-01 to MET-04).
pub fn start(config: SourcesConfig, reports: UnboundedSender<Report>, workers: WorkersHandle) -> io::Result<Sources> {
    let (stop, stopped) = mpsc::channel();
    let mut schedule = Schedule::new(&config, workers);
    let run = move || {
        loop {
            let wait = schedule.tick(&mut |report| reports.send(report).is_ok());
            let Some(wait) = wait else { return };
            if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    };
    threads::named("sources").spawn(run)?;
    Ok(Sources { _stop: stop })
}
