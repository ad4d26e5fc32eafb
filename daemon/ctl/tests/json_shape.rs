//! Documents have the promised fields, all of them, always; absent values are null.

use crate::ctl::fixtures as fix;
use crate::ctl::json;
use serde_json::{Value, to_value};

fn keys(v: &Value) -> Vec<&str> {
    v.as_object().unwrap().keys().map(String::as_str).collect()
}

fn has(v: &Value, names: &str) {
    for name in names.split(' ') {
        assert!(v.get(name).is_some(), "{name} is missing in {:?}", keys(v));
    }
}

const WORKER: &str = "name team role wanted ready state reason restarts replicas";
const REPLICA: &str = "index state ready pid unit since restarts last_exit";
const RUN: &str = "run worker replica started ended supervised cause exit_code signal peak_memory log_tail";

#[test]
fn workers_have_the_promised_fields() {
    let all = fix::workers();
    let document: Vec<_> = all.iter().map(json::Worker::new).collect();
    let document = to_value(document).unwrap();
    let first = keys(&document[0]);
    for worker in document.as_array().unwrap() {
        has(worker, WORKER);
        assert_eq!(keys(worker), first);
        for replica in worker["replicas"].as_array().unwrap() {
            has(replica, REPLICA);
        }
    }
    assert_eq!(document[2]["role"], Value::Null);
    let dead = &document[1]["replicas"][1];
    assert_eq!(dead["pid"], Value::Null);
    assert_eq!(dead["since"], "2026-11-21T01:10:58.000456Z");
    assert_eq!(dead["last_exit"]["cause"], "exit-code");
    assert_eq!(dead["last_exit"]["signal"], Value::Null);
    assert_eq!(dead["last_exit"]["at"], "2026-11-21T01:10:58.000456Z");
}

#[test]
fn a_worker_status_is_a_worker_with_runs_and_log() {
    let (w, runs) = (fix::executor(), fix::runs());
    let document = to_value(json::WorkerStatus {
        worker: json::Worker::only(&w, Some(2)),
        runs: runs.iter().map(json::Run::new).collect(),
        log: None,
    })
    .unwrap();
    has(&document, WORKER);
    has(&document, "runs log");
    assert_eq!(document["replicas"].as_array().unwrap().len(), 1);
    assert_eq!(document["log"], Value::Null);
}

#[test]
fn runs_have_the_promised_fields() {
    let runs = fix::runs();
    let document: Vec<_> = runs.iter().map(json::Run::new).collect();
    let document = to_value(document).unwrap();
    for run in document.as_array().unwrap() {
        has(run, RUN);
        assert_eq!(keys(run), keys(&document[0]));
    }
    assert_eq!(document[0]["duration_ms"], 2000);
    assert_eq!(document[2]["started"], Value::Null);
    assert_eq!(document[1]["log_tail"], Value::Null);
}

#[test]
fn a_node_has_all_its_fields_even_when_it_says_little() {
    let (node, empty, workers) = (fix::node(), fix::empty_node(), fix::workers());
    let full = to_value(json::Node::new(&node, Some(&workers))).unwrap();
    let bare = to_value(json::Node::new(&empty, None)).unwrap();
    assert_eq!(keys(&full), keys(&bare));
    assert_eq!(full["uptime_ms"], 273_600_000);
    assert_eq!(full["components"]["store"], "no space left on device");
    assert_eq!(bare["reason"], Value::Null);
    assert_eq!(bare["workers"], Value::Null);
}

#[test]
fn gpus_have_all_their_fields() {
    let gpus = fix::gpus();
    let document = to_value(json::Gpus::new(&gpus)).unwrap();
    has(&document, "nvml reason gpus");
    assert_eq!(keys(&document["gpus"][0]), keys(&document["gpus"][1]));
    assert_eq!(document["gpus"][1]["power_watts"], Value::Null);
    assert_eq!(document["gpus"][0]["memory_used"], 94_u64 << 30);
}

#[test]
fn the_fleet_has_the_promised_fields_first() {
    let full = to_value(json::fleet::Status::new(&fix::fleet::leader())).unwrap();
    has(&full, "fleet node role leader term quorum lease_remaining_ms voters brokers reason");
    assert_eq!(full["lease_remaining_ms"], 1_430);
    assert_eq!(full["voters"], serde_json::json!(["gpu-05", "gpu-06", "gpu-07"]));
    has(&full["brokers"][0], "url connected");
    assert_eq!(full["answered"]["gpu-07"], Value::Null);
    let alone = to_value(json::fleet::Status::new(&fix::fleet::alone())).unwrap();
    assert_eq!(keys(&alone), keys(&full));
    assert_eq!((&alone["fleet"], &alone["lease_remaining_ms"]), (&Value::Null, &Value::Null));

    let nodes = fix::fleet::nodes();
    let nodes = to_value(nodes.iter().map(json::fleet::Node::new).collect::<Vec<_>>()).unwrap();
    for node in nodes.as_array().unwrap() {
        has(node, "name state age_ms labels workers gpus");
        assert_eq!(keys(node), keys(&nodes[0]));
    }
    assert_eq!((&nodes[0]["age_ms"], &nodes[2]["version"]), (&Value::from(1_200), &Value::Null));

    let slots = fix::fleet::slots();
    let slots = to_value(slots.iter().map(json::fleet::SlotLine::new).collect::<Vec<_>>()).unwrap();
    for slot in slots.as_array().unwrap() {
        has(slot, "id holder kind group state since expires reason");
        assert_eq!(keys(slot), keys(&slots[0]));
    }
    assert_eq!(slots[0]["expires"], "2026-11-21T01:37:03.000456Z");
    let past = fix::fleet::past();
    has(&to_value(json::fleet::Why::new(&past[0])).unwrap(), "time kind cause text");
}

#[test]
fn prometheus_is_told_where_the_nodes_are() {
    let nodes = fix::fleet::nodes();
    let list =
        |port| to_value(nodes.iter().filter_map(|n| json::fleet::Target::new(n, port)).collect::<Vec<_>>()).unwrap();
    let told = serde_json::json!([{
        "targets": ["10.0.0.7:9723"],
        "labels": { "node": "gpu-07", "state": "alive", "label_role": "gpu", "label_zone_eu_rack": "r1" },
    }]);
    assert_eq!(list(None), told);
    let all = list(Some(9723));
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(all[0], told[0]);
    let lost = serde_json::json!({ "targets": ["obs-1:9723"], "labels": { "node": "obs-1", "state": "lost" } });
    assert_eq!(all[2], lost);
}

#[test]
fn remarks_and_entries() {
    let marks = fix::marks();
    let mark = to_value(json::Mark::new(&marks[1])).unwrap();
    has(&mark, "severity file line column key text");
    assert_eq!(mark["line"], Value::Null);
    let events = fix::events();
    has(&to_value(json::Event::new(&events[0])).unwrap(), "time kind target reason text more");
    let audit = fix::audit();
    has(&to_value(json::Audit::new(&audit[0])).unwrap(), "time uid caller action target result more");
}
