//! `[worker.sandbox]`: systemd's own keys, what they are on the bus, and what every worker gets without asking.
//!
//! The defaults keep `systemd-analyze security` at 3.0 or below while an ordinary server still runs under them:
//! MemoryDenyWriteExecute stays off, since every worker with a just-in-time compiler would die of it.

use super::values::{
    ALL_NAMESPACES, CAPABILITIES, addresses, bind, boolean, capability, errno, inverted, mask, namespace, size,
};
use crate::bus::systemd1::{Property, Value};
use std::collections::BTreeMap;

/// How the text of a key becomes a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Text,
    List,
    Filter,
    Number,
    Int,
    Octal,
    Errno,
    Capabilities,
    Namespaces,
    Devices,
    Binds,
    TmpFiles,
    Addresses,
    Limit,
}

/// Every key that may stand in `[worker.sandbox]`.
const KEYS: &[(&str, Kind)] = &[
    ("AmbientCapabilities", Kind::Capabilities),
    ("BindPaths", Kind::Binds),
    ("BindReadOnlyPaths", Kind::Binds),
    ("CacheDirectory", Kind::List),
    ("CapabilityBoundingSet", Kind::Capabilities),
    ("DeviceAllow", Kind::Devices),
    ("DevicePolicy", Kind::Text),
    ("DynamicUser", Kind::Bool),
    ("ExecPaths", Kind::List),
    ("IOWeight", Kind::Number),
    ("IPAddressAllow", Kind::Addresses),
    ("IPAddressDeny", Kind::Addresses),
    ("InaccessiblePaths", Kind::List),
    ("KeyringMode", Kind::Text),
    ("LimitAS", Kind::Limit),
    ("LimitCORE", Kind::Limit),
    ("LimitCPU", Kind::Limit),
    ("LimitFSIZE", Kind::Limit),
    ("LimitMEMLOCK", Kind::Limit),
    ("LimitNOFILE", Kind::Limit),
    ("LimitNPROC", Kind::Limit),
    ("LimitSTACK", Kind::Limit),
    ("LockPersonality", Kind::Bool),
    ("LogNamespace", Kind::Text),
    ("LogsDirectory", Kind::List),
    ("MemoryDenyWriteExecute", Kind::Bool),
    ("MemorySwapMax", Kind::Number),
    ("MountAPIVFS", Kind::Bool),
    ("NetworkNamespacePath", Kind::Text),
    ("Nice", Kind::Int),
    ("NoExecPaths", Kind::List),
    ("NoNewPrivileges", Kind::Bool),
    ("OOMScoreAdjust", Kind::Int),
    ("PrivateDevices", Kind::Bool),
    ("PrivateIPC", Kind::Bool),
    ("PrivateMounts", Kind::Bool),
    ("PrivateNetwork", Kind::Bool),
    ("PrivateTmp", Kind::Bool),
    ("PrivateUsers", Kind::Bool),
    ("ProcSubset", Kind::Text),
    ("ProtectClock", Kind::Bool),
    ("ProtectControlGroups", Kind::Bool),
    ("ProtectHome", Kind::Text),
    ("ProtectHostname", Kind::Bool),
    ("ProtectKernelLogs", Kind::Bool),
    ("ProtectKernelModules", Kind::Bool),
    ("ProtectKernelTunables", Kind::Bool),
    ("ProtectProc", Kind::Text),
    ("ProtectSystem", Kind::Text),
    ("ReadOnlyPaths", Kind::List),
    ("ReadWritePaths", Kind::List),
    ("RemoveIPC", Kind::Bool),
    ("RestrictAddressFamilies", Kind::Filter),
    ("RestrictFileSystems", Kind::Filter),
    ("RestrictNamespaces", Kind::Namespaces),
    ("RestrictRealtime", Kind::Bool),
    ("RestrictSUIDSGID", Kind::Bool),
    ("RootDirectory", Kind::Text),
    ("RootImage", Kind::Text),
    ("RuntimeDirectory", Kind::List),
    ("StateDirectory", Kind::List),
    ("SupplementaryGroups", Kind::List),
    ("SystemCallArchitectures", Kind::List),
    ("SystemCallErrorNumber", Kind::Errno),
    ("SystemCallFilter", Kind::Filter),
    ("SystemCallLog", Kind::Filter),
    ("TemporaryFileSystem", Kind::TmpFiles),
    ("UMask", Kind::Octal),
];

/// What a worker gets when its definition says nothing of the key.
const DEFAULTS: &[(&str, &[&str])] = &[
    ("CapabilityBoundingSet", &[""]),
    ("KeyringMode", &["private"]),
    ("LockPersonality", &["yes"]),
    ("NoNewPrivileges", &["yes"]),
    ("PrivateDevices", &["yes"]),
    ("PrivateMounts", &["yes"]),
    ("PrivateTmp", &["yes"]),
    ("ProtectClock", &["yes"]),
    ("ProtectControlGroups", &["yes"]),
    ("ProtectHome", &["read-only"]),
    ("ProtectHostname", &["yes"]),
    ("ProtectKernelLogs", &["yes"]),
    ("ProtectKernelModules", &["yes"]),
    ("ProtectKernelTunables", &["yes"]),
    ("ProtectProc", &["invisible"]),
    ("ProtectSystem", &["strict"]),
    ("RemoveIPC", &["yes"]),
    ("RestrictAddressFamilies", &["AF_UNIX AF_INET AF_INET6 AF_NETLINK"]),
    ("RestrictNamespaces", &["yes"]),
    ("RestrictRealtime", &["yes"]),
    ("RestrictSUIDSGID", &["yes"]),
    ("SystemCallArchitectures", &["native"]),
    ("SystemCallErrorNumber", &["EPERM"]),
    ("SystemCallFilter", &["@system-service"]),
    ("UMask", &["0027"]),
];

/// Whether the key may stand in `[worker.sandbox]` with these values; what was expected when not.
pub fn check(key: &str, values: &[String]) -> Result<(), String> {
    properties_of(key, values).map(drop)
}

/// The properties of a worker's sandbox: the defaults under what its definition says. `without` names defaults that
/// would hide something this worker needs.
pub(super) fn properties(said: &BTreeMap<String, Vec<String>>, without: &[&str]) -> Result<Vec<Property>, String> {
    let mut all = Vec::new();
    for (key, values) in DEFAULTS {
        if !said.contains_key(*key) && !without.contains(key) {
            let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
            all.extend(properties_of(key, &values)?);
        }
    }
    for (key, values) in said {
        all.extend(properties_of(key, values)?);
    }
    Ok(all)
}

/// The properties of one key.
pub(super) fn properties_of(key: &str, values: &[String]) -> Result<Vec<Property>, String> {
    let Ok(found) = KEYS.binary_search_by(|(name, _)| (*name).cmp(key)) else {
        return Err(format!(
            "worker.sandbox.{key}: no such key; known are systemd.exec(5)'s sandbox keys, spelled as there"
        ));
    };
    let kind = KEYS.get(found).map_or(Kind::Text, |(_, kind)| *kind);
    let mut all = Vec::new();
    for line in values {
        all.extend(
            line_of(key, kind, line.trim())
                .map_err(|expected| format!("worker.sandbox.{key}: {line:?} is not valid, expected {expected}"))?,
        );
    }
    Ok(all)
}

fn line_of(key: &str, kind: Kind, line: &str) -> Result<Vec<Property>, String> {
    let words = || line.split_whitespace().map(str::to_owned);
    let value = match kind {
        Kind::Bool => Value::Bool(boolean(line).ok_or("yes or no")?),
        Kind::Text => Value::Text(line.to_owned()),
        Kind::List => Value::Texts(words().collect()),
        Kind::Filter => {
            let (allow, list) = inverted(line);
            Value::Filter(allow, list.split_whitespace().map(str::to_owned).collect())
        }
        Kind::Number => Value::U64(size(line).ok_or("a number, K/M/G/T behind it, or infinity")?),
        Kind::Int => Value::I32(line.parse().map_err(|_| "a whole number")?),
        Kind::Octal => Value::U32(u32::from_str_radix(line, 8).map_err(|_| "octal digits")?),
        Kind::Errno => Value::I32(errno(line).ok_or("EPERM, EACCES, ENOSYS or a number")?),
        Kind::Capabilities => Value::U64(mask(line, capability, (1 << CAPABILITIES.len()) - 1)?),
        Kind::Namespaces => Value::U64(match boolean(line) {
            // An empty set is written into the unit's file as "no restriction", so that it would be gone after a
            // reload: one kind is left, which an unprivileged process cannot make anyway.
            Some(true) => namespace("cgroup").unwrap_or(0),
            Some(false) => u64::MAX,
            None => mask(line, namespace, ALL_NAMESPACES)?,
        }),
        Kind::Devices => {
            let mut words = words();
            let device = words.next().ok_or("a device and rwm")?;
            Value::Pairs(vec![(device, words.next().unwrap_or_else(|| "rw".to_owned()))])
        }
        Kind::Binds => Value::Binds(words().map(|w| bind(&w)).collect()),
        Kind::TmpFiles => Value::Pairs(
            words()
                .map(|w| match w.split_once(':') {
                    Some((path, options)) => (path.to_owned(), options.to_owned()),
                    None => (w, String::new()),
                })
                .collect(),
        ),
        Kind::Addresses => {
            let mut list = Vec::new();
            for word in words() {
                list.extend(addresses(&word).ok_or("any, localhost, link-local or ADDRESS/PREFIX")?);
            }
            Value::Addresses(list)
        }
        Kind::Limit => {
            let (soft, hard) = line.split_once(':').unwrap_or((line, line));
            let expected = "a number, SOFT:HARD or infinity";
            return Ok(vec![
                Property::new(key.to_owned(), size(hard).ok_or(expected)?),
                Property::new(format!("{key}Soft"), size(soft).ok_or(expected)?),
            ]);
        }
    };
    Ok(vec![Property::new(key.to_owned(), value)])
}

#[cfg(test)]
#[path = "sandbox_tests.rs"]
mod tests;
