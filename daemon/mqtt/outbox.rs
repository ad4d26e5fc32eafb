//! What waits to be sent to one broker.

use super::Publication;
use std::collections::VecDeque;

/// How many may wait.
pub(super) const MOST: usize = 512;
/// How many bytes may wait: some dozens of the largest.
const BYTES_MOST: usize = 8 * 1024 * 1024;

/// Bounded; when it is full, the oldest that nobody acknowledges gives way.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Publication>,
    bytes: usize,
}

impl Outbox {
    /// Queues; how many had to go for it, itself included.
    pub(super) fn push(&mut self, publication: Publication) -> u64 {
        let mut gone = 0;
        while self.queue.len() >= MOST || self.bytes + size(&publication) > BYTES_MOST {
            gone += 1;
            let oldest = match self.queue.iter().position(|waiting| !waiting.acknowledged) {
                Some(oldest) => oldest,
                None if publication.acknowledged => 0,
                None => return gone,
            };
            let Some(oldest) = self.queue.remove(oldest) else {
                return gone;
            };
            self.bytes -= size(&oldest);
        }
        self.bytes += size(&publication);
        self.queue.push_back(publication);
        gone
    }

    /// The next to send.
    pub(super) fn pop(&mut self) -> Option<Publication> {
        let next = self.queue.pop_front()?;
        self.bytes -= size(&next);
        Some(next)
    }

    /// It could not be sent yet.
    pub(super) fn put_back(&mut self, publication: Publication) {
        self.bytes += size(&publication);
        self.queue.push_front(publication);
    }

    /// Empties it; how many there were.
    pub(super) fn clear(&mut self) -> u64 {
        std::mem::take(self).queue.len() as u64
    }
}

fn size(publication: &Publication) -> usize {
    publication.topic.len() + publication.payload.len()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]
mod tests {
    use super::*;

    fn publication(number: usize, acknowledged: bool) -> Publication {
        Publication { topic: number.to_string(), payload: Vec::new(), retain: false, acknowledged }
    }

    fn topics(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.pop()).map(|publication| publication.topic).collect()
    }

    #[test]
    fn first_in_first_out_and_the_oldest_goes() {
        let mut outbox = Outbox::default();
        for number in 0..MOST {
            assert_eq!(outbox.push(publication(number, false)), 0);
        }
        assert_eq!(outbox.push(publication(MOST, false)), 1);
        let expected: Vec<_> = (1..=MOST).map(|number| number.to_string()).collect();
        assert_eq!(topics(&mut outbox), expected);
        assert!(outbox.pop().is_none());
    }

    #[test]
    fn what_is_acknowledged_outlasts_what_is_not() {
        let mut outbox = Outbox::default();
        for number in 0..MOST {
            assert_eq!(outbox.push(publication(number, number != 7)), 0);
        }
        assert_eq!(outbox.push(publication(1000, true)), 1, "7 goes");
        assert_eq!(outbox.push(publication(1001, false)), 1, "none of the others waits unacknowledged: it goes itself");
        assert_eq!(outbox.push(publication(1002, true)), 1, "0 goes: bounded all the same");
        let topics = topics(&mut outbox);
        assert_eq!(topics.len(), MOST);
        assert!(["7", "1001", "0"].iter().all(|gone| !topics.iter().any(|topic| topic == gone)));
        assert_eq!(topics[0], "1");
        assert_eq!(topics[MOST - 2..], ["1000", "1002"]);
    }

    #[test]
    fn put_back_is_next() {
        let mut outbox = Outbox::default();
        outbox.push(publication(1, false));
        outbox.push(publication(2, false));
        let first = outbox.pop().unwrap();
        outbox.put_back(first);
        assert_eq!(topics(&mut outbox), ["1", "2"]);
        outbox.push(publication(3, false));
        assert_eq!(outbox.clear(), 1);
        assert!(outbox.pop().is_none());
    }

    #[test]
    fn bounded_in_bytes_too() {
        let large = |acknowledged| Publication { payload: vec![0; BYTES_MOST / 4], ..publication(0, acknowledged) };
        let mut outbox = Outbox::default();
        let gone: u64 = (0..10).map(|number| outbox.push(large(number % 2 == 0))).sum();
        assert_eq!((gone, outbox.queue.len()), (7, 3));
        assert_eq!(outbox.push(publication(1, false)), 0, "a small one has room");
        assert_eq!(outbox.clear(), 4);
        assert_eq!(outbox.bytes, 0);
    }
}
