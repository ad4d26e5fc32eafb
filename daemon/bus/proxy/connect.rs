//! Where the daemon is: the system bus, the session bus, an address, or the private socket below `--root`.

use super::client::Client;
use super::error::CallError;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;
use zbus::connection::Builder;

/// How long a reply may take. polkit may be asking a person meanwhile.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where to find the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The system bus.
    System,
    /// The session bus.
    Session,
    /// A bus at this D-Bus address.
    Address(String),
    /// Peer to peer on this socket.
    Private(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::System => f.write_str("the system bus"),
            Place::Session => f.write_str("the session bus"),
            Place::Address(a) => write!(f, "the bus {a}"),
            Place::Private(p) => write!(f, "the private bus {}", p.display()),
        }
    }
}

impl Place {
    /// Connects. On a bus this does not tell yet whether the daemon is there; the first call does.
    pub async fn connect(&self) -> Result<Client, CallError> {
        let builder = match self {
            Place::System => Builder::system(),
            Place::Session => Builder::session(),
            Place::Address(address) => Builder::address(address.as_str()),
            Place::Private(path) => {
                let stream = UnixStream::connect(path).map_err(|e| self.shut(&e))?;
                Builder::unix_stream(stream).p2p()
            }
        };
        let connection = builder
            .method_timeout(PATIENCE)
            .build()
            .await
            .map_err(|e| CallError::from_zbus(e, "", &self.to_string()))?;
        Ok(Client::new(connection, self.to_string()))
    }

    fn shut(&self, error: &io::Error) -> CallError {
        if error.kind() == io::ErrorKind::PermissionDenied {
            CallError::NotAuthorized { action: "", text: format!("{self} belongs to another user") }
        } else {
            CallError::Unreachable { place: self.to_string(), why: error.to_string() }
        }
    }
}
