//! What is done to one unit, each as a short conversation with PID 1.
//!
//! An operation that ends with [`SystemdError::Lost`] may or may not have been carried out: the launcher looks again and
//! repeats it, so each has to be harmless when repeated.

use super::board::{Board, Job};
use super::render::{self, Rendered};
use crate::bus::systemd1::{Property, Systemd, SystemdError};
use crate::host::cgroup::{Group, freezing};
use reeve_core::config::Resources;
use reeve_core::effect::RunSpec;
use reeve_core::{RunId, StartToken};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a unit may take to unload once nothing holds it.
const UNLOAD: Duration = Duration::from_secs(2);
const UNLOAD_TRIES: usize = 5;

/// Stop jobs under way at once. PID 1 follows the client of each job, and of each reference, by a match rule of its own;
/// the bus daemon allows a connection 512 (`max_match_rules_per_connection`, dbus-daemon(1)), and at the next one PID 1
/// gives up its connection, to the harm of everybody. So no unit is referenced, and jobs are counted.
const STOPS_AT_ONCE: usize = 256;

/// One thing to do to a unit.
#[derive(Debug)]
pub(super) enum Op {
    Start {
        token: StartToken,
        spec: Arc<RunSpec>,
        socket: Option<PathBuf>,
        /// Begun once, then the bus went.
        resumed: bool,
    },
    Signal {
        run: RunId,
        signal: i32,
        whole: bool,
    },
    Stop {
        run: RunId,
        signal: i32,
        grace: Duration,
    },
    Kill(RunId),
    Disarm,
    Forget,
    Freeze(RunId),
    Thaw(RunId),
    Network {
        run: RunId,
        deny: bool,
    },
    Limits {
        run: RunId,
        limits: Resources,
    },
}

impl Op {
    /// Erases the status of the last run, hence waits until that is on disk.
    pub fn erases(&self) -> bool {
        matches!(self, Op::Start { .. } | Op::Disarm | Op::Forget)
    }
}

/// How a unit is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// There is none of that name.
    Fresh,
    /// It is loaded, ended and the same: again.
    Again,
    /// It is loaded and different: away with it first.
    Replace,
}

/// What all operations share. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub systemd: Systemd,
    pub board: Board,
    /// Optional properties that this systemd knows.
    known: Arc<BTreeSet<&'static str>>,
    stops: Arc<Semaphore>,
}

type Done<T> = Result<T, SystemdError>;

/// Errors that only say that nothing is left to do.
fn gone<T: Default>(result: Done<T>) -> Done<T> {
    match result {
        Err(e) if matches!(e.kind(), "NoSuchUnit" | "NoSuchProcess" | "NotReferenced") => Ok(T::default()),
        other => other,
    }
}

impl Tools {
    pub fn new(systemd: Systemd, board: Board, known: BTreeSet<&'static str>) -> Self {
        Self { systemd, board, known: Arc::new(known), stops: Arc::new(Semaphore::new(STOPS_AT_ONCE)) }
    }

    /// The job that a call makes.
    async fn job(&self, call: impl Future<Output = Done<String>>) -> Done<Job> {
        let era = self.board.era();
        Ok(self.board.job(call.await?, era))
    }

    /// Starts the unit; the result of the job.
    pub async fn start(&self, unit: &str, way: Way, unit_is: Rendered, adjust: Vec<Property>) -> Done<String> {
        if way == Way::Again {
            match self.again(unit, &adjust).await {
                // Unloaded meanwhile.
                Err(e) if e.kind() == "NoSuchUnit" => {}
                other => return other,
            }
        }
        if way == Way::Replace {
            self.clear(unit).await?;
        }
        let mut tries = 0;
        let job = loop {
            match self.job(self.make(unit, &unit_is)).await {
                Err(e) if e.kind() == "UnitExists" && tries < UNLOAD_TRIES => {
                    tries += 1;
                    let unloaded = self.board.unload(unit);
                    self.clear(unit).await?;
                    // Whether it was unloaded or the time is up: trying tells.
                    let _ = timeout(UNLOAD, unloaded).await;
                }
                other => break other,
            }
        };
        // PID 1 has it: nothing of this size waits for the job, of which there may be many.
        drop(unit_is);
        job?.await
    }

    async fn again(&self, unit: &str, adjust: &[Property]) -> Done<String> {
        if !adjust.is_empty() {
            self.systemd.set_unit_properties(unit, adjust).await?;
        }
        self.job(self.systemd.restart_unit(unit)).await?.await
    }

    /// Asks for the unit; the job that starts it.
    async fn make(&self, unit: &str, unit_is: &Rendered) -> Done<String> {
        let taken = |p: &&Property| self.known.contains(&*p.name) || !render::OPTIONAL.contains(&&*p.name);
        self.systemd.start_transient_unit(unit, unit_is.properties.iter().filter(taken)).await
    }

    /// Stops it and forgets how it ended, so that PID 1 unloads it.
    pub async fn clear(&self, unit: &str) -> Done<()> {
        self.disarm(unit).await?;
        gone(self.systemd.reset_failed(unit).await)
    }

    /// Gives the unit up, whatever it does.
    pub async fn forget(&self, unit: &str, frozen: bool) -> Done<()> {
        self.thaw_if(unit, frozen).await?;
        self.clear(unit).await
    }

    /// No dead-man restart.
    pub async fn disarm(&self, unit: &str) -> Done<()> {
        // Never closed.
        let _turn = self.stops.acquire().await;
        let stopped = async { self.job(self.systemd.stop_unit(unit)).await?.await };
        gone(stopped.await).map(drop)
    }

    /// Thaws it if PID 1 has frozen it. A refusal is no reason to leave undone what comes next.
    async fn thaw_if(&self, unit: &str, frozen: bool) -> Done<()> {
        if !frozen {
            return Ok(());
        }
        match self.systemd.thaw(unit).await {
            Err(error @ SystemdError::Lost(_)) => Err(error),
            _ => Ok(()),
        }
    }

    /// PID 1's own stop; or only the signal when PID 1 would send another one or be less patient (`differs`), or has
    /// its hands full: all hear theirs at once, however many there are.
    pub async fn stop(&self, unit: &str, frozen: bool, signal: i32, differs: bool) -> Done<()> {
        self.thaw_if(unit, frozen).await?;
        let turn = if differs { None } else { Arc::clone(&self.stops).try_acquire_owned().ok() };
        let Some(turn) = turn else {
            return gone(self.systemd.kill_unit(unit, false, signal).await);
        };
        let job = match self.job(self.systemd.stop_unit(unit)).await {
            Ok(job) => job,
            Err(error) => return gone(Err(error)),
        };
        // The worker takes its time; what else is asked of it does not wait for that.
        tokio::spawn(async move {
            // Over or lost: no longer under way.
            let _ = job.await;
            drop(turn);
        });
        Ok(())
    }

    /// SIGKILL to all.
    pub async fn kill(&self, unit: &str, frozen: bool) -> Done<()> {
        self.thaw_if(unit, frozen).await?;
        gone(self.systemd.kill_unit(unit, true, libc::SIGKILL).await)
    }

    /// Waits for the cgroup to freeze; thaws it again if it does not.
    pub async fn until_frozen(group: &Group) -> Done<()> {
        let result = freezing::settle(group, true, || Ok(())).await;
        if result.is_err() {
            // What it was asked of may be gone.
            let _ = group.freeze(false);
        }
        result.map_err(SystemdError::ours)
    }

    /// Waits for the cgroup to thaw, after PID 1 has done its part where it has frozen it.
    pub async fn until_thawed(&self, unit: &str, frozen: bool, group: Option<Group>) -> Done<()> {
        if frozen {
            self.systemd.thaw(unit).await?;
        }
        match group {
            Some(group) => freezing::settle(&group, false, || Ok(())).await.map_err(SystemdError::ours),
            None => Ok(()),
        }
    }
}
