//! Ending an operation: what the core hears of it.

use super::engine::Engine;
use super::ops::Op;
use super::unit::{Life, Run, Unit, unknown};
use super::{attach, failure, render};
use crate::bus::systemd1::SystemdError;
use reeve_core::effect::RunSpec;
use reeve_core::{Applied, Found, LauncherEvent, ReplicaId, RunId, StartToken};

impl Engine {
    /// The start job is over.
    pub(super) fn start_done(&mut self, replica: &ReplicaId, op: Op, result: Result<String, SystemdError>) {
        let Op::Start { token, spec, .. } = op else {
            return;
        };
        let Some(unit) = self.units.get_mut(replica) else {
            return;
        };
        unit.ours = true;
        let passing = std::mem::take(&mut unit.passing);
        if let Some(next) = unit.next.take() {
            // A start that was refused may have left the unit of before, or none.
            unit.fingerprint = result.is_ok().then_some(next.fingerprint);
            unit.limits = Some(next.limits);
            unit.network = next.network;
        }
        let failed = match result {
            Err(error) => Some(error.to_string()),
            Ok(job) => verdict(unit, &job, &spec),
        };
        if let Some(error) = failed {
            // Not a run of its own: PID 1 must neither repeat it nor let it pass for one.
            if let Some(id) = unit.invocation() {
                unit.run = Some(Run { id, over: true });
            }
            unit.down = true;
            // One that has not ended goes on: this start did not touch it.
            let ended = passing.into_iter().filter(|found| found.ended.is_some()).collect();
            passed(unit, ended).into_iter().for_each(|found| self.send(found));
            return self.send(LauncherEvent::StartFailed { replica: replica.clone(), token, error });
        }
        unit.cut = false;
        unit.stop = Some((spec.stop_signal, spec.stop_timeout));
        let slice = render::slice(&spec.team, &spec.team_parents);
        unit.cgroup = attach::cgroup(&render::control_group(&slice, &replica.unit()));
        let event = started(unit, replica, token);
        let passed = passed(unit, passing);
        passed.into_iter().for_each(|found| self.send(found));
        self.send(event);
    }

    /// Anything else is over.
    pub(super) fn plain_done(&mut self, replica: &ReplicaId, op: &Op, result: Result<(), SystemdError>) {
        let Some(unit) = self.units.get_mut(replica) else {
            return;
        };
        let ok = result.is_ok();
        let (run, what) = match op {
            Op::Freeze(run) => {
                if unit.frozen_by_pid1() {
                    unit.part.freezer = Some(if ok { "frozen" } else { "running" }.to_owned());
                }
                (*run, Applied::Freeze)
            }
            Op::Thaw(run) => {
                if ok {
                    unit.part.freezer = Some("running".to_owned());
                }
                (*run, Applied::Thaw)
            }
            Op::Network { run, deny } => {
                if ok {
                    unit.cut = *deny;
                }
                (*run, Applied::Network)
            }
            Op::Limits { run, limits } => {
                if ok {
                    unit.limits = Some(*limits);
                }
                (*run, Applied::Limits)
            }
            Op::Forget => {
                let reports = unit.reports(replica);
                let unit = self.units.remove(replica);
                reports.into_iter().for_each(|event| self.send(event));
                // What was asked after it concerns a new life under the same name.
                if let Some(unit) = unit.filter(|unit| !unit.queue.is_empty()) {
                    let queue = unit.queue;
                    self.units.insert(replica.clone(), Box::new(Unit { queue, ..Unit::default() }));
                }
                return;
            }
            _ => {
                if let Err(error) = result {
                    tracing::warn!(%replica, ?op, %error, "systemd refused");
                }
                return;
            }
        };
        self.send(LauncherEvent::Applied {
            replica: replica.clone(),
            run,
            what,
            result: result.map_err(|e| e.to_string()),
        });
    }
}

/// Why a start whose job has ended did not give a run.
fn verdict(unit: &Unit, job: &str, spec: &RunSpec) -> Option<String> {
    let new = unit.invocation().is_some() && unit.invocation() != unit.run.map(|run| run.id);
    let adopted = unit.life() == Life::Live;
    let code = unit.part.exec_code.unwrap_or(0);
    let status = unit.part.exec_status.unwrap_or(0);
    match job {
        "done" if new || adopted => None,
        "failed" if new && code == 1 && failure::is_setup(status) => Some(failure::setup(status, spec)),
        // It was executed, and has ended before systemd could call the start done.
        "failed" if new && code != 0 => None,
        "failed" => Some(failure::result(unit.part.result.as_deref().unwrap_or("?"), spec)),
        _ if new && adopted => None,
        other => Some(format!("systemd's start job ended as {other:?}")),
    }
}

fn started(unit: &mut Unit, replica: &ReplicaId, token: StartToken) -> LauncherEvent {
    let id = unit.invocation().unwrap_or(RunId([0; 16]));
    unit.run = Some(Run { id, over: false });
    let main = unit.part.main_pid.filter(|pid| *pid > 0);
    LauncherEvent::Started {
        replica: replica.clone(),
        token,
        run: id,
        pid: main.or(unit.part.exec_pid).unwrap_or(0),
        cgroup: unit.cgroup.clone(),
    }
}

/// Runs that came and went during the start: found, and ended.
fn passed(unit: &Unit, passing: Vec<Found>) -> Vec<LauncherEvent> {
    let present = unit.run.map(|run| run.id);
    let gone = passing.into_iter().filter(|found| Some(found.run) != present);
    gone.map(|mut found| {
        found.ended.get_or_insert_with(unknown);
        found.pid = None;
        LauncherEvent::Found(found)
    })
    .collect()
}
