//! Sources from the outside: fixture trees of two hosts, the host the tests run on, and node_exporter beside them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod differential;
mod fixtures;
mod live;
mod picture;

use reeve::sources::{self, SourcesConfig, WorkersHandle};
use reeve_core::metrics::text::{Format, Page};
use reeve_core::metrics::{Report, Samples};
use tokio::sync::mpsc::unbounded_channel;

/// One tick: what each source says. A source ends with the look in hand when nobody wants it any more.
fn tick(config: &SourcesConfig, workers: &WorkersHandle) -> Vec<Report> {
    let (sender, mut reports) = unbounded_channel();
    drop(sources::start(config.clone(), sender, workers.clone()).unwrap());
    std::iter::from_fn(|| reports.blocking_recv()).collect()
}

/// All samples of a tick; every source must have worked.
fn samples(reports: Vec<Report>, wanted: impl Fn(&str) -> bool) -> Samples {
    let mut all = Samples::new();
    for report in reports.into_iter().filter(|r| wanted(r.source)) {
        all.extend(report.outcome.unwrap_or_else(|e| panic!("{}: {e}", report.source)));
    }
    all
}

/// As a scrape would show them.
fn page(samples: &Samples) -> String {
    let mut page = Page::new();
    page.add(samples, &|_| true);
    page.render(Format::Text)
}
