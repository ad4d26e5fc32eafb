//! From a specification to a program that can be executed: everything that may fail, fails here, with a text for people.
//!
//! A worker sees a clean environment: `PATH HOME USER LOGNAME SHELL LANG` and, as a systemd unit would, `INVOCATION_ID`
//! (the run's id), `RUNTIME_DIRECTORY` and `CREDENTIALS_DIRECTORY`; then what the specification says, then what
//! `environment_file` says (it wins over `environment`, as in systemd), and last what is ours to say: `NOTIFY_SOCKET`,
//! `WATCHDOG_USEC`, and the mark by which a later daemon finds what an earlier one has left behind.

use super::account::{self, Account};
use super::child::{Failure, Step};
use super::spawn::Program;
use super::{credentials, environment};
use crate::host::paths::Paths;
use crate::host::threads;
use nix::errno::Errno;
use reeve_core::effect::MULTIPROCESS_FOLDER;
use reeve_core::{ReplicaId, RunId, RunSpec};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, lchown};
use std::path::Path;

const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The variable that marks every process of this daemon, whatever it does to its session.
pub(super) const MARK: &str = "REEVE_RUN_ROOT";
/// The variable that holds the run's id, named as systemd names it.
pub(super) const RUN: &str = "INVOCATION_ID";

/// What all starts have in common.
#[derive(Debug)]
pub(super) struct Common {
    /// Where things are.
    pub(super) paths: Paths,
    /// Value of [`MARK`].
    pub(super) mark: String,
    /// The daemon's own user.
    pub(super) own: Account,
}

impl Common {
    /// [`MARK`] as it stands in an environment.
    pub(super) fn marked(&self) -> String {
        format!("{MARK}={}", self.mark)
    }
}

/// Makes everything ready for the run.
pub(super) fn prepare(
    common: &Common,
    spec: &RunSpec,
    run: RunId,
    notify_socket: Option<&Path>,
) -> Result<Program, String> {
    let path = spec.exec.first().ok_or("no program is given")?;
    if !path.starts_with('/') {
        return Err(format!("{path}: expected an absolute path"));
    }
    let account = account::resolve(&common.own, spec.user.as_deref(), spec.group.as_deref())?;
    let from_file = match &spec.environment_file {
        Some(file) => environment::read(file)?,
        None => BTreeMap::new(),
    };
    let runtime = common.paths.runtime_dir(&spec.replica);
    let numbers = spec.wants_multiprocess(&shown(&runtime)).then(|| runtime.join(MULTIPROCESS_FOLDER));
    runtime_folder(&runtime, numbers.as_deref(), run, &account)?;
    let credentials = credentials::provide(&common.paths, spec, &account)?;

    let mut variables = base(&account);
    variables.insert("RUNTIME_DIRECTORY".into(), shown(&runtime));
    variables.extend(spec.environment.clone());
    variables.extend(from_file);
    variables.insert(RUN.into(), run.to_string());
    variables.insert(MARK.into(), common.mark.clone());
    if let Some(socket) = notify_socket {
        variables.insert("NOTIFY_SOCKET".into(), shown(socket));
    }
    if let Some(span) = spec.watchdog {
        variables.insert("WATCHDOG_USEC".into(), span.as_micros().to_string());
    }
    if let Some(folder) = credentials {
        variables.insert("CREDENTIALS_DIRECTORY".into(), shown(&folder));
    }
    let text = |what: &str, text: &str| CString::new(text).map_err(|_| format!("{what} holds a zero byte"));
    Ok(Program {
        path: text("the program", path)?,
        arguments: spec.exec.iter().map(|a| text("an argument", a)).collect::<Result<_, _>>()?,
        environment: variables.iter().map(|(k, v)| text(k, &format!("{k}={v}"))).collect::<Result<_, _>>()?,
        directory: text("working_directory", spec.working_directory.as_deref().unwrap_or("/"))?,
        identity: account.identity,
    })
}

fn base(account: &Account) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("PATH".to_owned(), SEARCH_PATH.to_owned()),
        ("HOME".to_owned(), account.home.clone()),
        ("USER".to_owned(), account.name.clone()),
        ("LOGNAME".to_owned(), account.name.clone()),
    ]);
    if let Ok(language) = std::env::var("LANG") {
        variables.insert("LANG".to_owned(), language);
    }
    variables
}

/// Makes the replica's own folder, and an empty one for its numbers in it. The parent is ours alone, so nobody can put
/// something else in its place.
fn runtime_folder(folder: &Path, numbers: Option<&Path>, run: RunId, account: &Account) -> Result<(), String> {
    let failed = |path: &Path, e: &io::Error| format!("{}: {}", path.display(), reason(e));
    // While it is ours, what is made in it is what it seems.
    let inside = || numbers.map_or(Ok(()), |numbers| own_folder(numbers, 0o755, account));
    let fresh = own_folder_with(folder, 0o755, account, inside).map_err(|e| failed(folder, &e))?;
    match numbers {
        Some(numbers) if !fresh => empty_folder(numbers, run, account).map_err(|e| failed(numbers, &e)),
        _ => Ok(()),
    }
}

/// Makes sure that the account has an empty folder there. The folder above is the account's own: what is made there might
/// be swapped for something else in between, so it is made beside and moved in, which follows no link.
fn empty_folder(folder: &Path, run: RunId, account: &Account) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    match std::fs::symlink_metadata(folder) {
        Ok(known) if known.is_dir() && known.uid() == account.uid && std::fs::read_dir(folder)?.next().is_none() => {
            return Ok(());
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let Some(ours) = folder.parent().and_then(Path::parent) else {
        return Err(Errno::EINVAL.into());
    };
    let aside = ours.join(format!(".old-{run}"));
    match std::fs::rename(folder, &aside) {
        // It may be large; nobody waits for it.
        Ok(()) => drop(threads::named("reeve-remove").spawn(move || remove_any(&aside))?),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let fresh = ours.join(format!(".new-{run}"));
    own_folder(&fresh, 0o755, account)?;
    std::fs::rename(&fresh, folder)
}

/// A folder with all in it, or whatever else the worker has put there.
fn remove_any(path: &Path) {
    if std::fs::remove_dir_all(path).is_err() {
        // It was no folder; if this fails too, it is a leftover in a file system that ends with the host.
        let _ = std::fs::remove_file(path);
    }
}

/// Makes `folder` (and what is above it) and gives it to the account.
pub(super) fn own_folder(folder: &Path, mode: u32, account: &Account) -> io::Result<()> {
    own_folder_with(folder, mode, account, || Ok(())).map(drop)
}

/// The same; when it was not there, `inside` is called before the account gets it. Returns whether it was made.
fn own_folder_with(
    folder: &Path,
    mode: u32,
    account: &Account,
    inside: impl FnOnce() -> io::Result<()>,
) -> io::Result<bool> {
    let fresh = match DirBuilder::new().mode(mode).create(folder) {
        Ok(()) => true,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => false,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let above = folder.parent().unwrap_or(folder);
            DirBuilder::new().recursive(true).create(above)?;
            // Whatever our umask is, the worker must be able to get there.
            std::fs::set_permissions(above, Permissions::from_mode(0o755))?;
            DirBuilder::new().mode(mode).create(folder)?;
            true
        }
        Err(e) => return Err(e),
    };
    let known = std::fs::symlink_metadata(folder)?;
    if !known.is_dir() {
        return Err(Errno::ENOTDIR.into());
    }
    if fresh {
        std::fs::set_permissions(folder, Permissions::from_mode(mode))?;
        inside()?;
    }
    use std::os::unix::fs::MetadataExt;
    if known.uid() != account.uid || known.gid() != account.gid {
        lchown(folder, Some(account.uid), Some(account.gid))?;
    }
    Ok(fresh)
}

/// Removes what `prepare` has made for the replica.
pub(super) fn remove(paths: &Paths, replica: &ReplicaId) {
    let _ = std::fs::remove_dir_all(paths.runtime_dir(replica));
    let _ = std::fs::remove_dir_all(credentials::folder(paths, replica));
}

/// A failed start in words.
pub(super) fn explain(failure: Failure, spec: &RunSpec) -> String {
    let program = spec.exec.first().map_or("", String::as_str);
    let why = lower(failure.errno.desc());
    match failure.step {
        Step::Create => format!("{program}: no process could be made: {why}"),
        Step::Cgroup => format!("{program}: could not join its cgroup: {why}"),
        Step::Descriptors => format!("{program}: standard output could not be set: {why}"),
        Step::Identity => {
            let user = spec.user.as_deref().unwrap_or_default();
            format!("{program}: could not become user {user:?}: {why}")
        }
        Step::ParentDeath => format!("{program}: could not be tied to the daemon: {why}"),
        Step::Directory => {
            let folder = spec.working_directory.as_deref().unwrap_or("/");
            format!("working directory {folder}: {why}")
        }
        Step::Execute if failure.errno == Errno::ENOENT && Path::new(program).exists() => {
            format!("{program}: the interpreter or loader it names does not exist")
        }
        Step::Execute => format!("{program}: {why}"),
    }
}

/// An error of the system, as a fragment: "no such file or directory".
pub(super) fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => lower(Errno::from_raw(number).desc()),
        None => error.to_string(),
    }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
