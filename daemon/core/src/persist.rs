//! What must outlive the daemon: one log per replica and one record per node. The core says what, the store how.

use crate::exit::ExitRecord;
use crate::ids::{OperationId, ReplicaId, RunId, WorkerName};
use crate::replica::Tallies;
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One line of a replica's run log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEntry {
    /// A run has started.
    Started(LiveRun),
    /// The live run became ready, or not ready.
    Ready(bool),
    /// The live run was frozen or thawed, cut off or not.
    Frozen {
        /// Frozen by pause or isolate.
        frozen: bool,
        /// Off the network.
        isolated: bool,
    },
    /// A run has ended.
    Exited(ExitRecord),
    /// The last log lines of an ended run, fetched after its record was written.
    Tail {
        /// Which.
        run: RunId,
        /// Oldest first.
        lines: Vec<String>,
    },
    /// Restart bookkeeping: failures, breakers.
    Restart(RestartRecord),
    /// The port kept for it.
    Port(u16),
    /// Cards and slices given to it.
    Gpus(GpuGrant),
}

/// Cards and slices of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GpuGrant {
    /// By UUID.
    pub given: Vec<String>,
    /// cgroup of the run that ended on them last: what is left in it may still hold them.
    #[serde(default)]
    pub cgroup: Option<String>,
}

/// The run that was alive when the log was last written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveRun {
    /// Its id.
    pub run: RunId,
    /// When it started.
    pub started: Wall,
    /// Digest of its specification: the part that needs a new run, a dot, its limits.
    pub digest: String,
    /// Main process.
    pub pid: u32,
    /// cgroup path.
    pub cgroup: Option<String>,
    /// Whether it was ready.
    #[serde(default)]
    pub ready: bool,
    /// Frozen by pause or isolate.
    #[serde(default)]
    pub frozen: bool,
    /// Off the network.
    #[serde(default)]
    pub isolated: bool,
}

/// Restart bookkeeping of a replica.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RestartRecord {
    /// Restarts ever.
    pub restarts: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Breakers by cause word.
    pub breakers: BTreeMap<String, BreakerRecord>,
    /// Held down for good, with the reason, until reset: exit 77 or 78, or done.
    pub parked: Option<String>,
    /// What is counted of it.
    #[serde(default)]
    pub tallies: Tallies,
}

/// One breaker.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BreakerRecord {
    /// Wall times of the failures inside the window, oldest first.
    pub failures: Vec<Wall>,
    /// How often it has opened in a row.
    pub opened: u32,
    /// Open until; absent when closed or half-open.
    pub open_until: Option<Wall>,
    /// A trial run is on.
    #[serde(default)]
    pub half_open: bool,
}

/// The breaker of a card.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CardRecord {
    /// How often it has opened in a row.
    pub opened: u32,
    /// When the XID was seen that opened it.
    pub last: Wall,
    /// Open until.
    pub open_until: Wall,
    /// Why.
    pub reason: String,
}

/// What the store found for one replica at start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplicaHistory {
    /// The run that was alive, if any.
    pub live: Option<LiveRun>,
    /// Bookkeeping.
    pub restart: RestartRecord,
    /// Port.
    pub port: Option<u16>,
    /// Cards and slices.
    pub gpus: GpuGrant,
    /// The newest exit.
    pub last_exit: Option<ExitRecord>,
}

/// What operators have decided; survives restarts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeRecord {
    /// Replicas stopped or drained by an operator, with the reason.
    pub stopped: BTreeMap<ReplicaId, String>,
    /// Those of them that finish their work first.
    pub draining: BTreeSet<ReplicaId>,
    /// Runs that were told to finish their work so that a new run can follow, with the reason: they no longer take
    /// work, hence must not be left as they are.
    pub replacing: BTreeMap<ReplicaId, String>,
    /// Workers scaled by hand.
    pub scaled: BTreeMap<WorkerName, u32>,
    /// Which numbers a worker's replicas have, where these are not simply 1 to n (a busy one was kept in a scale-down).
    pub indices: BTreeMap<WorkerName, BTreeSet<u32>>,
    /// Limits set by hand, key → value, per worker.
    pub limits: BTreeMap<WorkerName, BTreeMap<String, String>>,
    /// Replicas paused, and whether isolated.
    pub paused: BTreeMap<ReplicaId, bool>,
    /// Node drained, with the reason.
    pub drained: Option<String>,
    /// Cordoned, with the reason.
    pub cordoned: Option<String>,
    /// NVML was let go of on request, with the reason: a restarted daemon leaves it alone too.
    pub gpus_released: Option<String>,
    /// Breakers of cards, by UUID.
    pub cards: BTreeMap<String, CardRecord>,
    /// Operations not ended: after a restart they are `lost`.
    pub operations: BTreeSet<OperationId>,
    /// Next operation id.
    pub next_operation: u64,
}

/// All the core is given at start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Restored {
    /// Node record.
    pub node: NodeRecord,
    /// Per replica.
    pub replicas: BTreeMap<ReplicaId, ReplicaHistory>,
}
