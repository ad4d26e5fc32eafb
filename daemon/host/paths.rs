//! Where things are. `--root DIR` moves all of it.

use reeve_core::ReplicaId;
use std::path::{Path, PathBuf};

/// The four folders of Reeve (design: files).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `--root`, `/` without it.
    pub root: PathBuf,
    /// `/etc/reeve`.
    pub etc: PathBuf,
    /// `/usr/lib/reeve`.
    pub vendor: PathBuf,
    /// `/run/reeve`.
    pub run: PathBuf,
    /// `/var/lib/reeve`.
    pub state: PathBuf,
}

impl Paths {
    /// All folders below `root`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            etc: root.join("etc/reeve"),
            vendor: root.join("usr/lib/reeve"),
            run: root.join("run/reeve"),
            state: root.join("var/lib/reeve"),
        }
    }

    /// The private bus socket.
    pub fn bus_socket(&self) -> PathBuf {
        self.run.join("bus")
    }

    /// The replica's notify socket.
    pub fn notify_socket(&self, replica: &ReplicaId) -> PathBuf {
        self.run.join("notify").join(replica.file_name())
    }

    /// Folder of the replicas' DogStatsD sockets.
    pub fn statsd_folder(&self) -> PathBuf {
        self.run.join("metrics")
    }

    /// The replica's DogStatsD socket.
    pub fn statsd_socket(&self, replica: &ReplicaId) -> PathBuf {
        self.statsd_folder().join(replica.file_name())
    }

    /// The replica's own folder (`{runtime_dir}`).
    pub fn runtime_dir(&self, replica: &ReplicaId) -> PathBuf {
        self.run.join("workers").join(replica.file_name())
    }
}
