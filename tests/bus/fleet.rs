//! Fleet: pictures, commands, refusals, properties and signals.

use crate::fake::*;
use reeve::host::clock::Clock;
use reeve_core::election::{NodeName, Term, Ver};
use reeve_core::fleet::{
    BrokerStatus, FleetCommand, FleetStatus, GpuReport, Happened, NodeEntry, NodeReport, NodeState, SlotId, SlotStatus,
    WorkerReport,
};
use reeve_core::{Command, Wall};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zbus::{OwnedObjectPath, Variant};

type NodeRow = (String, String, String, u64, Dict);
type SlotRow = (String, String, String, String, u64, Dict);

pub fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

pub fn slot(id: &str, state: &'static str) -> SlotStatus {
    SlotStatus {
        id: id.parse().unwrap(),
        kind: "reboot".into(),
        group: "rack-1".into(),
        state,
        reason: "new kernel".into(),
        since: Wall(3_000),
        expires: (state == "granted").then_some(Wall(1_795_223_523_000_000)),
        fence: (state == "granted").then_some(Ver { term: Term(7), n: 12 }),
        position: (state == "queued").then_some(2),
        blocked: if state == "queued" { "gpu-05 holds the only one".into() } else { String::new() },
    }
}

fn happened(kind: &'static str, subject: &str, cause: &'static str, text: &str) -> Happened {
    Happened { at: Wall(1_795_223_500_000_000), kind, subject: subject.into(), cause, text: text.into() }
}

/// `gpu-07` leads three voters; `obs-1` is lost; two slots.
pub fn led() -> FleetStatus {
    let now = Clock::now();
    let entry = |state, voter| {
        let report = NodeReport {
            version: "0.1.0".into(),
            state: "running".into(),
            labels: BTreeMap::from([("zone".into(), "a".into())]),
            cpus: 64,
            gpus: vec![GpuReport { uuid: "GPU-1".into(), name: "H200".into(), health: "healthy".into() }],
            workers: vec![WorkerReport {
                name: "web".into(),
                ready: 1,
                wanted: 2,
                ports: vec![80],
                ..Default::default()
            }],
            metrics: Some("10.0.0.5:9723".into()),
            ..NodeReport::default()
        };
        let heard_mono = now.mono - Duration::from_secs(4);
        let report = (state != NodeState::Lost).then(|| Arc::new(report));
        Arc::new(NodeEntry { state, voter, heard: Wall(9_000), heard_mono, source: "report", gone: false, report })
    };
    FleetStatus {
        fleet: "lab".into(),
        role: "leader",
        since: Wall(8_000),
        term: "7".into(),
        term_number: 7,
        leader: Some(name("gpu-07")),
        quorum: true,
        lease_end: Some(now.mono + Duration::from_secs(600)),
        contact: Some(Wall(9_500)),
        voters: BTreeMap::from([(name("gpu-05"), Some(true)), (name("gpu-06"), Some(false)), (name("gpu-07"), None)]),
        ver: Ver { term: Term(7), n: 12 },
        commit: Ver { term: Term(7), n: 12 },
        brokers: vec![
            BrokerStatus { url: "mqtts://a:8883".into(), connected: false, reason: "connection refused".into() },
            BrokerStatus { url: "mqtts://b:8883".into(), connected: true, reason: String::new() },
        ],
        report_interval: Duration::from_secs(2),
        nodes: Arc::new(BTreeMap::from([
            (name("gpu-07"), entry(NodeState::Alive, true)),
            (name("obs-1"), entry(NodeState::Lost, false)),
        ])),
        slots: Arc::new(vec![slot("gpu-05/3.1", "granted"), slot("gpu-07/12.1", "queued")]),
        past: Arc::new(vec![
            happened("leader", "gpu-07", "elected", "2 of 3 voters; gpu-06 did not answer"),
            happened("slot", "gpu-05/3.1", "granted", "the only one of rack-1"),
            happened("node", "obs-1", "lost", "obs-1 was not heard for 31 s"),
            happened("slot", "gpu-06/1.1", "released", "held for 5 min"),
        ]),
        ..FleetStatus::default()
    }
}

pub fn show(node: &Node, fleet: FleetStatus) {
    node.change(|s| s.fleet = Arc::new(fleet));
}

async fn served(fleet: FleetStatus) -> (Node, Client) {
    let mut node = Node::private();
    show(&node, fleet);
    let client = node.client().await;
    (node, client)
}

#[tokio::test]
async fn the_fleet_in_one_dictionary() {
    let (_node, mut client) = served(led()).await;
    let reply = client.call(FLEET, "Fleet", "GetStatus", &(none(),)).await.unwrap();
    let status: Dict = reply.body().deserialize().unwrap();
    assert_eq!(text(&status["fleet"]), "lab");
    assert_eq!(text(&status["node"]), "gpu-07");
    assert_eq!(text(&status["leader"]), "gpu-07");
    assert_eq!(*status["term"], Variant::U64(7));
    assert!(matches!(*status["lease_remaining_usec"], Variant::U64(left) if left > 500_000_000));
    let voters: Vec<Dict> = status["voters"].try_clone().unwrap().try_into().unwrap();
    assert_eq!(*voters[1]["answered"], Variant::Bool(false));
    assert!(!voters[2].contains_key("answered"), "absent, not empty");
    let brokers: Vec<Dict> = status["brokers"].try_clone().unwrap().try_into().unwrap();
    assert_eq!(text(&brokers[0]["reason"]), "connection refused");
    let nodes: Dict = status["nodes"].try_clone().unwrap().try_into().unwrap();
    assert_eq!(
        (&*nodes["alive"], &*nodes["late"], &*nodes["lost"]),
        (&Variant::U32(1), &Variant::U32(0), &Variant::U32(1))
    );

    assert_eq!(*client.property(FLEET, "Fleet", "Connected").await, Variant::Bool(true));
    assert_eq!(text(&client.property(FLEET, "Fleet", "Broker").await), "mqtts://b:8883");
    assert_eq!(text(&client.property(FLEET, "Fleet", "LeaderState").await), "leader");
    assert_eq!(*client.property(FLEET, "Fleet", "Term").await, Variant::U64(7));
    assert_eq!(*client.property(FLEET, "Fleet", "LastContact").await, Variant::U64(9_500));
}

#[tokio::test]
async fn a_lease_without_end_is_no_number() {
    let endless = FleetStatus { lease_end: Some(reeve_core::Mono(Duration::MAX)), alone: true, ..led() };
    let (_node, mut client) = served(endless).await;
    let reply = client.call(FLEET, "Fleet", "GetStatus", &(none(),)).await.unwrap();
    let status: Dict = reply.body().deserialize().unwrap();
    assert!(!status.contains_key("lease_remaining_usec"));
    assert_eq!(*client.property(FLEET, "Fleet", "LeaseRemainingUsec").await, Variant::U64(u64::MAX));
}

#[tokio::test]
async fn nodes_and_slots_as_this_voter_knows_them() {
    let (_node, mut client) = served(led()).await;
    let reply = client.call(FLEET, "Fleet", "ListNodes", &(none(),)).await.unwrap();
    let nodes: Vec<NodeRow> = reply.body().deserialize().unwrap();
    let (name, state, role, heard, more) = &nodes[0];
    assert_eq!((name.as_str(), state.as_str(), role.as_str(), *heard), ("gpu-07", "alive", "leader", 9_000));
    assert!(matches!(*more["age_usec"], Variant::U64(age) if age >= 4_000_000));
    assert_eq!(text(&more["metrics"]), "10.0.0.5:9723");
    let workers: Vec<Dict> = more["workers"].try_clone().unwrap().try_into().unwrap();
    assert_eq!(*workers[0]["ready"], Variant::U32(1));
    let (name, state, role, _, more) = &nodes[1];
    assert_eq!((name.as_str(), state.as_str(), role.as_str()), ("obs-1", "lost", "observer"));
    assert!(!more.contains_key("labels"), "it has said nothing");

    let reply = client.call(FLEET, "Fleet", "ListSlots", &(none(),)).await.unwrap();
    let slots: Vec<SlotRow> = reply.body().deserialize().unwrap();
    let (id, holder, kind, state, expires, more) = &slots[0];
    assert_eq!(
        (id.as_str(), holder.as_str(), kind.as_str(), state.as_str()),
        ("gpu-05/3.1", "gpu-05", "reboot", "granted")
    );
    assert_eq!(*expires, 1_795_223_523_000_000);
    assert_eq!(text(&more["fence"]), "7.12");
    let (_, _, _, state, expires, more) = &slots[1];
    assert_eq!((state.as_str(), *expires, &*more["position"]), ("queued", 0, &Variant::U32(2)));
}

#[tokio::test]
async fn an_observer_and_a_fleet_of_one_say_what_they_are() {
    let observer = FleetStatus { role: "observer", nodes: Arc::default(), ..led() };
    let (node, mut client) = served(observer).await;
    let refused = client.call(FLEET, "Fleet", "ListNodes", &(none(),)).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.InvalidState");
    assert_eq!(refused.text, "this node is an observer and keeps no registry; ask a voter: gpu-05, gpu-06, gpu-07");
    show(&node, FleetStatus { alone: true, role: "leader", leader: Some(name("gpu-07")), ..FleetStatus::default() });
    for list in ["ListNodes", "ListSlots"] {
        let reply = client.call(FLEET, "Fleet", list, &(none(),)).await.unwrap();
        assert!(reply.body().data().len() <= 8, "{list} is empty");
    }
    assert_eq!(*client.property(FLEET, "Fleet", "Connected").await, Variant::Bool(true));
    let refused = client.call(FLEET, "Fleet", "BrokerConfig", &(none(),)).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.InvalidState");
    assert!(refused.text.starts_with("no [fleet] is configured"), "{}", refused.text);
    let reply = client.call(FLEET, "Fleet", "Why", &("leader", none())).await.unwrap();
    let why: Vec<(u64, String, String, String)> = reply.body().deserialize().unwrap();
    assert_eq!(why[0].2, "alone");
}

#[tokio::test]
async fn why_tells_what_happened_to_whom() {
    let (_node, mut client) = served(FleetStatus { reason: "gpu-06 is silent".into(), ..led() }).await;
    for (subject, told) in [
        ("leader", &["elected gpu-07: 2 of 3 voters; gpu-06 did not answer", "leader gpu-06 is silent"][..]),
        ("obs-1", &["lost obs-1 was not heard for 31 s"]),
        ("gpu-05", &["granted gpu-05/3.1: the only one of rack-1"]),
        ("gpu-06/1.1", &["released held for 5 min"]),
        ("gpu-07/12.1", &["queued gpu-05 holds the only one"]),
        ("gpu-06", &["released gpu-06/1.1: held for 5 min"]),
    ] {
        let reply = client.call(FLEET, "Fleet", "Why", &(subject, none())).await.unwrap();
        let rows: Vec<(u64, String, String, String)> = reply.body().deserialize().unwrap();
        let said: Vec<_> = rows.iter().map(|(_, _, cause, text)| format!("{cause} {text}")).collect();
        assert_eq!(said, told, "{subject}");
    }
    let reply = client.call(FLEET, "Fleet", "Why", &("", none())).await.unwrap();
    let all: Vec<(u64, String, String, String)> = reply.body().deserialize().unwrap();
    assert_eq!(all.len(), 5);
    for (subject, error) in [("gpu-99", "NoSuchNode"), ("gpu-99/1.1", "NoSuchSlot"), ("a/b", "InvalidArgument")] {
        let refused = client.call(FLEET, "Fleet", "Why", &(subject, none())).await.unwrap_err();
        assert_eq!(refused.name, format!("org.reeve.Error.{error}"), "{subject}");
    }
}

#[tokio::test]
async fn each_method_becomes_its_command_and_its_reason_is_on_record() {
    let (node, mut client) = served(led()).await;
    let id: SlotId = "gpu-07/12.1".parse().unwrap();
    let slot = "gpu-07/12.1";
    let say = |key, yes: bool| opt([(key, Variant::from(yes))]);
    let mut expect = async |method: &str, body: zbus::Structure<'static>, command: FleetCommand| {
        let reply = client.call(FLEET, "Fleet", method, &body).await.unwrap();
        let path: OwnedObjectPath = reply.body().deserialize().unwrap();
        assert!(path.as_str().starts_with("/org/reeve/Node1/task_run/0"), "{method}");
        assert_eq!(node.last().command, Command::Fleet(command), "{method}");
        node.last().caller.reason
    };
    let body = |fields: &[&'static str], opt: std::collections::HashMap<&'static str, Variant<'static>>| {
        let start = fields.iter().fold(zbus::Structure::builder(), |b, f| b.append_field(Variant::from(*f)));
        start.append_field(Variant::from(opt)).build().unwrap()
    };
    use FleetCommand as C;
    let why = expect("Ask", body(&["reboot", "new kernel"], none()), C::Ask { kind: "reboot".into() }).await;
    assert_eq!(why.as_deref(), Some("new kernel"));
    expect("Ask", body(&["reboot", ""], none()), C::Ask { kind: "reboot".into() }).await;
    expect("Release", body(&[slot], none()), C::Release { slot: id.clone(), failed: false }).await;
    expect("Release", body(&[slot], say("failed", true)), C::Release { slot: id.clone(), failed: true }).await;
    let why = expect("Break", body(&[slot, "it burned"], none()), C::Break(id)).await;
    assert_eq!(why.as_deref(), Some("it burned"));
    expect("Freeze", body(&["audit"], none()), C::Freeze).await;
    expect("Unfreeze", body(&[], none()), C::Unfreeze).await;
    expect("Handover", body(&["", "update"], none()), C::HandOver(None)).await;
    expect("Handover", body(&["gpu-05", "update"], none()), C::HandOver(Some(name("gpu-05")))).await;
    expect("Promote", body(&["site lost"], say("force", true)), C::Promote { force: true }).await;
    expect("Demote", body(&["gpu-05", "old"], none()), C::Demote(name("gpu-05"))).await;
    expect("Rejoin", body(&["new disk"], none()), C::Rejoin).await;
    let why = expect("Recover", body(&["fire"], say("i-know", true)), C::Recover).await;
    assert_eq!(why.as_deref(), Some("fire"));

    let trail = node.trail.all();
    let entry = |method: &str| trail.iter().find(|e| e.method == format!("Fleet.{method}")).unwrap();
    assert_eq!(entry("Break").target, "gpu-07/12.1");
    assert_eq!(entry("Break").reason.as_deref(), Some("it burned"));
    assert_eq!(entry("Demote").target, "gpu-05");
    assert_eq!((entry("Handover").target.as_str(), entry("Recover").target.as_str()), ("fleet", "fleet"));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let (node, mut client) = served(led()).await;
    let mut refused = async |method: &str, fields: &[&'static str]| {
        let start = fields.iter().fold(zbus::Structure::builder(), |b, f| b.append_field(Variant::from(*f)));
        let body = start.append_field(Variant::from(none())).build().unwrap();
        let refused = client.call(FLEET, "Fleet", method, &body).await.unwrap_err();
        assert_eq!(refused.name, "org.reeve.Error.InvalidArgument", "{method} {fields:?}");
        refused.text
    };
    for bad in ["", "Reboot", "re boot", "x".repeat(65).leak()] {
        assert!(refused("Ask", &[bad, ""]).await.starts_with("kind: expected a kind such as reboot"), "{bad}");
    }
    for (method, more) in [("Release", &[][..]), ("Break", &["why"])] {
        let text = refused(method, &[&["gpu-07"], more].concat()).await;
        assert!(text.starts_with("slot: \"gpu-07\" is no slot's id"), "{text}");
    }
    let slot = "gpu-07/12.1";
    for (method, fields) in [
        ("Break", &[slot, ""][..]),
        ("Freeze", &[""]),
        ("Handover", &["", ""]),
        ("Promote", &[""]),
        ("Demote", &["gpu-05", ""]),
        ("Rejoin", &[""]),
        ("Recover", &[""]),
    ] {
        let text = refused(method, fields).await;
        assert!(text.starts_with("reason: expected a text that says why"), "{method}: {text}");
    }
    assert!(refused("Demote", &["", "why"]).await.starts_with("node: expected"));
    assert!(refused("Handover", &["a b", "why"]).await.starts_with("node: "));
    let text = refused("Recover", &["fire"]).await;
    assert!(text.contains("i-know") && text.contains("every token of the old one loses"), "{text}");
    assert!(node.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_brokers_configuration_names_voters_and_operators() {
    let (_node, mut client) = served(led()).await;
    let operators = opt([("operators", Variant::from(vec!["ops"]))]);
    let reply = client.call(FLEET, "Fleet", "BrokerConfig", &(operators,)).await.unwrap();
    let config: String = reply.body().deserialize().unwrap();
    for line in ["user gpu-05", "topic write reeve/lab/lead/gpu-07", "topic write reeve/lab/cmd/ops"] {
        assert!(config.lines().any(|l| l == line), "{line}");
    }
    let operators = opt([("operators", Variant::from(vec!["a/b"]))]);
    let refused = client.call(FLEET, "Fleet", "BrokerConfig", &(operators,)).await.unwrap_err();
    assert!(refused.text.starts_with("option operators: node name \"a/b\""), "{}", refused.text);
    let operators = opt([("operators", Variant::from("ops"))]);
    let refused = client.call(FLEET, "Fleet", "BrokerConfig", &(operators,)).await.unwrap_err();
    assert!(refused.text.contains("expected type as"), "{}", refused.text);
}

#[tokio::test]
async fn changes_are_announced_once() {
    let (node, mut client) = served(led()).await;
    // The watcher of the connection has seen the picture when it answers.
    client.call(FLEET, "Fleet", "GetStatus", &(none(),)).await.unwrap();
    let mut next = led();
    (next.leader, next.role, next.term_number) = (None, "isolated", 8);
    next.slots = Arc::new(vec![slot("gpu-07/12.1", "granted")]);
    let mut past = next.past.to_vec();
    past.push(happened("slot", "gpu-05/3.1", "broken", "an operator: it burned"));
    next.past = Arc::new(past);
    show(&node, next.clone());
    let signal = client.signal("LeaderChanged").await;
    assert_eq!(signal.body().deserialize::<(String, u64)>().unwrap(), (String::new(), 8));
    let signal = client.signal("PartitionSuspected").await;
    assert!(signal.body().deserialize::<bool>().unwrap());
    type Slot = (String, String, String, String);
    let row = |a: &str, b: &str, c: &str, d: &str| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned());
    let gone: Slot = client.signal("SlotChanged").await.body().deserialize().unwrap();
    assert_eq!(gone, row("gpu-05/3.1", "gpu-05", "gone", "an operator: it burned"));
    let granted: Slot = client.signal("SlotChanged").await.body().deserialize().unwrap();
    assert_eq!(granted, row("gpu-07/12.1", "gpu-07", "granted", "new kernel"));
    let changed = client.signal("PropertiesChanged").await;
    let (interface, values, _): (String, Dict, Vec<String>) = changed.body().deserialize().unwrap();
    let mut names: Vec<_> = values.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!((interface.as_str(), names), ("org.reeve.Node1.Fleet", vec!["Leader", "LeaderState", "Term"]));
    // Another candidate, another term, still nobody leads; and beats that change no more than gauges.
    next.term_number = 9;
    next.contact = Some(Wall(1));
    show(&node, next);
    let changed = client.signal("PropertiesChanged").await;
    let (_, values, _): (String, Dict, Vec<String>) = changed.body().deserialize().unwrap();
    assert_eq!(values.keys().collect::<Vec<_>>(), ["Term"]);
    assert_eq!(client.others().await, [] as [&str; 0]);
}
