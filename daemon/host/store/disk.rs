//! The few file operations the store is made of, behind a trait so that a test can fail or end the process at each.

use super::StoreError;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fmt::Debug;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A lock on the state folder; free again when dropped.
pub type Lock = Option<Flock<File>>;

/// File operations. Every one is a single step: it is done, or it failed, or the process ended in it.
pub trait Disk: Debug + Send + Sync {
    /// Takes the lock file, or says which process holds it.
    fn lock(&self, path: &Path) -> Result<Lock, StoreError>;
    /// Makes a folder with mode 0700; fine when it is there.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Names of the files in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// All bytes of a file from an offset on.
    fn read(&self, path: &Path, from: u64) -> io::Result<Vec<u8>>;
    /// Adds to the end with one write(2); creates the file. Returns how much was taken.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts the file.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Replaces the content, not atomically.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Content to stable storage.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Gives the file another name, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Names to stable storage.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes; fine when it is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The real thing.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn lock(&self, path: &Path) -> Result<Lock, StoreError> {
        let io = |source| StoreError::Io { path: path.to_owned(), source };
        let file = open(path, OpenOptions::new().read(true).write(true).create(true)).map_err(io)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                // The number is only for people; the lock itself is what counts.
                let written = lock.set_len(0).and_then(|()| {
                    writeln!(lock, "{}", std::process::id())?;
                    lock.flush()
                });
                written.map_err(io)?;
                Ok(Some(lock))
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                Err(StoreError::Locked { path: path.to_owned(), pid: read.ok().and_then(|_| text.trim().parse().ok()) })
            }
            Err((_, errno)) => Err(io(errno.into())),
        }
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, path: &Path, from: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<usize> {
        let mut file = open(path, OpenOptions::new().append(true).create(true))?;
        loop {
            match file.write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        open(path, OpenOptions::new().write(true))?.set_len(length)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let options = OpenOptions::new().write(true).create(true).truncate(true).clone();
        open(path, &options)?.write_all(bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}

fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    options.clone().mode(0o600).open(path)
}
