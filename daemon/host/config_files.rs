//! Reads the configuration from its folders; `reeve_core::config` decides what it means.
//!
//! A worker definition names programs that run with the rights of the daemon, so a file or folder that others could
//! have written is refused by name. A symbolic link to `/dev/null` is read as an empty file, which masks.

use crate::host::paths::Paths;
use nix::fcntl::OFlag;
use nix::unistd::{getegid, geteuid};
use reeve_core::config::{self, Diagnostic, HostFacts, Loaded, SourceFile, SourceKind};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Nothing that a person wrote is longer.
const LONGEST_FILE: u64 = 1 << 20;

/// What was found in the folders.
#[derive(Debug, Default)]
pub struct Sources {
    /// Files that could be read, hidden ones included.
    pub files: Vec<SourceFile>,
    /// Why others could not.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and judges: the configuration, or every mistake. `main` is `--config FILE`, read instead of `reeve.toml`.
pub fn load(paths: &Paths, main: Option<&Path>) -> Loaded {
    let sources = read(paths, main);
    let mut loaded = config::load(&sources.files, &host_facts());
    if sources.diagnostics.iter().any(|d| d.error) {
        loaded.config = None;
    }
    loaded.diagnostics.extend(sources.diagnostics);
    loaded.diagnostics.sort();
    loaded
}

/// Reads all configuration files of the three ranks.
pub fn read(paths: &Paths, main: Option<&Path>) -> Sources {
    let mut reader = Reader { sources: Sources::default(), owner: Owner::of_this_process() };
    for (rank, folder) in (0u8..).zip([&paths.vendor, &paths.run, &paths.etc]) {
        reader.rank(rank, folder, main.is_none());
    }
    if let Some(path) = main {
        match fs::metadata(path) {
            Ok(_) => reader.file(path, SourceKind::Node, 2, None),
            Err(error) => reader.refuse(path, format!("cannot be read: {error}")),
        }
    }
    reader.sources
}

/// Facts of this machine that validation needs.
pub fn host_facts() -> HostFacts {
    let hostname = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let cpus = fs::read_to_string("/sys/devices/system/cpu/online")
        .ok()
        .and_then(|list| count_cpus(&list))
        .or_else(|| {
            let cpus = std::thread::available_parallelism().ok()?;
            u32::try_from(cpus.get()).ok()
        })
        .unwrap_or(1);
    let memory = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| total_memory(&text))
        // Unknown is not zero: nothing may be called unplaceable for a figure nobody has.
        .unwrap_or(u64::MAX);
    HostFacts { hostname, cpus, memory }
}

/// `0-3,6` → 5.
fn count_cpus(list: &str) -> Option<u32> {
    let mut count = 0u32;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count = count.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(count)
}

/// `MemTotal:  16384 kB` → bytes.
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Whose files are trusted.
struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    fn of_this_process() -> Self {
        Self { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }

    /// Why the file or folder is not trusted: root, or the daemon's own account, must be the only one to write it.
    fn objection(&self, metadata: &Metadata) -> Option<String> {
        let (uid, gid) = (metadata.uid(), metadata.gid());
        let mode = metadata.mode() & 0o7777;
        let allowed = if self.uid == 0 { "root".to_owned() } else { format!("root and uid {}", self.uid) };
        if uid != 0 && uid != self.uid {
            return Some(format!("belongs to uid {uid}; expected an owner of {allowed} (`chown root`)"));
        }
        let group_trusted = gid == 0 || (self.uid != 0 && gid == self.gid);
        if mode & 0o002 != 0 || (mode & 0o020 != 0 && !group_trusted) {
            return Some(format!("can be written by others than {allowed} (mode {mode:04o}); expected `chmod go-w`"));
        }
        None
    }
}

struct Reader {
    sources: Sources,
    owner: Owner,
}

impl Reader {
    /// One folder of `/usr/lib/reeve`, `/run/reeve`, `/etc/reeve`.
    fn rank(&mut self, rank: u8, folder: &Path, with_main: bool) {
        let main = folder.join("reeve.toml");
        if with_main && main.symlink_metadata().is_ok() && self.trusts_folder(folder) {
            self.file(&main, SourceKind::Node, rank, None);
        }
        self.drop_ins(&folder.join("reeve.toml.d"), &SourceKind::Node, rank);
        for path in self.list(&folder.join("workers.d")) {
            let Some(name) = path.file_name().map(OsStr::to_string_lossy) else {
                continue;
            };
            if let Some(worker) = name.strip_suffix(".toml") {
                let kind = SourceKind::Worker(worker.to_owned());
                self.file(&path, kind, rank, None);
            } else if let Some(worker) = name.strip_suffix(".toml.d") {
                let kind = SourceKind::Worker(worker.to_owned());
                self.drop_ins(&path, &kind, rank);
            }
        }
    }

    fn drop_ins(&mut self, folder: &Path, kind: &SourceKind, rank: u8) {
        for path in self.list(folder) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            if let Some(name) = name.filter(|name| name.ends_with(".toml")) {
                self.file(&path, kind.clone(), rank, Some(name));
            }
        }
    }

    /// The visible entries of a folder by name; none when it is absent or not trusted.
    fn list(&mut self, folder: &Path) -> Vec<PathBuf> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.refuse(folder, format!("cannot be read: {error}"));
                return Vec::new();
            }
        };
        let parents_trusted = folder.parent().is_none_or(|p| self.trusts_folder(p));
        if !parents_trusted || !self.trusts_folder(folder) {
            return Vec::new();
        }
        let mut paths = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_name().as_encoded_bytes().starts_with(b".") => {}
                Ok(entry) => paths.push(entry.path()),
                Err(error) => self.refuse(folder, format!("cannot be read: {error}")),
            }
        }
        paths.sort();
        paths
    }

    fn trusts_folder(&mut self, folder: &Path) -> bool {
        let objection = match fs::metadata(folder) {
            Ok(metadata) => self.owner.objection(&metadata),
            Err(error) => Some(format!("cannot be read: {error}")),
        };
        match objection {
            None => true,
            Some(text) => {
                self.refuse(folder, text);
                false
            }
        }
    }

    fn file(&mut self, path: &Path, kind: SourceKind, rank: u8, drop_in: Option<String>) {
        match self.text(path) {
            Ok(text) => {
                self.sources.files.push(SourceFile { path: path.display().to_string(), kind, rank, drop_in, text })
            }
            Err(text) => self.refuse(path, text),
        }
    }

    /// Opens once and judges what is open, so that nothing can be exchanged in between.
    fn text(&self, path: &Path) -> Result<String, String> {
        let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
        let file = File::options()
            .read(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).bits())
            .open(path)
            .map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if is_null(&metadata) {
            return Ok(String::new());
        }
        if !metadata.is_file() {
            return Err("is not a regular file; expected one, or a link to /dev/null".to_owned());
        }
        if let Some(objection) = self.owner.objection(&metadata) {
            return Err(objection);
        }
        let mut bytes = Vec::new();
        file.take(LONGEST_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LONGEST_FILE {
            return Err("is longer than 1 MiB".to_owned());
        }
        String::from_utf8(bytes).map_err(|error| {
            let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = 1 + before.filter(|byte| **byte == b'\n').count();
            format!("is not UTF-8 (line {line})")
        })
    }

    /// An error on a file or folder as a whole; each only once.
    fn refuse(&mut self, path: &Path, text: String) {
        let diagnostic =
            Diagnostic { file: path.display().to_string(), line: 0, column: 0, error: true, key: String::new(), text };
        if !self.sources.diagnostics.contains(&diagnostic) {
            self.sources.diagnostics.push(diagnostic);
        }
    }
}

/// `/dev/null`: character device 1:3.
fn is_null(metadata: &Metadata) -> bool {
    let device = metadata.rdev();
    metadata.file_type().is_char_device() && (nix::sys::stat::major(device), nix::sys::stat::minor(device)) == (1, 3)
}

#[cfg(test)]
mod tests;
