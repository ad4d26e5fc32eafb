//! Datagram sockets on which workers speak: making one, reading from it, and who may speak on it.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockType, UnixCredentials, getsockopt, recvmsg, setsockopt, sockopt,
};
use nix::unistd::{close, geteuid};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// The longest message taken; a longer one is garbage.
pub const DATAGRAM_MAX: usize = 64 * 1024;
/// The kernel passes no more descriptors in one message (SCM_MAX_FD).
const FDS_MAX: usize = 253;

/// Room for one datagram, shared by all sockets.
#[derive(Debug)]
pub struct Buffer {
    data: Vec<u8>,
    control: Vec<u8>,
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Buffer {
    /// Room for the largest.
    pub fn new() -> Self {
        Self {
            data: vec![0; DATAGRAM_MAX],
            // Less room would cut descriptors off half received, and they would leak.
            control: nix::cmsg_space!(UnixCredentials, [i32; FDS_MAX]),
        }
    }
}

/// One datagram and who sent it.
#[derive(Debug)]
pub struct Received<'a> {
    /// What it said; `None`: longer than allowed.
    pub text: Option<&'a [u8]>,
    /// (pid, uid) as the kernel vouches for them.
    pub sender: Option<(i32, u32)>,
}

/// Binds a fresh socket at `path`, writable by everybody. Where one stands, it is replaced in one step: until the new
/// one is complete, the old one is there. Its folder is made when there is none: nobody made it yet, or somebody has
/// tidied up.
pub fn bind(path: &Path) -> io::Result<OwnedFd> {
    match bind_at(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), make_folder)?;
            bind_at(path)
        }
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            let fresh = path.with_file_name(".new");
            remove_if_there(&fresh)?;
            let socket = bind_at(&fresh)?;
            std::fs::rename(&fresh, path)?;
            Ok(socket)
        }
        bound => bound,
    }
}

/// Makes sure of a folder for sockets: workers of other users must be able to reach theirs through it.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

fn bind_at(path: &Path) -> io::Result<OwnedFd> {
    let socket = UnixDatagram::bind(path)
        .map_err(|e| io::Error::new(e.kind(), format!("cannot bind {}: {e}", path.display())))?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::PassCred, &true)?;
    // The daemon's umask is 0077; who may speak is decided by credentials, not by file mode.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(socket.into())
}

/// Removes a file; that there is none is fine.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Whether an inherited descriptor can be used: a datagram socket. Makes it ready for use.
pub fn usable(fd: &OwnedFd) -> bool {
    getsockopt(fd, sockopt::SockType) == Ok(SockType::Datagram)
        && setsockopt(fd, sockopt::PassCred, &true).is_ok()
        && nonblocking(fd.as_fd()).is_ok()
}

fn nonblocking(fd: BorrowedFd<'_>) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

/// Whether something is there to be received.
pub fn waiting(fd: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut asked, PollTimeout::ZERO) == Ok(1)
}

/// Takes one datagram. Descriptors in it are closed: that answers `BARRIER=1`, and nothing else may send any.
pub fn receive<'a>(fd: &OwnedFd, buffer: &'a mut Buffer) -> io::Result<Received<'a>> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let mut sender = None;
    let (length, truncated) = {
        let mut room = [IoSliceMut::new(&mut buffer.data)];
        let got = loop {
            match recvmsg::<()>(fd.as_raw_fd(), &mut room, Some(&mut buffer.control), flags) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        for message in got.cmsgs()? {
            match message {
                ControlMessageOwned::ScmCredentials(who) => sender = Some((who.pid(), who.uid())),
                ControlMessageOwned::ScmRights(fds) => {
                    for fd in fds {
                        // An error here leaves nothing to do: the descriptor is gone either way.
                        let _ = close(fd);
                    }
                }
                _ => {}
            }
        }
        (got.bytes, got.flags.contains(MsgFlags::MSG_TRUNC))
    };
    Ok(Received { text: if truncated { None } else { buffer.data.get(..length) }, sender })
}

/// Whether the sender may speak for the replica whose unit is `unit`.
///
/// Root, ourselves and the worker's own user may. So may any process inside the replica's unit (users of
/// `DynamicUser=` are not known beforehand); that needs the process to be alive still when its message is read. A process
/// of the right user outside the unit is believed: the socket says which replica it speaks for.
pub fn may_speak((pid, uid): (i32, u32), worker_uid: Option<u32>, unit: &str) -> bool {
    if uid == 0 || uid == geteuid().as_raw() || Some(uid) == worker_uid {
        return true;
    }
    pid > 0 && std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| in_unit(&text, unit))
}

/// Only below `reeve.slice`: anybody may give a cgroup of his own session the name of our unit.
fn in_unit(cgroups: &str, unit: &str) -> bool {
    cgroups.lines().any(|line| {
        line.strip_prefix("0::")
            .or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
            .is_some_and(|path| path.starts_with("/reeve.slice/") && path.split('/').any(|part| part == unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_of_the_unit_are_in_it() {
        let unit = "reeve-web-1.service";
        assert!(in_unit("0::/reeve.slice/reeve-a.slice/reeve-web-1.service\n", unit));
        assert!(in_unit("1:name=systemd:/reeve.slice/reeve-web-1.service/sub\n0::/\n", unit));
        assert!(!in_unit("0::/reeve.slice/reeve-web-11.service\n", unit));
        assert!(!in_unit("0::/user.slice/user-7.slice/reeve.slice/reeve-web-1.service\n", unit));
        assert!(!in_unit("", unit));
    }

    #[test]
    fn root_and_the_workers_user_may_speak_and_strangers_not() {
        assert!(may_speak((1, 0), None, "u"));
        assert!(may_speak((1, 4242), Some(4242), "u"));
        assert!(!may_speak((0, 4243), Some(4242), "u"));
        assert!(!may_speak((1, 4243), None, "u"));
    }
}
