//! Creating a process.
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
//! What the child does is in [`super::child`].

use super::child::{Failure, Orders, Step, child_entry};
use super::status::reap_blocking;
use crate::host::process::raise_open_files;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::unistd::{dup3, pipe2};
use std::ffi::{CString, c_int};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::ptr;

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const STACK: usize = 64 * 1024;

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
impl Spawner {
    /// Reserves what every start needs, and raises our own limit on open files: each worker costs three.
    pub(super) fn new() -> io::Result<Self> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let null: OwnedFd = null.into();
        let slot = fcntl(&null, FcntlArg::F_DUPFD_CLOEXEC(3))?;
        // SAFETY: fcntl has just returned this descriptor and nobody else knows it.
        let slot = unsafe { OwnedFd::from_raw_fd(slot) };
        let (soft, hard) = raise_open_files()?;
        let open_files = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
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
