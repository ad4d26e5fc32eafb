//! How much a counter has grown lately.

use crate::time::Mono;
use std::collections::VecDeque;
use std::time::Duration;

/// Points kept at most: older ones are thinned out, whatever the pace of the looks.
const POINTS: u32 = 128;

/// Growth of one counter over a span. A counter that begins anew has grown by what it shows.
#[derive(Debug, Clone)]
pub(super) struct Growth {
    span: Duration,
    last: Option<f64>,
    total: f64,
    points: VecDeque<(Mono, f64)>,
}

impl Growth {
    pub(super) fn new(span: Duration) -> Self {
        Self { span, last: None, total: 0.0, points: VecDeque::new() }
    }

    /// A new run: its growth counts from here, from `base` when that is known, else from the first value that is seen.
    pub(super) fn begin(&mut self, base: Option<f64>, now: Mono) {
        self.last = base;
        self.points.clear();
        if base.is_some() {
            self.points.push_back((now, self.total));
        }
    }

    /// A look at the counter.
    pub(super) fn look(&mut self, value: f64, now: Mono) {
        let grown = match self.last {
            Some(last) if value >= last => value - last,
            Some(_) => value,
            None => 0.0,
        };
        self.last = Some(value);
        self.total += grown;
        let due = self.points.back().is_none_or(|(at, _)| now.since(*at) >= self.span / POINTS);
        if due || self.points.len() == 1 {
            self.points.push_back((now, self.total));
        }
        // The first point is the newest that is old enough.
        while self.points.get(1).is_some_and(|(at, _)| now.since(*at) >= self.span) {
            self.points.pop_front();
        }
    }

    /// By how much it has grown, and in which time, at most about the span. `None`: there is nothing to compare with.
    pub(super) fn over(&self, now: Mono) -> Option<(f64, Duration)> {
        let (at, total) = self.points.front()?;
        let passed = now.since(*at);
        (!passed.is_zero()).then_some((self.total - total, passed))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn minute() -> Growth {
        Growth::new(Duration::from_secs(60))
    }

    #[test]
    fn met_05_growth_is_of_the_span() {
        let mut growth = minute();
        growth.begin(Some(0.0), at(0));
        for second in (5..=300).step_by(5) {
            growth.look(second as f64 * 2.0, at(second));
        }
        let (grown, passed) = growth.over(at(300)).unwrap();
        assert_eq!((grown, passed), (120.0, Duration::from_secs(60)));
        // Nothing more is done: it falls to nothing within the span.
        for second in (305..=360).step_by(5) {
            growth.look(600.0, at(second));
        }
        assert_eq!(growth.over(at(360)).unwrap().0, 0.0);
    }

    #[test]
    fn met_05_what_was_counted_before_is_no_growth() {
        let mut growth = minute();
        growth.look(1000.0, at(0));
        assert_eq!(growth.over(at(0)), None);
        growth.look(1003.0, at(10));
        assert_eq!(growth.over(at(10)).unwrap().0, 3.0);
    }

    #[test]
    fn met_05_a_new_run_counts_from_zero_again() {
        let mut growth = minute();
        growth.begin(Some(0.0), at(0));
        growth.look(50.0, at(10));
        growth.begin(Some(0.0), at(20));
        // More than before, and still a new beginning.
        growth.look(60.0, at(30));
        assert_eq!(growth.over(at(30)), Some((60.0, Duration::from_secs(10))));
        // Without being told: a smaller value is a new beginning.
        growth.look(5.0, at(40));
        assert_eq!(growth.over(at(40)).unwrap().0, 65.0);
    }

    #[test]
    fn met_05_points_are_bounded() {
        let mut growth = minute();
        for step in 0..100_000u64 {
            growth.look(step as f64, Mono(Duration::from_millis(step)));
        }
        assert!(growth.points.len() <= POINTS as usize + 2, "{}", growth.points.len());
        let (grown, passed) = growth.over(Mono(Duration::from_millis(99_999))).unwrap();
        assert!((passed.as_secs_f64() - 60.0).abs() < 1.5, "{passed:?}");
        assert!((grown / passed.as_secs_f64() - 1000.0).abs() < 1.0);
    }
}
