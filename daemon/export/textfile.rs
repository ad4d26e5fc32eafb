//! The page as a file for node_exporter's textfile collector (INT-07).
//!
//! Written beside and renamed, so that a reader never sees half of it; removed at the end, since a file that stays would
//! go on telling old numbers. `node_*` and `process_*` stay out: the reader has its own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often it is written.
pub(super) const PERIOD: Duration = Duration::from_secs(15);
/// Everybody may read it.
const MODE: u32 = 0o644;

/// Families that the reader brings itself.
pub(super) const THEIRS: &[&str] = &["node_", "process_"];

/// Replaces the file.
pub(super) fn write(path: &Path, page: &str) -> Result<(), String> {
    let beside = beside(path);
    let done = put(&beside, page).and_then(|()| fs::rename(&beside, path));
    done.map_err(|e| {
        // What is left of the attempt must not be taken for a page.
        let _ = fs::remove_file(&beside);
        format!("cannot write {}: {e}", path.display())
    })
}

/// Takes the file away.
pub(super) fn remove(path: &Path) {
    // It is gone already, or its folder is.
    let _ = fs::remove_file(path);
}

fn put(path: &Path, page: &str) -> io::Result<()> {
    // Something that an earlier life left, or somebody laid there: never written through.
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.write_all(page.as_bytes())
}

/// The collector reads only what ends with `.prom`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// INT-07: replaced whole, readable by all, nothing left beside it.
    #[test]
    fn int_07_the_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reeve.prom");
        fs::write(dir.path().join("reeve.prom.new"), "half").unwrap();
        for page in ["a 1\n", "a 2\n"] {
            write(&path, page).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), page);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        remove(&path);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let missing = dir.path().join("no/reeve.prom");
        assert!(write(&missing, "a 1\n").unwrap_err().starts_with("cannot write"));
    }
}
