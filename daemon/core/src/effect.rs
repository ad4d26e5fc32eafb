//! Everything we do. The shell carries these out in order; each failure comes back as an event.

use crate::config::{Check, Notice as DrainNotice, Resources, RestartPolicy, Until};
use crate::event::{HookKind, ProbeKind};
use crate::exit::ExitRecord;
use crate::fleet::FleetCommand;
use crate::ids::{CommandId, OperationId, ReplicaId, RunId, StartToken, TeamName};
use crate::notice::Notice;
use crate::persist::{NodeRecord, RunEntry};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Launch a run. Answered by `Started` or `StartFailed` with the same token.
    Start {
        /// Names this attempt.
        token: StartToken,
        /// What to launch.
        spec: Arc<RunSpec>,
    },
    /// Send a signal to the main process, or to the whole cgroup.
    Signal {
        /// Whose.
        replica: ReplicaId,
        /// Which run.
        run: RunId,
        /// Number.
        signal: i32,
        /// All processes.
        whole: bool,
    },
    /// End a run: thaw, `signal` to main, after `grace` SIGKILL to the whole cgroup. Answered by `Exited`.
    Stop {
        /// Whose.
        replica: ReplicaId,
        /// Which run.
        run: RunId,
        /// First signal.
        signal: i32,
        /// Until SIGKILL.
        grace: Duration,
    },
    /// SIGKILL to the whole cgroup now (thaws first). Answered by `Exited`.
    Kill {
        /// Whose.
        replica: ReplicaId,
        /// Which run.
        run: RunId,
    },
    /// No dead-man restart, please: the replica stays down until the next `Start`.
    Disarm(ReplicaId),
    /// The replica is no longer ours: release all that is kept for it (socket, unit reference, cgroup).
    Forget(ReplicaId),
    /// Freeze its cgroup. Answered by `Applied`.
    Freeze(ReplicaId, RunId),
    /// Thaw it. Answered by `Applied`.
    Thaw(ReplicaId, RunId),
    /// Cut it off the network, or give it back. Answered by `Applied`.
    Network {
        /// Whose.
        replica: ReplicaId,
        /// Which run.
        run: RunId,
        /// `IPAddressDeny=any` or not.
        deny: bool,
    },
    /// Change limits of a live run. Answered by `Applied`.
    SetLimits {
        /// Whose.
        replica: ReplicaId,
        /// Which run.
        run: RunId,
        /// The new figures.
        limits: Resources,
    },
    /// Set what the team's slice may use.
    SetTeam {
        /// Whose.
        team: TeamName,
        /// The parents' names, outermost first.
        parents: Vec<TeamName>,
        /// Hundredths of a CPU.
        cpu_quota: Option<u64>,
        /// Bytes.
        memory_max: Option<u64>,
        /// TasksMax.
        tasks_max: Option<u64>,
    },
    /// Find a free loopback port. Answered by `PortAllocated`.
    AllocatePort(ReplicaId),
    /// Ask once. Answered by `Probed`.
    Probe {
        /// Whom.
        replica: ReplicaId,
        /// Which run.
        run: RunId,
        /// Which probe.
        kind: ProbeKind,
        /// How, templates replaced. Never `Notify` or `Progress`.
        check: Check,
        /// At most this long.
        timeout: Duration,
    },
    /// Do one drain step. Answered by `Hooked`.
    Hook {
        /// Whose.
        replica: ReplicaId,
        /// Which run.
        run: RunId,
        /// Which step.
        kind: HookKind,
        /// What, templates replaced.
        action: HookAction,
        /// At most this long.
        timeout: Duration,
    },
    /// Look at the processes on the GPUs now. Answered by `Gpus`, unless NVML hangs.
    LookAtGpus,
    /// Let go of NVML, or get hold of it. Answered by `GpusHeld`.
    HoldGpus {
        /// Which command asks.
        id: CommandId,
        /// Hold it, or let go.
        hold: bool,
    },
    /// SIGKILL to whatever a dead run has left in its cgroup.
    KillStragglers {
        /// Whose.
        replica: ReplicaId,
        /// Its cgroup.
        cgroup: String,
    },
    /// Append to the replica's durable run log; completes before any later effect starts.
    Append(ReplicaId, RunEntry),
    /// Keep a run's end for good; completes before any later effect starts, then the log tail is fetched and added.
    Record(ExitRecord),
    /// Replace the node's durable state; completes before any later effect starts.
    Persist(Arc<NodeRecord>),
    /// Ask the fleet, on behalf of an operation. Answered by [`crate::Event::Fleet`].
    Fleet {
        /// Which.
        id: OperationId,
        /// What.
        command: FleetCommand,
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
    /// Nobody waits for this operation any more: what it has asked of the fleet is taken back.
    FleetCancel(OperationId),
    /// Write one journal entry and tell subscribers.
    Notice(Notice),
    /// Answer a command.
    Reply {
        /// Which.
        id: CommandId,
        /// Accepted how, or refused why.
        result: Result<Accepted, Refusal>,
    },
    /// Everything that had to end has ended: leave the loop.
    Exit,
}

/// What a drain step does.
#[derive(Debug, Clone, PartialEq)]
pub enum HookAction {
    /// See [`DrainNotice`]; a signal is sent as [`Effect::Signal`] instead.
    Notice(DrainNotice),
    /// See [`Until`]; for a metric, the URL to scrape stands beside it.
    Until {
        /// The condition.
        until: Until,
        /// `[worker.metrics] scrape`, templates replaced.
        scrape: Option<String>,
    },
    /// A program to run to its end.
    Exec(Vec<String>),
}

/// The variable by which Python's client library is told where to keep the metrics of several processes.
pub const MULTIPROCESS_DIR: &str = "PROMETHEUS_MULTIPROC_DIR";
/// The folder for it below the replica's own (MET-08).
pub const MULTIPROCESS_FOLDER: &str = "prometheus";

/// All a launcher needs for one run; templates are replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSpec {
    /// Whose.
    pub replica: ReplicaId,
    /// Team, and its parents outermost first: the slice.
    pub team: TeamName,
    /// Parents of the team, outermost first.
    pub team_parents: Vec<TeamName>,
    /// Program and arguments.
    pub exec: Vec<String>,
    /// User; `None`: the launcher's default.
    pub user: Option<String>,
    /// Group.
    pub group: Option<String>,
    /// Environment.
    pub environment: BTreeMap<String, String>,
    /// Read by the launcher at start.
    pub environment_file: Option<String>,
    /// Credentials by name.
    pub credentials: Vec<String>,
    /// Working directory.
    pub working_directory: Option<String>,
    /// Limits.
    pub limits: Resources,
    /// For the dead-man restart.
    pub policy: RestartPolicy,
    /// Its delay; `None`: no dead-man restart.
    pub unsupervised_after: Option<Duration>,
    /// Whether a NOTIFY_SOCKET is offered. Always, at present.
    pub notify: bool,
    /// First signal of a stop.
    pub stop_signal: i32,
    /// Grace of a stop.
    pub stop_timeout: Duration,
    /// Watchdog span told to the worker as WATCHDOG_USEC.
    pub watchdog: Option<Duration>,
    /// systemd sandbox keys: those of the definition.
    pub sandbox: Arc<BTreeMap<String, Vec<String>>>,
    /// Cards and slices given to it, by UUID.
    pub gpus: Vec<String>,
    /// Device files that give access to them, where they are known.
    pub devices: Vec<String>,
    /// Names the specification: equal digests need no new unit.
    pub digest: String,
}

impl RunSpec {
    /// Whether the run is to find an empty [`MULTIPROCESS_FOLDER`] in `runtime_dir`, its own folder. What an earlier run
    /// has left there would make its counters jump back and forth.
    pub fn wants_multiprocess(&self, runtime_dir: &str) -> bool {
        let wanted = self.environment.get(MULTIPROCESS_DIR);
        wanted.is_some_and(|path| {
            path.strip_prefix(runtime_dir).and_then(|p| p.strip_prefix('/')) == Some(MULTIPROCESS_FOLDER)
        })
    }
}

/// A command was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Done already.
    Done,
    /// It goes on; watch this.
    Operation(OperationId),
    /// `Set` took effect on the living runs.
    Applied,
    /// `Set` needs a restart to take effect.
    NeedsRestart,
}

/// A command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// Which D-Bus error.
    pub kind: RefusalKind,
    /// A plain sentence.
    pub text: String,
}

/// Names of refusals: `org.reeve.Error.*` of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the bus errors of the control note")]
pub enum RefusalKind {
    NoSuchWorker,
    NoSuchReplica,
    NoSuchTeam,
    NoSuchTaskRun,
    NoSuchKey,
    InvalidArgument,
    InvalidState,
    Conflict,
    Unplaceable,
    Draining,
    NotSupported,
    Busy,
    Unavailable,
}
