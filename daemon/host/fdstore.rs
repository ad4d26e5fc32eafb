//! The service manager keeps descriptors open while reeved restarts (`FileDescriptorStoreMax=`): what a worker says
//! meanwhile waits in its socket, and a hold goes on.

use sd_notify::NotifyState;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Hands a descriptor in. Nothing happens when no service manager listens.
pub fn keep(name: &str, descriptor: BorrowedFd<'_>) {
    let state = [NotifyState::FdStore, NotifyState::FdName(name)];
    if let Err(error) = sd_notify::notify_with_fds(&state, &[descriptor]) {
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
