//! A disk in memory for tests: it can be full, broken, and end the process or the power at any single step.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::disk::{Disk, Lock};
use super::{Store, StoreError};
use reeve_core::Restored;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Appends take this many bytes and no more.
    Full(usize),
    /// Nothing can be written.
    ReadOnly,
    /// As [`Fault::Full`], and what was taken cannot be cut off again.
    FullAndStuck(usize),
    /// fsync fails.
    NoSync,
}

/// What a power loss leaves of what was never synced.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// Names given since the last folder sync are kept.
    pub names: bool,
    /// Half of the bytes appended since the last sync are kept.
    pub half: bool,
}

#[derive(Debug, Clone, Default)]
struct File {
    data: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    fault: Option<Fault>,
    /// Steps until the process ends.
    fuse: Option<usize>,
    steps: usize,
}

/// The disk.
#[derive(Debug, Default)]
pub struct FaultDisk(Mutex<State>);

impl FaultDisk {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Opens the store on it.
    pub fn open(self: &Arc<Self>) -> (Store, Restored, Vec<String>) {
        Store::open(Path::new("/s"), Arc::clone(self) as Arc<dyn Disk>).unwrap()
    }

    pub fn set(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// The process will end in the step after so many.
    pub fn end_after(&self, steps: usize) {
        let mut state = self.state();
        state.fuse = Some(steps);
        state.steps = 0;
    }

    /// Steps since `end_after`.
    pub fn steps(&self) -> usize {
        self.state().steps
    }

    /// Another process begins.
    pub fn revive(&self) {
        self.state().fuse = None;
    }

    /// The power fails and comes back.
    pub fn lose_power(&self, loss: Loss) {
        let mut state = self.state();
        if loss.names {
            state.durable_names = state.names.clone();
        }
        state.names = state.durable_names.clone();
        for file in &mut state.files {
            let mut kept = file.durable.clone();
            if let Some(more) = file.data.strip_prefix(file.durable.as_slice())
                && loss.half
            {
                kept.extend_from_slice(&more[..more.len() / 2]);
            }
            (file.data, file.durable) = (kept.clone(), kept);
        }
    }

    /// Content of a file.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let file = *state.names.get(Path::new(path))?;
        Some(state.files[file].data.clone())
    }

    /// Replaces the content of a file behind the store's back, durably.
    pub fn damage(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let file = state.names[Path::new(path)];
        change(&mut state.files[file].data);
        state.files[file].durable = state.files[file].data.clone();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// One step that changes something. `Ok(true)`: the process ends in it, half done.
    fn step(&self) -> io::Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.state();
        state.steps += 1;
        match &mut state.fuse {
            Some(0) => return Err(io::Error::other("the process has ended")),
            Some(left) => *left -= 1,
            None => {}
        }
        let last = state.fuse == Some(0);
        if state.fault == Some(Fault::ReadOnly) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok((state, last))
    }
}

fn ended() -> io::Error {
    io::Error::other("the process has ended")
}

fn done(last: bool) -> io::Result<()> {
    if last { Err(ended()) } else { Ok(()) }
}

impl State {
    fn file(&mut self, path: &Path) -> &mut File {
        let next = self.files.len();
        let index = *self.names.entry(path.to_owned()).or_insert(next);
        if index == next {
            self.files.push(File::default());
        }
        &mut self.files[index]
    }
}

impl Disk for FaultDisk {
    fn lock(&self, _path: &Path) -> Result<Lock, StoreError> {
        Ok(None)
    }

    fn make_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let inside = state.names.keys().filter(|p| p.parent() == Some(folder));
        Ok(inside.map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    fn read(&self, path: &Path, from: u64) -> io::Result<Vec<u8>> {
        let state = self.state();
        let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let data = &state.files[file].data;
        Ok(data.get(from as usize..).unwrap_or_default().to_vec())
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<usize> {
        let (mut state, last) = self.step()?;
        let room = match state.fault {
            Some(Fault::Full(room) | Fault::FullAndStuck(room)) => room.min(bytes.len()),
            _ if last => bytes.len() / 2,
            _ => bytes.len(),
        };
        state.file(path).data.extend_from_slice(&bytes[..room]);
        if last {
            return Err(ended());
        }
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(room)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let (mut state, last) = self.step()?;
        if matches!(state.fault, Some(Fault::FullAndStuck(_))) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if !last {
            state.file(path).data.truncate(length as usize);
        }
        done(last)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (mut state, last) = self.step()?;
        let full = matches!(state.fault, Some(Fault::Full(_) | Fault::FullAndStuck(_)));
        let part = if last || full { bytes.len() / 2 } else { bytes.len() };
        // A file that is written anew keeps nothing durable of the old content.
        let file = state.file(path);
        *file = File { data: bytes[..part].to_vec(), durable: Vec::new() };
        if full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        done(last)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let (mut state, last) = self.step()?;
        if state.fault == Some(Fault::NoSync) {
            return Err(io::Error::from_raw_os_error(5));
        }
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if !last {
            let file = state.file(path);
            file.durable = file.data.clone();
        }
        done(last)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, last) = self.step()?;
        if last {
            return Err(ended());
        }
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let (mut state, last) = self.step()?;
        if !last {
            let inside = |p: &Path| p.parent() == Some(path);
            state.durable_names.retain(|p, _| !inside(p));
            let now: Vec<_> = state.names.iter().filter(|(p, _)| inside(p)).map(|(p, f)| (p.clone(), *f)).collect();
            state.durable_names.extend(now);
        }
        done(last)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (mut state, last) = self.step()?;
        if !last {
            state.names.remove(path);
        }
        done(last)
    }
}
