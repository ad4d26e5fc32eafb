//! What the kernel says of this very process, and the one limit it lifts. Nothing here touches a disk or waits.

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeVal;
use nix::unistd::{SysconfVar, sysconf};
use reeve_core::{Now, Wall};
use std::fs;
use std::time::Duration;

/// Facts of this instant. What cannot be read is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Facts {
    /// CPU time, user and system.
    pub cpu: Option<Duration>,
    /// Resident memory, bytes.
    pub resident: Option<u64>,
    /// Open descriptors.
    pub open_fds: Option<u64>,
    /// Most of them; absent when unlimited.
    pub max_fds: Option<u64>,
}

/// Reads them.
pub fn facts() -> Facts {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
    let pages = fs::read_to_string("/proc/self/statm").ok().and_then(|text| nth(&text, 1));
    let limit = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft);
    Facts {
        cpu: usage.map(|usage| span(usage.user_time()) + span(usage.system_time())),
        resident: pages.zip(system(SysconfVar::PAGE_SIZE)).map(|(pages, size)| pages * size),
        open_fds: open_fds(),
        max_fds: limit.filter(|limit| *limit != nix::libc::RLIM_INFINITY),
    }
}

/// Linux tells their number as the length of the folder since 6.2 (proc_pid_fd(5)); before, it is counted, which takes
/// longer than all else on a page.
fn open_fds() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).ok()?.len() {
        // One of them is the folder being read.
        0 => fs::read_dir(FOLDER).ok().map(|entries| (entries.count() as u64).saturating_sub(1)),
        told => Some(told),
    }
}

/// Lets this process open as many files as it ever may: each worker costs some. Gives what it might before, soft and
/// hard, as its children should have it: a program that uses select(2) must not get a descriptor above 1024.
pub fn raise_open_files() -> nix::Result<(u64, u64)> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(soft, hard, %error, "the limit on open files cannot be raised");
    }
    Ok((soft, hard))
}

/// When this process began. The clocks may be stepped: ask once and keep the answer.
pub fn started(now: Now) -> Option<Wall> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may hold blanks; what follows its end begins with field 3.
    let ticks: u64 = nth(stat.rsplit_once(')')?.1, 19)?;
    let after_boot = Duration::from_secs_f64(ticks as f64 / system(SysconfVar::CLK_TCK)? as f64);
    let ago = u64::try_from(now.mono.0.saturating_sub(after_boot).as_micros()).ok()?;
    Some(Wall(now.wall.0.saturating_sub(ago)))
}

fn nth(text: &str, index: usize) -> Option<u64> {
    text.split_whitespace().nth(index)?.parse().ok()
}

fn system(what: SysconfVar) -> Option<u64> {
    u64::try_from(sysconf(what).ok()??).ok()
}

fn span(time: TimeVal) -> Duration {
    let part = |n: i64| u64::try_from(n).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec())) + Duration::from_micros(part(time.tv_usec()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::host::clock::Clock;

    #[test]
    fn this_process_is_known() {
        let facts = facts();
        assert!(facts.resident.unwrap() > 100_000, "{facts:?}");
        assert!(facts.open_fds.unwrap() >= 3, "{facts:?}");
        assert!(facts.max_fds.is_none_or(|max| max >= facts.open_fds.unwrap()), "{facts:?}");
        assert!(facts.cpu.is_some());
        let now = Clock::now();
        let age = now.wall.0 - started(now).unwrap().0;
        assert!(age < 3_600_000_000, "{age} µs");
    }
}
