//! Pages from what the loop has put there last. Nothing here waits.

use super::served::Served;
use crate::app::handle::{Ended, Handle, Request};
use crate::host::clock::Clock;
use crate::host::process;
use reeve_core::Wall;
use reeve_core::metrics::families::daemon as own;
use reeve_core::metrics::text::{Format, Page};
use reeve_core::metrics::{Labels, Samples, Selection, fleet, supervisor};
use std::sync::{Arc, OnceLock};

/// What pages are made from. Cheap to copy.
#[derive(Debug, Clone)]
pub struct View {
    handle: Handle,
}

/// A series: full name, labels, value.
pub type Row = (String, Vec<(String, String)>, f64);

impl View {
    /// Of this daemon.
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// A page of what is selected.
    pub fn text(&self, format: Format, wanted: &Selection) -> String {
        self.with(wanted, |page| page.render(format))
    }

    /// The same, series by series.
    pub fn rows(&self, wanted: &Selection) -> Vec<Row> {
        let mut rows = Vec::new();
        self.with(wanted, |page| page.each(|name, labels, value| rows.push((name, labels, value))));
        rows
    }

    /// The page for a textfile collector.
    pub(super) fn textfile(&self) -> String {
        self.text(Format::Text, &Selection::all().except(super::textfile::THEIRS))
    }

    /// The newest picture of the node.
    pub(super) fn snapshot(&self) -> Arc<reeve_core::Snapshot> {
        self.handle.snapshot()
    }

    /// Where the endpoint counts.
    pub(super) fn served(&self) -> &Served {
        self.handle.served()
    }

    /// Asks the loop whether it lives.
    pub(super) async fn alive(&self) -> Result<(), Ended> {
        self.handle.ask(Request::Alive).await
    }

    fn with<T>(&self, wanted: &Selection, make: impl FnOnce(&Page<'_>) -> T) -> T {
        let now = Clock::now();
        let (known, picture) = (self.handle.exposition(), self.handle.snapshot());
        let beside = [
            ("self", known.about(now.mono)),
            ("supervisor", supervisor::samples(&picture, now)),
            ("fleet", fleet::samples(&picture, now)),
            ("process", process_samples()),
            ("endpoint", self.handle.served().samples()),
            ("bus", self.handle.calls().samples()),
        ];
        make(&known.page(&beside, now.mono, wanted))
    }
}

/// The daemon's own process and build.
fn process_samples() -> Samples {
    static STARTED: OnceLock<Option<Wall>> = OnceLock::new();
    let started = STARTED.get_or_init(|| process::started(Clock::now()));
    let facts = process::facts();
    let none = Labels::none();
    let mut out = Samples::new();
    out.put_some(&own::PROCESS_CPU, &none, facts.cpu.map(|span| span.as_secs_f64()));
    out.put_some(&own::PROCESS_RESIDENT, &none, facts.resident.map(number));
    out.put_some(&own::PROCESS_OPEN_FDS, &none, facts.open_fds.map(number));
    out.put_some(&own::PROCESS_MAX_FDS, &none, facts.max_fds.map(number));
    out.put_some(&own::PROCESS_START, &none, started.map(|at| number(at.0) / 1e6));
    let commit = option_env!("REEVE_COMMIT").unwrap_or_default();
    let build = Labels::new(&[("version", env!("CARGO_PKG_VERSION")), ("commit", commit)]);
    out.put_with(&own::BUILD_INFO, &build, 1.0);
    out
}

#[expect(clippy::cast_precision_loss, reason = "the exposition formats know only floating point")]
fn number(count: u64) -> f64 {
    count as f64
}
