//! The real programs on fake cards: a worker gets its card, a hanging NVML holds up nobody, letting go outlives the
//! daemon.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "fake-nvml/harness.rs"]
mod harness;

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(90);

/// A node of its own, with two cards.
struct Node {
    root: TempDir,
    nvml: PathBuf,
    reeved: Option<Child>,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let library = root.path().join("libnvidia-ml.so.1");
        std::fs::copy(harness::library("libfake_nvml.so"), &library).unwrap();
        let etc = root.path().join("etc/reeve/workers.d");
        std::fs::create_dir_all(&etc).unwrap();
        let socket = root.path().join("metrics");
        let text = format!("[metrics]\nlisten = \"unix:{}\"\n[gpu]\nnvml = {library:?}\n", socket.display());
        std::fs::write(root.path().join("etc/reeve/reeve.toml"), text).unwrap();
        let seen = root.path().join("seen");
        let script = format!("echo $CUDA_VISIBLE_DEVICES '{{gpus}}' > {}; exec sleep 1000", seen.display());
        let worker = format!(
            "[worker]\nexec = [\"/bin/sh\", \"-c\", {script:?}]\n[worker.resources]\ngpus = {{ request = 1 }}\n"
        );
        std::fs::write(etc.join("train.toml"), worker).unwrap();
        let node = Self { root, nvml: library, reeved: None };
        node.cards("");
        node
    }

    /// What the fake library says beside its profile.
    fn cards(&self, more: &str) {
        let path = format!("{}.state", self.nvml.display());
        std::fs::write(format!("{path}.new"), format!("profile = h200\ncards = 2\n{more}\n")).unwrap();
        std::fs::rename(format!("{path}.new"), path).unwrap();
    }

    fn start(&mut self) {
        self.start_with(&[]);
    }

    fn start_with(&mut self, environment: &[(&str, &str)]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reeved"));
        command.arg("--root").arg(self.root.path()).args(["--launcher", "direct"]);
        command.envs(environment.iter().copied());
        self.reeved = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        self.until("the bus", |n| n.ctl(&["list"]).0 == 0);
    }

    fn stop(&mut self) {
        if let Some(mut reeved) = self.reeved.take() {
            let pid = i32::try_from(reeved.id()).unwrap();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGTERM).unwrap();
            reeved.wait().unwrap();
        }
    }

    fn ctl(&self, words: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reevectl"));
        let out = command.arg("--root").arg(self.root.path()).args(words).stdin(Stdio::null()).output().unwrap();
        (out.status.code().unwrap_or(-1), String::from_utf8(out.stdout).unwrap())
    }

    fn gpus(&self) -> Value {
        serde_json::from_str(&self.ctl(&["gpu", "list", "--json"]).1).unwrap_or_default()
    }

    /// The page, and how long it took.
    fn scrape(&self) -> (String, Duration) {
        let began = Instant::now();
        let mut page = String::new();
        if let Ok(mut way) = UnixStream::connect(self.root.path().join("metrics")) {
            way.set_read_timeout(Some(PATIENCE)).unwrap();
            way.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            way.read_to_string(&mut page).unwrap();
        }
        (page, began.elapsed())
    }

    fn has(&self, line: &str) -> bool {
        self.scrape().0.lines().any(|l| l.starts_with(line))
    }

    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "never: {what}\n{}\n{}", self.gpus(), self.scrape().0);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut reeved) = self.reeved.take() {
            let _ = reeved.kill();
            let _ = reeved.wait();
        }
    }
}

/// SUP-05, MET-21: from the card to the worker's environment, the list and the page.
#[test]
fn sup_05_a_worker_is_given_a_card() {
    let mut node = Node::new();
    node.start();
    node.until("the worker has a card", |n| n.gpus()["gpus"][0]["workers"][0] == "train/1");
    node.until("it knows", |n| n.root.path().join("seen").exists());
    let uuid = "GPU-5ee0f1c2-8a44-4f0e-9b1d-000000000000";
    let seen = || std::fs::read_to_string(node.root.path().join("seen")).unwrap_or_default();
    node.until("all of it", |_| seen().ends_with('\n'));
    assert_eq!(seen().trim(), format!("{uuid} {uuid}"));
    node.until("the page", |n| n.has(&format!("reeve_gpu_power_watts{{gpu=\"0\",uuid=\"{uuid}\"}} 77.1")));
    let (_, table) = node.ctl(&["gpu", "list"]);
    assert!(table.contains("H200") && table.contains("train/1") && table.contains("healthy"), "{table}");
    // It falls off the bus: the worker goes to the other one.
    node.cards("0.state = lost");
    node.until("it has moved", |n| n.gpus()["gpus"][1]["workers"][0] == "train/1");
    node.until("lost", |n| n.gpus()["gpus"][0]["health"] == "lost");
    node.stop();
}

/// What a service manager sees of the daemon: when it last showed life, and the longest it was silent.
struct Watched {
    path: PathBuf,
    silence: Arc<Mutex<(Instant, Duration)>>,
}

impl Watched {
    fn new(root: &Path) -> Self {
        let path = root.join("manager");
        let socket = UnixDatagram::bind(&path).unwrap();
        let silence = Arc::new(Mutex::new((Instant::now(), Duration::ZERO)));
        let shared = Arc::clone(&silence);
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            // It ends with the test's process.
            while let Ok(length) = socket.recv(&mut room) {
                if String::from_utf8_lossy(&room[..length]).contains("WATCHDOG=1") {
                    let mut silence = shared.lock().unwrap();
                    *silence = (Instant::now(), silence.1.max(silence.0.elapsed()));
                }
            }
        });
        Self { path, silence }
    }

    /// From now on.
    fn begin(&self) {
        *self.silence.lock().unwrap() = (Instant::now(), Duration::ZERO);
    }

    fn longest(&self) -> Duration {
        let silence = self.silence.lock().unwrap();
        silence.1.max(silence.0.elapsed())
    }
}

/// The 99th percentile of what a page took.
fn p99(took: &mut [Duration]) -> Duration {
    took.sort();
    took[took.len() * 99 / 100]
}

/// MET-21, HLT-03: while a call hangs, pages, the bus and the watchdog are served as ever; the lane is marked within two
/// periods; it recovers by itself. `REEVE_HANG_SECONDS` says for how long it hangs.
#[test]
fn met_21_a_hanging_card_holds_up_nobody() {
    let mut node = Node::new();
    let manager = Watched::new(node.root.path());
    // As the unit has it, WatchdogSec=30: pings are due at half of that.
    let timeout = Duration::from_secs(30);
    let socket = manager.path.display().to_string();
    node.start_with(&[("NOTIFY_SOCKET", &socket), ("WATCHDOG_USEC", &timeout.as_micros().to_string())]);
    node.until("well", |n| n.has("reeve_gpu_collect_success{lane=\"fast\"} 1"));
    let mut before: Vec<_> = (0..200).map(|_| node.scrape().1).collect();
    node.cards("call.nvmlDeviceGetUtilizationRates = hang");
    manager.begin();
    let hung = Instant::now();
    let seconds = std::env::var("REEVE_HANG_SECONDS").map_or(15, |text| text.parse().unwrap());
    let (mut took, mut slowest_call, mut marked) = (Vec::new(), Duration::ZERO, None);
    while marked.is_none() || hung.elapsed() < Duration::from_secs(seconds) {
        assert!(hung.elapsed() < PATIENCE, "the lane was never marked");
        let (page, time) = node.scrape();
        took.push(time);
        let asked = Instant::now();
        assert_eq!(node.ctl(&["list"]).0, 0);
        slowest_call = slowest_call.max(asked.elapsed());
        if page.contains("reeve_gpu_collect_success{lane=\"fast\"} 0") {
            marked.get_or_insert(hung.elapsed());
            assert!(!page.contains("reeve_gpu_power_watts"), "old figures are not served as new ones");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!(
        "hung for {:.0?}: the lane marked after {:.1?}; pages p99 {:.1?} (before {:.1?}), slowest list {slowest_call:.0?}; \
         longest silence of the watchdog {:.1?}",
        hung.elapsed(),
        marked.unwrap(),
        p99(&mut took),
        p99(&mut before),
        manager.longest()
    );
    assert!(slowest_call < Duration::from_secs(5) && took.iter().all(|time| *time < Duration::from_secs(5)));
    assert!(manager.longest() < timeout);
    assert_eq!(node.gpus()["nvml"], "unavailable");
    node.cards("");
    node.until("well again", |n| n.has("reeve_gpu_collect_success{lane=\"fast\"} 1") && n.gpus()["nvml"] == "held");
    node.stop();
}

/// Released is released: over a restart of the daemon too, until somebody takes it back.
#[test]
fn met_21_release_outlives_the_daemon() {
    let mut node = Node::new();
    node.start();
    node.until("held", |n| n.gpus()["nvml"] == "held");
    assert_eq!(node.ctl(&["gpu", "release", "--reason", "a new driver"]).0, 0);
    assert_eq!(node.gpus()["nvml"], "released");
    assert_eq!(node.ctl(&["gpu", "release", "--reason", "again"]).0, 5);
    node.until("withdrawn", |n| n.has("reeve_gpu_up 0") && !n.has("reeve_gpu_power_watts"));
    node.stop();
    node.start();
    node.until("still released", |n| n.gpus()["nvml"] == "released");
    assert!(node.gpus()["reason"].as_str().unwrap().contains("a new driver"));
    assert_eq!(node.ctl(&["gpu", "acquire"]).0, 0);
    node.until("held again", |n| n.gpus()["nvml"] == "held" && n.has("reeve_gpu_up 1"));
    let (_, audit) = node.ctl(&["audit"]);
    assert!(audit.contains("gpu-control"), "{audit}");
    node.stop();
}
