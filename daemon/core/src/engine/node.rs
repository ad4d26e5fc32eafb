//! The node as a whole: reload, components, suspend, ports, the end.

use super::{Core, Phase};
use crate::config::{Config, Share, Worker};
use crate::effect::Effect;
use crate::ids::ReplicaId;
use crate::notice::{Kind, Notice};
use crate::persist::RunEntry;
use crate::replica::State;
use crate::timers::Timer;
use std::sync::Arc;
use std::time::Duration;

/// Between two requests for a port.
const PORT_AGAIN: Duration = Duration::from_secs(5);

/// Whether a worker is another one to whoever runs or watches it. How many there are, and when they start, is not.
fn differs(old: &Worker, new: &Worker) -> bool {
    let mut same = old.clone();
    same.replicas = new.replicas;
    same.order = new.order;
    same.depends_on.clone_from(&new.depends_on);
    same.max_unavailable = new.max_unavailable;
    same != *new
}

impl Core {
    /// A new configuration takes effect. Only replicas whose specification changed are replaced, by `plan`.
    pub(super) fn reloaded(&mut self, config: Arc<Config>) {
        let old = Arc::clone(&self.config);
        self.generation += 1;
        self.config_errors = 0;
        self.config_since = self.now.wall;
        let changed: Vec<_> = config
            .workers
            .iter()
            .filter(|(name, def)| old.workers.get(*name).is_some_and(|o| differs(o, def)))
            .map(|(name, _)| name.clone())
            .collect();
        self.adopt_config(config);
        let config = Arc::clone(&self.config);
        self.set_teams(&config, Some(&old));
        for name in &changed {
            for id in self.ids_of(name) {
                self.definition_changed(&id);
            }
        }
        self.say_unplaceable();
        let text = format!("generation {}, {} workers changed", self.generation, changed.len());
        self.emit(Effect::Notice(Notice::node(Kind::ConfigReloaded, text)));
    }

    /// The part of a reload that a trial plan needs too.
    pub(super) fn adopt_config(&mut self, config: Arc<Config>) {
        let old = std::mem::replace(&mut self.config, config);
        self.damping.set_config(self.config.supervision.damping);
        self.bucket.set_rate(self.config.supervision.restart_rate, self.now.mono);
        self.forget_stale_numbers(&old);
        self.choose_indices();
        self.refresh_desired();
    }

    /// A figure set by hand holds until the file itself says another one.
    fn forget_stale_numbers(&mut self, old: &Config) {
        let config = Arc::clone(&self.config);
        let before = self.node.clone();
        for (name, def) in &config.workers {
            if old.workers.get(name).is_some_and(|o| o.replicas != def.replicas) {
                self.node.scaled.remove(name);
            }
            if old.workers.get(name).is_some_and(|o| o.resources != def.resources) {
                self.node.limits.remove(name);
            }
        }
        self.node.scaled.retain(|name, _| config.workers.contains_key(name));
        self.node.limits.retain(|name, _| config.workers.contains_key(name));
        self.node.indices.retain(|name, _| config.workers.contains_key(name));
        self.node.stopped.retain(|id, _| config.workers.contains_key(&id.worker));
        self.node.draining.retain(|id| config.workers.contains_key(&id.worker));
        self.node.paused.retain(|id, _| config.workers.contains_key(&id.worker));
        if self.node != before {
            self.persist();
        }
    }

    /// Chooses which numbers stay for workers whose wanted count has changed.
    pub(super) fn choose_indices(&mut self) {
        let config = Arc::clone(&self.config);
        for (name, def) in &config.workers {
            let wanted = self.node.scaled.get(name).copied().unwrap_or(def.replicas);
            let Some(present) = self.desired.workers.get(name).map(|w| w.indices.clone()) else {
                continue;
            };
            if present.len() == wanted as usize {
                continue;
            }
            let kept = crate::desired::choose(&present, wanted, |i| self.cost(&ReplicaId::new(name.clone(), i)));
            if kept.iter().copied().eq(1..=wanted) {
                self.node.indices.remove(name);
            } else {
                self.node.indices.insert(name.clone(), kept);
            }
            self.persist();
        }
    }

    /// How much is lost when it goes: not running, not ready, idle, silent about its work, busy.
    fn cost(&self, id: &ReplicaId) -> (u8, u64) {
        let Some(replica) = self.replicas.get(id) else {
            return (0, 0);
        };
        let tasks = replica.live.as_ref().and_then(crate::replica::Live::tasks);
        match (replica.state, tasks) {
            (State::Down, _) => (0, 0),
            _ if !replica.is_ready() => (1, tasks.unwrap_or(0)),
            (_, Some(0)) => (2, 0),
            (_, None) => (3, 0),
            (_, Some(n)) => (4, n),
        }
    }

    /// A changed definition clears what was held against the old one, and its probes count afresh.
    fn definition_changed(&mut self, id: &ReplicaId) {
        let digest = self.desired.workers.get(&id.worker).map(|w| w.digest.clone());
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let same_run = replica.live.as_ref().is_some_and(|l| digest.as_deref() == Some(l.digest.as_str()));
        replica.refused = None;
        if replica.state == State::Down && (replica.is_parked() || replica.not_before.is_some()) {
            replica.restart.parked = None;
            replica.restart.failures = 0;
            replica.restart.breakers.clear();
            replica.not_before = None;
            replica.crash_loop = false;
            replica.start_reason = "its definition has changed".into();
            let books = replica.restart.clone();
            self.append(id, RunEntry::Restart(books));
            self.leave_damping(id);
            self.look_settled(&id.worker);
        } else if same_run {
            replica.def = self.desired.workers.get(&id.worker).map(|w| w.def.clone());
            if matches!(replica.state, State::Starting | State::Up) {
                self.start_health(id);
                self.judge_readiness(id);
            }
        }
        self.mark(id);
    }

    pub(super) fn say_unplaceable(&mut self) {
        let texts: Vec<_> = self
            .desired
            .workers
            .iter()
            .filter_map(|(name, w)| w.unplaceable.as_ref().map(|why| (name.clone(), why.clone())))
            .collect();
        for (name, why) in texts {
            self.emit(Effect::Notice(Notice::worker(Kind::Unplaceable, &name, why)));
        }
    }

    /// Sets the slices of teams whose limits differ from the old configuration's (SUP-07).
    pub(super) fn set_teams(&mut self, config: &Config, old: Option<&Config>) {
        for (name, team) in &config.teams {
            if old.is_some_and(|o| o.teams.get(name) == Some(team)) {
                continue;
            }
            let share = |share: Option<Share>, whole: u64| match share? {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a share of the host needs no more precision"
                )]
                Share::Percent(p) => Some((whole as f64 * p / 100.0) as u64),
                Share::Absolute(n) => Some(n),
            };
            self.emit(Effect::SetTeam {
                team: name.clone(),
                parents: super::spec::parents(config, name),
                cpu_quota: share(team.cpu_quota, u64::from(self.site.cpus) * 100),
                memory_max: share(team.memory_max, self.site.memory),
                tasks_max: team.tasks_max,
            });
        }
    }

    pub(super) fn reload_failed(&mut self, errors: u32, first: &str) {
        self.config_errors = errors.max(1);
        let text = format!("{errors} mistakes, the first: {first}");
        self.emit(Effect::Notice(Notice::node(Kind::ConfigRefused, text)));
    }

    pub(super) fn component(&mut self, component: &'static str, problem: Option<String>) {
        match problem {
            Some(why) => {
                let text = format!("{component}: {why}");
                if self.components.insert(component, why).is_none() {
                    self.emit(Effect::Notice(Notice::node(Kind::Degraded, text)));
                }
            }
            None => {
                if self.components.remove(component).is_some() {
                    self.emit(Effect::Notice(Notice::node(Kind::Recovered, format!("{component} works again"))));
                }
            }
        }
    }

    /// After a suspend nobody has had time to answer: every timer of health begins anew.
    pub(super) fn machine_resumed(&mut self, span: Duration) {
        let text = format!("asleep for {}.", crate::restart::span(span));
        self.emit(Effect::Notice(Notice::node(Kind::Resumed, text)));
        for id in self.replicas.keys().cloned().collect::<Vec<_>>() {
            let Some(state) = self.replicas.get(&id).map(|r| r.state) else {
                continue;
            };
            if matches!(state, State::Starting | State::Up) {
                self.start_health(&id);
            }
            if let Some(until) =
                self.replicas.get_mut(&id).and_then(|r| r.live.as_mut()).and_then(|l| l.drain_until.as_mut())
            {
                *until = *until + span;
            }
            if state != State::Down
                && let Some(at) = self.timers.get(&id, Timer::State)
            {
                self.timers.set(&id, Timer::State, at + span);
            }
        }
    }

    pub(super) fn port_allocated(&mut self, id: &ReplicaId, result: Result<u16, String>) {
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        replica.port_asked = false;
        match result {
            Ok(port) => {
                replica.port_free = true;
                if replica.port.replace(port) != Some(port) {
                    self.append(id, RunEntry::Port(port));
                }
                self.mark(id);
            }
            Err(why) => {
                let later = self.now.mono + PORT_AGAIN;
                let until = replica.not_before.take().map_or(later, |(at, _)| at.max(later));
                replica.not_before = Some((until, format!("no free port: {why}")));
                self.mark(id);
            }
        }
    }

    /// The daemon is asked to end. Asked twice, the workers are no longer drained.
    pub(super) fn shutdown(&mut self, stop_workers: bool) {
        let again = matches!(self.phase, Phase::Ending { .. });
        if !again {
            self.emit(Effect::Notice(Notice::node(Kind::DaemonStopping, "asked to end")));
            self.phase_since = self.now;
        }
        self.hurry |= again;
        self.phase = Phase::Ending { workers: stop_workers };
        self.refresh_desired();
        if again {
            for id in self.replicas.keys().cloned().collect::<Vec<_>>() {
                self.transition(&id, crate::replica::Input::Stop, "reeved is ending, asked twice");
            }
        }
    }

    pub(super) fn node_hurry(&self) -> bool {
        self.hurry
    }

    /// Says once that a drain of the node is over.
    pub(super) fn check_drained(&mut self) {
        let Some(why) = self.node.drained.as_ref().filter(|_| self.phase == Phase::Running) else {
            self.drained_said = false;
            return;
        };
        if !self.drained_said && self.live == 0 {
            let text = format!("{why}; no worker runs any more");
            self.drained_said = true;
            self.emit(Effect::Notice(Notice::node(Kind::NodeDrained, text)));
        }
    }

    /// Everything that had to end has ended.
    pub(super) fn check_ending(&mut self) {
        let Phase::Ending { workers } = self.phase else {
            return;
        };
        let down = self.live == 0 && (self.listed || self.hurry);
        if !self.exited && (!workers || down) {
            self.exited = true;
            self.emit(Effect::Exit);
        }
    }
}
