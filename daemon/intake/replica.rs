//! One replica: its socket is read, its page is asked for, and what follows is told.

use super::notes::{Note, Said, Shown, What};
use super::page::{self, Page, Reading};
use super::settings::Settings;
use super::socket::{self, Shared, Socket};
use crate::host::clock::{Clock, until};
use crate::host::paths::Paths;
use reeve_core::metrics::Intake;
use reeve_core::rng::Rng;
use reeve_core::{Mono, ReplicaId};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Values that somebody decides by are told this soon after they have changed.
const SOON: Duration = Duration::from_secs(1);
/// Series are shown anew no more often than this, unless a page was read or a run has ended.
const REFRESH: Duration = Duration::from_secs(5);

/// Its task.
pub(super) struct Teller {
    replica: ReplicaId,
    settings: Settings,
    paths: Paths,
    said: mpsc::UnboundedSender<Said>,
    shared: Shared,
    rng: Rng,
    intake: Intake,
    socket: Option<Socket>,
    user: Option<u32>,
    shown: Shown,
    reading: Option<Reading>,
    next_reading: Option<Instant>,
    /// The last reading failed, and that has been said.
    failing: bool,
    /// Something has come since series, since values were told.
    fresh: (bool, bool),
    told: Instant,
    /// Nothing was shown of this run yet.
    first: bool,
    told_values: Instant,
    values: BTreeMap<String, f64>,
}

/// What it was woken by.
enum Woken {
    Note(Option<Note>),
    Page(Page),
    Read,
    Datagrams,
    Due,
}

impl Teller {
    pub(super) fn new(
        replica: ReplicaId,
        settings: Settings,
        paths: Paths,
        said: mpsc::UnboundedSender<Said>,
        shared: Shared,
        seed: u64,
    ) -> Self {
        let intake = Intake::new(settings.habits.clone());
        let now = Instant::now();
        Self {
            replica,
            settings,
            paths,
            said,
            shared,
            rng: Rng::new(seed),
            intake,
            socket: None,
            user: None,
            shown: Shown::default(),
            reading: None,
            next_reading: None,
            failing: false,
            fresh: (false, false),
            told: now,
            first: true,
            told_values: now,
            values: BTreeMap::new(),
        }
    }

    /// Runs until nobody has notes for it any more.
    pub(super) async fn run(mut self, mut notes: mpsc::UnboundedReceiver<Note>) {
        loop {
            let due = self.due();
            let next = self.next_reading.filter(|_| self.reading.is_none());
            // Each arm waits and does nothing else, and the reading goes on where it was: cancelling one loses nothing.
            let woken = tokio::select! {
                biased;
                note = notes.recv() => Woken::Note(note),
                page = page::done(self.reading.as_mut()) => Woken::Page(page),
                () = until(due) => Woken::Due,
                () = until(next) => Woken::Read,
                () = socket::any(self.socket.as_ref()) => Woken::Datagrams,
            };
            match woken {
                Woken::Note(Some(note)) => self.note(note),
                Woken::Note(None) => return,
                Woken::Page(page) => self.page(page),
                Woken::Read => self.read(),
                Woken::Datagrams => self.datagrams(),
                Woken::Due => self.tell_due(),
            }
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Socket(fd) => match Socket::new(fd, self.replica.unit()) {
                Ok(mut socket) => {
                    socket.set_user(self.user);
                    self.socket = Some(socket);
                }
                Err(error) => tracing::warn!(replica = %self.replica, %error, "its socket for metrics cannot be read"),
            },
            Note::Starting(at, user) => {
                self.leftovers();
                self.intake.starting(at);
                self.user = user;
                if let Some(socket) = &mut self.socket {
                    socket.set_user(user);
                }
            }
            Note::Shown(at, shown) => self.show(at, shown),
            Note::Settings(settings) => {
                self.intake.set_habits(settings.habits.clone());
                self.settings = *settings;
                self.plan_reading(true);
                self.fresh = (true, true);
            }
        }
    }

    fn show(&mut self, at: Mono, shown: Shown) {
        let before = std::mem::replace(&mut self.shown, shown);
        if before.run != self.shown.run {
            if before.run.is_some() {
                self.leftovers();
                self.intake.run_over();
                (self.reading, self.next_reading, self.failing) = (None, None, false);
                self.values.clear();
            }
            if self.shown.run.is_some() {
                self.intake.begin(at);
            }
            self.tell_series();
            self.first = true;
        }
        if before.up != self.shown.up || before.port != self.shown.port || before.run != self.shown.run {
            self.plan_reading(before.run != self.shown.run);
        }
    }

    /// Reads pages while the run is up. The first comes at a random moment of the period, so that the workers of a node
    /// are not all read at once.
    fn plan_reading(&mut self, anew: bool) {
        let wanted = self.shown.run.is_some() && self.shown.up && self.url().is_some();
        if !wanted {
            (self.reading, self.next_reading) = (None, None);
        } else if anew || self.next_reading.is_none() {
            let period = self.settings.habits.period;
            let micros = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
            self.next_reading = Some(Instant::now() + Duration::from_micros(self.rng.below(micros)));
        }
    }

    fn url(&self) -> Option<String> {
        self.settings.url(&self.replica, &self.shown, &self.paths)
    }

    fn read(&mut self) {
        let period = self.settings.habits.period;
        let now = Instant::now();
        // The pace is kept; what was missed (a suspend) is not made up for.
        let next = self.next_reading.map_or(now, |at| at + period);
        self.next_reading = Some(if next <= now { now + period } else { next });
        self.reading = self.url().map(|url| page::read(url, self.settings.timeout));
    }

    fn page(&mut self, (page, took): Page) {
        self.reading = None;
        let page = page.as_deref().map_err(String::as_str);
        let outcome = self.intake.scraped(page, took, Clock::now().mono);
        if self.failing != outcome.is_err() {
            self.failing = outcome.is_err();
            match outcome {
                Err(why) => tracing::info!(replica = %self.replica, why, "its own metrics cannot be read"),
                Ok(()) => tracing::info!(replica = %self.replica, "its own metrics can be read again"),
            }
        }
        self.tell_series();
        self.tell_values();
    }

    fn datagrams(&mut self) {
        let now = Clock::now().mono;
        if let Some(socket) = &mut self.socket {
            socket.read(&self.shared, |datagram| match datagram {
                Ok(bytes) => self.intake.datagram(bytes, now),
                Err(reason) => self.intake.refuse(reason),
            });
            self.fresh = (true, true);
        }
    }

    /// What a run has sent before it ended, or before the next one starts.
    fn leftovers(&mut self) {
        let now = Clock::now().mono;
        if let Some(socket) = &mut self.socket {
            socket.drain(&self.shared, |datagram| match datagram {
                Ok(bytes) => self.intake.datagram(bytes, now),
                Err(reason) => self.intake.refuse(reason),
            });
        }
    }

    /// When something is to be told.
    fn due(&self) -> Option<Instant> {
        let beat = self.intake.speaks().then(|| self.told + self.period());
        let series = self.fresh.0.then(|| self.told + self.refresh());
        let values = (self.fresh.1 && self.shown.run.is_some()).then(|| self.told_values + SOON);
        beat.into_iter().chain(series).chain(values).min()
    }

    fn tell_due(&mut self) {
        let now = Instant::now();
        if self.fresh.1 && now >= self.told_values + SOON {
            self.tell_values();
        }
        if now >= self.told + if self.fresh.0 { self.refresh() } else { self.period() } {
            self.tell_series();
        }
    }

    /// The first thing a run says is shown at once.
    fn refresh(&self) -> Duration {
        if self.first { SOON } else { REFRESH }
    }

    /// A page that is no longer true is noticed as soon as the next one fails.
    fn period(&self) -> Duration {
        self.settings.habits.period.max(REFRESH)
    }

    fn tell_series(&mut self) {
        (self.fresh.0, self.told) = (false, Instant::now());
        if !self.intake.speaks() {
            return;
        }
        self.first = false;
        let now = Clock::now().mono;
        if self.intake.wants_cpu()
            && let Some(used) = self.shown.cgroup.as_deref().and_then(cpu_seconds)
        {
            self.intake.cpu(used / self.settings.cpus, now);
        }
        let what = What::Series { told: self.intake.tell(now), period: self.period() };
        self.say(what);
        // A value may be gone by now without anything having come.
        self.fresh.1 = true;
    }

    fn tell_values(&mut self) {
        (self.fresh.1, self.told_values) = (false, Instant::now());
        let Some(run) = self.shown.run else { return };
        let values = self.intake.values(Clock::now().mono);
        if values != self.values {
            self.values.clone_from(&values);
            self.say(What::Values { run, values });
        }
    }

    fn say(&self, what: What) {
        // Nobody listens only while the daemon ends.
        let _ = self.said.send(Said { replica: self.replica.clone(), what });
    }
}

/// CPU time of a cgroup so far.
fn cpu_seconds(cgroup: &str) -> Option<f64> {
    let text = std::fs::read_to_string(Path::new(cgroup).join("cpu.stat")).ok()?;
    let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    micros.trim().parse::<f64>().ok().map(|micros| micros / 1e6)
}
