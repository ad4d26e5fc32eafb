//! What the thread does: listens where the settings say, serves, writes the textfile.

use super::connection;
use super::listener::{Io, Listener};
use super::page::View;
use super::route::Route;
use super::settings::{Place, Settings};
use super::{textfile, tls};
use crate::host::clock::until;
use reeve_core::Event;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;

/// Between two tries to take a place.
const RETRY: Duration = Duration::from_secs(5);
/// Connections at one time.
pub(super) const CONNECTIONS: usize = 64;
/// After a failed accept, which most likely fails again at once (no descriptors left).
const BREATH: Duration = Duration::from_millis(100);
/// At the end, for a textfile that is being written; a disk that hangs does not hold the daemon.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Its state.
pub(super) struct Thread {
    route: Arc<Route>,
    view: View,
    events: mpsc::UnboundedSender<Event>,
    connections: Arc<Semaphore>,
    bound: Vec<Bound>,
    retry: Option<Instant>,
    /// A textfile on its way to the disk.
    writing: Option<(PathBuf, JoinHandle<Result<(), String>>)>,
    /// What was said of each component last.
    said: [Option<String>; 2],
}

/// A place that is taken.
struct Bound {
    /// `None`: the service manager has opened it.
    place: Option<Place>,
    listener: Listener,
    tls: Option<TlsAcceptor>,
}

/// A component whose health is told.
#[derive(Debug, Clone, Copy)]
enum Part {
    Endpoint,
    Textfile,
}

/// What it was woken by.
enum Woken {
    Accepted(usize, std::io::Result<Box<dyn Io>>),
    Changed(bool),
    Retry,
    Write,
    Written(Result<(), String>),
}

impl Thread {
    pub(super) fn new(view: View, events: mpsc::UnboundedSender<Event>) -> Self {
        Self {
            route: Arc::new(Route::new(view.clone())),
            view,
            events,
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            bound: Vec::new(),
            retry: None,
            writing: None,
            said: [None, None],
        }
    }

    /// Runs until nobody has settings for it any more.
    pub(super) async fn run(mut self, mut settings: watch::Receiver<Settings>, inherited: Vec<OwnedFd>) {
        self.inherit(inherited);
        let mut wanted = settings.borrow_and_update().clone();
        self.apply(&wanted);
        let mut write = interval(textfile::PERIOD);
        write.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Each arm waits and does nothing else: cancelling one loses nothing.
            let woken = tokio::select! {
                (at, accepted) = accept(&self.bound) => Woken::Accepted(at, accepted),
                changed = settings.changed() => Woken::Changed(changed.is_ok()),
                () = until(self.retry) => Woken::Retry,
                _ = write.tick(), if wanted.textfile.is_some() => Woken::Write,
                written = written(self.writing.as_mut().map(|(_, job)| job)) => Woken::Written(written),
            };
            match woken {
                Woken::Accepted(at, Ok(io)) => self.serve(at, io),
                Woken::Accepted(_, Err(error)) => {
                    tracing::debug!(%error, "a connection to the metrics endpoint could not be taken");
                    tokio::time::sleep(BREATH).await;
                }
                Woken::Changed(false) => break,
                Woken::Changed(true) => {
                    let before = std::mem::replace(&mut wanted, settings.borrow_and_update().clone());
                    if let Some(path) = before.textfile.filter(|path| Some(path) != wanted.textfile.as_ref()) {
                        textfile::remove(&path);
                        self.say(Part::Textfile, None);
                    }
                    self.apply(&wanted);
                    write.reset_immediately();
                }
                Woken::Retry => self.apply(&wanted),
                Woken::Write => self.write(wanted.textfile.clone()),
                Woken::Written(written) => {
                    let path = self.writing.take().map(|(path, _)| path);
                    match path.filter(|path| Some(path) != wanted.textfile.as_ref()) {
                        // Meanwhile another file is wanted, or none.
                        Some(old) => textfile::remove(&old),
                        None => self.say(Part::Textfile, written.err()),
                    }
                }
            }
        }
        if let Some((_, job)) = self.writing.take() {
            // A write that came after the removal would leave old numbers behind.
            let _ = timeout(LAST_WRITE, job).await;
        }
        if let Some(path) = &wanted.textfile {
            textfile::remove(path);
        }
    }

    /// Whether it will try again.
    #[cfg(test)]
    pub(super) fn retries(&self) -> bool {
        self.retry.is_some()
    }

    fn inherit(&mut self, inherited: Vec<OwnedFd>) {
        for fd in inherited {
            match Listener::inherited(fd) {
                Ok(listener) => self.bound.push(Bound { place: None, listener, tls: None }),
                Err(problem) => self.say(Part::Endpoint, Some(problem)),
            }
        }
    }

    /// Takes the place that is wanted, and lets go of the one before only when that has worked.
    pub(super) fn apply(&mut self, wanted: &Settings) {
        self.retry = None;
        let outcome = self.take(wanted);
        if outcome.is_err() {
            self.retry = Some(Instant::now() + RETRY);
        }
        let kept = self.bound.first().and_then(|bound| bound.place.as_ref());
        let problem = outcome.err().map(|why| match kept {
            Some(place) => format!("{why}; still listening on {place}"),
            None => why,
        });
        self.say(Part::Endpoint, problem);
    }

    fn take(&mut self, wanted: &Settings) -> Result<(), String> {
        let files = wanted.tls.as_ref();
        let acceptor = || files.map(tls::acceptor).transpose();
        if self.bound.iter().any(|bound| bound.place.is_none()) {
            // Of an inherited address TLS may be wanted too; a socket file says by itself who may connect.
            let acceptor = acceptor()?;
            for bound in &mut self.bound {
                let unix = matches!(bound.listener, Listener::Unix { .. });
                bound.tls = acceptor.clone().filter(|_| !unix);
            }
            return Ok(());
        }
        let Some(place) = &wanted.listen else {
            self.bound.clear();
            return Ok(());
        };
        let tls = acceptor()?;
        match self.bound.iter_mut().find(|bound| bound.place.as_ref() == Some(place)) {
            Some(bound) => bound.tls = tls,
            None => {
                let listener = Listener::bind(place)?;
                self.bound = vec![Bound { place: Some(place.clone()), listener, tls }];
            }
        }
        Ok(())
    }

    fn serve(&self, at: usize, io: Box<dyn Io>) {
        let Some(bound) = self.bound.get(at) else {
            return;
        };
        let tls = bound.tls.clone();
        match (Arc::clone(&self.connections).try_acquire_owned(), &tls) {
            (Ok(permit), _) => {
                let route = Arc::clone(&self.route);
                tokio::spawn(async move {
                    connection::serve(io, tls, route).await;
                    drop(permit);
                });
            }
            (Err(_), None) => drop(tokio::spawn(connection::refuse(io))),
            // Without a handshake there is no way to say it.
            (Err(_), Some(_)) => {}
        }
    }

    /// On a thread that may block: the file may lie on a disk that hangs. Then nothing else waits for it.
    fn write(&mut self, path: Option<PathBuf>) {
        let Some(path) = path else { return };
        if self.writing.is_some() {
            let problem = format!("writing {} has taken longer than {} s", path.display(), textfile::PERIOD.as_secs());
            return self.say(Part::Textfile, Some(problem));
        }
        let page = self.view.textfile();
        let target = path.clone();
        self.writing = Some((path, tokio::task::spawn_blocking(move || textfile::write(&target, &page))));
    }

    /// Tells the loop how it is, when that has changed.
    fn say(&mut self, part: Part, problem: Option<String>) {
        let (component, said) = match part {
            Part::Endpoint => ("metrics", &mut self.said[0]),
            Part::Textfile => ("textfile", &mut self.said[1]),
        };
        if *said != problem {
            said.clone_from(&problem);
            // The loop is gone only when the daemon ends.
            let _ = self.events.send(Event::ComponentHealth { component, problem });
        }
    }
}

/// The next connection of any of them.
async fn accept(bound: &[Bound]) -> (usize, std::io::Result<Box<dyn Io>>) {
    if bound.is_empty() {
        return std::future::pending().await;
    }
    let all = bound.iter().enumerate().map(|(at, bound)| Box::pin(async move { (at, bound.listener.accept().await) }));
    futures_util::future::select_all(all).await.0
}

async fn written(writing: Option<&mut JoinHandle<Result<(), String>>>) -> Result<(), String> {
    match writing {
        Some(writing) => writing.await.map_err(|e| format!("the textfile could not be written: {e}"))?,
        None => std::future::pending().await,
    }
}
