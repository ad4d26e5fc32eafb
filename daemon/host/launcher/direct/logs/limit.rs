//! How many lines a replica may log: 10,000 in 30 s, counted in windows as journald does.

use std::time::{Duration, Instant};

const LINES: u32 = 10_000;
const WINDOW: Duration = Duration::from_secs(30);

/// Counts the lines of one replica.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    since: Instant,
    lines: u32,
    suppressed: u64,
}

impl Limit {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, lines: 0, suppressed: 0 }
    }

    /// Whether one more line may be kept; if not, it is counted.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        if self.lines >= LINES && now >= self.since + WINDOW {
            self.lines = 0;
        }
        if self.lines == 0 {
            self.since = now;
        }
        if self.lines < LINES {
            self.lines += 1;
            true
        } else {
            self.suppressed += 1;
            false
        }
    }

    /// Whether lines are being dropped.
    pub(super) fn is_dropping(&self) -> bool {
        self.suppressed > 0
    }

    /// How many were dropped, to be told once the window is over, or at the `end` of the run.
    pub(super) fn report(&mut self, now: Instant, end: bool) -> Option<u64> {
        if self.suppressed == 0 || !(end || now >= self.since + WINDOW) {
            return None;
        }
        if now >= self.since + WINDOW {
            self.lines = 0;
        }
        Some(std::mem::take(&mut self.suppressed))
    }

    /// When [`Limit::report`] will have something to tell.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.is_dropping().then(|| self.since + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let start = Instant::now();
        let mut limit = Limit::new(start);
        assert!((0..LINES).all(|_| limit.admit(start)));
        assert!((0..7).all(|_| !limit.admit(start)));
        assert_eq!(limit.report(start, false), None);
        assert_eq!(limit.deadline(), Some(start + WINDOW));
        let later = start + WINDOW;
        assert_eq!(limit.report(later, false), Some(7));
        assert!(limit.admit(later));
        assert_eq!(limit.report(later, true), None);
    }

    #[test]
    fn the_end_of_a_run_tells_at_once_but_opens_no_new_window() {
        let start = Instant::now();
        let mut limit = Limit::new(start);
        assert_eq!((0..LINES + 3).filter(|_| limit.admit(start)).count(), 10_000);
        assert_eq!(limit.report(start, true), Some(3));
        assert!(!limit.admit(start));
    }
}
