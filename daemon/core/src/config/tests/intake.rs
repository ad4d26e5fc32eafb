//! `[worker.metrics]`.

use super::*;
use std::time::Duration;

fn metrics(lines: &str) -> WorkerMetrics {
    let config = valid(&[program("web", &format!("[worker.metrics]\n{lines}"))]);
    config.workers.into_values().next().unwrap().metrics.clone()
}

/// MET-08, MET-17: what holds when nothing is said, and when everything is.
#[test]
fn met_08_keys_and_defaults() {
    assert_eq!(metrics(""), WorkerMetrics::default());
    let all = metrics(
        "scrape = \"unix:{runtime_dir}/m.sock:/metrics\"\nperiod = \"30s\"\ntimeout = \"2s\"\nallow = [\"vllm:*\"]\n\
         max_series = 50\nlabels = [\"queue\"]\nbuckets = { \"tokens\" = [1, 2.5, 10] }\nstatsd = false\nmultiprocess = false",
    );
    let expected = WorkerMetrics {
        scrape: Some("unix:{runtime_dir}/m.sock:/metrics".into()),
        period: Duration::from_secs(30),
        timeout: Duration::from_secs(2),
        allow: vec!["vllm:*".into()],
        max_series: Some(50),
        labels: vec!["queue".into()],
        buckets: [("tokens".to_owned(), vec![1.0, 2.5, 10.0])].into(),
        statsd: false,
        multiprocess: false,
    };
    assert_eq!(all, expected);
    assert_eq!(metrics("period = \"2s\"").timeout, Duration::from_secs(2), "never longer than the period");
    assert!(metrics("labels = []").labels.is_empty());
}

/// MET-17: each mistake is named.
#[test]
fn met_17_mistakes_are_named() {
    for (line, key, words) in [
        ("scrape = \"https://x/\"", "scrape", ["expected a URL", "https"]),
        ("scrape = \"unix:relative\"", "scrape", ["unix:{runtime_dir}/metrics.sock", "relative"]),
        ("scrape = \"unix:/run/../etc/x\"", "scrape", ["expected a URL", ".."]),
        ("period = \"100ms\"", "period", ["at least 1s", "100ms"]),
        ("period = \"5s\"\ntimeout = \"6s\"", "timeout", ["is longer than", "`worker.metrics.period` = \"5s\""]),
        ("allow = [\"a b\"]", "allow", ["a metric name", "a b"]),
        ("labels = [\"worker\"]", "labels", ["is set by Reeve", "worker"]),
        ("labels = [\"a-b\"]", "labels", ["a label name", "a-b"]),
        ("buckets = { a = [2, 1] }", "buckets.a", ["ascending numbers", "[0.1, 1, 10]"]),
        ("buckets = { a = [] }", "buckets.a", ["ascending numbers", "1 to 64"]),
        ("buckets = { a = \"1\" }", "buckets.a", ["ascending numbers", "found the text"]),
        ("buckets = { \"a b\" = [1] }", "buckets.\"a b\"", ["a metric name", "a b"]),
    ] {
        let row = if line.contains('\n') { 5 } else { 4 };
        let place = format!("web.toml:{row} worker.metrics.{key}:");
        only_error(&[program("web", &format!("[worker.metrics]\n{line}"))], &place, &words);
    }
}

/// A table of bounds is shown and explained like any other.
#[test]
fn met_12_bounds_are_shown() {
    let file = program("web", "[worker.metrics]\nbuckets = { tokens = [1, 2.5] }");
    let merged = load(&[file], &host()).merged;
    assert!(show(&merged).contains("tokens = [1, 2.5]"), "{}", show(&merged));
    let facts = explain("worker.metrics.buckets.tokens", Some(&merged)).unwrap();
    assert!(facts["range"].contains("ascending numbers"), "{facts:?}");
}
