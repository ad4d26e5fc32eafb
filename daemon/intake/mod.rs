//! What workers say of themselves in numbers: their own pages, and DogStatsD (MET-05 to MET-17).
//!
//! ```text
//! loop ──Order: socket, starting, forget, settings──►┐
//!   │──watch: Arc<Snapshot>: who runs───────────────►│ desk ──Note──► a task per replica ──► core `metrics::intake`
//!   ◄──Said: series to show, values to decide by─────┴──────────────────┘   ▲ page   ▲ datagrams
//! ```
//!
//! One thread of its own with a runtime of its own: a worker that floods its socket, or whose page never ends, costs
//! neither the loop a turn nor the endpoint a scrape. Each replica's task owns all that is known of its numbers; a page is
//! asked for by one task at a time, so that one that hangs delays no other. Only the making of sockets is done by the
//! loop: one must stand before its worker starts.

mod desk;
mod page;
mod replica;
mod settings;
mod socket;
mod sockets;

pub use replica::{Said, What};

use crate::host::paths::Paths;
use desk::{Desk, Order};
use reeve_core::config::Config;
use reeve_core::{ReplicaId, Snapshot};
use sockets::Sockets;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};

/// The running thread, and the sockets; ends with this.
#[derive(Debug)]
pub struct Intake {
    orders: Option<mpsc::UnboundedSender<Order>>,
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
        let (orders, inbox) = mpsc::unbounded_channel();
        let desk = Desk::new(paths.clone(), config, said, seed);
        let thread = std::thread::Builder::new()
            .name("reeve-intake".into())
            .spawn(move || runtime.block_on(desk.run(inbox, pictures)))?;
        Ok(Self { orders: Some(orders), thread: Some(thread), sockets: Sockets::new(paths) })
    }

    /// The configuration has changed.
    pub fn configure(&self, config: Arc<Config>) {
        self.order(Order::Config(config));
    }

    /// The replica is about to be started. What waits in its socket was sent by an earlier run. `user`: whom it runs as.
    /// Where `socket` is asked for and cannot be made, the worker runs without: that is logged and harms nobody else.
    pub fn starting(&mut self, replica: &ReplicaId, socket: bool, user: Option<u32>) {
        self.bind(replica, socket);
        self.order(Order::Starting(replica.clone(), user));
    }

    /// The replica runs already.
    pub fn adopt(&mut self, replica: &ReplicaId, socket: bool) {
        self.bind(replica, socket);
    }

    /// The replica is no longer ours.
    pub fn forget(&mut self, replica: &ReplicaId) {
        self.sockets.remove(replica);
        self.order(Order::Forget(replica.clone()));
    }

    /// Removes sockets that an earlier daemon has left for replicas that are no more.
    pub fn sweep(&mut self) {
        self.sockets.sweep();
    }

    fn bind(&mut self, replica: &ReplicaId, socket: bool) {
        if !socket {
            return;
        }
        match self.sockets.bind(replica) {
            Ok(Some(fd)) => self.order(Order::Socket(replica.clone(), fd)),
            Ok(None) => {}
            Err(error) => tracing::warn!(%replica, %error, "a socket for metrics could not be made"),
        }
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The thread is gone only when the daemon ends.
            let _ = orders.send(order);
        }
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
