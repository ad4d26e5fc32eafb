//! One connection, and what all of them share.

use super::audit::AuditSink;
use super::auth::Authority;
use super::caller::Client;
use super::error::Error;
use super::server::Facts;
use crate::app::handle::Handle;
use crate::host::holds::Holds;
use crate::host::lock::lock;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use zbus::Connection;
use zbus::fdo::ConnectionCredentials;
use zbus::message::Header;

/// Callers remembered per connection; unique names are never given twice, so forgetting one only costs a question.
const REMEMBERED: usize = 128;
/// Calls of one caller that may be in work at a time.
const IN_WORK: u32 = 32;

/// Shared by all connections.
#[derive(Debug)]
pub(super) struct Context {
    /// The way to the loop.
    pub handle: Handle,
    /// Keeps the audit trail.
    pub sink: Arc<dyn AuditSink>,
    /// What never changes.
    pub facts: Facts,
    /// What was last set by SetLogLevel: only the bus sets it.
    pub log_level: watch::Sender<String>,
    /// Next hold.
    pub next_hold: AtomicU64,
    /// Keeps them over a restart.
    pub holds: Holds,
    /// Next call in the audit trail.
    pub calls: AtomicU64,
}

/// One connection: a bus with many callers, or one caller peer to peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub context: Arc<Context>,
    pub connection: Connection,
    pub authority: Arc<dyn Authority>,
    known: Mutex<BTreeMap<String, Arc<Client>>>,
    subscribers: Mutex<BTreeMap<String, AbortHandle>>,
    in_work: Mutex<BTreeMap<String, u32>>,
}

impl Peer {
    pub fn new(context: Arc<Context>, connection: Connection, authority: Arc<dyn Authority>) -> Self {
        Self {
            context,
            connection,
            authority,
            known: Mutex::default(),
            subscribers: Mutex::default(),
            in_work: Mutex::default(),
        }
    }

    /// Who sent this.
    pub async fn client(&self, header: &Header<'_>) -> Result<Arc<Client>, Error> {
        let sender = sender_key(header);
        if let Some(client) = lock(&self.known).get(&sender) {
            return Ok(client.clone());
        }
        let client = if self.connection.is_bus() {
            let credentials = self
                .credentials(&sender)
                .await
                .map_err(|e| Error::not_authorized(format!("the bus does not say who is calling: {e}")))?;
            known_as(&credentials, Some(sender.clone()))?
        } else {
            let credentials = self
                .connection
                .peer_creds()
                .await
                .map_err(|e| Error::not_authorized(format!("the socket does not say who is calling: {e}")))?;
            known_as(credentials, None)?
        };
        let client = Arc::new(client);
        let mut known = lock(&self.known);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(sender, client.clone());
        Ok(client)
    }

    async fn credentials(&self, sender: &str) -> zbus::Result<ConnectionCredentials> {
        let bus = "org.freedesktop.DBus";
        self.connection
            .call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "GetConnectionCredentials", &(sender,))
            .await?
            .body()
            .deserialize()
    }

    /// Room for one more call of this caller; `None`: he has too many in work.
    pub fn admit(self: &Arc<Self>, sender: String) -> Option<Admitted> {
        let mut in_work = lock(&self.in_work);
        let count = in_work.entry(sender.clone()).or_default();
        if *count >= IN_WORK {
            return None;
        }
        *count += 1;
        drop(in_work);
        Some(Admitted { peer: self.clone(), sender })
    }

    /// Keeps the task that serves a subscriber, unless there is one.
    pub fn subscribe(&self, sender: &str, start: impl FnOnce() -> AbortHandle) {
        let mut subscribers = lock(&self.subscribers);
        if subscribers.get(sender).is_none_or(AbortHandle::is_finished) {
            subscribers.insert(sender.to_owned(), start());
        }
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, sender: &str) {
        if let Some(task) = lock(&self.subscribers).remove(sender) {
            task.abort();
        }
    }

    /// The connection has ended.
    pub fn close(&self) {
        for (_, task) in std::mem::take(&mut *lock(&self.subscribers)) {
            task.abort();
        }
    }
}

/// The unique name of the sender; empty peer to peer.
pub(super) fn sender_key(header: &Header<'_>) -> String {
    header.sender().map(ToString::to_string).unwrap_or_default()
}

fn known_as(credentials: &ConnectionCredentials, unique: Option<String>) -> Result<Client, Error> {
    use std::os::fd::AsFd;
    let uid = credentials.unix_user_id().ok_or_else(|| Error::not_authorized("nobody vouches for the caller's uid"))?;
    let process = credentials.process_fd().map(AsFd::as_fd);
    Ok(Client::new(uid, unique, credentials.process_id(), process))
}

/// Counts a call in work while it lives.
#[derive(Debug)]
pub(super) struct Admitted {
    peer: Arc<Peer>,
    sender: String,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut in_work = lock(&self.peer.in_work);
        if let Some(count) = in_work.get_mut(&self.sender) {
            *count -= 1;
            if *count == 0 {
                in_work.remove(&self.sender);
            }
        }
    }
}
