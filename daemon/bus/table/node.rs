//! `org.reeve.Node1.Maintenance`, `.TaskRun` and `.Audit`.

use super::{Access, Emits, Interface, OPT, Verb, arg, method, opt, property, signal};
use crate::bus::action::Action;

const READ: Access = Access::Action(Action::ReadTasks);
const CANCEL: Access = Access::Either(Action::CancelOwn, Action::CancelAny);
const READ_AUDIT: Access = Access::Action(Action::ReadAudit);
const CANCEL_ERRORS: &[&str] = &["NoSuchTaskRun", "InvalidState"];

pub(super) const MAINTENANCE: Interface = Interface {
    name: "Maintenance",
    doc: "Task runs: maintenance tasks and long commands.",
    methods: &[
        method(
            "ListTaskRuns",
            Verb::ListTaskRuns,
            READ,
            &[OPT],
            &[arg("task_runs", "a(osssta{sv})")],
            "Task runs that are still kept, newest first: path, task, state, result, started, more.",
        )
        .options(&[
            opt("task", "s", "only of this task"),
            opt("since", "t", "only those started since"),
            opt("max", "u", "how many of the newest; default all"),
        ]),
        method(
            "Cancel",
            Verb::Cancel,
            CANCEL,
            &[arg("id", "s"), OPT],
            &[],
            "Stops waiting for a task run and undoes what can be undone. Of somebody else's only an administrator may.",
        )
        .errors(CANCEL_ERRORS),
    ],
    properties: &[property("ActiveTaskRuns", "ao", Emits::True, "Task runs that have not ended.")],
    signals: &[
        signal("TaskRunStarted", &[arg("path", "o"), arg("task", "s")], "A task run was accepted."),
        signal("TaskRunFinished", &[arg("path", "o"), arg("task", "s"), arg("result", "s")], "A task run has ended."),
    ],
};

pub(super) const TASK_RUN: Interface = Interface {
    name: "TaskRun",
    doc: "One execution of a maintenance task or of a long command. It is here before the call that made it is answered;\n\
        to wait for it, listen to Completed, then read State.",
    methods: &[
        method(
            "Cancel",
            Verb::Cancel,
            CANCEL,
            &[OPT],
            &[],
            "Stops waiting for it and undoes what can be undone. Of somebody else's only an administrator may.",
        )
        .errors(CANCEL_ERRORS),
        method(
            "GetReport",
            Verb::GetReport,
            READ,
            &[OPT],
            &[arg("report", "s")],
            "JSON: how it went; after a dry run, what would be done.",
        )
        .errors(&["Unavailable"]),
    ],
    properties: &[
        property("Id", "s", Emits::Const, "Its id."),
        property("Task", "s", Emits::Const, "Task, or the command's name."),
        property("Kind", "s", Emits::Const, "task or command."),
        property("StartedByUser", "s", Emits::Const, "Who asked."),
        property("StartedVia", "s", Emits::Const, "dbus, timer, fleet or signal."),
        property("StartedByUid", "u", Emits::Const, "Uid of who asked."),
        property("Arguments", "a{sv}", Emits::Const, "What it was asked to act on."),
        property("StartTime", "t", Emits::Const, "When it was accepted."),
        property("State", "s", Emits::True, "queued, waiting-approval, waiting-slot, running, cancelling or done."),
        property(
            "Result",
            "s",
            Emits::True,
            "success, failed, cancelled, denied, timeout, skipped or lost; empty until it is done.",
        ),
        property("ErrorName", "s", Emits::True, "D-Bus error that fits the result; empty without one."),
        property("Message", "s", Emits::True, "What is going on, or how it ended."),
        property("Phase", "s", Emits::True, "Step it is at."),
        property("PlanDigest", "s", Emits::True, "Names the plan that an approval is bound to; empty without one."),
        property("Unit", "s", Emits::True, "systemd unit that does it; empty without one."),
        property("Progress", "d", Emits::True, "0 to 1."),
        property("ProgressValid", "b", Emits::True, "Whether Progress means anything."),
        property("Cancelable", "b", Emits::True, "Whether Cancel makes sense."),
        property("ExpectedEndTime", "t", Emits::True, "0 when unknown."),
        property("ApprovalUntil", "t", Emits::True, "Until when it can be approved; 0 when it needs none."),
    ],
    signals: &[signal(
        "Completed",
        &[arg("result", "s"), arg("error_name", "s"), arg("message", "s")],
        "It has ended.",
    )],
};

pub(super) const AUDIT: Interface = Interface {
    name: "Audit",
    doc: "The trail of calls that could change something, allowed or refused.",
    methods: &[
        method(
            "Query",
            Verb::AuditQuery,
            READ_AUDIT,
            &[arg("since", "t"), arg("max", "u"), OPT],
            &[arg("entries", "a(tussssa{sv})")],
            "Entries since a time, oldest first: time, uid, caller, action, target, result, more. 0 as `max` is 1000.",
        )
        .errors(&["AuditBroken", "Unavailable"]),
        method(
            "Verify",
            Verb::AuditVerify,
            READ_AUDIT,
            &[OPT],
            &[arg("summary", "a{sv}")],
            "Checks the chain of the trail: how many entries, the first and the last.",
        )
        .errors(&["AuditBroken", "Unavailable"]),
    ],
    properties: &[property("Entries", "t", Emits::False, "Entries kept.")],
    signals: &[],
};
