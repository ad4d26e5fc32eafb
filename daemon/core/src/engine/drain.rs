//! Drain (ORD-06): stop intake → finish → save state → stop, all within one deadline.

use super::{Core, spec};
use crate::config::{Notice as DrainNotice, Until};
use crate::effect::{Effect, HookAction};
use crate::event::HookKind;
use crate::ids::{ReplicaId, RunId};
use crate::notice::Kind;
use crate::replica::{Input, State};
use crate::timers::Timer;
use std::time::Duration;

/// Between two looks at the drain condition.
const POLL: Duration = Duration::from_secs(1);
/// One look takes no longer than this.
const LOOK: Duration = Duration::from_secs(5);

impl Core {
    /// Act: tell it to take no more work.
    pub(super) fn drain_notice(&mut self, id: &ReplicaId, reason: &str) {
        self.clear_health_timers(id);
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let (port, gpus) = (replica.port, replica.gpus.clone());
        let drain = replica.def.as_ref().and_then(|d| d.drain.clone());
        let Some(live) = replica.live.as_mut() else {
            return;
        };
        let frozen = std::mem::take(&mut live.frozen);
        let isolated = std::mem::take(&mut live.isolated);
        let Some(run) = live.run else { return };
        if isolated {
            self.emit(Effect::Network { replica: id.clone(), run, deny: false });
        }
        if frozen {
            self.emit(Effect::Thaw(id.clone(), run));
            self.append(id, crate::persist::RunEntry::Frozen { frozen: false, isolated: false });
        }
        let Some(drain) = drain else {
            self.timers.set(id, Timer::DrainPoll, now);
            return;
        };
        if let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.as_mut()) {
            live.drain_until = Some(now + drain.timeout);
        }
        self.timers.set(id, Timer::State, now + drain.timeout);
        self.notice(Kind::DrainStarted, id, reason);
        let values = spec::values(id, port, &gpus, &self.site);
        let expand = |t: &str| crate::config::expand(t, &values);
        let action = match &drain.notice {
            DrainNotice::Signal(signal) => {
                self.emit(Effect::Signal { replica: id.clone(), run, signal: *signal, whole: false });
                self.timers.set(id, Timer::DrainPoll, self.first_look(id));
                return;
            }
            DrainNotice::None => {
                self.timers.set(id, Timer::DrainPoll, self.first_look(id));
                return;
            }
            DrainNotice::Http(method, url) => DrainNotice::Http(method.clone(), expand(url)),
            DrainNotice::Exec(argv) => DrainNotice::Exec(spec::expand_all(argv, &values)),
        };
        self.hook(id, run, HookKind::Notice, HookAction::Notice(action), drain.timeout);
    }

    fn hook(&mut self, id: &ReplicaId, run: RunId, kind: HookKind, action: HookAction, timeout: Duration) {
        self.emit(Effect::Hook { replica: id.clone(), run, kind, action, timeout });
    }

    /// Timer `DrainPoll`: is the work done?
    pub(super) fn drain_poll(&mut self, id: &ReplicaId) {
        let Some(replica) = self.replicas.get(id).filter(|r| r.state == State::Draining) else {
            return;
        };
        let (Some(def), Some(run)) = (replica.def.clone(), replica.run()) else {
            return;
        };
        let values = spec::values(id, replica.port, &replica.gpus, &self.site);
        let until = match def.drain.as_ref().map(|d| &d.until) {
            None | Some(Until::Nothing) => {
                self.transition(id, Input::DrainDone, "nothing to wait for");
                return;
            }
            // Its end is reported by the launcher.
            Some(Until::Exit) => return,
            Some(Until::Exec(argv)) => Until::Exec(spec::expand_all(argv, &values)),
            Some(Until::Metric { name, equals }) if def.metrics.scrape.is_none() => {
                self.drain_told(id, name, *equals);
                return;
            }
            Some(metric @ Until::Metric { .. }) => metric.clone(),
        };
        let scrape = def.metrics.scrape.as_ref().map(|url| crate::config::expand(url, &values));
        self.hook(id, run, HookKind::Until, HookAction::Until { until, scrape }, LOOK);
    }

    /// Without a page to read, what the run has said last by itself counts.
    fn drain_told(&mut self, id: &ReplicaId, name: &str, equals: f64) {
        let said = self.replicas.get(id).and_then(|r| r.live.as_ref()).and_then(|live| live.values.get(name).copied());
        match said {
            Some(value) if (value - equals).abs() < 1e-9 => {
                self.transition(id, Input::DrainDone, "its work is done");
                return;
            }
            Some(value) => self.set_state_reason(id, format!("draining; {name} is {value}")),
            None => self.set_state_reason(id, format!("draining; it has not said {name}")),
        }
        self.timers.set(id, Timer::DrainPoll, self.after(POLL));
    }

    /// When to look first. What it says by itself may be from before it was told: it is given a moment to say more.
    fn first_look(&self, id: &ReplicaId) -> crate::time::Mono {
        let def = self.replicas.get(id).and_then(|r| r.def.as_ref());
        let told = def.is_some_and(|def| {
            let until = def.drain.as_ref().map(|d| &d.until);
            matches!(until, Some(Until::Metric { .. })) && def.metrics.scrape.is_none()
        });
        if told { self.after(POLL) } else { self.now.mono }
    }

    /// A drain step has ended.
    pub(super) fn hooked(&mut self, id: &ReplicaId, run: RunId, kind: HookKind, result: Result<bool, String>) {
        let Some(replica) = self.replicas.get(id).filter(|r| r.run() == Some(run)) else {
            return;
        };
        match (kind, replica.state) {
            (HookKind::Notice, State::Draining) => {
                if let Err(why) = result {
                    self.notice(Kind::DrainTimeout, id, format!("it could not be told to drain: {why}"));
                }
                self.timers.set(id, Timer::DrainPoll, self.first_look(id));
            }
            (HookKind::Until, State::Draining) => match result {
                Ok(true) => {
                    self.transition(id, Input::DrainDone, "its work is done");
                }
                Ok(false) => self.timers.set(id, Timer::DrainPoll, self.after(POLL)),
                Err(why) => {
                    self.set_state_reason(id, format!("draining; condition not readable: {why}"));
                    self.timers.set(id, Timer::DrainPoll, self.after(POLL));
                }
            },
            (HookKind::SaveState, State::Saving) => {
                let text = match result {
                    Ok(_) => "drained, state saved".to_owned(),
                    Err(why) => format!("drained; saving its state failed: {why}"),
                };
                self.notice(Kind::DrainFinished, id, text.clone());
                self.transition(id, Input::Saved, &text);
            }
            // An answer that comes after the state was left (timeout, exit) has nothing to say any more.
            (HookKind::Notice | HookKind::Until | HookKind::SaveState, _) => {}
        }
    }

    pub(super) fn set_state_reason(&mut self, id: &ReplicaId, reason: String) {
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.reason = reason;
        }
        self.touch(id);
    }

    /// Act: run save_state, if there is one.
    pub(super) fn save_state(&mut self, id: &ReplicaId) {
        self.timers.clear(id, Timer::DrainPoll);
        let now = self.now.mono;
        let Some(replica) = self.replicas.get(id) else {
            return;
        };
        let Some(run) = replica.run() else { return };
        let until = replica.live.as_ref().and_then(|l| l.drain_until);
        let save = replica.def.as_ref().and_then(|d| d.drain.as_ref()).and_then(|d| d.save_state.clone());
        let Some(argv) = save else {
            self.notice(Kind::DrainFinished, id, "its work is done");
            self.timers.set(id, Timer::State, now);
            // The same step as after a save_state program, taken at once.
            self.transition(id, Input::Saved, "its work is done");
            return;
        };
        let values = spec::values(id, replica.port, &replica.gpus, &self.site);
        let left = until.map_or(LOOK, |u| u.since(now)).max(Duration::from_millis(1));
        if let Some(until) = until {
            self.timers.set(id, Timer::State, until);
        }
        let action = HookAction::Exec(spec::expand_all(&argv, &values));
        self.hook(id, run, HookKind::SaveState, action, left);
    }
}
