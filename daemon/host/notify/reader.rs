//! Reading the sockets: one task for all. A worker that floods its socket is read slowly and its messages are merged: the
//! kernel then makes the worker wait, not us.

use super::parse::{self, Message};
use crate::host::clock::until;
use crate::host::datagram::{self, Buffer};
use crate::host::launcher::EventSender;
use crate::host::lock::lock;
use crate::host::many::{Key, Many};
use reeve_core::{LauncherEvent, Notification, ReplicaId};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Messages a socket may send within a second before it is read slowly.
const FREE: u32 = 50;
/// Pause between two reads of a flooded socket.
const PAUSE: Duration = Duration::from_millis(20);
/// Messages read in one go.
const BURST: u32 = 32;
/// No user was named.
const NOBODY: u32 = u32::MAX;

/// The socket of one replica.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    key: Key,
    replica: ReplicaId,
    uid: AtomicU32,
}

impl Socket {
    /// Whom the replica runs as.
    pub(super) fn user(&self) -> Option<u32> {
        Some(self.uid.load(Ordering::Relaxed)).filter(|uid| *uid != NOBODY)
    }

    /// For a test to hand on, as the service manager would.
    #[cfg(test)]
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(super) fn set_user(&self, user: Option<u32>) {
        self.uid.store(user.unwrap_or(NOBODY), Ordering::Relaxed);
    }
}

/// The task; ends with this.
#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    many: Many,
    sockets: Mutex<BTreeMap<Key, Arc<Socket>>>,
    buffer: Mutex<Buffer>,
    ignored: AtomicU64,
}

impl Reader {
    /// Starts it. Needs a running runtime.
    pub(super) fn start(events: EventSender) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            many: Many::new()?,
            sockets: Mutex::default(),
            buffer: Mutex::new(Buffer::new()),
            ignored: AtomicU64::new(0),
        });
        let task = tokio::spawn(read(Arc::clone(&shared), events)).abort_handle();
        Ok(Self { shared, task })
    }

    /// Reads this one too.
    pub(super) fn add(&self, fd: OwnedFd, replica: &ReplicaId) -> io::Result<Arc<Socket>> {
        let key = self.shared.many.add(&fd)?;
        let socket = Arc::new(Socket { fd, key, replica: replica.clone(), uid: AtomicU32::new(NOBODY) });
        lock(&self.shared.sockets).insert(key, Arc::clone(&socket));
        Ok(socket)
    }

    /// Reads it no more. The service manager may hold it as well, so that closing it would not be enough.
    pub(super) fn remove(&self, socket: &Socket) {
        self.shared.many.remove(&socket.fd);
        lock(&self.shared.sockets).remove(&socket.key);
    }

    /// Throws away what waits there.
    pub(super) fn discard(&self, socket: &Socket) {
        let mut buffer = lock(&self.shared.buffer);
        while datagram::receive(&socket.fd, &mut buffer).is_ok() {}
    }

    /// Datagrams thrown away because of what they were.
    pub(super) fn ignored(&self) -> u64 {
        self.shared.ignored.load(Ordering::Relaxed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn socket(&self, key: Key) -> Option<Arc<Socket>> {
        lock(&self.sockets).get(&key).cloned()
    }

    /// Takes one datagram; `None`: there is nothing in it for us.
    fn take(&self, socket: &Socket) -> io::Result<Option<Box<Notification>>> {
        let mut buffer = lock(&self.buffer);
        let got = datagram::receive(&socket.fd, &mut buffer)?;
        let heard = got.sender.is_some_and(|who| datagram::may_speak(who, socket.user(), &socket.replica.unit()));
        match got.text.filter(|_| heard).map(parse::parse) {
            Some(Message::Says(says)) => return Ok(Some(says)),
            Some(Message::Nothing) => {}
            Some(Message::Garbage) | None => {
                self.ignored.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(None)
    }

    /// Reads a burst. Returns how many datagrams there were, and whether the socket could be read.
    fn burst(&self, socket: &Socket, events: &EventSender) -> (u32, bool) {
        let tell = |message: Box<Notification>| {
            let replica = socket.replica.clone();
            let message = *message;
            // Nobody listens only while the daemon ends.
            let _ = events.send(LauncherEvent::Notified { replica, message });
        };
        let mut said: Option<Box<Notification>> = None;
        let (mut count, mut whole) = (0, true);
        while count < BURST {
            match self.take(socket) {
                Ok(next) => {
                    count += 1;
                    let Some(next) = next else { continue };
                    let merged = said.as_mut().is_some_and(|it| parse::merge(it, &next));
                    if !merged {
                        said.replace(next).into_iter().for_each(&tell);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::debug!(replica = %socket.replica, %error, "a notification could not be read");
                    whole = false;
                    break;
                }
            }
        }
        said.into_iter().for_each(&tell);
        (count, whole)
    }
}

/// Reads all sockets until it is aborted or the daemon ends.
async fn read(shared: Arc<Shared>, events: EventSender) {
    // Who has said how much since when, within the last second or so.
    let mut pace: BTreeMap<Key, (Instant, u32)> = BTreeMap::new();
    let mut resting: VecDeque<(Instant, Key)> = VecDeque::new();
    loop {
        let rested = resting.front().map(|(until, _)| *until);
        // Each arm waits and does nothing else: cancelling one loses nothing.
        tokio::select! {
            keys = shared.many.ready() => {
                let now = Instant::now();
                pace.retain(|_, (since, _)| now - *since <= Duration::from_secs(1));
                for key in keys {
                    let Some(socket) = shared.socket(key) else { continue };
                    let (read, whole) = shared.burst(&socket, &events);
                    let (_, count) = pace.entry(key).or_insert((now, 0));
                    *count += read;
                    if !whole || *count > FREE {
                        shared.many.rest(&socket.fd, key, true);
                        resting.push_back((now + PAUSE, key));
                    }
                }
            }
            () = until(rested) => {
                if let Some((_, key)) = resting.pop_front()
                    && let Some(socket) = shared.socket(key)
                {
                    shared.many.rest(&socket.fd, key, false);
                }
            }
        }
    }
}
