//! What comes next, in true time; of one instant, what was put in first.

use crate::clock::True;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub struct Queue<T> {
    items: BinaryHeap<Reverse<Item<T>>>,
    count: u64,
}

struct Item<T>(True, u64, T);

impl<T> Queue<T> {
    pub fn new() -> Self {
        Self { items: BinaryHeap::new(), count: 0 }
    }

    pub fn push(&mut self, at: True, next: T) {
        self.count += 1;
        self.items.push(Reverse(Item(at, self.count, next)));
    }

    pub fn pop(&mut self) -> Option<(True, T)> {
        self.items.pop().map(|Reverse(Item(at, _, next))| (at, next))
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl<T> Eq for Item<T> {}
impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}
