//! Every screen at 80 columns, against `tests/golden/NAME.txt`.

use crate::bus::proxy::Gpus;
use crate::bus::proxy::fleet::FleetState;
use crate::ctl::fixtures as fix;
use crate::ctl::render::{Style, fleet, gpu, listings, node, runs, worker};
use reeve_core::election::NodeName;
use reeve_core::fleet::broker::broker_config;
use serde_json::json;
use std::path::Path;

/// Compares with the golden text, and keeps lines that a style cuts within its width.
fn check(name: &str, seen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    if std::env::var_os("REEVE_BLESS").is_some() {
        std::fs::write(&path, seen).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(seen == golden, "{name} differs from {}; seen:\n{seen}", path.display());
}

fn narrow(name: &str, seen: &str) {
    check(name, seen);
    for line in seen.lines() {
        assert!(line.chars().count() <= 80, "wider than 80: {line}");
    }
}

#[test]
fn node_screens() {
    let style = fix::style();
    narrow("status", &node::screen(&fix::node(), &fix::workers(), &style));
    narrow("status-empty", &node::screen(&fix::empty_node(), &[], &style));
    let ascii = Style { utf8: false, color: true, width: None, ..style };
    let coloured = node::screen(&fix::node(), &fix::workers(), &ascii);
    check("status-color-ascii", &coloured.replace('\x1b', "^["));
    assert!(coloured.is_ascii());
}

#[test]
fn worker_screens() {
    let style = fix::style();
    let w = fix::executor();
    narrow("status-worker", &worker::worker(&w, &fix::runs(), fix::LOG, &style));
    let one = worker::replica(&w, &w.replicas[0], &[], "", &style);
    narrow("status-replica", &one);
    let two = worker::replica(&w, &w.replicas[1], &fix::runs(), fix::LOG, &style);
    narrow("status-replica-failed", &two);
}

#[test]
fn gpu_screens() {
    let style = fix::style();
    narrow("gpu", &gpu::list(&fix::gpus(), &style));
    let away =
        Gpus { nvml: "unavailable".into(), reason: Some("the NVIDIA driver is not loaded".into()), cards: vec![] };
    narrow("gpu-away", &gpu::list(&away, &style));
}

#[test]
fn fleet_screens() {
    let style = fix::style();
    for (name, state) in [
        ("fleet-status", fix::fleet::leader()),
        ("fleet-status-isolated", fix::fleet::isolated()),
        ("fleet-status-observer", fix::fleet::observer()),
        ("fleet-status-alone", fix::fleet::alone()),
        ("fleet-status-silent", FleetState { node: "gpu-07".to_owned(), ..FleetState::default() }),
    ] {
        narrow(name, &fleet::status(&state, &style));
    }
    narrow("fleet-nodes", &fleet::nodes(&fix::fleet::nodes(), &style));
    check("fleet-nodes-full", &fleet::nodes(&fix::fleet::nodes(), &style.unbounded()));
    narrow("fleet-nodes-empty", &fleet::nodes(&[], &style));
    narrow("fleet-slots", &fleet::slots(&fix::fleet::slots(), &style));
    check("fleet-slots-full", &fleet::slots(&fix::fleet::slots(), &style.unbounded()));
    narrow("fleet-slots-empty", &fleet::slots(&[], &style));
    narrow("fleet-why", &fleet::past(&fix::fleet::past(), &style));
    narrow("fleet-why-empty", &fleet::past(&[], &style));
    narrow("fleet-ask", &fleet::granted(&fix::fleet::slots()[0], &style));
}

#[test]
fn a_brokers_configuration() {
    let voters = ["gpu-05", "gpu-06"].map(|n| NodeName::new(n).unwrap());
    check("broker-config", &broker_config("lab", &voters, &["ops".to_owned()]));
}

#[test]
fn listing_screens() {
    let style = fix::style();
    narrow("list", &listings::workers(&fix::workers(), &style));
    narrow("runs", &runs::table_of(&fix::runs(), &style));
    narrow("runs-log", &runs::with_logs(&fix::runs(), &style));
    narrow("plan", &listings::plan(&fix::plan(), &style));
    narrow("plan-empty", &listings::plan(&[], &style));
    narrow("audit", &listings::audit(&fix::audit(), &style));
    let events: String = fix::events().iter().map(|e| listings::event(e, &style)).collect();
    check("events", &events);
}

#[test]
fn config_screens() {
    let style = fix::style();
    check("config-check", &listings::marks(&fix::marks(), &style));
    narrow("config-check-valid", &listings::marks(&[], &style));
    let rows = [
        ("workers.web.replicas", "2", "3"),
        ("workers.db.exec", "", "[\"/usr/sbin/database\", \"--port\", \"{port}\", \"--data\", \"/srv\"]"),
    ]
    .map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    narrow("config-diff", &listings::diff(&rows, &style));
    let facts = json!({
        "value": "45s", "origin": "/etc/reeve/workers.d/web.toml:12", "default": "30s",
        "unit": "span", "range": "0 to 1h", "requirement": "",
        "text": "Grace between the stop signal and the kill of the whole cgroup."
    });
    let facts = facts.as_object().unwrap();
    narrow("config-explain", &listings::explain("worker.stop.timeout", facts, &style));
}
