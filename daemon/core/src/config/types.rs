//! The validated configuration: what the rest of the program sees. No field here can be in an impossible relation.
//!
//! Made only by [`super::validate`]; the keys, their defaults and units stand in `reeve.toml(5)`.

use super::intake::WorkerMetrics;
use crate::election::{NodeName, Timing};
use crate::fleet::SlotPolicy;
use crate::ids::{TeamName, WorkerName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Everything an administrator has said, merged and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[node]`.
    pub node: Node,
    /// `[launcher]`.
    pub launcher: LauncherKind,
    /// `[supervision]`.
    pub supervision: Supervision,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// `[gpu]`.
    pub gpu: Gpu,
    /// `[fleet]`; `None`: the node is a fleet of its own.
    pub fleet: Option<Arc<Fleet>>,
    /// `[teams.NAME]`; a team that a worker names without a section here has no limits.
    pub teams: BTreeMap<TeamName, Team>,
    /// `workers.d/NAME.toml`.
    pub workers: BTreeMap<WorkerName, Arc<Worker>>,
}

/// `[fleet]`: with whom it shares a leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Name: a level of MQTT topics.
    pub name: String,
    /// Who elects the first leader, the preferred first.
    pub voters: Vec<NodeName>,
    /// By the order of the voters: the higher stands earlier.
    pub priority: BTreeMap<NodeName, u32>,
    /// Broker URLs.
    pub brokers: Vec<String>,
    /// Of the preset.
    pub timing: Timing,
    /// Name of the credentials for the brokers.
    pub credentials: Option<String>,
    /// The least time between two reports of a node.
    pub report_interval: Duration,
    /// Budgets by kind of slot.
    pub slots: BTreeMap<String, SlotPolicy>,
}

impl Fleet {
    /// Of a node that is in none: it elects itself.
    pub fn alone(node: &NodeName) -> Self {
        Self {
            name: String::new(),
            voters: vec![node.clone()],
            priority: BTreeMap::new(),
            brokers: Vec::new(),
            timing: Timing::STD,
            credentials: None,
            report_interval: Duration::from_secs(2),
            slots: BTreeMap::new(),
        }
    }
}

/// `[node]`: who this node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name in the fleet; default: the host name.
    pub name: String,
    /// Labels that `node_selector` matches.
    pub labels: BTreeMap<String, String>,
}

/// `[launcher] kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LauncherKind {
    /// systemd where PID 1 is systemd and reeved may manage units, else direct.
    Auto,
    /// Transient systemd units.
    Systemd,
    /// Own children.
    Direct,
}

/// `[supervision]`: node-wide limits on what Reeve does by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Supervision {
    /// k replicas dead of one cause within the window: one trial first. `None` is "off".
    pub damping: Option<Damping>,
    /// Token bucket for starts on this node. `None` is "off".
    pub restart_rate: Option<Rate>,
    /// Whether probes, watchdog and progress may act against a living run (REC-12 global stop switch).
    pub remediation: Remediation,
}

/// What a failed liveness check may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remediation {
    /// Restart.
    On,
    /// Say what would be done, do nothing.
    DryRun,
    /// Nothing.
    Off,
}

/// `damping = { crashes, window }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damping {
    /// How many replicas.
    pub crashes: u32,
    /// Within which span.
    pub window: Duration,
}

/// `N/s`, `N/m`, `N/h`: a token bucket that holds `count` and refills over `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens, at least 1.
    pub count: u32,
    /// Per this span, not zero.
    pub per: Duration,
}

/// `[metrics]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Where the scrape endpoint listens. `None` is "off".
    pub listen: Option<String>,
    /// Whether node_exporter's system families are offered.
    pub system: bool,
    /// Units of others whose state is told.
    pub units: Vec<String>,
    /// Temperatures, fans and power.
    pub hardware: bool,
    /// File systems of other hosts.
    pub network_filesystems: bool,
    /// Most series of the node.
    pub max_series: u32,
    /// Most series that one replica may bring of its own.
    pub max_worker_series: u32,
    /// Where the page is also written, for a textfile collector.
    pub textfile: Option<String>,
    /// TLS of the endpoint; `None`: plain.
    pub tls: Option<MetricsTls>,
}

impl Metrics {
    /// Nothing is offered, and as many series are kept as by default.
    pub fn off() -> Self {
        Self {
            listen: None,
            system: false,
            units: Vec::new(),
            hardware: false,
            network_filesystems: false,
            max_series: 20_000,
            max_worker_series: 1000,
            textfile: None,
            tls: None,
        }
    }
}

/// `[metrics.tls]`: names of systemd credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsTls {
    /// Certificate chain, PEM.
    pub certificate: String,
    /// Private key, PEM.
    pub key: String,
    /// Who signs the certificates that clients must show, PEM; `None`: no client certificate is asked for.
    pub client_ca: Option<String>,
}

/// `[gpu]`: how cards are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gpu {
    /// Where NVML is.
    pub nvml: Nvml,
    /// Performance samples (GPM).
    pub gpm: bool,
    /// NVLink by link.
    pub nvlink_links: bool,
}

/// `[gpu] nvml`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Nvml {
    /// Where the system keeps its library.
    #[default]
    Auto,
    /// Not used at all.
    Off,
    /// This library.
    Library(String),
}

/// `[teams.NAME]`: what the team's slice may use in all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Team {
    /// Percent of one CPU (systemd's CPUQuota); a "% of the host" is converted by the shell's facts at validation.
    pub cpu_quota: Option<Share>,
    /// Upper limit of memory.
    pub memory_max: Option<Share>,
    /// TasksMax of the slice.
    pub tasks_max: Option<u64>,
    /// Most replicas of all its workers together.
    pub max_workers: Option<u32>,
    /// The team above it in the hierarchy (SUP-02); its slice nests.
    pub parent: Option<TeamName>,
    /// One replica fails: the rest stop, all start together (training ranks).
    pub fail_together: bool,
}

/// An absolute figure or a share of the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// Percent of the host's whole capacity, 0 < p ≤ 100.
    Percent(f64),
    /// Bytes (memory) or hundredths of a CPU (cpu: `200%` of one CPU is 200).
    Absolute(u64),
}

/// One worker definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    /// File name without `.toml`.
    pub name: WorkerName,
    /// Team; default `default`.
    pub team: TeamName,
    /// Label for metrics, alerts, scaling.
    pub role: Option<String>,
    /// Program (absolute path) and arguments, with `{worker} {replica} {port} {runtime_dir} {gpus}` not yet replaced.
    pub exec: Vec<String>,
    /// Wanted copies.
    pub replicas: u32,
    /// User to run as; `None`: the launcher's default (`reeve-worker` on systemd, the daemon's own on direct).
    pub user: Option<String>,
    /// Group; default the user's.
    pub group: Option<String>,
    /// Environment, templates not yet replaced.
    pub environment: BTreeMap<String, String>,
    /// `EnvironmentFile=`.
    pub environment_file: Option<String>,
    /// Names of systemd credentials.
    pub credentials: Vec<String>,
    /// Working directory.
    pub working_directory: Option<String>,
    /// Start in ascending, stop in descending order.
    pub order: i32,
    /// Workers that must be ready before this one starts.
    pub depends_on: Vec<WorkerName>,
    /// Node labels that must match; else `unplaceable`.
    pub node_selector: BTreeMap<String, String>,
    /// Requests and limits.
    pub resources: Resources,
    /// MIG profile of the slices it asks for; `None`: whole cards.
    pub gpu_profile: Option<String>,
    /// What to do after an exit.
    pub restart: Restart,
    /// When a run counts as ready.
    pub ready: Ready,
    /// Liveness: failing restarts.
    pub liveness: Option<Probe>,
    /// Readiness: failing takes out of rotation only.
    pub readiness: Option<Probe>,
    /// How work is finished before a stop.
    pub drain: Option<Drain>,
    /// How it is stopped.
    pub stop: Stop,
    /// Replicas that may be down at once in a rolling change, ≥ 1.
    pub max_unavailable: u32,
    /// `[worker.metrics]`: what it says of itself.
    pub metrics: WorkerMetrics,
    /// systemd sandbox keys, over the defaults. Shared by all runs.
    pub sandbox: Arc<BTreeMap<String, Vec<String>>>,
    /// Whether `{port}` stands anywhere in the definition.
    pub wants_port: bool,
}

/// `[worker.resources]`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Resources {
    /// CPUs asked for (admission, weight), in hundredths of a CPU.
    pub cpu_request: Option<u64>,
    /// CPUs at most, in hundredths of a CPU (200 = `CPUQuota=200%`).
    pub cpu_limit: Option<u64>,
    /// Memory asked for, bytes (`MemoryLow`).
    pub memory_request: Option<u64>,
    /// Memory at most, bytes (`MemoryMax`; `MemoryHigh` at 90 %).
    pub memory_limit: Option<u64>,
    /// Whole GPUs (or MIG slices) asked for.
    pub gpus_request: u32,
    /// Whole GPUs (or MIG slices) at most.
    pub gpus_limit: u32,
    /// `TasksMax`.
    pub tasks_max: Option<u64>,
}

impl Resources {
    /// `MemoryHigh`: 90 % of the limit (SUP-04), so that a growing worker is slowed before it is killed. None below
    /// 256 MiB: there the gap is so small that the kernel's throttling holds a worker for minutes just short of an OOM
    /// kill that would heal it at once (seen on kernel 6.1).
    pub fn memory_high(&self) -> Option<u64> {
        self.memory_limit.filter(|limit| *limit >= 256 << 20).map(|limit| limit / 10 * 9)
    }
}

/// `[worker.restart]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Restart {
    /// When to restart.
    pub policy: RestartPolicy,
    /// How long to wait.
    pub backoff: Backoff,
    /// When to stop trying for a while. `None` is "off".
    pub breaker: Option<Breaker>,
    /// After which span systemd restarts it when reeved itself is dead. `None` is "off".
    pub unsupervised_after: Option<Duration>,
    /// Probe, watchdog and progress restarts at most (REC-12: 3 an hour). `None` is "off".
    pub remediation: Option<Rate>,
}

/// `policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// After every end.
    Always,
    /// After a failure.
    OnFailure,
    /// Never.
    Never,
}

/// `backoff`: first failure after `first`, then `base · 2^k` up to `cap`, with jitter 0.8–1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first restart.
    pub first: Duration,
    /// Before the second.
    pub base: Duration,
    /// Never longer.
    pub cap: Duration,
    /// A run that stayed up this long clears the count.
    pub reset_after: Duration,
}

/// `breaker`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures of one cause …
    pub failures: u32,
    /// … within this span open it …
    pub window: Duration,
    /// … for this long the first time, doubling.
    pub open: Duration,
}

/// `[worker.ready]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// READY=1 on NOTIFY_SOCKET makes it ready.
    pub notify: bool,
    /// Not ready for this long after the start: restarted with cause `ready-timeout`.
    pub timeout: Duration,
}

/// One probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// How it asks.
    pub check: Check,
    /// Not before this long after the start.
    pub initial_delay: Duration,
    /// Between two.
    pub period: Duration,
    /// An answer later than this is a failure.
    pub timeout: Duration,
    /// Failures in a row that count.
    pub failure_threshold: u32,
    /// Successes in a row that count.
    pub success_threshold: u32,
}

/// How a probe asks. Texts hold templates not yet replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// GET; 200..=399 is success.
    Http(String),
    /// `host:port` accepts a connection.
    Tcp(String),
    /// Exit code 0 is success.
    Exec(Vec<String>),
    /// WATCHDOG=1 within `period`, three of them missed at `failure_threshold` 3.
    Notify,
    /// A new X_REEVE_PROGRESS value within `period · failure_threshold`.
    Progress,
}

/// `[worker.drain]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Drain {
    /// Tells the worker to take no more work.
    pub notice: Notice,
    /// Tells when the work is done.
    pub until: Until,
    /// The whole drain, save_state included, at most.
    pub timeout: Duration,
    /// Run before the stop.
    pub save_state: Option<Vec<String>>,
}

/// How a worker is told to stop taking work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A signal to its main process.
    Signal(i32),
    /// Method and URL.
    Http(String, String),
    /// A program.
    Exec(Vec<String>),
    /// Nothing is said.
    None,
}

/// When a drain is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Until {
    /// This metric of its own `/metrics` equals the value.
    Metric {
        /// Name.
        name: String,
        /// Value.
        equals: f64,
    },
    /// It exits by itself.
    Exit,
    /// This program exits 0.
    Exec(Vec<String>),
    /// At once.
    Nothing,
}

/// `[worker.stop]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// First signal.
    pub signal: i32,
    /// Then SIGKILL of the whole cgroup.
    pub timeout: Duration,
}
