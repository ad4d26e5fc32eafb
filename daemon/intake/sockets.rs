//! The DogStatsD sockets as files: one per replica, made by the loop before the worker starts.
//!
//! They do not outlive the daemon as the notify sockets do: what is sent while there is none is lost, and a client of
//! the socket that was there before connects again, as they do.

use crate::host::datagram;
use crate::host::paths::Paths;
use reeve_core::ReplicaId;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Which stand.
#[derive(Debug)]
pub(super) struct Sockets {
    paths: Paths,
    bound: BTreeSet<ReplicaId>,
}

impl Sockets {
    pub(super) fn new(paths: &Paths) -> Self {
        Self { paths: paths.clone(), bound: BTreeSet::new() }
    }

    /// Makes sure that it stands. `Some`: it was made, and is to be read.
    pub(super) fn bind(&mut self, replica: &ReplicaId) -> io::Result<Option<OwnedFd>> {
        let path = self.paths.statsd_socket(replica);
        let stands = || std::fs::symlink_metadata(&path).is_ok_and(|m| m.file_type().is_socket());
        if self.bound.contains(replica) && stands() {
            return Ok(None);
        }
        let fd = datagram::bind(&path)?;
        self.bound.insert(replica.clone());
        Ok(Some(fd))
    }

    pub(super) fn remove(&mut self, replica: &ReplicaId) {
        if self.bound.remove(replica) {
            self.unlink(&self.paths.statsd_socket(replica));
        }
    }

    /// Removes those that nobody has asked for.
    pub(super) fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(self.paths.statsd_folder()) else {
            return;
        };
        let ours: BTreeSet<_> = self.bound.iter().map(|replica| self.paths.statsd_socket(replica)).collect();
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| !ours.contains(path)) {
            self.unlink(&path);
        }
    }

    fn unlink(&self, path: &Path) {
        if let Err(error) = datagram::remove_if_there(path) {
            tracing::warn!(path = %path.display(), %error, "a socket for metrics could not be removed");
        }
    }
}
