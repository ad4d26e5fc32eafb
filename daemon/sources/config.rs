//! What is looked at, and where it is found.

use crate::host::clock::Clock;
use reeve_core::Now;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What `statvfs` says of a mount.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Space {
    /// Size, bytes.
    pub size: f64,
    /// Free for all but root, bytes.
    pub avail: f64,
    /// Free, bytes.
    pub free: f64,
    /// File nodes.
    pub files: f64,
    /// Free file nodes.
    pub files_free: f64,
}

/// Asks a mount for its space; may hang.
pub type AskSpace = Arc<dyn Fn(&Path) -> io::Result<Space> + Send + Sync>;
/// Reads the clock.
pub type ReadClock = Arc<dyn Fn() -> Now + Send + Sync>;

/// What is looked at, and where it is found. The roots can be moved, so that a fixture tree stands for a host.
#[derive(Clone)]
pub struct SourcesConfig {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/`, for os-release.
    pub root: PathBuf,
    /// Whether the families of node_exporter are looked at (`[metrics] system`).
    pub system: bool,
    /// Whether temperatures, fans and power are (slow buses; off by default).
    pub hardware: bool,
    /// Whether file systems of other hosts are (off by default).
    pub network_filesystems: bool,
    /// Period of the base lane.
    pub base: Duration,
    /// Period of the slow lane.
    pub slow: Duration,
    /// A mount that has not answered after this is stuck.
    pub mount_timeout: Duration,
    /// The clock.
    pub clock: ReadClock,
    /// `statvfs`.
    pub space: AskSpace,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            root: "/".into(),
            system: true,
            hardware: false,
            network_filesystems: false,
            base: Duration::from_secs(5),
            slow: Duration::from_secs(60),
            mount_timeout: Duration::from_secs(5),
            clock: Arc::new(Clock::now),
            space: Arc::new(super::mounts::statvfs),
        }
    }
}

impl fmt::Debug for SourcesConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proc, sys, root, system, hardware, network_filesystems, base, slow, .. } = self;
        f.debug_struct("SourcesConfig")
            .field("roots", &(proc, sys, root))
            .field("what", &(system, hardware, network_filesystems))
            .field("periods", &(base, slow))
            .finish_non_exhaustive()
    }
}
