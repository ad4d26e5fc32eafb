//! The service manager keeps our sockets open while reeved restarts (`FileDescriptorStoreMax=`), so that what a worker
//! says meanwhile waits in the queue.

use reeve_core::{ReplicaId, WorkerName};
use sd_notify::NotifyState;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

const PREFIX: &str = "notify-";
const HOLD: &str = "hold-";

/// Descriptors handed to this process at its start, with their names. Empty from the second call on.
pub fn inherited() -> Vec<(String, OwnedFd)> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    let Ok(handed) = sd_notify::listen_fds_with_names() else {
        return Vec::new();
    };
    handed
        .map(|(fd, name)| {
            // SAFETY: the service manager opened these descriptors for this very process (LISTEN_PID is ours, checked
            // by sd-notify), nothing else in it knows them, and the guard above hands each out once.
            (name, unsafe { OwnedFd::from_raw_fd(fd) })
        })
        .collect()
}

/// The name under which a replica's socket is kept.
pub fn name_of(replica: &ReplicaId) -> String {
    format!("{PREFIX}{}", replica.file_name())
}

/// The replica whose socket has this name.
pub fn replica_of(name: &str) -> Option<ReplicaId> {
    let (worker, index) = name.strip_prefix(PREFIX)?.rsplit_once('-')?;
    let index = index.parse().ok().filter(|i| *i > 0)?;
    Some(ReplicaId::new(WorkerName::new(worker).ok()?, index))
}

/// The name under which the descriptor of a hold is kept.
pub fn name_of_hold(id: u64) -> String {
    format!("{HOLD}{id}")
}

/// The hold whose descriptor has this name.
pub fn hold_of(name: &str) -> Option<u64> {
    name.strip_prefix(HOLD)?.parse().ok()
}

/// Hands a descriptor in. Nothing happens when no service manager listens.
pub fn keep(name: &str, descriptor: BorrowedFd<'_>) {
    let state = [NotifyState::FdStore, NotifyState::FdName(name)];
    if let Err(error) = sd_notify::notify_with_fds(&state, &[descriptor.as_fd()]) {
        tracing::warn!(name, %error, "a descriptor could not be kept over a restart");
    }
}

/// Lets go of it.
pub fn let_go(name: &str) {
    let state = [NotifyState::FdStoreRemove, NotifyState::FdName(name)];
    if let Err(error) = sd_notify::notify(&state) {
        tracing::debug!(name, %error, "a kept descriptor could not be released");
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let replica: ReplicaId = "task-executor/12".parse().unwrap();
        assert_eq!(replica_of(&name_of(&replica)), Some(replica));
        for other in ["notify-web", "notify-web-0", "metrics-web-1", "connection"] {
            assert_eq!(replica_of(other), None, "{other}");
        }
    }
}
