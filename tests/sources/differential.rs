//! Beside node_exporter on the same machine: every series that both have must agree within one sample.
//!
//! Ours are taken before and after each of its scrapes. What only grows must lie between the two; what goes up and down
//! must do so in one of the rounds at least.

use super::picture::{handle, picture};
use super::{samples, tick};
use reeve::sources::SourcesConfig;
use reeve_core::metrics::parse::{Limits, parse};
use reeve_core::metrics::{Foreign, Kind, families};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAMS: [&str; 3] =
    ["/usr/bin/prometheus-node-exporter", "/usr/bin/node_exporter", "/usr/local/bin/node_exporter"];

/// Debian's package has other defaults than its authors, which ours follow.
const FLAGS: [&str; 4] = [
    "--collector.netdev.device-exclude=^(veth|br-|docker|podman|cni|cali|cilium|lxc|lxdbr|virbr|vnet|flannel|vxlan|tunl).*$",
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
    r"--collector.diskstats.device-exclude=^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
    "--log.level=error",
];

/// Families that not every version of it has.
const NEWER: [&str; 1] = ["node_pressure_irq_stalled_seconds_total"];

const ROUNDS: usize = 40;

struct Exporter {
    child: Child,
    port: u16,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exporter {
    fn start() -> Option<Self> {
        let program = PROGRAMS.into_iter().find(|p| Path::new(p).exists())?;
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(FLAGS).arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let exporter = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "node_exporter does not answer");
            std::thread::yield_now();
        }
        Some(exporter)
    }

    fn scrape(&self) -> Series {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        series(&parse(body, &Limits { series: 100_000, ..Limits::default() }).unwrap().foreign)
    }
}

type Key = (String, BTreeMap<String, String>);
type Series = BTreeMap<Key, (Kind, f64)>;

/// Series by name and labels; an empty label is none.
fn series(foreign: &Foreign) -> Series {
    let mut all = Series::new();
    for (name, family) in foreign.iter().filter(|(name, _)| name.starts_with("node_")) {
        for line in &family.lines {
            let labels = line.labels.pairs().into_iter().filter(|(_, value)| !value.is_empty()).collect();
            all.insert((name.to_owned(), labels), (family.kind, line.value));
        }
    }
    all
}

fn ours() -> Series {
    let (_pictures, workers) = handle(picture(&[]));
    let config = SourcesConfig { hardware: true, network_filesystems: true, ..SourcesConfig::default() };
    series(&Foreign::from(&samples(tick(&config, &workers), |_| true)))
}

/// A value between two others, with what text rounds away and what looking itself adds: each tick of ours opens files.
fn between(family: &str, value: f64, one: f64, other: f64) -> bool {
    let room = if family == "node_filefd_allocated" { 64.0 } else { value.abs() * 1e-9 };
    (one.min(other) - room..=one.max(other) + room).contains(&value)
}

#[test]
fn met_01_every_shared_series_agrees_with_node_exporter() {
    let Some(exporter) = Exporter::start() else {
        eprintln!("skipped: no node_exporter here (apt-get install prometheus-node-exporter)");
        return;
    };
    let all: BTreeSet<_> = families::all().map(|family| family.name).collect();
    let mut before = ours();
    let mut apart: BTreeMap<Key, String> = BTreeMap::new();
    let mut agreed: BTreeSet<Key> = BTreeSet::new();
    for round in 0..ROUNDS {
        let theirs = exporter.scrape();
        let after = ours();
        let shared = |key: &&Key| all.contains(key.0.as_str());
        for key in theirs.keys().filter(shared) {
            let (kind, value) = theirs[key];
            let (Some((our_kind, one)), Some((_, other))) = (before.get(key), after.get(key)) else {
                // A link whose speed nobody knows is -1 to it, and absent here.
                let unknown = key.0 == "node_network_speed_bytes" && value < 0.0;
                assert!(unknown, "{key:?} is not among ours");
                continue;
            };
            assert_eq!(our_kind.text(), kind.text(), "{}", key.0);
            if between(&key.0, value, *one, *other) {
                agreed.insert(key.clone());
            } else {
                let what = format!("{one} {value} {other}");
                assert!(kind != Kind::Counter, "{key:?}: theirs is not between ours: {what}");
                apart.insert(key.clone(), what);
            }
        }
        for key in after.keys().filter(|key| before.contains_key(*key) && !theirs.contains_key(*key)) {
            assert!(NEWER.contains(&key.0.as_str()), "{key:?} is not among node_exporter's");
        }
        before = after;
        apart.retain(|key, _| !agreed.contains(key));
        if round > 2 && apart.is_empty() {
            break;
        }
    }
    assert!(apart.is_empty(), "never between two of ours: {apart:#?}");
    let families: BTreeSet<_> = agreed.iter().map(|key| key.0.as_str()).collect();
    eprintln!("{} series of {} families agree", agreed.len(), families.len());
    assert!(families.len() > 50, "{families:?}");
}
