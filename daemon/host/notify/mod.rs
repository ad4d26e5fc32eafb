//! Readiness, watchdog and progress: one sd_notify socket per replica.
//!
//! Which replica speaks is told by the socket, not by the pid, so helpers and grandchildren count too; who may speak is
//! told by the kernel's credentials ([`socket::may_speak`]). A worker that floods its socket is read slowly and its
//! messages are merged: the kernel then makes the worker wait, not us.

pub mod fdstore;
mod parse;

use crate::host::datagram::{self as socket, Buffer};
use crate::host::launcher::EventSender;
use crate::host::paths::Paths;
use crate::host::ready;
use parse::Message;
use reeve_core::{LauncherEvent, Notification, ReplicaId};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
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

/// The sockets of all replicas.
#[derive(Debug)]
pub struct NotifySockets {
    paths: Paths,
    events: EventSender,
    shared: Arc<Shared>,
    open: BTreeMap<ReplicaId, (Arc<Socket>, AbortHandle)>,
    /// Inherited, and nobody has asked for them yet.
    inherited: BTreeMap<ReplicaId, OwnedFd>,
    /// Looked after once; a thousand starts need not ask again.
    folder_made: bool,
}

#[derive(Debug)]
struct Shared {
    buffer: Mutex<Buffer>,
    ignored: AtomicU64,
}

#[derive(Debug)]
struct Socket {
    fd: AsyncFd<OwnedFd>,
    replica: ReplicaId,
    uid: AtomicU32,
}

impl NotifySockets {
    /// No sockets yet. What workers say goes to `events` as [`LauncherEvent::Notified`].
    pub fn new(paths: &Paths, events: EventSender) -> Self {
        Self {
            paths: paths.clone(),
            events,
            shared: Arc::new(Shared { buffer: Mutex::new(Buffer::new()), ignored: AtomicU64::new(0) }),
            open: BTreeMap::new(),
            inherited: BTreeMap::new(),
            folder_made: false,
        }
    }

    /// Takes over what [`fdstore::inherited`] gave; returns the descriptors that are not notify sockets. They are read
    /// from the [`NotifySockets::bind`] of their replica on.
    pub fn adopt(&mut self, handed: Vec<(String, OwnedFd)>) -> Vec<(String, OwnedFd)> {
        let mut others = Vec::new();
        for (name, fd) in handed {
            match fdstore::replica_of(&name) {
                Some(replica) if socket::usable(&fd) => {
                    self.inherited.insert(replica, fd);
                }
                Some(replica) => fdstore::let_go(&replica),
                None => others.push((name, fd)),
            }
        }
        others
    }

    /// Makes sure that the replica's socket stands and is read; its path goes into `NOTIFY_SOCKET`. Needs a running
    /// runtime.
    pub fn bind(&mut self, replica: &ReplicaId) -> io::Result<PathBuf> {
        let path = self.paths.notify_socket(replica);
        let stands = std::fs::symlink_metadata(&path).is_ok_and(|m| m.file_type().is_socket());
        if stands && self.open.contains_key(replica) {
            return Ok(path);
        }
        let inherited = self.inherited.remove(replica);
        let stale = !stands && (inherited.is_some() || self.open.contains_key(replica));
        let kept = inherited.filter(|_| stands);
        let (fd, fresh) = match kept {
            Some(fd) => (fd, false),
            None => {
                if !self.folder_made {
                    self.make_folder(&path)?;
                    self.folder_made = true;
                }
                (self.bind_fresh(&path)?, true)
            }
        };
        if stale {
            fdstore::let_go(replica);
        }
        if fresh {
            fdstore::keep(replica, fd.as_fd());
        }
        let uid = self.close(replica).unwrap_or(NOBODY);
        let socket = Arc::new(Socket { fd: ready::readable(fd)?, replica: replica.clone(), uid: AtomicU32::new(uid) });
        let task = tokio::spawn(listen(Arc::clone(&socket), Arc::clone(&self.shared), self.events.clone()));
        self.open.insert(replica.clone(), (socket, task.abort_handle()));
        Ok(path)
    }

    /// The user the replica runs as: he may speak. Root and the daemon's own user always may.
    pub fn set_user(&self, replica: &ReplicaId, uid: Option<u32>) {
        if let Some((socket, _)) = self.open.get(replica) {
            socket.uid.store(uid.unwrap_or(NOBODY), Ordering::Relaxed);
        }
    }

    /// Throws away what waits in the replica's queue. To be called before a start: it comes from an earlier run.
    pub fn discard(&self, replica: &ReplicaId) {
        let Some((socket, _)) = self.open.get(replica) else {
            return;
        };
        let mut buffer = self.shared.buffer();
        while socket::receive(socket.fd.get_ref(), &mut buffer).is_ok() {}
    }

    /// Closes and removes the replica's socket.
    pub fn remove(&mut self, replica: &ReplicaId) {
        let known = self.close(replica).is_some() | self.inherited.remove(replica).is_some();
        if known {
            fdstore::let_go(replica);
            if let Err(error) = socket::remove_if_there(&self.paths.notify_socket(replica)) {
                tracing::warn!(%replica, %error, "a notify socket could not be removed");
            }
        }
    }

    /// Removes inherited sockets nobody has asked for: their workers are gone. To be called once all have been bound.
    pub fn sweep(&mut self) {
        for replica in self.inherited.keys().cloned().collect::<Vec<_>>() {
            self.remove(&replica);
        }
    }

    /// Datagrams thrown away so far: garbage, too long, or from a stranger.
    pub fn ignored(&self) -> u64 {
        self.shared.ignored.load(Ordering::Relaxed)
    }

    fn close(&mut self, replica: &ReplicaId) -> Option<u32> {
        let (socket, task) = self.open.remove(replica)?;
        task.abort();
        Some(socket.uid.load(Ordering::Relaxed))
    }

    fn bind_fresh(&self, path: &std::path::Path) -> io::Result<OwnedFd> {
        match socket::bind(path) {
            // Somebody has tidied up.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_folder(path)?;
                socket::bind(path)
            }
            bound => bound,
        }
    }

    /// Workers of other users must be able to reach their socket through it.
    fn make_folder(&self, path: &std::path::Path) -> io::Result<()> {
        let Some(folder) = path.parent() else {
            return Ok(());
        };
        if !folder.is_dir() {
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        }
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
    }
}

impl Shared {
    fn buffer(&self) -> std::sync::MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one datagram; `None`: there is nothing in it for us.
    fn take(&self, socket: &Socket, fd: &OwnedFd) -> io::Result<Option<Box<Notification>>> {
        let mut buffer = self.buffer();
        let got = socket::receive(fd, &mut buffer)?;
        let uid = Some(socket.uid.load(Ordering::Relaxed)).filter(|uid| *uid != NOBODY);
        let heard = got.sender.is_some_and(|who| socket::may_speak(who, uid, &socket.replica.unit()));
        match got.text.filter(|_| heard).map(parse::parse) {
            Some(Message::Says(says)) => return Ok(Some(says)),
            Some(Message::Nothing) => {}
            Some(Message::Garbage) | None => {
                self.ignored.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(None)
    }
}

/// Reads one socket until it is aborted or the daemon ends.
async fn listen(socket: Arc<Socket>, shared: Arc<Shared>, events: EventSender) {
    let (mut second, mut count) = (Instant::now(), 0);
    let tell = |message: Box<Notification>| {
        let replica = socket.replica.clone();
        let message = *message;
        // Nobody listens only while the daemon ends.
        let _ = events.send(LauncherEvent::Notified { replica, message });
    };
    while let Ok(mut ready) = socket.fd.readable().await {
        let mut said: Option<Box<Notification>> = None;
        let mut broken = false;
        for _ in 0..BURST {
            match ready.try_io(|fd| shared.take(&socket, fd.get_ref())) {
                Ok(Ok(next)) => {
                    count += 1;
                    let Some(next) = next else { continue };
                    let merged = said.as_mut().is_some_and(|it| parse::merge(it, &next));
                    if !merged {
                        said.replace(next).into_iter().for_each(&tell);
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(replica = %socket.replica, %error, "a notification could not be read");
                    broken = true;
                    break;
                }
                Err(_would_block) => break,
            }
        }
        drop(ready);
        said.into_iter().for_each(&tell);
        if second.elapsed() > Duration::from_secs(1) {
            (second, count) = (Instant::now(), 0);
        }
        if broken || count > FREE {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests;
