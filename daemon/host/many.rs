//! Many descriptors behind one: waiting for any of a thousand sockets costs the runtime one registration and one task.

use super::ready;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::unix::AsyncFd;

/// Descriptors found readable in one go.
const BATCH: usize = 64;

/// Which of them. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Key(u64);

/// Descriptors waited for together (epoll(7)).
#[derive(Debug)]
pub struct Many {
    epoll: Epoll,
    /// The same as the runtime knows it.
    readable: AsyncFd<OwnedFd>,
    last: AtomicU64,
}

impl Many {
    /// None yet. Needs a running runtime.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = ready::readable(epoll.0.try_clone()?)?;
        Ok(Self { epoll, readable, last: AtomicU64::new(0) })
    }

    /// Waits for this one too, until it is removed: closing it is not enough when somebody else holds it as well.
    pub fn add(&self, fd: impl AsFd) -> io::Result<Key> {
        let key = Key(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, key.0))?;
        Ok(key)
    }

    /// Leaves it alone for a while, or waits for it again.
    pub fn rest(&self, fd: impl AsFd, key: Key, rests: bool) {
        let events = if rests { EpollFlags::empty() } else { EpollFlags::EPOLLIN };
        // It is there: it was added, and what is removed is not asked about.
        let _ = self.epoll.modify(fd, &mut EpollEvent::new(events, key.0));
    }

    /// Waits for it no longer.
    pub fn remove(&self, fd: impl AsFd) {
        // That it is not there is what is wanted.
        let _ = self.epoll.delete(fd);
    }

    /// Waits until some can be read: they. One that is not read is named again. Cancelling it loses nothing.
    pub async fn ready(&self) -> Vec<Key> {
        loop {
            let Ok(mut guard) = self.readable.readable().await else {
                // The runtime ends.
                return std::future::pending().await;
            };
            let mut events = [EpollEvent::empty(); BATCH];
            match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
                Ok(0) | Err(_) => guard.clear_ready(),
                Ok(found) => return events.iter().take(found).map(|event| Key(event.data())).collect(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::os::unix::net::UnixDatagram;

    /// Each that can be read is named until it is read, unless it rests or is removed, though somebody else holds it.
    #[tokio::test]
    async fn those_that_can_be_read_are_named() {
        let many = Many::new().unwrap();
        let pairs: Vec<_> = (0..200).map(|_| UnixDatagram::pair().unwrap()).collect();
        let keys: Vec<_> = pairs.iter().map(|(_, reader)| many.add(reader).unwrap()).collect();
        let held_elsewhere = pairs[2].1.try_clone().unwrap();
        for (writer, _) in pairs.iter().take(3) {
            writer.send(b"x").unwrap();
        }
        assert_eq!(many.ready().await, keys[..3]);
        pairs[0].1.recv(&mut [0]).unwrap();
        many.rest(&pairs[1].1, keys[1], true);
        assert_eq!(many.ready().await, [keys[2]]);
        many.remove(&pairs[2].1);
        many.rest(&pairs[1].1, keys[1], false);
        assert_eq!(many.ready().await, [keys[1]]);
        drop(held_elsewhere);
    }
}
