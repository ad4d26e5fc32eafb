//! Creating a process, and taking its status: everything of this launcher that is `unsafe`.
//!
//! A start must cost little more than the kernel's own work, so the child shares our memory until it executes the
//! program (`CLONE_VM | CLONE_VFORK`) and shares our descriptor table until it has dropped all but the lowest few
//! (`CLONE_FILES`, then `close_range(UNSHARE)`): neither grows with the number of workers. It is born in its cgroup
//! (`CLONE_INTO_CGROUP`), which spares the slow migration. Old kernels and container filters that refuse `clone3` get
//! plain `clone`; the child then moves itself.
//!
//! A worker of **another user** gets a child with a copy of our memory, and we do not wait for it: between `setuid`
//! and `execve` processes of that user may stop it, and a stopped child must not stop the supervisor. How it went is
//! then read from a pipe ([`Child::report`]).
//!
//! The child makes raw system calls only: libc's `setuid` would speak to our other threads, and nothing it does may
//! allocate or lock.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::unistd::{dup3, pipe2};
use reeve_core::ExitStatus;
use std::ffi::{CStr, CString, c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::ptr;

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLOSE_RANGE_UNSHARE: libc::c_long = 2;
const CLOSE_RANGE_CLOEXEC: libc::c_long = 4;
const STACK: usize = 64 * 1024;
/// Kernel signals are numbered 1 to 64.
const SIGNALS: c_int = 64;

/// What to execute, ready for a child that may not allocate.
#[derive(Debug)]
pub(super) struct Program {
    /// Absolute path.
    pub(super) path: CString,
    /// Arguments, the program's name first.
    pub(super) arguments: Vec<CString>,
    /// `KEY=VALUE`.
    pub(super) environment: Vec<CString>,
    /// Working directory.
    pub(super) directory: CString,
    /// Credentials to take on; `None`: ours.
    pub(super) identity: Option<Identity>,
}

/// Whom the child becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Uid.
    pub(super) uid: u32,
    /// Gid.
    pub(super) gid: u32,
    /// All groups.
    pub(super) groups: Vec<u32>,
}

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
    fn decode(raw: [i32; 2]) -> Option<Self> {
        let step = usize::try_from(raw[0]).ok()?.checked_sub(1)?;
        Some(Self { step: *STEPS.get(step)?, errno: Errno::from_raw(raw[1]) })
    }
}

/// A process of ours.
#[derive(Debug)]
pub(super) struct Child {
    /// Its id.
    pub(super) pid: i32,
    /// Readable once it has ended.
    pub(super) pidfd: OwnedFd,
    /// Present when the program may not be executing yet: see [`read_report`].
    pub(super) report: Option<OwnedFd>,
}

/// Makes processes. One per launcher; used by one thread, whose end would end the children (`PR_SET_PDEATHSIG`).
pub(super) struct Spawner {
    stack: Vec<u8>,
    null: OwnedFd,
    /// A low descriptor that stands for the child's output while it is made, see the module comment.
    slot: OwnedFd,
    clone3: bool,
    open_files: libc::rlimit64,
    protected: bool,
}

impl std::fmt::Debug for Spawner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spawner").field("clone3", &self.clone3).finish_non_exhaustive()
    }
}

/// Everything the child reads. It lives on our stack, or the child's copy of it.
struct Orders {
    path: *const libc::c_char,
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
    directory: *const libc::c_char,
    identity: Option<(u32, u32, *const u32, usize)>,
    input: RawFd,
    output: RawFd,
    keep_below: RawFd,
    shares_files: bool,
    procs: RawFd,
    report: RawFd,
    parent: libc::pid_t,
    open_files: libc::rlimit64,
    protected: bool,
    failure: [i32; 2],
}

impl Spawner {
    /// Reserves what every start needs, and raises our own limit on open files: each worker costs three.
    pub(super) fn new() -> io::Result<Self> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let null: OwnedFd = null.into();
        let slot = fcntl(&null, FcntlArg::F_DUPFD_CLOEXEC(3))?;
        // SAFETY: fcntl has just returned this descriptor and nobody else knows it.
        let slot = unsafe { OwnedFd::from_raw_fd(slot) };
        let mut open_files = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: getrlimit64 fills the structure it is given.
        Errno::result(unsafe { libc::getrlimit64(libc::RLIMIT_NOFILE, &raw mut open_files) })?;
        let raised = libc::rlimit64 { rlim_cur: open_files.rlim_max, ..open_files };
        // SAFETY: setrlimit64 reads the structure it is given. Failing leaves the old limit in force.
        unsafe { libc::setrlimit64(libc::RLIMIT_NOFILE, &raw const raised) };
        let protected =
            std::fs::read_to_string("/proc/self/oom_score_adj").is_ok_and(|score| score.trim_start().starts_with('-'));
        Ok(Self { stack: vec![0; STACK], null, slot, clone3: cfg!(target_arch = "x86_64"), open_files, protected })
    }

    /// Makes the child, in the cgroup of folder `place`. `Err` when it could not be made or has failed already; it is reaped then.
    pub(super) fn spawn(
        &mut self,
        program: &Program,
        output: BorrowedFd<'_>,
        place: Option<&Path>,
    ) -> Result<Child, Failure> {
        let create = |errno| Failure { step: Step::Create, errno };
        let argv = pointers(&program.arguments);
        let envp = pointers(&program.environment);
        let wait = program.identity.is_none();
        let (report, told) = if wait {
            (None, None)
        } else {
            let (r, w) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(create)?;
            (Some(r), Some(w))
        };
        dup3(output, &mut self.slot, OFlag::O_CLOEXEC).map_err(create)?;
        let mut orders = Orders {
            path: program.path.as_ptr(),
            argv: argv.as_ptr(),
            envp: envp.as_ptr(),
            directory: program.directory.as_ptr(),
            identity: program.identity.as_ref().map(|i| (i.uid, i.gid, i.groups.as_ptr(), i.groups.len())),
            input: self.null.as_raw_fd(),
            output: self.slot.as_raw_fd(),
            keep_below: self.null.as_raw_fd().max(self.slot.as_raw_fd()) + 1,
            shares_files: false,
            procs: -1,
            report: told.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            // SAFETY: getpid has no preconditions.
            parent: unsafe { libc::getpid() },
            open_files: self.open_files,
            protected: self.protected,
            failure: [0; 2],
        };
        // No handler of ours may run in the child, which shares our memory.
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before)).map_err(create)?;
        let made = self.create(&mut orders, place, wait);
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
        // The slot must not hold the pipe open.
        let _ = dup3(&self.null, &mut self.slot, OFlag::O_CLOEXEC);
        let (pid, pidfd) = made.map_err(create)?;
        match Failure::decode(orders.failure) {
            Some(failure) => {
                reap_blocking(pidfd.as_fd());
                Err(failure)
            }
            None => Ok(Child { pid, pidfd, report }),
        }
    }

    /// `clone3` where it works, else `clone`.
    fn create(&mut self, orders: &mut Orders, place: Option<&Path>, wait: bool) -> Result<(i32, OwnedFd), Errno> {
        let sharing = libc::CLONE_VM | libc::CLONE_VFORK;
        #[cfg(target_arch = "x86_64")]
        if self.clone3 {
            orders.shares_files = wait;
            let mut flags = libc::CLONE_PIDFD as u64;
            if wait {
                flags |= (sharing | libc::CLONE_FILES) as u64;
            }
            let folder = open(place, false)?;
            let into = folder.as_ref().map(AsRawFd::as_raw_fd);
            match clone3(flags, into, &mut self.stack, orders) {
                Err(Errno::ENOSYS | Errno::EPERM | Errno::E2BIG | Errno::EINVAL) => {
                    self.clone3 = false;
                }
                done => return done,
            }
        }
        orders.shares_files = false;
        let procs = open(place.map(|p| p.join("cgroup.procs")).as_deref(), true)?;
        orders.procs = procs.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let flags = libc::CLONE_PIDFD | libc::SIGCHLD | if wait { sharing } else { 0 };
        let mut pidfd: c_int = -1;
        let top = self.stack.as_mut_ptr_range().end.map_addr(|a| a & !15);
        // SAFETY: the stack is ours, larger than the child needs and unused until the child has executed or ended
        // (CLONE_VFORK), or the child has a copy of it. `orders` outlives the child's use of it for the same reason.
        let pid = unsafe { libc::clone(child_entry, top.cast(), flags, ptr::from_mut(orders).cast(), &raw mut pidfd) };
        let pid = Errno::result(pid)?;
        // SAFETY: the kernel has just made this descriptor for us.
        Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
    }
}

/// `clone3` with a stack of its own for the child. libc has no wrapper, and its `syscall()` cannot return twice in
/// shared memory.
#[cfg(target_arch = "x86_64")]
fn clone3(flags: u64, into: Option<RawFd>, stack: &mut [u8], orders: &mut Orders) -> Result<(i32, OwnedFd), Errno> {
    let mut pidfd: c_int = -1;
    let base = stack.as_mut_ptr();
    let lead = base.align_offset(16);
    // SAFETY: all-zero is a valid clone_args: every field is a number.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags | into.map_or(0, |_| CLONE_INTO_CGROUP);
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.stack = base.wrapping_add(lead) as u64;
    arguments.stack_size = ((stack.len() - lead) & !15) as u64;
    arguments.cgroup = into.map_or(0, |fd| fd as u64);
    let result: i64;
    // SAFETY: in the parent this is one system call that clobbers rax, rcx and r11. The child starts behind it on its
    // own, aligned stack and calls a function that never returns; registers it changes are its own. What it reads
    // outlives it, since CLONE_VFORK holds us until it has executed or ended, or the memory is its own copy.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, {orders}",
            "call {entry}",
            "ud2",
            "2:",
            entry = in(reg) child_entry as *const (),
            orders = in(reg) ptr::from_mut(orders),
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") &raw const arguments,
            in("rsi") size_of::<libc::clone_args>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    if result < 0 {
        return Err(Errno::from_raw(i32::try_from(-result).unwrap_or(0)));
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((i32::try_from(result).unwrap_or(0), pidfd))
}

fn open(path: Option<&Path>, write: bool) -> Result<Option<File>, Errno> {
    let open = |p| File::options().read(!write).write(write).open(p);
    let file = path.map(open).transpose();
    file.map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(0)))
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    let texts = texts.iter().map(|t| t.as_ptr());
    texts.chain(std::iter::once(ptr::null())).collect()
}

/// The child's life before the program. Raw system calls only.
extern "C" fn child_entry(orders: *mut c_void) -> c_int {
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

fn reap_blocking(pidfd: BorrowedFd<'_>) {
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
