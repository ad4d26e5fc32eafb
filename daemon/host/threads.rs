//! Threads of our own, all of them small.

use std::thread::Builder;

/// Stack of a thread. Below 2 MiB, so that no transparent huge page fits into it: where the kernel gives those unasked, a
/// thread that does nothing costs 2 MiB.
const STACK: usize = 1 << 20;

/// A runtime of one thread, to be built. Its few helper threads have the same stack.
pub fn runtime() -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().thread_stack_size(STACK);
    builder
}

/// A thread of this name, to be spawned.
pub fn named(name: &str) -> Builder {
    Builder::new().name(name.to_owned()).stack_size(STACK)
}
