//! The documents of `fleet`. The first fields of each are those that others rely on.

use super::{Outcome, millis, time};
use crate::bus::proxy::fleet::{Broker, FleetNode, FleetState, Past, Slot};
use serde::Serialize;
use std::collections::BTreeMap;

/// `fleet status`.
#[derive(Debug, Serialize)]
pub struct Status<'a> {
    /// Null in a fleet of one.
    fleet: Option<&'a str>,
    node: &'a str,
    role: &'a str,
    leader: Option<&'a str>,
    term: u64,
    quorum: bool,
    /// Null when it does not lead, and when the lease does not end.
    lease_remaining_ms: Option<u64>,
    voters: Vec<&'a str>,
    brokers: Vec<Link<'a>>,
    reason: Option<&'a str>,
    alone: bool,
    since: Option<String>,
    term_text: &'a str,
    contact: Option<String>,
    /// Null: nobody but the leader knows.
    answered: BTreeMap<&'a str, Option<bool>>,
    document: Option<&'a str>,
    committed: Option<&'a str>,
    silence: bool,
    frozen: Option<&'a str>,
    report_interval_ms: Option<u64>,
    nodes: &'a BTreeMap<String, u64>,
    slots: &'a BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Link<'a> {
    url: &'a str,
    connected: bool,
    reason: Option<&'a str>,
}

impl<'a> Status<'a> {
    /// Of what the daemon said.
    pub fn new(f: &'a FleetState) -> Self {
        let link = |b: &'a Broker| Link { url: &b.url, connected: b.connected, reason: b.reason.as_deref() };
        Self {
            fleet: Some(f.fleet.as_str()).filter(|name| !name.is_empty()),
            node: &f.node,
            role: &f.role,
            leader: f.leader.as_deref(),
            term: f.term,
            quorum: f.quorum,
            lease_remaining_ms: f.lease_remaining.map(millis),
            voters: f.voters.iter().map(|v| v.name.as_str()).collect(),
            brokers: f.brokers.iter().map(link).collect(),
            reason: f.reason.as_deref(),
            alone: f.alone,
            since: time(f.since),
            term_text: &f.term_text,
            contact: time(f.contact),
            answered: f.voters.iter().map(|v| (v.name.as_str(), v.answered)).collect(),
            document: f.document.as_deref(),
            committed: f.committed.as_deref(),
            silence: f.silence,
            frozen: f.frozen.as_deref(),
            report_interval_ms: f.report_interval.map(millis),
            nodes: &f.nodes,
            slots: &f.slots,
        }
    }
}

/// One element of `fleet nodes`.
#[derive(Debug, Serialize)]
pub struct Node<'a> {
    name: &'a str,
    state: &'a str,
    age_ms: Option<u64>,
    labels: &'a BTreeMap<String, String>,
    workers: Vec<Worker<'a>>,
    gpus: Vec<Gpu<'a>>,
    role: &'a str,
    heard: Option<String>,
    source: Option<&'a str>,
    gone: bool,
    version: Option<&'a str>,
    says: Option<&'a str>,
    problems: &'a [String],
    cpus: Option<u64>,
    memory: Option<u64>,
    metrics: Option<&'a str>,
    slots: &'a [String],
}

#[derive(Debug, Serialize)]
struct Worker<'a> {
    name: &'a str,
    role: Option<&'a str>,
    state: Option<&'a str>,
    ready: u64,
    wanted: u64,
    ports: &'a [u16],
    queue_depth: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Gpu<'a> {
    uuid: &'a str,
    name: Option<&'a str>,
    health: Option<&'a str>,
}

impl<'a> Node<'a> {
    /// Of what a voter knows.
    pub fn new(n: &'a FleetNode) -> Self {
        let workers = n.workers.iter().map(|w| Worker {
            name: &w.name,
            role: w.role.as_deref(),
            state: w.state.as_deref(),
            ready: w.ready,
            wanted: w.wanted,
            ports: &w.ports,
            queue_depth: w.queue_depth,
        });
        let gpus = n.gpus.iter().map(|g| Gpu { uuid: &g.uuid, name: g.name.as_deref(), health: g.health.as_deref() });
        Self {
            name: &n.name,
            state: &n.state,
            age_ms: n.age.map(millis),
            labels: &n.labels,
            workers: workers.collect(),
            gpus: gpus.collect(),
            role: &n.role,
            heard: time(n.heard),
            source: n.source.as_deref(),
            gone: n.gone,
            version: n.version.as_deref(),
            says: n.says.as_deref(),
            problems: &n.problems,
            cpus: n.cpus,
            memory: n.memory,
            metrics: n.metrics.as_deref(),
            slots: &n.slots,
        }
    }
}

/// One element of `fleet slots`.
#[derive(Debug, Serialize)]
pub struct SlotLine<'a> {
    id: &'a str,
    holder: &'a str,
    kind: &'a str,
    group: Option<&'a str>,
    state: &'a str,
    since: Option<String>,
    expires: Option<String>,
    reason: Option<&'a str>,
    fence: Option<&'a str>,
    position: Option<u64>,
    blocked: Option<&'a str>,
}

impl<'a> SlotLine<'a> {
    /// Of what the daemon said.
    pub fn new(s: &'a Slot) -> Self {
        Self {
            id: &s.id,
            holder: &s.holder,
            kind: &s.kind,
            group: s.group.as_deref(),
            state: &s.state,
            since: time(s.since),
            expires: time(s.expires),
            reason: s.reason.as_deref(),
            fence: s.fence.as_deref(),
            position: s.position,
            blocked: s.blocked.as_deref(),
        }
    }
}

/// One element of `fleet why`.
#[derive(Debug, Serialize)]
pub struct Why<'a> {
    time: Option<String>,
    kind: &'a str,
    cause: &'a str,
    text: &'a str,
}

impl<'a> Why<'a> {
    /// Of what the daemon said.
    pub fn new(p: &'a Past) -> Self {
        Self { time: time(Some(p.time)), kind: &p.kind, cause: &p.cause, text: &p.text }
    }
}

/// `fleet ask`: a change like others, and the slot it brought.
#[derive(Debug, Serialize)]
pub struct Asked<'a> {
    /// The change's own fields come first.
    #[serde(flatten)]
    pub outcome: Outcome<'a>,
    /// Its id; null when it is not granted.
    pub slot: Option<&'a str>,
    /// Orders grants.
    pub fence: Option<&'a str>,
    /// When it turns suspect.
    pub expires: Option<String>,
}

/// `fleet broker-config`.
#[derive(Debug, Serialize)]
pub struct BrokerConfig<'a> {
    /// Both files in one text.
    pub config: &'a str,
}

/// One element of what Prometheus reads through file_sd_configs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

impl Target {
    /// A node, where it tells the address of its metrics, or `port` is given. One that is lost stays in the list: that
    /// it cannot be scraped is worth an alert.
    pub fn new(n: &FleetNode, port: Option<u16>) -> Option<Self> {
        let address = n.metrics.clone().or_else(|| Some(format!("{}:{}", n.name, port?)))?;
        let own = n.labels.iter().map(|(key, value)| (label(key), value.clone()));
        let mut labels: BTreeMap<String, String> = own.collect();
        labels.insert("node".to_owned(), n.name.clone());
        labels.insert("state".to_owned(), n.state.clone());
        Some(Self { targets: vec![address], labels })
    }
}

/// `label_x`, with `_` for what a label of Prometheus cannot have.
fn label(key: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("label_{}", key.chars().map(fit).collect::<String>())
}
