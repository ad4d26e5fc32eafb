//! How a run ended: what the launcher saw, the cause the core derives, the record that is kept.

use crate::ids::{ReplicaId, RunId, WorkerName};
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the kernel or PID 1 said of the main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitStatus {
    /// It called exit with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// Nobody kept the status.
    Unknown,
}

/// An exit as the launcher reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitInfo {
    /// Status of the main process.
    pub status: ExitStatus,
    /// The kernel killed a process of the run for memory (`memory.events` oom_kill, or systemd's Result=oom-kill).
    pub oom_kill: bool,
    /// Highest memory use seen, bytes, when it could be read.
    pub peak_memory: Option<u64>,
    /// When it ended.
    pub at: Wall,
}

/// Why a run ended, as people read it and as the breaker keys it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Exit code 0, or SIGTERM/143 while being stopped.
    Clean,
    /// Another exit code.
    ExitCode(i32),
    /// Ended by a signal that Reeve did not send.
    Signal(i32),
    /// Killed by the kernel for memory.
    Oom,
    /// No WATCHDOG=1 in time.
    Watchdog,
    /// No progress in time.
    Progress,
    /// The liveness probe failed too often.
    Probe,
    /// Not ready within `ready.timeout`.
    ReadyTimeout,
    /// It never ran: missing binary, no permission, unknown user …; the text says which.
    StartFailed(String),
    /// An operator, a reload, a scale-down or a team stopped it.
    Operator,
    /// It had to be killed since it ignored the stop signal.
    StopTimeout,
    /// It ended while reeved was away and nobody kept the status.
    Unknown,
}

impl Cause {
    /// The word used in JSON, on the bus and as a label value. Bounded set.
    pub fn word(&self) -> &'static str {
        match self {
            Cause::Clean => "clean",
            Cause::ExitCode(_) => "exit-code",
            Cause::Signal(_) => "signal",
            Cause::Oom => "oom",
            Cause::Watchdog => "watchdog",
            Cause::Progress => "progress",
            Cause::Probe => "probe",
            Cause::ReadyTimeout => "ready-timeout",
            Cause::StartFailed(_) => "start-failed",
            Cause::Operator => "operator",
            Cause::StopTimeout => "stop-timeout",
            Cause::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Clean => f.write_str("exited cleanly"),
            Cause::ExitCode(c) => write!(f, "exit code {c}"),
            Cause::Signal(s) => write!(f, "signal {}", signal_name(*s)),
            Cause::Oom => f.write_str("killed for memory (OOM)"),
            Cause::Watchdog => f.write_str("watchdog expired"),
            Cause::Progress => f.write_str("no progress"),
            Cause::Probe => f.write_str("liveness probe failed"),
            Cause::ReadyTimeout => f.write_str("not ready in time"),
            Cause::StartFailed(why) => write!(f, "start failed: {why}"),
            Cause::Operator => f.write_str("stopped on request"),
            Cause::StopTimeout => f.write_str("killed: ignored the stop signal"),
            Cause::Unknown => f.write_str("ended while unsupervised, status unknown"),
        }
    }
}

/// `SEGV` for 11; the number for one without a name (signal(7)).
pub fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ];
    usize::try_from(signal - 1)
        .ok()
        .and_then(|i| NAMES.get(i))
        .map_or_else(|| signal.to_string(), |n| format!("SIG{n}"))
}

/// The number of `SIGTERM`, `TERM` or `15`; `None` when there is no such signal.
pub fn signal_number(name: &str) -> Option<i32> {
    if let Ok(n) = name.parse::<i32>() {
        return (1..=64).contains(&n).then_some(n);
    }
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    (1..=31).find(|n| signal_name(*n).strip_prefix("SIG") == Some(bare))
}

/// One ended run, kept for good in a ring of the last 32 per replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The run.
    pub run: RunId,
    /// Worker it belonged to.
    pub worker: WorkerName,
    /// Replica number.
    pub replica: u32,
    /// When it started; absent when it never did or nobody saw it.
    pub started: Option<Wall>,
    /// When it ended.
    pub ended: Wall,
    /// Whether reeved was watching when it ended.
    pub supervised: bool,
    /// Why it ended.
    pub cause: Cause,
    /// Exit code, when it exited by itself.
    pub exit_code: Option<i32>,
    /// Signal number, when a signal ended it.
    pub signal: Option<i32>,
    /// A sentence for people: what happened and why Reeve thinks so.
    pub reason: String,
    /// Highest memory use seen, bytes.
    pub peak_memory: Option<u64>,
    /// Restarts of the replica before this run ended.
    pub restarts: u64,
    /// The last 50 lines it logged, oldest first; filled in shortly after the end.
    #[serde(default)]
    pub log_tail: Vec<String>,
}

impl ExitRecord {
    /// The replica it belonged to.
    pub fn replica_id(&self) -> ReplicaId {
        ReplicaId::new(self.worker.clone(), self.replica)
    }
}

/// How many ended runs are kept per replica (notes: exit record).
pub const RUNS_KEPT: usize = 32;
/// How many log lines are kept with each.
pub const TAIL_LINES: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_names_parse_back() {
        for n in 1..=31 {
            assert_eq!(signal_number(&signal_name(n)), Some(n));
        }
        assert_eq!(signal_name(11), "SIGSEGV");
        assert_eq!(signal_number("TERM"), Some(15));
        assert_eq!(signal_number("34"), Some(34));
        assert_eq!(signal_number("NOPE"), None);
        assert_eq!(signal_number("0"), None);
    }
}
