//! The fleet as plain data. `None` and empty mean: the daemon did not say.

use crate::bus::proxy::convert::{Fields, bare};
use crate::bus::proxy::traits::{FleetNodeRow, PastRow, SlotRow};
use reeve_core::Wall;
use std::collections::BTreeMap;
use std::time::Duration;

/// The fleet as a node sees it.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of GetStatus")]
pub struct FleetState {
    pub fleet: String,
    pub node: String,
    pub alone: bool,
    pub role: String,
    pub since: Option<Wall>,
    pub leader: Option<String>,
    pub term: u64,
    /// `7`, or `epoch:term`.
    pub term_text: String,
    pub quorum: bool,
    /// None also where it does not end.
    pub lease_remaining: Option<Duration>,
    pub contact: Option<Wall>,
    pub voters: Vec<Voter>,
    pub brokers: Vec<Broker>,
    pub reason: Option<String>,
    pub silence: bool,
    pub frozen: Option<String>,
    pub report_interval: Option<Duration>,
    pub document: Option<String>,
    pub committed: Option<String>,
    /// State → how many.
    pub nodes: BTreeMap<String, u64>,
    /// State → how many.
    pub slots: BTreeMap<String, u64>,
}

/// Who elects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Voter {
    /// Name.
    pub name: String,
    /// Whether it has answered the leader lately, who alone knows.
    pub answered: Option<bool>,
}

/// A broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Broker {
    /// Where.
    pub url: String,
    /// Whether.
    pub connected: bool,
    /// Why not.
    pub reason: Option<String>,
}

impl FleetState {
    pub(super) fn read(f: &Fields) -> Self {
        let counts = |key: &str| {
            let dict = f.dict(key).unwrap_or_default();
            dict.0.iter().filter_map(|(k, v)| Some((k.clone(), v.as_u64()?))).collect()
        };
        let span = |key: &str| f.number(key).map(Duration::from_micros);
        let voter = |f: Fields| Voter { name: f.text("name").unwrap_or_default(), answered: f.flag("answered") };
        let broker = |f: Fields| Broker {
            url: f.text("url").unwrap_or_default(),
            connected: f.flag("connected") == Some(true),
            reason: f.text("reason"),
        };
        Self {
            fleet: f.text("fleet").unwrap_or_default(),
            node: f.text("node").unwrap_or_default(),
            alone: f.flag("alone") == Some(true),
            role: f.text("role").unwrap_or_else(|| "unknown".to_owned()),
            since: f.wall("since"),
            leader: f.text("leader"),
            term: f.number("term").unwrap_or(0),
            term_text: f.text("term_text").unwrap_or_default(),
            quorum: f.flag("quorum") == Some(true),
            lease_remaining: span("lease_remaining_usec"),
            contact: f.wall("contact"),
            voters: f.list("voters").iter().map(|v| voter(Fields::of(v))).collect(),
            brokers: f.list("brokers").iter().map(|v| broker(Fields::of(v))).collect(),
            reason: f.text("reason"),
            silence: f.flag("silence") == Some(true),
            frozen: f.text("frozen"),
            report_interval: span("report_interval_usec").filter(|s| !s.is_zero()),
            document: f.text("document"),
            committed: f.text("committed"),
            nodes: counts("nodes"),
            slots: counts("slots"),
        }
    }
}

/// A node as a voter knows it.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of ListNodes")]
pub struct FleetNode {
    pub name: String,
    pub state: String,
    pub role: String,
    pub heard: Option<Wall>,
    pub age: Option<Duration>,
    pub source: Option<String>,
    pub gone: bool,
    pub version: Option<String>,
    /// What it says its state is.
    pub says: Option<String>,
    pub problems: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub cpus: Option<u64>,
    pub memory: Option<u64>,
    pub gpus: Vec<FleetGpu>,
    pub workers: Vec<FleetWorker>,
    pub metrics: Option<String>,
    pub slots: Vec<String>,
}

/// A card of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of ListNodes")]
pub struct FleetGpu {
    pub uuid: String,
    pub name: Option<String>,
    pub health: Option<String>,
}

/// A worker of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of ListNodes")]
pub struct FleetWorker {
    pub name: String,
    pub role: Option<String>,
    pub state: Option<String>,
    pub ready: u64,
    pub wanted: u64,
    pub ports: Vec<u16>,
    pub queue_depth: Option<u64>,
}

impl FleetNode {
    pub(super) fn read((name, state, role, heard, more): FleetNodeRow) -> Self {
        let f = Fields::from(more);
        let labels = f.dict("labels").unwrap_or_default();
        Self {
            name,
            state,
            role,
            heard: Some(Wall(heard)).filter(|w| w.0 > 0),
            age: f.number("age_usec").map(Duration::from_micros),
            source: f.text("source"),
            gone: f.flag("gone") == Some(true),
            version: f.text("version"),
            says: f.text("says"),
            problems: f.texts("problems"),
            labels: labels.0.iter().map(|(k, v)| (k.clone(), bare(v))).collect(),
            cpus: f.number("cpus"),
            memory: f.number("memory"),
            gpus: f.list("gpus").iter().map(|v| FleetGpu::read(&Fields::of(v))).collect(),
            workers: f.list("workers").iter().map(|v| FleetWorker::read(&Fields::of(v))).collect(),
            metrics: f.text("metrics"),
            slots: f.texts("slots"),
        }
    }
}

impl FleetGpu {
    fn read(f: &Fields) -> Self {
        Self { uuid: f.text("uuid").unwrap_or_default(), name: f.text("name"), health: f.text("health") }
    }
}

impl FleetWorker {
    fn read(f: &Fields) -> Self {
        Self {
            name: f.text("name").unwrap_or_default(),
            role: f.text("role"),
            state: f.text("state"),
            ready: f.number("ready").unwrap_or(0),
            wanted: f.number("wanted").unwrap_or(0),
            ports: f.texts("ports").iter().filter_map(|p| p.parse().ok()).collect(),
            queue_depth: f.number("queue_depth"),
        }
    }
}

/// A slot that is held or asked for.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of ListSlots")]
pub struct Slot {
    pub id: String,
    pub holder: String,
    pub kind: String,
    pub group: Option<String>,
    pub state: String,
    pub since: Option<Wall>,
    pub expires: Option<Wall>,
    pub reason: Option<String>,
    pub fence: Option<String>,
    pub position: Option<u64>,
    pub blocked: Option<String>,
}

impl Slot {
    pub(super) fn read((id, holder, kind, state, expires, more): SlotRow) -> Self {
        let f = Fields::from(more);
        Self {
            id,
            holder,
            kind,
            group: f.text("group"),
            state,
            since: f.wall("since"),
            expires: Some(Wall(expires)).filter(|w| w.0 > 0),
            reason: f.text("reason"),
            fence: f.text("fence"),
            position: f.number("position"),
            blocked: f.text("blocked"),
        }
    }
}

/// Something that has happened in the fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of Why")]
pub struct Past {
    pub time: Wall,
    pub kind: String,
    pub cause: String,
    pub text: String,
}

impl Past {
    pub(super) fn read((time, kind, cause, text): PastRow) -> Self {
        Self { time: Wall(time), kind, cause, text }
    }
}
