//! The life of one replica: ten states, fifteen inputs, one table without a wildcard.
//!
//! ```text
//!             Start            Launched            Ready
//!   ┌─► Down ───────► Launching ───────► Starting ───────► Up
//!   │    ▲              │  │ Stop          │ ▲ Resume       │ ▲
//!   │    │ LaunchFailed │  ▼               │ │              │ │ Resume
//!   │    ├──────────────┘ Aborting         │ └── Paused ◄───┘─┘
//!   │    │                 │ Launched      │  Pause
//!   │    │                 ▼               ▼
//!   │    │   Exited     Stopping ◄──────── Draining ◄── Drain (from Starting, Up, Paused)
//!   │    └───────────────  │  ▲   DrainDone │
//!   │         Exited       │  └── Saving ◄──┘
//!   └──────── Killing ◄────┘ Deadline      Saved
//! ```
//! Condemned (watchdog, probe, readiness overdue) leads from any living state to Stopping; Kill to Killing. Stopping
//! always ends: its deadline leads to Killing, and Killing repeats itself until the launcher reports the end.
//!
//! [`step`] only says which state comes next and what is to be done; the engine does it.

mod data;
pub mod tallies;

pub use data::{Counted, Live, ProbeState, Replica, RestartWish};
pub use tallies::{ProbeTally, Tallies};

/// Where a replica is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// There is no process.
    Down,
    /// The launcher was asked for a run.
    Launching,
    /// It was asked, and meanwhile nobody wants it any more.
    Aborting,
    /// It runs and is not ready yet.
    Starting,
    /// It has become ready; whether it still is stands beside.
    Up,
    /// Frozen.
    Paused,
    /// Takes no more work and finishes what it has.
    Draining,
    /// Its save_state program runs.
    Saving,
    /// It was sent the stop signal.
    Stopping,
    /// It was sent SIGKILL.
    Killing,
}

impl State {
    /// All states, for tables and tests.
    pub const ALL: [State; 10] = [
        State::Down,
        State::Launching,
        State::Aborting,
        State::Starting,
        State::Up,
        State::Paused,
        State::Draining,
        State::Saving,
        State::Stopping,
        State::Killing,
    ];

    /// A process may exist.
    pub fn is_live(self) -> bool {
        self != State::Down
    }

    /// It is on its way down.
    pub fn is_ending(self) -> bool {
        matches!(self, State::Aborting | State::Draining | State::Saving | State::Stopping | State::Killing)
    }

    /// The launcher was asked for a run and has not answered.
    pub fn is_launching(self) -> bool {
        matches!(self, State::Launching | State::Aborting)
    }

    /// It runs and is wanted to.
    pub fn is_running(self) -> bool {
        matches!(self, State::Starting | State::Up | State::Paused)
    }
}

/// What can happen to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// `plan` wants it up.
    Start,
    /// `plan` wants it down.
    Stop,
    /// `plan` wants it down, its work finished first.
    Drain,
    /// Down at once.
    Kill,
    /// The launcher has executed the program.
    Launched,
    /// The launcher could not.
    LaunchFailed,
    /// The run has ended.
    Exited,
    /// It became ready.
    Ready,
    /// Watchdog, probe, progress or readiness deadline: it must be restarted.
    Condemned,
    /// The drain condition holds, or there is none.
    DrainDone,
    /// save_state has ended.
    Saved,
    /// The state has lasted too long.
    Deadline,
    /// `plan` wants it frozen.
    Pause,
    /// `plan` wants it thawed.
    Resume,
    /// The launcher found it running.
    Adopt,
}

impl Input {
    /// All inputs, for tables and tests.
    pub const ALL: [Input; 15] = [
        Input::Start,
        Input::Stop,
        Input::Drain,
        Input::Kill,
        Input::Launched,
        Input::LaunchFailed,
        Input::Exited,
        Input::Ready,
        Input::Condemned,
        Input::DrainDone,
        Input::Saved,
        Input::Deadline,
        Input::Pause,
        Input::Resume,
        Input::Adopt,
    ];
}

/// What is to be done on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Ask the launcher for a run.
    Launch,
    /// A run has begun: probes, watchdog, readiness deadline.
    Begin,
    /// Nothing but the new state.
    Enter,
    /// Give the attempt up as failed.
    Fail,
    /// The run is over: record it and decide what follows.
    End,
    /// Freeze it, stop its timers.
    Freeze,
    /// Thaw it, start its timers afresh.
    Thaw,
    /// Tell it to take no more work, then ask until it is done.
    Notice,
    /// Run save_state, if there is one.
    Save,
    /// Send the stop signal.
    Terminate,
    /// Send SIGKILL to all of it.
    Kill,
}

/// The answer of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Go to this state and do this.
    Go(State, Act),
    /// Nothing happens, for this reason. Counted, never an error.
    Ignored(&'static str),
}

/// The table.
pub fn step(state: State, input: Input) -> Step {
    use Input as I;
    use State as S;
    use Step::{Go, Ignored};
    match state {
        S::Down => match input {
            I::Start => Go(S::Launching, Act::Launch),
            I::Adopt => Go(S::Starting, Act::Begin),
            I::Stop | I::Drain | I::Kill => Ignored("there is nothing to stop"),
            I::Launched | I::LaunchFailed | I::Exited => Ignored("report of an older run"),
            I::Ready | I::Condemned | I::DrainDone | I::Saved | I::Deadline => Ignored("the run is over"),
            I::Pause | I::Resume => Ignored("it does not run"),
        },
        S::Launching => match input {
            I::Launched => Go(S::Starting, Act::Begin),
            I::LaunchFailed | I::Deadline => Go(S::Down, Act::Fail),
            I::Stop | I::Drain | I::Kill => Go(S::Aborting, Act::Enter),
            I::Start | I::Adopt => Ignored("a start is under way"),
            I::Exited => Ignored("report of an older run"),
            I::Ready | I::Condemned | I::DrainDone | I::Saved => Ignored("it does not run yet"),
            I::Pause | I::Resume => Ignored("it does not run yet"),
        },
        S::Aborting => match input {
            I::Launched => Go(S::Stopping, Act::Terminate),
            I::LaunchFailed | I::Deadline => Go(S::Down, Act::Fail),
            I::Start | I::Stop | I::Drain | I::Kill => Ignored("it ends as soon as the launcher answers"),
            I::Exited | I::Adopt => Ignored("report of an older run"),
            I::Ready | I::Condemned | I::DrainDone | I::Saved => Ignored("it does not run yet"),
            I::Pause | I::Resume => Ignored("it does not run yet"),
        },
        S::Starting | S::Up => match input {
            I::Ready if state == S::Starting => Go(S::Up, Act::Enter),
            I::Stop | I::Condemned => Go(S::Stopping, Act::Terminate),
            I::Drain => Go(S::Draining, Act::Notice),
            I::Kill => Go(S::Killing, Act::Kill),
            I::Exited => Go(S::Down, Act::End),
            I::Pause => Go(S::Paused, Act::Freeze),
            I::Ready => Ignored("it is ready"),
            I::Start => Ignored("it runs"),
            I::Launched | I::LaunchFailed | I::Adopt => Ignored("report of an older start"),
            I::DrainDone | I::Saved => Ignored("it is not being drained"),
            I::Deadline => Ignored("no deadline is set"),
            I::Resume => Ignored("it is not frozen"),
        },
        S::Paused => match input {
            I::Resume => Go(S::Up, Act::Thaw),
            I::Stop => Go(S::Stopping, Act::Terminate),
            I::Drain => Go(S::Draining, Act::Notice),
            I::Kill => Go(S::Killing, Act::Kill),
            I::Exited => Go(S::Down, Act::End),
            I::Ready => Ignored("it is frozen; readiness is looked at when it is thawed"),
            I::Condemned | I::Deadline => Ignored("a frozen worker is not judged"),
            I::Start | I::Pause => Ignored("it is frozen"),
            I::Launched | I::LaunchFailed | I::Adopt => Ignored("report of an older start"),
            I::DrainDone | I::Saved => Ignored("it is not being drained"),
        },
        S::Draining => match input {
            I::DrainDone => Go(S::Saving, Act::Save),
            I::Stop | I::Condemned | I::Deadline => Go(S::Stopping, Act::Terminate),
            I::Kill => Go(S::Killing, Act::Kill),
            I::Exited => Go(S::Down, Act::End),
            I::Start | I::Drain | I::Pause => Ignored("it is being drained"),
            I::Ready | I::Saved | I::Resume => Ignored("it is being drained"),
            I::Launched | I::LaunchFailed | I::Adopt => Ignored("report of an older start"),
        },
        S::Saving => match input {
            I::Saved | I::Stop | I::Condemned | I::Deadline => Go(S::Stopping, Act::Terminate),
            I::Kill => Go(S::Killing, Act::Kill),
            I::Exited => Go(S::Down, Act::End),
            I::Start | I::Drain | I::Pause => Ignored("it is saving its state"),
            I::Ready | I::DrainDone | I::Resume => Ignored("it is saving its state"),
            I::Launched | I::LaunchFailed | I::Adopt => Ignored("report of an older start"),
        },
        S::Stopping => match input {
            I::Exited => Go(S::Down, Act::End),
            I::Deadline | I::Kill => Go(S::Killing, Act::Kill),
            I::Start | I::Stop | I::Drain | I::Pause => Ignored("it is stopping"),
            I::Ready | I::Condemned | I::DrainDone | I::Saved | I::Resume => Ignored("it is stopping"),
            I::Launched | I::LaunchFailed | I::Adopt => Ignored("report of an older start"),
        },
        S::Killing => match input {
            I::Exited => Go(S::Down, Act::End),
            I::Deadline | I::Kill => Go(S::Killing, Act::Kill),
            I::Start | I::Stop | I::Drain | I::Pause => Ignored("it is being killed"),
            I::Ready | I::Condemned | I::DrainDone | I::Saved | I::Resume => Ignored("it is being killed"),
            I::Launched | I::LaunchFailed | I::Adopt => Ignored("report of an older start"),
        },
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_always_accepted_while_a_run_lives() {
        for s in State::ALL {
            let live =
                matches!(s, State::Starting | State::Up | State::Paused) || (s.is_ending() && s != State::Aborting);
            assert_eq!(step(s, Input::Exited) == Step::Go(State::Down, Act::End), live, "{s:?}");
        }
    }

    #[test]
    fn stopping_always_ends() {
        for s in State::ALL.into_iter().filter(|s| s.is_ending()) {
            match step(s, Input::Deadline) {
                Step::Go(State::Stopping, Act::Terminate) | Step::Go(State::Killing, Act::Kill) => {}
                Step::Go(State::Down, Act::Fail) => assert_eq!(s, State::Aborting),
                other => panic!("{s:?} does not end: {other:?}"),
            }
        }
    }

    #[test]
    fn only_down_launches() {
        for s in State::ALL {
            let launches = matches!(step(s, Input::Start), Step::Go(State::Launching, Act::Launch));
            assert_eq!(launches, s == State::Down, "{s:?}");
        }
    }

    #[test]
    fn the_whole_table() {
        let mut text = String::new();
        for s in State::ALL {
            for i in Input::ALL {
                if let Step::Go(to, act) = step(s, i) {
                    text.push_str(&format!("{s:?} {i:?} -> {to:?} {act:?}\n"));
                }
            }
        }
        assert_eq!(text, include_str!("table.txt"));
    }
}
