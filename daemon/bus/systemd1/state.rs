//! What a unit is like at one instant, from a reading or from a pair of `PropertiesChanged`.

use std::collections::HashMap;
use zbus::Variant;

/// The properties of a unit that Reeve looks at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitState {
    /// What signals repeat whenever it changes.
    pub part: UnitPart,
    /// `loaded`, `not-found` …
    pub load_state: String,
    /// `reeve-team.slice`.
    pub slice: String,
    /// Made by StartTransientUnit.
    pub transient: bool,
    /// Below the cgroup mount, empty when there is none.
    pub control_group: String,
    /// `ExecStart=`: the program and its arguments.
    pub command: Vec<String>,
    /// `Environment=`.
    pub environment: Vec<String>,
    /// First signal of a stop.
    pub kill_signal: i32,
    /// `TimeoutStopSec=`, microseconds.
    pub timeout_stop_usec: u64,
    /// Whether any address is denied.
    pub ip_denied: bool,
}

/// The properties that come with every change. `None`: not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitPart {
    /// `running`, `auto-restart`, `exited`, `failed`, `dead` …
    pub sub_state: Option<String>,
    /// The run; `None` within: never started.
    pub invocation: Option<Option<[u8; 16]>>,
    /// `running`, `frozen`, `freezing` …: what PID 1 has done; not what others do to the cgroup.
    pub freezer: Option<String>,
    /// Main process, 0 when there is none.
    pub main_pid: Option<u32>,
    /// Main process of the run, still said after it has ended.
    pub exec_pid: Option<u32>,
    /// waitid's code: 0 not ended, 1 exited, 2 killed, 3 dumped core.
    pub exec_code: Option<i32>,
    /// Exit code or signal.
    pub exec_status: Option<i32>,
    /// Wall clock microseconds.
    pub exec_started: Option<u64>,
    /// Wall clock microseconds.
    pub exec_ended: Option<u64>,
    /// `success`, `exit-code`, `oom-kill` …
    pub result: Option<String>,
    /// Automatic restarts since the last manual start.
    pub restarts: Option<u32>,
}

impl UnitPart {
    /// Takes over all that `newer` says.
    pub fn update(&mut self, newer: UnitPart) {
        fn set<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        set(&mut self.sub_state, newer.sub_state);
        set(&mut self.invocation, newer.invocation);
        set(&mut self.freezer, newer.freezer);
        set(&mut self.main_pid, newer.main_pid);
        set(&mut self.exec_pid, newer.exec_pid);
        set(&mut self.exec_code, newer.exec_code);
        set(&mut self.exec_status, newer.exec_status);
        set(&mut self.exec_started, newer.exec_started);
        set(&mut self.exec_ended, newer.exec_ended);
        set(&mut self.result, newer.result);
        set(&mut self.restarts, newer.restarts);
    }
}

type Read<'a> = HashMap<&'a str, Variant<'a>>;

fn text(from: &Read<'_>, name: &str) -> Option<String> {
    match from.get(name)? {
        Variant::Str(s) => Some(s.to_string()),
        _ => None,
    }
}

fn number<T>(from: &Read<'_>, name: &str) -> Option<T>
where
    T: for<'a> TryFrom<&'a Variant<'a>>,
{
    T::try_from(from.get(name)?).ok()
}

fn items<'a>(from: &'a Read<'_>, name: &str) -> Option<&'a [Variant<'a>]> {
    match from.get(name)? {
        Variant::Array(items) => Some(items.inner()),
        _ => None,
    }
}

fn invocation(from: &Read<'_>) -> Option<Option<[u8; 16]>> {
    let bytes: Vec<u8> = items(from, "InvocationID")?.iter().filter_map(|b| u8::try_from(b).ok()).collect();
    let id: Option<[u8; 16]> = bytes.try_into().ok();
    // All zeros means none.
    Some(id.filter(|id| *id != [0; 16]))
}

fn command(from: &Read<'_>) -> Vec<String> {
    let Some([Variant::Structure(first), ..]) = items(from, "ExecStart") else {
        return Vec::new();
    };
    let Some(Variant::Array(arguments)) = first.fields().get(1) else {
        return Vec::new();
    };
    let text = |v: &Variant<'_>| String::try_from(v).ok();
    arguments.inner().iter().filter_map(text).collect()
}

impl UnitPart {
    /// Out of a dictionary of properties.
    pub(super) fn read(from: &Read<'_>) -> Self {
        Self {
            sub_state: text(from, "SubState"),
            invocation: invocation(from),
            freezer: text(from, "FreezerState"),
            main_pid: number(from, "MainPID"),
            exec_pid: number(from, "ExecMainPID"),
            exec_code: number(from, "ExecMainCode"),
            exec_status: number(from, "ExecMainStatus"),
            exec_started: number(from, "ExecMainStartTimestamp"),
            exec_ended: number(from, "ExecMainExitTimestamp"),
            result: text(from, "Result"),
            restarts: number(from, "NRestarts"),
        }
    }
}

impl UnitState {
    /// Out of the dictionary of all interfaces' properties.
    pub(super) fn read(from: &Read<'_>) -> Self {
        let texts = |name| {
            items(from, name)
                .unwrap_or_default()
                .iter()
                .filter_map(|v| match v {
                    Variant::Str(s) => Some(s.to_string()),
                    _ => None,
                })
                .collect()
        };
        Self {
            part: UnitPart::read(from),
            load_state: text(from, "LoadState").unwrap_or_default(),
            slice: text(from, "Slice").unwrap_or_default(),
            transient: number(from, "Transient").unwrap_or(false),
            control_group: text(from, "ControlGroup").unwrap_or_default(),
            command: command(from),
            environment: texts("Environment"),
            kill_signal: number(from, "KillSignal").unwrap_or(15),
            timeout_stop_usec: number(from, "TimeoutStopUSec").unwrap_or(0),
            ip_denied: items(from, "IPAddressDeny").is_some_and(|l| !l.is_empty()),
        }
    }
}
