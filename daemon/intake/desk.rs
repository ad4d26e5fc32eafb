//! Who is there: a task per replica that speaks or has a page, told of what concerns it; the others are kept silent.

use super::notes::{Note, Said, Shown};
use super::replica::Teller;
use super::settings::Settings;
use super::silent::Silence;
use super::socket::Shared;
use crate::host::clock::Clock;
use crate::host::datagram::Buffer;
use crate::host::paths::Paths;
use reeve_core::config::Config;
use reeve_core::rng::Rng;
use reeve_core::status::{ReplicaStatus, WorkerStatus};
use reeve_core::{Mono, ReplicaId, Snapshot, WorkerName};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// What the loop says.
#[derive(Debug)]
pub(super) enum Order {
    /// Another configuration.
    Config(Arc<Config>),
    /// A start follows, as this user; its socket, where that is new.
    Starting(ReplicaId, Option<u32>, Option<OwnedFd>),
    /// It runs already, and this is its socket from now on.
    Adopted(ReplicaId, OwnedFd),
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
    silence: Silence,
    known: BTreeMap<ReplicaId, Known>,
}

/// One that has a task. Its task ends with this.
struct Known {
    notes: mpsc::UnboundedSender<Note>,
    settings: Settings,
    shown: Shown,
}

impl Desk {
    /// Needs a running runtime.
    pub(super) fn new(
        paths: Paths,
        config: Arc<Config>,
        said: mpsc::UnboundedSender<Said>,
        seed: u64,
    ) -> io::Result<Self> {
        let shared = Arc::new(Mutex::new(Buffer::new()));
        let (seen, known, silence) = (BTreeMap::new(), BTreeMap::new(), Silence::new()?);
        Ok(Self { paths, config, said, rng: Rng::new(seed), shared, seen, silence, known })
    }

    /// Runs until nobody gives orders any more.
    pub(super) async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Vec<Order>>,
        mut pictures: watch::Receiver<Arc<Snapshot>>,
    ) {
        // The first is looked at like any other, and not kept.
        pictures.mark_changed();
        loop {
            // Each arm waits and does nothing else: cancelling one loses nothing. Orders come first: a start is told
            // before the picture shows its run.
            tokio::select! {
                biased;
                orders = orders.recv() => match orders {
                    Some(orders) => orders.into_iter().for_each(|order| self.take(order)),
                    None => return,
                },
                changed = pictures.changed() => match changed {
                    Ok(()) => {
                        let picture = pictures.borrow_and_update().clone();
                        self.follow(&picture);
                    }
                    Err(_) => return,
                },
                spoken = self.silence.broken() => {
                    for replica in spoken {
                        self.wake(&replica);
                    }
                }
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Config(config) => self.configure(config),
            Order::Starting(replica, user, fresh) => {
                self.hear_out(&replica);
                let at = Clock::now().mono;
                match self.known.get(&replica) {
                    Some(known) => known.tell(Note::Starting(at, user)),
                    None => self.silence.entry(&replica).started = Some((at, user)),
                }
                if let Some(socket) = fresh {
                    self.listen(&replica, socket);
                }
            }
            Order::Adopted(replica, socket) => self.listen(&replica, socket),
            Order::Forget(replica) => {
                self.silence.take(&replica);
                self.known.remove(&replica);
            }
        }
    }

    fn listen(&mut self, replica: &ReplicaId, socket: OwnedFd) {
        match self.known.get(replica) {
            Some(known) => known.tell(Note::Socket(socket)),
            None => {
                if let Err(error) = self.silence.listen(replica, socket) {
                    tracing::warn!(%replica, %error, "its socket for metrics cannot be read");
                }
            }
        }
    }

    fn configure(&mut self, config: Arc<Config>) {
        self.config = config;
        for (replica, known) in &mut self.known {
            if let Some(settings) = Settings::of(&self.config, replica).filter(|new| *new != known.settings) {
                known.settings = settings.clone();
                known.tell(Note::Settings(Box::new(settings)));
            }
        }
        let now_asked: Vec<_> = self.silence.iter().map(|(id, _)| id).filter(|id| self.asks(id)).cloned().collect();
        for replica in now_asked {
            self.wake(&replica);
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
                if !self.has_seen(status) {
                    self.show(status);
                }
            }
        }
        self.seen.retain(|name, _| picture.workers.contains_key(name));
    }

    /// Nothing has changed that matters here.
    fn has_seen(&self, status: &Arc<ReplicaStatus>) -> bool {
        if let Some(known) = self.known.get(&status.id) {
            return known.shown == Shown::of(status);
        }
        match self.silence.get(&status.id).and_then(|silent| silent.shown.as_ref()) {
            Some((_, before)) => Arc::ptr_eq(before, status) || Shown::of(before) == Shown::of(status),
            // Nothing to ask a replica that has never run.
            None => status.run.is_none(),
        }
    }

    fn show(&mut self, status: &Arc<ReplicaStatus>) {
        let replica = &status.id;
        self.hear_out(replica);
        let at = Clock::now().mono;
        match self.known.get_mut(replica) {
            Some(known) => known.show(at, status),
            None => {
                self.silence.entry(replica).shown = Some((at, Arc::clone(status)));
                if self.asks(replica) {
                    self.wake(replica);
                }
            }
        }
    }

    /// What it has said so far is of what is known of it so far.
    fn hear_out(&mut self, replica: &ReplicaId) {
        if self.silence.has_spoken(replica) {
            self.wake(replica);
        }
    }

    /// Whether it has a page to be asked for.
    fn asks(&self, replica: &ReplicaId) -> bool {
        self.config.workers.get(&replica.worker).is_some_and(|worker| worker.metrics.scrape.is_some())
    }

    /// Gives it a task, which is told what was kept for it.
    fn wake(&mut self, replica: &ReplicaId) {
        let (Some(silent), Some(settings)) = (self.silence.take(replica), Settings::of(&self.config, replica)) else {
            return;
        };
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
        let mut known = Known { notes, settings, shown: Shown::default() };
        if let Some((at, user)) = silent.started {
            known.tell(Note::Starting(at, user));
        }
        if let Some((at, status)) = &silent.shown {
            known.show(*at, status);
        }
        // Last: what waits there comes after all of this.
        if let Some(socket) = silent.into_socket() {
            known.tell(Note::Socket(socket));
        }
        self.known.insert(replica.clone(), known);
    }
}

impl Known {
    fn show(&mut self, at: Mono, status: &ReplicaStatus) {
        self.shown = Shown::of(status);
        self.tell(Note::Shown(at, self.shown.clone()));
    }

    fn tell(&self, note: Note) {
        // Its task lives as long as this does.
        let _ = self.notes.send(note);
    }
}
