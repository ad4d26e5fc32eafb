//! Credentials without systemd: files of `<etc>/credentials` that root alone may write, copied for the worker alone.
//!
//! The copies lie below `<run>/credentials`, which is ours, and not in the worker's own runtime folder, where it could
//! lay out a link for us to write through.

use super::account::Account;
use super::prepare::reason;
use crate::host::paths::Paths;
use nix::unistd::geteuid;
use reeve_core::{ReplicaId, RunSpec};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};

/// systemd's own limit.
const LARGEST: u64 = 1024 * 1024;

/// Where the replica's copies lie.
pub(super) fn folder(paths: &Paths, replica: &ReplicaId) -> PathBuf {
    paths.run.join("credentials").join(replica.file_name())
}

/// Copies what the specification names; the folder, or `None` when it names nothing.
pub(super) fn provide(paths: &Paths, spec: &RunSpec, account: &Account) -> Result<Option<PathBuf>, String> {
    if spec.credentials.is_empty() {
        return Ok(None);
    }
    let target = folder(paths, &spec.replica);
    let fail = |e: io::Error| format!("{}: {}", target.display(), reason(&e));
    match std::fs::remove_dir_all(&target) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    if let Some(above) = target.parent() {
        DirBuilder::new().recursive(true).mode(0o711).create(above).map_err(fail)?;
    }
    DirBuilder::new().mode(0o700).create(&target).map_err(fail)?;
    for name in &spec.credentials {
        copy(&paths.etc.join("credentials"), name, &target, account)
            .map_err(|e| format!("credential {name:?}: {e}"))?;
    }
    lchown(&target, Some(account.uid), Some(account.gid)).map_err(fail)?;
    std::fs::set_permissions(&target, Permissions::from_mode(0o500)).map_err(fail)?;
    Ok(Some(target))
}

fn copy(from: &Path, name: &str, to: &Path, account: &Account) -> Result<(), String> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err("expected a plain file name".to_owned());
    }
    let source = from.join(name);
    let at = |e: io::Error| format!("{}: {}", source.display(), reason(&e));
    let mut file = File::open(&source).map_err(at)?;
    let facts = file.metadata().map_err(at)?;
    if !facts.is_file() {
        return Err(format!("{}: expected a file", source.display()));
    }
    if facts.uid() != 0 && facts.uid() != geteuid().as_raw() {
        let (path, owner) = (source.display(), facts.uid());
        return Err(format!("{path}: belongs to uid {owner}, expected root"));
    }
    if facts.mode() & 0o027 != 0 {
        let (path, mode) = (source.display(), facts.mode() & 0o7777);
        return Err(format!("{path}: mode {mode:04o} lets others in, expected 0600 or 0640"));
    }
    if facts.len() > LARGEST {
        return Err(format!("{}: larger than 1 MiB", source.display()));
    }
    let mut secret = Vec::new();
    file.read_to_end(&mut secret).map_err(at)?;
    let target = to.join(name);
    let at = |e: io::Error| format!("{}: {}", target.display(), reason(&e));
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&target).map_err(at)?;
    copy.write_all(&secret).map_err(at)?;
    fchown(&copy, Some(account.uid), Some(account.gid)).map_err(at)
}
