//! From a [`RunSpec`] to the properties of its unit: the same specification gives the same unit. The only thing looked
//! at outside it is where credentials lie.

use super::super::TeamLimits;
use super::confinement::confinement;
use super::values::any_address;
use super::{credentials, multiprocess, sandbox};
use crate::bus::systemd1::{Property, Value};
use crate::host::launcher::DEFAULT_USER;
use crate::host::paths::Paths;
use reeve_core::config::{Resources, RestartPolicy};
use reeve_core::effect::{MULTIPROCESS_DIR, RunSpec};
use reeve_core::{ReplicaId, TeamName};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Tells a unit's specification to the daemon that finds it.
pub(super) const FINGERPRINT: &str = "REEVE_UNIT=";
/// Left out when this systemd does not know them.
pub(super) const OPTIONAL: &[&str] = &["MemoryPressureWatch"];

/// A unit to be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rendered {
    /// All of it.
    pub properties: Vec<Property>,
    /// The network as the definition wants it.
    pub network: Vec<Property>,
    /// Equal for equal properties, limits aside: such a unit may be started again as it is.
    pub fingerprint: String,
}

impl Rendered {
    /// The program and its arguments as PID 1 is told.
    pub(super) fn command(&self) -> &[String] {
        let command = self.properties.iter().find_map(|p| match &p.value {
            Value::Commands(commands) => commands.first(),
            _ => None,
        });
        command.map_or(&[], |(_, arguments, _)| arguments)
    }
}

/// `reeve-<parent>-<team>.slice`: systemd nests slices at each `-`, so those inside names are escaped.
pub(super) fn slice(team: &TeamName, parents: &[TeamName]) -> String {
    let mut name = "reeve".to_owned();
    for part in parents.iter().chain([team]) {
        name.push('-');
        name.push_str(&part.as_str().replace('-', "\\x2d"));
    }
    name + ".slice"
}

/// Where the unit's cgroup is below the mount.
pub(super) fn control_group(slice: &str, unit: &str) -> String {
    let stem = slice.strip_suffix(".slice").unwrap_or(slice);
    let mut path = String::new();
    for (end, _) in stem.match_indices('-').chain([(stem.len(), "")]) {
        if let Some(outer) = stem.get(..end) {
            path.push('/');
            path.push_str(outer);
            path.push_str(".slice");
        }
    }
    format!("{path}/{unit}")
}

/// The limits of a run, all of them: what is not limited is said to be so.
pub(super) fn limits(of: &Resources) -> Vec<Property> {
    /// CGROUP_WEIGHT_INVALID: the kernel's default.
    const DEFAULT_WEIGHT: u64 = u64::MAX;
    let none = u64::MAX;
    let quota = of.cpu_limit.map_or(none, |c| c.saturating_mul(10_000));
    let weight = of.cpu_request.map_or(DEFAULT_WEIGHT, |c| c.clamp(1, 10_000));
    let max = of.memory_limit.unwrap_or(none);
    // Slows the worker down and reclaims before the kernel has to kill.
    let high = of.memory_high().unwrap_or(none);
    vec![
        Property::new("CPUQuotaPerSecUSec", quota),
        Property::new("CPUWeight", weight),
        Property::new("MemoryMax", max),
        Property::new("MemoryHigh", high),
        Property::new("MemoryLow", of.memory_request.unwrap_or(0)),
        Property::new("TasksMax", of.tasks_max.unwrap_or(none)),
    ]
}

/// The same for a unit that lives. Without any setting of its own a unit leaves the CPU controller, and a quota that was
/// lifted would stay in force as long as a neighbour keeps the controller there: the kernel's default weight is said.
pub(super) fn live_limits(of: &Resources) -> Vec<Property> {
    let weighted = Resources { cpu_request: of.cpu_request.or(Some(100)), ..*of };
    limits(&weighted)
}

/// What a team's slice may use; what is not limited is said to be so.
pub(super) fn team(limits: &TeamLimits) -> Vec<Property> {
    let quota = limits.cpu_quota.map(|c| c.saturating_mul(10_000));
    vec![
        Property::new("CPUQuotaPerSecUSec", quota.unwrap_or(u64::MAX)),
        Property::new("MemoryMax", limits.memory_max.unwrap_or(u64::MAX)),
        Property::new("TasksMax", limits.tasks_max.unwrap_or(u64::MAX)),
    ]
}

/// The unit for a run. Err: what in the definition cannot be.
pub(super) fn render(spec: &RunSpec, socket: Option<&Path>, paths: &Paths) -> Result<Rendered, String> {
    let mut all = lifecycle(spec)?;
    all.extend(identity(spec));
    all.extend(logging(spec));
    all.extend(environment(spec, socket, paths)?);
    let network = network(spec)?;
    all.extend(confinement(spec, socket, paths)?);
    let mut hash = Sha256::new();
    hash.update(format!("{all:?}"));
    let fingerprint: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    for property in &mut all {
        if let ("Environment", Value::Texts(list)) = (&*property.name, &mut property.value) {
            list.push(format!("{FINGERPRINT}{fingerprint}"));
        }
    }
    // What is not limited is left to the host's own defaults.
    let usual = |p: &Property| p.value == Value::U64(u64::MAX) || (p.name == "MemoryLow" && p.value == Value::U64(0));
    all.extend(limits(&spec.limits).into_iter().filter(|p| !usual(p)));
    Ok(Rendered { properties: all, network, fingerprint })
}

fn lifecycle(spec: &RunSpec) -> Result<Vec<Property>, String> {
    let program = spec.exec.first().ok_or("worker.exec: empty")?;
    if !program.starts_with('/') {
        return Err(format!("worker.exec: {program:?} is not an absolute path"));
    }
    let restart = match (spec.policy, spec.unsupervised_after) {
        (_, None) | (RestartPolicy::Never, _) => "no",
        (RestartPolicy::Always, _) => "always",
        (RestartPolicy::OnFailure, _) => "on-failure",
    };
    // A `$` in an argument is the worker's own, on both launchers. ExecStartEx could say so with a flag, but systemd 252
    // writes it into the unit's file under a key that it does not know when it reads the file back at a reload.
    let arguments = spec.exec.iter().map(|a| a.replace('$', "$$")).collect();
    let command = (program.clone(), arguments, false);
    let usec = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    // What is so anyway is not said: PID 1 reads, checks and writes down each property, one unit at a time.
    let keeps = restart != "always";
    let other_signal = (spec.stop_signal != libc::SIGTERM).then_some(spec.stop_signal);
    let mut all = vec![
        Property::new("Type", "exec"),
        Property::new("ExecStart", Value::Commands(vec![command])),
        Property::new("Restart", restart),
        Property::new("RestartUSec", usec(spec.unsupervised_after.unwrap_or_default())),
        Property::new("StartLimitIntervalUSec", 0u64),
        Property::new("RestartPreventExitStatus", Value::Statuses(vec![77, 78], vec![])),
        Property::new("KillMode", "mixed"),
        Property::new("TimeoutStopUSec", usec(spec.stop_timeout)),
        Property::new("OOMPolicy", "kill"),
        // As from a shell, and on the direct launcher.
        Property::new("IgnoreSIGPIPE", false),
    ];
    // Keeps how it ended; with Restart=always it would swallow the restart after a clean end.
    all.extend(keeps.then(|| Property::new("RemainAfterExit", true)));
    all.extend(other_signal.map(|signal| Property::new("KillSignal", signal)));
    Ok(all)
}

fn identity(spec: &RunSpec) -> Vec<Property> {
    let mut all = vec![
        Property::new("Description", format!("Reeve worker {}", spec.replica)),
        Property::new("Slice", slice(&spec.team, &spec.team_parents)),
    ];
    let dynamic = spec
        .sandbox
        .get("DynamicUser")
        .and_then(|v| v.first())
        .is_some_and(|v| matches!(v.as_str(), "yes" | "true" | "on" | "1"));
    match &spec.user {
        Some(user) => all.push(Property::new("User", user.as_str())),
        // systemd then names it after the unit.
        None if dynamic => {}
        None => all.push(Property::new("User", DEFAULT_USER)),
    }
    if let Some(group) = &spec.group {
        all.push(Property::new("Group", group.as_str()));
    }
    if let Some(folder) = &spec.working_directory {
        all.push(Property::new("WorkingDirectory", folder.as_str()));
    }
    all
}

fn logging(spec: &RunSpec) -> Vec<Property> {
    let ReplicaId { worker, index } = &spec.replica;
    let fields =
        [format!("REEVE_WORKER={worker}"), format!("REEVE_REPLICA={index}"), format!("REEVE_TEAM={}", spec.team)];
    vec![
        Property::new("StandardOutput", "journal"),
        Property::new("StandardError", "journal"),
        Property::new("SyslogIdentifier", worker.as_str()),
        Property::new("LogExtraFields", Value::Blobs(fields.into_iter().map(String::into_bytes).collect())),
    ]
}

fn environment(spec: &RunSpec, socket: Option<&Path>, paths: &Paths) -> Result<Vec<Property>, String> {
    let told =
        |key: &str| key != MULTIPROCESS_DIR || multiprocess::folder(spec, paths).is_none_or(|folder| folder.is_some());
    let said = spec.environment.iter().filter(|(key, _)| told(key));
    let mut list: Vec<String> = said.map(|(key, value)| format!("{key}={value}")).collect();
    if let Some(socket) = socket {
        list.push(format!("NOTIFY_SOCKET={}", socket.display()));
    }
    if let Some(span) = spec.watchdog {
        list.push(format!("WATCHDOG_USEC={}", span.as_micros()));
    }
    let mut all = vec![Property::new("Environment", list)];
    if let Some(file) = &spec.environment_file {
        let (file, missing) = match file.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (file.as_str(), false),
        };
        all.push(Property::new("EnvironmentFiles", Value::Files(vec![(file.to_owned(), missing)])));
    }
    if !spec.credentials.is_empty() {
        let sources = credentials::sources(&spec.credentials, paths)?;
        all.push(Property::new("LoadCredential", Value::Pairs(sources)));
    }
    Ok(all)
}

const NETWORK: [&str; 2] = ["IPAddressAllow", "IPAddressDeny"];

/// Both lists as the definition says, empty ones included, so that setting them undoes a cut.
fn network(spec: &RunSpec) -> Result<Vec<Property>, String> {
    let mut all = Vec::new();
    for key in NETWORK {
        let said = spec.sandbox.get(key).map_or(&[][..], Vec::as_slice);
        all.push(Property::new(key, Value::Addresses(vec![])));
        all.extend(sandbox::properties_of(key, said)?);
    }
    Ok(if all.len() == NETWORK.len() { open() } else { all })
}

/// Every address is allowed. Said outright: with two empty lists systemd would leave the filter of the cut in place.
pub(super) fn open() -> Vec<Property> {
    vec![
        Property::new("IPAddressAllow", Value::Addresses(any_address())),
        Property::new("IPAddressDeny", Value::Addresses(vec![])),
    ]
}

/// Nothing comes in or goes out.
pub(super) fn cut_off() -> Vec<Property> {
    vec![
        Property::new("IPAddressAllow", Value::Addresses(vec![])),
        Property::new("IPAddressDeny", Value::Addresses(any_address())),
    ]
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
