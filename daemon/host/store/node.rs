//! `node.json`: what operators have decided, with a sum over its content, replaced whole, the previous one kept beside.

use super::disk::Disk;
use super::whole;
use reeve_core::NodeRecord;
use std::io;
use std::path::{Path, PathBuf};

/// Where the record is.
#[derive(Debug)]
pub struct NodeFile {
    folder: PathBuf,
    /// The file is there and can be read: it may become the previous one.
    good: bool,
}

impl NodeFile {
    /// Finds the newest record that can be read; everything odd goes to `problems`.
    pub fn open(disk: &dyn Disk, folder: &Path, problems: &mut Vec<String>) -> (Self, NodeRecord) {
        let mut file = Self { folder: folder.to_owned(), good: false };
        // What stands here was never acknowledged. If it cannot go, the next write replaces it.
        let _ = disk.remove(&file.path("node.json.tmp"));
        let present = |record: &Result<Option<NodeRecord>, ()>| matches!(record, Ok(Some(_)));
        let newest = file.load(disk, "node.json", problems);
        file.good = present(&newest);
        if let Ok(Some(record)) = newest {
            return (file, record);
        }
        match file.load(disk, "node.json.prev", problems) {
            Ok(Some(record)) => {
                if newest.is_err() {
                    problems.push(format!("{}: the previous copy is used", file.path("node.json").display()));
                }
                (file, record)
            }
            Ok(None) | Err(()) => (file, NodeRecord::default()),
        }
    }

    /// Replaces the record: a new file, made durable, takes the name in one step.
    pub fn write(&mut self, disk: &dyn Disk, record: &NodeRecord) -> Result<(), String> {
        let (path, fresh) = (self.path("node.json"), self.path("node.json.tmp"));
        let bytes = whole::encode("node", record).map_err(|why| format!("cannot write {}: {why}", path.display()))?;
        let mut steps = || -> io::Result<()> {
            disk.write(&fresh, &bytes)?;
            disk.sync(&fresh)?;
            if std::mem::take(&mut self.good) {
                disk.rename(&path, &self.folder.join("node.json.prev"))?;
            }
            disk.rename(&fresh, &path)?;
            self.good = true;
            disk.sync_folder(&self.folder)
        };
        steps().map_err(|e| format!("cannot write {}: {e}", path.display()))
    }

    fn load(&self, disk: &dyn Disk, name: &str, problems: &mut Vec<String>) -> Result<Option<NodeRecord>, ()> {
        let path = self.path(name);
        let bytes = match disk.read(&path, 0) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                problems.push(format!("cannot read {}: {e}", path.display()));
                return Err(());
            }
        };
        whole::decode("node", &bytes).map(Some).map_err(|why| {
            problems.push(format!("{}: {why}", path.display()));
            super::set_aside(disk, &path, &bytes, problems);
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
