//! Spans between tries to connect.

use reeve_core::rng::Rng;
use std::time::Duration;

/// A connection that lasted this long was a good one: after it the spans start anew.
const GOOD: Duration = Duration::from_secs(10);

/// No span is shorter, whatever the settings say: a broker that is down is not asked in a circle.
const LEAST: Duration = Duration::from_millis(10);

/// Doubles from the first span to the most, with jitter, so that the nodes that lost a broker together do not come back
/// together.
#[derive(Debug)]
pub(super) struct Retry {
    first: Duration,
    most: Duration,
    next: Duration,
    rng: Rng,
}

impl Retry {
    /// `spans`: first, most.
    pub(super) fn new(spans: (Duration, Duration), seed: u64) -> Self {
        let (first, most) = (spans.0.max(LEAST), spans.1.max(LEAST));
        Self { first, most, next: first, rng: Rng::new(seed) }
    }

    /// How long to wait now. `lasted`: the connection that has just been lost; `None`: there was none.
    pub(super) fn after(&mut self, lasted: Option<Duration>) -> Duration {
        if lasted.is_some_and(|lasted| lasted >= GOOD) {
            self.next = self.first;
        }
        let span = self.next.min(self.most);
        self.next = span.saturating_mul(2).min(self.most);
        self.rng.jitter(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn doubles_to_the_most_and_starts_anew_after_a_good_connection() {
        let mut retry = Retry::new((MS(100), MS(1000)), 1);
        let about = |found: Duration, span: u64| {
            assert!(found >= MS(span * 8 / 10) && found <= MS(span * 12 / 10), "{found:?} for {span} ms");
        };
        for span in [100, 200, 400, 800, 1000, 1000] {
            about(retry.after(None), span);
        }
        about(retry.after(Some(MS(9_999))), 1000);
        about(retry.after(Some(GOOD)), 100);
        about(retry.after(Some(MS(5))), 200);
    }

    #[test]
    fn never_none_at_all() {
        let mut retry = Retry::new((Duration::ZERO, Duration::ZERO), 1);
        assert!((0..5).all(|_| retry.after(None) >= MS(8)));
    }

    #[test]
    fn two_seeds_differ() {
        let of = |seed| Retry::new((MS(1000), MS(30_000)), seed).after(None);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }
}
