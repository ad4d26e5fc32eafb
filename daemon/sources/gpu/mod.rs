//! GPUs, through NVML: the only door to nvml-wrapper.
//!
//! ```text
//! Gpu (handle) ──Command──► gpu-nvml: holds NVML, looks in lanes (fast 5 s, process 10 s, slow 60 s)
//!                              │  ├─ gpu-xid: blocks in the event set, ends with the hold
//!                              │  └─ gpu-kernel: reads XIDs that a journalctl follows
//!                              ▼ stamps
//!                           gpu-watch: looks only at the stamps; says so when a lane is overdue
//!                              │
//!                              ▼ Outlet: Report · Inventory
//! ```
//!
//! Nobody waits for NVML but the first two threads: a call that hangs leaves a stamp that grows old, and that is what
//! the watch tells. What a card does not support is left out; a card that is lost leaves the others alone; without a
//! driver the next try comes later and later. [`Gpu::release`] lets go of NVML altogether, for a reset or a new driver.
//!
//! | file | what |
//! |---|---|
//! | `keeper` | the thread: commands, getting hold of NVML, letting go |
//! | `session` | one hold: which lane is due |
//! | `card` · `fast` · `slow` · `links` · `mig` · `gpm` · `process` | what is asked of a card |
//! | `ways` | how cards reach each other |
//! | `calls` | every call: its time, its failures, what it cannot do |
//! | `join` | from a process to its worker |
//! | `xid` · `kernel` | XIDs: by event set, and from the kernel's log |
//! | `watch` · `shared` | the stamps, and who looks at them |

mod calls;
mod card;
mod fast;
mod gpm;
mod join;
mod keeper;
mod kernel;
mod links;
mod mig;
mod process;
mod session;
mod shared;
mod slow;
mod watch;
mod ways;
mod xid;

#[cfg(test)]
mod tests;

pub use join::Place;

use crate::host::threads;
use reeve_core::gpu::Inventory;
use reeve_core::metrics::Report;
use shared::Shared;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// What the source is told once.
#[derive(Debug, Clone)]
pub struct Options {
    /// The library; `None`: where the system keeps it.
    pub nvml: Option<PathBuf>,
    /// Performance samples (GPM).
    pub gpm: bool,
    /// NVLink by link, not only the sum.
    pub nvlink_links: bool,
    /// It was let go of before this daemon: it begins so.
    pub released: bool,
    /// The program that follows the kernel's log, journalctl.
    pub journal: PathBuf,
    /// Where `/proc` and `/sys` and `/dev` are.
    pub root: PathBuf,
    /// How often.
    pub periods: Periods,
}

/// How often each lane looks, and how long a first retry waits.
#[derive(Debug, Clone, Copy)]
pub struct Periods {
    /// Load, memory, power.
    pub fast: Duration,
    /// Process lists.
    pub process: Duration,
    /// Errors, links, slices.
    pub slow: Duration,
    /// Before the second try to get hold of NVML; it doubles, up to twelve times as long.
    pub retry: Duration,
}

impl Default for Periods {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { fast: seconds(5), process: seconds(10), slow: seconds(60), retry: seconds(5) }
    }
}

impl Options {
    /// As the system has it.
    pub fn new(nvml: Option<PathBuf>) -> Self {
        Self {
            nvml,
            released: false,
            journal: PathBuf::from("journalctl"),
            gpm: false,
            nvlink_links: false,
            root: PathBuf::from("/"),
            periods: Periods::default(),
        }
    }
}

/// The rest of the program, as the source sees it. Called from its threads; must not block.
pub trait Outlet: Send + Sync + 'static {
    /// Samples of one part.
    fn report(&self, report: Report);
    /// What there is and how it is.
    fn inventory(&self, inventory: Inventory);
    /// The runs that live now, to know whose a process is.
    fn places(&self) -> Vec<Place>;
}

/// What a caller is told when a release or an acquire is over: nothing, or why not.
pub type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// What the thread can be asked for.
enum Command {
    /// Look at the processes now.
    Look,
    /// Let go of NVML.
    Release(Answer),
    /// Get hold of it again.
    Acquire(Answer),
    /// End.
    End,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Command::Look => "Look",
            Command::Release(_) => "Release",
            Command::Acquire(_) => "Acquire",
            Command::End => "End",
        })
    }
}

/// The source. Dropping it asks the threads to end and waits for none of them.
#[derive(Debug)]
pub struct Gpu {
    commands: Sender<Command>,
    shared: Arc<Shared>,
}

impl Gpu {
    /// Starts the threads. Err: the host has no thread left.
    pub fn start(options: Options, outlet: Arc<dyn Outlet>) -> std::io::Result<Self> {
        let (commands, inbox) = channel();
        let shared = Arc::new(Shared::new(&options, outlet));
        let keeper = keeper::Keeper::new(options, Arc::clone(&shared), inbox);
        threads::named("gpu-nvml").spawn(move || keeper.run())?;
        let watched = Arc::clone(&shared);
        threads::named("gpu-watch").spawn(move || watch::run(&watched))?;
        Ok(Self { commands, shared })
    }

    /// Look at the processes now, not only when it is their turn.
    pub fn look(&self) {
        self.tell(Command::Look);
    }

    /// Lets go of NVML: both threads leave it, its series are withdrawn. Answered when that is done, which a call that
    /// hangs may delay.
    pub fn release(&self, answer: Answer) {
        self.tell(Command::Release(answer));
    }

    /// Gets hold of NVML again; answered with the result of the first try.
    pub fn acquire(&self, answer: Answer) {
        self.tell(Command::Acquire(answer));
    }

    fn tell(&self, command: Command) {
        self.shared.interrupt();
        // The thread is gone only after End; who asks later gets no answer, as its caller is ending too.
        let _ = self.commands.send(command);
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        self.shared.end();
        let _ = self.commands.send(Command::End);
    }
}
