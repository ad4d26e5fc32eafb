//! What is kept of one series.

use super::parse::{Message, Refused, Type};
use crate::metrics::family::Kind;
use crate::metrics::foreign::{Line, as_number, lines_of};
use crate::metrics::labels::Labels;
use crate::metrics::samples::{Histogram, Value};
use crate::time::Mono;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Different members of a set that are told apart.
const MEMBERS_MAX: usize = 1000;
/// How long a set is filled before it is told.
const SET_SPAN: Duration = Duration::from_secs(60);

/// One series.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Counter(f64),
    Gauge(f64),
    Histogram(Arc<Histogram>),
    Set(Members),
}

/// Members of a set: those of the minute that goes on, and how many the minute before had.
#[derive(Debug, Clone)]
pub(super) struct Members {
    since: Mono,
    seen: BTreeSet<u64>,
    before: Option<usize>,
}

impl Cell {
    pub(super) fn new(kind: Type, bounds: &[f64], now: Mono) -> Self {
        match kind {
            Type::Counter => Cell::Counter(0.0),
            Type::Gauge => Cell::Gauge(0.0),
            Type::Timing | Type::Histogram => Cell::Histogram(Arc::new(Histogram::new(bounds.to_vec()))),
            Type::Set => Cell::Set(Members { since: now, seen: BTreeSet::new(), before: None }),
        }
    }

    /// Whether it may go on when a run ends.
    pub(super) fn lasts(&self) -> bool {
        matches!(self, Cell::Counter(_) | Cell::Histogram(_))
    }

    pub(super) fn take(&mut self, message: &Message<'_>, now: Mono) -> Result<(), Refused> {
        match self {
            Cell::Counter(count) => {
                if message.numbers().any(|(number, _)| number < 0.0) {
                    return Err(Refused::Negative);
                }
                *count += message.numbers().map(|(number, _)| number / message.rate).sum::<f64>();
            }
            Cell::Gauge(value) => {
                for (number, signed) in message.numbers() {
                    *value = if signed { *value + number } else { number };
                }
            }
            Cell::Histogram(histogram) => {
                let scale = if message.kind == Type::Timing { 1e-3 } else { 1.0 };
                let histogram = Arc::make_mut(histogram);
                for (number, _) in message.numbers() {
                    histogram.observe_times(number * scale, times(message.rate));
                }
            }
            Cell::Set(members) => members.add(message.member(), now),
        }
        Ok(())
    }

    pub(super) fn lines(&self, labels: &Labels, now: Mono, each: impl FnMut(Line)) {
        let value = match self {
            Cell::Counter(number) | Cell::Gauge(number) => Value::Number(*number),
            Cell::Histogram(histogram) => Value::Histogram(Arc::clone(histogram)),
            Cell::Set(members) => Value::Number(as_number(members.count(now) as u64)),
        };
        lines_of(labels, &value, each);
    }

    /// The number it stands for, if it is one.
    pub(super) fn number(&self, now: Mono) -> Option<f64> {
        match self {
            Cell::Counter(number) | Cell::Gauge(number) => Some(*number),
            Cell::Set(members) => Some(as_number(members.count(now) as u64)),
            Cell::Histogram(_) => None,
        }
    }
}

impl Members {
    fn add(&mut self, member: &str, now: Mono) {
        let passed = now.since(self.since);
        if passed >= SET_SPAN {
            // After a minute of silence the minute before had none.
            self.before = Some(if passed < SET_SPAN * 2 { self.seen.len() } else { 0 });
            self.seen.clear();
            self.since = now;
        }
        if self.seen.len() < MEMBERS_MAX {
            self.seen.insert(hash(member));
        }
    }

    /// Those of the last whole minute; of the first one while there is none.
    fn count(&self, now: Mono) -> usize {
        match now.since(self.since) {
            passed if passed < SET_SPAN => self.before.unwrap_or(self.seen.len()),
            passed if passed < SET_SPAN * 2 => self.seen.len(),
            _ => 0,
        }
    }
}

/// Lines that one series of this kind is written as.
pub(super) fn cost(kind: Kind, bounds: usize) -> usize {
    if kind == Kind::Histogram { bounds + 3 } else { 1 }
}

/// For how many events one that was sent stands.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the rate is from a millionth to 1")]
fn times(rate: f64) -> u64 {
    (1.0 / rate).round() as u64
}

/// FNV-1a: members are told apart and not kept.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
