//! Locks whose poisoning means nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks it. For what a panic cannot leave half changed: figures, queues, tables with one change at a time. Such a panic
/// has been printed, and what it leaves is as good as any.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
