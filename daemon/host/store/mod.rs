//! Durable state: one append-only log per replica, one record per node.
//!
//! ```text
//! /var/lib/reeve/            0700
//!   lock                     flock: one reeved per folder
//!   node.json, .prev         what operators have decided (replaced whole)
//!   voter.json, .seat         what this node has promised in elections (replaced whole; see [`voter`])
//!   runs/<worker>-<n>.log    one line per entry: crc32, space, JSON
//!   *.damaged                a file that could not be read in full, set aside for people
//! ```
//!
//! An entry is acknowledged once write(2) has taken it: from then on it survives the end of the daemon at any
//! instruction. A crash of the whole host may take the entries since the last batched fsync ([`SyncJob`]); the journal has
//! those too. A disk that is full or broken is never fatal: entries wait in memory, in order, and are written by
//! [`Store::retry`].

pub mod disk;
mod line;
mod log;
mod node;
mod sync;
pub mod voter;
mod waiting;
mod whole;

pub use disk::{Disk, RealDisk};
pub use sync::{SyncDone, SyncJob};

use disk::Lock;
use log::{Count, Replay};
use node::NodeFile;
use reeve_core::{ExitRecord, Mono, NodeRecord, ReplicaId, Restored, RunEntry, RunId, WorkerName};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sync::beside;
use waiting::{Queue, Waiting};

/// Why the state folder cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another reeved uses it.
    #[error("{} is held by another reeved{}", path.display(), pid.map_or_else(String::new, |p| format!(" (pid {p})")))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, as far as known.
        pid: Option<u32>,
    },
    /// The folder or the lock cannot be made.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The state folder.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    runs: PathBuf,
    node: NodeFile,
    node_waiting: Option<NodeRecord>,
    logs: BTreeMap<ReplicaId, Log>,
    waiting: Queue,
    numbers: u64,
    folder_dirty: bool,
    /// Some log is dirty or may be wasteful.
    dirty: bool,
    syncing: bool,
    next_sync: Mono,
    _lock: Lock,
}

/// What is known of a log without reading it.
#[derive(Debug, Default)]
struct Log {
    number: u64,
    length: u64,
    count: Count,
    /// The file may not end in a newline.
    torn: bool,
    dirty: bool,
}

impl Store {
    /// Opens the folder, which no other reeved may use, and reads what is in it. The texts name everything that was
    /// damaged; what could be read is in [`Restored`] all the same.
    pub fn open(folder: &Path, disk: Arc<dyn Disk>) -> Result<(Self, Restored, Vec<String>), StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        disk.make_folder(folder).map_err(io(folder))?;
        let lock = disk.lock(&folder.join("lock"))?;
        let runs = folder.join("runs");
        disk.make_folder(&runs).map_err(io(&runs))?;
        let mut problems = Vec::new();
        let (node, record) = NodeFile::open(&*disk, folder, &mut problems);
        let mut store = Self {
            disk,
            runs,
            node,
            node_waiting: None,
            logs: BTreeMap::new(),
            waiting: Queue::default(),
            numbers: 0,
            folder_dirty: true,
            dirty: true,
            syncing: false,
            next_sync: Mono::default(),
            _lock: lock,
        };
        let mut restored = Restored { node: record, replicas: BTreeMap::new() };
        let names = store.disk.list(&store.runs).map_err(io(&store.runs))?;
        for name in names {
            if name.ends_with(".tmp") {
                // A rewrite that was cut short; the log itself is whole.
                let _ = store.disk.remove(&store.runs.join(&name));
            } else if let Some(replica) = replica_of(&name) {
                let history = store.open_log(&replica, &mut problems);
                restored.replicas.insert(replica, history.history());
            }
        }
        Ok((store, restored, problems))
    }

    fn open_log(&mut self, replica: &ReplicaId, problems: &mut Vec<String>) -> Replay {
        let path = self.path(replica);
        let bytes = self.disk.read(&path, 0).unwrap_or_else(|e| {
            problems.push(format!("cannot read {}: {e}", path.display()));
            Vec::new()
        });
        let replay = Replay::of(&bytes);
        let mut log = Log {
            number: self.number(),
            length: bytes.len() as u64,
            count: replay.count,
            torn: bytes.last().is_some_and(|b| *b != b'\n'),
            dirty: false,
        };
        if replay.damaged > 0 {
            problems.push(format!(
                "{}: {} of {} lines are torn or altered",
                path.display(),
                replay.damaged,
                replay.damaged + replay.count.lines
            ));
            set_aside(&*self.disk, &path, &bytes, problems);
            match self.heal(&path, &bytes) {
                Ok((length, count)) => {
                    (log.length, log.count, log.torn) = (length, count, false);
                }
                Err(e) => problems.push(format!("cannot heal {}: {e}", path.display())),
            }
        }
        self.logs.insert(replica.clone(), log);
        replay
    }

    fn heal(&self, path: &Path, bytes: &[u8]) -> Result<(u64, Count), String> {
        let (bytes, count) = Replay::of(bytes).compacted()?;
        let fresh = beside(path);
        let steps = || -> io::Result<()> {
            self.disk.write(&fresh, &bytes)?;
            self.disk.sync(&fresh)?;
            self.disk.rename(&fresh, path)?;
            self.disk.sync_folder(&self.runs)
        };
        steps().map_err(|e| e.to_string())?;
        Ok((bytes.len() as u64, count))
    }

    /// Appends to the replica's log. An error says why the entry is not on disk; it waits in memory then.
    pub fn append(&mut self, replica: &ReplicaId, entry: &RunEntry) -> Result<(), String> {
        self.append_all(replica, std::slice::from_ref(entry))
    }

    /// Appends several in one go: what belongs together costs one write.
    pub fn append_all(&mut self, replica: &ReplicaId, entries: &[RunEntry]) -> Result<(), String> {
        let mut lines = Vec::with_capacity(entries.len());
        for entry in entries {
            lines.push(line::encode(entry)?);
        }
        // The order counts: nothing overtakes what waits.
        let written = self.write_waiting().and_then(|()| match lines.as_slice() {
            [one] => self.write(replica, one, entries),
            several => self.write(replica, &several.concat(), entries),
        });
        written.map_err(|why| {
            for (line, entry) in lines.into_iter().zip(entries) {
                self.waiting.push(Waiting { replica: replica.clone(), line, entry: entry.clone() });
            }
            format!("{why}; {}", self.waiting_text())
        })
    }

    /// Keeps the end of a run.
    pub fn record(&mut self, record: &ExitRecord) -> Result<(), String> {
        self.append(&record.replica_id(), &RunEntry::Exited(record.clone()))
    }

    /// Keeps the last log lines of an ended run.
    pub fn add_tail(&mut self, replica: &ReplicaId, run: RunId, lines: Vec<String>) -> Result<(), String> {
        let lines = log::trim_tail(lines);
        self.append(replica, &RunEntry::Tail { run, lines })
    }

    /// Replaces the node's record, durably. An error says why not; [`Store::retry`] tries the newest again.
    pub fn persist(&mut self, record: &NodeRecord) -> Result<(), String> {
        let written = self.node.write(&*self.disk, record);
        self.node_waiting = written.is_err().then(|| record.clone());
        written
    }

    /// Writes what waits. An error says what stands in the way still.
    pub fn retry(&mut self) -> Result<(), String> {
        if let Some(record) = self.node_waiting.take() {
            self.persist(&record)?;
        }
        self.write_waiting().map_err(|why| format!("{why}; {}", self.waiting_text()))
    }

    /// Entries and records that wait for a retry.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + usize::from(self.node_waiting.is_some())
    }

    /// The last ended runs with their log lines, newest first.
    pub fn runs(&self, replica: &ReplicaId) -> Vec<ExitRecord> {
        let mut replay = Replay::default();
        if self.logs.contains_key(replica)
            && let Ok(bytes) = self.disk.read(&self.path(replica), 0)
        {
            replay.read(&bytes);
        }
        for waiting in self.waiting.of(replica) {
            replay.read(&waiting.line);
        }
        replay.runs()
    }

    /// Forgets the replica and its past.
    pub fn remove(&mut self, replica: &ReplicaId) -> Result<(), String> {
        self.waiting.remove(replica);
        if self.logs.remove(replica).is_none() {
            return Ok(());
        }
        self.folder_dirty = true;
        let path = self.path(replica);
        self.disk.remove(&path).map_err(|e| format!("cannot remove {}: {e}", path.display()))
    }

    /// Writes what waits, in order, up to the first that cannot be written.
    fn write_waiting(&mut self) -> Result<(), String> {
        let mut queue = std::mem::take(&mut self.waiting);
        let mut result = Ok(());
        while let Some(first) = queue.first() {
            result = self.write(&first.replica, &first.line, std::slice::from_ref(&first.entry));
            if result.is_err() {
                break;
            }
            queue.pop();
        }
        self.waiting = queue;
        result
    }

    fn write(&mut self, replica: &ReplicaId, lines: &[u8], entries: &[RunEntry]) -> Result<(), String> {
        let path = self.path(replica);
        if !self.logs.contains_key(replica) {
            let log = Log { number: self.number(), ..Log::default() };
            self.logs.insert(replica.clone(), log);
            self.folder_dirty = true;
        }
        let Some(log) = self.logs.get_mut(replica) else {
            return Err(format!("{} is not open", path.display()));
        };
        let mut line = Cow::Borrowed(lines);
        if log.torn {
            line.to_mut().insert(0, b'\n');
        }
        let taken = self.disk.append(&path, &line).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        if taken < line.len() {
            // Part of it stands there now. Without it if possible, else on a line of its own.
            if self.disk.truncate(&path, log.length).is_err() {
                log.length += taken as u64;
                log.torn = true;
            }
            return Err(format!("cannot write {}: disk full, {taken} of {} bytes written", path.display(), line.len()));
        }
        log.length += taken as u64;
        log.torn = false;
        log.dirty = true;
        entries.iter().for_each(|entry| log.count.add(entry));
        self.dirty = true;
        Ok(())
    }

    fn waiting_text(&self) -> String {
        let (waiting, lost) = (self.waiting.len(), self.waiting.lost());
        match lost {
            0 => format!("{waiting} entries wait in memory"),
            _ => format!("{waiting} entries wait in memory, {lost} were given up"),
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn path(&self, replica: &ReplicaId) -> PathBuf {
        self.runs.join(format!("{}.log", replica.file_name()))
    }
}

fn replica_of(name: &str) -> Option<ReplicaId> {
    let (worker, index) = name.strip_suffix(".log")?.rsplit_once('-')?;
    let index = index.parse().ok().filter(|i| *i > 0)?;
    Some(ReplicaId::new(WorkerName::new(worker).ok()?, index))
}

/// Keeps a copy of a damaged file for people to look at.
fn set_aside(disk: &dyn Disk, path: &Path, bytes: &[u8], problems: &mut Vec<String>) {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    if let Err(e) = disk.write(Path::new(&aside), bytes) {
        problems.push(format!("cannot set {} aside: {e}", path.display()));
    }
}

#[cfg(test)]
mod fault;
#[cfg(test)]
mod tests;
