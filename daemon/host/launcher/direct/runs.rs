//! The runs of this daemon, from `start` to `Exited`.
//!
//! ```text
//!            vfork                                    main ends               nothing is left
//! start ──┬────────────► running ──────────────────────────────► clearing ────────────────────► Exited
//!         │ other user            ▲                                (kills what is left)
//!         └────────────► starting ┤ executed
//!                                 └ failed ──► ends ──► StartFailed
//! ```
//! `Exited` waits until nothing of the run is left, since the next run of the replica may start at once. What cannot
//! be killed holds it up for five seconds; then the next start is refused instead.

use super::delegation::{self, Tree};
use super::family::{self, Family};
use super::logs::Logs;
use super::prepare::{self, Common};
use super::run::{Run, Starting};
use super::spawn::{Child, Spawner};
use super::status::{self, Report};
use super::watch::{Watch, What};
use crate::host::cgroup::Group;
use crate::host::launcher::EventSender;
use reeve_core::config::Resources;
use reeve_core::{ExitInfo, ExitStatus, LauncherEvent, ReplicaId, RunId, RunSpec, StartToken, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long what cannot be killed may hold up `Exited`.
const CLEARING: Duration = Duration::from_secs(5);

/// All runs, and what it takes to make one.
#[derive(Debug)]
pub(super) struct Runs {
    pub(super) common: Common,
    pub(super) tree: Option<Tree>,
    pub(super) logs: Logs,
    pub(super) events: EventSender,
    pub(super) live: BTreeMap<u32, Run>,
    by_replica: BTreeMap<ReplicaId, u32>,
    spawner: Spawner,
    next: u32,
    warned: bool,
    seen_dead: BTreeSet<i32>,
}

impl Runs {
    pub(super) fn new(common: Common, tree: Option<Tree>, logs: Logs, events: EventSender, spawner: Spawner) -> Self {
        Self {
            common,
            tree,
            logs,
            events,
            live: BTreeMap::new(),
            by_replica: BTreeMap::new(),
            spawner,
            next: 0,
            warned: false,
            seen_dead: BTreeSet::new(),
        }
    }

    /// The key of this very run, while it lives.
    pub(super) fn key(&self, replica: &ReplicaId, run: RunId) -> Option<u32> {
        let key = *self.by_replica.get(replica)?;
        (self.live.get(&key)?.id == run).then_some(key)
    }

    /// Starts a run. `Some(key)`: its process exists but has not executed yet.
    pub(super) fn start(
        &mut self,
        watch: &Watch,
        token: StartToken,
        spec: &Arc<RunSpec>,
        notify_socket: Option<&Path>,
    ) -> Option<u32> {
        match self.launch(watch, token, spec, notify_socket) {
            Ok(key) if self.live.get(&key).is_some_and(|r| r.starting.is_some()) => Some(key),
            Ok(key) => {
                self.send_started(key, token);
                None
            }
            Err(error) => {
                let replica = spec.replica.clone();
                self.send(LauncherEvent::StartFailed { replica, token, error });
                None
            }
        }
    }

    fn launch(
        &mut self,
        watch: &Watch,
        token: StartToken,
        spec: &Arc<RunSpec>,
        notify_socket: Option<&Path>,
    ) -> Result<u32, String> {
        if self.by_replica.contains_key(&spec.replica) {
            return Err(format!("{} is running already", spec.replica));
        }
        let id = status::random().map_err(|e| format!("no run id: {}", prepare::reason(&e)))?;
        let id = RunId(id);
        let program = prepare::prepare(&self.common, spec, id, notify_socket)?;
        let group = self.place(spec)?;
        let (reader, writer) = std::io::pipe().map_err(|e| prepare::reason(&e))?;
        let reader = OwnedFd::from(reader);
        let nonblocking = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
        nix::fcntl::fcntl(&reader, nonblocking).map_err(|e| e.desc().to_owned())?;
        let folder = group.as_ref().map(Group::path);
        let made = self.spawner.spawn(&program, writer.as_fd(), folder);
        let Child { pid, pidfd, report } = made.map_err(|failure| {
            if let Some(group) = &group {
                let _ = group.remove();
            }
            prepare::explain(failure, spec)
        })?;
        let key = self.next;
        self.next = self.next.wrapping_add(1);
        let mut run = Run {
            replica: spec.replica.clone(),
            id,
            pid,
            group,
            frozen: false,
            started: wall(),
            pidfd: None,
            starting: None,
            failed: None,
            ended: None,
        };
        let watched = report
            .as_ref()
            .map_or(Ok(()), |r| watch.add(r, key, What::Report))
            .and_then(|()| watch.add(&pidfd, key, What::Main));
        if let Err(e) = watched {
            status::end(&pidfd);
            run.group.iter().for_each(delegation::sweep);
            return Err(format!("its end could not be watched for: {}", e.desc()));
        }
        run.pidfd = Some(pidfd);
        let spec = spec.clone();
        run.starting = report.map(|report| Box::new(Starting { report, token, spec }));
        self.logs.open(&run.replica, id, reader);
        self.by_replica.insert(run.replica.clone(), key);
        self.live.insert(key, run);
        Ok(key)
    }

    /// The run's cgroup with its limits, where there are cgroups.
    fn place(&mut self, spec: &RunSpec) -> Result<Option<Group>, String> {
        let (group, problem) = match &self.tree {
            Some(tree) => {
                let group = tree
                    .replica(&spec.replica, &spec.team, &spec.team_parents)
                    .map_err(|e| format!("its cgroup could not be made: {e}"))?;
                let _ = group.die_together();
                let problem = group.limit(&spec.limits, true).err();
                (Some(group), problem)
            }
            None => (None, unlimited(&spec.limits)),
        };
        if let Some(problem) = problem
            && !self.warned
        {
            self.warned = true;
            tracing::warn!(
                replica = %spec.replica,
                problem,
                "limits cannot be enforced on this host; this is said once"
            );
        }
        Ok(group)
    }

    /// The pipe of a starting run can be read.
    pub(super) fn reported(&mut self, watch: &Watch, key: u32) {
        let Some(run) = self.live.get_mut(&key) else {
            return;
        };
        let Some(starting) = run.starting.take() else {
            return;
        };
        match status::read_report(starting.report.as_fd()) {
            Report::Pending => run.starting = Some(starting),
            Report::Executed => {
                watch.delete(&starting.report);
                self.send_started(key, starting.token);
            }
            Report::Failed(failure) => {
                watch.delete(&starting.report);
                let error = prepare::explain(failure, &starting.spec);
                run.failed = Some((starting.token, error));
            }
        }
    }

    /// Gives up on a run that has still not executed.
    pub(super) fn start_is_late(&mut self, watch: &Watch, key: u32, span: Duration) {
        let Some(run) = self.live.get_mut(&key) else {
            return;
        };
        if let Some(starting) = run.starting.take() {
            watch.delete(&starting.report);
            let program = starting.spec.exec.first().map_or("", String::as_str);
            let error = format!("{program}: not executed within {} s", span.as_secs());
            run.failed = Some((starting.token, error));
            run.kill();
        }
    }

    /// Main processes of these runs may have ended. Returns the runs of which something is left: [`Runs::clear`] them.
    pub(super) fn mains_ended(&mut self, watch: &Watch, keys: &[u32]) -> Vec<u32> {
        let mut ended = Vec::new();
        for key in keys {
            self.reported(watch, *key);
            let Some(run) = self.live.get_mut(key) else {
                continue;
            };
            let status = run.pidfd.as_ref().and_then(|p| status::reap(p.as_fd()));
            let Some((status, peak_memory)) = status else {
                continue;
            };
            if let Some(pidfd) = run.pidfd.take() {
                // Before the close: a child just being made may hold a copy, and events of that would go on.
                watch.delete(&pidfd);
            }
            let info = ExitInfo { status, oom_kill: false, peak_memory, at: wall() };
            run.ended = Some((info, Instant::now()));
            ended.push(*key);
        }
        self.clear(&ended)
    }

    /// Kills what is left of runs whose main process has ended, and reports those of which nothing is. Returns the
    /// others.
    pub(super) fn clear(&mut self, keys: &[u32]) -> Vec<u32> {
        let mut left = Vec::new();
        let mut loose = Vec::new();
        for key in keys {
            match self.live.get(key) {
                Some(run) if run.ended.is_none() => {}
                Some(run) => match &run.group {
                    Some(group) if group.populated() => {
                        group.kill();
                        left.push(*key);
                    }
                    Some(_) => {}
                    None => loose.push((*key, run.family())),
                },
                None => {}
            }
        }
        if !loose.is_empty() {
            let families: Vec<Family> = loose.iter().map(|(_, f)| f.clone()).collect();
            let found = family::kill_left(&families, &self.mains());
            let found = found.into_iter().filter_map(|i| loose.get(i));
            left.extend(found.map(|(key, _)| *key));
        }
        left.retain(|key| {
            let ended = self.live.get(key).and_then(|r| r.ended.as_ref());
            ended.is_some_and(|(_, since)| since.elapsed() < CLEARING)
        });
        for key in keys.iter().filter(|k| !left.contains(k)) {
            self.report_end(*key);
        }
        left
    }

    fn report_end(&mut self, key: u32) {
        let Some((mut info, _)) = self.live.get_mut(&key).and_then(|r| r.ended.take()) else {
            return;
        };
        let Some(run) = self.live.remove(&key) else {
            return;
        };
        self.by_replica.remove(&run.replica);
        self.logs.finish(run.id);
        if let Some(group) = &run.group {
            info.oom_kill = group.oom_kills().is_some_and(|n| n > 0);
            info.peak_memory = group.peak_memory().or(info.peak_memory);
            // Fails where something cannot be killed; the next start says so.
            let _ = group.remove();
        }
        self.send(match run.failed {
            Some((token, error)) => LauncherEvent::StartFailed { replica: run.replica, token, error },
            None => LauncherEvent::Exited { replica: run.replica, run: run.id, info },
        });
    }

    /// Reaps what was adopted and has ended. `true`: some must be looked at again in a while.
    pub(super) fn reap_adopted(&mut self) -> bool {
        let mains = self.mains();
        // Each run's session has the id of its main process.
        family::reap_adopted(&mains, &mut self.seen_dead);
        !self.seen_dead.is_empty()
    }

    /// Ends everything, and returns only when nothing is left, or what is left cannot be killed.
    pub(super) fn end_all(&mut self, watch: &Watch) {
        let deadline = Instant::now() + CLEARING;
        while !self.live.is_empty() {
            for run in self.live.values() {
                if let Some(group) = run.group.as_ref().filter(|_| run.frozen) {
                    let _ = group.freeze(false);
                }
                run.kill();
            }
            let keys: Vec<u32> = self.live.keys().copied().collect();
            self.mains_ended(watch, &keys);
            self.clear(&keys);
            if Instant::now() > deadline {
                self.give_up();
            } else if !self.live.is_empty() {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let left = family::sweep(&self.common.marked());
        if left > 0 {
            tracing::info!(processes = left, "killed what workers had left behind");
        }
        if let Some(tree) = &self.tree {
            delegation::sweep(tree.group());
        }
    }

    fn give_up(&mut self) {
        for key in self.live.keys().copied().collect::<Vec<_>>() {
            if let Some(run) = self.live.get_mut(&key) {
                tracing::error!(replica = %run.replica, pid = run.pid, "cannot be killed");
                let unknown =
                    || ExitInfo { status: ExitStatus::Unknown, oom_kill: false, peak_memory: None, at: wall() };
                run.ended.get_or_insert_with(|| (unknown(), Instant::now()));
            }
            self.report_end(key);
        }
    }

    fn mains(&self) -> BTreeSet<i32> {
        let mains = self.live.values().filter(|r| r.has_main());
        mains.map(|r| r.pid).collect()
    }

    fn send_started(&self, key: u32, token: StartToken) {
        if let Some(run) = self.live.get(&key) {
            self.send(LauncherEvent::Started {
                replica: run.replica.clone(),
                token,
                run: run.id,
                pid: run.pid.unsigned_abs(),
                cgroup: run.shown_group(),
            });
        }
    }

    pub(super) fn send(&self, event: LauncherEvent) {
        // The loop is gone only when we are ending too.
        let _ = self.events.send(event);
    }
}

/// Why limits cannot be enforced without a cgroup; `None` when there are none.
pub(super) fn unlimited(limits: &Resources) -> Option<String> {
    let gpus = Resources { gpus_request: limits.gpus_request, gpus_limit: limits.gpus_limit, ..Resources::default() };
    (*limits != gpus).then(|| "limits need a cgroup v2 that is delegated to reeved".to_owned())
}

/// Wall time now.
pub(super) fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Wall(since.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
}
