//! `org.reeve.Node1.Fleet`.

use super::{
    Access, Arg, Emits, Interface, Method, OPT, Property, Signal, TASK_RUN, Verb, arg, method, opt, property, signal,
};
use crate::bus::action::Action;

pub(super) const FLEET: Interface = Interface {
    name: "Fleet",
    doc: "The fleet as this node sees it: who leads, the nodes, and slots, which are permission to be disruptive.",
    methods: METHODS,
    properties: PROPERTIES,
    signals: SIGNALS,
};

const READ: Access = Access::Action(Action::ReadFleet);
const SLOT: Access = Access::Action(Action::Slot);
const BREAK: Access = Access::Action(Action::BreakSlot);
const LEAD: Access = Access::Action(Action::Lead);
const RECOVER: Access = Access::Action(Action::RecoverFleet);
const REASON: &[Arg] = &[arg("reason", "s"), OPT];
const NODE: &[Arg] = &[arg("node", "s"), arg("reason", "s"), OPT];

const METHODS: &[Method] = &[
    method(
        "GetStatus",
        Verb::FleetStatus,
        READ,
        &[OPT],
        &[arg("status", "a{sv}")],
        "The fleet in one dictionary: role, leader, term, lease, quorum, voters, brokers, and why it is as it is. Nodes\n\
        and slots are counted by state.",
    ),
    method(
        "BrokerConfig",
        Verb::BrokerConfig,
        READ,
        &[OPT],
        &[arg("config", "s")],
        "A configuration of mosquitto and its list of permissions, ready for this fleet. It holds no secret.",
    )
    .options(&[opt("operators", "as", "names that may send commands beside the voters")])
    .errors(&["InvalidState"]),
    method(
        "ListNodes",
        Verb::ListNodes,
        READ,
        &[OPT],
        &[arg("nodes", "a(sssta{sv})")],
        "The nodes as a voter knows them, by name: name, state (alive, late, suspect, lost), role (leader, voter,\n\
        observer), when it was heard last, more. None in a fleet of one; InvalidState on an observer, which keeps no\n\
        registry.",
    )
    .errors(&["InvalidState"]),
    method(
        "ListSlots",
        Verb::ListSlots,
        READ,
        &[OPT],
        &[arg("slots", "a(ssssta{sv})")],
        "Slots that are held or asked for: id, holder, kind, state (granted, suspect, queued, asking), when it turns\n\
        suspect (0: not known), more.",
    ),
    method(
        "Why",
        Verb::Why,
        READ,
        &[arg("subject", "s"), OPT],
        &[arg("past", "a(tsss)")],
        "What has happened to a node, a slot or `leader`, oldest first: time, kind, cause, text. The last entry may say\n\
        how it stands. An empty subject: all that is kept.",
    )
    .errors(&["NoSuchNode", "NoSuchSlot"]),
    method(
        "Ask",
        Verb::Ask,
        SLOT,
        &[arg("kind", "s"), arg("reason", "s"), OPT],
        TASK_RUN,
        "Asks the fleet for a slot of this kind, such as `reboot`. The task run ends when it is granted, and names it;\n\
        Cancel takes the question back.",
    )
    .errors(&["NoQuorum", "SlotUnavailable", "OutsideWindow"]),
    method(
        "Release",
        Verb::Release,
        SLOT,
        &[arg("slot", "s"), OPT],
        TASK_RUN,
        "Gives a slot of this node back: the work is done.",
    )
    .options(&[opt(
        "failed",
        "b",
        "the check after the work has failed: the slot is not given on, it turns suspect",
    )])
    .errors(&["NoQuorum", "NoSuchSlot", "InvalidState"]),
    method(
        "Break",
        Verb::Break,
        BREAK,
        &[arg("slot", "s"), arg("reason", "s"), OPT],
        TASK_RUN,
        "Takes a slot away from whoever holds it, who will not come back. A reason must be given.",
    )
    .errors(&["NoQuorum", "NoSuchSlot", "InvalidState"]),
    method(
        "Freeze",
        Verb::Freeze,
        BREAK,
        REASON,
        TASK_RUN,
        "No slot is granted in the whole fleet until Unfreeze. A reason must be given.",
    )
    .errors(&["NoQuorum", "InvalidState"]),
    method("Unfreeze", Verb::Unfreeze, BREAK, &[OPT], TASK_RUN, "Slots are granted again.")
        .errors(&["NoQuorum", "InvalidState"]),
    method(
        "Handover",
        Verb::Handover,
        LEAD,
        NODE,
        TASK_RUN,
        "Another voter shall lead: this one, or the best where `node` is empty. Asked of whoever leads, from any node. A\n\
        reason must be given.",
    )
    .errors(&["NotLeader", "NoSuchNode", "NoQuorum"]),
    method(
        "Promote",
        Verb::Promote,
        LEAD,
        REASON,
        TASK_RUN,
        "This observer becomes a voter. A reason must be given.",
    )
    .options(&[opt(
        "force",
        "b",
        "without the other voters, as the only one, in a new epoch to which all old tokens lose",
    )])
    .errors(&["InvalidState", "NoQuorum"]),
    method(
        "Demote",
        Verb::Demote,
        LEAD,
        NODE,
        TASK_RUN,
        "This voter becomes an observer. A reason must be given.",
    )
    .errors(&["NoSuchNode", "NoQuorum", "InvalidState"]),
    method(
        "Rejoin",
        Verb::Rejoin,
        RECOVER,
        REASON,
        TASK_RUN,
        "This node has lost its voter file and becomes a new voter of its name. A reason must be given.",
    )
    .errors(&["InvalidState"]),
    method(
        "Recover",
        Verb::Recover,
        RECOVER,
        REASON,
        TASK_RUN,
        "The majority is lost for good: this voter goes on alone, in a new epoch to which all old tokens lose. A reason\n\
        must be given, and `i-know`.",
    )
    .options(&[opt("i-know", "b", "must be true")])
    .errors(&["InvalidState"]),
];

const PROPERTIES: &[Property] = &[
    property("Connected", "b", Emits::True, "A broker is connected; true in a fleet of one, which needs none."),
    property("Quorum", "b", Emits::True, "There is a leader that a majority answers, as far as known."),
    property("LeaderState", "s", Emits::True, "leader, follower, candidate, observer or isolated."),
    property("Leader", "s", Emits::True, "Who leads; empty when nobody is known to."),
    property("RolloutState", "s", Emits::True, "Empty: this version has no rollouts."),
    property("Broker", "s", Emits::True, "The first broker that is connected, without secrets; empty without one."),
    property("Term", "t", Emits::True, "The term as a number that only grows."),
    property(
        "LastContact",
        "t",
        Emits::False,
        "When the leader was heard last, on the leader when a majority answered last; 0: never. It moves with each beat.",
    ),
    property("Nodes", "u", Emits::True, "Nodes that this voter knows; 0 on an observer and in a fleet of one."),
    property(
        "LeaseRemainingUsec",
        "t",
        Emits::False,
        "How long this node may still act as the leader; 0 when it may not, the largest number when that does not end.",
    ),
];

const SIGNALS: &[Signal] = &[
    signal(
        "LeaderChanged",
        &[arg("leader", "s"), arg("term", "t")],
        "Another leads, or the same in another term. Empty: nobody is known to lead.",
    ),
    signal(
        "SlotChanged",
        &[arg("slot", "s"), arg("holder", "s"), arg("state", "s"), arg("reason", "s")],
        "A slot is new or in another state; `gone` when it was released, broken or taken back.",
    ),
    signal(
        "PartitionSuspected",
        &[arg("suspected", "b")],
        "This node hears of no leader, or most nodes fell silent at once (true); that is over (false).",
    ),
];
