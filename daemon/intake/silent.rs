//! Replicas that have said nothing: all their sockets are waited for together, and none has a task.
//!
//! Of a thousand workers few speak DogStatsD. One that does not costs its socket and what stands here.

use crate::host::datagram;
use crate::host::many::{Key, Many};
use reeve_core::status::ReplicaStatus;
use reeve_core::{Mono, ReplicaId};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// One that has said nothing.
#[derive(Debug, Default)]
pub(super) struct Silent {
    socket: Option<(Key, OwnedFd)>,
    /// It was started by us: when, and as which user.
    pub(super) started: Option<(Mono, Option<u32>)>,
    /// What the picture shows of it, and since when.
    pub(super) shown: Option<(Mono, Arc<ReplicaStatus>)>,
}

impl Silent {
    /// Its socket, for somebody else to read.
    pub(super) fn into_socket(self) -> Option<OwnedFd> {
        self.socket.map(|(_, socket)| socket)
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Silence {
    many: Many,
    replicas: BTreeMap<ReplicaId, Silent>,
    keys: BTreeMap<Key, ReplicaId>,
}

impl Silence {
    /// Nobody yet. Needs a running runtime.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { many: Many::new()?, replicas: BTreeMap::new(), keys: BTreeMap::new() })
    }

    pub(super) fn get(&self, replica: &ReplicaId) -> Option<&Silent> {
        self.replicas.get(replica)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ReplicaId, &Silent)> {
        self.replicas.iter()
    }

    /// Its entry, made when there is none.
    pub(super) fn entry(&mut self, replica: &ReplicaId) -> &mut Silent {
        self.replicas.entry(replica.clone()).or_default()
    }

    /// Waits for its first word there. A socket it had before is closed.
    pub(super) fn listen(&mut self, replica: &ReplicaId, socket: OwnedFd) -> io::Result<()> {
        let key = self.many.add(&socket)?;
        self.keys.insert(key, replica.clone());
        if let Some((before, _closed)) = self.entry(replica).socket.replace((key, socket)) {
            self.keys.remove(&before);
        }
        Ok(())
    }

    /// It has said something that nobody has looked at.
    pub(super) fn has_spoken(&self, replica: &ReplicaId) -> bool {
        let socket = self.get(replica).and_then(|silent| silent.socket.as_ref());
        socket.is_some_and(|(_, socket)| datagram::waiting(socket))
    }

    /// It is silent no more, or gone.
    pub(super) fn take(&mut self, replica: &ReplicaId) -> Option<Silent> {
        let silent = self.replicas.remove(replica)?;
        if let Some((key, socket)) = &silent.socket {
            self.keys.remove(key);
            self.many.remove(socket);
        }
        Some(silent)
    }

    /// Waits until some have spoken: they. Cancelling it loses nothing.
    pub(super) async fn broken(&self) -> Vec<ReplicaId> {
        let keys = self.many.ready().await;
        keys.iter().filter_map(|key| self.keys.get(key).cloned()).collect()
    }
}
