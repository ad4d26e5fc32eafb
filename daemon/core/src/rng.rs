//! Jitter from a seed handed in: SplitMix64 (Steele, Lea, Flood 2014). Not for secrets.

use std::time::Duration;

/// A small deterministic generator.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rng(u64);

impl Rng {
    /// Same seed, same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next_u64() % n }
    }

    /// `span` times 0.8 to 1.2, so that equal delays do not fall due together.
    pub fn jitter(&mut self, span: Duration) -> Duration {
        let thousandths = 800 + u32::try_from(self.below(401)).unwrap_or(0);
        span.saturating_mul(thousandths) / 1000
    }
}
