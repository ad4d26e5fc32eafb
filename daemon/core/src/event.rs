//! Everything that happens. If a decision needs a fact, the fact arrives in one of these.

use crate::config::Config;
use crate::exit::ExitInfo;
use crate::fleet::FleetCommand;
use crate::gpu::Inventory;
use crate::ids::{CommandId, OperationId, ReplicaId, RunId, StartToken, Target, TeamName, WorkerName};
use crate::time::Wall;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A deadline of the core has come.
    Tick,
    /// The launcher says something of a replica.
    Launcher(LauncherEvent),
    /// A probe has answered.
    Probed {
        /// Whom it asked.
        replica: ReplicaId,
        /// Which run; an answer for an older one is dropped.
        run: RunId,
        /// Which probe.
        kind: ProbeKind,
        /// How long it took, or why it failed.
        result: Result<Duration, String>,
    },
    /// A drain step has ended.
    Hooked {
        /// Whose.
        replica: ReplicaId,
        /// Which run.
        run: RunId,
        /// Which step.
        kind: HookKind,
        /// `Ok(true)`: done; `Ok(false)`: not yet (only `Until`); or why it failed.
        result: Result<bool, String>,
    },
    /// What a run says of its work in numbers has changed: all that is known of it now. Only the names that somebody
    /// asks about come: `active_tasks`, `queue_depth`, and those of `until` (MET-08).
    WorkerValues {
        /// Whose.
        replica: ReplicaId,
        /// Which run; those of an older one are dropped.
        run: RunId,
        /// Sums over the series of each name. What is missing is not known.
        values: BTreeMap<String, f64>,
    },
    /// Answer to [`crate::Effect::AllocatePort`].
    PortAllocated {
        /// For whom.
        replica: ReplicaId,
        /// The port, or why there is none.
        result: Result<u16, String>,
    },
    /// A look at the GPUs.
    Gpus(Inventory),
    /// Answer to [`crate::Effect::HoldGpus`].
    GpusHeld {
        /// Which command asked.
        id: CommandId,
        /// How it went.
        result: Result<(), String>,
    },
    /// Answer to [`crate::Effect::Fleet`]: how it stands.
    Fleet {
        /// Which operation asked.
        id: OperationId,
        /// What is known of it now.
        standing: Standing,
    },
    /// A command from the bus, already authorised and audited.
    Command(Box<CommandRequest>),
    /// A new configuration, already validated. Its generation grows by one.
    Reloaded(Arc<Config>),
    /// A reload failed; the old configuration stays in force.
    ReloadFailed {
        /// How many mistakes.
        errors: u32,
        /// The first of them.
        first: String,
    },
    /// The machine was suspended for this long.
    Resumed(Duration),
    /// Writing state failed, or works again (`None`).
    StoreHealth(Option<String>),
    /// A component that is not vital went away, or is back (`None`): the bus, the journal.
    ComponentHealth {
        /// `bus`, `journal`, `launcher`.
        component: &'static str,
        /// What is wrong.
        problem: Option<String>,
    },
    /// The daemon is asked to end.
    Shutdown {
        /// Workers are children and must end with it (direct), or live on (systemd).
        stop_workers: bool,
    },
}

/// How something that was asked of the fleet stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It goes on; what it waits for.
    Waits(String),
    /// It is done; what came of it.
    Done(String),
    /// It will not be done; why.
    Failed(String),
}

/// What a launcher reports. For every `Start` effect exactly one `Started` or `StartFailed`; for every `Started`
/// or `Found` running run exactly one `Exited`.
#[derive(Debug, Clone)]
pub enum LauncherEvent {
    /// The program has been executed.
    Started {
        /// Whose.
        replica: ReplicaId,
        /// Of which `Start`.
        token: StartToken,
        /// The new run.
        run: RunId,
        /// Main process.
        pid: u32,
        /// cgroup v2 path, absolute, when there is one.
        cgroup: Option<String>,
    },
    /// It never ran.
    StartFailed {
        /// Whose.
        replica: ReplicaId,
        /// Of which `Start`.
        token: StartToken,
        /// Why, for people: names the program, the errno, the user.
        error: String,
    },
    /// A run has ended.
    Exited {
        /// Whose.
        replica: ReplicaId,
        /// Which.
        run: RunId,
        /// How.
        info: ExitInfo,
    },
    /// A datagram on the replica's notify socket.
    Notified {
        /// Whose.
        replica: ReplicaId,
        /// What it said.
        message: Notification,
    },
    /// A request (freeze, thaw, limits, network) was carried out, or was refused with the reason.
    Applied {
        /// Whose.
        replica: ReplicaId,
        /// Which run.
        run: RunId,
        /// What.
        what: Applied,
        /// How it went.
        result: Result<(), String>,
    },
    /// A run found at start, after a bus reconnect or a daemon-reexec that the core may or may not know.
    Found(Found),
    /// A periodic or re-attach listing is complete: runs the core holds as running and that were neither `Found`
    /// nor `Exited` are lost.
    ListComplete,
}

/// A unit or process found when (re-)attaching.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whose.
    pub replica: ReplicaId,
    /// Its present run.
    pub run: RunId,
    /// Main process, when it runs.
    pub pid: Option<u32>,
    /// cgroup path.
    pub cgroup: Option<String>,
    /// It runs, or it has ended so.
    pub ended: Option<ExitInfo>,
    /// Whether its cgroup is frozen.
    pub frozen: bool,
    /// Runs that ended before it while reeved was away, oldest first, from the journal.
    pub missed: Vec<(RunId, ExitInfo)>,
    /// When the present run started.
    pub started: Option<Wall>,
}

/// What was asked of a live run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Frozen.
    Freeze,
    /// Thawed.
    Thaw,
    /// Limits set.
    Limits,
    /// Network cut or restored.
    Network,
}

/// One sd_notify message, parsed (sd_notify(3)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    /// READY=1.
    pub ready: bool,
    /// STOPPING=1.
    pub stopping: bool,
    /// WATCHDOG=1.
    pub watchdog: bool,
    /// WATCHDOG=trigger.
    pub watchdog_trigger: bool,
    /// STATUS=.
    pub status: Option<String>,
    /// MAINPID=.
    pub main_pid: Option<u32>,
    /// EXTEND_TIMEOUT_USEC=.
    pub extend_timeout: Option<Duration>,
    /// ERRNO=.
    pub errno: Option<i32>,
    /// X_REEVE_PROGRESS=: any value; a new one means progress.
    pub progress: Option<String>,
    /// X_REEVE_ACTIVE_TASKS=: work in hand, for choosing whom to scale down.
    pub active_tasks: Option<u64>,
    /// X_REEVE_RETRY_AT_USEC=: wall time before which a start makes no sense (quota): the worker is parked.
    pub retry_at: Option<Wall>,
}

/// Which probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeKind {
    /// Failing restarts.
    Liveness,
    /// Failing takes out of rotation.
    Readiness,
}

/// Which drain step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookKind {
    /// Telling it to take no more work.
    Notice,
    /// Asking whether the work is done.
    Until,
    /// Saving its state.
    SaveState,
}

/// A command with its caller.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// To match the reply.
    pub id: CommandId,
    /// What is asked.
    pub command: Command,
    /// Who asks, for records: `uid 1000 (alice)`.
    pub by: String,
    /// Uid of the caller.
    pub uid: u32,
    /// `dbus`, `signal`, `timer`, `fleet`.
    pub via: String,
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// Same request id, same operation.
    pub request_id: Option<String>,
    /// Report what would be done, do nothing.
    pub dry_run: bool,
}

/// What can be asked of the core.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Run it, lifting an operator's stop.
    Start(Target),
    /// Stop it until started again; persisted.
    Stop(Target),
    /// Stop and start; `rolling`: one by one with the ready gate.
    Restart {
        /// Whom.
        target: Target,
        /// One by one.
        rolling: bool,
    },
    /// Freeze.
    Pause(Target),
    /// Thaw, and give the network back.
    Resume(Target),
    /// Freeze and cut off the network.
    Isolate(Target),
    /// Drain, then stop.
    Drain(Target),
    /// Forget failures, close breakers, try at once.
    Reset(Target),
    /// Send a signal to the main process.
    Kill(ReplicaId, i32),
    /// Another number of replicas; persisted.
    Scale(WorkerName, u32),
    /// Live resources; persisted. Keys of `[worker.resources]` in systemd's spelling, values as text.
    Set(WorkerName, BTreeMap<String, String>),
    /// The same for all workers of a team.
    StartTeam(TeamName),
    /// See [`Command::Stop`].
    StopTeam(TeamName),
    /// See [`Command::Restart`].
    RestartTeam(TeamName),
    /// See [`Command::Drain`].
    DrainTeam(TeamName),
    /// Stop every worker, in reverse order.
    StopAll,
    /// Drain and stop every worker, start none until undrained; persisted.
    NodeDrain,
    /// Undo it.
    NodeUndrain,
    /// Start nothing new.
    Cordon,
    /// Undo it.
    Uncordon,
    /// Hold restarts and changes on behalf of somebody, until released.
    Hold {
        /// Unique per holder.
        id: u64,
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// The holder has let go.
    ReleaseHold(u64),
    /// Let go of NVML, so that cards can be reset and the driver replaced; persisted.
    GpuRelease,
    /// Get hold of it again.
    GpuAcquire,
    /// Something of the fleet.
    Fleet(FleetCommand),
    /// Stop waiting for an operation and undo what can be undone.
    Cancel(OperationId),
}
