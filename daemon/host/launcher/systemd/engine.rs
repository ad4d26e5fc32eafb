//! The task that owns all units: takes commands, signals and finished operations one at a time, waits for none.

use super::attach::{self, Vanished};
use super::board::Board;
use super::ops::{Op, Tools};
use super::render;
use super::turns::Turns;
use super::unit::{Run, Unit, unknown};
use super::{EventSender, Surroundings, TeamLimits};
use crate::bus::systemd1::{Systemd, SystemdError, SystemdEvent, UnitState};
use crate::host::paths::Paths;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reeve_core::{ExitInfo, LauncherEvent, ReplicaId, RunId};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// What the trait's methods become.
#[derive(Debug)]
pub(super) enum Command {
    Op(ReplicaId, Op),
    Recorded(ReplicaId, RunId),
    Team(String, TeamLimits),
    List,
    Close,
}

/// A connection with its signals, and the optional properties that the systemd behind it knows.
pub(super) type Link = (Systemd, UnboundedReceiver<SystemdEvent>, BTreeSet<&'static str>);

/// Something under way is over.
pub(super) enum Done {
    /// An operation of a unit.
    Op(ReplicaId, Op, Output),
    /// A stop's grace.
    Grace(ReplicaId, RunId),
    /// All units have been read; with the generation and the number of the last signal when that began.
    Read(u64, u64, Result<Vec<(ReplicaId, UnitState)>, SystemdError>),
    /// The journal has said what each missed.
    Answered(u64, Vec<Vanished>, Vec<(ReplicaId, Vec<(RunId, ExitInfo)>)>),
    /// A unit is gone; what the journal knows of its run.
    Vanished(Vanished),
    /// The bus is back.
    Linked(Box<Link>),
    /// It is still not there.
    Away(String),
    /// A team's slice.
    Team(String, Result<(), SystemdError>),
}

/// What an operation gave.
pub(super) enum Output {
    /// The start job's result.
    Start(Result<String, SystemdError>),
    /// Anything else.
    Plain(Result<(), SystemdError>),
}

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// The owner of the units.
pub(super) struct Engine {
    pub(super) events: EventSender,
    pub(super) surroundings: Surroundings,
    pub(super) paths: Paths,
    pub(super) board: Board,
    /// The connection; `None`: the bus is away.
    pub(super) link: Option<Tools>,
    /// There was one before.
    pub(super) met: bool,
    /// Operations may begin.
    pub(super) open: bool,
    /// Counts the times that signals may have been missed: what was read before is void.
    pub(super) generation: u64,
    /// Before the next try to reach PID 1.
    pub(super) delay: Duration,
    /// Set again after each gap.
    pub(super) teams: BTreeMap<String, TeamLimits>,
    first: Option<Systemd>,
    pub(super) signals: Option<UnboundedReceiver<SystemdEvent>>,
    /// Boxed: a tree that grows in order stays half empty.
    pub(super) units: BTreeMap<ReplicaId, Box<Unit>>,
    pub(super) work: FuturesUnordered<Work>,
    pub(super) turns: Turns,
    /// Counts signals.
    pub(super) heard: u64,
    /// A daemon-reload is under way.
    pub(super) reloading: bool,
    /// The loop has asked for a list.
    pub(super) wanted: bool,
}

impl Engine {
    pub(super) fn new(events: EventSender, systemd: Systemd, paths: Paths, surroundings: Surroundings) -> Self {
        Self {
            events,
            surroundings,
            paths,
            board: Board::default(),
            link: None,
            met: false,
            open: false,
            generation: 0,
            delay: Duration::ZERO,
            teams: BTreeMap::new(),
            first: Some(systemd),
            signals: None,
            units: BTreeMap::new(),
            work: FuturesUnordered::new(),
            turns: Turns::default(),
            heard: 0,
            reloading: false,
            wanted: false,
        }
    }

    pub(super) async fn run(mut self, mut commands: UnboundedReceiver<Command>) {
        let first = self.first.take();
        self.work.push(Box::pin(attach::link(first)));
        loop {
            tokio::select! {
                // Signals first: an operation is over only after what PID 1 said before its end has been heard.
                biased;
                event = next(&mut self.signals) => match event {
                    Some(event) => self.signal(event),
                    None => self.lost(),
                },
                Some(done) = self.work.next(), if !self.work.is_empty() => self.done(done),
                command = commands.recv() => match command {
                    Some(Command::Close) | None => return,
                    Some(command) => self.command(command),
                },
            }
            while let Some(replica) = self.turns.next() {
                self.pump(&replica);
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Op(replica, op) => {
                self.units.entry(replica.clone()).or_default().queue.push_back(op);
                self.pump(&replica);
            }
            Command::Recorded(replica, run) => self.recorded(&replica, run),
            Command::Team(slice, limits) => {
                self.teams.insert(slice.clone(), limits);
                self.team(slice, limits);
            }
            Command::List => {
                self.wanted = true;
                self.survey();
            }
            Command::Close => {}
        }
    }

    fn recorded(&mut self, replica: &ReplicaId, run: RunId) {
        let Some(unit) = self.units.get_mut(replica) else {
            return;
        };
        if unit.unrecorded == Some(run) {
            unit.unrecorded = None;
        }
        self.changed(replica);
    }

    pub(super) fn team(&mut self, slice: String, limits: TeamLimits) {
        let Some(tools) = self.link.clone() else {
            return;
        };
        let properties = render::team(&limits);
        self.work.push(Box::pin(async move {
            let result = tools.systemd.set_unit_properties(&slice, &properties).await;
            Done::Team(slice, result)
        }));
    }

    /// Starts the unit's next operation, if it may go on.
    pub(super) fn pump(&mut self, replica: &ReplicaId) {
        let Some(tools) = self.link.clone().filter(|_| self.open) else {
            return;
        };
        loop {
            let Some(unit) = self.units.get_mut(replica) else {
                return;
            };
            let waits = |op: &Op| unit.unrecorded.is_some() && op.erases();
            if unit.busy || unit.queue.front().is_none_or(waits) {
                return;
            }
            if matches!(unit.queue.front(), Some(Op::Start { .. })) && !self.turns.may_start(replica) {
                return;
            }
            let Some(op) = unit.queue.pop_front() else {
                return;
            };
            unit.busy = true;
            if let Some(done) = self.begin(&tools, replica, op) {
                self.done(done);
            }
        }
    }

    fn done(&mut self, done: Done) {
        if matches!(done, Done::Op(_, Op::Start { .. }, _)) {
            self.turns.over();
        }
        match done {
            Done::Op(replica, op, Output::Plain(Err(SystemdError::Lost(why))))
            | Done::Op(replica, op, Output::Start(Err(SystemdError::Lost(why)))) => {
                self.interrupted(&replica, op, &why);
            }
            Done::Op(replica, op, output) => {
                if let Some(unit) = self.units.get_mut(&replica) {
                    unit.busy = false;
                    unit.starting = false;
                }
                match output {
                    Output::Start(result) => self.start_done(&replica, op, result),
                    Output::Plain(result) => self.plain_done(&replica, &op, result),
                }
                self.changed(&replica);
            }
            Done::Grace(replica, run) => {
                if let Some(unit) = self.units.get_mut(&replica)
                    && unit.lives(run)
                {
                    unit.queue.push_front(Op::Kill(run));
                    self.pump(&replica);
                }
            }
            Done::Read(generation, since, result) => self.read(generation, since, result),
            Done::Answered(generation, vanished, answers) => self.answered(generation, vanished, answers),
            Done::Vanished((replica, run, missed)) => self.vanished(&replica, run, missed),
            Done::Linked(link) => self.linked(*link),
            Done::Away(why) => self.away(why),
            Done::Team(slice, Err(error)) => {
                tracing::warn!(slice, %error, "cannot set the limits of a team");
            }
            Done::Team(_, Ok(())) => {}
        }
    }

    /// The bus went while an operation was under way: it comes first when the bus is back.
    fn interrupted(&mut self, replica: &ReplicaId, mut op: Op, why: &str) {
        if let Op::Start { resumed, .. } = &mut op {
            *resumed = true;
        }
        if let Some(unit) = self.units.get_mut(replica) {
            unit.busy = false;
            unit.starting = false;
            unit.queue.push_front(op);
        }
        tracing::debug!(%replica, why, "an operation was interrupted and will be repeated");
        // A call may fail like this before any signal says that PID 1 is away.
        if self.open && self.link.is_some() {
            self.resync();
        }
    }

    /// PID 1 has said something of a unit, or an operation of it is over.
    pub(super) fn changed(&mut self, replica: &ReplicaId) {
        if let Some(unit) = self.units.get_mut(replica) {
            let reports = unit.reports(replica);
            if unit.down && unit.armed() && unit.queue.is_empty() && !unit.busy {
                unit.queue.push_back(Op::Disarm);
            }
            reports.into_iter().for_each(|event| self.send(event));
        }
        self.pump(replica);
    }

    fn signal(&mut self, event: SystemdEvent) {
        self.heard += 1;
        match event {
            // A reload forgets all units and makes them again, and says so of each.
            SystemdEvent::Changed { .. } | SystemdEvent::UnitRemoved { .. } if self.reloading => {}
            SystemdEvent::JobRemoved { job, result, .. } => self.board.job_removed(job, result),
            SystemdEvent::Changed { unit: name, part, complete } => {
                let Some(replica) = ReplicaId::from_unit(&name) else {
                    return;
                };
                let unit = self.units.entry(replica.clone()).or_default();
                unit.part.update(*part);
                unit.heard = self.heard;
                unit.loaded = true;
                if complete {
                    unit.note_passing(&replica);
                    self.changed(&replica);
                }
            }
            SystemdEvent::UnitRemoved { unit: name } => {
                self.board.unit_removed(&name);
                let question = ReplicaId::from_unit(&name).and_then(|replica| self.vanish(&replica));
                if let Some(question) = question {
                    self.work.push(Box::pin(async move { Done::Vanished(question.await) }));
                }
            }
            SystemdEvent::Reloading(true) => {
                self.reloading = true;
                self.doubt_commands();
            }
            SystemdEvent::Reloading(false) => {
                self.reloading = false;
                self.survey();
            }
            SystemdEvent::Owner(false) => self.pause(),
            SystemdEvent::Owner(true) => {
                self.reloading = false;
                self.doubt_commands();
                self.resync();
            }
            SystemdEvent::Lost => self.lost(),
        }
    }

    /// PID 1 reads the units' files back, and not every version reads what it wrote: on 252 a `;` or a `$` in an argument
    /// comes back with a backslash before it. Such a unit is not started again but made anew.
    fn doubt_commands(&mut self) {
        self.units.values_mut().for_each(|unit| unit.command = Some(Vec::new()));
    }

    /// The journal has said what it knows of a run whose unit is gone.
    pub(super) fn vanished(&mut self, replica: &ReplicaId, run: RunId, missed: Vec<(RunId, ExitInfo)>) {
        let info = missed.into_iter().find(|(id, _)| *id == run);
        let info = info.map_or_else(unknown, |(_, info)| info);
        if let Some(unit) = self.units.get_mut(replica)
            && unit.run == Some(Run { id: run, over: false })
        {
            let event = unit.exited(replica, run, info);
            self.send(event);
            self.changed(replica);
        }
    }

    pub(super) fn send(&self, event: LauncherEvent) {
        if self.events.send(event).is_err() {
            tracing::debug!("nobody listens to the systemd launcher any more");
        }
    }
}

/// The next signal; never while there is no connection.
async fn next(signals: &mut Option<UnboundedReceiver<SystemdEvent>>) -> Option<SystemdEvent> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}
