//! Asking mounts for their space, each on a thread of its own: `statvfs` on a dead mount does not return.
//!
//! ```text
//! idle ──ask──► asked ──answer──► idle          (answer kept)
//!                 └──timeout──► stuck ──answer──► idle
//! ```
//!
//! A stuck mount holds one thread and gets no second one, not even when it leaves the mount table and comes back.

use super::config::{AskSpace, Space};
use crate::host::lock::lock;
use crate::host::threads;
use reeve_core::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::time::Duration;

/// A thread calls one function with a path on its stack.
const STACK: usize = 64 << 10;
/// More threads than this are not made.
const MOST: usize = 256;

/// What is known of a mount.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// It answered.
    Space(Space),
    /// It answered with an error.
    Failed(String),
    /// It has not answered for too long.
    Stuck,
    /// It has not answered yet.
    Unknown,
}

/// The threads and what they have brought.
pub(super) struct Mounts {
    ask: AskSpace,
    timeout: Duration,
    threads: BTreeMap<PathBuf, mpsc::Sender<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    slots: Mutex<BTreeMap<PathBuf, Slot>>,
    changed: Condvar,
}

#[derive(Default)]
struct Slot {
    asked: Option<Mono>,
    /// What it said last, and when it was asked.
    last: Option<(Mono, Result<Space, String>)>,
}

/// `statvfs(3)`.
#[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
pub(super) fn statvfs(path: &Path) -> io::Result<Space> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    let bytes = |blocks: u64| blocks as f64 * stat.fragment_size() as f64;
    Ok(Space {
        size: bytes(stat.blocks()),
        avail: bytes(stat.blocks_available()),
        free: bytes(stat.blocks_free()),
        files: stat.files() as f64,
        files_free: stat.files_free() as f64,
    })
}

impl Mounts {
    pub(super) fn new(ask: AskSpace, timeout: Duration) -> Self {
        Self { ask, timeout, threads: BTreeMap::new(), shared: Arc::default() }
    }

    /// Asks all of these that are not still being asked; lets go of the others.
    pub(super) fn ask(&mut self, points: &BTreeSet<&Path>, now: Mono) {
        let shared = Arc::clone(&self.shared);
        let mut slots = shared.lock();
        slots.retain(|point, slot| points.contains(point.as_path()) || slot.asked.is_some());
        self.threads.retain(|point, _| slots.contains_key(point));
        for point in points {
            let slot = slots.entry(point.to_path_buf()).or_default();
            if slot.asked.is_some() {
                continue;
            }
            slot.asked = Some(now);
            if let Err(error) = self.wake(point) {
                *slot = Slot { asked: None, last: Some((now, Err(error))) };
            }
        }
    }

    /// Waits until all that were asked at `now` have answered, but not longer than this.
    pub(super) fn wait(&self, now: Mono, most: Duration) {
        let pending = |slots: &mut BTreeMap<PathBuf, Slot>| slots.values().any(|slot| slot.asked == Some(now));
        // Whether all have answered shows in the answers.
        drop(self.shared.changed.wait_timeout_while(self.shared.lock(), most, pending));
    }

    /// What is known of a mount.
    pub(super) fn answer(&self, point: &Path, now: Mono) -> Answer {
        let slots = self.shared.lock();
        let Some(slot) = slots.get(point) else { return Answer::Unknown };
        match (&slot.asked, &slot.last) {
            (Some(asked), _) if now.since(*asked) >= self.timeout => Answer::Stuck,
            (_, Some((at, result))) if now.since(*at) <= self.timeout => match result {
                Ok(space) => Answer::Space(*space),
                Err(error) => Answer::Failed(error.clone()),
            },
            _ => Answer::Unknown,
        }
    }

    /// Wakes the mount's thread, or makes it.
    fn wake(&mut self, point: &Path) -> Result<(), String> {
        if let Some(thread) = self.threads.get(point)
            && thread.send(()).is_ok()
        {
            return Ok(());
        }
        if self.threads.len() >= MOST {
            return Err("too many mounts".to_owned());
        }
        let (wake, woken) = mpsc::channel::<()>();
        let (ask, shared, path) = (Arc::clone(&self.ask), Arc::clone(&self.shared), point.to_path_buf());
        let run = move || {
            while woken.recv().is_ok() {
                let answer = ask(&path).map_err(|error| plain(&error));
                let mut slots = shared.lock();
                if let Some(slot) = slots.get_mut(&path)
                    && let Some(asked) = slot.asked.take()
                {
                    slot.last = Some((asked, answer));
                }
                shared.changed.notify_all();
            }
        };
        let thread = threads::named("mount").stack_size(STACK);
        thread.spawn(run).map_err(|_| "no thread".to_owned())?;
        // The receiver lives as long as the thread.
        let _ = wake.send(());
        self.threads.insert(point.to_path_buf(), wake);
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Slot>> {
        // Nothing that holds it can leave it half done.
        lock(&self.slots)
    }
}

/// `permission denied`: without a number, as it becomes a label value.
fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_ascii_lowercase(),
        None => "error".to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const TIMEOUT: Duration = Duration::from_secs(5);
    const LONG: Duration = Duration::from_secs(60);
    const SPACE: Space = Space { size: 4.0, avail: 1.0, free: 2.0, files: 9.0, files_free: 8.0 };

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn points<'a>(all: &[&'a str]) -> BTreeSet<&'a Path> {
        all.iter().copied().map(Path::new).collect()
    }

    #[test]
    fn met_03_a_stuck_mount_gets_no_second_thread_and_comes_back() {
        let calls = Arc::new(AtomicUsize::new(0));
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let counted = Arc::clone(&calls);
        let ask: AskSpace = Arc::new(move |path| {
            if path == Path::new("/dead") && counted.fetch_add(1, Ordering::SeqCst) == 1 {
                held.lock().unwrap().recv().unwrap();
            }
            Ok(SPACE)
        });
        let mut mounts = Mounts::new(ask, TIMEOUT);
        let both = points(&["/dead", "/well"]);
        mounts.ask(&both, at(100));
        mounts.wait(at(100), LONG);
        assert_eq!(mounts.answer(Path::new("/dead"), at(100)), Answer::Space(SPACE));
        // It hangs from the second time on; what it said is good for as long as the timeout.
        for (now, dead) in [(105, Answer::Space(SPACE)), (110, Answer::Stuck), (3600, Answer::Stuck)] {
            mounts.ask(&both, at(now));
            // The mount that is well is waited for; nobody waits for the one that was asked before.
            let well = || mounts.answer(Path::new("/well"), at(now));
            while mounts.shared.lock().get(Path::new("/well")).is_some_and(|slot| slot.asked.is_some()) {
                mounts.wait(at(now), Duration::from_millis(1));
            }
            assert_eq!((mounts.answer(Path::new("/dead"), at(now)), well()), (dead, Answer::Space(SPACE)));
        }
        // Not even when it goes away and comes back.
        mounts.ask(&points(&["/well"]), at(3605));
        mounts.ask(&both, at(3610));
        assert_eq!(mounts.answer(Path::new("/dead"), at(3610)), Answer::Stuck);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        release.send(()).unwrap();
        while mounts.shared.lock().get(Path::new("/dead")).is_some_and(|slot| slot.asked.is_some()) {
            mounts.wait(at(105), Duration::from_millis(1));
        }
        mounts.ask(&both, at(3615));
        mounts.wait(at(3615), LONG);
        assert_eq!(mounts.answer(Path::new("/dead"), at(3615)), Answer::Space(SPACE));
    }

    #[test]
    fn met_03_an_error_is_an_answer_and_a_mount_that_went_is_forgotten() {
        let ask: AskSpace = Arc::new(|_| Err(io::Error::from_raw_os_error(libc::EACCES)));
        let mut mounts = Mounts::new(ask, TIMEOUT);
        mounts.ask(&points(&["/a"]), at(5));
        mounts.wait(at(5), LONG);
        assert_eq!(mounts.answer(Path::new("/a"), at(5)), Answer::Failed("permission denied".to_owned()));
        mounts.ask(&points(&[]), at(10));
        assert_eq!(mounts.answer(Path::new("/a"), at(10)), Answer::Unknown);
        assert!(mounts.threads.is_empty());
    }
}
