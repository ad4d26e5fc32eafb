//! The circuit breaker of one replica and one cause (CBR-02, supervision note §6.2).
//!
//! ```text
//! closed ──≥ failures in window──► open ──delay over──► half-open (one trial)
//!   ▲                                ▲── trial fails, k+1 ──┤
//!   └─────────── up for reset_after, k = 0 ─────────────────┘
//! delay = min(cap, open · 2^k) · jitter
//! ```

use crate::config::Breaker;
use crate::persist::BreakerRecord;
use crate::rng::Rng;
use crate::time::Wall;
use std::time::Duration;

/// An open breaker never waits longer than the larger of this and `open` itself.
pub const CAP: Duration = Duration::from_secs(600);

/// Counts a failure. `Some(delay)` when the breaker is open now.
pub fn fail(state: &mut BreakerRecord, cfg: &Breaker, now: Wall, rng: &mut Rng) -> Option<Duration> {
    let window = u64::try_from(cfg.window.as_micros()).unwrap_or(u64::MAX);
    // A wall clock that was set back must not keep old failures for ever: those from the future go too.
    state.failures.retain(|at| *at <= now && now.0 - at.0 <= window);
    state.failures.push(now);
    let tripped = state.half_open || state.failures.len() >= cfg.failures as usize;
    if !tripped {
        return None;
    }
    let k = state.opened.min(20);
    state.opened = state.opened.saturating_add(1);
    state.half_open = false;
    state.failures.clear();
    let delay = rng.jitter(cfg.open.saturating_mul(1 << k).min(CAP.max(cfg.open)));
    state.open_until = Some(now.plus(delay));
    Some(delay)
}

/// The delay is over and a trial starts.
pub fn try_once(state: &mut BreakerRecord) {
    if state.open_until.take().is_some() {
        state.half_open = true;
    }
}
