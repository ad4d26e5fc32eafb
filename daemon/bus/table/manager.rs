//! `org.reeve.Node1.Manager`.

use super::Access::{self, Free};
use super::{Arg, Emits, Interface, Method, OPT, Property, Signal, TASK_RUN, Verb, arg, method, opt, property, signal};
use crate::bus::action::Action;

pub(super) const MANAGER: Interface = Interface {
    name: "Manager",
    doc: "The node: its state, its configuration, and what concerns all of its workers.",
    methods: METHODS,
    properties: PROPERTIES,
    signals: SIGNALS,
};

const READ_STATUS: Access = Access::Action(Action::ReadStatus);
const READ_CONFIG: Access = Access::Action(Action::ReadConfig);
const CORDON: Access = Access::Action(Action::Cordon);
const DRAIN: Access = Access::Action(Action::Drain);
const REASON: &[Arg] = &[arg("reason", "s"), OPT];

/// What an event carries, in `ListEvents` and in the signal.
const EVENT: &[Arg] = &[
    arg("time", "t"),
    arg("kind", "s"),
    arg("target", "s"),
    arg("reason", "s"),
    arg("text", "s"),
    arg("more", "a{sv}"),
];

const METHODS: &[Method] = &[
    method(
        "Ping",
        Verb::Ping,
        Free,
        &[],
        &[arg("time", "t")],
        "Answers with the wall time of the node in microseconds.",
    ),
    method(
        "Can",
        Verb::Can,
        Free,
        &[arg("action", "s"), OPT],
        &[arg("answer", "s")],
        "Whether the caller may do what needs this polkit action, `drain` or `org.reeve.node1.drain`: `yes`, `no`, or\n\
        `challenge` when a password would help.",
    ),
    method(
        "GetStatus",
        Verb::GetStatus,
        READ_STATUS,
        &[OPT],
        &[arg("status", "a{sv}")],
        "The node in one dictionary: state and reason, components, holds, configuration, totals of workers.",
    ),
    method(
        "GetPlan",
        Verb::GetPlan,
        READ_STATUS,
        &[OPT],
        &[arg("plan", "a(sss)")],
        "What is still to be done to reach what is wanted: action, target, reason.",
    )
    .options(&[opt(
        "candidate",
        "b",
        "what would be done after a reload of the files on disk",
    )])
    .errors(&["ConfigInvalid"]),
    method(
        "ListEvents",
        Verb::ListEvents,
        READ_STATUS,
        &[arg("since", "t"), arg("max", "u"), OPT],
        &[arg("events", "a(tssssa{sv})")],
        "What has happened since a time, oldest first: time, kind, target, reason, text, more. 0 as `max` is 100.",
    ),
    method(
        "Subscribe",
        Verb::Subscribe,
        READ_STATUS,
        &[OPT],
        &[],
        "Sends the Event signal to the caller from now on, until it leaves the bus.",
    ),
    method(
        "Unsubscribe",
        Verb::Unsubscribe,
        READ_STATUS,
        &[OPT],
        &[],
        "Ends Subscribe.",
    ),
    method(
        "CheckConfig",
        Verb::CheckConfig,
        READ_CONFIG,
        &[OPT],
        &[arg("remarks", "a(ssuuss)")],
        "Every mistake in the files on disk: severity (`error`, `warning`), file, line, column, key, text.",
    ),
    method(
        "ShowConfig",
        Verb::ShowConfig,
        READ_CONFIG,
        &[OPT],
        &[arg("toml", "s")],
        "The configuration in force as TOML, with the origin of each value.",
    ),
    method(
        "DiffConfig",
        Verb::DiffConfig,
        READ_CONFIG,
        &[OPT],
        &[arg("differences", "a(sss)")],
        "What a reload would change: key, value in force, value on disk.",
    )
    .errors(&["ConfigInvalid"]),
    method(
        "ExplainConfig",
        Verb::ExplainConfig,
        READ_CONFIG,
        &[arg("key", "s"), OPT],
        &[arg("explanation", "a{sv}")],
        "One key: its default, unit, range, value in force and where that comes from.",
    )
    .errors(&["NoSuchKey"]),
    method(
        "Reload",
        Verb::Reload,
        Access::Action(Action::ReloadConfig),
        &[OPT],
        &[arg("generation", "t")],
        "Reads the configuration again. When it has a mistake the old one stays in force, and the error lists them all.",
    )
    .errors(&["ConfigInvalid"]),
    method(
        "Drain",
        Verb::NodeDrain,
        DRAIN,
        REASON,
        TASK_RUN,
        "Drains and stops every worker and starts none until Undrain; kept over restarts. A reason must be given.",
    )
    .errors(&["InvalidState", "Conflict"]),
    method(
        "Undrain",
        Verb::NodeUndrain,
        DRAIN,
        REASON,
        TASK_RUN,
        "Takes work again.",
    )
    .errors(&["InvalidState", "Conflict"]),
    method(
        "Reboot",
        Verb::Reboot,
        Access::Action(Action::Reboot),
        REASON,
        TASK_RUN,
        "Drains the node and restarts the machine once the fleet grants a slot. Not in this version.",
    )
    .errors(&[
        "NotSupported",
        "InvalidState",
        "Conflict",
        "SlotUnavailable",
        "NoQuorum",
        "OutsideWindow",
    ]),
    method(
        "Cordon",
        Verb::Cordon,
        CORDON,
        REASON,
        &[],
        "Starts nothing new; what runs, runs on.",
    )
    .errors(&["InvalidState"]),
    method(
        "Uncordon",
        Verb::Uncordon,
        CORDON,
        &[OPT],
        &[],
        "Ends Cordon.",
    )
    .errors(&["InvalidState"]),
    method(
        "Hold",
        Verb::Hold,
        Access::Action(Action::Hold),
        &[arg("who", "s"), arg("why", "s"), OPT],
        &[arg("hold", "h")],
        "Holds restarts and changes until the descriptor is closed by its last owner, hence also when he crashes. A restart\n\
         of reeved does not end it.",
    )
    .errors(&["InvalidState"]),
    method(
        "SetLogLevel",
        Verb::SetLogLevel,
        Access::Action(Action::SetLogLevel),
        &[arg("level", "s"), OPT],
        &[],
        "How much reeved logs until it ends: error, warn, info, debug, trace.",
    ),
];

const PROPERTIES: &[Property] = &[
    property("Version", "s", Emits::Const, "Of reeved."),
    property("NodeId", "s", Emits::Const, "Name of the node."),
    property("BootId", "s", Emits::Const, "The kernel's id of this boot."),
    property("ApiMinor", "u", Emits::Const, "Counts additions to these interfaces."),
    property("State", "s", Emits::True, "starting, running, draining, drained, maintenance, degraded or stopping."),
    property("StateSince", "t", Emits::True, "Since when."),
    property("StateReason", "s", Emits::True, "Why."),
    property("DrainReason", "s", Emits::True, "Why it is drained; empty when it is not."),
    property("Health", "s", Emits::True, "ok, or the components in trouble."),
    property("LogLevel", "s", Emits::True, "How much reeved logs."),
    property("Components", "a{ss}", Emits::True, "Component to problem; empty text is well."),
    property("Labels", "a{ss}", Emits::True, "Labels of the node, which node_selector matches."),
    property("Cordoned", "b", Emits::True, "Nothing new is started."),
    property("ConfigGeneration", "t", Emits::True, "Grows with each reload that took effect."),
    property("ConfigErrorCount", "u", Emits::True, "Mistakes of the last refused reload."),
    property("HoldCount", "u", Emits::True, "Holds of Hold."),
    property("Inventory", "a{sv}", Emits::True, "launcher, kernel, cpus."),
    property("UptimeUsec", "t", Emits::False, "Of reeved."),
];

const SIGNALS: &[Signal] = &[
    signal("StateChanged", &[arg("new", "s"), arg("old", "s"), arg("reason", "s")], "State has changed."),
    signal("ConfigReloaded", &[arg("generation", "t"), arg("ok", "b")], "A reload took effect, or was refused."),
    signal(
        "PrepareForDrain",
        &[arg("start", "b"), arg("deadline", "t")],
        "The node begins to drain (true) or takes work again (false). 0 as deadline: none is known.",
    ),
    signal("Event", EVENT, "Something has happened, as in ListEvents. Only to callers of Subscribe."),
];
