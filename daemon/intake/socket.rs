//! Reading one DogStatsD socket: in bursts, at a bounded rate, from the worker alone.

use crate::host::datagram::{self, Buffer};
use crate::host::lock::lock;
use crate::host::ready;
use reeve_core::metrics::statsd::Refused;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// Datagrams read in one go.
const BURST: u32 = 64;
/// Datagrams a second before a socket is read slowly: the kernel then makes the worker wait, not us.
const FREE: u32 = 2000;
/// Pause between two bursts of a flooded socket.
const PAUSE: Duration = Duration::from_millis(50);
/// Datagrams read at most of what is left over from a run.
const LEFT: u32 = 4096;

/// One of them.
#[derive(Debug)]
pub(super) struct Socket {
    fd: AsyncFd<OwnedFd>,
    unit: String,
    user: Option<u32>,
    second: Instant,
    count: u32,
    resume: Option<Instant>,
}

/// Room to read into, shared by all.
pub(super) type Shared = Arc<Mutex<Buffer>>;

impl Socket {
    /// Needs a running runtime. `unit`: processes of it may speak.
    pub(super) fn new(fd: OwnedFd, unit: String) -> io::Result<Self> {
        Ok(Self { fd: ready::readable(fd)?, unit, user: None, second: Instant::now(), count: 0, resume: None })
    }

    pub(super) fn set_user(&mut self, user: Option<u32>) {
        self.user = user;
    }

    /// Waits until there is something to read, and it is time to. Cancelling it loses nothing.
    pub(super) async fn wait(&self) {
        if let Some(at) = self.resume {
            tokio::time::sleep_until(at).await;
        }
        if self.fd.readable().await.is_err() {
            // The runtime ends.
            std::future::pending::<()>().await;
        }
    }

    /// Reads a burst.
    pub(super) fn read(&mut self, shared: &Shared, each: impl FnMut(Result<&[u8], Refused>)) {
        let read = self.take(shared, BURST, each);
        if self.second.elapsed() > Duration::from_secs(1) {
            (self.second, self.count) = (Instant::now(), 0);
        }
        self.count += read;
        self.resume = (self.count > FREE).then(|| Instant::now() + PAUSE);
    }

    /// Reads what is there, at the end of a run.
    pub(super) fn drain(&mut self, shared: &Shared, each: impl FnMut(Result<&[u8], Refused>)) {
        self.take(shared, LEFT, each);
    }

    fn take(&mut self, shared: &Shared, most: u32, mut each: impl FnMut(Result<&[u8], Refused>)) -> u32 {
        let mut buffer = lock(shared);
        for read in 0..most {
            let got = self.fd.try_io(Interest::READABLE, |fd| {
                datagram::receive(fd, &mut buffer).map(|got| {
                    let known = got.sender.is_some_and(|who| datagram::may_speak(who, self.user, &self.unit));
                    match got.text {
                        _ if !known => each(Err(Refused::Stranger)),
                        Some(text) => each(Ok(text)),
                        None => each(Err(Refused::TooLong)),
                    }
                })
            });
            if let Err(error) = got {
                if error.kind() != io::ErrorKind::WouldBlock {
                    tracing::debug!(unit = self.unit, %error, "a datagram could not be read");
                }
                return read;
            }
        }
        most
    }
}

/// Waits for something to read; for ever where there is no socket.
pub(super) async fn any(socket: Option<&Socket>) {
    match socket {
        Some(socket) => socket.wait().await,
        None => std::future::pending().await,
    }
}
