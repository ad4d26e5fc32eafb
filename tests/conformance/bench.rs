//! What the cases work with: a launcher, its events, a folder that every user may read.

use reeve::host::launcher::Launcher;
use reeve_core::config::{Resources, RestartPolicy};
use reeve_core::{Applied, ExitInfo, ExitStatus, LauncherEvent, ReplicaId, RunId, RunSpec, StartToken};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// How a case went, if it did not panic.
pub enum Outcome {
    /// As it should.
    Done,
    /// This host cannot do it.
    Skipped(String),
}

/// A case on its way.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Reads the log of a run.
pub type Tail = Box<dyn Fn(&ReplicaId, RunId) -> Pin<Box<dyn Future<Output = Vec<String>>>>>;

/// What the suite must know of the launcher under test.
pub struct Subject {
    pub launcher: Box<dyn Launcher>,
    pub events: UnboundedReceiver<LauncherEvent>,
    /// The root of its files; removed with the bench.
    pub root: tempfile::TempDir,
    /// Where credentials are looked for.
    pub etc: PathBuf,
    /// Whether memory and tasks can be limited here.
    pub limits: bool,
    pub tail: Tail,
}

/// What a case works with.
pub struct Bench {
    pub launcher: Box<dyn Launcher>,
    pub root: tempfile::TempDir,
    pub etc: PathBuf,
    pub limits: bool,
    pub tail: Tail,
    events: UnboundedReceiver<LauncherEvent>,
    backlog: VecDeque<LauncherEvent>,
    folder: tempfile::TempDir,
    token: u64,
}

/// A run as `Started` told of it.
#[derive(Debug, Clone)]
pub struct Started {
    pub replica: ReplicaId,
    pub run: RunId,
    pub pid: i32,
    pub cgroup: Option<PathBuf>,
}

impl Bench {
    pub fn new(subject: Subject) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open).unwrap();
        Self {
            launcher: subject.launcher,
            root: subject.root,
            etc: subject.etc,
            limits: subject.limits,
            tail: subject.tail,
            events: subject.events,
            backlog: VecDeque::new(),
            folder,
            token: 0,
        }
    }

    /// A file of this case, for the worker to write.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A specification that runs `script` with `{folder}` replaced.
    pub fn shell(&self, replica: &str, script: &str) -> RunSpec {
        let folder = self.folder.path().to_str().unwrap();
        let script = script.replace("{folder}", folder);
        self.spec(replica, &["/bin/sh", "-c", &script])
    }

    pub fn spec(&self, replica: &str, exec: &[&str]) -> RunSpec {
        RunSpec {
            gpus: Vec::new(),
            devices: Vec::new(),
            replica: replica.parse().unwrap(),
            team: "conformance".parse().unwrap(),
            team_parents: Vec::new(),
            exec: exec.iter().map(|s| (*s).to_owned()).collect(),
            user: None,
            group: None,
            environment: BTreeMap::new(),
            environment_file: None,
            credentials: Vec::new(),
            working_directory: None,
            limits: Resources::default(),
            policy: RestartPolicy::Never,
            unsupervised_after: None,
            notify: true,
            stop_signal: 15,
            stop_timeout: Duration::from_secs(30),
            watchdog: None,
            sandbox: Arc::default(),
            digest: format!("{exec:?}"),
        }
    }

    /// Sends the start off.
    pub fn launch(&mut self, spec: RunSpec, notify_socket: Option<PathBuf>) -> StartToken {
        self.token += 1;
        let token = StartToken(self.token);
        self.launcher.start(token, Arc::new(spec), notify_socket);
        token
    }

    /// Starts, and expects it to work.
    pub async fn start(&mut self, spec: RunSpec) -> Started {
        let token = self.launch(spec, None);
        self.started(token).await
    }

    pub async fn started(&mut self, token: StartToken) -> Started {
        self.expect("Started", |event| match event {
            LauncherEvent::Started { replica, token: t, run, pid, cgroup } if *t == token => Some(Ok(Started {
                replica: replica.clone(),
                run: *run,
                pid: i32::try_from(*pid).unwrap(),
                cgroup: cgroup.as_ref().map(PathBuf::from),
            })),
            LauncherEvent::StartFailed { token: t, error, .. } if *t == token => Some(Err(error.clone())),
            _ => None,
        })
        .await
        .unwrap()
    }

    /// Starts, and expects it not to work; why.
    pub async fn start_fails(&mut self, spec: RunSpec) -> String {
        let token = self.launch(spec, None);
        self.expect("StartFailed", |event| match event {
            LauncherEvent::StartFailed { token: t, error, .. } if *t == token => Some(error.clone()),
            LauncherEvent::Started { token: t, .. } if *t == token => panic!("it started"),
            _ => None,
        })
        .await
    }

    /// Waits for the run's end.
    pub async fn exited(&mut self, run: &Started) -> ExitInfo {
        let run = run.run;
        self.expect("Exited", |event| match event {
            LauncherEvent::Exited { run: r, info, .. } if *r == run => Some(info.clone()),
            _ => None,
        })
        .await
    }

    pub async fn exit_status(&mut self, run: &Started) -> ExitStatus {
        self.exited(run).await.status
    }

    /// Waits for the answer to a request.
    pub async fn applied(&mut self, run: &Started, what: Applied) -> Result<(), String> {
        let run = run.run;
        self.expect("Applied", |event| match event {
            LauncherEvent::Applied { run: r, what: w, result, .. } if (*r, *w) == (run, what) => Some(result.clone()),
            _ => None,
        })
        .await
    }

    /// Kills the run and waits for its end.
    pub async fn end(&mut self, run: &Started) {
        self.launcher.kill(&run.replica, run.run);
        self.exited(run).await;
    }

    /// The first event that `pick` takes; others are kept for later.
    pub async fn expect<T>(&mut self, what: &str, mut pick: impl FnMut(&LauncherEvent) -> Option<T>) -> T {
        for place in 0..self.backlog.len() {
            if let Some(found) = pick(&self.backlog[place]) {
                self.backlog.remove(place);
                return found;
            }
        }
        let wait = async {
            loop {
                let event = self.events.recv().await.unwrap();
                match pick(&event) {
                    Some(found) => return found,
                    None => self.backlog.push_back(event),
                }
            }
        };
        match tokio::time::timeout(patience(), wait).await {
            Ok(found) => found,
            Err(_) => panic!("no {what} within {:?}; seen: {:?}", patience(), self.backlog),
        }
    }

    /// Everything that has arrived and was not asked for.
    pub fn rest(&mut self) -> Vec<LauncherEvent> {
        while let Ok(event) = self.events.try_recv() {
            self.backlog.push_back(event);
        }
        self.backlog.drain(..).collect()
    }

    /// The content of a file, once it ends in a line break.
    pub async fn text_of(&self, name: &str) -> String {
        let path = self.file(name);
        let whole = || std::fs::read_to_string(&path).ok().filter(|t| t.ends_with('\n'));
        until(&format!("{name} is written"), || whole().is_some()).await;
        whole().unwrap()
    }

    /// The process id that a worker has written to a file.
    pub async fn pid_of(&self, name: &str) -> i32 {
        self.text_of(name).await.trim().parse().unwrap()
    }
}

/// How long something on this machine may take; `REEVE_TEST_PATIENCE` seconds on a slow one.
pub fn patience() -> Duration {
    let asked = std::env::var("REEVE_TEST_PATIENCE").ok();
    Duration::from_secs(asked.and_then(|s| s.parse().ok()).unwrap_or(20))
}

/// Waits until something has come true.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + patience();
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether the process lives; a zombie does not.
pub fn alive(pid: i32) -> bool {
    state(pid).is_some_and(|s| s != 'Z' && s != 'X')
}

/// The letter of proc(5) for the state of a process.
pub fn state(pid: i32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

/// Whether the run is frozen: by its cgroup, or stopped.
pub fn frozen(run: &Started) -> bool {
    match &run.cgroup {
        Some(group) => {
            std::fs::read_to_string(Path::new(group).join("cgroup.events")).is_ok_and(|t| t.contains("frozen 1"))
        }
        // A process that waits for its child to execute is not stopped itself while the child is.
        None => matches!(state(run.pid), Some('T' | 'D')),
    }
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
