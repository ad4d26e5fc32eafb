//! Figures read back as they were written; templates, signals, digests.

use super::*;
use std::time::Duration;

/// A small generator, so that a failure can be repeated from its seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

#[test]
fn what_is_rendered_reads_back() {
    let mut random = Random(1);
    for round in 0..20_000 {
        let figure = random.next() >> (random.below(63) + 1);
        let duration = Duration::from_micros(figure % (90 * 31_557_600_000_000));
        let text = units::render_duration(duration);
        assert_eq!(units::parse_duration(&text), Ok(duration), "round {round}: {text}");
        let text = units::render_size(figure);
        assert_eq!(units::parse_size(&text), Ok(figure), "round {round}: {text}");
        let cpu = figure % 10_000_000 + 1;
        let text = units::render_cpu(cpu);
        assert_eq!(units::parse_cpu(&text), Ok(cpu), "round {round}: {text}");
    }
    for per in ["s", "min", "h", "d", "w"] {
        let text = format!("7/{per}");
        assert_eq!(units::render_rate(units::parse_rate(&text).unwrap()), text);
    }
    for number in (1..=31).chain(34..=64) {
        assert_eq!(parse_signal(&render_signal(number)), Some(number));
    }
}

#[test]
fn durations_are_spelled_as_in_systemd() {
    for (text, micros) in [
        ("0", 0),
        ("30", 30_000_000),
        ("5min", 300_000_000),
        ("5 min", 300_000_000),
        ("5m", 300_000_000),
        ("1h 30s", 3_630_000_000),
        ("1h30s", 3_630_000_000),
        ("500ms", 500_000),
        ("1.5s", 1_500_000),
        ("2 days", 172_800_000_000),
        ("7us", 7),
        ("1M", 2_629_800_000_000),
    ] {
        assert_eq!(units::parse_duration(text), Ok(Duration::from_micros(micros)), "{text}");
    }
    for bad in
        ["", " ", "s", "-1s", "1..5s", "5x", "5s x", "infinity", "1e3s", "101y", "99999999999999999999y", "1.", "é"]
    {
        assert!(units::parse_duration(bad).is_err(), "{bad}");
    }
}

#[test]
fn sizes_are_to_the_base_1024() {
    for (text, bytes) in [
        ("0", 0),
        ("1000", 1000),
        ("1K", 1024),
        ("8G", 8 << 30),
        ("8Gi", 8 << 30),
        ("8GiB", 8 << 30),
        ("8 GB", 8 << 30),
        ("1.5G", 3 << 29),
        ("5B", 5),
        ("15E", 15 << 60),
    ] {
        assert_eq!(units::parse_size(text), Ok(bytes), "{text}");
    }
    for bad in ["", "G", "-1G", "8X", "16E", "99E", "infinity", "8Gib", "8 G B"] {
        assert!(units::parse_size(bad).is_err(), "{bad}");
    }
    for bad in ["", "0", "%", "-1", "two", "1e9"] {
        assert!(units::parse_cpu(bad).is_err(), "{bad}");
    }
}

#[test]
fn templates_expand() {
    let values = TemplateValues {
        worker: "web".into(),
        replica: 2,
        port: Some(4711),
        runtime_dir: "/run/reeve/workers/web-2".into(),
        gpus: String::new(),
    };
    for (text, wanted) in [
        ("--port={port}", "--port=4711"),
        ("{worker}-{replica}", "web-2"),
        ("{runtime_dir}/sock", "/run/reeve/workers/web-2/sock"),
        ("[{gpus}]", "[]"),
        ("{{port}}", "{port}"),
        ("${{HOME}", "${HOME}"),
        ("{{\"a\":{{\"b\":{port}}}}}", "{\"a\":{\"b\":4711}}"),
        ("{", "{"),
        ("}", "}"),
        ("é{port}é", "é4711é"),
        ("", ""),
    ] {
        assert_eq!(expand(text, &values), wanted, "{text}");
    }
    for bad in ["{x}", "{", "{port", "{ port}", "a{}b"] {
        assert!(template::check(bad).is_err(), "{bad}");
    }
}

fn web(rest: &str) -> std::sync::Arc<Worker> {
    valid(&[program("web", rest)]).workers.into_values().next().unwrap()
}

#[test]
fn a_digest_changes_only_with_what_needs_a_new_run() {
    let base = web("").run_digest();
    assert_eq!(base.len(), 16);
    assert_eq!(base, web("").run_digest());
    for same in [
        "replicas = 4",
        "order = 3",
        "role = \"x\"",
        "[worker.resources]\ncpu = { limit = 3 }\nmemory = { limit = \"1G\" }\ntasks_max = 5",
        "[worker.restart]\nbackoff = { cap = \"9s\" }\nbreaker = \"off\"",
        "[worker.probe.liveness]\nhttp = \"http://127.0.0.1:{port}/\"",
        "[worker.drain]\nsignal = \"SIGUSR1\"",
        "[worker.ready]\nnotify = true",
        "[worker.metrics]\nscrape = \"http://127.0.0.1/\"\nperiod = \"5s\"\nallow = [\"a*\"]\nbuckets = { a = [1] }",
    ] {
        assert_eq!(web(same).run_digest(), base, "{same}");
    }
    let mut seen = vec![base];
    for other in [
        "team = \"x\"",
        "user = \"a\"",
        "group = \"a\"",
        "environment = { A = \"B\" }",
        "environment = { AB = \"\" }",
        "environment_file = \"/a\"",
        "credentials = [\"a\"]",
        "credentials = [\"a\", \"b\"]",
        "working_directory = \"/a\"",
        "[worker.restart]\npolicy = \"never\"",
        "[worker.restart]\nunsupervised_after = \"off\"",
        "[worker.restart]\nunsupervised_after = \"40s\"",
        "[worker.stop]\nsignal = \"SIGINT\"",
        "[worker.stop]\ntimeout = \"1s\"",
        "[worker.metrics]\nstatsd = false",
        "[worker.metrics]\nmultiprocess = false",
        "[worker.sandbox]\nPrivateTmp = true",
        "[worker.sandbox]\nPrivateTmp = false",
        "[worker.resources]\ngpus = { limit = 1 }",
        "[worker.probe.liveness]\nnotify = true",
        "[worker.probe.liveness]\nnotify = true\nperiod = \"5s\"",
    ] {
        let digest = web(other).run_digest();
        assert!(!seen.contains(&digest), "{other}");
        seen.push(digest);
    }
}

/// A stored digest is compared with that of a later version: the figure itself must stay.
#[test]
fn a_digest_is_stable() {
    assert_eq!(web("").run_digest(), "fb02af95915ff730");
}

#[test]
fn live_limits_leave_out_gpus() {
    let limits = web("[worker.resources]\ntasks_max = 5\ngpus = { limit = 1 }").live_limits();
    assert_eq!((limits.tasks_max, limits.gpus_limit), (Some(5), 0));
}
