//! Who is there: a task per replica that has a run or a socket, told of what concerns it.

use super::replica::{Note, Said, Shown, Teller};
use super::settings::Settings;
use super::socket::Shared;
use crate::host::datagram::Buffer;
use crate::host::paths::Paths;
use reeve_core::config::Config;
use reeve_core::rng::Rng;
use reeve_core::status::WorkerStatus;
use reeve_core::{ReplicaId, Snapshot, WorkerName};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// What the loop says.
#[derive(Debug)]
pub(super) enum Order {
    /// Another configuration.
    Config(Arc<Config>),
    /// A socket to read.
    Socket(ReplicaId, OwnedFd),
    /// A start follows, as this user.
    Starting(ReplicaId, Option<u32>),
    /// It is no longer ours.
    Forget(ReplicaId),
}

/// All replicas.
pub(super) struct Desk {
    paths: Paths,
    config: Arc<Config>,
    said: mpsc::UnboundedSender<Said>,
    rng: Rng,
    shared: Shared,
    /// What was looked at last.
    seen: BTreeMap<WorkerName, Arc<WorkerStatus>>,
    known: BTreeMap<ReplicaId, Known>,
}

/// One of them. Its task ends with this.
struct Known {
    notes: mpsc::UnboundedSender<Note>,
    settings: Settings,
    shown: Shown,
}

impl Desk {
    pub(super) fn new(paths: Paths, config: Arc<Config>, said: mpsc::UnboundedSender<Said>, seed: u64) -> Self {
        let shared = Arc::new(Mutex::new(Buffer::new()));
        let (seen, known) = (BTreeMap::new(), BTreeMap::new());
        Self { paths, config, said, rng: Rng::new(seed), shared, seen, known }
    }

    /// Runs until nobody gives orders any more.
    pub(super) async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut pictures: watch::Receiver<Arc<Snapshot>>,
    ) {
        let first = pictures.borrow_and_update().clone();
        self.follow(&first);
        loop {
            // Each arm waits and does nothing else: cancelling one loses nothing. Orders come first: a start is told
            // before the picture shows its run.
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.take(order),
                    None => return,
                },
                changed = pictures.changed() => match changed {
                    Ok(()) => {
                        let picture = pictures.borrow_and_update().clone();
                        self.follow(&picture);
                    }
                    Err(_) => return,
                },
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Config(config) => {
                self.config = config;
                for (replica, known) in &mut self.known {
                    if let Some(settings) = Settings::of(&self.config, replica).filter(|new| *new != known.settings) {
                        known.settings = settings.clone();
                        known.tell(Note::Settings(Box::new(settings)));
                    }
                }
            }
            Order::Socket(replica, fd) => self.tell(&replica, Note::Socket(fd)),
            Order::Starting(replica, user) => self.tell(&replica, Note::Starting(user)),
            Order::Forget(replica) => drop(self.known.remove(&replica)),
        }
    }

    /// Looks for runs that have begun or ended.
    fn follow(&mut self, picture: &Snapshot) {
        for (name, worker) in &picture.workers {
            if self.seen.get(name).is_some_and(|seen| Arc::ptr_eq(seen, worker)) {
                continue;
            }
            self.seen.insert(name.clone(), Arc::clone(worker));
            for status in &worker.replicas {
                let shown = Shown::of(status);
                let before = self.known.get(&status.id).map(|known| &known.shown);
                let same = match before {
                    Some(before) => *before == shown,
                    // Nothing to ask a replica that has never run.
                    None => shown.run.is_none(),
                };
                if !same {
                    self.tell(&status.id, Note::Shown(shown.clone()));
                    if let Some(known) = self.known.get_mut(&status.id) {
                        known.shown = shown;
                    }
                }
            }
        }
        self.seen.retain(|name, _| picture.workers.contains_key(name));
    }

    fn tell(&mut self, replica: &ReplicaId, note: Note) {
        if !self.known.contains_key(replica)
            && let Some(settings) = Settings::of(&self.config, replica)
        {
            let (notes, inbox) = mpsc::unbounded_channel();
            let teller = Teller::new(
                replica.clone(),
                settings.clone(),
                self.paths.clone(),
                self.said.clone(),
                Arc::clone(&self.shared),
                self.rng.next_u64(),
            );
            tokio::spawn(teller.run(inbox));
            self.known.insert(replica.clone(), Known { notes, settings, shown: Shown::default() });
        }
        if let Some(known) = self.known.get(replica) {
            known.tell(note);
        }
    }
}

impl Known {
    fn tell(&self, note: Note) {
        // Its task lives as long as this does.
        let _ = self.notes.send(note);
    }
}
