//! The family table against promtool, and one golden page per format.
//!
//! `REEVE_REWRITE=1 cargo test --test metrics` writes the pages anew; read the difference before committing it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use reeve_core::election::NodeName;
use reeve_core::event::ProbeKind;
use reeve_core::fleet::{
    BrokerStatus, FleetStatus, FleetTallies, LinkCounters, NodeEntry, NodeState, SlotId, SlotStatus,
};
use reeve_core::metrics::Told;
use reeve_core::metrics::families::{NODE_LOAD1, all};
use reeve_core::metrics::foreign::{Foreign, Line, Part};
use reeve_core::metrics::parse::{Dropped, Limits, parse};
use reeve_core::metrics::text::{Format, Page};
use reeve_core::metrics::{
    Board, Caps, Family, Histogram, Kind, Labels, Report, Samples, Selection, Value, fleet, supervisor,
};
use reeve_core::replica::{ProbeTally, Tallies};
use reeve_core::status::{NodeStatus, ReplicaStatus, Snapshot, Vitals, WorkerStatus};
use reeve_core::{Mono, Now, Wall};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const NOW: Now = Now { mono: Mono(Duration::from_secs(1000)), wall: Wall(1_700_000_000_000_000) };

/// One sample of a family, every label filled in.
fn sample(samples: &mut Samples, family: &'static Family) {
    let pairs: Vec<_> = family.labels.iter().map(|label| (*label, "x")).collect();
    let value = match family.kind {
        Kind::Histogram => {
            let mut histogram = Histogram::new(vec![0.5, 1.0]);
            histogram.observe(0.7);
            Value::Histogram(Arc::new(histogram))
        }
        _ => Value::Number(1.0),
    };
    samples.add(family, Labels::new(&pairs), value);
}

fn rendered(samples: &Samples, format: Format) -> String {
    let mut page = Page::new();
    page.add(samples, &|_| true);
    page.render(format)
}

/// MET-17: every family but those named after node_exporter is clean for promtool, names and helps alike.
#[test]
fn met_17_promtool_has_no_complaint() {
    let mut samples = Samples::new();
    all().filter(|family| !family.name.starts_with("node_")).for_each(|family| sample(&mut samples, family));
    assert!(samples.len() > 60);
    let text = rendered(&samples, Format::Text);
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = promtool.spawn() else {
        eprintln!("promtool is not installed (apt-get install prometheus): skipped");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// MET-18: every family of the table reads back from both formats with its kind.
#[test]
fn met_18_every_family_reads_back() {
    let mut samples = Samples::new();
    all().for_each(|family| sample(&mut samples, family));
    for format in [Format::Text, Format::OpenMetrics] {
        let text = rendered(&samples, format);
        let limits = Limits { series: 100_000, ..Limits::default() };
        let parsed = parse(&text, &limits).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(parsed.dropped, Dropped::default());
        for family in all() {
            let found = parsed.foreign.get(family.name).unwrap_or_else(|| panic!("{} is lost", family.name));
            let of_kind = found.kind == family.kind
                || (format == Format::Text && family.kind == Kind::Info)
                || (family.kind == Kind::Counter && !family.name.ends_with("_total"));
            assert!(of_kind && found.help == family.help, "{}: {found:?}", family.name);
        }
    }
}

fn replica(index: u32, state: &'static str, vitals: Vitals) -> Arc<ReplicaStatus> {
    let up = state == "ready";
    Arc::new(ReplicaStatus {
        gpus: Vec::new(),
        id: format!("web/{index}").parse().unwrap(),
        state,
        reason: String::new(),
        since: Wall(0),
        ready: up,
        health: if up { "healthy" } else { "unknown" },
        pid: None,
        run: up.then(|| "0123456789abcdef0123456789abcdef".parse().unwrap()),
        started: up.then_some(Wall(1_699_999_000_500_000)),
        unit: Some(format!("reeve-web-{index}.service")),
        cgroup: None,
        port: None,
        restarts: 0,
        next_start: (!up).then(|| NOW.wall.plus(Duration::from_millis(2500))),
        last_exit: None,
        holds: Vec::new(),
        status_text: None,
        active_tasks: up.then_some(3),
        queue_depth: None,
        outdated: false,
        vitals,
    })
}

fn node(state: NodeState) -> Arc<NodeEntry> {
    let (heard, heard_mono) = (NOW.wall, NOW.mono);
    Arc::new(NodeEntry { state, voter: true, heard, heard_mono, source: "report", gone: false, report: None })
}

/// As its leader sees it: a node is lost, one slot is held and one waited for, the second broker is away.
fn a_fleet() -> FleetStatus {
    let name = |text: &str| NodeName::new(text).unwrap();
    let slot = |id: &str, state| SlotStatus {
        id: id.parse::<SlotId>().unwrap(),
        kind: "reboot".into(),
        group: String::new(),
        state,
        reason: String::new(),
        since: Wall(0),
        expires: None,
        fence: None,
        position: None,
        blocked: String::new(),
    };
    let broker = |url: &str, connected| BrokerStatus { url: url.into(), connected, reason: String::new() };
    let mut link = LinkCounters { sent: 900, received: 1200, connects: 2, lost: 1, ..LinkCounters::new("mqtt://a") };
    [2, 4, 1250].iter().for_each(|millis| link.observe(Duration::from_millis(*millis)));
    let states = [
        ("gpu-05", NodeState::Alive),
        ("gpu-06", NodeState::Alive),
        ("gpu-07", NodeState::Late),
        ("x", NodeState::Lost),
    ];
    FleetStatus {
        fleet: "lab".into(),
        role: "leader",
        term_number: 7,
        leader: Some(name("gpu-05")),
        quorum: true,
        lease_end: Some(NOW.mono + Duration::from_millis(1400)),
        voters: ["gpu-05", "gpu-06", "gpu-07"].map(|node| (name(node), Some(true))).into(),
        brokers: vec![broker("mqtt://a", true), broker("mqtts://b:8883", false)],
        links: vec![link, LinkCounters { lost: 40, ..LinkCounters::new("mqtts://b:8883") }],
        frozen: Some("exam week".into()),
        nodes: Arc::new(states.map(|(node_name, state)| (name(node_name), node(state))).into()),
        slots: Arc::new(vec![slot("gpu-05/1.1", "granted"), slot("gpu-06/4.2", "queued")]),
        tallies: FleetTallies {
            leader_changes: 3,
            stood: 3,
            won: 2,
            lost: 1,
            last_election: Some(Duration::from_millis(120)),
            dropped: [("duplicate", 310), ("old-term", 2)].into(),
            ignored: 1,
            slots: [("granted", 4), ("released", 3), ("held again", 1)].into(),
        },
        ..FleetStatus::default()
    }
}

fn picture() -> Snapshot {
    let mut probe = ProbeTally::default();
    probe.count(Ok(Duration::from_millis(3)));
    probe.count(Err("refused"));
    let well = Vitals {
        breaker: "closed",
        heartbeat: Some(Mono(Duration::from_secs(997))),
        probes: [(ProbeKind::Readiness, probe)].into(),
        ..Vitals::default()
    };
    let counts = |pairs: &[(&str, u64)]| pairs.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
    let tallies = Tallies {
        restarts: counts(&[("exit", 2), ("oom", 1)]),
        codes: [(1, 2)].into(),
        signals: [(9, 1)].into(),
        unseen: 1,
        oom_kills: 1,
    };
    let sick = Vitals { tallies, breaker: "open", ..Vitals::default() };
    let worker = WorkerStatus {
        name: "web".parse().unwrap(),
        team: "front".parse().unwrap(),
        role: Some("executor".into()),
        wanted: 2,
        ready: 1,
        state: "crash-loop",
        reason: String::new(),
        since: Wall(0),
        restarts: 3,
        health: "unknown",
        digest: "62dbcd90e33be4c9".into(),
        order: 50,
        depends_on: Vec::new(),
        replicas: vec![replica(1, "ready", well), replica(2, "crash-loop", sick)],
    };
    Snapshot {
        gpus: Arc::default(),
        fleet: Arc::new(a_fleet()),
        at: NOW.wall,
        node: NodeStatus {
            name: "gpu-05".into(),
            state: "degraded",
            config_generation: 4,
            config_since: Wall(1_699_999_000_000_000),
            components: BTreeMap::from([("bus".into(), String::new()), ("metrics".into(), "in use".into())]),
            ..NodeStatus::default()
        },
        workers: [(worker.name.clone(), Arc::new(worker))].into(),
        operations: Vec::new(),
    }
}

fn board() -> Board {
    let mut board = Board::new(Caps::default());
    let mut samples = Samples::new();
    samples.put(&NODE_LOAD1, 0.25);
    let look = |source, outcome| Report { source, at: NOW.mono, took: Duration::from_micros(1500), outcome };
    board.take(look("load", Ok(samples)), NOW);
    board.take(look("gpu", Err("no driver".to_owned())), NOW);
    let mut own = Foreign::new();
    let line = |part, value| Line { part, labels: Labels::new(&[("model", "a\"b")]), value };
    own.add("vllm_requests_total", Kind::Counter, line(Part::Value, 12.0));
    own.add("vllm_wait_seconds", Kind::Summary, line(Part::Quantile(0.5), 0.125));
    own.add("vllm_wait_seconds", Kind::Summary, line(Part::Count, 4.0));
    own.family("vllm_requests_total", Kind::Counter).help = "Requests \"done\".".into();
    let who = [("worker", "web"), ("replica", "1"), ("role", "executor")];
    let (id, period) = ("web/1".parse().unwrap(), Duration::from_secs(15));
    let told = Told { foreign: own.labelled(&who), dropped: Dropped { over: 2, ..Dropped::default() } };
    board.take_foreign(id, told, period, NOW);
    board.pinged();
    board
}

/// MET-18, OBS-01: a whole page, byte for byte, in each format.
#[test]
fn met_18_golden_pages() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let known = board().exposition();
    let picture = picture();
    let beside = [
        ("self", known.about(NOW.mono)),
        ("supervisor", supervisor::samples(&picture, NOW)),
        ("fleet", fleet::samples(&picture, NOW)),
    ];
    for (format, name) in [(Format::Text, "metrics.prom"), (Format::OpenMetrics, "metrics.openmetrics")] {
        let text = known.page(&beside, NOW.mono, &Selection::all()).render(format);
        let path = folder.join(name);
        if std::env::var_os("REEVE_REWRITE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text, "{name}");
        assert!(parse(&text, &Limits::default()).is_ok());
    }
}
