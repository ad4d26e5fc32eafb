//! One `epoll` for the ends of all main processes, itself watched by the runtime.
//!
//! The usual way, one registration with the runtime per descriptor, costs several times the memory and leaves the order
//! of deregistering and closing to drop glue. That order matters: closing a pidfd does not end its registration
//! while a child that is just being made holds a copy. Here a registration is always deleted first, and carries the key
//! of its run, which is never used again, so that no late event can be charged to another.

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Events taken at a time; the loop gets its turn in between.
const BATCH: usize = 64;

/// What a descriptor is to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The pidfd of the main process.
    Main,
    /// Tells whether the program executes.
    Report,
}

/// The descriptors watched.
#[derive(Debug)]
pub(super) struct Watch(Epoll);

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

impl Watch {
    /// A new one, registered with the runtime.
    pub(super) fn register() -> io::Result<AsyncFd<Self>> {
        let watch = Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        // SAFETY: the descriptor is owned by the `Epoll` within, which nothing takes out or replaces.
        let registered = unsafe { AsyncFd::register_with_interest(watch, Interest::READABLE) };
        registered.map_err(Into::into)
    }

    /// Watches the descriptor for the run of this key.
    pub(super) fn add(&self, fd: &OwnedFd, key: u32, what: What) -> Result<(), Errno> {
        let data = u64::from(key) << 1 | u64::from(what == What::Report);
        self.0.add(fd.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, data))
    }

    /// To be called before the descriptor is closed.
    pub(super) fn delete(&self, fd: &OwnedFd) {
        let _ = self.0.delete(fd.as_fd());
    }

    /// What is ready now; empty when nothing is.
    pub(super) fn ready(&self) -> Vec<(u32, What)> {
        let mut events = [EpollEvent::empty(); BATCH];
        let count = self.0.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let ready = events.iter().take(count).map(|e| {
            let what = if e.data() & 1 == 1 { What::Report } else { What::Main };
            (u32::try_from(e.data() >> 1).unwrap_or(u32::MAX), what)
        });
        ready.collect()
    }
}
