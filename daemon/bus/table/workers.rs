//! `org.reeve.Node1.Workers`, `.Worker` and `.Replica`.

use super::verbs::*;
use super::{Emits, Interface, OPT, TASK_RUN, Verb, arg, method, property};

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
            restarts, last_exit, reason, next_start, status, port, active_tasks, queue_depth, holds, outdated; what is\n\
            absent is left out.",
        ),
        method("GetWorker", Verb::GetWorker, READ, TARGETED, &[arg("worker", "o")], "The object of a target.")
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
        team("StartTeam", Verb::StartTeam, "Start for all workers of a team."),
        team("StopTeam", Verb::StopTeam, "Stop for all workers of a team."),
        team("RestartTeam", Verb::RestartTeam, "Restart for all workers of a team."),
        team("DrainTeam", Verb::DrainTeam, "Drain for all workers of a team."),
        method(
            "StopAll",
            Verb::StopAll,
            MANAGE,
            &[arg("reason", "s"), OPT],
            TASK_RUN,
            "Stops every worker, in reverse order.",
        )
        .errors(TEAM),
        list_runs(TARGETED),
        get_logs(TARGETED),
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
