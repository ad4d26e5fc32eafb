//! A played loop, a played authority, a kept audit trail, and a client that speaks plain D-Bus.

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use reeve::app::handle::{Caller, Handle, NodeEvent, Request};
use reeve::bus::action::Level;
use reeve::bus::audit::{AuditEntry, AuditProblem, AuditSink, AuditSummary, Audited};
use reeve::bus::auth::{Authority, Question, Verdict};
use reeve::bus::{Options, Server};
use reeve::host::holds::Holds;
use reeve::host::paths::Paths;
use reeve_core::config::Diagnostic;
use reeve_core::exit::Cause;
use reeve_core::ids::OperationId;
use reeve_core::notice::{Kind, Notice};
use reeve_core::status::{LastExit, NodeStatus, OperationStatus, PlannedAction, ReplicaStatus, WorkerStatus};
use reeve_core::{
    Accepted, Command, ExitRecord, Refusal, RefusalKind, ReplicaId, RunId, Snapshot, TeamName, Wall, WorkerName,
};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{broadcast, mpsc, watch};
use zbus::connection::Builder;
use zbus::{Connection, DynamicType, Message, MessageStream, OwnedVariant, Variant};

pub const ROOT: &str = "/org/reeve/Node1";
pub const FLEET: &str = "/org/reeve/Node1/fleet";
pub const RUN: &str = "0123456789abcdef0123456789abcdef";

/// What the played loop was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub command: Command,
    pub caller: Caller,
}

/// Everything a test holds on to.
pub struct Node {
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    pub events: broadcast::Sender<Arc<NodeEvent>>,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    pub answers: Arc<Mutex<Vec<Result<Accepted, Refusal>>>>,
    pub other: Arc<Mutex<Vec<String>>>,
    pub trail: Arc<Kept>,
    pub root: TempDir,
    pub server: Server,
}

/// For a server whose loop is played behind `handle`.
pub fn options(handle: Handle, trail: &Arc<Kept>, root: &TempDir) -> Options {
    let holds = Holds::new(&Paths::new(root.path()));
    Options { handle, sink: trail.clone(), log_level: "info".into(), holds, kept: Vec::new(), authority: None }
}

impl Node {
    /// A node with workers `web` (2 replicas) and `3d-render` (1), for callers of this authority.
    pub fn new(authority: Option<Arc<dyn Authority>>) -> Self {
        let (requests, inbox) = mpsc::unbounded_channel();
        let (snapshot, seen) = watch::channel(Arc::new(picture()));
        let events = broadcast::Sender::new(64);
        let handle = Handle::new(requests, seen, events.clone());
        let trail = Arc::new(Kept::default());
        let root = tempfile::tempdir().unwrap();
        let server = Server::new(Options { authority, ..options(handle, &trail, &root) }).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(Vec::new()));
        let other = Arc::new(Mutex::new(Vec::new()));
        let played = Loop {
            asked: asked.clone(),
            answers: answers.clone(),
            other: other.clone(),
            snapshot: snapshot.clone(),
            next: 41,
        };
        tokio::spawn(played.run(inbox));
        Self { snapshot, events, asked, answers, other, trail, root, server }
    }

    /// With the authority of a private bus.
    pub fn private() -> Self {
        Self::new(None)
    }

    /// A client, connected.
    pub async fn client(&mut self) -> Client {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.server.attach(theirs);
        let stream = Builder::unix_stream(ours).p2p().build_message_stream().await.unwrap();
        Client::new(stream, None)
    }

    /// Replaces the picture.
    pub fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        self.snapshot.send_modify(|snapshot| {
            let mut new = (**snapshot).clone();
            change(&mut new);
            *snapshot = Arc::new(new);
        });
    }

    /// The next command is answered so.
    pub fn answer(&self, answer: Result<Accepted, Refusal>) {
        self.answers.lock().unwrap().push(answer);
    }

    /// The command asked last.
    pub fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().cloned().expect("a command")
    }

    /// Waits until so many commands were asked.
    pub async fn commands(&self, count: usize) {
        until(|| self.asked.lock().unwrap().len() >= count).await;
    }
}

/// Waits for something that another task does, with a deadline.
pub async fn until(mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it happens in time");
}

struct Loop {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<Vec<Result<Accepted, Refusal>>>>,
    other: Arc<Mutex<Vec<String>>>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    next: u64,
}

impl Loop {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        while let Some(request) = inbox.recv().await {
            self.handle(request);
        }
    }

    fn note(&self, text: impl Into<String>) {
        self.other.lock().unwrap().push(text.into());
    }

    fn handle(&mut self, request: Request) {
        match request {
            Request::Command(command, caller, back) => {
                self.asked.lock().unwrap().push(Asked { command: command.clone(), caller: caller.clone() });
                let scripted = self.answers.lock().unwrap().pop();
                let answer = scripted.unwrap_or_else(|| Ok(self.accept(&command)));
                let started = match &answer {
                    Ok(Accepted::Operation(id)) => Some(*id),
                    _ => None,
                };
                let _ = back.send(answer);
                // After the reply, so that the bus has to wait for it.
                if let Some(id) = started {
                    self.snapshot.send_modify(|snapshot| {
                        let mut new = (**snapshot).clone();
                        new.operations.push(Arc::new(operation(id, &command, &caller)));
                        *snapshot = Arc::new(new);
                    });
                }
            }
            Request::Reload(caller, back) => {
                self.note(format!("reload dry_run={}", caller.dry_run));
                let _ = back.send(match self.scripted() {
                    Some(_) => Err(mistakes()),
                    None => Ok(8),
                });
            }
            Request::Plan(candidate, back) => {
                self.note(format!("plan candidate={candidate}"));
                let _ = back.send(match self.scripted() {
                    Some(_) => Err(mistakes()),
                    None => Ok(vec![action()]),
                });
            }
            Request::Runs(replica, back) => {
                let _ = back.send(vec![
                    record(&replica, 200 + u64::from(replica.index)),
                    record(&replica, 100 + u64::from(replica.index)),
                ]);
            }
            Request::Logs(request, back) => {
                self.note(format!("{request:?}"));
                let (mut ours, theirs) = UnixStream::pair().unwrap();
                ours.write_all(b"hello from the log\n").unwrap();
                let _ = back.send(match self.scripted() {
                    Some(_) => Err("the journal is not there".into()),
                    None => Ok(OwnedFd::from(theirs)),
                });
            }
            Request::CheckConfig(back) => {
                let _ = back.send(mistakes());
            }
            Request::ShowConfig(back) => {
                let _ = back.send("[node]\nname = \"n1\" # reeve.toml\n".into());
            }
            Request::DiffConfig(back) => {
                let _ = back.send(match self.scripted() {
                    Some(_) => Err(mistakes()),
                    None => Ok(vec![("node.name".into(), "n1".into(), "n2".into())]),
                });
            }
            Request::ExplainConfig(key, back) => {
                let known = key == "worker.stop.timeout";
                let _ = back.send(known.then(|| BTreeMap::from([("default".to_owned(), "30s".to_owned())])));
            }
            Request::Events(since, max, back) => {
                self.note(format!("events since={} max={max}", since.0));
                let _ = back.send(vec![Arc::new(event("it failed"))]);
            }
            Request::Alive(back) => drop(back.send(())),
            Request::SetLogLevel(level, back) => {
                self.note(format!("level {level}"));
                let _ = back.send(Ok(()));
            }
        }
    }

    fn scripted(&self) -> Option<Result<Accepted, Refusal>> {
        self.answers.lock().unwrap().pop()
    }

    fn accept(&mut self, command: &Command) -> Accepted {
        match command {
            Command::Reset(_)
            | Command::Kill(..)
            | Command::Cordon
            | Command::Uncordon
            | Command::Hold { .. }
            | Command::ReleaseHold(_)
            | Command::Cancel(_) => Accepted::Done,
            Command::Set(..) => Accepted::Applied,
            _ => {
                self.next += 1;
                Accepted::Operation(OperationId(self.next))
            }
        }
    }
}

fn operation(id: OperationId, command: &Command, caller: &Caller) -> OperationStatus {
    let what = match command {
        Command::Start(target) => format!("start {target}"),
        Command::Stop(target) => format!("stop {target}"),
        other => format!("{other:?}").to_lowercase(),
    };
    OperationStatus {
        id,
        what,
        by: caller.by.clone(),
        uid: caller.uid,
        via: caller.via.clone(),
        reason: caller.reason.clone(),
        request_id: caller.request_id.clone(),
        started: Wall(5_000),
        state: "running",
        result: "",
        ended: None,
        message: "waiting for web/1".into(),
        progress: (1, 2),
        targets: vec!["web/1".parse().unwrap(), "web/2".parse().unwrap()],
        dry_run: caller.dry_run.then(|| vec![action()]),
    }
}

fn action() -> PlannedAction {
    PlannedAction { action: "start".into(), target: "web/1".into(), reason: "wanted and not running".into() }
}

pub fn mistakes() -> Vec<Diagnostic> {
    let mistake = |line, error, key: &str, text: &str| Diagnostic {
        file: "/etc/reeve/workers.d/web.toml".into(),
        line,
        column: 1,
        error,
        key: key.into(),
        text: text.into(),
    };
    vec![
        mistake(3, true, "worker.replicas", "expected a count, not \"two\""),
        mistake(9, false, "worker.role", "empty"),
    ]
}

pub fn event(reason: &str) -> NodeEvent {
    let replica: ReplicaId = "web/2".parse().unwrap();
    NodeEvent { at: Wall(77), notice: Notice::replica(Kind::WorkerFailed, &replica, RUN.parse().ok(), reason) }
}

fn record(replica: &ReplicaId, ended: u64) -> ExitRecord {
    ExitRecord {
        run: RUN.parse().unwrap(),
        worker: replica.worker.clone(),
        replica: replica.index,
        started: Some(Wall(50)),
        ended: Wall(ended),
        supervised: true,
        cause: Cause::ExitCode(1),
        exit_code: Some(1),
        signal: None,
        reason: "exit code 1".into(),
        peak_memory: Some(4096),
        restarts: 3,
        log_tail: vec!["secret line".into()],
    }
}

pub fn refusal(kind: RefusalKind, text: &str) -> Result<Accepted, Refusal> {
    Err(Refusal { kind, text: text.into() })
}

pub fn replica(worker: &str, index: u32) -> ReplicaStatus {
    ReplicaStatus {
        id: ReplicaId::new(WorkerName::new(worker).unwrap(), index),
        state: "ready",
        reason: "ready since it said so".into(),
        since: Wall(1_000),
        ready: true,
        health: "healthy",
        pid: Some(4_000 + index),
        run: Some(RUN.parse::<RunId>().unwrap()),
        started: Some(Wall(900)),
        unit: Some(format!("reeve-{worker}-{index}.service")),
        cgroup: None,
        port: Some(7_000),
        gpus: vec![],
        restarts: 2,
        next_start: None,
        last_exit: Some(LastExit { cause: Cause::Signal(11), at: Wall(800), exit_code: None, signal: Some(11) }),
        holds: vec![],
        status_text: Some("serving".into()),
        active_tasks: Some(4),
        queue_depth: Some(9),
        outdated: false,
        vitals: Default::default(),
    }
}

pub fn worker(name: &str, replicas: u32) -> WorkerStatus {
    WorkerStatus {
        name: WorkerName::new(name).unwrap(),
        team: TeamName::new("front").unwrap(),
        role: Some("server".into()),
        wanted: replicas,
        ready: replicas,
        state: "running",
        reason: "all replicas are ready".into(),
        since: Wall(1_000),
        restarts: 5,
        health: "healthy",
        digest: "d1".into(),
        order: 50,
        depends_on: vec![WorkerName::new("db").unwrap()],
        replicas: (1..=replicas).map(|n| Arc::new(replica(name, n))).collect(),
    }
}

fn picture() -> Snapshot {
    let workers = [worker("web", 2), worker("3d-render", 1)];
    Snapshot {
        gpus: Arc::default(),
        fleet: Arc::default(),
        at: Wall(2_000),
        node: NodeStatus {
            name: "gpu-07".into(),
            labels: BTreeMap::from([("role".into(), "gpu".into())]),
            state: "running",
            since: Wall(500),
            reason: "all is well".into(),
            components: BTreeMap::from([("bus".into(), String::new())]),
            config_generation: 7,
            launcher: "direct".into(),
            ..NodeStatus::default()
        },
        workers: workers.into_iter().map(|w| (w.name.clone(), Arc::new(w))).collect(),
        operations: vec![],
    }
}

/// Grants everything up to a level; the rest is refused, or challenged.
#[derive(Debug)]
pub struct UpTo {
    pub level: Option<Level>,
    pub challenge: bool,
}

impl UpTo {
    pub fn level(level: Option<Level>) -> Option<Arc<dyn Authority>> {
        Some(Arc::new(Self { level, challenge: false }))
    }
}

impl Authority for UpTo {
    fn check<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Verdict> {
        let granted = self.level.is_some_and(|l| l >= question.action.level());
        let verdict = if granted {
            Verdict::Granted("test")
        } else if self.challenge && !question.interactive {
            Verdict::Challenge
        } else {
            Verdict::Refused(String::new())
        };
        Box::pin(std::future::ready(verdict))
    }
}

/// A trail in memory.
#[derive(Debug, Default)]
pub struct Kept {
    pub entries: Mutex<Vec<AuditEntry>>,
}

impl Kept {
    pub fn all(&self) -> Vec<AuditEntry> {
        self.entries.lock().unwrap().clone()
    }
}

impl AuditSink for Kept {
    fn record(&self, entry: AuditEntry) {
        self.entries.lock().unwrap().push(entry);
    }
    fn query(&self, since: Wall, max: u32) -> Result<Vec<Audited>, AuditProblem> {
        Ok(vec![Audited {
            at: since,
            uid: max,
            caller: "uid 0".into(),
            action: "org.reeve.node1.drain".into(),
            target: "node".into(),
            result: "success".into(),
            more: BTreeMap::from([("reason".into(), "kernel".into())]),
        }])
    }
    fn verify(&self) -> Result<AuditSummary, AuditProblem> {
        Err(AuditProblem { broken: true, text: "entry 17 does not follow from entry 16".into() })
    }
    fn entries(&self) -> u64 {
        12
    }
}

/// An error reply.
#[derive(Debug, PartialEq)]
pub struct Refused {
    pub name: String,
    pub text: String,
}

pub type Dict = HashMap<String, OwnedVariant>;

/// A client of plain D-Bus.
pub struct Client {
    pub connection: Connection,
    signals: mpsc::UnboundedReceiver<Message>,
    destination: Option<&'static str>,
    seen: Vec<Message>,
    pump: tokio::task::AbortHandle,
}

impl Drop for Client {
    fn drop(&mut self) {
        // It holds the connection.
        self.pump.abort();
    }
}

impl Client {
    pub fn new(mut stream: MessageStream, destination: Option<&'static str>) -> Self {
        let connection = Connection::from(&stream);
        let (sender, signals) = mpsc::unbounded_channel();
        // Replies are taken off the queue as well, or it would fill up and keep their descriptors open.
        let pump = tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let signal = message.message_type() == zbus::message::Type::Signal;
                if signal && sender.send(message).is_err() {
                    break;
                }
            }
        });
        Self { connection, signals, destination, seen: Vec::new(), pump: pump.abort_handle() }
    }

    /// Calls and waits for the reply; signals that come meanwhile are kept.
    pub async fn call<B>(&mut self, path: &str, interface: &str, method: &str, body: &B) -> Result<Message, Refused>
    where
        B: serde::Serialize + DynamicType,
    {
        let full = if interface.contains('.') { interface.to_owned() } else { format!("org.reeve.Node1.{interface}") };
        let connection = self.connection.clone();
        let answer = connection.call_method(self.destination, path, Some(full), method, body);
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await.expect("an answer in time");
        answer.map_err(|e| match e {
            zbus::Error::MethodError(name, text, _) => {
                Refused { name: name.to_string(), text: text.unwrap_or_default() }
            }
            zbus::Error::FDO(e) => Refused { name: zbus::DBusError::name(&*e).to_string(), text: e.to_string() },
            other => panic!("{method}: {other}"),
        })
    }

    /// One property.
    pub async fn property(&mut self, path: &str, interface: &str, name: &str) -> OwnedVariant {
        let full = format!("org.reeve.Node1.{interface}");
        let reply = self.call(path, "org.freedesktop.DBus.Properties", "Get", &(full, name)).await.unwrap();
        reply.body().deserialize().unwrap()
    }

    /// The next signal of this name, whatever else comes before it.
    pub async fn signal(&mut self, name: &str) -> Message {
        let is = |m: &Message| m.header().member().is_some_and(|n| n.as_str() == name);
        if let Some(at) = self.seen.iter().position(is) {
            return self.seen.remove(at);
        }
        let find = async {
            while let Some(message) = self.signals.recv().await {
                if is(&message) {
                    return message;
                }
                self.seen.push(message);
            }
            panic!("the connection has ended before {name}");
        };
        tokio::time::timeout(Duration::from_secs(10), find).await.unwrap_or_else(|_| panic!("no signal {name}"))
    }

    /// The names of signals that have come by now and were not asked for. Everything that was sent before the reply
    /// to a call has come when the call is answered.
    pub async fn others(&mut self) -> Vec<String> {
        self.call(ROOT, "Manager", "Ping", &()).await.unwrap();
        tokio::task::yield_now().await;
        while let Ok(message) = self.signals.try_recv() {
            self.seen.push(message);
        }
        let name = |m: &Message| m.header().member().map(ToString::to_string);
        self.seen.iter().filter_map(name).collect()
    }
}

/// No options.
pub fn none() -> HashMap<&'static str, Variant<'static>> {
    HashMap::new()
}

/// Some options.
pub fn opt<const N: usize>(list: [(&'static str, Variant<'static>); N]) -> HashMap<&'static str, Variant<'static>> {
    list.into_iter().collect()
}

pub fn text(value: &OwnedVariant) -> String {
    match &**value {
        Variant::Str(s) => s.as_str().to_owned(),
        other => panic!("not a text: {other:?}"),
    }
}
