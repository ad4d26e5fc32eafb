//! The real programs on fake cards: a worker gets its card, a hanging NVML holds up nobody, letting go outlives the
//! daemon.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "fake-nvml/harness.rs"]
mod harness;

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(90);

/// A node of its own, with two cards.
struct Node {
    root: TempDir,
    library: PathBuf,
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
        let node = Self { root, library, reeved: None };
        node.cards("");
        node
    }

    /// What the fake library says beside its profile.
    fn cards(&self, more: &str) {
        let path = format!("{}.state", self.library.display());
        std::fs::write(format!("{path}.new"), format!("profile = h200\ncards = 2\n{more}\n")).unwrap();
        std::fs::rename(format!("{path}.new"), path).unwrap();
    }

    fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reeved"));
        command.arg("--root").arg(self.root.path()).args(["--launcher", "direct"]);
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

/// MET-21, HLT-03: while a call hangs, pages and the bus answer as ever; the lane is marked; it recovers by itself.
#[test]
fn met_21_a_hanging_card_holds_up_nobody() {
    let mut node = Node::new();
    node.start();
    node.until("well", |n| n.has("reeve_gpu_collect_success{lane=\"fast\"} 1"));
    node.cards("call.nvmlDeviceGetUtilizationRates = hang");
    let mut slowest = Duration::ZERO;
    node.until("marked", |n| {
        let (page, took) = n.scrape();
        slowest = slowest.max(took);
        let asked = Instant::now();
        assert_eq!(n.ctl(&["list"]).0, 0);
        slowest = slowest.max(asked.elapsed());
        page.contains("reeve_gpu_collect_success{lane=\"fast\"} 0")
    });
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert!(!node.has("reeve_gpu_power_watts"), "old figures are not served as new ones");
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
