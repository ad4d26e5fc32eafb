//! Listening: an address, a unix socket, or what the service manager has opened.

use super::settings::Place;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// A connection.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A place that is taken.
#[derive(Debug)]
pub(super) enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket, and its file where that is ours.
    Unix {
        listener: UnixListener,
        #[expect(dead_code, reason = "its end takes the file away")]
        claim: Option<Claim>,
    },
}

/// Who may connect is said by the file: owner and group.
const MODE: u32 = 0o660;

impl Listener {
    /// Takes a place.
    pub(super) fn bind(place: &Place) -> Result<Self, String> {
        match place {
            Place::Address(address) => {
                let listener = std::net::TcpListener::bind(address).map_err(|e| said(place, &e))?;
                Self::tcp(listener).map_err(|e| said(place, &e))
            }
            Place::Socket(path) => Self::socket(path).map_err(|e| said(place, &e)),
        }
    }

    /// One that is listening already.
    pub(super) fn inherited(fd: OwnedFd) -> Result<Self, String> {
        let fail = |e: io::Error| format!("the socket handed over by the service manager cannot be used: {e}");
        let copy = fd.try_clone().map_err(fail)?;
        let unix = std::os::unix::net::UnixListener::from(copy);
        // Of an address this is an error.
        if unix.local_addr().is_ok() {
            unix.set_nonblocking(true).map_err(fail)?;
            return Ok(Self::Unix { listener: UnixListener::from_std(unix).map_err(fail)?, claim: None });
        }
        Self::tcp(std::net::TcpListener::from(fd)).map_err(fail)
    }

    fn tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(TcpListener::from_std(listener)?))
    }

    fn socket(path: &Path) -> io::Result<Self> {
        clear(path)?;
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        let inode = fs::symlink_metadata(path)?.ino();
        Ok(Self::Unix { listener, claim: Some(Claim { path: path.to_owned(), inode }) })
    }

    /// The next connection. Cancel-safe: one that nobody took waits.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Io>> {
        Ok(match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // A page is written in few pieces; waiting to fill one only makes it late.
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
            Listener::Unix { listener, .. } => Box::new(listener.accept().await?.0),
        })
    }
}

/// Takes a socket away that nobody listens on any more. What is not a socket, and what is in use, stays.
fn clear(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "something that is not a socket is there"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "somebody listens there")),
        Err(error) => Err(error),
    }
}

fn said(place: &Place, error: &io::Error) -> String {
    format!("cannot listen on {place}: {error}")
}

/// A socket file that is ours to take away.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    inode: u64,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // It is gone, or somebody took the folder: nothing is left to do.
            let _ = fs::remove_file(&self.path);
        }
    }
}
