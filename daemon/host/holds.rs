//! Holds over a restart of the daemon: the service manager keeps the descriptor, and a file of the runtime folder who
//! holds and why. A client that ends meanwhile closes its end, and then nothing is held any more.

use super::fdstore;
use super::paths::Paths;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// A hold that an earlier daemon gave.
#[derive(Debug)]
pub struct Kept {
    /// Its number.
    pub id: u64,
    /// Who holds.
    pub who: String,
    /// What for.
    pub why: String,
    /// Our end; at its end of file when nobody holds any more.
    pub descriptor: OwnedFd,
}

#[derive(Debug, Serialize, Deserialize)]
struct Words {
    who: String,
    why: String,
}

const PREFIX: &str = "hold-";

/// The name under which the descriptor of a hold is kept.
fn name_of(id: u64) -> String {
    format!("{PREFIX}{id}")
}

/// The hold whose descriptor has this name.
fn hold_of(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

/// Where they are kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Holds {
    folder: PathBuf,
}

impl Holds {
    /// Below the runtime folder.
    pub fn new(paths: &Paths) -> Self {
        Self { folder: paths.run.join("holds") }
    }

    /// Keeps one. Failing means that it ends with this daemon.
    pub fn keep(&self, id: u64, who: &str, why: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let words = serde_json::to_vec(&Words { who: who.to_owned(), why: why.to_owned() })?;
        let path = self.folder.join(id.to_string());
        // First: a descriptor without words could not be taken over.
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?
            .write_all(&words)?;
        fdstore::keep(&name_of(id), descriptor);
        Ok(())
    }

    /// It is over.
    pub fn let_go(&self, id: u64) {
        fdstore::let_go(&name_of(id));
        self.remove(&id.to_string());
    }

    /// Takes over what the service manager has handed to this daemon; the rest is somebody else's. Words without a
    /// descriptor are of holds that have ended.
    pub fn take_over(&self, handed: Vec<(String, OwnedFd)>) -> (Vec<Kept>, Vec<(String, OwnedFd)>) {
        let (mut kept, mut others) = (Vec::new(), Vec::new());
        for (name, descriptor) in handed {
            let Some(id) = hold_of(&name) else {
                others.push((name, descriptor));
                continue;
            };
            let words = std::fs::read(self.folder.join(id.to_string())).ok();
            match words.and_then(|text| serde_json::from_slice(&text).ok()) {
                Some(Words { who, why }) => kept.push(Kept { id, who, why, descriptor }),
                None => {
                    tracing::warn!(id, "a hold was kept, and nobody knows any more whose: it is over");
                    fdstore::let_go(&name);
                }
            }
        }
        let names = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for name in names.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
            if !kept.iter().any(|hold: &Kept| hold.id.to_string() == name) {
                self.remove(&name);
            }
        }
        (kept, others)
    }

    fn remove(&self, name: &str) {
        match std::fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(name, %error, "the words of a hold that is over cannot be removed");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn descriptors_find_their_words_and_words_without_one_go() {
        let root = tempfile::tempdir().unwrap();
        let holds = Holds::new(&Paths::new(root.path()));
        let (ours, _theirs) = UnixStream::pair().unwrap();
        for id in [7, 8] {
            holds.keep(id, "backup", "nightly \"copy\"", ours.as_fd()).unwrap();
        }
        let again = || OwnedFd::from(ours.try_clone().unwrap());
        let handed = ["hold-7", "notify-web-1", "hold-9", "hold-x"].map(|name| (name.to_owned(), again()));
        let (kept, others) = holds.take_over(handed.into());
        let told: Vec<_> = kept.iter().map(|k| (k.id, k.who.as_str(), k.why.as_str())).collect();
        assert_eq!(told, [(7, "backup", "nightly \"copy\"")]);
        let others: Vec<_> = others.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(others, ["notify-web-1", "hold-x"]);
        assert!(holds.folder.join("7").exists() && !holds.folder.join("8").exists());
        holds.let_go(7);
        assert!(!holds.folder.join("7").exists());
    }
}
