//! What the API is, said once: each interface with its methods, properties and signals.
//!
//! Introspection, the XML that is shipped, `org.reeve.Node1(5)`, the argument and option checks, authorisation and the
//! tests are made from [`INTERFACES`]. A [`Verb`] joins a method to the code that does it.

mod fleet;
mod gpus;
mod manager;
mod metrics;
mod node;
mod verbs;
mod workers;

use super::action::{Action, Level};

/// Every interface there is, without the prefix `org.reeve.Node1.`.
pub const INTERFACES: &[Interface] = &[
    manager::MANAGER,
    workers::WORKERS,
    workers::WORKER,
    workers::REPLICA,
    gpus::GPUS,
    node::MAINTENANCE,
    node::TASK_RUN,
    fleet::FLEET,
    metrics::METRICS,
    node::AUDIT,
];

/// One interface.
#[derive(Debug)]
pub struct Interface {
    /// Without the prefix: `Manager`.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its methods.
    pub methods: &'static [Method],
    /// Its properties, in the order in which `objects::properties` lists their values.
    pub properties: &'static [Property],
    /// Its signals.
    pub signals: &'static [Signal],
}

/// One method.
#[derive(Debug)]
pub struct Method {
    /// Name.
    pub name: &'static str,
    /// What it does.
    pub verb: Verb,
    /// Who may call it.
    pub access: Access,
    /// Arguments. The last is `opt`, but for Ping.
    pub input: &'static [Arg],
    /// Results.
    pub output: &'static [Arg],
    /// Options besides [`COMMON_OPTIONS`].
    pub options: &'static [Opt],
    /// Errors besides the common ones.
    pub errors: &'static [&'static str],
    /// What it does, for people.
    pub doc: &'static str,
}

/// A named argument and its D-Bus type.
#[derive(Debug)]
pub struct Arg {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub signature: &'static str,
}

/// One key of the options dictionary.
#[derive(Debug)]
pub struct Opt {
    /// Key.
    pub name: &'static str,
    /// Type of its value.
    pub signature: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody; tells nothing about the node.
    Free,
    /// Who is allowed this action.
    Action(Action),
    /// Who is allowed the first; the second where the state of the target asks for more.
    Either(Action, Action),
}

impl Access {
    /// The actions that can be asked for.
    pub fn actions(self) -> Vec<Action> {
        match self {
            Access::Free => Vec::new(),
            Access::Action(one) => vec![one],
            Access::Either(one, other) => vec![one, other],
        }
    }

    /// The least level that can call it.
    pub fn level(self) -> Option<Level> {
        self.actions().into_iter().map(Action::level).min()
    }

    /// Whether it only looks: then it leaves no audit entry.
    pub fn reading(self) -> bool {
        self.actions().into_iter().all(Action::reading)
    }
}

/// One property. None is writable.
#[derive(Debug)]
pub struct Property {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub signature: &'static str,
    /// Whether changes are announced.
    pub emits: Emits,
    /// What it says.
    pub doc: &'static str,
}

/// `org.freedesktop.DBus.Property.EmitsChangedSignal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emits {
    /// It never changes.
    Const,
    /// Each change is announced with the new value.
    True,
    /// A gauge: ask for it.
    False,
}

impl Emits {
    /// The annotation's value.
    pub fn word(self) -> &'static str {
        match self {
            Emits::Const => "const",
            Emits::True => "true",
            Emits::False => "false",
        }
    }
}

/// One signal.
#[derive(Debug)]
pub struct Signal {
    /// Name.
    pub name: &'static str,
    /// What it carries.
    pub args: &'static [Arg],
    /// When it is sent.
    pub doc: &'static str,
}

/// What a method does. The same verb on another object acts on that object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "INTERFACES describes each")]
pub enum Verb {
    Ping,
    Can,
    GetStatus,
    GetPlan,
    ListEvents,
    Subscribe,
    Unsubscribe,
    CheckConfig,
    ShowConfig,
    DiffConfig,
    ExplainConfig,
    Reload,
    NodeDrain,
    NodeUndrain,
    Reboot,
    Cordon,
    Uncordon,
    Hold,
    SetLogLevel,
    ListWorkers,
    GetWorker,
    Start,
    Stop,
    Restart,
    Drain,
    Pause,
    Isolate,
    Resume,
    Reset,
    Kill,
    Scale,
    Set,
    StartTeam,
    StopTeam,
    RestartTeam,
    DrainTeam,
    StopAll,
    ListRuns,
    GetLogs,
    GetLease,
    ListGpus,
    ReleaseGpu,
    AcquireGpu,
    ListTaskRuns,
    Cancel,
    GetReport,
    GetMetrics,
    AuditQuery,
    AuditVerify,
    FleetStatus,
    BrokerConfig,
    ListNodes,
    ListSlots,
    Why,
    Ask,
    Release,
    Break,
    Freeze,
    Unfreeze,
    Handover,
    Promote,
    Demote,
    Rejoin,
    Recover,
}

/// Options that every method with an `opt` takes.
pub const COMMON_OPTIONS: &[Opt] = &[
    Opt { name: "reason", signature: "s", doc: "why, for the records" },
    Opt { name: "request-id", signature: "s", doc: "the same id asks for the same task run, not for another" },
    Opt {
        name: "timeout-usec",
        signature: "t",
        doc: "a reading call fails, and a task run is cancelled, after this span",
    },
    Opt { name: "dry-run", signature: "b", doc: "change nothing; the task run's GetReport says what would be done" },
];

/// Errors that every method may answer with.
pub const COMMON_ERRORS: &[&str] =
    &["NotAuthorized", "InteractiveAuthorizationRequired", "InvalidArgument", "Busy", "Unavailable", "Internal"];

/// The interface of this name, without the prefix.
pub fn interface(name: &str) -> Option<&'static Interface> {
    INTERFACES.iter().find(|i| i.name == name)
}

impl Interface {
    /// Its method of this name.
    pub fn method(&self, name: &str) -> Option<&'static Method> {
        // Through the slice, which is 'static, so that the answer outlives `self`.
        let methods: &'static [Method] = self.methods;
        methods.iter().find(|m| m.name == name)
    }

    /// The name as it is on the bus.
    pub fn full_name(&self) -> String {
        format!("{}.{}", super::names::BUS_NAME, self.name)
    }
}

impl Method {
    /// Types of its arguments, joined.
    pub fn input_signature(&self) -> String {
        self.input.iter().map(|a| a.signature).collect()
    }

    /// Types of its results, joined.
    pub fn output_signature(&self) -> String {
        self.output.iter().map(|a| a.signature).collect()
    }

    /// The key, when the method takes it.
    pub fn option(&self, name: &str) -> Option<&'static Opt> {
        let own: &'static [Opt] = self.options;
        own.iter().chain(COMMON_OPTIONS).find(|o| o.name == name)
    }

    /// `Start(s target, a{sv} opt) -> (o task_run)`, as the man page shows it.
    pub fn synopsis(&self) -> String {
        let list = |args: &[Arg]| {
            let shown: Vec<_> = args.iter().map(|a| format!("{} {}", a.signature, a.name)).collect();
            shown.join(", ")
        };
        let input = list(self.input);
        if self.output.is_empty() {
            format!("{}({input})", self.name)
        } else {
            format!("{}({input}) -> ({})", self.name, list(self.output))
        }
    }
}

const fn arg(name: &'static str, signature: &'static str) -> Arg {
    Arg { name, signature }
}

const fn opt(name: &'static str, signature: &'static str, doc: &'static str) -> Opt {
    Opt { name, signature, doc }
}

const fn property(name: &'static str, signature: &'static str, emits: Emits, doc: &'static str) -> Property {
    Property { name, signature, emits, doc }
}

const fn signal(name: &'static str, args: &'static [Arg], doc: &'static str) -> Signal {
    Signal { name, args, doc }
}

const fn method(
    name: &'static str,
    verb: Verb,
    access: Access,
    input: &'static [Arg],
    output: &'static [Arg],
    doc: &'static str,
) -> Method {
    Method { name, verb, access, input, output, options: &[], errors: &[], doc }
}

impl Method {
    const fn options(mut self, options: &'static [Opt]) -> Self {
        self.options = options;
        self
    }

    const fn errors(mut self, errors: &'static [&'static str]) -> Self {
        self.errors = errors;
        self
    }
}

const OPT: Arg = arg("opt", "a{sv}");
const TASK_RUN: &[Arg] = &[arg("task_run", "o")];

#[cfg(test)]
mod tests;
