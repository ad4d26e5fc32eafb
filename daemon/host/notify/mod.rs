//! Readiness, watchdog and progress: one sd_notify socket per replica.
//!
//! Which replica speaks is told by the socket, not by the pid, so helpers and grandchildren count too; who may speak is
//! told by the kernel's credentials ([`socket::may_speak`]). All of them are read by one task, see [`reader`].

mod parse;
mod reader;

use crate::host::datagram as socket;
use crate::host::fdstore;
use crate::host::launcher::EventSender;
use crate::host::paths::Paths;
use reader::{Reader, Socket};
use reeve_core::{ReplicaId, WorkerName};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::Arc;

const PREFIX: &str = "notify-";

/// The name under which a replica's socket is kept.
fn name_of(replica: &ReplicaId) -> String {
    format!("{PREFIX}{}", replica.file_name())
}

/// The replica whose socket has this name.
fn replica_of(name: &str) -> Option<ReplicaId> {
    let (worker, index) = name.strip_prefix(PREFIX)?.rsplit_once('-')?;
    let index = index.parse().ok().filter(|i| *i > 0)?;
    Some(ReplicaId::new(WorkerName::new(worker).ok()?, index))
}

/// The sockets of all replicas.
#[derive(Debug)]
pub struct NotifySockets {
    paths: Paths,
    events: EventSender,
    /// Reads them, from the first [`NotifySockets::bind`] on.
    reader: Option<Reader>,
    open: BTreeMap<ReplicaId, Arc<Socket>>,
    /// Inherited, and nobody has asked for them yet.
    inherited: BTreeMap<ReplicaId, OwnedFd>,
    /// Looked after once; a thousand starts need not ask again.
    folder_made: bool,
}

impl NotifySockets {
    /// No sockets yet. What workers say goes to `events` as [`reeve_core::LauncherEvent::Notified`].
    pub fn new(paths: &Paths, events: EventSender) -> Self {
        Self {
            paths: paths.clone(),
            events,
            reader: None,
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
            match replica_of(&name) {
                Some(replica) if socket::usable(&fd) => {
                    self.inherited.insert(replica, fd);
                }
                Some(_) => fdstore::let_go(&name),
                None => others.push((name, fd)),
            }
        }
        others
    }

    /// Makes sure that the replica's socket stands and is read; its path goes into `NOTIFY_SOCKET`. The replica runs as
    /// `user`, who may speak there; root and the daemon's own user always may. Needs a running runtime.
    pub fn bind(&mut self, replica: &ReplicaId, user: Option<u32>) -> io::Result<PathBuf> {
        let path = self.paths.notify_socket(replica);
        let stands = std::fs::symlink_metadata(&path).is_ok_and(|m| m.file_type().is_socket());
        if let Some(socket) = self.open.get(replica).filter(|_| stands) {
            socket.set_user(user);
            return Ok(path);
        }
        let inherited = self.inherited.remove(replica);
        let stale = !stands && (inherited.is_some() || self.open.contains_key(replica));
        let kept = inherited.filter(|_| stands);
        let (fd, fresh) = match kept {
            Some(fd) => (fd, false),
            None => {
                if !self.folder_made {
                    path.parent().map_or(Ok(()), socket::make_folder)?;
                    self.folder_made = true;
                }
                (socket::bind(&path)?, true)
            }
        };
        if stale {
            fdstore::let_go(&name_of(replica));
        }
        if fresh {
            fdstore::keep(&name_of(replica), fd.as_fd());
        }
        self.close(replica);
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(Reader::start(self.events.clone())?),
        };
        let socket = reader.add(fd, replica)?;
        socket.set_user(user);
        self.open.insert(replica.clone(), socket);
        Ok(path)
    }

    /// The same for a run that goes on: its socket is the one it knows, and what it has said meanwhile waits there.
    pub fn rebind(&mut self, replica: &ReplicaId, user: Option<u32>) {
        if let Err(error) = self.bind(replica, user) {
            tracing::warn!(%replica, %error, "a notify socket could not be bound again");
        }
    }

    /// Throws away what waits in the replica's queue. To be called before a start: it comes from an earlier run.
    pub fn discard(&self, replica: &ReplicaId) {
        if let (Some(reader), Some(socket)) = (&self.reader, self.open.get(replica)) {
            reader.discard(socket);
        }
    }

    /// Closes and removes the replica's socket.
    pub fn remove(&mut self, replica: &ReplicaId) {
        let known = self.close(replica).is_some() | self.inherited.remove(replica).is_some();
        if known {
            fdstore::let_go(&name_of(replica));
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
        self.reader.as_ref().map_or(0, Reader::ignored)
    }

    fn close(&mut self, replica: &ReplicaId) -> Option<Arc<Socket>> {
        let socket = self.open.remove(replica)?;
        if let Some(reader) = &self.reader {
            reader.remove(&socket);
        }
        Some(socket)
    }
}

#[cfg(test)]
mod tests;
