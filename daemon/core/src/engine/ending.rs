//! The end of a run: the record first, then what follows from it.

use super::Core;
use crate::effect::Effect;
use crate::exit::{Cause, ExitInfo, ExitRecord, ExitStatus};
use crate::ids::{ReplicaId, RunId, StartToken};
use crate::notice::Kind;
use crate::persist::RunEntry;
use crate::plan::On;
use crate::replica::{Live, tallies};
use crate::restart::{self, Doom, Verdict};
use crate::time::Wall;
use crate::timers::Timer;
use std::time::Duration;

impl Core {
    /// Acts `End` and `Fail`: there is no process any more.
    /// `why` is why it was ending, if it was.
    pub(super) fn over(&mut self, id: &ReplicaId, why: &str) {
        let info = self.exit_info.take();
        let now = self.now;
        self.timers.clear_all(id);
        let Some(live) = self.replicas.get_mut(id).and_then(|r| r.live.take()) else {
            return;
        };
        let info =
            info.unwrap_or(ExitInfo { status: ExitStatus::Unknown, oom_kill: false, peak_memory: None, at: now.wall });
        let signal = self.stop_signal(id);
        let cause = match &live.doom {
            // Nothing ran and nobody was to blame: an aborted start.
            Doom::Requested if live.run.is_none() => Cause::Operator,
            doom => restart::classify(&info, doom, signal),
        };
        let run = live.run.unwrap_or(RunId(self.synthetic_run()));
        let why = if live.doom_reason.is_empty() { why } else { &live.doom_reason };
        let text = match &cause {
            Cause::Operator => match info.status {
                ExitStatus::Code(c) if c != 0 && c != 143 => {
                    format!("{cause} ({why}), exit code {c}")
                }
                _ => format!("{cause} ({why})"),
            },
            Cause::Probe | Cause::Watchdog | Cause::Progress | Cause::ReadyTimeout => {
                self.condemned_text(&live, &cause)
            }
            other => other.to_string(),
        };
        if self.node.replacing.remove(id).is_some() {
            self.persist();
        }
        let started = live.run.map(|_| live.started.wall);
        let record = self.record(id, run, started, &info, cause.clone(), true, text.clone());
        let before = self.written.get(id).copied();
        self.keep_record(id, record, info.oom_kill);
        if let Some(before) = before.filter(|_| live.run.is_none()) {
            self.written.insert(id.clone(), before);
        }
        self.follow(id, &live, &cause, &text);
    }

    fn stop_signal(&self, id: &ReplicaId) -> i32 {
        self.replicas.get(id).and_then(|r| r.def.as_ref()).map_or(15, |d| d.stop.signal)
    }

    fn condemned_text(&self, live: &Live, cause: &Cause) -> String {
        match (&live.liveness.last_error, cause) {
            (Some(why), Cause::Probe) => format!("{cause}: {why}"),
            _ => cause.to_string(),
        }
    }

    fn synthetic_run(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.rng.next_u64().to_be_bytes());
        id[8..].copy_from_slice(&self.rng.next_u64().to_be_bytes());
        id
    }

    /// Makes a record.
    #[expect(clippy::too_many_arguments, reason = "the fields of one record, each from another place")]
    pub(super) fn record(
        &self,
        id: &ReplicaId,
        run: RunId,
        started: Option<Wall>,
        info: &ExitInfo,
        cause: Cause,
        supervised: bool,
        reason: String,
    ) -> ExitRecord {
        let (exit_code, signal) = match info.status {
            ExitStatus::Code(c) => (Some(c), None),
            ExitStatus::Signal(s) => (None, Some(s)),
            ExitStatus::Unknown => (None, None),
        };
        ExitRecord {
            run,
            worker: id.worker.clone(),
            replica: id.index,
            started,
            ended: info.at,
            supervised,
            cause,
            exit_code,
            signal,
            reason,
            peak_memory: info.peak_memory,
            restarts: self.replicas.get(id).map_or(0, |r| r.restart.restarts),
            log_tail: Vec::new(),
        }
    }

    /// D8: the record is written before anything that could erase the status.
    pub(super) fn keep_record(&mut self, id: &ReplicaId, record: ExitRecord, oom_kill: bool) {
        self.written.insert(id.clone(), record.run);
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.restart.tallies.ended(&record, oom_kill);
            replica.uncounted = true;
            replica.last_exit = Some(record.clone());
        }
        self.emit(Effect::Record(record));
    }

    /// What follows from an end.
    pub(super) fn follow(&mut self, id: &ReplicaId, live: &Live, cause: &Cause, text: &str) {
        let now = self.now;
        self.gpus_of_the_dead(id, live);
        let off = crate::plan::off(&self.view(), id).is_some();
        let dead_man = self.dead_man(id, live);
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        replica.armed = replica.strays.is_empty().then(|| now.mono + dead_man / 2);
        let wish = replica.wish.clone();
        let Some(def) = self.desired.workers.get(&id.worker).map(|w| w.def.clone()).or_else(|| replica.def.clone())
        else {
            return self.mark(id);
        };
        let mut books = replica.restart.clone();
        let requested = matches!(cause, Cause::Operator | Cause::StopTimeout);
        let asked = wish.is_some();
        let uptime = if live.run.is_some() { now.mono.since(live.started.mono) } else { Duration::ZERO };
        let mut verdict = restart::decide(
            &mut books,
            &def.restart,
            cause,
            uptime,
            live.start_time.unwrap_or_default(),
            live.retry_at,
            now,
            &mut self.rng,
        );
        // Somebody wants another run of it: that it ended by itself just before changes nothing.
        if let (Verdict::Done(_), Some(wish)) = (&verdict, wish) {
            books.parked = None;
            verdict = Verdict::Restart { at: now.mono, reason: wish.reason };
        }
        if !requested {
            books.restarts = books.restarts.saturating_add(1);
        }
        if !off && matches!(verdict, Verdict::Restart { .. } | Verdict::CrashLoop { .. }) {
            books.tallies.restarted(tallies::reason(cause, asked));
        }
        let replica = self.replicas.get_mut(id);
        let counted = replica.is_some_and(|r| std::mem::take(&mut r.uncounted) || r.restart != books);
        if counted {
            self.append(id, RunEntry::Restart(books.clone()));
        }
        self.say_end(id, live.run, cause, text, &verdict);
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        replica.restart = books;
        replica.crash_loop = matches!(verdict, Verdict::CrashLoop { .. }) || (replica.crash_loop && !requested);
        replica.wish = None;
        replica.not_before = match verdict {
            Verdict::Restart { at, reason } if !requested => Some((at, reason)),
            Verdict::CrashLoop { at, reason } => Some((at, reason)),
            Verdict::Restart { .. } | Verdict::Park(_) | Verdict::Done(_) => None,
        };
        replica.resumes = !off && replica.restart.parked.is_none();
        if let Some(latest) = replica.armed {
            self.timers.set(id, Timer::Disarm, latest);
        }
        self.damp(id, cause);
        self.team_failed(id, cause);
        self.look_settled(&id.worker);
        if self.replicas.get(id).is_some_and(|replica| replica.is_done()) {
            self.wake(&On::Worker(id.worker.clone()));
        }
        self.mark(id);
    }

    /// After which delay PID 1 would restart this run's unit. What an adopted run was launched with is known only while
    /// its definition has not changed, and not at all when it stood in the way of a start of ours.
    fn dead_man(&self, id: &ReplicaId, live: &Live) -> Duration {
        let shortest = Duration::from_secs(1);
        let longest = Duration::from_secs(3600);
        match (&live.spec, self.desired.workers.get(&id.worker)) {
            (Some(spec), _) => spec.unsupervised_after.unwrap_or(longest),
            (None, Some(w)) if live.token == StartToken(0) && live.digest == *w.digest => {
                w.def.restart.unsupervised_after.unwrap_or(longest)
            }
            (None, _) => shortest,
        }
    }

    fn say_end(&mut self, id: &ReplicaId, run: Option<RunId>, cause: &Cause, text: &str, verdict: &Verdict) {
        let known_loop = self.replicas.get(id).is_some_and(|r| r.crash_loop);
        let (kind, reason) = match verdict {
            Verdict::Restart { .. } if matches!(cause, Cause::Operator) => (Kind::WorkerExited, text.to_owned()),
            Verdict::Restart { .. } if matches!(cause, Cause::StopTimeout) => (Kind::StopIgnored, text.to_owned()),
            Verdict::Restart { reason, .. } => match cause {
                Cause::StartFailed(_) => (Kind::StartFailed, reason.clone()),
                Cause::Clean => (Kind::WorkerExited, reason.clone()),
                _ => (Kind::WorkerFailed, with_detail(text, cause, reason)),
            },
            Verdict::CrashLoop { reason, .. } => (Kind::CrashLoop, with_detail(text, cause, reason)),
            Verdict::Park(reason) => (Kind::WorkerParked, reason.clone()),
            Verdict::Done(reason) => (Kind::WorkerDone, reason.clone()),
        };
        // While the loop lasts only its trials are told.
        if known_loop && kind == Kind::WorkerFailed {
            return;
        }
        self.emit(Effect::Notice(crate::notice::Notice::replica(kind, id, run, reason)));
    }
}

/// The cause stands in both texts; the detail (which probe error) only in the first.
fn with_detail(text: &str, cause: &Cause, reason: &str) -> String {
    match reason.strip_prefix(&cause.to_string()) {
        Some(rest) => format!("{text}{rest}"),
        None => reason.to_owned(),
    }
}
