//! Finding the processes of a run where no cgroup holds them together.
//!
//! The daemon is a child subreaper: a process whose parent has ended becomes our child, whatever it has done to its
//! session. Together with the session (each run has its own) and the mark in the environment that leads to every
//! process of a run, as long as it is not the work of somebody who hides from us; only a cgroup withstands that.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid, getppid, getsid};
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// How to recognise a run's processes.
#[derive(Debug, Clone)]
pub(super) struct Family {
    /// The session, which has the id of the main process.
    pub(super) session: i32,
    /// `KEY=VALUE` in the environment.
    pub(super) mark: String,
}

/// Our children, adopted ones included.
pub(super) fn children() -> Vec<i32> {
    let own = getpid().as_raw();
    let mut found = Vec::new();
    let mut known = false;
    for thread in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        if let Ok(text) = fs::read_to_string(thread.path().join("children")) {
            known = true;
            found.extend(text.split_ascii_whitespace().filter_map(|p| p.parse::<i32>().ok()));
        }
    }
    if !known {
        // A kernel without CONFIG_PROC_CHILDREN.
        found = processes().filter(|p| parent(*p) == Some(own)).collect();
    }
    found
}

/// SIGKILL to what is left of the families among our children, and to what hangs below it; the dead are reaped.
/// `mains` are never touched. Returns the indices of the families of which somebody was
/// found: call again until there is none.
pub(super) fn kill_left(families: &[Family], mains: &BTreeSet<i32>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for pid in children() {
        if mains.contains(&pid) {
            continue;
        }
        let Some(family) = families.iter().position(|f| belongs(pid, f)) else {
            continue;
        };
        // Its own children come to us only now: look again, even if this one was dead already.
        found.insert(family);
        if !reap(pid) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    found
}

/// Everybody of the family, from the whole host: exact, and slow.
pub(super) fn members(family: &Family) -> Vec<i32> {
    let own = getpid().as_raw();
    processes().filter(|p| *p != own && belongs(*p, family)).collect()
}

/// SIGKILL to every process that carries the mark, save ourselves and our parent, until none is left or two seconds
/// have passed. Returns how many there were.
pub(super) fn sweep(mark: &str) -> usize {
    let spared = [getpid().as_raw(), getppid().as_raw()];
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut killed = BTreeSet::new();
    loop {
        let left: Vec<i32> = processes().filter(|p| !spared.contains(p) && marked(*p, mark)).collect();
        if left.is_empty() || Instant::now() > deadline {
            return killed.len();
        }
        for pid in left {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            reap(pid);
            killed.insert(pid);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Reaps adopted children that have ended, once they were seen dead the last time too (`seen`): others in this daemon
/// wait for children of their own.
pub(super) fn reap_adopted(mains: &BTreeSet<i32>, seen: &mut BTreeSet<i32>) {
    let own = getsid(None).map_or(0, Pid::as_raw);
    let mut waiting = BTreeSet::new();
    for pid in children() {
        if mains.contains(&pid) || !is_dead(pid) {
            continue;
        }
        let session = getsid(Some(Pid::from_raw(pid))).map_or(0, Pid::as_raw);
        if session == own {
            continue;
        }
        if mains.contains(&session) || seen.contains(&pid) {
            reap(pid);
        } else {
            waiting.insert(pid);
        }
    }
    *seen = waiting;
}

fn belongs(pid: i32, family: &Family) -> bool {
    getsid(Some(Pid::from_raw(pid))).is_ok_and(|s| s.as_raw() == family.session) || marked(pid, &family.mark)
}

fn marked(pid: i32, mark: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| text.split(|b| *b == 0).any(|v| v == mark.as_bytes()))
}

fn parent(pid: i32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks and brackets: what counts stands behind the last bracket.
    text.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok())
}

/// Takes the status of a child that has ended. Whether it is gone.
fn reap(pid: i32) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    match waitid(Id::Pid(Pid::from_raw(pid)), flags) {
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => false,
        Ok(_) | Err(_) => true,
    }
}

fn is_dead(pid: i32) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(Pid::from_raw(pid)), flags).is_ok_and(|s| s != WaitStatus::StillAlive)
}
