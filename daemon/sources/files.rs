//! Files of the kernel, read again and again.
//!
//! Opening costs more than reading (notes: read costs), so a file stays open and is read from its beginning each time. It
//! closes with its owner, and with the first error: what it belonged to may have gone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file that was not there is looked for again after this many looks: controllers and modules come late.
const REST: u8 = 12;
/// A file longer than this is not one of ours.
const TOO_LONG: usize = 16 << 20;

/// Room to read into, shared by all files of a thread.
#[derive(Debug)]
pub(super) struct Scratch(Vec<u8>);

/// A file that is read each tick.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    file: Option<File>,
    keep: bool,
    rest: u8,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self(vec![0; 16 << 10])
    }

    fn fill(&mut self, file: &File) -> io::Result<&str> {
        let mut length = 0;
        loop {
            match file.read_at(&mut self.0[length..], length as u64) {
                Ok(0) => break,
                Ok(n) => length += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            if length == self.0.len() {
                if length >= TOO_LONG {
                    return Err(io::Error::other("too long"));
                }
                self.0.resize(length * 2, 0);
            }
        }
        let bytes = &mut self.0[..length];
        if std::str::from_utf8(bytes).is_err() {
            // Names of devices and mounts may hold any bytes.
            bytes.iter_mut().filter(|b| !b.is_ascii()).for_each(|b| *b = b'?');
        }
        std::str::from_utf8(bytes).map_err(io::Error::other)
    }
}

impl Kept {
    /// A file that stays open.
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, keep: true, rest: 0 }
    }

    /// The same, or one that is opened anew each time: when there are more files than descriptors.
    pub(super) fn kept_if(keep: bool, path: impl Into<PathBuf>) -> Self {
        Self { keep, ..Self::new(path) }
    }

    /// All of it; `None` where the host has no such file.
    pub(super) fn read<'a>(&mut self, scratch: &'a mut Scratch) -> Result<Option<&'a str>, String> {
        if self.rest > 0 {
            self.rest -= 1;
            return Ok(None);
        }
        match self.try_read(scratch) {
            Ok(text) => Ok(Some(text)),
            Err(error) => {
                self.file = None;
                if is_absence(&error) {
                    self.rest = REST;
                    return Ok(None);
                }
                Err(format!("{}: {error}", self.path.display()))
            }
        }
    }

    fn try_read<'a>(&mut self, scratch: &'a mut Scratch) -> io::Result<&'a str> {
        if !self.keep {
            return scratch.fill(&File::open(&self.path)?);
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        scratch.fill(self.file.insert(file))
    }
}

/// Not there, gone with what it told of, or not supported: no series, and no error.
fn is_absence(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EOPNOTSUPP | libc::ENXIO | libc::ENOTDIR))
}

/// A short file that is read seldom, without the line break at its end; `None` when it cannot be read, as with a sensor
/// that does not answer.
pub(super) fn line(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

/// A number in such a file.
pub(super) fn number(path: &Path) -> Option<f64> {
    line(path)?.trim().parse().ok()
}

/// Names in a folder that begin so, in order; none when there is no such folder.
pub(super) fn names(folder: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort_by_key(|name| (name.len(), name.clone()));
    names
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn open_files() -> usize {
        fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[test]
    fn a_kept_file_is_read_from_its_beginning_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut scratch = Scratch(vec![0; 4]);
        let mut kept = Kept::new(&path);
        fs::write(&path, "one two three").unwrap();
        assert_eq!(kept.read(&mut scratch).unwrap(), Some("one two three"));
        fs::write(&path, b"\xffx").unwrap();
        assert_eq!(kept.read(&mut scratch).unwrap(), Some("?x"));
        let mut loose = Kept::kept_if(false, &path);
        assert_eq!(loose.read(&mut scratch).unwrap(), Some("?x"));
        assert!(loose.file.is_none());
    }

    #[test]
    fn what_is_not_there_is_no_error_and_is_looked_for_again_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut scratch = Scratch::new();
        let mut kept = Kept::new(&path);
        assert_eq!(kept.read(&mut scratch).unwrap(), None);
        fs::write(&path, "x").unwrap();
        for _ in 0..REST {
            assert_eq!(kept.read(&mut scratch).unwrap(), None);
        }
        assert_eq!(kept.read(&mut scratch).unwrap(), Some("x"));
        let mut bad = Kept::new(folder.path());
        assert!(bad.read(&mut scratch).unwrap_err().contains(&*folder.path().to_string_lossy()));
    }

    #[test]
    fn it_closes_with_its_owner() {
        // Other tests open files meanwhile: many are told from few.
        let before = open_files();
        let mut scratch = Scratch::new();
        let mut all: Vec<_> = (0..200).map(|_| Kept::new("/proc/self/status")).collect();
        assert!(all.iter_mut().all(|k| k.read(&mut scratch).unwrap().is_some()));
        assert!(open_files() >= before + 150);
        drop(all);
        assert!(open_files() < before + 150);
    }
}
