//! What a node says of itself, and what others make of its silence.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a node is, by when it was heard last (HLT-08).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeState {
    /// Heard when it was expected.
    Alive,
    /// Its report is overdue.
    Late,
    /// Overdue for two intervals, or a broker says that its connection is gone.
    Suspect,
    /// Not heard for longer than a node may be silent.
    Lost,
}

impl NodeState {
    /// Every state.
    pub const ALL: [NodeState; 4] = [NodeState::Alive, NodeState::Late, NodeState::Suspect, NodeState::Lost];

    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            NodeState::Alive => "alive",
            NodeState::Late => "late",
            NodeState::Suspect => "suspect",
            NodeState::Lost => "lost",
        }
    }
}

/// What a node says of itself (CAP-04). Sent whole when something in it changes, and from time to time; how full a queue
/// is waits for that time, as a busy fleet would else report all the time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeReport {
    /// Version of its daemon.
    pub version: String,
    /// State of the node, as `reevectl status` says it.
    pub state: String,
    /// What is wrong with it; empty: nothing.
    pub problems: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// CPUs.
    pub cpus: u32,
    /// Bytes.
    pub memory: u64,
    /// Cards by UUID, with model and health.
    pub gpus: Vec<GpuReport>,
    /// Workers.
    pub workers: Vec<WorkerReport>,
    /// `host:port` of its metrics endpoint, where others may reach it.
    pub metrics: Option<String>,
    /// Ids of the slots it holds.
    pub slots: Vec<String>,
}

impl NodeReport {
    /// Whether something in it is other than a measure, which moves all the time.
    pub fn tells_more_than(&self, known: &NodeReport) -> bool {
        let still = |report: &NodeReport| {
            let mut report = report.clone();
            report.workers.iter_mut().for_each(|worker| worker.queue_depth = None);
            report
        };
        still(self) != still(known)
    }
}

/// One card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuReport {
    /// UUID.
    pub uuid: String,
    /// Model.
    pub name: String,
    /// `healthy`, `degraded`, `sick`, `lost`.
    pub health: String,
}

/// One worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerReport {
    /// Name.
    pub name: String,
    /// Role label.
    pub role: String,
    /// State.
    pub state: String,
    /// Replicas ready.
    pub ready: u32,
    /// Replicas wanted.
    pub wanted: u32,
    /// Ports of its ready replicas.
    pub ports: Vec<u16>,
    /// Tasks that wait, where it says so.
    pub queue_depth: Option<u64>,
}
