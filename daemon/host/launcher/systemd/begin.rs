//! Beginning an operation: what it means in the unit's present state.

use super::engine::{Done, Engine, Output};
use super::ops::{Op, Tools, Way};
use super::render::{self, Rendered};
use super::unit::{Freezing, Life, Next, Unit};
use crate::bus::systemd1::{Property, SystemdError};
use reeve_core::ReplicaId;
use reeve_core::config::Resources;
use std::future::Future;
use std::pin::Pin;

type Plain = Pin<Box<dyn Future<Output = Result<(), SystemdError>> + Send>>;

impl Engine {
    /// Begins an operation; `Some` when there is nothing to wait for.
    pub(super) fn begin(&mut self, tools: &Tools, replica: &ReplicaId, op: Op) -> Option<Done> {
        let unit = self.units.get_mut(replica)?;
        let name = replica.unit();
        let nothing = |op| Some(Done::Op(replica.clone(), op, Output::Plain(Ok(()))));
        let tools = tools.clone();
        let plain: Plain = match op {
            Op::Start { .. } => return self.begin_start(tools, replica, op),
            Op::Signal { run, .. } | Op::Stop { run, .. } | Op::Kill(run) if !unit.lives(run) => {
                return nothing(op);
            }
            Op::Freeze(run) | Op::Thaw(run) | Op::Network { run, .. } | Op::Limits { run, .. } if !unit.lives(run) => {
                let ended = SystemdError::ours(format!("run {run} has ended"));
                return Some(Done::Op(replica.clone(), op, Output::Plain(Err(ended))));
            }
            Op::Signal { signal, whole, .. } => {
                Box::pin(async move { tools.systemd.kill_unit(&name, whole, signal).await })
            }
            Op::Stop { run, signal, grace } => {
                unit.down = true;
                let frozen = unit.thaw();
                let differs = unit.stop.is_some_and(|(own, patience)| own != signal || patience < grace);
                let replica = replica.clone();
                self.work.push(Box::pin(async move {
                    tokio::time::sleep(grace).await;
                    Done::Grace(replica, run)
                }));
                Box::pin(async move { tools.stop(&name, frozen, signal, differs).await })
            }
            Op::Kill(_) => {
                unit.down = true;
                let frozen = unit.thaw();
                Box::pin(async move { tools.kill(&name, frozen).await })
            }
            Op::Disarm => {
                unit.down = true;
                if !unit.armed() {
                    return nothing(op);
                }
                Box::pin(async move { tools.disarm(&name).await })
            }
            Op::Forget => {
                if !unit.loaded {
                    return nothing(op);
                }
                let frozen = unit.thaw();
                Box::pin(async move { tools.forget(&name, frozen).await })
            }
            Op::Freeze(_) => match unit.freeze() {
                Ok(Freezing::Asked(group)) => Box::pin(async move { Tools::until_frozen(&group).await }),
                Ok(Freezing::Forbidden) => {
                    unit.part.freezer = Some("freezing".to_owned());
                    Box::pin(async move { tools.systemd.freeze(&name).await })
                }
                Err(text) => {
                    let refused = Output::Plain(Err(SystemdError::ours(text)));
                    return Some(Done::Op(replica.clone(), op, refused));
                }
            },
            Op::Thaw(_) if !unit.frozen() => return nothing(op),
            Op::Thaw(_) => {
                let (frozen, group) = (unit.thaw(), unit.group());
                Box::pin(async move { tools.until_thawed(&name, frozen, group).await })
            }
            Op::Network { deny, .. } => {
                let properties =
                    if deny { render::cut_off() } else { unit.network.clone().unwrap_or_else(render::open) };
                Box::pin(async move { tools.systemd.set_unit_properties(&name, &properties).await })
            }
            Op::Limits { limits, .. } => {
                let properties = render::live_limits(&limits);
                Box::pin(async move { tools.systemd.set_unit_properties(&name, &properties).await })
            }
        };
        let replica = replica.clone();
        self.work.push(Box::pin(async move {
            let result = plain.await;
            Done::Op(replica, op, Output::Plain(result))
        }));
        None
    }

    fn begin_start(&mut self, tools: Tools, replica: &ReplicaId, op: Op) -> Option<Done> {
        let Op::Start { spec, socket, resumed, .. } = &op else {
            return None;
        };
        let refused =
            |op, text: String| Some(Done::Op(replica.clone(), op, Output::Start(Err(SystemdError::ours(text)))));
        let rendered = match render::render(spec, socket.as_deref(), &self.paths) {
            Ok(rendered) => rendered,
            Err(text) => return refused(op, text),
        };
        let unit = self.units.get_mut(replica)?;
        // A run that was killed while PID 1 held it frozen leaves its unit so for good: only a new unit is rid of that,
        // where anything is. What is left of a cgroup that we froze would freeze the next run.
        let stuck = unit.thaw() && unit.life() == Life::Ended;
        let changed = unit.command.as_ref().is_some_and(|command| command != rendered.command());
        let same = unit.fingerprint.as_ref() == Some(&rendered.fingerprint) && !stuck && !changed;
        let another = unit.invocation() != unit.run.map(|run| run.id);
        let life = unit.life();
        let next = Box::new(Next::of(&rendered, &spec.limits));
        if unit.loaded && same && (life == Life::Live || (*resumed && another && life == Life::Ended)) {
            // The dead-man timer was quicker, or this start was carried out before the bus went.
            unit.next = Some(next);
            let done = Output::Start(Ok("done".to_owned()));
            return Some(Done::Op(replica.clone(), op, done));
        }
        if let Some(run) = unit.run.filter(|run| !run.over && life == Life::Live) {
            // Its end comes first, with a record of its own.
            let stop = Op::Stop { run: run.id, signal: spec.stop_signal, grace: spec.stop_timeout };
            unit.busy = false;
            unit.queue.push_front(op);
            unit.queue.push_front(stop);
            self.turns.over();
            return None;
        }
        let way = match (unit.loaded, same) {
            (false, _) => Way::Fresh,
            (true, true) if life == Life::Ended => Way::Again,
            (true, _) => Way::Replace,
        };
        let adjust = adjust(unit, &spec.limits, &rendered, way);
        unit.starting = true;
        unit.down = false;
        if way != Way::Again {
            unit.command = None;
        }
        let name = replica.unit();
        let replica = replica.clone();
        unit.next = Some(next);
        self.work.push(Box::pin(async move {
            let result = tools.start(&name, way, rendered, adjust).await;
            Done::Op(replica, op, Output::Start(result))
        }));
        None
    }
}

/// What has to be set on a unit that is used again: limits that were changed while it lived, a network that was cut.
fn adjust(unit: &Unit, wanted: &Resources, rendered: &Rendered, way: Way) -> Vec<Property> {
    let mut all = Vec::new();
    if way != Way::Again {
        return all;
    }
    if unit.limits != Some(*wanted) {
        all.extend(render::live_limits(wanted));
    }
    if unit.cut {
        all.extend(rendered.network.iter().cloned());
    }
    all
}
