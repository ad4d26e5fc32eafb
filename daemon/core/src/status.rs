//! The read-only picture of the node that everyone but the core looks at.

use crate::event::ProbeKind;
use crate::exit::Cause;
use crate::fleet::FleetStatus;
use crate::ids::{OperationId, ReplicaId, RunId, TeamName, WorkerName};
use crate::replica::{ProbeTally, Tallies};
use crate::time::{Mono, Wall};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The whole node at one instant; replaced whole, never changed.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Wall,
    /// The node.
    pub node: NodeStatus,
    /// Workers by name.
    pub workers: BTreeMap<WorkerName, Arc<WorkerStatus>>,
    /// Running and recently ended operations, oldest first.
    pub operations: Vec<Arc<OperationStatus>>,
    /// Cards.
    pub gpus: Arc<GpusStatus>,
    /// The fleet, as this node sees it.
    pub fleet: Arc<FleetStatus>,
}

/// The node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeStatus {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `starting`, `running`, `draining`, `drained`, `degraded`, `stopping`.
    pub state: &'static str,
    /// Since when.
    pub since: Wall,
    /// Why.
    pub reason: String,
    /// Component → problem; empty text is well.
    pub components: BTreeMap<String, String>,
    /// Held back from new starts, with the reason.
    pub cordoned: Option<String>,
    /// Drained or draining, with the reason.
    pub drain_reason: Option<String>,
    /// Holds: who and why.
    pub holds: Vec<(String, String)>,
    /// Grows with each reload that took effect.
    pub config_generation: u64,
    /// When the configuration in force was taken.
    pub config_since: Wall,
    /// Mistakes of the last refused reload; 0 when the files on disk are in force.
    pub config_errors: u32,
    /// `systemd` or `direct`.
    pub launcher: String,
    /// One line for `systemctl status`.
    pub status_line: String,
}

/// One worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerStatus {
    /// Name.
    pub name: WorkerName,
    /// Team.
    pub team: TeamName,
    /// Role label.
    pub role: Option<String>,
    /// Replicas wanted.
    pub wanted: u32,
    /// Replicas ready.
    pub ready: u32,
    /// `running` (all ready), `starting`, `degraded` (some down), `crash-loop`, `stopped`, `stopping`, `draining`,
    /// `paused`, `isolated`, `unplaceable`, `waiting`, `parked`, `done`.
    pub state: &'static str,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Wall,
    /// Restarts of all replicas together.
    pub restarts: u64,
    /// `healthy`, `unhealthy`, `unknown`.
    pub health: &'static str,
    /// Digest of the specification in force.
    pub digest: String,
    /// Start order.
    pub order: i32,
    /// What it waits for.
    pub depends_on: Vec<WorkerName>,
    /// Its replicas by number; ones scaled away stay until they are down.
    pub replicas: Vec<Arc<ReplicaStatus>>,
}

/// One replica.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaStatus {
    /// Id.
    pub id: ReplicaId,
    /// `stopped`, `waiting`, `launching`, `starting`, `ready`, `unready`, `paused`, `isolated`, `draining`, `saving`,
    /// `stopping`, `killing`, `crash-loop`, `parked`, `done`, `unplaceable`.
    pub state: &'static str,
    /// Why it is in it.
    pub reason: String,
    /// Since when.
    pub since: Wall,
    /// It takes work.
    pub ready: bool,
    /// `healthy`, `unhealthy`, `unknown`.
    pub health: &'static str,
    /// Main process.
    pub pid: Option<u32>,
    /// Live run.
    pub run: Option<RunId>,
    /// When the live run started.
    pub started: Option<Wall>,
    /// systemd unit; empty on direct.
    pub unit: Option<String>,
    /// cgroup path.
    pub cgroup: Option<String>,
    /// Port kept for it.
    pub port: Option<u16>,
    /// Cards and slices given to it, by UUID.
    pub gpus: Vec<String>,
    /// Restarts ever.
    pub restarts: u64,
    /// Next start, when one is due.
    pub next_start: Option<Wall>,
    /// The newest end.
    pub last_exit: Option<LastExit>,
    /// Reasons not to act.
    pub holds: Vec<String>,
    /// STATUS= of the worker.
    pub status_text: Option<String>,
    /// Work in hand, if it says so.
    pub active_tasks: Option<u64>,
    /// Tasks that wait, if it says so (MET-08).
    pub queue_depth: Option<u64>,
    /// The specification in force differs from the one it runs.
    pub outdated: bool,
    /// What metrics tell of it beside all that.
    pub vitals: Vitals,
}

/// Counters and ages of a replica (SUP-13).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vitals {
    /// Restarts, exits, OOM kills.
    pub tallies: Tallies,
    /// `closed`, `open`, `half-open`; empty without one.
    pub breaker: &'static str,
    /// When the live run last showed life by itself.
    pub heartbeat: Option<Mono>,
    /// Answers of its probes.
    pub probes: BTreeMap<ProbeKind, ProbeTally>,
}

/// Cards, and our hold on them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GpusStatus {
    /// `held`, `released`, `unavailable`, `off`, `unknown`.
    pub state: &'static str,
    /// Why it is not held.
    pub reason: String,
    /// By index.
    pub cards: Vec<CardStatus>,
}

/// One card.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CardStatus {
    /// As the source saw it.
    pub card: crate::gpu::Card,
    /// `healthy`, `degraded`, `sick`, `lost`.
    pub health: &'static str,
    /// Why it is not healthy, or gets no work.
    pub reason: String,
    /// It may be given to a replica.
    pub allocatable: bool,
    /// Whose it is, or whose its slices are, by UUID of the card or slice.
    pub given: BTreeMap<String, ReplicaId>,
}

/// The newest end of a replica.
#[derive(Debug, Clone, PartialEq)]
pub struct LastExit {
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Wall,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
}

/// A long command.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationStatus {
    /// Id.
    pub id: OperationId,
    /// `start web/1`.
    pub what: String,
    /// Who asked.
    pub by: String,
    /// Uid of who asked.
    pub uid: u32,
    /// `dbus`, `signal` ….
    pub via: String,
    /// Why.
    pub reason: Option<String>,
    /// Key to find it again.
    pub request_id: Option<String>,
    /// When.
    pub started: Wall,
    /// `running` or `done`.
    pub state: &'static str,
    /// `success`, `failed`, `cancelled`, `lost`; empty while running.
    pub result: &'static str,
    /// When it ended.
    pub ended: Option<Wall>,
    /// What is going on, or how it ended.
    pub message: String,
    /// Replicas that have reached the goal, and all.
    pub progress: (u32, u32),
    /// The replicas it acts on.
    pub targets: Vec<ReplicaId>,
    /// With `dry_run`: the actions that would be taken, as (action, target, reason).
    pub dry_run: Option<Vec<PlannedAction>>,
}

/// One action as `reevectl plan` shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedAction {
    /// `start`, `stop`, `drain`, `replace`, `set-limits`, `wait`.
    pub action: String,
    /// `web/1`.
    pub target: String,
    /// Why.
    pub reason: String,
}
