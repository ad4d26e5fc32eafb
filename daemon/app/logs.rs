//! Where workers' log lines come from: journald, or the direct launcher's own files.

use super::handle::LogRequest;
use super::run::App;
use crate::host::journal::reader::{Reader, Whose};
use crate::host::launcher::direct::logs::{LogLine, Logs};
use nix::fcntl::OFlag;
use reeve_core::exit::TAIL_LINES;
use reeve_core::{ReplicaId, RunId, Target, Wall};
use std::os::fd::OwnedFd;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};

/// The way back of a log request.
pub(super) type Back = oneshot::Sender<Result<OwnedFd, String>>;

/// A source of log lines.
#[derive(Debug, Clone)]
pub(super) enum LogSource {
    /// Units log to journald.
    Journal(Reader),
    /// Children log to pipes that we read.
    Direct(Logs),
}

/// Which replicas and which run of each a request means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub replica: ReplicaId,
    pub run: Option<RunId>,
}

impl App {
    /// Names the replicas and runs a request means; `Err` says why there are none.
    pub(super) fn runs_for(&self, request: &LogRequest) -> Result<Vec<Wanted>, String> {
        let snapshot = self.snapshot.borrow();
        let Some(worker) = snapshot.workers.get(request.target.worker()) else {
            return Err(format!("there is no worker {}", request.target.worker()));
        };
        let chosen = worker.replicas.iter().filter(|r| match &request.target {
            Target::Worker(_) => true,
            Target::Replica(id) => r.id == *id,
        });
        let mut wanted = Vec::new();
        for replica in chosen {
            let run = match (request.run, request.previous) {
                (Some(run), _) => Some(run),
                (None, false) => None,
                (None, true) => {
                    let ended = self.store.runs(&replica.id).into_iter().find(|r| r.started.is_some());
                    match ended {
                        Some(record) => Some(record.run),
                        None => continue,
                    }
                }
            };
            wanted.push(Wanted { replica: replica.id.clone(), run });
        }
        match (wanted.is_empty(), request.previous) {
            (false, _) => Ok(wanted),
            (true, true) => Err(format!("{} has no earlier run", request.target)),
            (true, false) => Err(format!("there is no replica {}", request.target)),
        }
    }
}

impl LogSource {
    /// Fetches the last lines of an ended run and hands them on.
    pub(super) fn tail(
        &self,
        replica: &ReplicaId,
        run: RunId,
        to: mpsc::UnboundedSender<(ReplicaId, RunId, Vec<String>)>,
    ) {
        let (source, replica) = (self.clone(), replica.clone());
        tokio::spawn(async move {
            let lines = match source {
                LogSource::Journal(reader) => reader.tail(run, TAIL_LINES).await.unwrap_or_else(|why| {
                    tracing::warn!(%replica, "its last log lines cannot be read: {why}");
                    Vec::new()
                }),
                LogSource::Direct(logs) => logs.tail(&replica, run, TAIL_LINES).await,
            };
            // The loop is gone only when the daemon ends.
            let _ = to.send((replica, run, lines));
        });
    }

    /// Opens a pipe with the lines wanted, oldest first.
    pub(super) fn open(&self, request: LogRequest, wanted: Result<Vec<Wanted>, String>, back: Back) {
        let source = self.clone();
        tokio::spawn(async move {
            let opened = match (wanted, source) {
                (Err(why), _) => Err(why),
                (Ok(wanted), LogSource::Journal(reader)) => {
                    reader.open_logs(&whose(&wanted), request.lines, request.follow)
                }
                (Ok(wanted), LogSource::Direct(logs)) => {
                    own_pipe(logs, request, wanted).map_err(|e| format!("pipe: {e}"))
                }
            };
            // Who asked may have gone.
            let _ = back.send(opened);
        });
    }
}

/// One run when exactly one was meant, else everything the units have logged.
fn whose(wanted: &[Wanted]) -> Whose {
    match wanted {
        [Wanted { run: Some(run), .. }] => Whose::Run(*run),
        several => Whose::Units(several.iter().map(|w| w.replica.unit()).collect()),
    }
}

/// A pipe that a task of ours fills.
fn own_pipe(logs: Logs, request: LogRequest, wanted: Vec<Wanted>) -> std::io::Result<OwnedFd> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let writer = pipe::Sender::from_owned_fd(write)?;
    tokio::spawn(async move {
        // A reader that closes its end has seen enough.
        let _ = fill(writer, &logs, &request, wanted).await;
    });
    Ok(read)
}

async fn fill(mut to: pipe::Sender, logs: &Logs, request: &LogRequest, wanted: Vec<Wanted>) -> std::io::Result<()> {
    let mut lines: Vec<(Wall, String)> = Vec::new();
    let (all, mut news) = mpsc::channel::<(ReplicaId, LogLine)>(256);
    for w in &wanted {
        if request.follow {
            let (mut from, all, replica) = (logs.follow(&w.replica), all.clone(), w.replica.clone());
            tokio::spawn(async move {
                while let Some(line) = from.recv().await {
                    if all.send((replica.clone(), line)).await.is_err() {
                        return;
                    }
                }
            });
        }
        let some = logs.read(&w.replica, w.run, request.lines as usize).await;
        lines.extend(some.into_iter().map(|l| (l.at, render(&w.replica, &l))));
    }
    drop(all);
    lines.sort_by_key(|(at, _)| *at);
    let skip = lines.len().saturating_sub(request.lines as usize);
    for (_, line) in lines.into_iter().skip(skip) {
        to.write_all(line.as_bytes()).await?;
    }
    while let Some((replica, line)) = news.recv().await {
        to.write_all(render(&replica, &line).as_bytes()).await?;
    }
    Ok(())
}

fn render(replica: &ReplicaId, line: &LogLine) -> String {
    format!("{} {replica}: {}\n", stamp(line.at), line.text)
}

/// `Nov 21 10:20:30`, as journalctl shows it.
fn stamp(at: Wall) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Some(t) = crate::host::localtime::local(at) else { return at.0.to_string() };
    let month = MONTHS.get(usize::from(t.month).wrapping_sub(1)).copied().unwrap_or("???");
    format!("{month} {:02} {:02}:{:02}:{:02}", t.day, t.hour, t.minute, t.second)
}
