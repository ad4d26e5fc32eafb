//! Everything that slows a failing worker down is switched off: the node must still be there for the others, and for the
//! people who want to stop it. Real `reeved`, its own children.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than any of it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Node {
    dir: tempfile::TempDir,
    reeved: Child,
}

impl Node {
    fn start(workers: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("rs").tempdir().unwrap();
        let etc = dir.path().join("etc/reeve");
        std::fs::create_dir_all(etc.join("workers.d")).unwrap();
        let free = "[supervision]\ndamping = \"off\"\nrestart_rate = \"off\"\n[metrics]\nlisten = \"off\"\n";
        std::fs::write(etc.join("reeve.toml"), free).unwrap();
        for (name, text) in workers {
            std::fs::write(etc.join(format!("workers.d/{name}.toml")), text).unwrap();
        }
        // No socket can be made where a folder is: starts of these replicas are refused before any launcher is asked.
        for index in 1..=REFUSED {
            std::fs::create_dir_all(dir.path().join(format!("run/reeve/notify/refused-{index}/kept"))).unwrap();
        }
        let reeved = Command::new(env!("CARGO_BIN_EXE_reeved"))
            .arg("--root")
            .arg(dir.path())
            .args(["--launcher", "direct", "--log", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { dir, reeved }
    }

    fn reevectl(&self, words: &[&str]) -> Output {
        reevectl(self.dir.path(), words)
    }

    fn until(&self, words: &[&str], wanted: &str) {
        let begun = Instant::now();
        loop {
            let output = self.reevectl(words);
            let text = String::from_utf8_lossy(&output.stdout);
            if text.contains(wanted) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{words:?}: no {wanted:?} in {text}{output:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Killed when it does not end in time: a daemon that hears nobody must not hold the test.
fn reevectl(root: &Path, words: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "20", env!("CARGO_BIN_EXE_reevectl"), "--root"]).arg(root).args(words);
    command.output().unwrap()
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.reeved.id().to_string()]).status();
        let begun = Instant::now();
        while self.reeved.try_wait().is_ok_and(|ended| ended.is_none()) {
            if begun.elapsed() > PATIENCE {
                let _ = self.reeved.kill();
                let _ = self.reeved.wait();
                if !std::thread::panicking() {
                    panic!("SIGTERM was not heard");
                }
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

const REFUSED: usize = 50;
const AT_ONCE: &str = "[worker.restart]\npolicy = \"always\"\nbreaker = \"off\"\n\
                       backoff = { first = \"0s\", base = \"0s\", cap = \"0s\" }\n";

/// SUP-10: starts that fail at once and for ever, in the daemon itself and in the worker, starve nobody.
#[test]
fn sup_10_a_storm_of_failures_leaves_the_node_usable() {
    let refused = format!("[worker]\nexec = [\"/bin/sleep\", \"1000\"]\nreplicas = {REFUSED}\n{AT_ONCE}");
    let failing = format!("[worker]\nexec = [\"/bin/false\"]\nreplicas = 20\n{AT_ONCE}");
    let calm = "[worker]\nexec = [\"/bin/sleep\", \"1000\"]\n";
    let node = Node::start(&[("refused", &refused), ("failing", &failing), ("calm", calm)]);
    node.until(&["status", "calm"], "ready");
    node.until(&["list"], "refused");
    for worker in ["refused", "failing"] {
        let stopped = node.reevectl(&["stop", worker]);
        assert!(stopped.status.success(), "{worker}: {stopped:?}");
    }
    // What is stopped is stopped.
    let runs = |index: u32| node.reevectl(&["--json", "runs", &format!("failing/{index}")]).stdout;
    let before = runs(1);
    assert!(before.len() > 10, "it never ran");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(before, runs(1));
    node.until(&["status", "calm"], "ready");
}
