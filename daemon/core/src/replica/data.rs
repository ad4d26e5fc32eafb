//! What is known of one replica beside its state.

use super::{ProbeTally, State};
use crate::config::Worker;
use crate::effect::RunSpec;
use crate::event::ProbeKind;
use crate::exit::ExitRecord;
use crate::ids::{ReplicaId, RunId, StartToken};
use crate::persist::{LiveRun, RestartRecord};
use crate::plan::Wait;
use crate::restart::Doom;
use crate::status::ReplicaStatus;
use crate::time::{Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One replica.
#[derive(Debug, Clone)]
pub struct Replica {
    /// Id.
    pub id: ReplicaId,
    /// Where it is in its life.
    pub state: State,
    /// Since when.
    pub since: Now,
    /// Why it is in that state.
    pub reason: String,
    /// The run, while there is one.
    pub live: Option<Live>,
    /// A stored run that the launcher has not yet spoken of (only while attaching).
    pub expected: Option<LiveRun>,
    /// Restart books.
    pub restart: RestartRecord,
    /// Not before this, and why: backoff, open breaker.
    pub not_before: Option<(Mono, String)>,
    /// A crash loop: its breaker is open or on trial.
    pub crash_loop: bool,
    /// Someone wants another run of it.
    pub wish: Option<RestartWish>,
    /// Port kept for it.
    pub port: Option<u16>,
    /// Cards and slices given to it, by UUID; others may take them while it is not wanted.
    pub gpus: Vec<String>,
    /// cgroup of the run that ended on its cards last.
    pub last_cgroup: Option<String>,
    /// That its last run still holds its cards was said.
    pub stragglers_told: bool,
    /// A port was asked for.
    pub port_asked: bool,
    /// It was found free, for the start to come: while the replica is down anybody may take it.
    pub port_free: bool,
    /// Newest end.
    pub last_exit: Option<ExitRecord>,
    /// Definition of the present or last run, to stop it in its order after the definition is gone.
    pub def: Option<Arc<Worker>>,
    /// What is in the way, as `plan` last said.
    pub waits: Option<Wait>,
    /// What it waits for is a start, not a stop.
    pub waits_to_start: bool,
    /// It was running in its own right: a cordon does not hold its next start.
    pub resumes: bool,
    /// Its unit may be restarted by PID 1 unless it is started or disarmed by then (half the dead-man delay).
    pub armed: Option<Mono>,
    /// Runs that came after their start was given up; they are killed, and nothing starts before they have ended.
    pub strays: BTreeSet<RunId>,
    /// What of it stands in the counts of its worker.
    pub counted: Counted,
    /// Times of probe, watchdog and progress restarts inside the remediation span.
    pub remedies: Vec<Mono>,
    /// The remediation budget was found spent; said once.
    pub remedies_spent: bool,
    /// The last pause or resume was refused.
    pub refused: Option<String>,
    /// Why it was paused.
    pub pause_reason: String,
    /// Why the next start happens, when somebody asked for it.
    pub start_reason: String,
    /// A run that was found while a start was under way: asked for by a former daemon, most likely. Should the start
    /// fail, this is the run that stands in its way.
    pub meanwhile: Option<(RunId, Option<u32>, Option<String>)>,
    /// READY=1 came before the launcher's own report.
    pub early_ready: bool,
    /// Answers of its probes.
    pub probes: BTreeMap<ProbeKind, ProbeTally>,
    /// Something was counted that does not stand in the stored books yet.
    pub uncounted: bool,
    /// Its picture, until something changes.
    pub view: Option<Arc<ReplicaStatus>>,
}

/// A replica's share in the counts of its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// It has a process, or is about to have one.
    pub live: bool,
    /// It takes work.
    pub ready: bool,
}

/// Another run is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartWish {
    /// Why.
    pub reason: String,
    /// One by one, within `max_unavailable`.
    pub rolling: bool,
    /// Finish work first.
    pub drain: bool,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Live {
    /// Names the start until `run` is known.
    pub token: StartToken,
    /// Its id, once the launcher has said it.
    pub run: Option<RunId>,
    /// Main process.
    pub pid: Option<u32>,
    /// cgroup.
    pub cgroup: Option<String>,
    /// When it began.
    pub started: Now,
    /// What was launched; `None` for an adopted run.
    pub spec: Option<Arc<RunSpec>>,
    /// Digest of what runs.
    pub digest: String,
    /// Adopted from before this daemon.
    pub adopted: bool,
    /// READY=1 was received.
    pub notified_ready: bool,
    /// It takes work.
    pub ready: bool,
    /// How long it took to become ready.
    pub start_time: Option<Duration>,
    /// Liveness.
    pub liveness: ProbeState,
    /// Readiness.
    pub readiness: ProbeState,
    /// When it last showed life by itself: WATCHDOG=1, or a new progress value.
    pub heartbeat: Option<Mono>,
    /// Last progress value.
    pub progress: Option<String>,
    /// Frozen.
    pub frozen: bool,
    /// A freeze or thaw was asked for and not yet answered.
    pub freezing: bool,
    /// Off the network.
    pub isolated: bool,
    /// STATUS=.
    pub status_text: Option<String>,
    /// Work in hand, as said by sd_notify.
    pub active_tasks: Option<u64>,
    /// What its metrics say, see [`crate::Event::WorkerValues`].
    pub values: std::collections::BTreeMap<String, f64>,
    /// Not to be tried again before.
    pub retry_at: Option<Wall>,
    /// Why we are ending it.
    pub doom: Doom,
    /// The same in words.
    pub doom_reason: String,
    /// Deadline of the whole drain.
    pub drain_until: Option<Mono>,
    /// Limits in force.
    pub limits: crate::config::Resources,
}

impl Live {
    /// Work in hand: by its metrics, else by sd_notify.
    pub fn tasks(&self) -> Option<u64> {
        self.counted("active_tasks").or(self.active_tasks)
    }

    /// A value of its metrics that counts something.
    pub fn counted(&self, name: &str) -> Option<u64> {
        let value = self.values.get(name).copied().filter(|value| value.is_finite() && *value >= 0.0)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a finite number from zero up")]
        Some(value.ceil() as u64)
    }
}

/// Counters of one probe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeState {
    /// Failures in a row.
    pub failures: u32,
    /// Successes in a row.
    pub successes: u32,
    /// The verdict: unknown, passing, failing.
    pub passing: Option<bool>,
    /// Asked and not answered.
    pub in_flight: bool,
    /// When the one in flight was due.
    pub due: Mono,
    /// Last failure in words.
    pub last_error: Option<String>,
}

impl ProbeState {
    /// Counts one answer against the thresholds. `Some(verdict)` when it changes.
    pub fn count(&mut self, ok: bool, success_threshold: u32, failure_threshold: u32) -> Option<bool> {
        if ok {
            self.failures = 0;
            self.successes = self.successes.saturating_add(1);
            self.last_error = None;
        } else {
            self.successes = 0;
            self.failures = self.failures.saturating_add(1);
        }
        let verdict = if ok && self.successes >= success_threshold {
            true
        } else if !ok && self.failures >= failure_threshold {
            false
        } else {
            return None;
        };
        (self.passing != Some(verdict)).then(|| {
            self.passing = Some(verdict);
            verdict
        })
    }
}

impl Replica {
    /// A replica that nobody has started yet.
    pub fn new(id: ReplicaId, now: Now) -> Self {
        Self {
            id,
            state: State::Down,
            since: now,
            reason: "new".into(),
            live: None,
            expected: None,
            restart: RestartRecord::default(),
            not_before: None,
            crash_loop: false,
            wish: None,
            port: None,
            gpus: Vec::new(),
            last_cgroup: None,
            stragglers_told: false,
            port_asked: false,
            port_free: false,
            last_exit: None,
            def: None,
            waits: None,
            waits_to_start: false,
            resumes: false,
            armed: None,
            strays: BTreeSet::new(),
            counted: Counted::default(),
            remedies: Vec::new(),
            remedies_spent: false,
            refused: None,
            pause_reason: String::new(),
            start_reason: String::new(),
            meanwhile: None,
            early_ready: false,
            probes: BTreeMap::new(),
            uncounted: false,
            view: None,
        }
    }

    /// The live run's id.
    pub fn run(&self) -> Option<RunId> {
        self.live.as_ref().and_then(|l| l.run)
    }

    /// What is in the way, or why it is in its state.
    pub fn says(&self) -> &str {
        self.waits.as_ref().map_or(&self.reason, |w| &w.reason)
    }

    /// It takes work.
    pub fn is_ready(&self) -> bool {
        self.state == State::Up && self.live.as_ref().is_some_and(|l| l.ready)
    }

    /// It is down, and something stands in the way of a start that is wanted.
    pub fn waits_for_start(&self) -> bool {
        self.state == State::Down && self.waits_to_start
    }

    /// It has ended for good: policy, sysexits or done.
    pub fn is_parked(&self) -> bool {
        self.restart.parked.is_some()
    }

    /// It has done its work and ended cleanly.
    pub fn is_done(&self) -> bool {
        self.restart.parked.as_deref() == Some(crate::restart::DONE)
    }
}
