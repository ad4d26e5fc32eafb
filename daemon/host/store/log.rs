//! What a run log says: pure, bytes in, history out.

use super::line::{self, Line};
use reeve_core::exit::{RUNS_KEPT, TAIL_LINES};
use reeve_core::persist::{GpuGrant, LiveRun, ReplicaHistory, RestartRecord};
use reeve_core::{ExitRecord, RunEntry, RunId};
use std::collections::{BTreeMap, VecDeque};

/// A log line of a worker is cut here, in characters.
const LINE_MAX: usize = 1024;
/// A run that never was has no id; such records are never taken for one another.
const NO_RUN: RunId = RunId([0; 16]);

/// How much stands in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Lines.
    pub lines: u32,
    /// Among them ends of runs.
    pub exits: u32,
    /// Among them tails.
    pub tails: u32,
}

impl Count {
    /// One more line.
    pub fn add(&mut self, entry: &RunEntry) {
        self.lines += 1;
        match entry {
            RunEntry::Exited(_) => self.exits += 1,
            RunEntry::Tail { .. } => self.tails += 1,
            _ => {}
        }
    }

    /// More lines, counted elsewhere.
    pub fn add_all(&mut self, more: Count) {
        self.lines += more.lines;
        self.exits += more.exits;
        self.tails += more.tails;
    }

    /// Whether most of it is of no use any more.
    pub fn is_wasteful(&self) -> bool {
        let kept = u32::try_from(RUNS_KEPT).unwrap_or(u32::MAX);
        let needed = self.exits.min(kept) + self.tails.min(kept) + 4;
        self.lines > (4 * needed).max(64)
    }
}

/// The sum of a log.
#[derive(Debug, Default)]
pub struct Replay {
    /// What stands in it.
    pub count: Count,
    /// Lines that cannot be read.
    pub damaged: u32,
    live: Option<LiveRun>,
    restart: Option<RestartRecord>,
    port: Option<u16>,
    gpus: GpuGrant,
    exits: VecDeque<ExitRecord>,
    tails: BTreeMap<RunId, Vec<String>>,
}

impl Replay {
    /// Reads a log from its beginning.
    pub fn of(bytes: &[u8]) -> Self {
        let mut replay = Self::default();
        replay.read(bytes);
        replay
    }

    /// Reads on.
    pub fn read(&mut self, bytes: &[u8]) {
        for line in line::decode(bytes) {
            match line {
                Line::Entry(entry) => {
                    self.count.add(&entry);
                    self.apply(*entry);
                }
                Line::Foreign => self.count.lines += 1,
                Line::Damaged => self.damaged += 1,
            }
        }
    }

    fn apply(&mut self, entry: RunEntry) {
        match entry {
            RunEntry::Started(live) => self.live = Some(live),
            RunEntry::Ready(ready) => {
                if let Some(live) = &mut self.live {
                    live.ready = ready;
                }
            }
            RunEntry::Frozen { frozen, isolated } => {
                if let Some(live) = &mut self.live {
                    (live.frozen, live.isolated) = (frozen, isolated);
                }
            }
            RunEntry::Exited(record) => self.exited(record),
            RunEntry::Tail { run, lines } => {
                self.tails.insert(run, lines);
            }
            RunEntry::Restart(restart) => self.restart = Some(restart),
            RunEntry::Port(port) => self.port = Some(port),
            RunEntry::Gpus(gpus) => self.gpus = gpus,
        }
    }

    fn exited(&mut self, record: ExitRecord) {
        if self.live.as_ref().is_some_and(|live| live.run == record.run) {
            self.live = None;
        }
        // The daemon may end between writing a record and hearing so; it then writes it again.
        let same = |r: &ExitRecord| r.run == record.run && r.run != NO_RUN;
        match self.exits.iter_mut().find(|r| same(r)) {
            Some(known) => *known = record,
            None => self.exits.push_back(record),
        }
        if self.exits.len() > RUNS_KEPT
            && let Some(gone) = self.exits.pop_front()
        {
            self.tails.remove(&gone.run);
        }
    }

    /// What the core is told at start; tails stay on disk.
    pub fn history(&self) -> ReplicaHistory {
        ReplicaHistory {
            live: self.live.clone(),
            restart: self.restart.clone().unwrap_or_default(),
            port: self.port,
            gpus: self.gpus.clone(),
            last_exit: self.exits.back().cloned(),
        }
    }

    /// Ended runs with their tails, newest first.
    pub fn runs(mut self) -> Vec<ExitRecord> {
        let mut runs: Vec<ExitRecord> = self.exits.into();
        for run in &mut runs {
            if let Some(lines) = self.tails.remove(&run.run) {
                run.log_tail = lines;
            }
        }
        runs.reverse();
        runs
    }

    /// The shortest log that says the same.
    pub fn compacted(mut self) -> Result<(Vec<u8>, Count), String> {
        let (mut bytes, mut count) = (Vec::new(), Count::default());
        let mut put = |entry: RunEntry| {
            count.add(&entry);
            bytes.extend(line::encode(&entry)?);
            Ok::<_, String>(())
        };
        for record in self.exits {
            let run = record.run;
            put(RunEntry::Exited(record))?;
            if let Some(lines) = self.tails.remove(&run) {
                put(RunEntry::Tail { run, lines })?;
            }
        }
        self.port.map(RunEntry::Port).map_or(Ok(()), &mut put)?;
        if !self.gpus.given.is_empty() {
            put(RunEntry::Gpus(self.gpus))?;
        }
        self.restart.map(RunEntry::Restart).map_or(Ok(()), &mut put)?;
        self.live.map(RunEntry::Started).map_or(Ok(()), &mut put)?;
        Ok((bytes, count))
    }
}

/// The last lines, each cut to a length that can be kept a thousand times.
pub fn trim_tail(mut lines: Vec<String>) -> Vec<String> {
    let surplus = lines.len().saturating_sub(TAIL_LINES);
    lines.drain(..surplus);
    for line in &mut lines {
        if let Some((end, _)) = line.char_indices().nth(LINE_MAX) {
            line.truncate(end);
        }
    }
    lines
}
