//! A node: a disk, a clock, and sometimes a process.

use crate::clock::{Clock, True};
use reeve_core::election::{Ballot, Effect, Event, Mark, Member};
use std::collections::VecDeque;

#[derive(Debug)]
pub struct Node {
    pub clock: Clock,
    pub disk: Disk,
    pub life: Option<Life>,
    /// Counts processes, so that what was meant for an older one is dropped.
    pub lives: u64,
    /// Stopped or asleep: what comes waits.
    pub asleep: Option<Asleep>,
    /// The next write ends with a crash.
    pub dies_writing: bool,
    /// Each write takes most of a second.
    pub slow: bool,
    /// Its voter file was lost, and an operator has made it a new one since.
    pub anew: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// `None`: there is none, or it cannot be read.
    pub file: Option<Ballot>,
    /// Writes fail.
    pub full: bool,
}

#[derive(Debug)]
pub struct Asleep {
    pub since: True,
    /// The whole machine, not the process alone.
    pub suspended: bool,
    pub waiting: VecDeque<Event>,
}

#[derive(Debug)]
pub struct Life {
    pub member: Member,
    /// In order; nothing passes a write.
    pub effects: VecDeque<Effect>,
    pub writing: Option<(Mark, Ballot)>,
    /// The wake-up that was asked for last.
    pub wakes_at: Option<True>,
}
