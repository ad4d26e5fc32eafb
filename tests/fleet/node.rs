//! One node: its folder, its `reeved`, and how to ask it.

use crate::says::{Asked, Entry, Happened, Slot, Status};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

const WORKERS: [&str; 2] = ["left", "right"];

/// One node. Dropping it ends it.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    pub root: PathBuf,
    /// In front of the command: the network namespace to run in.
    before: Vec<String>,
    process: Option<Child>,
    /// How often its `reeved` was started.
    lives: usize,
}

/// What `reevectl` ended with.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Answer {
    /// Ended well; what it printed.
    pub fn good(self) -> String {
        assert_eq!(self.code, 0, "{} {}", self.out, self.err);
        self.out
    }

    /// Ended with this, and said so.
    pub fn refused(&self, code: i32, text: &str) {
        let said = format!("{}{}", self.out, self.err);
        assert!(self.code == code && said.contains(text), "expected {code} and {text:?}, got {self:?}");
    }

    pub fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Node {
    /// Its folder with two workers and this configuration of the fleet. Not started.
    pub fn new(folder: &Path, name: &str, fleet: &str, before: Vec<String>) -> Self {
        let node = Self { name: name.to_owned(), root: folder.join(name), before, process: None, lives: 0 };
        std::fs::create_dir_all(node.etc().join("workers.d")).unwrap();
        node.configure(fleet);
        for worker in WORKERS {
            let starts = node.starts_file(worker).display().to_string();
            let text =
                format!("[worker]\nexec = [\"/bin/sh\", \"-c\", \"echo $$ >> {starts}; exec sleep infinity\"]\n");
            std::fs::write(node.etc().join(format!("workers.d/{worker}.toml")), text).unwrap();
        }
        node
    }

    /// `[fleet]` and what else; in force from the next start on.
    pub fn configure(&self, fleet: &str) {
        let name = &self.name;
        let text = format!(
            "[node]\nname = \"{name}\"\nlabels = {{ me = \"{name}\" }}\n[launcher]\nkind = \"direct\"\n\
             [metrics]\nlisten = \"off\"\n[gpu]\nnvml = \"off\"\n{fleet}"
        );
        std::fs::write(self.etc().join("reeve.toml"), text).unwrap();
    }

    pub fn etc(&self) -> PathBuf {
        self.root.join("etc/reeve")
    }

    pub fn state(&self) -> PathBuf {
        self.root.join("var/lib/reeve")
    }

    fn starts_file(&self, worker: &str) -> PathBuf {
        self.root.join(format!("{worker}.starts"))
    }

    pub fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut words = self.before.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_reeved")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("--root").arg(&self.root).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
        self.lives += 1;
    }

    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("a node that runs");
        kill(Pid::from_raw(process.id().cast_signed()), signal).unwrap();
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().unwrap()?;
        self.process = None;
        Some(status)
    }

    /// `reevectl` with these words.
    pub async fn ctl(&self, words: &[&str]) -> Answer {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_reevectl"));
        command.arg("--root").arg(&self.root).args(words).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.unwrap();
        Answer {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `reevectl --json fleet` with these words.
    pub async fn fleet(&self, words: &[&str]) -> Answer {
        self.ctl(&[&["--json", "fleet"], words].concat()).await
    }

    /// `None`: it does not answer. Exit code 1 is an answer: nobody leads.
    pub async fn status(&self) -> Option<Status> {
        let answer = self.fleet(&["status"]).await;
        (answer.code <= 1 && answer.out.starts_with('{')).then(|| answer.read())
    }

    /// The registry. An observer has none.
    pub async fn nodes(&self) -> Vec<Entry> {
        let answer = self.fleet(&["nodes"]).await;
        if answer.code == 0 { answer.read() } else { Vec::new() }
    }

    pub async fn slots(&self) -> Vec<Slot> {
        let answer = self.fleet(&["slots"]).await;
        if answer.code == 0 { answer.read() } else { Vec::new() }
    }

    pub async fn slot(&self, id: &str) -> Option<Slot> {
        self.slots().await.into_iter().find(|slot| slot.id == id)
    }

    pub async fn why(&self, subject: &str) -> Vec<Happened> {
        let answer = self.fleet(&["why", subject]).await;
        if answer.code == 0 { answer.read() } else { Vec::new() }
    }

    /// Asks for a slot and gets it: its id and its fence.
    pub async fn granted(&self, kind: &str) -> (String, String) {
        let asked: Asked =
            serde_json::from_str(&first(&self.fleet(&["ask", kind, "--reason", "test"]).await.good())).unwrap();
        (asked.slot.expect("a slot"), asked.fence.expect("a fence"))
    }

    fn log_file(&self) -> PathBuf {
        self.root.join("reeved.log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Its log for people: when, and what.
    fn told(&self) -> String {
        let line = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
            Ok(entry) => format!("{} {}\n", entry["time"], entry["message"]),
            Err(_) => format!("{line}\n"),
        };
        self.log().lines().map(line).collect()
    }

    /// Process ids of the starts of both workers so far.
    pub fn starts(&self) -> [Vec<u32>; 2] {
        WORKERS.map(|worker| {
            let text = std::fs::read_to_string(self.starts_file(worker)).unwrap_or_default();
            text.lines().map(|line| line.parse().unwrap()).collect()
        })
    }

    /// No worker was restarted: one start a life at most, and the process of the first is the one that runs still.
    pub fn untouched(&self) {
        for starts in self.starts() {
            assert!(starts.len() <= self.lives, "{}: {} lives, workers started {starts:?}", self.name, self.lives);
            if self.lives == 1 && self.runs() {
                assert_eq!(starts.len(), 1, "{}", self.name);
                assert!(Path::new(&format!("/proc/{}", starts[0])).exists(), "{}: a worker has ended", self.name);
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.name, self.told());
        }
    }
}

/// The only element of what changes print: they are told as a list.
fn first(text: &str) -> String {
    let list: Vec<serde_json::Value> = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    list[0].to_string()
}
