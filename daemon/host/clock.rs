//! The clocks of this machine: reading them, one timer on the boot clock, and noticing a suspend.
//!
//! Deadlines live on `CLOCK_BOOTTIME`: it never steps and goes on while the machine sleeps, so a deadline that fell into
//! a suspend is due at once afterwards. Wall time is only carried along for showing; stepping it moves no deadline.

use crate::host::ready;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId as ReadClock, clock_gettime};
use reeve_core::{Mono, Now, Wall};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::unix::AsyncFd;

/// Waits for that moment; for ever where there is none.
pub async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Reads the clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock;

impl Clock {
    /// This instant, on the boot clock and on the wall.
    pub fn now() -> Now {
        Now { mono: Mono(read(ReadClock::CLOCK_BOOTTIME)), wall: Self::wall() }
    }

    /// Wall time; a clock before 1970 reads as 1970.
    pub fn wall() -> Wall {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Wall(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

/// Both clocks exist on every kernel we run on, so an error cannot happen; zero keeps it from being a panic.
fn read(clock: ReadClock) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// One alarm on the boot clock.
#[derive(Debug)]
pub struct Timer {
    timer: TimerFd,
    /// The same timer, as the runtime watches it.
    watched: AsyncFd<OwnedFd>,
    armed: Option<Mono>,
}

impl Timer {
    /// A timer that is not armed. Needs a running runtime.
    pub fn new() -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        Ok(Self { watched: ready::readable(timer.as_fd().try_clone_to_owned()?)?, timer, armed: None })
    }

    /// Rings at `at` (at once when that has passed), or never. Replaces what was armed before.
    pub fn arm(&mut self, at: Option<Mono>) -> io::Result<()> {
        if at == self.armed {
            return Ok(());
        }
        match at {
            // An absolute time of zero would disarm it.
            Some(Mono(at)) => self.timer.set(
                Expiration::OneShot(TimeSpec::from(at.max(Duration::from_nanos(1)))),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            )?,
            None => self.timer.unset()?,
        }
        self.armed = at;
        Ok(())
    }

    /// Waits until it rings, then is disarmed. Cancel-safe: a ring that nobody took is there at the next call.
    pub async fn wait(&mut self) -> io::Result<()> {
        loop {
            let mut guard = self.watched.readable().await?;
            match guard.try_io(|_| self.timer.wait().map_err(io::Error::from)) {
                Ok(rung) => {
                    self.armed = None;
                    return rung;
                }
                Err(_would_block) => {}
            }
        }
    }
}

/// Shorter gaps between the two clocks are no suspend.
const SUSPENDED: Duration = Duration::from_secs(1);

/// Notices that the machine slept: the boot clock went on while the monotonic clock stood still.
#[derive(Debug)]
pub struct SuspendWatch {
    slept: Duration,
}

impl SuspendWatch {
    /// Starts from here.
    pub fn new() -> Self {
        Self { slept: slept() }
    }

    /// How long the machine slept since the last call, when it did.
    pub fn check(&mut self) -> Option<Duration> {
        self.observe(slept())
    }

    fn observe(&mut self, slept: Duration) -> Option<Duration> {
        let grown = slept.saturating_sub(self.slept);
        if grown > SUSPENDED {
            self.slept = slept;
            return Some(grown);
        }
        None
    }
}

impl Default for SuspendWatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Time spent asleep since boot.
fn slept() -> Duration {
    // Monotonic first: a pause between the two reads then looks like sleep of the same length, not like less than none.
    let awake = read(ReadClock::CLOCK_MONOTONIC);
    read(ReadClock::CLOCK_BOOTTIME).saturating_sub(awake)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_in_the_past_rings_at_once_and_only_once() {
        let mut timer = Timer::new().unwrap();
        timer.arm(Some(Mono(Duration::ZERO))).unwrap();
        timer.wait().await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), timer.wait()).await.is_err());
    }

    #[tokio::test]
    async fn it_never_rings_early_and_can_be_moved() {
        let mut timer = Timer::new().unwrap();
        let begun = Clock::now().mono;
        timer.arm(Some(begun + Duration::from_secs(3600))).unwrap();
        let at = begun + Duration::from_millis(30);
        timer.arm(Some(at)).unwrap();
        timer.wait().await.unwrap();
        assert!(Clock::now().mono >= at);
    }

    #[tokio::test]
    async fn a_ring_is_gone_once_disarmed() {
        let mut timer = Timer::new().unwrap();
        timer.arm(Some(Mono(Duration::ZERO))).unwrap();
        timer.arm(None).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), timer.wait()).await.is_err());
    }

    #[test]
    fn a_suspend_is_reported_once_and_jitter_never() {
        let mut watch = SuspendWatch { slept: Duration::from_secs(10) };
        assert_eq!(watch.observe(Duration::from_millis(10_900)), None);
        assert_eq!(watch.observe(Duration::from_secs(70)), Some(Duration::from_secs(60)));
        assert_eq!(watch.observe(Duration::from_secs(70)), None);
        assert_eq!(SuspendWatch::new().check(), None);
    }
}
