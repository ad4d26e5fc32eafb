//! What becomes of a child: whether it executed its program, and how it ended. The system calls that libc's safe
//! wrappers do not offer are here.

use super::child::Failure;
use nix::errno::Errno;
use reeve_core::ExitStatus;
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

/// What has become of a child that was not waited for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Nothing yet.
    Pending,
    /// The program is executing (or the child was killed before: its status will tell).
    Executed,
    /// It failed and is ending.
    Failed(Failure),
}

/// Reads [`Child::report`]; never blocks.
pub(super) fn read_report(report: BorrowedFd<'_>) -> Report {
    let mut raw = [0u8; 8];
    match nix::unistd::read(report, &mut raw) {
        Ok(8) => {
            let number = |i: usize| {
                let mut bytes = [0u8; 4];
                bytes.copy_from_slice(&raw[i..i + 4]);
                i32::from_ne_bytes(bytes)
            };
            Failure::decode([number(0), number(4)]).map_or(Report::Executed, Report::Failed)
        }
        Err(Errno::EAGAIN | Errno::EINTR) => Report::Pending,
        Ok(_) | Err(_) => Report::Executed,
    }
}
/// Reaps the child if it has ended: how, and the most memory it has held. Never blocks.
pub(super) fn reap(pidfd: BorrowedFd<'_>) -> Option<(ExitStatus, Option<u64>)> {
    reap_with(pidfd, libc::WNOHANG)
}

/// Kills the child and takes its status.
pub(super) fn end(pidfd: &OwnedFd) {
    // SAFETY: a system call that takes numbers and a null pointer.
    unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, ptr::null::<c_void>(), 0);
    }
    reap_blocking(pidfd.as_fd());
}

/// Waits for the child, which is about to end.
pub(super) fn reap_blocking(pidfd: BorrowedFd<'_>) {
    while reap_with(pidfd, 0).is_none() {}
}

fn reap_with(pidfd: BorrowedFd<'_>, options: c_int) -> Option<(ExitStatus, Option<u64>)> {
    // SAFETY: all-zero is valid for both, which are plain data.
    let (mut info, mut usage): (libc::siginfo_t, libc::rusage) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    // SAFETY: the kernel fills the two structures. The raw call is used since only it reports the usage.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            pidfd.as_raw_fd(),
            &raw mut info,
            libc::WEXITED | options,
            &raw mut usage,
        )
    };
    if result < 0 {
        // Somebody else has taken the status: it has ended, how is not known.
        return (Errno::last() == Errno::ECHILD).then_some((ExitStatus::Unknown, None));
    }
    // SAFETY: waitid has filled the structure for a child, or left it zero.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return None;
    }
    let status = match info.si_code {
        libc::CLD_EXITED => ExitStatus::Code(status),
        _ => ExitStatus::Signal(status),
    };
    let peak = u64::try_from(usage.ru_maxrss).ok().filter(|kib| *kib > 0);
    Some((status, peak.map(|kib| kib * 1024)))
}

/// Sixteen random bytes.
pub(super) fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0u8; 16];
    // SAFETY: the kernel fills at most the length given; so few bytes are never cut short.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    Errno::result(got)?;
    Ok(bytes)
}
