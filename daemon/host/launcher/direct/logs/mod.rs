//! What workers write to standard output and standard error.
//!
//! Each run has one pipe for both. A thread of its own reads all of them, so that neither a flood of lines nor a slow
//! disk can hold up the loop; an idle worker costs it one descriptor. Lines go to `<state>/logs/<worker>-<n>.log` and
//! from there, at 1 MiB, to `….log.1`; they are read back from there, so nothing is kept in memory, except while
//! the disk takes nothing. A replica may log 10,000 lines in 30 s, as journald has it: what is above is dropped and
//! counted in a line of its own, and read so slowly that a flood costs next to nothing.

mod collector;
mod file;
mod limit;

use crate::host::threads;
use collector::Collector;
use nix::sys::eventfd::EventFd;
use reeve_core::{ReplicaId, RunId, Wall};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use tokio::sync::{mpsc as channel, oneshot};

/// A line of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was read.
    pub at: Wall,
    /// The run that wrote it.
    pub run: RunId,
    /// Without the line break; longer ones come in pieces of 4 KiB.
    pub text: String,
}

/// The way to the log thread. Cheap to clone; answers come in the order of the questions.
#[derive(Debug, Clone)]
pub struct Logs {
    commands: Sender<Command>,
    wake: Arc<EventFd>,
}

#[derive(Debug)]
enum Command {
    Open(ReplicaId, RunId, OwnedFd),
    Finish(RunId),
    Read(ReplicaId, Option<RunId>, usize, oneshot::Sender<Vec<LogLine>>),
    Follow(ReplicaId, channel::Sender<LogLine>),
    Forget(ReplicaId),
    Stop,
}

impl Logs {
    /// Starts the thread; logs lie in `folder`.
    pub(super) fn start(folder: PathBuf) -> io::Result<(Self, std::thread::JoinHandle<()>)> {
        let wake = Arc::new(EventFd::from_flags(
            nix::sys::eventfd::EfdFlags::EFD_CLOEXEC | nix::sys::eventfd::EfdFlags::EFD_NONBLOCK,
        )?);
        let (commands, inbox) = mpsc::channel();
        let mut collector = Collector::new(folder, inbox, wake.clone())?;
        let thread = threads::named("reeved-logs").stack_size(256 * 1024).spawn(move || collector.run())?;
        Ok((Self { commands, wake }, thread))
    }

    /// The last `n` lines of a run, oldest first: for its exit record. All it wrote before its `Exited` is in there.
    pub async fn tail(&self, replica: &ReplicaId, run: RunId, n: usize) -> Vec<String> {
        let lines = self.read(replica, Some(run), n).await;
        lines.into_iter().map(|l| l.text).collect()
    }

    /// The last `n` lines of a run, or of all runs of the replica, oldest first.
    pub async fn read(&self, replica: &ReplicaId, run: Option<RunId>, n: usize) -> Vec<LogLine> {
        let (back, answer) = oneshot::channel();
        self.send(Command::Read(replica.clone(), run, n, back));
        answer.await.unwrap_or_default()
    }

    /// Lines of the replica from now on, until the receiver is dropped. One that reads too slowly misses lines.
    pub fn follow(&self, replica: &ReplicaId) -> channel::Receiver<LogLine> {
        let (lines, reader) = channel::channel(1024);
        self.send(Command::Follow(replica.clone(), lines));
        reader
    }

    /// Collects a run's output from this pipe until it is finished.
    pub(super) fn open(&self, replica: &ReplicaId, run: RunId, pipe: OwnedFd) {
        self.send(Command::Open(replica.clone(), run, pipe));
    }

    /// The run has ended: takes what is in the pipe and closes it, whoever may still hold the other end.
    pub(super) fn finish(&self, run: RunId) {
        self.send(Command::Finish(run));
    }

    /// Lets go of the replica's open files; its logs stay.
    pub(super) fn forget(&self, replica: &ReplicaId) {
        self.send(Command::Forget(replica.clone()));
    }

    /// Ends the thread once it has done all that was asked.
    pub(super) fn stop(&self) {
        self.send(Command::Stop);
    }

    fn send(&self, command: Command) {
        // The thread is gone only when we are ending too.
        if self.commands.send(command).is_ok() {
            let _ = self.wake.write(1);
        }
    }
}
