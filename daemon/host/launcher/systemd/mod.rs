//! Runs as transient service units: they outlive reeved, and systemd restarts them when reeved is dead.
//!
//! - [`mod@unit`]: what PID 1 last said of one unit and what the core has been told of it;
//! - [`engine`]: the one task that owns the units; takes commands, signals and finished operations; [`begin`] and
//!   [`finish`] are the two ends of an operation;
//! - [`attach`]: finding units after a start, a loss of the bus, a daemon-reexec;
//! - [`ops`], [`board`]: conversations with PID 1; [`turns`]: how many starts at once;
//! - [`render`], [`confinement`], [`sandbox`], [`values`], [`credentials`], [`failure`]: texts and properties.
//!
//! Units are followed by `PropertiesChanged` alone: PID 1 sends it anyway, it carries the whole end of a run, and it
//! comes no later than the answer to any question that a pidfd could prompt. So a death costs no call before the
//! one that starts the next run.

mod attach;
mod begin;
mod board;
mod confinement;
mod credentials;
mod engine;
mod failure;
mod finish;
mod multiprocess;
mod ops;
mod render;
pub mod sandbox;
mod turns;
mod unit;
mod values;

use super::{EventSender, Launcher, TeamLimits};
use crate::bus::systemd1::Systemd;
use crate::host::paths::Paths;
use engine::{Command, Engine};
use ops::Op;
use reeve_core::config::Resources;
use reeve_core::effect::RunSpec;
use reeve_core::{ExitInfo, ReplicaId, RunId, StartToken, TeamName};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// A unit whose earlier runs nobody has seen end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedQuery {
    /// Whose.
    pub replica: ReplicaId,
    /// The run this launcher saw last, if it has seen any: those after it are wanted, and its own end.
    pub known: Option<RunId>,
    /// The run PID 1 has now; its end is not wanted. `None`: the unit is gone.
    pub present: Option<RunId>,
    /// Automatic restarts PID 1 has counted since the last manual start.
    pub restarts: u32,
}

/// Ended runs, oldest first.
pub type Missed = Pin<Box<dyn Future<Output = Vec<(RunId, ExitInfo)>> + Send>>;

/// What the launcher needs from the rest of the shell.
pub struct Surroundings {
    /// Ends of runs from the journal (PID 1's own records). It is asked for every unit found, hence should answer at
    /// once, with nothing, when the state on disk already knows `present`.
    pub missed: Box<dyn Fn(MissedQuery) -> Missed + Send>,
    /// Called with a text when systemd cannot be reached, and with `None` when it can again.
    pub health: Box<dyn Fn(Option<String>) + Send>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// The launcher. Its work is done by a task that ends when this is dropped or closed.
#[derive(Debug)]
pub struct SystemdLauncher {
    commands: UnboundedSender<Command>,
}

impl SystemdLauncher {
    /// Needs a tokio runtime around it.
    pub fn new(events: EventSender, systemd: Systemd, paths: &Paths, surroundings: Surroundings) -> Self {
        let (commands, receiver) = unbounded_channel();
        let engine = Engine::new(events, systemd, paths.clone(), surroundings);
        tokio::spawn(engine.run(receiver));
        Self { commands }
    }

    fn send(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("the systemd launcher has ended; a command is lost");
        }
    }

    fn op(&self, replica: &ReplicaId, op: Op) {
        self.send(Command::Op(replica.clone(), op));
    }
}

impl Launcher for SystemdLauncher {
    fn name(&self) -> &'static str {
        "systemd"
    }
    fn survives(&self) -> bool {
        true
    }
    fn list(&mut self) {
        self.send(Command::List);
    }
    fn start(&mut self, token: StartToken, spec: Arc<RunSpec>, notify_socket: Option<PathBuf>) {
        let replica = spec.replica.clone();
        let op = Op::Start { token, spec, socket: notify_socket, resumed: false };
        self.op(&replica, op);
    }
    fn signal(&mut self, replica: &ReplicaId, run: RunId, signal: i32, whole: bool) {
        self.op(replica, Op::Signal { run, signal, whole });
    }
    fn stop(&mut self, replica: &ReplicaId, run: RunId, signal: i32, grace: Duration) {
        self.op(replica, Op::Stop { run, signal, grace });
    }
    fn kill(&mut self, replica: &ReplicaId, run: RunId) {
        self.op(replica, Op::Kill(run));
    }
    fn disarm(&mut self, replica: &ReplicaId) {
        self.op(replica, Op::Disarm);
    }
    fn recorded(&mut self, replica: &ReplicaId, run: RunId) {
        self.send(Command::Recorded(replica.clone(), run));
    }
    fn forget(&mut self, replica: &ReplicaId) {
        self.op(replica, Op::Forget);
    }
    fn freeze(&mut self, replica: &ReplicaId, run: RunId) {
        self.op(replica, Op::Freeze(run));
    }
    fn thaw(&mut self, replica: &ReplicaId, run: RunId) {
        self.op(replica, Op::Thaw(run));
    }
    fn network(&mut self, replica: &ReplicaId, run: RunId, deny: bool) {
        self.op(replica, Op::Network { run, deny });
    }
    fn set_limits(&mut self, replica: &ReplicaId, run: RunId, limits: Resources) {
        self.op(replica, Op::Limits { run, limits });
    }
    fn set_team(&mut self, team: &TeamName, parents: &[TeamName], limits: TeamLimits) {
        self.send(Command::Team(render::slice(team, parents), limits));
    }
    fn close(&mut self) {
        self.send(Command::Close);
    }
}
