//! `node.json`: what operators have decided, with a sum over its content, replaced whole, the previous one kept beside.

use super::disk::Disk;
use reeve_core::NodeRecord;
use serde_json::{Value, json};
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
        let bytes = encode(record)?;
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
        decode(&bytes).map(Some).map_err(|why| {
            problems.push(format!("{}: {why}", path.display()));
            super::set_aside(disk, &path, &bytes, problems);
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn encode(record: &NodeRecord) -> Result<Vec<u8>, String> {
    let node = serde_json::to_value(record).map_err(|e| format!("cannot write node.json: {e}"))?;
    let sum = format!("{:08x}", crc32fast::hash(node.to_string().as_bytes()));
    let whole = json!({ "version": 1, "crc32": sum, "node": node });
    Ok(format!("{whole:#}\n").into_bytes())
}

/// The sum is over the content as this program writes it, so a person may look at the file with any tool, but an edit
/// shows.
fn decode(bytes: &[u8]) -> Result<NodeRecord, String> {
    let whole: Value = serde_json::from_slice(bytes).map_err(|e| format!("is torn: {e}"))?;
    let node = whole.get("node").ok_or("has no record")?;
    let sum = whole.get("crc32").and_then(Value::as_str).unwrap_or("none");
    let found = format!("{:08x}", crc32fast::hash(node.to_string().as_bytes()));
    if sum != found {
        return Err(format!("has checksum {found}, expected {sum}"));
    }
    serde_json::from_value(node.clone()).map_err(|e| format!("cannot be understood: {e}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_an_edit_shows() {
        let mut record = NodeRecord::default();
        record.stopped.insert("web/2".parse().unwrap(), "by alice".to_owned());
        record.next_operation = 7;
        let text = String::from_utf8(encode(&record).unwrap()).unwrap();
        assert_eq!(decode(text.as_bytes()), Ok(record));
        let edited = text.replace("alice", "mallory");
        assert!(decode(edited.as_bytes()).unwrap_err().contains("checksum"));
        assert!(decode(&text.as_bytes()[..40]).unwrap_err().contains("torn"));
    }

    #[test]
    fn fields_of_a_newer_version_are_passed_over() {
        let node = json!({ "drained": "moving house", "moon_phase": "full" });
        let sum = format!("{:08x}", crc32fast::hash(node.to_string().as_bytes()));
        let whole = json!({ "version": 9, "crc32": sum, "node": node, "more": 1 });
        let record = decode(whole.to_string().as_bytes()).unwrap();
        assert_eq!(record.drained.as_deref(), Some("moving house"));
    }
}
