//! Serves the objects: on the system bus, a session bus, an explicit address, or peer to peer on a private socket.

use super::audit::AuditSink;
use super::auth::{Authority, OwnUid};
use super::names::BUS_NAME;
use super::peer::{Context, Peer, sender_key};
use super::polkit::Polkit;
use super::watcher;
use super::{dispatch, hold};
use crate::app::handle::Handle;
use crate::host::holds::{Holds, Kept};
use futures_util::StreamExt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, Guid, MessageStream};

/// Connections at a time on the private socket.
const CONNECTIONS: usize = 64;
/// A client that has not said who it is by then is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// First and longest wait before a bus that went away is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// Where to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The system bus; polkit decides who may what.
    System,
    /// The session bus: the own uid may everything.
    Session,
    /// Peer to peer on this socket, mode 0600: the own uid may everything.
    Private(PathBuf),
    /// A bus at this D-Bus address; polkit there decides.
    Bus(String),
}

impl Address {
    /// Reads `--bus`; `socket` is where `private` is.
    pub fn parse(text: &str, socket: &Path) -> Result<Self, String> {
        match text {
            "system" => Ok(Address::System),
            "session" => Ok(Address::Session),
            "private" => Ok(Address::Private(socket.to_owned())),
            address if address.contains(':') => Ok(Address::Bus(address.to_owned())),
            other => Err(format!("--bus: expected system, session, private or a D-Bus address, not {other:?}")),
        }
    }
}

/// What never changes while the daemon lives.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Of reeved.
    pub version: &'static str,
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Processors we may use.
    pub cpus: u32,
    started: Instant,
}

impl Facts {
    /// Reads them.
    pub fn read() -> Self {
        let read = |file: &str| {
            let path = format!("/proc/sys/kernel/{file}");
            fs::read_to_string(path).map_or(String::new(), |t| t.trim().to_owned())
        };
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            boot_id: read("random/boot_id").replace('-', ""),
            kernel: read("osrelease"),
            cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
            started: Instant::now(),
        }
    }

    /// µs since they were read.
    pub(super) fn uptime(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// What the server needs.
#[derive(Debug)]
pub struct Options {
    /// The way to the loop.
    pub handle: Handle,
    /// Keeps the audit trail.
    pub sink: Arc<dyn AuditSink>,
    /// The log level at start.
    pub log_level: String,
    /// Keeps holds over a restart.
    pub holds: Holds,
    /// Holds of an earlier daemon that go on.
    pub kept: Vec<Kept>,
    /// Decides instead of the address's own authority: for tests.
    pub authority: Option<Arc<dyn Authority>>,
}

/// Why it cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else has the name.
    #[error("the name {BUS_NAME} is taken: another reeved serves this bus")]
    NameTaken,
    /// The bus does not let us have the name.
    #[error("not allowed to own the name {BUS_NAME}: {0}")]
    NotAllowed(String),
    /// The private socket cannot be made.
    #[error("{path}: {error}")]
    Socket {
        /// Where.
        path: String,
        /// Why.
        error: io::Error,
    },
}

/// The running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    context: Arc<Context>,
    authority: Option<Arc<dyn Authority>>,
    own: OwnUid,
    problem: Arc<watch::Sender<Option<String>>>,
    socket: Option<PathBuf>,
    tasks: JoinSet<()>,
}

impl Server {
    /// A server that serves nobody yet.
    pub fn new(options: Options) -> io::Result<Self> {
        let context = Context {
            handle: options.handle,
            sink: options.sink,
            facts: Facts::read(),
            log_level: watch::Sender::new(options.log_level),
            next_hold: AtomicU64::new(options.kept.iter().map(|hold| hold.id + 1).max().unwrap_or(1)),
            holds: options.holds,
            calls: AtomicU64::new(1),
        };
        let context = Arc::new(context);
        for kept in options.kept {
            hold::resume(&context, kept);
        }
        Ok(Self {
            context,
            authority: options.authority,
            own: OwnUid(own_uid()?),
            problem: Arc::new(watch::Sender::new(None)),
            socket: None,
            tasks: JoinSet::new(),
        })
    }

    /// Begins to serve there. A bus that does not answer is no error: it is tried again until it does, see
    /// [`Server::problem`].
    pub async fn listen(&mut self, address: Address) -> Result<(), StartError> {
        if let Address::Private(path) = address {
            return self.listen_private(&path);
        }
        let problem = self.problem.clone();
        let bus = Bus { context: self.context.clone(), authority: self.authority.clone(), own: self.own, address };
        let first = match bus.connect().await {
            Ok(stream) => Some(stream),
            Err(zbus::Error::NameTaken) => return Err(StartError::NameTaken),
            Err(zbus::Error::FDO(e)) if matches!(*e, zbus::fdo::Error::AccessDenied(_)) => {
                return Err(StartError::NotAllowed(e.to_string()));
            }
            Err(e) => {
                problem.send_replace(Some(format!("no connection: {e}")));
                None
            }
        };
        self.tasks.spawn(bus.run(first, problem));
        Ok(())
    }

    fn listen_private(&mut self, path: &Path) -> Result<(), StartError> {
        let failed = |error| StartError::Socket { path: path.display().to_string(), error };
        let listener = bind_private(path).map_err(failed)?;
        self.socket = Some(path.to_owned());
        let context = self.context.clone();
        let authority = self.private_authority();
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                let stream = match listener.accept().await {
                    Ok((stream, _)) => stream.into_std(),
                    Err(e) => Err(e),
                };
                match stream {
                    Ok(stream) if connections.len() < CONNECTIONS => {
                        let (context, authority) = (context.clone(), authority.clone());
                        connections.spawn(serve_private(context, authority, stream));
                    }
                    Ok(_) => tracing::warn!("too many connections on the private bus"),
                    Err(error) => {
                        // Out of descriptors, perhaps: do not spin.
                        tracing::warn!(%error, "a connection on the private bus failed");
                        tokio::time::sleep(RETRY.0).await;
                    }
                }
            }
        });
        Ok(())
    }

    /// Serves one more client, peer to peer over this stream.
    pub fn attach(&mut self, stream: UnixStream) {
        let authority = self.private_authority();
        self.tasks.spawn(serve_private(self.context.clone(), authority, stream));
    }

    fn private_authority(&self) -> Arc<dyn Authority> {
        self.authority.clone().unwrap_or_else(|| Arc::new(self.own))
    }

    /// What is wrong with the bus, whenever that changes; `None`: all is well. Lives as long as the server.
    pub fn problem(&self) -> watch::Receiver<Option<String>> {
        self.problem.subscribe()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = fs::remove_file(socket);
        }
    }
}

/// Makes the socket under another name and moves it into place, so that there is no moment at which somebody else can
/// connect, and one left behind by a crash is replaced.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    fs::rename(&fresh, path)?;
    Ok(listener)
}

/// Our own effective uid, as the kernel tells it of a socket.
fn own_uid() -> io::Result<u32> {
    let (one, _other) = tokio::net::UnixStream::pair()?;
    Ok(one.peer_cred()?.uid())
}

async fn serve_private(context: Arc<Context>, authority: Arc<dyn Authority>, stream: UnixStream) {
    let builder = Builder::unix_stream(stream).server(Guid::generate()).p2p().build_message_stream();
    match tokio::time::timeout(HANDSHAKE, builder).await {
        Ok(Ok(stream)) => serve(context, authority, stream).await,
        Ok(Err(error)) => tracing::debug!(%error, "a client of the private bus failed to connect"),
        Err(_) => tracing::debug!("a client of the private bus did not say who it is"),
    }
}

/// Serves one connection until it ends.
async fn serve(context: Arc<Context>, authority: Arc<dyn Authority>, mut stream: MessageStream) {
    let connection = Connection::from(&stream);
    let peer = Arc::new(Peer::new(context, connection, authority));
    // Ends with this future.
    let mut watcher = JoinSet::new();
    watcher.spawn(watcher::run(peer.clone()));
    while let Some(Ok(message)) = stream.next().await {
        if message.message_type() == Type::MethodCall {
            let admitted = peer.admit(sender_key(&message.header()));
            // On its own: a call that has begun to act is carried out and recorded even when its caller leaves.
            tokio::spawn(dispatch::answer(peer.clone(), message, admitted));
        }
    }
    peer.close();
}

/// A bus, found again when it goes away.
#[derive(Debug)]
struct Bus {
    context: Arc<Context>,
    authority: Option<Arc<dyn Authority>>,
    own: OwnUid,
    address: Address,
}

impl Bus {
    async fn connect(&self) -> zbus::Result<MessageStream> {
        let builder = match &self.address {
            Address::System => Builder::system(),
            Address::Session => Builder::session(),
            Address::Bus(address) => Builder::address(address.as_str()),
            Address::Private(_) => return Err(zbus::Error::Unsupported),
        };
        builder.name(BUS_NAME).allow_name_replacements(false).replace_existing_names(false).build_message_stream().await
    }

    fn authority(&self, connection: &Connection) -> Arc<dyn Authority> {
        match (&self.authority, &self.address) {
            (Some(authority), _) => authority.clone(),
            (None, Address::Session) => Arc::new(self.own),
            (None, _) => Arc::new(Polkit::new(connection.clone(), self.own)),
        }
    }

    async fn run(self, mut next: Option<MessageStream>, problem: Arc<watch::Sender<Option<String>>>) {
        let mut wait = RETRY.0;
        loop {
            if let Some(stream) = next.take() {
                problem.send_replace(None);
                wait = RETRY.0;
                let authority = self.authority(&Connection::from(&stream));
                serve(self.context.clone(), authority, stream).await;
                problem.send_replace(Some("the bus has gone away".into()));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
            match self.connect().await {
                Ok(stream) => next = Some(stream),
                Err(e) => {
                    problem.send_replace(Some(format!("no connection: {e}")));
                }
            }
        }
    }
}
