//! Workers and teams, from the cgroups of living runs.
//!
//! Which runs live stands in the picture of the node; the files of a run are opened when it is first seen and close when it
//! is over. What the kernel has counted outlives the cgroup in [`MemoryEvents`].

use super::cgroup::{FILES, Files};
use super::{Look, Source, rows};
use crate::host::lock::lock;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
use reeve_core::exit::{Cause, ExitRecord};
use reeve_core::metrics::accumulate::{MEMORY_EVENTS, MemoryEvents};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};
use reeve_core::status::{ReplicaStatus, WorkerStatus};
use reeve_core::{ReplicaId, RunId, Snapshot, TeamName};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// What the loop tells the source of workers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkersHandle {
    pictures: watch::Receiver<Arc<Snapshot>>,
    ended: Arc<Mutex<Vec<Ended>>>,
}

type Ended = (ReplicaId, RunId, bool);

impl WorkersHandle {
    /// The living runs are those of the newest picture.
    pub fn new(pictures: watch::Receiver<Arc<Snapshot>>) -> Self {
        Self { pictures, ended: Arc::default() }
    }

    /// A run is over. To be told before the picture shows it: its cgroup has gone, and with it the last of its counts.
    pub fn ended(&self, record: &ExitRecord) {
        let oom = record.cause == Cause::Oom;
        self.lock().push((record.replica_id(), record.run, oom));
    }

    fn take(&self) -> (Arc<Snapshot>, Vec<Ended>) {
        // The picture first: whatever it shows to be over has been told by then.
        let picture = self.pictures.borrow().clone();
        (picture, std::mem::take(&mut *self.lock()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Ended>> {
        lock(&self.ended)
    }
}

pub(super) struct Workers {
    handle: WorkersHandle,
    proc: PathBuf,
    devices: Devices,
    replicas: BTreeMap<ReplicaId, Replica>,
    teams: BTreeMap<TeamName, Group>,
    events: MemoryEvents,
    /// Descriptors of workers may not be counted; that has been said.
    hidden: bool,
    /// The length of a folder of descriptors is how many there are: Linux 6.2 and later.
    long: bool,
}

struct Replica {
    role: String,
    labels: Labels,
    events: [Labels; MEMORY_EVENTS.len()],
    live: Option<(RunId, Group)>,
}

struct Group {
    path: PathBuf,
    files: Files,
    labels: Labels,
}

impl Workers {
    pub(super) fn new(handle: WorkersHandle, proc: &Path, sys: &Path) -> Self {
        Self {
            handle,
            proc: proc.to_owned(),
            devices: Devices { folder: sys.join("dev/block"), names: BTreeMap::new() },
            replicas: BTreeMap::new(),
            teams: BTreeMap::new(),
            events: MemoryEvents::default(),
            hidden: false,
            long: lengths_count(proc),
        }
    }

    /// Follows the picture: opens what is new, closes what is over.
    fn follow(&mut self, picture: &Snapshot) {
        let mut before = std::mem::take(&mut self.replicas);
        let mut teams = std::mem::take(&mut self.teams);
        let mut spare = Spare::new();
        for worker in picture.workers.values() {
            for status in &worker.replicas {
                let mut replica = match before.remove(&status.id) {
                    Some(known) if known.role == worker.role.as_deref().unwrap_or_default() => known,
                    _ => Replica::new(&status.id, worker),
                };
                replica.live = match (status.run, &status.cgroup) {
                    (Some(run), Some(path)) => {
                        let known = replica.live.take().filter(|(id, group)| *id == run && group.path == *path);
                        let group = |(_, group)| group;
                        Some((run, spare.take(known.map(group), Path::new(path), &replica.labels)))
                    }
                    _ => None,
                };
                if let Some(path) = status.cgroup.as_deref().and_then(team_folder)
                    && !self.teams.contains_key(&worker.team)
                {
                    let known = teams.remove(&worker.team).filter(|group| group.path == path);
                    let labels = Labels::new(&[("team", worker.team.as_str())]);
                    self.teams.insert(worker.team.clone(), spare.take(known, path, &labels));
                }
                self.replicas.insert(status.id.clone(), replica);
            }
        }
        let replicas = &self.replicas;
        self.events.retain(|id| replicas.contains_key(id));
    }

    /// Descriptors of a process; none when it has gone or hides them.
    fn open_fds(&mut self, status: &ReplicaStatus) -> Option<f64> {
        let folder = self.proc.join(status.pid?.to_string()).join("fd");
        let counted = count_fds(&folder, self.long);
        if let Err(error) = &counted
            && error.kind() == io::ErrorKind::PermissionDenied
            && !std::mem::replace(&mut self.hidden, true)
        {
            tracing::info!(
                "reeve_worker_open_fds is absent: descriptors of other users' processes may not be counted; a drop-in \
                 with AmbientCapabilities=CAP_SYS_PTRACE brings it back"
            );
        }
        counted.ok()
    }
}

impl Source for Workers {
    fn name(&self) -> &'static str {
        "workers"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let (picture, ended) = self.handle.take();
        for (replica, run, oom) in ended {
            self.events.ended(&replica, run, oom);
        }
        self.follow(&picture);
        let mut samples = Samples::new();
        for status in picture.workers.values().flat_map(|worker| &worker.replicas) {
            let fds = self.open_fds(status);
            let Some(Replica { live: Some((run, group)), .. }) = self.replicas.get_mut(&status.id) else { continue };
            let figures = group.files.read(look.scratch);
            self.events.look(&status.id, *run, figures.events);
            rows::worker(&figures, &group.labels, &mut samples);
            samples.put_some(&f::WORKER_OPEN_FDS, &group.labels, fds);
            for io in &figures.io {
                let labels = group.labels.and(&[("device", self.devices.name(&io.device))]);
                samples.put_some(&f::WORKER_IO_READ, &labels, io.read);
                samples.put_some(&f::WORKER_IO_WRITTEN, &labels, io.written);
                samples.put_some(&f::WORKER_IO_READS, &labels, io.reads);
                samples.put_some(&f::WORKER_IO_WRITES, &labels, io.writes);
            }
        }
        for group in self.teams.values_mut() {
            let figures = group.files.read(look.scratch);
            rows::team(&figures, &group.labels, &mut samples);
            for io in &figures.io {
                let labels = group.labels.and(&[("device", self.devices.name(&io.device))]);
                samples.put_some(&f::TEAM_IO_READ, &labels, io.read);
                samples.put_some(&f::TEAM_IO_WRITTEN, &labels, io.written);
            }
        }
        for (id, counts) in self.events.totals() {
            let Some(replica) = self.replicas.get(id) else { continue };
            for (labels, count) in replica.events.iter().zip(counts) {
                samples.put_some(&f::WORKER_MEMORY_EVENTS, labels, count.map(float));
            }
        }
        Ok(samples)
    }
}

impl Replica {
    fn new(id: &ReplicaId, worker: &WorkerStatus) -> Self {
        let role = worker.role.clone().unwrap_or_default();
        let index = id.index.to_string();
        let labels = Labels::new(&[("worker", id.worker.as_str()), ("replica", &index), ("role", &role)]);
        let events = MEMORY_EVENTS.map(|event| labels.and(&[("event", event)]));
        Self { role, labels, events, live: None }
    }
}

/// Descriptors that may stay open: the daemon needs the others.
struct Spare(u64);

impl Spare {
    fn new() -> Self {
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        Self(soft / 2)
    }

    /// What is known already, or the cgroup opened now.
    fn take(&mut self, known: Option<Group>, path: &Path, labels: &Labels) -> Group {
        let left = self.0.checked_sub(FILES);
        self.0 = left.unwrap_or(self.0);
        known.unwrap_or_else(|| Group {
            path: path.to_owned(),
            files: Files::new(path, left.is_some()),
            labels: labels.clone(),
        })
    }
}

/// Names of block devices by their numbers.
struct Devices {
    folder: PathBuf,
    names: BTreeMap<String, String>,
}

impl Devices {
    /// `vda` for `254:0`; the number again where there is no name.
    fn name(&mut self, number: &str) -> &str {
        let folder = &self.folder;
        self.names.entry(number.to_owned()).or_insert_with(|| {
            let target = fs::read_link(folder.join(number)).ok();
            let name = target.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
            name.unwrap_or_else(|| number.to_owned())
        })
    }
}

/// The team's cgroup: the folder above, when it is one of ours.
fn team_folder(cgroup: &str) -> Option<&Path> {
    let above = Path::new(cgroup).parent()?;
    let name = above.file_name()?.to_str()?;
    let ours = name.ends_with(".team") || (name.starts_with("reeve-") && name.ends_with(".slice"));
    ours.then_some(above)
}

/// Whether this is a real `/proc` that says with the length of a folder how many descriptors are in it. Its own has some.
fn lengths_count(proc: &Path) -> bool {
    let real = statfs(proc).is_ok_and(|stat| stat.filesystem_type() == PROC_SUPER_MAGIC);
    real && fs::metadata(proc.join("self/fd")).is_ok_and(|folder| folder.len() > 0)
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
fn count_fds(folder: &Path, long: bool) -> io::Result<f64> {
    let count = if long { fs::metadata(folder)?.len() } else { fs::read_dir(folder)?.count() as u64 };
    Ok(count as f64)
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
fn float(count: u64) -> f64 {
    count as f64
}
