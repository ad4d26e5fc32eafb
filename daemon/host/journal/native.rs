//! The native protocol of journald: fields in, one datagram out (systemd.io/JOURNAL_NATIVE_PROTOCOL).

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg, setsockopt, sockopt};
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The loop waits no longer than this for a journald that does not read.
const PATIENCE: Duration = Duration::from_millis(250);
/// As libsystemd asks for; the kernel gives what it may.
const SEND_BUFFER: usize = 8 * 1024 * 1024;

/// One entry being put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry(Vec<u8>);

impl Entry {
    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field. A name journald would throw away is passed over.
    pub fn field(&mut self, name: &str, value: &str) -> &mut Self {
        let well = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if well {
            self.0.extend_from_slice(name.as_bytes());
            if value.contains('\n') {
                self.0.push(b'\n');
                self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
            } else {
                self.0.push(b'=');
            }
            self.0.extend_from_slice(value.as_bytes());
            self.0.push(b'\n');
        }
        self
    }

    /// As it goes out.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A way to a journald.
#[derive(Debug)]
pub struct Native {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Native {
    /// To the journald that listens at `path`. It need not be there yet.
    pub fn new(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        // Only a larger share of what may wait in the queue: without it entries go out all the same.
        let _ = setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER);
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Sends one entry. By path each time, so a restarted journald is found.
    pub fn send(&self, entry: &Entry) -> Result<(), String> {
        let sent = match self.socket.send_to(entry.bytes(), &self.path) {
            Err(e) if too_large(&e) => self.send_large(entry.bytes()),
            other => other.map(drop),
        };
        sent.map_err(|e| {
            let what = match e.kind() {
                io::ErrorKind::WouldBlock => "it does not read".to_owned(),
                _ => e.to_string(),
            };
            format!("journald at {}: {what}", self.path.display())
        })
    }

    /// More than a datagram holds travels as a sealed file.
    fn send_large(&self, bytes: &[u8]) -> io::Result<()> {
        let flags = MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC;
        let mut file = File::from(memfd_create(c"reeve-journal", flags)?);
        file.write_all(bytes)?;
        let fd: OwnedFd = file.into();
        let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
        fcntl(&fd, FcntlArg::F_ADD_SEALS(seals))?;
        sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(&[])],
            &[ControlMessage::ScmRights(&[fd.as_raw_fd()])],
            MsgFlags::empty(),
            Some(&UnixAddr::new(&self.path)?),
        )?;
        Ok(())
    }
}

fn too_large(error: &io::Error) -> bool {
    [Errno::EMSGSIZE, Errno::ENOBUFS].iter().any(|errno| error.raw_os_error() == Some(*errno as i32))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use nix::sys::socket::{ControlMessageOwned, recvmsg};
    use std::io::{IoSliceMut, Read, Seek};
    use std::os::fd::FromRawFd;

    #[test]
    fn fields_are_encoded_and_bad_names_passed_over() {
        let mut entry = Entry::new();
        entry.field("MESSAGE", "a=b").field("TEXT", "x\ny");
        entry.field("_PID", "1").field("lower", "1").field("", "1");
        let expected = b"MESSAGE=a=b\nTEXT\n\x03\0\0\0\0\0\0\0x\ny\n";
        assert_eq!(entry.bytes(), expected);
    }

    #[test]
    fn a_missing_journald_is_named() {
        let native = Native::new(Path::new("/no/such/socket")).unwrap();
        let error = native.send(Entry::new().field("A", "b")).unwrap_err();
        assert!(error.starts_with("journald at /no/such/socket: "), "{error}");
    }

    #[test]
    fn a_journald_that_does_not_read_costs_a_moment_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let native = Native::new(&path).unwrap();
        let mut entry = Entry::new();
        entry.field("MESSAGE", "x");
        let error = (0..10_000).find_map(|_| native.send(&entry).err()).unwrap();
        assert!(error.ends_with("it does not read"), "{error}");
    }

    #[test]
    fn a_large_entry_travels_as_a_sealed_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        let mut entry = Entry::new();
        entry.field("MESSAGE", &"x".repeat(3 * SEND_BUFFER));
        Native::new(&path).unwrap().send(&entry).unwrap();
        let mut room = [0; 16];
        let mut parts = [IoSliceMut::new(&mut room)];
        let mut control = nix::cmsg_space!([i32; 1]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let got = recvmsg::<()>(journald.as_raw_fd(), &mut parts, Some(&mut control), flags);
        let got = got.unwrap();
        let fds: Vec<i32> = got
            .cmsgs()
            .unwrap()
            .flat_map(|message| match message {
                ControlMessageOwned::ScmRights(fds) => fds,
                _ => Vec::new(),
            })
            .collect();
        // SAFETY: the descriptor came with this message and nobody else knows it.
        let mut file = unsafe { File::from_raw_fd(fds[0]) };
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert!(bytes == entry.bytes());
    }
}
