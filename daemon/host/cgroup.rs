//! One cgroup v2 folder: reading it, limiting, freezing and killing what is in it.
//!
//! Nothing here waits, but for [`freezing`]. Freezing and killing take effect a little later: ask [`Group::frozen`] and
//! [`Group::populated`].

pub mod freezing;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reeve_core::config::Resources;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Period of `cpu.max`, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// A cgroup, by its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    path: PathBuf,
}

impl Group {
    /// The cgroup at this folder; it need not exist.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it, unless it is there.
    pub fn create(&self) -> io::Result<()> {
        match fs::create_dir(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    }

    /// Removes it and all empty cgroups below it. Fails while processes are in it.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir(&self.path) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) => {}
        }
        for below in self.below() {
            below.remove()?;
        }
        fs::remove_dir(&self.path)
    }

    /// The cgroups directly below it.
    pub fn below(&self) -> Vec<Group> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| Group::at(e.path())).collect()
    }

    /// Whether it is the root of the host's tree, to which fewer rules apply.
    pub fn is_root(&self) -> bool {
        !self.path.join("cgroup.type").exists()
    }

    /// Whether processes may be put into it: not where something above it is split by threads.
    pub fn is_usable(&self) -> bool {
        let kind = self.read("cgroup.type");
        kind.is_ok_and(|k| !k.starts_with("domain invalid") && !k.starts_with("threaded"))
    }

    /// Whether a living process is in it or below it.
    pub fn populated(&self) -> bool {
        self.number("cgroup.events", "populated") == Some(1)
    }

    /// Whether it is frozen, all of it; `None` when it is gone.
    pub fn frozen(&self) -> Option<bool> {
        Some(self.number("cgroup.events", "frozen")? == 1)
    }

    /// Whether freezing was asked for: it is frozen or about to be, and not only because a cgroup above it is.
    pub fn freezing(&self) -> bool {
        self.read("cgroup.freeze").is_ok_and(|text| text.trim() == "1")
    }

    /// Asks for freezing or thawing.
    pub fn freeze(&self, freeze: bool) -> io::Result<()> {
        self.write("cgroup.freeze", if freeze { "1" } else { "0" })
    }

    /// SIGKILL to everything in it and below it.
    pub fn kill(&self) {
        if self.write("cgroup.kill", "1").is_ok() {
            return;
        }
        // Before Linux 5.14.
        self.signal(Signal::SIGKILL as i32);
    }

    /// A signal to every process in it and below it. What is forked meanwhile may be missed.
    pub fn signal(&self, signal: i32) {
        let Ok(signal) = Signal::try_from(signal) else {
            return;
        };
        for pid in self.processes() {
            let _ = kill(Pid::from_raw(pid), signal);
        }
        for below in self.below() {
            below.signal(signal as i32);
        }
    }

    /// The processes in it, not those below it.
    pub fn processes(&self) -> Vec<i32> {
        let text = self.read("cgroup.procs").unwrap_or_default();
        text.lines().filter_map(|l| l.parse().ok()).collect()
    }

    /// How many processes of it the kernel has killed for memory; `None` without the memory controller.
    pub fn oom_kills(&self) -> Option<u64> {
        self.number("memory.events", "oom_kill")
    }

    /// The most memory it has held, bytes; `None` without the memory controller or before Linux 5.19.
    pub fn peak_memory(&self) -> Option<u64> {
        self.read("memory.peak").ok()?.trim().parse().ok()
    }

    /// The controllers it may hand out.
    pub fn controllers(&self) -> Vec<String> {
        let text = self.read("cgroup.controllers").unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Hands a controller out to the cgroups below it.
    pub fn enable(&self, controller: &str) -> io::Result<()> {
        self.write("cgroup.subtree_control", &format!("+{controller}"))
    }

    /// Puts limits in force; what is not given becomes unlimited, as in a `fresh` cgroup it is. `Err` names every limit
    /// that cannot be enforced.
    pub fn limit(&self, limits: &Resources, fresh: bool) -> Result<(), String> {
        let mut problems = Vec::new();
        let mut set = |given: bool, file: &str, value: &str, what: &str| {
            if (given || !fresh)
                && let Err(e) = self.write(file, value)
                && given
            {
                problems.push(match e.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                        let controller = file.split('.').next().unwrap_or(file);
                        format!("{what}: no {controller} controller here")
                    }
                    _ => format!("{what}: {file}: {e}"),
                });
            }
        };
        let text = |n: Option<u64>, none: &str| n.map_or(none.to_owned(), |n| n.to_string());
        let (memory, low) = (limits.memory_limit, limits.memory_request);
        let (tasks, share) = (limits.tasks_max, limits.cpu_request);
        let high = text(limits.memory_high(), "max");
        set(memory.is_some(), "memory.high", &high, "memory limit");
        set(memory.is_some(), "memory.max", &text(memory, "max"), "memory limit");
        set(low.is_some(), "memory.low", &text(low, "0"), "memory request");
        let quota = limits.cpu_limit;
        set(quota.is_some(), "cpu.max", &cpu_max(quota), "cpu limit");
        let weight = share.unwrap_or(100).clamp(1, 10_000).to_string();
        set(share.is_some(), "cpu.weight", &weight, "cpu request");
        set(tasks.is_some(), "pids.max", &text(tasks, "max"), "tasks_max");
        problems.dedup();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// Lets the OOM killer end all of it, never a part.
    pub fn die_together(&self) -> io::Result<()> {
        self.write("memory.oom.group", "1")
    }

    /// The same for a team: upper limits only.
    pub fn cap(&self, cpu: Option<u64>, memory: Option<u64>, tasks: Option<u64>) -> Result<(), String> {
        let limits = Resources { cpu_limit: cpu, memory_limit: memory, tasks_max: tasks, ..Resources::default() };
        self.limit(&limits, false)
    }

    fn number(&self, file: &str, key: &str) -> Option<u64> {
        let text = self.read(file).ok()?;
        let mut pairs = text.lines().filter_map(|l| l.split_once(' '));
        pairs.find(|(k, _)| *k == key)?.1.parse().ok()
    }

    fn read(&self, file: &str) -> io::Result<String> {
        // Files of cgroups have no length to go by; these are short.
        let mut text = String::with_capacity(256);
        fs::File::open(self.path.join(file))?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        // Not `fs::write`: it would try to create the file.
        let mut file = fs::OpenOptions::new().write(true).open(self.path.join(file))?;
        file.write_all(value.as_bytes())
    }
}

fn cpu_max(hundredths: Option<u64>) -> String {
    match hundredths {
        Some(h) => format!("{} {CPU_PERIOD}", h.saturating_mul(CPU_PERIOD / 100).max(1000)),
        None => format!("max {CPU_PERIOD}"),
    }
}

/// The folder of the cgroup v2 that this process is in, or why there is none.
pub fn own() -> Result<Group, String> {
    let read = |p: &str| fs::read_to_string(p).map_err(|e| format!("{p}: {e}"));
    let mounts = read("/proc/self/mountinfo")?;
    let cgroups = read("/proc/self/cgroup")?;
    find_own(&mounts, &cgroups)
}

fn find_own(mounts: &str, cgroups: &str) -> Result<Group, String> {
    let path = cgroups.lines().find_map(|l| l.strip_prefix("0::")).ok_or("no cgroup v2 on this host")?;
    if path.contains("/..") {
        return Err(format!("own cgroup {path} lies outside of this container"));
    }
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        if right.split(' ').next() != Some("cgroup2") {
            continue;
        }
        let mut fields = left.split(' ').skip(3);
        let (Some(root), Some(at)) = (fields.next(), fields.next()) else {
            continue;
        };
        if let Ok(rest) = Path::new(path).strip_prefix(root) {
            return Ok(Group::at(Path::new(at).join(rest)));
        }
    }
    Err("cgroup v2 is not mounted".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    const PURE: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const CONTAINER: &str = "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";

    #[test]
    fn own_cgroup_is_found_on_every_layout() {
        let at = |m, c| find_own(m, c).map(|g| g.path().display().to_string());
        let hybrid = "4:memory:/x\n0::/\n";
        assert_eq!(at(HYBRID, hybrid).unwrap(), "/sys/fs/cgroup/unified/");
        let unit = "0::/system.slice/reeved.service\n";
        assert_eq!(at(PURE, unit).unwrap(), "/sys/fs/cgroup/system.slice/reeved.service");
        assert_eq!(at(CONTAINER, "0::/docker/abc/x\n").unwrap(), "/sys/fs/cgroup/x");
        assert!(at(PURE, "1:name=systemd:/\n").is_err());
        assert!(at(PURE, "0::/../../x\n").is_err());
        assert!(at("", unit).is_err());
    }

    #[test]
    fn sup_04_limits_are_written_in_the_kernels_units() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group::at(folder.path().to_owned());
        let files = ["memory.max", "memory.high", "memory.low", "cpu.max", "cpu.weight"];
        for file in files {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let limits = Resources {
            cpu_request: Some(200),
            cpu_limit: Some(450),
            memory_request: Some(1000),
            memory_limit: Some(1 << 30),
            tasks_max: Some(9),
            ..Resources::default()
        };
        let problem = group.limit(&limits, true).unwrap_err();
        assert_eq!(problem, "tasks_max: no pids controller here");
        let read = |f: &str| fs::read_to_string(folder.path().join(f)).unwrap();
        let got = files.map(read);
        assert_eq!(got, ["1073741824", "966367638", "1000", "450000 100000", "200"]);
    }
}
