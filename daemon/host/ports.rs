//! Loopback ports for `{port}`: free when handed out, never handed out twice, the same again when still free.
//!
//! A port is tried before every start, not kept open: between the trial and the worker's own bind somebody else may
//! take it. The worker then fails with "address in use", and its next start gets another.

use reeve_core::ReplicaId;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

/// How often the kernel is asked for a port that no other replica holds.
const TRIES: u32 = 64;

/// The ports in use by replicas.
#[derive(Debug, Default)]
pub struct Ports {
    held: BTreeMap<u16, ReplicaId>,
}

impl Ports {
    /// None is held.
    pub fn new() -> Self {
        Self::default()
    }

    /// The port is the replica's already (restored, or set in its definition): nobody else gets it.
    pub fn reserve(&mut self, replica: &ReplicaId, port: u16) {
        self.held.entry(port).or_insert_with(|| replica.clone());
    }

    /// A free port for the replica: the preferred one, else the one it holds, else any.
    pub fn allocate(&mut self, replica: &ReplicaId, prefer: Option<u16>) -> Result<u16, String> {
        let held = self.held.iter().find_map(|(port, owner)| (owner == replica).then_some(*port));
        for port in [prefer, held].into_iter().flatten() {
            let others = self.held.get(&port).is_some_and(|owner| owner != replica);
            if port != 0 && !others && bind(port).is_ok() {
                self.hand_out(replica, port);
                return Ok(port);
            }
        }
        if let Some(port) = held {
            tracing::warn!(%replica, port, "another program holds port {port} of {replica}; it gets another");
        }
        // Ports held by others are kept bound while asking on, so that the kernel does not offer them again.
        let mut refused = Vec::new();
        for _ in 0..TRIES {
            let (port, socket) = bind(0).map_err(|e| format!("no free port on 127.0.0.1: {e}"))?;
            if self.held.get(&port).is_none_or(|owner| owner == replica) {
                self.hand_out(replica, port);
                return Ok(port);
            }
            refused.push(socket);
        }
        Err(format!("no free port on 127.0.0.1: {TRIES} tries gave only ports of other replicas"))
    }

    /// The replica is no longer ours.
    pub fn release(&mut self, replica: &ReplicaId) {
        self.held.retain(|_, owner| owner != replica);
    }

    fn hand_out(&mut self, replica: &ReplicaId, port: u16) {
        self.release(replica);
        self.held.insert(port, replica.clone());
    }
}

fn bind(port: u16) -> std::io::Result<(u16, TcpListener)> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    Ok((socket.local_addr()?.port(), socket))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn replica(n: u32) -> ReplicaId {
        format!("web/{n}").parse().unwrap()
    }

    #[test]
    fn two_replicas_never_get_the_same_port() {
        let mut ports = Ports::new();
        let given: BTreeSet<u16> = (1..=200).map(|n| ports.allocate(&replica(n), None).unwrap()).collect();
        assert_eq!(given.len(), 200);
    }

    #[test]
    fn the_previous_port_comes_back_when_it_is_still_free() {
        let mut ports = Ports::new();
        let port = ports.allocate(&replica(1), None).unwrap();
        assert_eq!(ports.allocate(&replica(1), None), Ok(port));
        assert_eq!(Ports::new().allocate(&replica(1), Some(port)), Ok(port));
    }

    #[test]
    fn a_taken_port_is_replaced() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut ports = Ports::new();
        assert_ne!(ports.allocate(&replica(1), Some(port)).unwrap(), port);
        // Taken while its holder was down.
        ports.reserve(&replica(2), port);
        assert_ne!(ports.allocate(&replica(2), None).unwrap(), port);
        drop(taken);
        assert!(ports.held.get(&port).is_none_or(|owner| *owner != replica(2)));
    }

    #[test]
    fn a_reserved_port_is_given_to_nobody_else_until_released() {
        let mut ports = Ports::new();
        let port = ports.allocate(&replica(1), None).unwrap();
        ports.reserve(&replica(2), port);
        assert_ne!(ports.allocate(&replica(2), Some(port)).unwrap(), port);
        ports.release(&replica(1));
        assert_eq!(ports.allocate(&replica(3), Some(port)), Ok(port));
    }
}
