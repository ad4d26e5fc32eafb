//! How metrics leave the host: the scrape endpoint and the textfile (MET-18, HLT-07, INT-07).
//!
//! ```text
//! loop ──watch: Arc<Exposition>, Arc<Snapshot>──► View ──► endpoint: /metrics /healthz /ready /health
//!   │                                              ├─────► textfile, every 15 s
//!   └──watch: Settings──► thread                   └─────► D-Bus GetMetrics
//! ```
//!
//! One thread of its own with a runtime of its own: a thousand scrapes do not delay a turn of the loop, and a loop that
//! hangs is told by `/healthz`. Pages are written from what the loop has put there last; nothing here reads a source,
//! and nothing here is waited for.

mod connection;
mod health;
mod listener;
mod negotiate;
mod page;
mod route;
mod served;
mod settings;
mod textfile;
mod thread;
mod tls;

pub use page::View;
pub use served::Served;
pub use settings::Settings;

use crate::host::threads;
use reeve_core::Event;
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};

/// The running thread; ends with this.
#[derive(Debug)]
pub struct Export {
    settings: Option<watch::Sender<Settings>>,
    thread: Option<JoinHandle<()>>,
}

impl Export {
    /// Starts it. `inherited` are listening sockets that the service manager has opened: where there is one, it is used
    /// instead of `listen`. What is wrong is told as the health of the components `metrics` and `textfile`; it never
    /// ends the daemon.
    pub fn start(
        settings: Settings,
        inherited: Vec<OwnedFd>,
        view: View,
        events: mpsc::UnboundedSender<Event>,
    ) -> std::io::Result<Self> {
        let runtime = threads::runtime().max_blocking_threads(2).build()?;
        let (sender, receiver) = watch::channel(settings);
        let thread = threads::named("reeve-export").spawn(move || {
            runtime.block_on(thread::Thread::new(view, events).run(receiver, inherited));
            // A write to a disk that hangs is left behind; dropping the runtime would wait for it.
            runtime.shutdown_background();
        })?;
        Ok(Self { settings: Some(sender), thread: Some(thread) })
    }

    /// Other settings. Where one listens already, it goes on until the new place is taken.
    pub fn apply(&self, settings: Settings) {
        if let Some(sender) = &self.settings {
            sender.send_if_modified(|old| {
                let changed = *old != settings;
                *old = settings;
                changed
            });
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.settings = None;
        if let Some(thread) = self.thread.take() {
            // It never waits for anybody, so this is a matter of milliseconds; a panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
