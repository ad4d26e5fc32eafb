//! The part of the cgroup tree that is ours, where there is one.
//!
//! ```text
//! <own cgroup>/           may hold other processes, as a login session does
//! ├── main/               reeved itself, when it is alone here: only then may controllers be handed out
//! └── reeve-<id>/         all that this daemon runs; <id> differs between daemons on one host
//!     └── <team>.team/    one per team, nested as teams are
//!         └── reeve-<worker>-<n>/
//! ```
//! Without controllers (a hybrid host, no delegation) the tree still serves to kill and to freeze a run as a whole.

use crate::host::cgroup::{self, Group};
use nix::unistd::{AccessFlags, access, getpid};
use reeve_core::{ReplicaId, TeamName};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// Our part of the tree.
#[derive(Debug)]
pub(super) struct Tree {
    base: Group,
    controllers: Vec<&'static str>,
}

impl Tree {
    /// Makes the tree for the daemon of this id; or says why there can be none.
    pub(super) fn open(id: &str) -> Result<Self, String> {
        let mut own = cgroup::own()?;
        let name = format!("reeve-{id}");
        // A daemon that has executed itself anew finds itself in `main/` already.
        if own.path().ends_with("main")
            && let Some(above) = own.path().parent()
            && above.join(&name).is_dir()
        {
            own = Group::at(above.to_owned());
        }
        let shown = own.path().display();
        access(&own.path().join("cgroup.procs"), AccessFlags::W_OK)
            .map_err(|e| format!("{shown} is not delegated to us: {}", e.desc()))?;
        let base = Group::at(own.path().join(name));
        base.create().map_err(|e| format!("no cgroup can be made in {shown}: {e}"))?;
        if !base.is_usable() {
            let _ = base.remove();
            return Err(format!("{shown} can have no cgroups with processes below it"));
        }
        let controllers = match make_room(&own) {
            Ok(()) => CONTROLLERS.into_iter().filter(|c| own.enable(c).is_ok() && base.enable(c).is_ok()).collect(),
            Err(reason) => {
                tracing::info!(cgroup = %shown, %reason, "no limits can be enforced");
                Vec::new()
            }
        };
        Ok(Self { base, controllers })
    }

    /// All of it.
    pub(super) fn group(&self) -> &Group {
        &self.base
    }

    /// The controllers that limits can rely on.
    pub(super) fn controllers(&self) -> &[&'static str] {
        &self.controllers
    }

    /// Kills and removes what is in there from before, and where the tree was then: a daemon started from another
    /// session finds itself in another place. `memory` is the file that tells.
    pub(super) fn sweep(&self, memory: &Path) {
        let before = fs::read_to_string(memory).map(|p| Group::at(p.into()));
        if let Ok(before) = before
            && before.path().file_name() == self.base.path().file_name()
        {
            sweep(&before);
        }
        if let Err(error) = fs::write(memory, self.base.path().as_os_str().as_bytes()) {
            tracing::debug!(%error, "the place of our cgroups cannot be remembered");
        }
        sweep(&self.base);
        let _ = self.base.create();
        for controller in &self.controllers {
            let _ = self.base.enable(controller);
        }
    }

    /// The team's cgroup, made if need be.
    pub(super) fn team(&self, team: &TeamName, parents: &[TeamName]) -> io::Result<Group> {
        let mut group = self.base.clone();
        for name in parents.iter().chain([team]) {
            group = Group::at(group.path().join(format!("{name}.team")));
            if !group.path().is_dir() {
                group.create()?;
                for controller in &self.controllers {
                    group.enable(controller)?;
                }
            }
        }
        Ok(group)
    }

    /// A fresh cgroup for a run of the replica. Fails while something of an earlier run is still in it.
    pub(super) fn replica(&self, replica: &ReplicaId, team: &TeamName, parents: &[TeamName]) -> io::Result<Group> {
        let team = self.team(team, parents)?;
        let name = format!("reeve-{}", replica.file_name());
        let group = Group::at(team.path().join(name));
        if let Err(e) = fs::create_dir(group.path()) {
            if e.kind() != io::ErrorKind::AlreadyExists {
                return Err(e);
            }
            // Counters of the earlier run would be taken for those of this one.
            group.kill();
            group
                .remove()
                .map_err(|e| io::Error::other(format!("processes of an earlier run cannot be killed: {e}")))?;
            group.create()?;
        }
        Ok(group)
    }
}

/// Kills all that is in the cgroup and removes it, bounded by two seconds.
pub(super) fn sweep(group: &Group) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while group.path().is_dir() && Instant::now() < deadline {
        let _ = group.freeze(false);
        group.kill();
        if group.remove().is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Makes sure that controllers may be handed out to the cgroups below `own`, for which no process may be left in `own`
/// itself. Trying is no way to find out: some controllers would be accepted and make what is below unusable.
fn make_room(own: &Group) -> io::Result<()> {
    if own.is_root() {
        return Ok(());
    }
    let inside = own.processes();
    if inside.is_empty() {
        return Ok(());
    }
    if inside != [getpid().as_raw()] {
        return Err(io::Error::other("other processes are in the cgroup"));
    }
    let main = Group::at(own.path().join("main"));
    main.create()?;
    fs::write(main.path().join("cgroup.procs"), "0")
}
