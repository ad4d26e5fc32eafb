//! What workers say of themselves in numbers: their own pages, and DogStatsD (MET-05 to MET-17).
//!
//! ```text
//! loop ──Order: starting, adopted, forget, settings─►┐
//!   │──watch: Arc<Snapshot>: who runs───────────────►│ desk ──Note──► a task per replica ──► core `metrics::intake`
//!   ◄──Said: series to show, values to decide by─────┤──────────────────┘   ▲ page   ▲ datagrams
//!                                                    └ silent: those that have said nothing yet
//! ```
//!
//! One thread of its own with a runtime of its own: a worker that floods its socket, or whose page never ends, costs
//! neither the loop a turn nor the endpoint a scrape. Each replica's task owns all that is known of its numbers; a page is
//! asked for by one task at a time, so that one that hangs delays no other. A replica without a page has no task before
//! its first datagram: of a thousand, most never speak. Only the making of sockets is done by the
//! loop: one must stand before its worker starts.

mod desk;
mod notes;
mod page;
mod replica;
mod settings;
mod silent;
mod socket;
mod sockets;

pub use notes::{Said, What};

use crate::host::paths::Paths;
use crate::host::threads;
use desk::{Desk, Order};
use reeve_core::config::Config;
use reeve_core::{ReplicaId, Snapshot};
use sockets::Sockets;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};

/// The running thread, and the sockets; ends with this.
#[derive(Debug)]
pub struct Intake {
    orders: Option<mpsc::UnboundedSender<Vec<Order>>>,
    /// Not yet given: a turn of the loop that starts a thousand workers wakes the thread once.
    pending: Vec<Order>,
    thread: Option<JoinHandle<()>>,
    sockets: Sockets,
}

impl Intake {
    /// Starts it. What workers say comes as [`Said`]. `seed` spreads the times at which pages are read.
    pub fn start(
        paths: &Paths,
        config: Arc<Config>,
        pictures: watch::Receiver<Arc<Snapshot>>,
        said: mpsc::UnboundedSender<Said>,
        seed: u64,
    ) -> std::io::Result<Self> {
        let runtime = threads::runtime().max_blocking_threads(2).build()?;
        let (orders, inbox) = mpsc::unbounded_channel();
        let desk = {
            let _inside = runtime.enter();
            Desk::new(paths.clone(), config, said, seed)?
        };
        let thread = threads::named("reeve-intake").spawn(move || runtime.block_on(desk.run(inbox, pictures)))?;
        Ok(Self { orders: Some(orders), pending: Vec::new(), thread: Some(thread), sockets: Sockets::new(paths) })
    }

    /// The configuration has changed.
    pub fn configure(&mut self, config: Arc<Config>) {
        self.pending.push(Order::Config(config));
    }

    /// The replica is about to be started. What waits in its socket was sent by an earlier run. `user`: whom it runs as.
    /// Where `socket` is asked for and cannot be made, the worker runs without: that is logged and harms nobody else.
    pub fn starting(&mut self, replica: &ReplicaId, socket: bool, user: Option<u32>) {
        let fresh = self.bind(replica, socket);
        let heard = fresh.is_none();
        self.pending.push(Order::Starting(replica.clone(), user, fresh));
        if heard {
            // Its socket is being read: what the new run says must not come before this.
            self.flush();
        }
    }

    /// The replica runs already.
    pub fn adopt(&mut self, replica: &ReplicaId, socket: bool) {
        if let Some(fresh) = self.bind(replica, socket) {
            self.pending.push(Order::Adopted(replica.clone(), fresh));
        }
    }

    /// The replica is no longer ours.
    pub fn forget(&mut self, replica: &ReplicaId) {
        self.sockets.remove(replica);
        self.pending.push(Order::Forget(replica.clone()));
    }

    /// Gives on what was said since the last time. To be called before a picture shows what came of it.
    pub fn flush(&mut self) {
        if let Some(orders) = self.orders.as_ref().filter(|_| !self.pending.is_empty()) {
            // The thread is gone only when the daemon ends.
            let _ = orders.send(std::mem::take(&mut self.pending));
        }
    }

    /// Removes sockets that an earlier daemon has left for replicas that are no more.
    pub fn sweep(&mut self) {
        self.sockets.sweep();
    }

    fn bind(&mut self, replica: &ReplicaId, socket: bool) -> Option<OwnedFd> {
        if !socket {
            return None;
        }
        self.sockets.bind(replica).unwrap_or_else(|error| {
            tracing::warn!(%replica, %error, "a socket for metrics could not be made");
            None
        })
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // It never waits for anybody, so this is a matter of milliseconds; a panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
