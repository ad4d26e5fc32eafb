#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::metrics::Foreign;
use crate::metrics::foreign::Part;
use crate::rng::Rng;
use crate::time::Mono;
use std::time::Duration;

fn rules() -> Rules {
    Rules { labels: vec!["outcome".into(), "queue".into()], max_series: 1000, ..Rules::default() }
}

fn at(seconds: u64) -> Mono {
    Mono(Duration::from_secs(seconds))
}

fn said(datagrams: &[&str]) -> Aggregator {
    let mut aggregator = Aggregator::new(rules());
    for datagram in datagrams {
        aggregator.datagram(datagram.as_bytes(), at(0));
    }
    aggregator
}

fn page(aggregator: &Aggregator, now: Mono) -> Vec<String> {
    let mut foreign = Foreign::new();
    aggregator.write(&mut foreign, now);
    let lines = foreign.iter().flat_map(|(name, family)| {
        family.lines.iter().map(move |line| match line.part {
            Part::Bucket(bound) => format!("{name}_bucket<={bound}{{{}}} {}", line.labels.as_str(), line.value),
            part => format!("{name}{}{{{}}} {}", part.suffix(), line.labels.as_str(), line.value),
        })
    });
    lines.collect()
}

fn refused(aggregator: &Aggregator) -> Vec<(&'static str, u64)> {
    aggregator.refused().iter().map(|(reason, count)| (reason.word(), *count)).collect()
}

/// MET-05: each type and each part of a line.
#[test]
fn met_05_lines_are_read() {
    let message = parse("a.b:1|c|@0.5|#outcome:ok,bare,x:y:z|c:abc|T17").unwrap();
    assert_eq!((message.name, message.kind, message.rate), ("a.b", Type::Counter, 0.5));
    assert_eq!(message.tags().collect::<Vec<_>>(), [("outcome", "ok"), ("x", "y:z")]);
    for (line, kind, numbers) in [
        ("a:1|c", Type::Counter, vec![(1.0, false)]),
        ("a:-1.5|g", Type::Gauge, vec![(-1.5, true)]),
        ("a:+2|g", Type::Gauge, vec![(2.0, true)]),
        ("a:320|ms|@0.1", Type::Timing, vec![(320.0, false)]),
        ("a:1:2:3|h", Type::Histogram, vec![(1.0, false), (2.0, false), (3.0, false)]),
        ("a:1e3|d", Type::Histogram, vec![(1000.0, false)]),
        ("a:alice:b|s", Type::Set, vec![]),
    ] {
        let message = parse(line).unwrap();
        assert_eq!((message.kind, message.numbers().collect::<Vec<_>>()), (kind, numbers), "{line}");
    }
}

/// MET-17: what is not a metric is refused by reason.
#[test]
fn met_17_other_lines_are_refused() {
    for line in [
        "", "a", "a:1", "a:|c", "a:x|c", "a:1|q", ":1|c", "a:nan|g", "a:inf|g", "a:1|c|@0", "a:1|c|@2", "a:1:|c",
        "a|b:1|c",
    ] {
        assert_eq!(parse(line), Err(Refused::Malformed), "{line:?}");
    }
    assert_eq!(parse(&format!("{}:1|c", "n".repeat(201))), Err(Refused::Malformed));
    assert_eq!(parse("_e{5,4}:title|text"), Err(Refused::Event));
    assert_eq!(parse("_sc|up|0"), Err(Refused::ServiceCheck));
}

/// MET-05, MET-08: counters add up, with their rate; gauges replace or move; sets count.
#[test]
fn met_08_messages_add_up() {
    let aggregator = said(&[
        "agent.tasks:1|c|#outcome:ok\nagent.tasks:2|c|#outcome:ok,pid:17\nagent.tasks:1|c|@0.1|#outcome:failed\n",
        "queue_depth:7|g",
        "queue_depth:-2|g",
        "queue_depth:+10|g",
        "users:a|s\nusers:b|s\nusers:a|s",
        "cache.hits:5|c",
    ]);
    assert_eq!(
        page(&aggregator, at(0)),
        [
            "cache_hits_total{} 5",
            "queue_depth{} 15",
            "reeve_agent_tasks_total{outcome=\"failed\"} 10",
            "reeve_agent_tasks_total{outcome=\"ok\"} 3",
            "users{} 2",
        ]
    );
    assert_eq!((aggregator.messages(), refused(&aggregator)), (10, vec![]));
    assert_eq!(aggregator.sum("reeve_agent_tasks_total", at(0)), Some(13.0));
    assert_eq!(aggregator.sum("nothing", at(0)), None);
}

/// MET-12, MET-06: bounds come from the table, from the definition, or are the usual ones; milliseconds become seconds.
#[test]
fn met_12_observations_go_into_their_buckets() {
    let mut aggregator =
        Aggregator::new(Rules { buckets: [("tokens".to_owned(), vec![10.0, 100.0])].into(), ..rules() });
    aggregator.datagram(b"response_time:30|ms|@0.5\nresponse_time:0.03|h\nfetch:4|ms\ntokens:50:500|d", at(0));
    let page = page(&aggregator, at(0));
    for line in [
        "response_time_bucket<=0.02{} 0",
        "response_time_bucket<=0.04{} 3",
        "response_time_count{} 3",
        "fetch_seconds_bucket<=0.005{} 1",
        "tokens_bucket<=10{} 0",
        "tokens_bucket<=100{} 1",
        "tokens_bucket<=inf{} 2",
        "tokens_sum{} 550",
    ] {
        assert!(page.iter().any(|l| l == line), "{line} is missing in {page:#?}");
    }
}

/// MET-17: only named tags become labels, and none that says who the worker is.
#[test]
fn met_17_tags_become_labels_by_name_only() {
    let long = "v".repeat(500);
    let aggregator = said(&[&format!(
        "x:1|c|#worker:me,queue:{long},task_id:9\nreeve_agent_tokens:4|c|#direction:input,queue:a\"b\nx:1|c|#le:9,flag"
    )]);
    let page = page(&aggregator, at(0));
    assert_eq!(page[0], "reeve_agent_tokens_total{direction=\"input\",queue=\"a\\\"b\"} 4");
    assert_eq!(page[1], "x_total{} 1");
    assert_eq!(page[2], format!("x_total{{queue=\"{}\"}} 1", "v".repeat(120)));
}

/// MET-17: names that mean two things, count down, or are Reeve's own are refused and counted.
#[test]
fn met_17_what_does_not_fit_is_counted() {
    let aggregator = said(&[
        "x_total:1|g\nx:1|c",
        "reeve_worker_up:0|g",
        "y:-1|c",
        "y:1|c",
        "_e{1,1}:a|b\n_sc|a|0\nnonsense",
        "",
        "response_time:1|g\nresponse_time:2|h",
    ]);
    assert_eq!(
        refused(&aggregator),
        [("malformed", 2), ("event", 1), ("service-check", 1), ("negative", 1), ("name", 3)]
    );
    let mut aggregator = said(&[]);
    aggregator.datagram(b"\xff\xfe:1|c", at(0));
    assert_eq!(refused(&aggregator), [("malformed", 1)]);
}

/// MET-17: a flood of label values is capped and counted, and the next run has room again.
#[test]
fn met_17_a_flood_is_capped() {
    let mut aggregator = Aggregator::new(Rules { max_series: 50, ..rules() });
    for n in 0..5000 {
        aggregator.datagram(format!("x:1|c|#queue:q{n}").as_bytes(), at(0));
        aggregator.datagram(format!("name{n}:1|g").as_bytes(), at(0));
    }
    assert_eq!(page(&aggregator, at(0)).len(), 50);
    assert_eq!(refused(&aggregator), [("worker-cap", 9950)]);
    // What has its place goes on.
    aggregator.datagram(b"x:1|c|#queue:q0", at(0));
    assert_eq!(aggregator.messages(), 51);
    aggregator.run_ended();
    assert!(page(&aggregator, at(0)).is_empty());
    aggregator.datagram(b"x:1|c|#queue:new", at(0));
    assert_eq!(page(&aggregator, at(0)), ["x_total{queue=\"new\"} 1"]);
}

/// A run's gauges go with it, its counters and histograms stay.
#[test]
fn met_08_counters_outlive_the_run() {
    let mut aggregator = said(&["tasks:3|c\ndepth:4|g\nusers:a|s\nspan:1|h"]);
    aggregator.run_ended();
    let names: Vec<_> = page(&aggregator, at(0)).into_iter().filter(|line| !line.contains("_bucket")).collect();
    assert_eq!(names, ["span_sum{} 1", "span_count{} 1", "tasks_total{} 3"]);
    aggregator.datagram(b"tasks:1|c", at(0));
    assert!(page(&aggregator, at(0)).contains(&"tasks_total{} 4".to_owned()));
}

/// A set tells of the last whole minute.
#[test]
fn met_17_sets_are_of_a_minute() {
    let mut aggregator = said(&["users:a|s\nusers:b|s"]);
    assert_eq!(page(&aggregator, at(59)), ["users{} 2"]);
    aggregator.datagram(b"users:c|s", at(61));
    assert_eq!(page(&aggregator, at(62)), ["users{} 2"]);
    assert_eq!(page(&aggregator, at(130)), ["users{} 1"]);
    assert_eq!(page(&aggregator, at(500)), ["users{} 0"]);
    for n in 0..5000 {
        aggregator.datagram(format!("users:{n}|s").as_bytes(), at(600));
    }
    assert_eq!(page(&aggregator, at(661)), ["users{} 1000"]);
}

/// MET-17: whatever comes, nothing breaks, the sum of taken and refused lines is the number of lines, and the cap holds.
#[test]
fn met_17_any_bytes_are_survived() {
    let mut rng = Rng::new(7);
    let pieces = [
        "a:1|c",
        "b.c:2|g\n",
        "a",
        ":",
        "|",
        "c",
        "g",
        "ms",
        "h",
        "s",
        "@",
        "0.5",
        "#",
        "outcome:ok",
        ",",
        "1",
        "-3",
        "\n",
        "_e{",
        "é",
    ];
    let mut aggregator = Aggregator::new(Rules { max_series: 40, ..rules() });
    let mut lines = 0;
    for _ in 0..20_000 {
        let count = rng.below(14);
        let text: String = (0..count).map(|_| pieces[rng.below(pieces.len() as u64) as usize]).collect();
        lines += text.split('\n').filter(|line| !line.is_empty()).count().max(1) as u64;
        aggregator.datagram(text.as_bytes(), at(0));
    }
    let all = aggregator.messages() + aggregator.refused().values().sum::<u64>();
    assert_eq!(all, lines);
    assert!(aggregator.messages() > 100, "some of it is well formed");
    assert!(page(&aggregator, at(0)).len() <= 40);
}
