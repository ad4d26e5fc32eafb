//! Waiting for a descriptor to become readable or broken: the one place where descriptors are given to the runtime.

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor the runtime watches for something to read. It must be non-blocking. Needs a running runtime.
pub fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    watch(fd, Interest::READABLE)
}

/// A descriptor the runtime watches for errors only: a pipe's write end fails when its last reader has gone.
pub fn broken(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    watch(fd, Interest::ERROR)
}

fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always names the same open descriptor until it is dropped, and `AsyncFd` owns it from here
    // on: it takes it off epoll before it is closed.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}
