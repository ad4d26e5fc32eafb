//! For the model checker, which goes through every order of events: a member without time, so that states that differ
//! in nothing else are one.

use super::{Member, State};
use crate::election::ids::Mark;
use crate::rng::Rng;
use crate::time::Mono;

impl Member {
    /// Forgets when things were, what was drawn, and what was only counted. Every timer may fire at once, nobody is
    /// sticky, and there is no lease: laws that need a clock cannot be asked any more.
    pub fn without_time(mut self) -> Self {
        self.rng = Rng::new(0);
        self.ignored.clear();
        self.forgotten = 0;
        self.heard = None;
        self.gone = false;
        self.stands_at = Mono::default();
        match &mut self.state {
            State::PreCandidate(round) | State::Candidate(round) => {
                round.until = Mono::default();
                round.over = Mono::default();
                round.since = Mono::default();
                round.nonce = 0;
            }
            State::Leader(reign) => reign.without_time(),
            State::Observer | State::Silent(_) | State::Follower => {}
        }
        if self.asked.is_empty() {
            self.mark = Mark(0);
            self.written.0 = Mark(0);
            if let State::Candidate(round) = &mut self.state {
                round.own = Mark(0);
            }
        }
        self
    }
}
