//! What the keys have chosen.

use super::model::{Picture, Row};
pub use crate::ctl::args::TopSort as Sort;
use std::cmp::Ordering;

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Ends.
    Quit,
    /// Sorts.
    Sort(Sort),
    /// Moves the list by so many rows.
    Move(i32),
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// Stops or goes on looking.
    Pause,
    /// Only replicas that run, or all.
    Idle,
    /// Draws anew.
    Redraw,
}

/// The choices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Order.
    pub sort: Sort,
    /// Rows above the window.
    pub skip: usize,
    /// The picture stands still.
    pub paused: bool,
    /// Replicas at rest are left out.
    pub only_running: bool,
}

impl Choices {
    /// Follows a key; `false`: it is over.
    pub fn follow(&mut self, key: Key) -> bool {
        match key {
            Key::Quit => return false,
            Key::Sort(sort) => (self.sort, self.skip) = (sort, 0),
            Key::Move(by) if by < 0 => self.skip = self.skip.saturating_sub(by.unsigned_abs() as usize),
            Key::Move(by) => self.skip = self.skip.saturating_add(by.unsigned_abs() as usize),
            Key::Home => self.skip = 0,
            Key::End => self.skip = usize::MAX,
            Key::Pause => self.paused = !self.paused,
            Key::Idle => (self.only_running, self.skip) = (!self.only_running, 0),
            Key::Redraw => {}
        }
        true
    }

    /// The replicas in the order chosen; keeps the window within them.
    pub fn rows<'a>(&mut self, picture: &'a Picture, room: usize) -> Vec<&'a Row> {
        let mut rows: Vec<&Row> =
            picture.replicas.iter().filter(|r| !self.only_running || r.cpu.is_some() || r.memory.is_some()).collect();
        rows.sort_by(|a, b| self.order(a, b).then_with(|| natural(&a.name, &b.name)));
        self.skip = self.skip.min(rows.len().saturating_sub(room));
        rows
    }

    fn order(&self, a: &Row, b: &Row) -> Ordering {
        // What is not known comes last.
        let more = |a: Option<f64>, b: Option<f64>| b.unwrap_or(-1.0).total_cmp(&a.unwrap_or(-1.0));
        match self.sort {
            Sort::Cpu => more(a.cpu, b.cpu),
            Sort::Memory => more(a.memory, b.memory),
            Sort::Gpu => more(a.gpu_memory, b.gpu_memory).then(more(a.gpu, b.gpu)),
            Sort::Name => Ordering::Equal,
        }
    }
}

/// `web/2` before `web/10`.
fn natural(a: &str, b: &str) -> Ordering {
    let split = |text: &str| -> (String, u32) {
        let (worker, index) = text.rsplit_once('/').unwrap_or((text, ""));
        (worker.to_owned(), index.parse().unwrap_or(0))
    };
    split(a).cmp(&split(b))
}
