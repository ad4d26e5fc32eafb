//! The slow half of storing: fsync of what was appended and rewriting of logs that have grown. Made to run beside the
//! loop, on a blocking thread, one at a time, at most once a second.
//!
//! ```text
//! loop:    sync_due() ──► SyncJob ─ ─ ─ ─ ─ ─ ─ ─ ► SyncDone ──► synced(): tail over, rename
//! thread:                 run(): fsync, rewrite + fsync
//! ```
//!
//! While the job rewrites a log into a file beside it, entries go on being appended to the old file. `synced` moves those
//! over before the new file takes the name, so at every instant the name leads to a file that holds every acknowledged
//! entry.

use super::disk::Disk;
use super::log::{Count, Replay};
use super::{Log, Store};
use reeve_core::{Mono, ReplicaId};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Between two batched fsyncs.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Which log: a log that was removed and begun anew has another number.
#[derive(Debug, Clone)]
struct Which {
    replica: ReplicaId,
    path: PathBuf,
    number: u64,
}

/// What is to be done.
#[derive(Debug)]
pub struct SyncJob {
    disk: Arc<dyn Disk>,
    folder: Option<PathBuf>,
    files: Vec<Which>,
    /// With the length up to which it is rewritten.
    wasteful: Vec<(Which, u64)>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct SyncDone {
    folder_failed: bool,
    failed: Vec<Which>,
    rewritten: Vec<Rewritten>,
    problems: Vec<String>,
}

/// A shorter log that stands ready beside the old one.
#[derive(Debug)]
struct Rewritten {
    which: Which,
    /// What of the old file is in it.
    upto: u64,
    length: u64,
    count: Count,
}

impl SyncJob {
    /// Does it; blocks.
    pub fn run(self) -> SyncDone {
        let mut done = SyncDone::default();
        for which in self.files {
            if let Err(e) = self.disk.sync(&which.path) {
                done.complain("sync", &which.path, &e);
                done.failed.push(which);
            }
        }
        if let Some(folder) = &self.folder
            && let Err(e) = self.disk.sync_folder(folder)
        {
            done.complain("sync", folder, &e);
            done.folder_failed = true;
        }
        for (which, upto) in self.wasteful {
            match rewrite(&*self.disk, &which.path, upto) {
                Ok((length, count)) => done.rewritten.push(Rewritten { which, upto, length, count }),
                Err(e) => done.complain("shorten", &which.path, &e),
            }
        }
        done
    }
}

impl SyncDone {
    fn complain(&mut self, what: &str, path: &Path, error: &io::Error) {
        // Removed meanwhile: nothing to keep.
        if error.kind() != io::ErrorKind::NotFound {
            self.problems.push(format!("cannot {what} {}: {error}", path.display()));
        }
    }
}

impl Store {
    /// When [`Store::sync_due`] will have something to do, if it has.
    pub fn next_sync(&self) -> Option<Mono> {
        (!self.syncing && (self.dirty || self.folder_dirty)).then_some(self.next_sync)
    }

    /// What is due, to be run on a blocking thread and handed to [`Store::synced`].
    pub fn sync_due(&mut self, now: Mono) -> Option<SyncJob> {
        if self.next_sync().is_none_or(|at| at > now) {
            return None;
        }
        self.next_sync = now + SYNC_EVERY;
        Some(self.job())
    }

    /// Everything to stable storage, now; blocks. For the end of the daemon.
    pub fn flush(&mut self) -> Result<(), String> {
        let mut result = Ok(());
        // Rewriting makes the folder dirty again.
        for _ in 0..3 {
            if self.next_sync().is_none() {
                return result;
            }
            let done = self.job().run();
            result = self.synced(done);
        }
        result
    }

    fn job(&mut self) -> SyncJob {
        self.syncing = true;
        let mut job = SyncJob {
            disk: Arc::clone(&self.disk),
            folder: std::mem::take(&mut self.folder_dirty).then(|| self.runs.clone()),
            files: Vec::new(),
            wasteful: Vec::new(),
        };
        if !std::mem::take(&mut self.dirty) {
            return job;
        }
        for (replica, log) in &mut self.logs {
            let which = || Which {
                replica: replica.clone(),
                path: self.runs.join(format!("{}.log", replica.file_name())),
                number: log.number,
            };
            if log.count.is_wasteful() && !log.torn {
                job.wasteful.push((which(), log.length));
            }
            // Cleared now, not when done: what is appended meanwhile makes it dirty again.
            if log.dirty {
                job.files.push(which());
                log.dirty = false;
            }
        }
        job
    }

    /// Takes in what a [`SyncJob`] has done. An error names what could not be made durable; it is tried again.
    pub fn synced(&mut self, done: SyncDone) -> Result<(), String> {
        self.syncing = false;
        self.folder_dirty |= done.folder_failed;
        for which in &done.failed {
            if let Some(log) = log_of(&mut self.logs, which) {
                log.dirty = true;
                self.dirty = true;
            }
        }
        let mut problems = done.problems;
        for rewritten in done.rewritten {
            let path = &rewritten.which.path;
            if let Err(e) = self.replace(&rewritten) {
                problems.push(format!("cannot shorten {}: {e}", path.display()));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// The rewritten log takes the name, with everything that was appended since.
    fn replace(&mut self, rewritten: &Rewritten) -> io::Result<()> {
        let path = &rewritten.which.path;
        let fresh = beside(path);
        let Some(log) = log_of(&mut self.logs, &rewritten.which) else {
            return self.disk.remove(&fresh);
        };
        let later = self.disk.read(path, rewritten.upto)?;
        if !later.is_empty() && self.disk.append(&fresh, &later)? < later.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.rename(&fresh, path)?;
        self.folder_dirty = true;
        log.length = rewritten.length + later.len() as u64;
        log.count = rewritten.count;
        log.count.add_all(Replay::of(&later).count);
        // What was moved over has been synced nowhere yet.
        log.dirty |= !later.is_empty();
        self.dirty |= log.dirty;
        Ok(())
    }
}

fn log_of<'a>(logs: &'a mut BTreeMap<ReplicaId, Log>, which: &Which) -> Option<&'a mut Log> {
    logs.get_mut(&which.replica).filter(|log| log.number == which.number)
}

/// The file beside a log.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}

fn rewrite(disk: &dyn Disk, path: &Path, upto: u64) -> io::Result<(u64, Count)> {
    let mut bytes = disk.read(path, 0)?;
    bytes.truncate(usize::try_from(upto).unwrap_or(usize::MAX));
    let (bytes, count) = Replay::of(&bytes).compacted().map_err(io::Error::other)?;
    let fresh = beside(path);
    disk.write(&fresh, &bytes)?;
    disk.sync(&fresh)?;
    Ok((bytes.len() as u64, count))
}
