//! From a process to its worker: by its cgroup, or by its parents where runs have no cgroup.

use reeve_core::ReplicaId;
use reeve_core::gpu::inventory::{below_mount, is_within};
use std::path::Path;

/// Parents looked at before a process counts as nobody's.
const GENERATIONS: usize = 16;

/// Where a run lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose run.
    pub replica: ReplicaId,
    /// Role of the worker.
    pub role: String,
    /// Its cgroup, if it has one.
    pub cgroup: Option<String>,
    /// Its main process.
    pub pid: Option<u32>,
}

/// The runs that live now.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

impl Places {
    pub(super) fn new(places: Vec<Place>) -> Self {
        Self(places)
    }

    /// Whose process this is.
    pub(super) fn of(&self, pid: u32, cgroup: Option<&str>, root: &Path) -> Option<&Place> {
        let by_group = |p: &&Place| p.cgroup.as_deref().zip(cgroup).is_some_and(|(of, path)| is_within(path, of));
        if let Some(place) = self.0.iter().find(by_group) {
            return Some(place);
        }
        if self.0.iter().all(|p| p.cgroup.is_some()) {
            return None;
        }
        let mut next = Some(pid);
        for _ in 0..GENERATIONS {
            let pid = next.filter(|pid| *pid > 1)?;
            if let Some(place) = self.0.iter().find(|p| p.cgroup.is_none() && p.pid == Some(pid)) {
                return Some(place);
            }
            next = parent(pid, root);
        }
        None
    }
}

/// The cgroup v2 path of a process, below the mount.
pub(super) fn cgroup(pid: u32, root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join(format!("proc/{pid}/cgroup"))).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(below_mount(path).to_owned())
}

fn parent(pid: u32, root: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(root.join(format!("proc/{pid}/stat"))).ok()?;
    // The name may hold anything, the last parenthesis ends it: then come state and parent.
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use reeve_core::WorkerName;

    fn place(worker: &str, cgroup: Option<&str>, pid: Option<u32>) -> Place {
        let replica = ReplicaId::new(WorkerName::new(worker).unwrap(), 1);
        Place { replica, role: String::new(), cgroup: cgroup.map(str::to_owned), pid }
    }

    /// MET-21: a process belongs to the worker in whose cgroup it is, not to one whose name begins alike.
    #[test]
    fn met_21_a_process_is_joined_by_its_cgroup() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::new(vec![
            place("a", Some("/sys/fs/cgroup/reeve.slice/reeve-a-1.service"), None),
            place("b", Some("/sys/fs/cgroup/reeve.slice/reeve-a-11.service"), None),
        ]);
        let of = |path: &str| places.of(7, Some(path), root.path()).map(|p| p.replica.worker.to_string());
        assert_eq!(of("/reeve.slice/reeve-a-1.service"), Some("a".into()));
        assert_eq!(of("/reeve.slice/reeve-a-1.service/inner"), Some("a".into()));
        assert_eq!(of("/reeve.slice/reeve-a-11.service"), Some("b".into()));
        assert_eq!(of("/user.slice"), None);
        assert_eq!(of("/"), None);
    }

    /// MET-21: without cgroups a process belongs to the run whose main process is among its parents.
    #[test]
    fn met_21_without_cgroups_parents_decide() {
        let root = tempfile::tempdir().unwrap();
        for (pid, parent) in [(30, 20), (20, 10), (40, 1)] {
            let folder = root.path().join(format!("proc/{pid}"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("stat"), format!("{pid} (a) b) S {parent} 0 0")).unwrap();
        }
        let places = Places::new(vec![place("a", None, Some(10))]);
        let of = |pid| places.of(pid, None, root.path()).is_some();
        assert_eq!([of(30), of(10), of(40), of(50)], [true, true, false, false]);
    }
}
