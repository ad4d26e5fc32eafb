//! The log thread: one `epoll` over all pipes, bounded work for each per turn.

use super::file::LogFile;
use super::limit::Limit;
use super::{Command, LogLine};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use reeve_core::{ReplicaId, RunId, Wall};
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::Sender;

/// Read from one pipe at a time.
const CHUNK: usize = 16 * 1024;
/// Longer lines are cut.
const LONGEST: usize = 4096;
/// A pipe whose lines are dropped is read once in this time.
const PAUSE: Duration = Duration::from_millis(20);
/// Taken at the end of a run, whoever goes on writing.
const LAST: usize = 1024 * 1024;
const WAKE: u64 = 0;

pub(super) struct Collector {
    folder: PathBuf,
    inbox: Receiver<Command>,
    wake: Arc<EventFd>,
    epoll: Epoll,
    sources: BTreeMap<u64, Source>,
    sinks: BTreeMap<ReplicaId, Sink>,
    paused: Vec<(Instant, u64)>,
    next: u64,
    buffer: Vec<u8>,
}

/// The pipe of a run.
struct Source {
    pipe: OwnedFd,
    replica: ReplicaId,
    run: RunId,
    partial: Vec<u8>,
}

/// Where the lines of a replica go.
struct Sink {
    file: LogFile,
    limit: Limit,
    run: Option<RunId>,
    followers: Vec<Sender<LogLine>>,
}

impl Collector {
    pub(super) fn new(folder: PathBuf, inbox: Receiver<Command>, wake: Arc<EventFd>) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        Ok(Self {
            folder,
            inbox,
            wake,
            epoll,
            sources: BTreeMap::new(),
            sinks: BTreeMap::new(),
            paused: Vec::new(),
            next: WAKE + 1,
            buffer: vec![0; CHUNK],
        })
    }

    pub(super) fn run(&mut self) {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => {
                    tracing::error!(%error, "the log thread cannot go on");
                    return;
                }
            };
            let ready = events.iter().take(count).map(EpollEvent::data);
            for key in ready.filter(|k| *k != WAKE).collect::<Vec<_>>() {
                self.collect(key);
            }
            let _ = self.wake.read();
            while let Ok(command) = self.inbox.try_recv() {
                if !self.obey(command) {
                    return;
                }
            }
            self.on_time();
        }
    }

    /// `false`: the end.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Open(replica, run, pipe) => self.open(replica, run, pipe),
            Command::Finish(run) => {
                let mut keys = self.sources.iter();
                if let Some(key) = keys.find(|(_, s)| s.run == run).map(|(k, _)| *k) {
                    self.finish(key);
                }
            }
            Command::Read(replica, run, n, back) => {
                let lines = match self.sinks.get(&replica) {
                    Some(sink) => sink.file.read(run, n),
                    None => LogFile::new(self.path(&replica)).read(run, n),
                };
                let _ = back.send(lines);
            }
            Command::Follow(replica, lines) => self.sink(&replica).followers.push(lines),
            Command::Forget(replica) => {
                self.sinks.remove(&replica);
            }
            Command::Stop => {
                for key in self.sources.keys().copied().collect::<Vec<_>>() {
                    self.finish(key);
                }
                return false;
            }
        }
        true
    }

    fn open(&mut self, replica: ReplicaId, run: RunId, pipe: OwnedFd) {
        let key = self.next;
        self.next += 1;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, key);
        if let Err(error) = self.epoll.add(&pipe, event) {
            tracing::warn!(%replica, %error, "its output cannot be collected");
            return;
        }
        let source = Source { pipe, replica, run, partial: Vec::new() };
        self.sources.insert(key, source);
    }

    /// One chunk from a pipe. A pipe at its end, or broken, is closed.
    fn collect(&mut self, key: u64) {
        let now = Instant::now();
        if self.read(key, now) == Some(0) {
            self.close(key);
        }
        let Some(source) = self.sources.get(&key) else {
            return;
        };
        let sink = self.sinks.get(&source.replica);
        if sink.is_some_and(|s| s.limit.is_dropping()) {
            let mut none = EpollEvent::new(EpollFlags::empty(), key);
            if self.epoll.modify(&source.pipe, &mut none).is_ok() {
                self.paused.push((now + PAUSE, key));
            }
        }
    }

    /// How much was read: 0 at the end, `None` when there is nothing yet.
    fn read(&mut self, key: u64, now: Instant) -> Option<usize> {
        let source = self.sources.get_mut(&key)?;
        let count = match nix::unistd::read(&source.pipe, &mut self.buffer) {
            Ok(count) => count,
            Err(Errno::EAGAIN | Errno::EINTR) => return None,
            Err(_) => 0,
        };
        let bytes = self.buffer.get(..count).unwrap_or_default();
        let at = wall();
        let mut lines = Vec::new();
        let run = source.run;
        let mut push = |text: &[u8]| {
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let text = String::from_utf8_lossy(text).replace(['\0', '\n'], "\u{fffd}");
            lines.push(LogLine { at, run, text });
        };
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            for part in text.chunks(LONGEST) {
                if source.partial.len() + part.len() > LONGEST {
                    push(&source.partial);
                    source.partial.clear();
                }
                source.partial.extend_from_slice(part);
            }
            if whole {
                push(&source.partial);
                source.partial.clear();
            }
        }
        if source.partial.is_empty() {
            source.partial = Vec::new();
        }
        if !lines.is_empty() {
            let replica = source.replica.clone();
            self.keep(&replica, lines, now);
        }
        Some(count)
    }

    fn keep(&mut self, replica: &ReplicaId, mut lines: Vec<LogLine>, now: Instant) {
        let sink = self.sink(replica);
        sink.run = lines.last().map(|l| l.run);
        let told = sink.limit.report(now, false);
        lines.retain(|_| sink.limit.admit(now));
        if let (Some(count), Some(run)) = (told, sink.run) {
            lines.insert(0, suppressed(count, run));
        }
        sink.append(replica, &lines, now);
    }

    fn finish(&mut self, key: u64) {
        let now = Instant::now();
        let mut taken = 0;
        while taken < LAST {
            match self.read(key, now) {
                Some(0) | None => break,
                Some(count) => taken += count,
            }
        }
        self.close(key);
    }

    fn close(&mut self, key: u64) {
        let Some(source) = self.sources.remove(&key) else {
            return;
        };
        let _ = self.epoll.delete(&source.pipe);
        self.paused.retain(|(_, k)| *k != key);
        let now = Instant::now();
        if !source.partial.is_empty() {
            let rest =
                LogLine { at: wall(), run: source.run, text: String::from_utf8_lossy(&source.partial).into_owned() };
            self.keep(&source.replica, vec![rest], now);
        }
        if let Some(sink) = self.sinks.get_mut(&source.replica) {
            if let Some(count) = sink.limit.report(now, true) {
                sink.append(&source.replica, &[suppressed(count, source.run)], now);
            }
            sink.file.close();
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        let (due, later): (Vec<_>, _) = self.paused.drain(..).partition(|(at, _)| *at <= now);
        self.paused = later;
        for (_, key) in due {
            if let Some(source) = self.sources.get(&key) {
                let mut event = EpollEvent::new(EpollFlags::EPOLLIN, key);
                let _ = self.epoll.modify(&source.pipe, &mut event);
            }
        }
        for (replica, sink) in &mut self.sinks {
            if let (Some(count), Some(run)) = (sink.limit.report(now, false), sink.run) {
                sink.append(replica, &[suppressed(count, run)], now);
            }
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let paused = self.paused.iter().map(|(at, _)| *at);
        let limits = self.sinks.values().filter_map(|s| s.limit.deadline());
        let Some(at) = paused.chain(limits).min() else {
            return EpollTimeout::NONE;
        };
        let wait = at.saturating_duration_since(Instant::now());
        let millis = u16::try_from(wait.as_millis() + 1).unwrap_or(u16::MAX);
        EpollTimeout::from(millis)
    }

    fn sink(&mut self, replica: &ReplicaId) -> &mut Sink {
        let path = self.path(replica);
        self.sinks.entry(replica.clone()).or_insert_with(|| Sink {
            file: LogFile::new(path),
            limit: Limit::new(Instant::now()),
            run: None,
            followers: Vec::new(),
        })
    }

    fn path(&self, replica: &ReplicaId) -> PathBuf {
        self.folder.join(format!("{}.log", replica.file_name()))
    }
}

impl Sink {
    fn append(&mut self, replica: &ReplicaId, lines: &[LogLine], now: Instant) {
        if lines.is_empty() {
            return;
        }
        if let Err(error) = self.file.append(lines, now) {
            tracing::warn!(%replica, %error, "its log cannot be written, only the last lines are kept");
        }
        self.followers.retain(|follower| {
            lines.iter().all(|l| {
                !matches!(follower.try_send(l.clone()), Err(tokio::sync::mpsc::error::TrySendError::Closed(_)))
            })
        });
    }
}

fn suppressed(count: u64, run: RunId) -> LogLine {
    LogLine { at: wall(), run, text: format!("suppressed {count} lines: more than 10000 in 30 s") }
}

fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Wall(since.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
}
