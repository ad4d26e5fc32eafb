//! What the bus may ask of the loop: a channel of requests, the snapshot, and the stream of entries.

use crate::bus::calls::Calls;
use crate::export::Served;
use reeve_core::config::Diagnostic;
use reeve_core::metrics::Exposition;
use reeve_core::status::PlannedAction;
use reeve_core::{Accepted, Command, ExitRecord, Notice, Refusal, ReplicaId, RunId, Snapshot, Target, Wall};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Who calls, as the bus has established it. Options common to all methods stand here too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// Uid.
    pub uid: u32,
    /// `uid 1000 (alice)`.
    pub by: String,
    /// `dbus`, `signal`, `timer`, `fleet`.
    pub via: String,
    /// Why.
    pub reason: Option<String>,
    /// Same id, same operation.
    pub request_id: Option<String>,
    /// Change nothing.
    pub dry_run: bool,
}

/// Something that has happened, for `ListEvents` and the `Event` signal.
#[derive(Debug, Clone)]
pub struct NodeEvent {
    /// When.
    pub at: Wall,
    /// The entry as it stands in the journal.
    pub notice: Notice,
}

/// Which log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRequest {
    /// Whose.
    pub target: Target,
    /// How many of the newest lines.
    pub lines: u32,
    /// Go on as more come.
    pub follow: bool,
    /// Of the run before the present one.
    pub previous: bool,
    /// Of this run.
    pub run: Option<RunId>,
}

/// A key, its value in force and its value on disk.
pub type Difference = (String, String, String);

/// What is asked. Each carries the way back.
#[derive(Debug)]
pub enum Request {
    /// A mutating command, authorised and audited.
    Command(Command, Caller, oneshot::Sender<Result<Accepted, Refusal>>),
    /// Read the configuration again; the generation, or every mistake.
    Reload(Caller, oneshot::Sender<Result<u64, Vec<Diagnostic>>>),
    /// What would be done now, or (`true`) with the files on disk.
    Plan(bool, oneshot::Sender<Result<Vec<PlannedAction>, Vec<Diagnostic>>>),
    /// Ended runs, newest first.
    Runs(ReplicaId, oneshot::Sender<Vec<ExitRecord>>),
    /// Log lines: read end of a pipe, or why not.
    Logs(LogRequest, oneshot::Sender<Result<OwnedFd, String>>),
    /// Every mistake in the files on disk.
    CheckConfig(oneshot::Sender<Vec<Diagnostic>>),
    /// The configuration in force as TOML with origins.
    ShowConfig(oneshot::Sender<String>),
    /// (key, in force, on disk), or every mistake on disk.
    DiffConfig(oneshot::Sender<Result<Vec<Difference>, Vec<Diagnostic>>>),
    /// `default unit range requirement value origin text` of a key; `None`: no such key.
    ExplainConfig(String, oneshot::Sender<Option<BTreeMap<String, String>>>),
    /// Events since, oldest first, at most so many.
    Events(Wall, u32, oneshot::Sender<Vec<Arc<NodeEvent>>>),
    /// Answer, which shows that the loop turns.
    Alive(oneshot::Sender<()>),
    /// `error`, `warn`, `info`, `debug`, `trace`.
    SetLogLevel(String, oneshot::Sender<Result<(), String>>),
}

/// The bus's end of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    requests: mpsc::UnboundedSender<Request>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    events: broadcast::Sender<Arc<NodeEvent>>,
    exposition: watch::Receiver<Arc<Exposition>>,
    served: Arc<Served>,
    calls: Arc<Calls>,
}

/// The loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the daemon is ending")]
pub struct Ended;

impl Handle {
    /// Joins the three ends; there are no samples but those of the picture.
    pub fn new(
        requests: mpsc::UnboundedSender<Request>,
        snapshot: watch::Receiver<Arc<Snapshot>>,
        events: broadcast::Sender<Arc<NodeEvent>>,
    ) -> Self {
        let (_, exposition) = watch::channel(Arc::default());
        Self { requests, snapshot, events, exposition, served: Arc::default(), calls: Arc::default() }
    }

    /// With the samples that sources have brought.
    pub fn showing(mut self, exposition: watch::Receiver<Arc<Exposition>>) -> Self {
        self.exposition = exposition;
        self
    }

    /// The newest samples.
    pub fn exposition(&self) -> Arc<Exposition> {
        self.exposition.borrow().clone()
    }

    /// What the metrics endpoint counts of itself.
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// What the bus counts of its calls.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The newest picture.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// Wakes when there is a newer picture.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.clone()
    }

    /// Everything that happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<NodeEvent>> {
        self.events.subscribe()
    }

    /// Asks, and waits for no answer.
    pub fn tell<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Request) {
        // A loop that has ended wants to know nothing.
        let _ = self.requests.send(make(oneshot::channel().0));
    }

    /// Asks, and waits for the answer: `handle.ask(|back| Request::Reload(caller, back)).await`.
    pub async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Ended> {
        let (back, answer) = oneshot::channel();
        self.requests.send(make(back)).map_err(|_| Ended)?;
        answer.await.map_err(|_| Ended)
    }
}
