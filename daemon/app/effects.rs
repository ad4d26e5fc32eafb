//! Carrying out what the core decided, in order. A failure comes back as an event.

use super::handle::NodeEvent;
use super::run::{App, RETRY};
use crate::host::clock::Clock;
use crate::host::launcher::{DEFAULT_USER, Launcher, TeamLimits};
use crate::host::probe::exec::Context;
use crate::host::store::SyncDone;
use crate::host::users::uid_of;
use reeve_core::config::Config;
use reeve_core::effect::RunSpec;
use reeve_core::fleet::Input;
use reeve_core::{Effect, Event, LauncherEvent, Notice, ReplicaId, RunEntry, RunId, StartToken};
use std::sync::Arc;
use tokio::time::Instant;

/// Whom workers without `user` run as. Children of reeved run as reeved does.
fn default_user(launcher: &dyn Launcher) -> Option<&'static str> {
    launcher.survives().then_some(DEFAULT_USER)
}

/// Whom the replica runs as by its definition: that user may speak in its sockets, also when the one who spoke has ended
/// before it is read.
pub(super) fn speaker(config: &Config, replica: &ReplicaId, launcher: &dyn Launcher) -> Option<u32> {
    let worker = config.workers.get(&replica.worker)?;
    uid_of(worker.user.as_deref().or_else(|| default_user(launcher)))
}

/// Entries kept to be asked about.
const RECENT: usize = 1000;

impl App {
    /// Carries them out, in order.
    pub(super) fn carry_out_all(&mut self, effects: Vec<Effect>) {
        let mut effects = effects.into_iter().map(lasting).peekable();
        while let Some(effect) = effects.next() {
            match effect {
                Err(effect) => self.carry_out(effect),
                Ok((replica, entry)) => {
                    let mut entries = vec![entry];
                    let more = |e: &Result<(ReplicaId, RunEntry), Effect>| e.as_ref().is_ok_and(|(r, _)| *r == replica);
                    while let Some(Ok((_, entry))) = effects.next_if(more) {
                        entries.push(entry);
                    }
                    self.keep(&replica, entries);
                }
            }
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Start { token, spec } => self.start(token, spec),
            Effect::Signal { replica, run, signal, whole } => self.launcher.signal(&replica, run, signal, whole),
            Effect::Stop { replica, run, signal, grace } => self.launcher.stop(&replica, run, signal, grace),
            Effect::Kill { replica, run } => self.launcher.kill(&replica, run),
            Effect::Disarm(replica) => self.launcher.disarm(&replica),
            Effect::Forget(replica) => self.forget(&replica),
            Effect::Freeze(replica, run) => self.launcher.freeze(&replica, run),
            Effect::Thaw(replica, run) => self.launcher.thaw(&replica, run),
            Effect::Network { replica, run, deny } => self.launcher.network(&replica, run, deny),
            Effect::SetLimits { replica, run, limits } => self.launcher.set_limits(&replica, run, limits),
            Effect::SetTeam { team, parents, cpu_quota, memory_max, tasks_max } => {
                self.launcher.set_team(&team, &parents, TeamLimits { cpu_quota, memory_max, tasks_max });
            }
            Effect::AllocatePort(replica) => {
                let result = self.ports.allocate(&replica, None);
                self.queue.push_back(Event::PortAllocated { replica, result });
            }
            Effect::Probe { replica, run, kind, check, timeout } => {
                let context = self.context(&replica);
                self.prober.probe(replica, run, kind, check, timeout, context);
            }
            Effect::Hook { replica, run, kind, action, timeout } => {
                let context = self.context(&replica);
                self.prober.hook(replica, run, kind, action, timeout, context);
            }
            Effect::LookAtGpus => self.look_at_gpus(),
            Effect::HoldGpus { id, hold } => self.hold_gpus(id, hold),
            Effect::Fleet { id, command, by, reason } => self.tell_fleet(Input::Command { id, command, by, reason }),
            Effect::FleetCancel(id) => self.tell_fleet(Input::Cancel(id)),
            Effect::KillStragglers { cgroup, .. } => self.kill_stragglers(&cgroup),
            Effect::Append(replica, entry) => self.keep(&replica, vec![entry]),
            Effect::Record(record) => self.keep(&record.replica_id(), vec![RunEntry::Exited(record)]),
            Effect::Persist(node) => {
                let written = self.store.persist(&node);
                self.written(written);
            }
            Effect::Notice(notice) => self.notice(notice),
            Effect::Reply { id, result } => {
                // Who asked finds what it is told about in the picture.
                self.picture();
                if let Some(back) = self.replies.remove(&id) {
                    // The caller may have gone away; the command stands all the same.
                    let _ = back.send(result);
                }
            }
            Effect::Exit => self.ending = true,
        }
    }

    fn start(&mut self, token: StartToken, spec: Arc<RunSpec>) {
        let replica = spec.replica.clone();
        let user = uid_of(spec.user.as_deref().or_else(|| default_user(&*self.launcher)));
        self.hear(&replica, true, user);
        self.specs.insert(replica.clone(), Arc::clone(&spec));
        match self.notify.bind(&replica, user) {
            Ok(path) => {
                // What still waits there was said by an earlier run.
                self.notify.discard(&replica);
                self.launcher.start(token, spec, Some(path));
            }
            Err(error) => {
                let error = format!("its notify socket cannot be made: {error}");
                // Without backoff the core asks for the very same at once: in this turn it would never end. The receiver
                // lives in the same loop.
                let _ = self.later.send(Event::Launcher(LauncherEvent::StartFailed { replica, token, error }));
            }
        }
    }

    fn forget(&mut self, replica: &ReplicaId) {
        self.launcher.forget(replica);
        self.notify.remove(replica);
        self.unhear(replica);
        self.ports.release(replica);
        self.specs.remove(replica);
    }

    /// What a program that asks about a replica shares with it; of an adopted run only the definition is known.
    fn context(&self, replica: &ReplicaId) -> Arc<Context> {
        let context = match (self.specs.get(replica), self.core.config().workers.get(&replica.worker)) {
            (Some(spec), _) => Context::from_spec(spec),
            (None, Some(worker)) => Context::from_worker(worker, replica),
            (None, None) => Context::default(),
        };
        Arc::new(context.or_user(default_user(&*self.launcher)))
    }

    /// Writes what belongs together with one call. The end of a run is written before the launcher may erase the
    /// status; the log lines follow when they are read.
    pub(super) fn keep(&mut self, replica: &ReplicaId, entries: Vec<RunEntry>) {
        let written = self.store.append_all(replica, &entries);
        self.written(written);
        for entry in entries {
            if let RunEntry::Exited(record) = entry {
                self.measuring.ended(&record);
                self.launcher.recorded(replica, record.run);
                if record.started.is_some() {
                    self.logs.tail(replica, record.run, self.tails.clone());
                }
            }
        }
    }

    pub(super) fn keep_tail(&mut self, replica: &ReplicaId, run: RunId, lines: Vec<String>) {
        if !lines.is_empty() {
            let written = self.store.add_tail(replica, run, lines);
            self.written(written);
        }
    }

    /// Looks at what the disk said. A first failure is an event; the store keeps what it could not write.
    fn written(&mut self, result: Result<(), String>) {
        if let Err(why) = result
            && self.retry_at.replace(Instant::now() + RETRY).is_none()
        {
            self.queue.push_back(Event::StoreHealth(Some(why)));
        }
    }

    /// Tries again what the disk did not take, or brings what it took to the platter, on a thread that may block.
    pub(super) fn disk(&mut self) {
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            match self.store.retry() {
                Ok(()) => {
                    self.retry_at = None;
                    self.turn(Event::StoreHealth(None));
                }
                Err(_) => self.retry_at = Some(Instant::now() + RETRY),
            }
        }
        if let Some(job) = self.store.sync_due(Clock::now().mono) {
            let back = self.synced.clone();
            tokio::task::spawn_blocking(move || {
                // The loop is gone only when the daemon ends, and then it flushes by itself.
                let _ = back.send(job.run());
            });
        }
    }

    pub(super) fn synced(&mut self, done: SyncDone) {
        let result = self.store.synced(done);
        self.written(result);
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        let problem = self.journal.notice(&notice, &[]).err();
        if self.journal_troubled != problem.is_some() {
            self.journal_troubled = problem.is_some();
            self.queue.push_back(Event::ComponentHealth { component: "journal", problem });
        }
        let event = Arc::new(NodeEvent { at: Clock::now().wall, notice });
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::clone(&event));
        // Nobody may be listening.
        let _ = self.entries.send(event);
    }
}

/// What goes into a replica's log; anything else comes back as it is.
#[expect(clippy::result_large_err, reason = "taken apart by its one caller, not carried upwards")]
fn lasting(effect: Effect) -> Result<(ReplicaId, RunEntry), Effect> {
    match effect {
        Effect::Append(replica, entry) => Ok((replica, entry)),
        Effect::Record(record) => Ok((record.replica_id(), RunEntry::Exited(record))),
        other => Err(other),
    }
}
