//! What is counted of a replica: kept with its restart books, so that it outlives cgroup, run and daemon (SUP-13).

use crate::exit::{Cause, ExitRecord};
use crate::metrics::Histogram;
use crate::metrics::families::supervisor::PROBE_DURATION_BOUNDS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Counters of one replica.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tallies {
    /// Restarts by reason, see [`reason`].
    pub restarts: BTreeMap<String, u64>,
    /// Ended runs by exit code.
    pub codes: BTreeMap<i32, u64>,
    /// Ended runs by signal.
    pub signals: BTreeMap<i32, u64>,
    /// Ended runs of which nobody saw how they ended.
    pub unseen: u64,
    /// Runs of which the kernel killed a process for memory.
    pub oom_kills: u64,
}

impl Tallies {
    /// A run has ended. An attempt that never ran has no exit.
    pub fn ended(&mut self, record: &ExitRecord, oom_kill: bool) {
        self.oom_kills += u64::from(oom_kill);
        if matches!(record.cause, Cause::StartFailed(_)) {
            return;
        }
        let counter = match (record.exit_code, record.signal) {
            (Some(code), _) => self.codes.entry(code).or_default(),
            (None, Some(signal)) => self.signals.entry(signal).or_default(),
            (None, None) => &mut self.unseen,
        };
        *counter += 1;
    }

    /// Another run follows.
    pub fn restarted(&mut self, reason: &str) {
        *self.restarts.entry(reason.to_owned()).or_default() += 1;
    }
}

/// Answers of one probe of a replica, over its runs. Not kept on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeTally {
    /// How long passed ones took, in seconds (MET-06).
    pub took: Arc<Histogram>,
    /// How many failed.
    pub failures: u64,
}

impl Default for ProbeTally {
    fn default() -> Self {
        Self { took: Arc::new(Histogram::new(PROBE_DURATION_BOUNDS)), failures: 0 }
    }
}

impl ProbeTally {
    /// One more answer.
    pub fn count(&mut self, result: Result<Duration, &str>) {
        match result {
            Ok(took) => Arc::make_mut(&mut self.took).observe(took.as_secs_f64()),
            Err(_) => self.failures += 1,
        }
    }
}

/// Why a run was followed by another, as a label value. `asked`: somebody asked for it; else a stop that is followed by
/// a start belongs to a rollout.
pub fn reason(cause: &Cause, asked: bool) -> &'static str {
    match cause {
        Cause::Clean | Cause::ExitCode(_) => "exit",
        Cause::Signal(_) => "signal",
        Cause::Oom => "oom",
        Cause::Watchdog | Cause::Progress => "watchdog",
        Cause::Probe => "probe",
        Cause::ReadyTimeout => "ready-timeout",
        Cause::StartFailed(_) => "start-failed",
        Cause::Operator | Cause::StopTimeout if asked => "manual",
        Cause::Operator | Cause::StopTimeout => "rollout",
        Cause::Unknown => "unknown",
    }
}
