//! `org.reeve.Node1.Workers`, `.Worker` and `.Replica`.

<<<<<<< HEAD
use super::{
    Access, Arg, Emits, Interface, OPT, Opt, Property, Signal, TASK_RUN, Verb, arg, method, opt, property, signal,
};
use crate::bus::action::Action;

const READ: Access = Access::Action(Action::ReadWorkers);
const MANAGE: Access = Access::Action(Action::ManageWorkers);
const RESUME: Access = Access::Either(Action::ManageWorkers, Action::LiftIsolation);
const TARGETED: &[Arg] = &[arg("target", "s"), OPT];
const TEAM: &[Arg] = &[arg("team", "s"), OPT];
const BARE: &[Arg] = &[OPT];
const RUNS: &[Arg] = &[arg("runs", "a(sttsba{sv})")];
const LOGS: &[Arg] = &[arg("log", "h")];
const ROLLING: &[Opt] = &[opt("rolling", "b", "one by one, each after the one before is ready")];
const RUNS_OPTIONS: &[Opt] = &[opt("max", "u", "how many of the newest; default all")];
const LOGS_OPTIONS: &[Opt] = &[
    opt("lines", "u", "how many of the newest; default 50"),
    opt("follow", "b", "go on as more come"),
    opt("previous", "b", "of the run before the present one"),
    opt("run", "s", "of this run"),
];
const OPERATION: &[&str] = &["NoSuchWorker", "NoSuchReplica", "InvalidState", "Conflict", "Draining", "NotSupported"];
const AT_ONCE: &[&str] = &["NoSuchWorker", "NoSuchReplica", "InvalidState"];
const NONE: &[&str] = &["NoSuchWorker", "NoSuchReplica"];
const LOG_ERRORS: &[&str] = &["NoSuchWorker", "NoSuchReplica", "Unavailable"];
const SCALE: &[&str] = &["NoSuchWorker", "Conflict", "Unplaceable"];
const SET: &[&str] = &["NoSuchWorker", "NoSuchKey", "NotSupported"];
const TEAM_ERRORS: &[&str] = &["NoSuchTeam", "InvalidState"];

const START: &str = "Runs it, lifting an operator's stop.";
const STOP: &str = "Stops it until it is started again; kept over restarts.";
const RESTART: &str = "Stops and starts it.";
const DRAIN: &str = "Lets it finish its work and save its state, then stops it.";
const PAUSE: &str = "Freezes it.";
const ISOLATE: &str = "Freezes it and cuts it off the network.";
const RESUME_DOC: &str = "Thaws it and gives the network back. Of an isolated one only an administrator may.";
const RESET: &str = "Forgets failures, closes breakers and tries at once.";
const KILL: &str = "Sends a signal to the main process.";
const SCALE_DOC: &str = "Another number of replicas; kept over restarts.";
const SET_DOC: &str = "Changes resources of a live worker (keys of [worker.resources] in systemd's spelling); kept over\n\
    restarts. `applied`, or `needs-restart` when it takes effect at the next start.";
const RUNS_DOC: &str = "Ended runs, newest first: run, started, ended, cause, supervised, more. `log_tail` in `more` only for\n\
    callers who may read logs.";
const LOGS_DOC: &str = "What it logged: the read end of a pipe.";
=======
use super::verbs::*;
use super::{Emits, Interface, OPT, TASK_RUN, Verb, arg, method, property};
>>>>>>> bus

pub(super) const WORKERS: Interface = Interface {
    name: "Workers",
    doc: "The workers of this node. A target is `worker` or `worker/n`.",
    methods: &[
        method(
            "ListWorkers",
            Verb::ListWorkers,
            READ,
            BARE,
            &[arg("workers", "a(sosuusua{sv})")],
            "Name, path, team, ready, wanted, state, restarts, more. `more` holds role, health, reason, since_usec, order,\n\
            depends_on, digest, memory, and `replicas`: aa{sv} of index, state, ready, health, pid, run, unit, since,\n\
            restarts, last_exit, reason, next_start, status, port, active_tasks, holds, outdated; what is absent is left out.",
        ),
<<<<<<< HEAD
        method("GetWorker", Verb::GetWorker, READ, TARGETED, &[arg("worker", "o")], "The object of a target.")
            .errors(NONE),
        method("Start", Verb::Start, MANAGE, TARGETED, TASK_RUN, START).errors(OPERATION),
        method("Stop", Verb::Stop, MANAGE, TARGETED, TASK_RUN, STOP).errors(OPERATION),
        method("Restart", Verb::Restart, MANAGE, TARGETED, TASK_RUN, RESTART).options(ROLLING).errors(OPERATION),
        method("Drain", Verb::Drain, MANAGE, TARGETED, TASK_RUN, DRAIN).errors(OPERATION),
        method("Pause", Verb::Pause, MANAGE, TARGETED, TASK_RUN, PAUSE).errors(OPERATION),
        method("Isolate", Verb::Isolate, Access::Action(Action::Isolate), TARGETED, TASK_RUN, ISOLATE)
            .errors(OPERATION),
        method("Resume", Verb::Resume, RESUME, TARGETED, TASK_RUN, RESUME_DOC).errors(OPERATION),
        method("Reset", Verb::Reset, MANAGE, TARGETED, &[], RESET).errors(AT_ONCE),
        method(
            "Kill",
            Verb::Kill,
            MANAGE,
            &[arg("target", "s"), arg("signal", "i"), OPT],
            &[],
            "Sends a signal to the main process of one replica.",
        )
        .errors(AT_ONCE),
        method("Scale", Verb::Scale, MANAGE, &[arg("worker", "s"), arg("replicas", "u"), OPT], TASK_RUN, SCALE_DOC)
            .errors(SCALE),
        method(
            "Set",
            Verb::Set,
            Access::Action(Action::SetResources),
            &[arg("worker", "s"), arg("values", "a{sv}"), OPT],
            &[arg("result", "s")],
            SET_DOC,
        )
        .errors(SET),
        method("StartTeam", Verb::StartTeam, MANAGE, TEAM, TASK_RUN, "Start for all workers of a team.")
            .errors(TEAM_ERRORS),
        method("StopTeam", Verb::StopTeam, MANAGE, TEAM, TASK_RUN, "Stop for all workers of a team.")
            .errors(TEAM_ERRORS),
        method("RestartTeam", Verb::RestartTeam, MANAGE, TEAM, TASK_RUN, "Restart for all workers of a team.")
            .errors(TEAM_ERRORS),
        method("DrainTeam", Verb::DrainTeam, MANAGE, TEAM, TASK_RUN, "Drain for all workers of a team.")
            .errors(TEAM_ERRORS),
=======
        method(
            "GetWorker",
            Verb::GetWorker,
            READ,
            TARGETED,
            &[arg("worker", "o")],
            "The object of a target.",
        )
        .errors(MISSING),
        start(TARGETED),
        stop(TARGETED),
        restart(TARGETED),
        drain(TARGETED),
        pause(TARGETED),
        isolate(TARGETED),
        resume(TARGETED),
        reset(TARGETED),
        kill(&[arg("target", "s"), arg("signal", "i"), OPT]),
        scale(&[arg("worker", "s"), arg("replicas", "u"), OPT]),
        set(&[arg("worker", "s"), arg("values", "a{sv}"), OPT]),
        team(
            "StartTeam",
            Verb::StartTeam,
            "Start for all workers of a team.",
        ),
        team(
            "StopTeam",
            Verb::StopTeam,
            "Stop for all workers of a team.",
        ),
        team(
            "RestartTeam",
            Verb::RestartTeam,
            "Restart for all workers of a team.",
        ),
        team(
            "DrainTeam",
            Verb::DrainTeam,
            "Drain for all workers of a team.",
        ),
>>>>>>> bus
        method(
            "StopAll",
            Verb::StopAll,
            MANAGE,
            &[arg("reason", "s"), OPT],
            TASK_RUN,
            "Stops every worker, in reverse order.",
        )
<<<<<<< HEAD
        .errors(TEAM_ERRORS),
        method("ListRuns", Verb::ListRuns, READ, TARGETED, RUNS, RUNS_DOC).options(RUNS_OPTIONS).errors(NONE),
        method("GetLogs", Verb::GetLogs, Access::Action(Action::ReadLogs), TARGETED, LOGS, LOGS_DOC)
            .options(LOGS_OPTIONS)
            .errors(LOG_ERRORS),
=======
        .errors(TEAM),
        list_runs(TARGETED),
        get_logs(TARGETED),
>>>>>>> bus
    ],
    properties: &[
        property("WorkersTotal", "u", Emits::True, "Workers that are defined."),
        property("WorkersReady", "u", Emits::True, "Workers with all their replicas ready."),
        property("WorkersFailed", "u", Emits::True, "Workers in a crash loop, parked, unplaceable or degraded."),
        property("WorkersIsolated", "u", Emits::True, "Workers that are isolated."),
    ],
    signals: &[],
};

pub(super) const WORKER: Interface = Interface {
    name: "Worker",
    doc: "One worker: all of its replicas.",
    methods: &[
<<<<<<< HEAD
        method("Start", Verb::Start, MANAGE, BARE, TASK_RUN, START).errors(OPERATION),
        method("Stop", Verb::Stop, MANAGE, BARE, TASK_RUN, STOP).errors(OPERATION),
        method("Restart", Verb::Restart, MANAGE, BARE, TASK_RUN, RESTART).options(ROLLING).errors(OPERATION),
        method("Drain", Verb::Drain, MANAGE, BARE, TASK_RUN, DRAIN).errors(OPERATION),
        method("Pause", Verb::Pause, MANAGE, BARE, TASK_RUN, PAUSE).errors(OPERATION),
        method("Isolate", Verb::Isolate, Access::Action(Action::Isolate), BARE, TASK_RUN, ISOLATE).errors(OPERATION),
        method("Resume", Verb::Resume, RESUME, BARE, TASK_RUN, RESUME_DOC).errors(OPERATION),
        method("Reset", Verb::Reset, MANAGE, BARE, &[], RESET).errors(AT_ONCE),
        method("Scale", Verb::Scale, MANAGE, &[arg("replicas", "u"), OPT], TASK_RUN, SCALE_DOC).errors(SCALE),
        method(
            "Set",
            Verb::Set,
            Access::Action(Action::SetResources),
            &[arg("values", "a{sv}"), OPT],
            &[arg("result", "s")],
            SET_DOC,
        )
        .errors(SET),
        method("ListRuns", Verb::ListRuns, READ, BARE, RUNS, RUNS_DOC).options(RUNS_OPTIONS),
        method("GetLogs", Verb::GetLogs, Access::Action(Action::ReadLogs), BARE, LOGS, LOGS_DOC)
            .options(LOGS_OPTIONS)
            .errors(LOG_ERRORS),
=======
        start(BARE),
        stop(BARE),
        restart(BARE),
        drain(BARE),
        pause(BARE),
        isolate(BARE),
        resume(BARE),
        reset(BARE),
        scale(&[arg("replicas", "u"), OPT]),
        set(&[arg("values", "a{sv}"), OPT]),
        list_runs(BARE),
        get_logs(BARE),
>>>>>>> bus
    ],
    properties: &[
        property("Name", "s", Emits::Const, "Name."),
        property("Team", "s", Emits::True, "Team it belongs to."),
        property("Role", "s", Emits::True, "Role label; empty without one."),
        property(
            "State",
            "s",
            Emits::True,
            "running, starting, degraded, crash-loop, stopped, stopping, draining, paused, isolated, unplaceable, waiting,\n\
            parked or done.",
        ),
        property("StateReason", "s", Emits::True, "Why."),
        property("Health", "s", Emits::True, "healthy, unhealthy or unknown."),
        property("ConfigDigest", "s", Emits::True, "Names the specification in force."),
        property("CanaryGroup", "s", Emits::True, "Reserved for rollouts; empty."),
        property("Wanted", "u", Emits::True, "Replicas wanted."),
        property("Ready", "u", Emits::True, "Replicas ready."),
        property("Restarts", "t", Emits::True, "Restarts of all replicas."),
        property("Holds", "as", Emits::True, "Reasons not to act."),
        property("Replicas", "ao", Emits::True, "Its replicas."),
        MEMORY,
        CPU,
        GPU,
    ],
    signals: SIGNALS,
};

pub(super) const REPLICA: Interface = Interface {
    name: "Replica",
    doc: "One numbered copy of a worker.",
    methods: &[
<<<<<<< HEAD
        method("Start", Verb::Start, MANAGE, BARE, TASK_RUN, START).errors(OPERATION),
        method("Stop", Verb::Stop, MANAGE, BARE, TASK_RUN, STOP).errors(OPERATION),
        method("Restart", Verb::Restart, MANAGE, BARE, TASK_RUN, RESTART).options(ROLLING).errors(OPERATION),
        method("Drain", Verb::Drain, MANAGE, BARE, TASK_RUN, DRAIN).errors(OPERATION),
        method("Pause", Verb::Pause, MANAGE, BARE, TASK_RUN, PAUSE).errors(OPERATION),
        method("Isolate", Verb::Isolate, Access::Action(Action::Isolate), BARE, TASK_RUN, ISOLATE).errors(OPERATION),
        method("Resume", Verb::Resume, RESUME, BARE, TASK_RUN, RESUME_DOC).errors(OPERATION),
        method("Reset", Verb::Reset, MANAGE, BARE, &[], RESET).errors(AT_ONCE),
        method("Kill", Verb::Kill, MANAGE, &[arg("signal", "i"), OPT], &[], KILL).errors(AT_ONCE),
        method("ListRuns", Verb::ListRuns, READ, BARE, RUNS, RUNS_DOC).options(RUNS_OPTIONS),
        method("GetLogs", Verb::GetLogs, Access::Action(Action::ReadLogs), BARE, LOGS, LOGS_DOC)
            .options(LOGS_OPTIONS)
            .errors(LOG_ERRORS),
=======
        start(BARE),
        stop(BARE),
        restart(BARE),
        drain(BARE),
        pause(BARE),
        isolate(BARE),
        resume(BARE),
        reset(BARE),
        kill(&[arg("signal", "i"), OPT]),
        list_runs(BARE),
        get_logs(BARE),
>>>>>>> bus
        method(
            "GetLease",
            Verb::GetLease,
            READ,
            BARE,
            &[arg("lease", "a{sv}")],
            "The lease under which the fleet lets it run. Not in this version.",
        )
        .errors(&["NotSupported"]),
    ],
    properties: &[
        property("Worker", "s", Emits::Const, "The worker it is a copy of."),
        property("Number", "u", Emits::Const, "Its number, from 1."),
        property(
            "State",
            "s",
            Emits::True,
            "stopped, waiting, launching, starting, ready, unready, paused, isolated, draining, saving, stopping, killing,\n\
            crash-loop, parked, done or unplaceable.",
        ),
        property("SubState", "s", Emits::True, "What the worker says of itself (STATUS=)."),
        property("StateReason", "s", Emits::True, "Why it is in its state."),
        property("Result", "s", Emits::True, "Cause of its newest end; empty without one."),
        property("Health", "s", Emits::True, "healthy, unhealthy or unknown."),
        property("Unit", "s", Emits::True, "systemd unit; empty on direct."),
        property("Run", "s", Emits::True, "Its live run; empty when it is down."),
        property("UnitPath", "o", Emits::True, "The unit's object on systemd's API; / without one."),
        property("MainPid", "u", Emits::True, "Main process; 0 when it is down."),
        property("Restarts", "u", Emits::True, "Restarts ever."),
        property("LastExit", "(ss)", Emits::True, "Cause and status of its newest end."),
        property("Ready", "b", Emits::True, "It takes work."),
        property("Holds", "as", Emits::True, "Reasons not to act."),
        property("Gpus", "ao", Emits::True, "Cards given to it."),
        property("Port", "q", Emits::True, "Port kept for it; 0 without one."),
        property("NextStart", "t", Emits::True, "When it is started next; 0 when no start is due."),
        MEMORY,
        CPU,
        GPU,
    ],
    signals: SIGNALS,
};
<<<<<<< HEAD

const MEMORY: Property = property("MemoryCurrent", "t", Emits::False, "Bytes in use; the largest number when unknown.");
const CPU: Property = property("CpuUsageNSec", "t", Emits::False, "CPU time used; the largest number when unknown.");
const GPU: Property =
    property("GpuMemory", "t", Emits::False, "Bytes in use on cards; the largest number when unknown.");

const SIGNALS: &[Signal] = &[
    signal("StateChanged", &[arg("new", "s"), arg("old", "s"), arg("reason", "s")], "State has changed."),
    signal("HealthChanged", &[arg("healthy", "b"), arg("reason", "s")], "Health has become healthy, or another."),
];
=======
>>>>>>> bus
