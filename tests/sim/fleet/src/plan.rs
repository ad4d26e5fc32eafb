//! What kind of run a seed makes.

use reeve_core::election::Timing;
use reeve_core::rng::Rng;

/// What befalls the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Anything, often.
    Storm,
    /// Leaders die; nothing else. For the time a failover takes.
    Kills,
    /// Voters that do not lead are cut off and come back: nobody may be unseated by that.
    Returns,
    /// The leader hears nothing any more, though it is heard: the others must get another.
    Deaf,
    /// Nothing.
    Fair,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub weather: Weather,
    pub timing: Timing,
    pub voters: usize,
    /// Nodes that may become voters.
    pub spares: usize,
    pub brokers: usize,
    /// Of 1000 messages.
    pub lost: u64,
    pub doubled: u64,
    pub late: u64,
    /// The document changes all the time, or hardly ever.
    pub busy: bool,
    /// Of a healthy message, µs.
    pub delay: u64,
    /// From here on nothing befalls it.
    pub calm_from: u64,
    pub end: u64,
}

pub const SECOND: u64 = 1_000_000;

impl Plan {
    pub fn draw(rng: &mut Rng) -> Self {
        let weather = match rng.below(100) {
            0..=4 => Weather::Fair,
            5..=14 => Weather::Kills,
            15..=21 => Weather::Returns,
            22..=27 => Weather::Deaf,
            _ => Weather::Storm,
        };
        let storm = weather == Weather::Storm;
        let lost = match rng.below(10) {
            _ if weather == Weather::Returns => 0,
            0 if storm => 100 + rng.below(300),
            1..=3 if storm => 10 + rng.below(90),
            _ => rng.below(10),
        };
        Self {
            weather,
            timing: if rng.below(3) == 0 { Timing::FAST } else { Timing::STD },
            voters: [1, 3, 3, 3, 5][rng.below(5) as usize],
            spares: if storm { rng.below(3) as usize } else { 0 },
            brokers: if storm { 1 + rng.below(2) as usize } else { 1 },
            lost,
            doubled: if storm { 20 } else { 0 },
            late: if storm { 30 } else { 0 },
            busy: rng.below(2) == 0,
            delay: 200 + rng.below(3000),
            calm_from: 94 * SECOND,
            end: 120 * SECOND,
        }
    }
}
