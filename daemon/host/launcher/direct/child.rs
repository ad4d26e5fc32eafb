//! The child's life before the program executes.
//!
//! It shares our memory, or has a copy in which any lock may be held by a thread that is not there: it makes raw system
//! calls only. libc's own `setuid`, for one, would speak to our other threads.

use nix::errno::Errno;
use std::ffi::{CStr, c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;

const CLOSE_RANGE_UNSHARE: libc::c_long = 2;
const CLOSE_RANGE_CLOEXEC: libc::c_long = 4;
/// Kernel signals are numbered 1 to 64.
const SIGNALS: c_int = 64;

/// What the child was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// `clone` itself.
    Create,
    /// Joining the cgroup.
    Cgroup,
    /// Standard input and output, descriptors.
    Descriptors,
    /// `setgroups`, `setgid`, `setuid`.
    Identity,
    /// Dying with the daemon.
    ParentDeath,
    /// `chdir`.
    Directory,
    /// `execve`.
    Execute,
}

const STEPS: [Step; 7] =
    [Step::Create, Step::Cgroup, Step::Descriptors, Step::Identity, Step::ParentDeath, Step::Directory, Step::Execute];

/// Where and why a start failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    /// Where.
    pub(super) step: Step,
    /// Why.
    pub(super) errno: Errno,
}

impl Failure {
    /// Reads what [`child_entry`] has written.
    pub(super) fn decode(raw: [i32; 2]) -> Option<Self> {
        let step = usize::try_from(raw[0]).ok()?.checked_sub(1)?;
        Some(Self { step: *STEPS.get(step)?, errno: Errno::from_raw(raw[1]) })
    }
}

/// Everything the child reads. It lives on our stack, or the child's copy of it.
pub(super) struct Orders {
    pub(super) path: *const libc::c_char,
    pub(super) argv: *const *const libc::c_char,
    pub(super) envp: *const *const libc::c_char,
    pub(super) directory: *const libc::c_char,
    pub(super) identity: Option<(u32, u32, *const u32, usize)>,
    pub(super) input: RawFd,
    pub(super) output: RawFd,
    pub(super) keep_below: RawFd,
    pub(super) shares_files: bool,
    pub(super) procs: RawFd,
    pub(super) report: RawFd,
    pub(super) parent: libc::pid_t,
    pub(super) open_files: libc::rlimit64,
    pub(super) protected: bool,
    pub(super) failure: [i32; 2],
}
/// The child's life before the program. Raw system calls only.
pub(super) extern "C" fn child_entry(orders: *mut c_void) -> c_int {
    // SAFETY: this is the `Orders` that `create` has passed; see there for how long it lives.
    let orders = unsafe { &mut *orders.cast::<Orders>() };
    // SAFETY: called in the child only.
    let (step, errno) = unsafe { become_program(orders) };
    let place = STEPS.iter().position(|s| *s == step).unwrap_or(0);
    let failure = [i32::try_from(place).unwrap_or(0) + 1, errno as i32];
    // SAFETY: plain memory and plain system calls; `failure` is read by the parent through memory that the compiler
    // does not know to be shared.
    unsafe {
        ptr::write_volatile(&raw mut orders.failure, failure);
        if orders.report >= 0 {
            let size = size_of_val(&failure);
            libc::syscall(libc::SYS_write, orders.report, (&raw const failure).cast::<c_void>(), size);
        }
        libc::syscall(libc::SYS_exit_group, 127);
        libc::_exit(127)
    }
}

/// Returns only when it has failed.
///
/// # Safety
/// Only in the child, whose pointers in `orders` are all valid and end with null where they are lists.
unsafe fn become_program(orders: &Orders) -> (Step, Errno) {
    let fail = |step| (step, Errno::last());
    // SAFETY: every call below is a system call that takes numbers, or pointers to memory that lives on until `execve`.
    unsafe {
        // Handlers are ours, and an ignored signal would stay ignored: all back to default, none blocked.
        let default = [0u64; 4];
        for signal in 1..=SIGNALS {
            let none = ptr::null_mut::<c_void>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, 8);
        }
        if orders.procs >= 0 && libc::syscall(libc::SYS_write, orders.procs, c"0".as_ptr(), 1) < 0 {
            return fail(Step::Cgroup);
        }
        if orders.shares_files
            && libc::syscall(libc::SYS_close_range, orders.keep_below, libc::c_uint::MAX, CLOSE_RANGE_UNSHARE) < 0
            && libc::syscall(libc::SYS_unshare, libc::CLONE_FILES) < 0
        {
            return fail(Step::Descriptors);
        }
        libc::syscall(libc::SYS_setsid);
        for (from, to) in [(orders.input, 0), (orders.output, 1), (orders.output, 2)] {
            if libc::syscall(libc::SYS_dup3, from, to, 0) < 0 {
                return fail(Step::Descriptors);
            }
        }
        // Ours close by themselves; who started the daemon may have left others open.
        let (first, last) = (3, libc::c_uint::MAX);
        libc::syscall(libc::SYS_close_range, first, last, CLOSE_RANGE_CLOEXEC);
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            libc::RLIMIT_NOFILE,
            &raw const orders.open_files,
            ptr::null_mut::<c_void>(),
        );
        libc::syscall(libc::SYS_umask, 0o022);
        if orders.protected {
            unprotect();
        }
        if let Some((uid, gid, groups, count)) = orders.identity
            && (libc::syscall(libc::SYS_setgroups, count, groups) < 0
                || libc::syscall(libc::SYS_setresgid, gid, gid, gid) < 0
                || libc::syscall(libc::SYS_setresuid, uid, uid, uid) < 0)
        {
            return fail(Step::Identity);
        }
        // After the change of user, which clears it; a parent that is gone already will not tell us any more.
        if libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 {
            return fail(Step::ParentDeath);
        }
        if libc::syscall(libc::SYS_getppid) != libc::c_long::from(orders.parent) {
            return (Step::ParentDeath, Errno::ESRCH);
        }
        if libc::syscall(libc::SYS_chdir, orders.directory) < 0 {
            return fail(Step::Directory);
        }
        let none = 0u64;
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, ptr::null_mut::<c_void>(), 8);
        libc::syscall(libc::SYS_execve, orders.path, orders.argv, orders.envp);
        fail(Step::Execute)
    }
}

/// The daemon's protection from the OOM killer is not the worker's.
///
/// # Safety
/// Only in the child.
unsafe fn unprotect() {
    let path: &CStr = c"/proc/self/oom_score_adj";
    // SAFETY: plain system calls on a constant path and a descriptor of our own.
    unsafe {
        let fd = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd >= 0 {
            libc::syscall(libc::SYS_write, fd, c"0".as_ptr(), 1);
            libc::syscall(libc::SYS_close, fd);
        }
    }
}
