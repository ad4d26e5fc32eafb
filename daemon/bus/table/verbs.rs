//! Rows that Workers, Worker and Replica have in common: the same verbs, with and without a target.

use super::{
    Access, Arg, Emits, Method, OPT, Opt, Property, Signal, TASK_RUN, Verb, arg, method, opt, property, signal,
};
use crate::bus::action::Action;

pub(super) const READ: Access = Access::Action(Action::ReadWorkers);
pub(super) const MANAGE: Access = Access::Action(Action::ManageWorkers);
pub(super) const TARGETED: &[Arg] = &[arg("target", "s"), OPT];
pub(super) const BARE: &[Arg] = &[OPT];
pub(super) const AT_ONCE: &[&str] = &["NoSuchWorker", "NoSuchReplica", "InvalidState"];
pub(super) const MISSING: &[&str] = &["NoSuchWorker", "NoSuchReplica"];
const OPERATION: &[&str] = &["NoSuchWorker", "NoSuchReplica", "InvalidState", "Conflict", "Draining", "NotSupported"];

const fn operation(name: &'static str, verb: Verb, input: &'static [Arg], doc: &'static str) -> Method {
    method(name, verb, MANAGE, input, TASK_RUN, doc).errors(OPERATION)
}

pub(super) const fn start(input: &'static [Arg]) -> Method {
    operation("Start", Verb::Start, input, "Runs it, lifting an operator's stop.")
}

pub(super) const fn stop(input: &'static [Arg]) -> Method {
    operation("Stop", Verb::Stop, input, "Stops it until it is started again; kept over restarts.")
}

pub(super) const fn restart(input: &'static [Arg]) -> Method {
    operation("Restart", Verb::Restart, input, "Stops and starts it.")
        .options(const { &[opt("rolling", "b", "one by one, each after the one before is ready")] })
}

pub(super) const fn drain(input: &'static [Arg]) -> Method {
    operation("Drain", Verb::Drain, input, "Lets it finish its work and save its state, then stops it.")
}

pub(super) const fn pause(input: &'static [Arg]) -> Method {
    operation("Pause", Verb::Pause, input, "Freezes it.")
}

pub(super) const fn isolate(input: &'static [Arg]) -> Method {
    method(
        "Isolate",
        Verb::Isolate,
        Access::Action(Action::Isolate),
        input,
        TASK_RUN,
        "Freezes it and cuts it off the network.",
    )
    .errors(OPERATION)
}

pub(super) const fn resume(input: &'static [Arg]) -> Method {
    method(
        "Resume",
        Verb::Resume,
        Access::Either(Action::ManageWorkers, Action::LiftIsolation),
        input,
        TASK_RUN,
        "Thaws it and gives the network back. Of an isolated one only an administrator may.",
    )
    .errors(OPERATION)
}

pub(super) const fn reset(input: &'static [Arg]) -> Method {
    method("Reset", Verb::Reset, MANAGE, input, &[], "Forgets failures, closes breakers and tries at once.")
        .errors(AT_ONCE)
}

pub(super) const fn kill(input: &'static [Arg]) -> Method {
    method("Kill", Verb::Kill, MANAGE, input, &[], "Sends a signal to the main process of one replica.").errors(AT_ONCE)
}

pub(super) const fn scale(input: &'static [Arg]) -> Method {
    method("Scale", Verb::Scale, MANAGE, input, TASK_RUN, "Another number of replicas; kept over restarts.").errors(&[
        "NoSuchWorker",
        "Conflict",
        "Unplaceable",
    ])
}

pub(super) const fn set(input: &'static [Arg]) -> Method {
    method(
        "Set",
        Verb::Set,
        Access::Action(Action::SetResources),
        input,
        const { &[arg("result", "s")] },
        "Changes resources of a live worker (keys of [worker.resources] in systemd's spelling); kept over\n\
        restarts. `applied`, or `needs-restart` when it takes effect at the next start.",
    )
    .errors(&["NoSuchWorker", "NoSuchKey", "NotSupported"])
}

pub(super) const fn list_runs(input: &'static [Arg]) -> Method {
    method(
        "ListRuns",
        Verb::ListRuns,
        READ,
        input,
        const { &[arg("runs", "a(sttsba{sv})")] },
        "Ended runs, newest first: run, started, ended, cause, supervised, more. `log_tail` in `more` only for\n\
        callers who may read logs.",
    )
    .options(const { &[opt("max", "u", "how many of the newest; default all")] })
    .errors(MISSING)
}

pub(super) const fn get_logs(input: &'static [Arg]) -> Method {
    const OPTIONS: &[Opt] = &[
        opt("lines", "u", "how many of the newest; default 50"),
        opt("follow", "b", "go on as more come"),
        opt("previous", "b", "of the run before the present one"),
        opt("run", "s", "of this run"),
    ];
    method(
        "GetLogs",
        Verb::GetLogs,
        Access::Action(Action::ReadLogs),
        input,
        const { &[arg("log", "h")] },
        "What it logged: the read end of a pipe.",
    )
    .options(OPTIONS)
    .errors(&["NoSuchWorker", "NoSuchReplica", "Unavailable"])
}

pub(super) const fn team(name: &'static str, verb: Verb, doc: &'static str) -> Method {
    method(name, verb, MANAGE, const { &[arg("team", "s"), OPT] }, TASK_RUN, doc).errors(TEAM)
}

pub(super) const TEAM: &[&str] = &["NoSuchTeam", "InvalidState"];

pub(super) const MEMORY: Property =
    property("MemoryCurrent", "t", Emits::False, "Bytes in use; the largest number when unknown.");
pub(super) const CPU: Property =
    property("CpuUsageNSec", "t", Emits::False, "CPU time used; the largest number when unknown.");
pub(super) const GPU: Property =
    property("GpuMemory", "t", Emits::False, "Bytes in use on cards; the largest number when unknown.");

pub(super) const SIGNALS: &[Signal] = &[
    signal("StateChanged", &[arg("new", "s"), arg("old", "s"), arg("reason", "s")], "State has changed."),
    signal("HealthChanged", &[arg("healthy", "b"), arg("reason", "s")], "Health has become healthy, or another."),
];
