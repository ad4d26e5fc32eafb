//! Entries that could not be written yet, in order. Bounded: what is worth least goes first.

use reeve_core::{ReplicaId, RunEntry};
use std::collections::VecDeque;

/// Bytes kept in memory at most.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// How sorely an entry would be missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// Log lines; the journal has them too.
    Tail,
    /// A state that a later entry replaces.
    State,
    /// The end of a run.
    Exit,
}

/// One encoded entry.
#[derive(Debug)]
pub struct Waiting {
    /// Whose.
    pub replica: ReplicaId,
    /// As it goes into the file.
    pub line: Vec<u8>,
    /// For counting.
    pub entry: RunEntry,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    entries: VecDeque<Waiting>,
    bytes: usize,
    lost: u64,
}

impl Queue {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many had to be given up for want of room.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Puts one at the end.
    pub fn push(&mut self, entry: Waiting) {
        self.bytes += entry.line.len();
        self.entries.push_back(entry);
        for worth in [Worth::Tail, Worth::State, Worth::Exit] {
            while self.bytes > BYTES_MAX {
                let Some(at) = self.entries.iter().position(|e| worth_of(e) == worth) else {
                    break;
                };
                if let Some(gone) = self.entries.remove(at) {
                    self.bytes -= gone.line.len();
                    self.lost += 1;
                }
            }
        }
    }

    /// The oldest.
    pub fn first(&self) -> Option<&Waiting> {
        self.entries.front()
    }

    /// The oldest is written.
    pub fn pop(&mut self) {
        if let Some(gone) = self.entries.pop_front() {
            self.bytes -= gone.line.len();
        }
    }

    /// Those of a replica, oldest first.
    pub fn of<'a>(&'a self, replica: &'a ReplicaId) -> impl Iterator<Item = &'a Waiting> {
        self.entries.iter().filter(move |e| e.replica == *replica)
    }

    /// Forgets those of a replica.
    pub fn remove(&mut self, replica: &ReplicaId) {
        self.entries.retain(|e| e.replica != *replica);
        self.bytes = self.entries.iter().map(|e| e.line.len()).sum();
    }
}

fn worth_of(entry: &Waiting) -> Worth {
    match entry.entry {
        RunEntry::Tail { .. } => Worth::Tail,
        RunEntry::Exited(_) => Worth::Exit,
        _ => Worth::State,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use reeve_core::RunId;

    #[test]
    fn a_full_queue_gives_up_tails_first_and_says_so() {
        let replica: ReplicaId = "web/1".parse().unwrap();
        let entry = |entry, bytes| Waiting { replica: replica.clone(), line: vec![b'x'; bytes], entry };
        let mut queue = Queue::default();
        queue.push(entry(RunEntry::Port(1), 10));
        let tail = RunEntry::Tail { run: RunId([1; 16]), lines: Vec::new() };
        queue.push(entry(tail, BYTES_MAX - 15));
        queue.push(entry(RunEntry::Ready(true), 10));
        assert_eq!((queue.len(), queue.lost(), queue.bytes), (2, 1, 20));
        queue.pop();
        assert_eq!(queue.first().unwrap().entry, RunEntry::Ready(true));
        queue.remove(&replica);
        assert_eq!((queue.len(), queue.bytes), (0, 0));
    }
}
