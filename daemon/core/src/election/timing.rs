//! How long things take: three presets, and the relation that makes a lease safe.

use std::time::Duration;

/// Times of the election. See [`Timing::check`] for what must hold between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// From one beat of the leader to the next.
    pub beat: Duration,
    /// A voter that has heard its leader within this time grants nobody else a vote; then it may stand itself.
    pub election_min: Duration,
    /// A leader that no majority has answered for this long after its lease gives up its role.
    pub election_max: Duration,
    /// How long after a beat was sent, which a majority has answered, the leader may act.
    pub lease: Duration,
}

/// Times that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// Two leases could overlap.
    #[error(
        "lease {lease:?} is too long for an election time of {election_min:?}: with clocks that run 5 % apart the old \
         lease could outlive the election; expected at most {most:?}"
    )]
    Lease {
        /// Given.
        lease: Duration,
        /// Given.
        election_min: Duration,
        /// What would do.
        most: Duration,
    },
    /// One lost beat would end the lease.
    #[error("beat {beat:?} is too long: expected at most a third of the lease, {most:?}")]
    Beat {
        /// Given.
        beat: Duration,
        /// What would do.
        most: Duration,
    },
    /// The wrong way round.
    #[error("election_max {max:?} is below election_min {min:?}")]
    Election {
        /// Given.
        min: Duration,
        /// Given.
        max: Duration,
    },
}

impl Timing {
    /// For one switch's distance: fails over in about two seconds.
    pub const FAST: Timing = Timing::of(300, 1500, 3000, 1200);
    /// The default.
    pub const STD: Timing = Timing::of(500, 2500, 5000, 2000);
    /// For voters at several sites.
    pub const CALM: Timing = Timing::of(1000, 6000, 12000, 5000);

    const fn of(beat: u64, election_min: u64, election_max: u64, lease: u64) -> Timing {
        Timing {
            beat: Duration::from_millis(beat),
            election_min: Duration::from_millis(election_min),
            election_max: Duration::from_millis(election_max),
            lease: Duration::from_millis(lease),
        }
    }

    /// Whether clocks that differ by 5 % in rate keep two leases apart: `lease × 1.05 < election_min × 0.95`.
    ///
    /// # Errors
    /// The first relation that does not hold, with what would.
    pub fn check(&self) -> Result<(), TimingError> {
        let most = self.election_min * 95 / 105;
        if self.lease >= most {
            return Err(TimingError::Lease { lease: self.lease, election_min: self.election_min, most });
        }
        if self.beat > self.lease / 3 {
            return Err(TimingError::Beat { beat: self.beat, most: self.lease / 3 });
        }
        if self.election_max < self.election_min {
            return Err(TimingError::Election { min: self.election_min, max: self.election_max });
        }
        Ok(())
    }

    /// How much later than the voter before it each next one stands, so that they do not stand together.
    pub(super) fn stagger(&self) -> Duration {
        self.beat * 3 / 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rec_02_the_presets_keep_leases_apart() {
        for timing in [Timing::FAST, Timing::STD, Timing::CALM] {
            assert_eq!(timing.check(), Ok(()));
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let std = Timing::STD;
        let lease = Timing { lease: Duration::from_millis(2300), ..std };
        assert!(lease.check().is_err_and(|e| e.to_string().contains("at most 2.26")), "{:?}", lease.check());
        assert!(matches!(Timing { beat: std.lease, ..std }.check(), Err(TimingError::Beat { .. })));
        let max = Timing { election_max: std.lease, ..std };
        assert!(matches!(max.check(), Err(TimingError::Election { .. })));
    }
}
