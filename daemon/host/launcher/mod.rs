//! Launching runs: one trait, two launchers with the same events.
//!
//! | | `systemd` | `direct` |
//! |---|---|---|
//! | a run is | a transient service unit | our own child |
//! | survives reeved | yes | no |
//! | needs | PID 1 systemd, the system bus | nothing |
//!
//! Every method returns at once. What comes of it arrives as a [`LauncherEvent`] on the channel the launcher was made
//! with, by the contract stated there: one `Started` or `StartFailed` per start, one `Exited` per run.

pub mod direct;
pub mod systemd;

use reeve_core::config::Resources;
use reeve_core::effect::RunSpec;
use reeve_core::{LauncherEvent, ReplicaId, RunId, StartToken, TeamName};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Whom a unit runs as when its worker names no user (made by sysusers): never root by omission.
pub const DEFAULT_USER: &str = "reeve-worker";

/// Where launchers send what happens.
pub type EventSender = UnboundedSender<LauncherEvent>;

/// What a team's slice may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TeamLimits {
    /// Hundredths of a CPU.
    pub cpu_quota: Option<u64>,
    /// Bytes.
    pub memory_max: Option<u64>,
    /// Tasks.
    pub tasks_max: Option<u64>,
}

/// Starts, stops, freezes and watches runs. Object-safe; owned by the loop.
pub trait Launcher {
    /// `systemd` or `direct`.
    fn name(&self) -> &'static str;
    /// Whether runs outlive the daemon.
    fn survives(&self) -> bool;
    /// Lists what runs already: a `Found` each, then `ListComplete`. Called once at start, and again on demand.
    fn list(&mut self);
    /// Launches a run; `notify_socket` is bound already and goes into the environment.
    fn start(&mut self, token: StartToken, spec: Arc<RunSpec>, notify_socket: Option<PathBuf>);
    /// Sends a signal to the main process, or to all.
    fn signal(&mut self, replica: &ReplicaId, run: RunId, signal: i32, whole: bool);
    /// Thaws, sends `signal` to the main process, after `grace` SIGKILL to the whole cgroup.
    fn stop(&mut self, replica: &ReplicaId, run: RunId, signal: i32, grace: Duration);
    /// Thaws, SIGKILL to the whole cgroup.
    fn kill(&mut self, replica: &ReplicaId, run: RunId);
    /// No dead-man restart until the next start.
    fn disarm(&mut self, replica: &ReplicaId);
    /// The exit record of the replica's ended run is on disk: its status may be erased now.
    fn recorded(&mut self, replica: &ReplicaId, run: RunId);
    /// The replica is no longer ours.
    fn forget(&mut self, replica: &ReplicaId);
    /// Freezes; answered by `Applied`.
    fn freeze(&mut self, replica: &ReplicaId, run: RunId);
    /// Thaws; answered by `Applied`.
    fn thaw(&mut self, replica: &ReplicaId, run: RunId);
    /// Cuts off the network or gives it back; answered by `Applied`.
    fn network(&mut self, replica: &ReplicaId, run: RunId, deny: bool);
    /// Changes limits of a live run; answered by `Applied`.
    fn set_limits(&mut self, replica: &ReplicaId, run: RunId, limits: Resources);
    /// Sets what the team may use.
    fn set_team(&mut self, team: &TeamName, parents: &[TeamName], limits: TeamLimits);
    /// The daemon is ending. Direct: nothing of ours may be left; systemd: let go of references.
    fn close(&mut self);
}
