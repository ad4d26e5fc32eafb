#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::metrics::family::Family;
use crate::metrics::foreign::{Line, Part};
use crate::metrics::parse::Dropped;
use crate::metrics::text::Format;
use crate::metrics::{Foreign, Selection};
use crate::metrics::{Histogram, Labels};
use crate::time::Wall;

static FAST: Family = Family::gauge("fast", "", "Fast.", "test");
static SLOW: Family = Family::gauge("slow", "", "Slow.", "test").on(Lane::Slow);
static ONCE: Family = Family::gauge("once", "", "Once.", "test").on(Lane::Start);
static MANY: Family = Family::counter("many_total", "", "Many.", "test").with(&["n"]);
static TOOK: Family = Family::gauge("took", "", "Took.", "test").of(Kind::Histogram);

fn at(seconds: u64) -> Now {
    Now { mono: Mono(Duration::from_secs(seconds)), wall: Wall(1_000_000_000 + seconds * 1_000_000) }
}

fn report(source: &'static str, seconds: u64, outcome: Result<Samples, String>) -> Report {
    Report { source, at: at(seconds).mono, took: Duration::from_millis(2), outcome }
}

fn one(family: &'static Family, value: f64) -> Samples {
    let mut samples = Samples::new();
    samples.put(family, value);
    samples
}

/// The page, without the families about Reeve itself but `names`.
fn page(board: &Board, seconds: u64, names: &[&str]) -> String {
    let wanted = Selection::of(names.iter().map(|name| (*name).to_owned()));
    let (now, shown) = (at(seconds).mono, board.exposition());
    let about = [("self", shown.about(now))];
    let text = shown.page(&about, now, &wanted).render(Format::Text);
    text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

fn dropped(board: &Board, reason: &str) -> u64 {
    board.now.dropped[reason]
}

/// HLT-03: a late source becomes a gap after two periods, and says so; nothing is invented.
#[test]
fn hlt_03_a_late_source_is_a_gap() {
    let names = ["fast", "slow", "once", "reeve_source_success"];
    let mut board = Board::new(Caps::default());
    board.take(report("cpu", 0, Ok(one(&FAST, 1.0))), at(0));
    board.take(report("disk", 0, Ok(one(&SLOW, 2.0))), at(0));
    board.take(report("host", 0, Ok(one(&ONCE, 3.0))), at(0));
    let all = "fast 1\nonce 3\nreeve_source_success{source=\"cpu\"} 1\nreeve_source_success{source=\"disk\"} 1\n\
               reeve_source_success{source=\"host\"} 1\nslow 2\n";
    assert_eq!(page(&board, 9, &names), all);
    let gap = "once 3\nreeve_source_success{source=\"cpu\"} 0\nreeve_source_success{source=\"disk\"} 1\n\
               reeve_source_success{source=\"host\"} 1\nslow 2\n";
    assert_eq!(page(&board, 10, &names), gap);
    assert!(page(&board, 120, &["slow", "once"]) == "once 3\n", "a minute twice missed");
    board.take(report("cpu", 300, Ok(one(&FAST, 5.0))), at(300));
    assert_eq!(page(&board, 304, &["fast"]), "fast 5\n");
}

/// HLT-03: a source that fails keeps its last good samples for two periods, and shows the failure at once.
#[test]
fn hlt_03_a_failed_source_says_so_at_once() {
    let names = ["fast", "reeve_source_success", "reeve_source_last_success_timestamp_seconds"];
    let mut board = Board::new(Caps::default());
    board.take(report("cpu", 0, Err("no such file".into())), at(0));
    assert_eq!(page(&board, 1, &names), "reeve_source_success{source=\"cpu\"} 0\n");
    board.take(report("cpu", 5, Ok(one(&FAST, 1.0))), at(5));
    board.take(report("cpu", 10, Err("no such file".into())), at(10));
    let told = "reeve_source_last_success_timestamp_seconds{source=\"cpu\"} 1005\n\
                reeve_source_success{source=\"cpu\"} 0\n";
    assert_eq!(page(&board, 14, &names), format!("fast 1\n{told}"));
    board.take(report("cpu", 15, Err("no such file".into())), at(15));
    assert_eq!(page(&board, 15, &names), told);
}

/// HLT-03: a source that is seen to be slower than its lane is given that time; one pause does not make it slow.
#[test]
fn hlt_03_the_period_is_learnt_with_care() {
    let secs = Duration::from_secs;
    let samples = one(&FAST, 1.0);
    assert_eq!(period(&samples, None, None), Some(secs(5)));
    assert_eq!(period(&samples, Some(secs(5)), Some(secs(1))), Some(secs(5)));
    assert_eq!(period(&samples, Some(secs(5)), Some(secs(8))), Some(secs(8)));
    assert_eq!(period(&samples, Some(secs(5)), Some(secs(3600))), Some(secs(10)));
    assert_eq!(period(&one(&ONCE, 1.0), None, Some(secs(8))), None);
}

/// MET-17: the node's cap holds and is counted; what another source has keeps its place.
#[test]
fn met_17_series_over_the_cap_are_dropped_and_counted() {
    let mut board = Board::new(Caps { node: 3 });
    board.take(report("cpu", 0, Ok(one(&FAST, 1.0))), at(0));
    let mut many = Samples::new();
    for n in ["1", "2", "3", "4"] {
        many.put_with(&MANY, &Labels::new(&[("n", n)]), 1.0);
    }
    for round in 1..=2 {
        board.take(report("many", 0, Ok(many.clone())), at(0));
        assert_eq!(page(&board, 0, &["many_total", "fast"]), "fast 1\nmany_total{n=\"1\"} 1\nmany_total{n=\"2\"} 1\n");
        assert_eq!(dropped(&board, OVER_NODE), 2 * round);
    }
    let told = page(&board, 0, &["reeve_series_dropped_total"]);
    assert!(told.contains("reeve_series_dropped_total{reason=\"node-cap\"} 4\n"), "{told}");
    assert!(told.contains("reeve_series_dropped_total{reason=\"duplicate\"} 0\n"), "{told}");
}

/// MET-17: a series that stands there twice, or is no valid value, is left out and counted.
#[test]
fn met_17_bad_series_are_dropped_and_counted() {
    let mut board = Board::new(Caps::default());
    let mut samples = Samples::new();
    for (n, value) in [("2", 1.0), ("1", 2.0), ("2", 3.0), ("3", -1.0), ("4", f64::NAN)] {
        samples.put_with(&MANY, &Labels::new(&[("n", n)]), value);
    }
    samples.put(&TOOK, 1.0);
    samples.put_histogram(&FAST, &Labels::none(), Arc::new(Histogram::new(&[1.0][..])));
    board.take(report("many", 0, Ok(samples)), at(0));
    let names = ["many_total", "took", "fast"];
    assert_eq!(page(&board, 0, &names), "many_total{n=\"2\"} 1\nmany_total{n=\"1\"} 2\n");
    assert_eq!((dropped(&board, DUPLICATE), dropped(&board, INVALID)), (1, 4));
}

fn theirs(names: &[(&str, Kind)]) -> Foreign {
    let mut foreign = Foreign::new();
    for (name, kind) in names {
        foreign.add(name, *kind, Line { part: Part::Value, labels: Labels::none(), value: 1.0 });
    }
    foreign
}

/// MET-17: a worker's own series have a cap of their own, end with the worker, and cannot bend a family of ours.
#[test]
fn met_17_workers_are_capped_and_end() {
    let mut board = Board::new(Caps { node: 100 });
    let (a, b): (ReplicaId, ReplicaId) = ("a/1".parse().unwrap(), "b/1".parse().unwrap());
    let secs = Duration::from_secs(15);
    let page_a = theirs(&[("x", Kind::Gauge), ("y", Kind::Gauge), ("node_load1", Kind::Counter)]);
    let read = Dropped { over: 5, duplicate: 1, invalid: 2 };
    let told = |foreign: Foreign, who, dropped| Told { foreign: foreign.labelled(&[("worker", who)]), dropped };
    board.take_foreign(a.clone(), told(page_a, "a", read), secs, at(0));
    let page_b = theirs(&[("x", Kind::Counter), ("w", Kind::Gauge)]);
    board.take_foreign(b.clone(), told(page_b, "b", Dropped::default()), secs, at(0));
    let names = ["w", "x", "y", "node_load1"];
    assert_eq!(page(&board, 0, &names), "w{worker=\"b\"} 1\nx{worker=\"a\"} 1\ny{worker=\"a\"} 1\n");
    let counts = [OVER_WORKER, DUPLICATE, INVALID, CONFLICT].map(|reason| dropped(&board, reason));
    assert_eq!(counts, [5, 1, 2, 2]);
    assert_eq!(page(&board, 30, &names), "", "nobody has said it for two periods");
    board.forget_foreign(|id| *id == b);
    assert_eq!(page(&board, 0, &names), "w{worker=\"b\"} 1\n");
}

/// A released source goes at once, with all that was known of it.
#[test]
fn a_withdrawn_source_leaves_nothing() {
    let mut board = Board::new(Caps::default());
    board.take(report("gpu", 0, Ok(one(&FAST, 1.0))), at(0));
    board.withdraw("gpu");
    assert_eq!(page(&board, 0, &["fast", "reeve_source_success"]), "");
}
