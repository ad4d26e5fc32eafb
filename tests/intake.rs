//! What workers say of themselves, from outside: real `reeved`, real workers, the page that Prometheus reads.
//!
//! The workers are this very program, started with [`plays_the_worker`] as the only test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any of it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const PART: &str = "REEVE_TEST_PART";

// -- the workers ---------------------------------------------------------------------------------------------------------

/// No test: the part that a worker plays.
#[test]
#[ignore = "played by workers of the other tests"]
fn plays_the_worker() {
    match std::env::var(PART).as_deref() {
        Ok("page") => serve(true),
        Ok("hung") => serve(false),
        Ok("sender") => send(),
        Ok("flood") => flood(),
        Ok("folder") => folder(),
        _ => {}
    }
}

/// A page of its own; or a listener that takes every connection and never answers.
fn serve(answers: bool) {
    let listener = TcpListener::bind(("127.0.0.1", std::env::var("PORT").unwrap().parse::<u16>().unwrap())).unwrap();
    let mut open = Vec::new();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        if answers {
            let mut head = String::new();
            BufReader::new(&stream).read_line(&mut head).unwrap();
            assert!(head.starts_with("GET /metrics "), "{head}");
            let page = "# TYPE queue_depth gauge\nqueue_depth{worker=\"liar\",queue=\"a\"} 7\nsecret 1\n\
                        # HELP done_total Things done.\n# TYPE done_total counter\ndone_total 5\n";
            let length = page.len();
            // The reader may have gone.
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}");
        } else {
            open.push(stream);
        }
    }
}

fn socket() -> (UnixDatagram, PathBuf) {
    let path = std::env::var("STATSD_SOCKET").unwrap();
    assert_eq!(std::env::var("DD_DOGSTATSD_URL").unwrap(), format!("unix://{path}"));
    (UnixDatagram::unbound().unwrap(), path.into())
}

/// Some of everything, five times a second; the sessions end when the file says so.
fn send() {
    let (socket, path) = socket();
    let done = std::env::var("REEVE_TEST_DONE").unwrap();
    loop {
        let sessions = if Path::new(&done).exists() { 0 } else { 3 };
        let text = format!(
            "agent.tasks:1|c|#outcome:ok,pid:7\nqueue_depth:4|g\nactive_tasks:2|g\nresponse_time:30|ms\n\
             sessions:{sessions}|g\nnonsense\n_e{{1,1}}:a|b"
        );
        socket.send_to(text.as_bytes(), &path).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A label value for each datagram.
fn flood() {
    let (socket, path) = socket();
    for n in 0..3000 {
        socket.send_to(format!("hits:1|c|#outcome:o{n}").as_bytes(), &path).unwrap();
    }
    loop {
        std::thread::park();
    }
}

/// Counts what an earlier run has left, and leaves something.
fn folder() {
    let (socket, path) = socket();
    let folder = PathBuf::from(std::env::var("PROMETHEUS_MULTIPROC_DIR").unwrap());
    let left = std::fs::read_dir(&folder).unwrap().count();
    std::fs::create_dir(folder.join("deep")).unwrap();
    std::fs::write(folder.join("deep/counter_1.db"), "x").unwrap();
    loop {
        socket.send_to(format!("left:{left}|g\nbegun:{}|g", std::process::id()).as_bytes(), &path).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
}

// -- the node --------------------------------------------------------------------------------------------------------------

struct Node {
    dir: tempfile::TempDir,
    reeved: Child,
}

impl Node {
    /// `workers`: name, part, and what follows `[worker]`'s own keys.
    fn start(workers: &[(&str, &str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("ri").tempdir().unwrap();
        let folder = dir.path().join("etc/reeve/workers.d");
        std::fs::create_dir_all(&folder).unwrap();
        let program = std::env::current_exe().unwrap();
        for (name, part, rest) in workers {
            let done = dir.path().join("done");
            let text = format!(
                "[worker]\nrole = \"tester\"\nexec = [{program:?}, \"--exact\", \"plays_the_worker\", \"--ignored\"]\n\
                 environment = {{ {PART} = \"{part}\", REEVE_TEST_DONE = {done:?} }}\n{rest}\n"
            );
            std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
        }
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let reeved = Command::new(env!("CARGO_BIN_EXE_reeved"))
            .arg("--root")
            .arg(dir.path())
            .args(["--launcher", "direct"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { dir, reeved }
    }

    /// The page that Prometheus reads; empty while there is none.
    fn page(&self) -> String {
        let Ok(mut stream) = UnixStream::connect(self.dir.path().join("run/reeve/metrics.sock")) else {
            return String::new();
        };
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut text = String::new();
        match stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut text)) {
            Ok(_) => text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Reads the page until it is as wanted.
    fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let page = self.page();
            if wanted(&page) {
                return page;
            }
            if begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                let own: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
                panic!("{what}: not within {PATIENCE:?}\n{}\n{log}", own.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn reevectl(&self, words: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reevectl"));
        let output = command.arg("--root").arg(self.dir.path()).args(words).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.reeved.id().to_string()]).status();
        let begun = Instant::now();
        while self.reeved.try_wait().is_ok_and(|ended| ended.is_none()) {
            if begun.elapsed() > Duration::from_secs(20) {
                let _ = self.reeved.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The value of a series as it stands on the page.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn who(worker: &str, index: u32) -> String {
    format!("worker=\"{worker}\",replica=\"{index}\",role=\"tester\"")
}

const QUICK: &str = "[worker.metrics]\nscrape = \"http://127.0.0.1:{port}/metrics\"\nperiod = \"1s\"\n";

/// MET-08, MET-05: both ways in, labels that Reeve says, what follows from tasks; gauges end with the run and counters
/// stay; the picture shows the queue.
#[test]
fn met_08_what_workers_say_is_shown_and_ends_with_the_run() {
    let page = format!("replicas = 2\n{QUICK}allow = [\"queue_*\", \"done_*\"]\n");
    let node = Node::start(&[("page", "page", &page), ("sender", "sender", "[worker.stop]\ntimeout = \"1s\"")]);
    let queue = |index| format!("queue_depth{{{},queue=\"a\"}}", who("page", index));
    let sender = who("sender", 1);
    let seen = node.until("series of both", |page| {
        value(page, &queue(1)) == Some(7.0)
            && value(page, &queue(2)) == Some(7.0)
            && value(page, &format!("task_throughput{{{sender}}}")).is_some_and(|rate| rate > 0.0)
    });
    for series in ["reeve_worker_scrape_success", "reeve_worker_scrape_duration_seconds", "reeve_worker_scrape_series"]
    {
        assert!(value(&seen, &format!("{series}{{{}}}", who("page", 2))).is_some(), "{series}\n{seen}");
    }
    assert!(!seen.contains("liar") && !seen.contains("secret") && !seen.contains("pid=\"7\""), "{seen}");
    let tasks = format!("reeve_agent_tasks_total{{{sender},outcome=\"ok\"}}");
    assert!(value(&seen, &tasks).is_some());
    assert!(value(&seen, &format!("response_time_bucket{{{sender},le=\"0.04\"}}")).is_some_and(|n| n > 0.0), "{seen}");
    assert!(value(&seen, &format!("reeve_agent_response_seconds_count{{{sender}}}")).is_some());
    let dropped = |reason| format!("reeve_worker_statsd_dropped_total{{{sender},reason=\"{reason}\"}}");
    assert!(value(&seen, &dropped("malformed")) > Some(0.0) && value(&seen, &dropped("event")) > Some(0.0));
    let status = node.reevectl(&["--json", "status", "sender"]);
    assert!(status.contains("\"queue_depth\":4") || status.contains("\"queue_depth\": 4"), "{status}");
    assert!(node.reevectl(&["status", "sender/1"]).contains("2 in hand, 4 waiting"));

    node.reevectl(&["stop", "page/1"]);
    node.reevectl(&["stop", "sender"]);
    let after = node.until("gauges gone", |page| {
        value(page, &queue(1)).is_none() && value(page, &format!("queue_depth{{{sender}}}")).is_none()
    });
    assert_eq!(value(&after, &format!("done_total{{{}}}", who("page", 1))), Some(5.0), "counters stay\n{after}");
    assert!(value(&after, &tasks).is_some(), "counters stay\n{after}");
    assert_eq!(value(&after, &format!("task_throughput{{{sender}}}")), None);
    assert_eq!(value(&after, &queue(2)), Some(7.0), "its neighbour goes on");
    assert_eq!(value(&after, &format!("reeve_worker_scrape_success{{{}}}", who("page", 1))), None);

    // It leaves the configuration, and all that it said goes; another comes in the same moment.
    let workers = node.dir.path().join("etc/reeve/workers.d");
    std::fs::rename(workers.join("sender.toml"), workers.join("late.toml")).unwrap();
    node.reevectl(&["reload"]);
    node.until("a worker that came later", |page| {
        value(page, &format!("queue_depth{{{}}}", who("late", 1))) == Some(4.0)
    });
    node.until("all of it gone", |page| !page.is_empty() && !page.contains("worker=\"sender\""));
    assert!(!node.dir.path().join("run/reeve/metrics/sender-1").exists());
}

/// HLT-03, MET-17: a page that hangs delays nobody; a flood is capped and counted.
#[test]
fn hlt_03_a_hung_page_and_a_flood_harm_nobody() {
    let capped = "[worker.metrics]\nmax_series = 20\n";
    let hung = format!("{QUICK}timeout = \"900ms\"\n");
    let node = Node::start(&[("hung", "hung", &hung), ("page", "page", QUICK), ("flood", "flood", capped)]);
    let flood = who("flood", 1);
    let over = format!("reeve_worker_statsd_dropped_total{{{flood},reason=\"worker-cap\"}}");
    let success = |name| format!("reeve_worker_scrape_success{{{}}}", who(name, 1));
    let seen = node.until("each as it is", |page| {
        value(page, &success("hung")) == Some(0.0)
            && value(page, &success("page")) == Some(1.0)
            && value(page, &over) == Some(2980.0)
    });
    assert_eq!(seen.lines().filter(|line| line.starts_with("hits_total{")).count(), 20);
    let took = value(&seen, &format!("reeve_worker_scrape_duration_seconds{{{}}}", who("hung", 1))).unwrap();
    assert!((0.8..5.0).contains(&took), "{took}");
    for _ in 0..20 {
        let begun = Instant::now();
        let page = node.page();
        assert!(begun.elapsed() < Duration::from_secs(2), "the node's own page waits for nobody");
        assert_eq!(value(&page, &success("page")), Some(1.0));
    }
}

/// MET-08: each run finds its folder for multiprocess metrics empty.
#[test]
fn met_08_each_run_has_an_empty_folder() {
    let node = Node::start(&[("folder", "folder", "[worker.stop]\ntimeout = \"1s\"")]);
    let series = |name: &str| format!("{name}{{{}}}", who("folder", 1));
    let first = node.until("the first run", |page| value(page, &series("left")).is_some());
    assert_eq!(value(&first, &series("left")), Some(0.0));
    let begun = value(&first, &series("begun"));
    node.reevectl(&["restart", "folder"]);
    let second = node.until("the second run", |page| value(page, &series("begun")).is_some_and(|n| Some(n) != begun));
    assert_eq!(value(&second, &series("left")), Some(0.0));
}

/// ORD-06, MET-08: a drain waits for a value that comes as a datagram.
#[test]
fn ord_06_a_drain_ends_by_what_the_worker_sends() {
    let drain = "[worker.drain]\nuntil = { metric = \"sessions\", equals = 0 }\ntimeout = \"50s\"\n\
                 [worker.stop]\ntimeout = \"1s\"";
    let node = Node::start(&[("sender", "sender", drain)]);
    let state = |state: &str| format!("reeve_worker_state{{{},state=\"{state}\"}}", who("sender", 1));
    node.until("sessions", |page| value(page, &format!("sessions{{{}}}", who("sender", 1))) == Some(3.0));
    node.reevectl(&["drain", "sender/1", "--no-wait"]);
    node.until("draining", |page| value(page, &state("draining")).is_some());
    std::fs::write(node.dir.path().join("done"), "").unwrap();
    let page = node.until("stopped", |page| value(page, &state("stopped")).is_some());
    let exits = page.lines().find(|line| line.starts_with("reeve_worker_exits_total{worker=\"sender\"")).unwrap();
    assert!(exits.contains("signal=\"SIGTERM\""), "{exits}");
}
