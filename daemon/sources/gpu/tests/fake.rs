//! A world of its own for each test: a copy of the fake library, its state file, a root with /proc, and what was told.

use super::super::{Gpu, Options, Outlet, Periods, Place};
use crate::host::lock::lock;
use reeve_core::gpu::Inventory;
use reeve_core::metrics::{Report, Samples, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lanes as fast as a test wants them.
pub(super) const QUICK: Periods = Periods {
    fast: Duration::from_millis(40),
    process: Duration::from_millis(60),
    slow: Duration::from_millis(80),
    retry: Duration::from_millis(50),
};

/// What was told, by source.
#[derive(Debug, Default)]
pub(super) struct Told {
    reports: BTreeMap<&'static str, Report>,
    inventory: Option<Inventory>,
}

#[derive(Debug, Default)]
struct Ear(Mutex<Told>, Condvar, Mutex<Vec<Place>>);

impl Outlet for Ear {
    fn report(&self, report: Report) {
        lock(&self.0).reports.insert(report.source, report);
        self.1.notify_all();
    }

    fn inventory(&self, inventory: Inventory) {
        let mut told = lock(&self.0);
        told.inventory = Some(inventory);
        self.1.notify_all();
    }

    fn places(&self) -> Vec<Place> {
        lock(&self.2).clone()
    }
}

impl Told {
    /// Everything that would be served now.
    pub(super) fn samples(&self) -> Samples {
        let mut all = Samples::new();
        self.reports.values().filter_map(|r| r.outcome.as_ref().ok()).for_each(|s| all.extend(s.clone()));
        all
    }

    /// Values of a family by their labels' text.
    pub(super) fn all(&self, name: &str) -> BTreeMap<String, f64> {
        let samples = self.samples();
        let Some(series) = samples.get(name) else { return BTreeMap::new() };
        let number = |value: &Value| match value {
            Value::Number(n) => *n,
            Value::Histogram(h) => h.count() as f64,
        };
        series.samples.iter().map(|(l, v)| (l.as_str().to_owned(), number(v))).collect()
    }

    /// The one value of a family whose labels hold this text.
    pub(super) fn one(&self, name: &str, labels: &str) -> Option<f64> {
        let all = self.all(name);
        let mut fit = all.iter().filter(|(l, _)| l.contains(labels));
        let found = fit.next().map(|(_, v)| *v);
        assert!(fit.next().is_none(), "{name}: several have {labels}: {all:?}");
        found
    }

    /// The outcome of a source, if it has told any.
    pub(super) fn outcome(&self, source: &str) -> Option<Result<(), String>> {
        self.reports.get(source).map(|r| r.outcome.as_ref().map(|_| ()).map_err(Clone::clone))
    }

    pub(super) fn inventory(&self) -> Inventory {
        self.inventory.clone().unwrap_or_default()
    }
}

/// The world.
pub(super) struct World {
    pub root: TempDir,
    pub gpu: Gpu,
    nvml: PathBuf,
    lines: Vec<String>,
    ear: Arc<Ear>,
}

impl World {
    /// Starts the source on cards that a state file describes.
    pub(super) fn new(state: &str) -> Self {
        Self::with(state, "libfake_nvml.so", |_| ())
    }

    pub(super) fn with(state: &str, name: &str, change: impl FnOnce(&mut Options)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let library = root.path().join("libnvidia-ml.so.1");
        std::fs::copy(super::harness::library(name), &library).unwrap();
        for index in 0..8 {
            let node = root.path().join(format!("dev/nvidia{index}"));
            std::fs::create_dir_all(node.parent().unwrap()).unwrap();
            std::fs::write(node, "").unwrap();
        }
        // What the kernel says is what a test writes; nothing else is.
        let journal = root.path().join("journalctl");
        let script = format!("#!/bin/sh\nexec tail -n +1 -f {}\n", root.path().join("kernel").display());
        std::fs::write(root.path().join("kernel"), "").unwrap();
        std::fs::write(&journal, script).unwrap();
        std::fs::set_permissions(&journal, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut options =
            Options { journal, root: root.path().to_owned(), periods: QUICK, ..Options::new(Some(library.clone())) };
        change(&mut options);
        let lines: Vec<_> = state.lines().map(str::to_owned).collect();
        let ear = Arc::new(Ear::default());
        write(&library, &lines);
        let gpu = Gpu::start(options, Arc::clone(&ear) as Arc<dyn Outlet>).unwrap();
        Self { root, gpu, nvml: library, lines, ear }
    }

    /// Says a line of the state file anew, or takes it out (with an empty value).
    pub(super) fn set(&mut self, key: &str, value: &str) {
        let mine = |line: &String| line.split('=').next().is_some_and(|k| k.trim() == key);
        self.lines.retain(|line| !mine(line));
        if !value.is_empty() {
            self.lines.push(format!("{key} = {value}"));
        }
        write(&self.nvml, &self.lines);
    }

    /// The kernel says something.
    pub(super) fn kernel(&self, line: &str) {
        use std::io::Write;
        let mut log = std::fs::OpenOptions::new().append(true).open(self.root.path().join("kernel")).unwrap();
        writeln!(log, "{line}").unwrap();
    }

    /// A process with a cgroup.
    pub(super) fn process(&self, pid: u32, cgroup: &str) {
        let folder = self.root.path().join(format!("proc/{pid}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("cgroup"), format!("0::{cgroup}\n")).unwrap();
    }

    /// The runs that live.
    pub(super) fn places(&self, places: Vec<Place>) {
        *lock(&self.ear.2) = places;
    }

    /// Waits until it is so.
    pub(super) fn until<T>(&self, what: &str, mut look: impl FnMut(&Told) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut told = lock(&self.ear.0);
        loop {
            if let Some(found) = look(&told) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never: {what}: {told:#?}");
            told = self.ear.1.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until this holds.
    pub(super) fn wait(&self, what: &str, mut holds: impl FnMut(&Told) -> bool) {
        self.until(what, |told| holds(told).then_some(()));
    }

    /// Waits for looks of every lane that began after now.
    pub(super) fn anew(&self) {
        let now = crate::host::clock::Clock::now().mono;
        self.wait("a new look of every lane", |told| {
            let fresh = |source| told.reports.get(source).is_some_and(|r| r.at > now && r.outcome.is_ok());
            ["gpu_fast", "gpu_process", "gpu_slow"].into_iter().all(fresh)
        });
    }

    /// Waits for the first look at all processes.
    pub(super) fn anew_first(&self) {
        self.wait("a first inventory", |told| !told.inventory().cards.is_empty());
    }

    /// Releases or acquires, and waits for the answer.
    pub(super) fn ask(&self, release: bool) -> Result<(), String> {
        let (back, answer) = std::sync::mpsc::channel();
        let back = Box::new(move |result| back.send(result).unwrap());
        if release {
            self.gpu.release(back)
        } else {
            self.gpu.acquire(back)
        }
        answer.recv_timeout(PATIENCE).expect("no answer")
    }
}

fn write(library: &std::path::Path, lines: &[String]) {
    let path = format!("{}.state", library.display());
    std::fs::write(format!("{path}.new"), lines.join("\n")).unwrap();
    std::fs::rename(format!("{path}.new"), path).unwrap();
}
