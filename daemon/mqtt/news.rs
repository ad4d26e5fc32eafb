//! What waits to be told of one broker: that it came or went. Never lost, and yet bounded.

use super::LinkEvent;
use std::collections::VecDeque;

/// How many wait before what has been overtaken goes.
const MOST: usize = 4;

/// In the order they happened; empty most of the time.
#[derive(Debug, Default)]
pub(super) struct News(VecDeque<LinkEvent>);

impl News {
    /// Adds one. Of two losses in a row only the later counts; of many comings and goings the first pair is left out,
    /// so that what the receiver knows still fits what comes next, and the last one is as it is.
    pub(super) fn push(&mut self, event: LinkEvent) {
        if let (Some(LinkEvent::Lost(..)), LinkEvent::Lost(..)) = (self.0.back(), &event) {
            self.0.pop_back();
        }
        self.0.push_back(event);
        if self.0.len() > MOST {
            self.0.drain(..2);
        }
    }

    /// The next to tell.
    pub(super) fn pop(&mut self) -> Option<LinkEvent> {
        self.0.pop_front()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nobody listens any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(reason: &str) -> LinkEvent {
        LinkEvent::Lost(0, reason.to_owned())
    }

    #[test]
    fn the_last_is_always_told_and_the_order_fits() {
        let mut news = News::default();
        for round in 0..100 {
            news.push(lost(&format!("early {round}")));
            news.push(lost(&format!("late {round}")));
            news.push(LinkEvent::Connected(0));
        }
        news.push(lost("in the end"));
        let told: Vec<_> = std::iter::from_fn(|| news.pop()).collect();
        assert!(told.len() <= MOST && told.len() % 2 == 1, "{told:?}");
        assert_eq!(told.last(), Some(&lost("in the end")));
        assert!(told.iter().step_by(2).all(|event| matches!(event, LinkEvent::Lost(..))), "{told:?}");
    }
}
