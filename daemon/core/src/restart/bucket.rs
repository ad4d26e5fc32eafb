//! Token bucket for starts on this node (`[supervision] restart_rate`, REC-12).

use crate::config::Rate;
use crate::time::Mono;
use std::time::Duration;

/// Holds at most `count` tokens and refills them over `per`. Kept as the time at which it was or will be full, which
/// needs no periodic work and cannot drift (generic cell rate algorithm, ITU-T I.371).
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: Option<Rate>,
    full_at: Mono,
}

impl Bucket {
    /// A full bucket; `None` never runs dry.
    pub fn new(rate: Option<Rate>) -> Self {
        Self { rate, full_at: Mono::default() }
    }

    /// A changed rate; what was taken stays taken, as far as the new rate knows such a debt.
    pub fn set_rate(&mut self, rate: Option<Rate>, now: Mono) {
        self.rate = rate;
        if let Some(rate) = rate {
            self.full_at = self.full_at.min(now + rate.per);
        }
    }

    fn interval(rate: &Rate) -> Duration {
        rate.per / rate.count.max(1)
    }

    /// When the next token is there: now or later.
    pub fn ready_at(&self, now: Mono) -> Mono {
        let Some(rate) = &self.rate else { return now };
        let span = rate.per - Self::interval(rate);
        if self.full_at <= now + span { now } else { self.full_at - span }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Mono) -> bool {
        let Some(rate) = &self.rate else { return true };
        if self.ready_at(now) > now {
            return false;
        }
        self.full_at = self.full_at.max(now) + Self::interval(rate);
        true
    }
}
