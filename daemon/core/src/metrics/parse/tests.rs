#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn read(text: &str) -> Parsed {
    parse(text, &Limits::default()).unwrap()
}

fn error(text: &str) -> String {
    parse(text, &Limits::default()).unwrap_err().to_string()
}

fn value(parsed: &Parsed, name: &str) -> f64 {
    parsed.foreign.get(name).unwrap().lines[0].value
}

/// A page as Python's client writes it.
const PYTHON: &str = r#"# HELP python_info Python platform information
# TYPE python_info gauge
python_info{implementation="CPython",major="3",} 1.0
# HELP tasks_total Tasks "done".\nAll of them.
# TYPE tasks_total counter
tasks_total{outcome="ok"} 12.0
# TYPE tasks_created gauge
tasks_created{outcome="ok"} 1.7e+09
# TYPE seconds histogram
seconds_bucket{le="0.5"} 1.0
seconds_bucket{le="+Inf"} 2.0
seconds_count 2.0
seconds_sum 1.25
# TYPE size summary
size{quantile="0.5"} 7
size_sum 70
size_count 10
bare 3 1700000000000
"#;

/// MET-08: what client libraries write in 0.0.4 is read.
#[test]
fn met_08_pages_of_clients_are_read() {
    let parsed = read(PYTHON);
    assert!(parsed.timestamps, "bare has one");
    assert_eq!(parsed.dropped, Dropped::default());
    let kinds: Vec<_> = parsed.foreign.iter().map(|(n, f)| (n, f.kind, f.lines.len())).collect();
    assert_eq!(
        kinds,
        [
            ("bare", Kind::Untyped, 1),
            ("python_info", Kind::Gauge, 1),
            ("seconds", Kind::Histogram, 4),
            ("size", Kind::Summary, 3),
            ("tasks_created", Kind::Gauge, 1),
            ("tasks_total", Kind::Counter, 1),
        ]
    );
    assert_eq!(parsed.foreign.get("tasks_total").unwrap().help, "Tasks \"done\".\nAll of them.");
    let seconds = &parsed.foreign.get("seconds").unwrap().lines;
    assert_eq!((seconds[1].part, seconds[1].value), (Part::Bucket(f64::INFINITY), 2.0));
}

/// MET-08: and in OpenMetrics, with what only that has.
#[test]
fn met_08_open_metrics_is_read() {
    let parsed = read(
        "# TYPE tasks counter\n# UNIT tasks tasks\n# HELP tasks Done.\n\
         tasks_total 5 1700000000.5 # {trace=\"a#b\"} 1 2\ntasks_created 1.7e9\n\
         # TYPE build info\nbuild_info{version=\"1\"} 1\n# TYPE mode stateset\nmode{mode=\"a\"} 1\n\
         # TYPE depth gaugehistogram\ndepth_bucket{le=\"+Inf\"} 4\ndepth_gsum 2\n# TYPE odd unknown\nodd -1\n# EOF\n",
    );
    let kinds: Vec<_> = parsed.foreign.iter().map(|(n, f)| (n, f.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("build_info", Kind::Info),
            ("depth_bucket", Kind::Untyped),
            ("depth_gsum", Kind::Untyped),
            ("mode", Kind::Gauge),
            ("odd", Kind::Untyped),
            ("tasks_total", Kind::Counter),
        ]
    );
    let tasks = parsed.foreign.get("tasks_total").unwrap();
    assert_eq!((tasks.help.as_str(), tasks.unit.as_str(), tasks.lines[0].value), ("Done.", "tasks", 5.0));
}

/// MET-17: what cannot be kept is counted by reason.
#[test]
fn met_17_limits_drop_and_count() {
    let limits = Limits { bytes: 1000, series: 2, labels: 1, word: 8 };
    let text = "# TYPE c counter\nc -1\nc NaN\na{x=\"1\"} 1\na{x=\"1\"} 2\nb{x=\"1\",y=\"2\"} 1\n\
                b{x=\"123456789\"} 1\nb 1\nd 1\ne 1\n";
    let parsed = parse(text, &limits).unwrap();
    assert_eq!(parsed.dropped, Dropped { over: 2, duplicate: 1, invalid: 4 });
    assert_eq!((parsed.foreign.len(), value(&parsed, "a")), (2, 1.0));
    let long = "a 1\n".repeat(300);
    assert_eq!(parse(&long, &limits).unwrap_err().to_string(), "line 1: the page has more than 1000 bytes");
}

/// MET-17: label order does not make another series.
#[test]
fn met_17_the_same_series_in_another_order_is_the_same() {
    assert_eq!(read("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 1\n").dropped.duplicate, 1);
}

/// MET-17: a page that is not well formed is refused with the line.
#[test]
fn met_17_mistakes_are_named() {
    for (text, expected) in [
        ("a 1\n{} 2\n", "line 2: expected the name of a metric, found \"{} 2\""),
        ("a\n", "line 1: a has no value"),
        ("a x\n", "line 1: the value of a is \"x\", not a number"),
        ("a 1 x\n", "line 1: the timestamp of a is \"x\", not a number"),
        ("a 1 2 3\n", "line 1: \"3\" stands behind a and its timestamp"),
        ("a{b} 1\n", "line 1: expected =\" behind the label b"),
        ("a{b=\"c} 1\n", "line 1: the value of the label b has no end"),
        ("a{b=\"c\" d=\"e\"} 1\n", "line 1: expected , or } behind the label b"),
        ("a{b=\"c\",b=\"d\"} 1\n", "line 1: the label b stands there twice"),
        ("a{\"b\"=\"c\"} 1\n", "line 1: expected the name of a label, found \"\\\"b\\\"=\\\"c\\\"} 1\""),
        ("# TYPE a gauge\n# TYPE a counter\n", "line 2: the type of a is said twice"),
        ("# TYPE a thing\n", "line 1: \"thing\" is no type"),
        ("# EOF\na 1\n", "line 2: there is more after # EOF"),
        ("<html>\n", "line 1: expected the name of a metric, found \"<html>\""),
    ] {
        assert_eq!(error(text), expected, "{text:?}");
    }
    assert!(read("").foreign.is_empty());
    assert_eq!(value(&read("a { b = \"c\" , } 1\r\n# just so\n\n"), "a"), 1.0);
}

/// MET-17: bytes that nobody meant as a page are no panic.
#[test]
fn met_17_noise_is_refused_or_read() {
    let mut rng = crate::rng::Rng::new(7);
    let pieces = ["a", "{", "}", "\"", "\\", "=", ",", " ", "\n", "#", "# TYPE ", "1", "é", "le", "_total", "counter"];
    for _ in 0..5000 {
        let length = rng.below(24);
        let text: String =
            (0..length).map(|_| pieces[usize::try_from(rng.below(pieces.len() as u64)).unwrap()]).collect();
        // Either answer is right; ending is what is tested.
        let _ = parse(&text, &Limits::default());
    }
}
