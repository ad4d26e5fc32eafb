//! `[worker.sandbox]`: systemd's own keys, what they are on the bus, and what every worker gets without asking.
//!
//! The defaults keep `systemd-analyze security` at 3.0 or below while an ordinary server still runs under them:
//! MemoryDenyWriteExecute stays off, since every worker with a just-in-time compiler would die of it.

use crate::bus::systemd1::{Property, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;

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
                Property::new(key, size(hard).ok_or(expected)?),
                Property::new(format!("{key}Soft"), size(soft).ok_or(expected)?),
            ]);
        }
    };
    Ok(vec![Property::new(key, value)])
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn inverted(text: &str) -> (bool, &str) {
    match text.strip_prefix('~') {
        Some(rest) => (false, rest),
        None => (true, text),
    }
}

fn size(text: &str) -> Option<u64> {
    if text == "infinity" {
        return Some(u64::MAX);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..)? {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn errno(text: &str) -> Option<i32> {
    match text {
        "EPERM" => Some(libc::EPERM),
        "EACCES" => Some(libc::EACCES),
        "ENOSYS" => Some(libc::ENOSYS),
        _ => text.parse().ok().filter(|n| (1..4096).contains(n)),
    }
}

fn mask(line: &str, bit: fn(&str) -> Option<u64>, all: u64) -> Result<u64, String> {
    let (allow, list) = inverted(line);
    let mut set = 0;
    for word in list.split_whitespace() {
        set |= bit(word).ok_or_else(|| format!("known names, not {word:?}"))?;
    }
    Ok(if allow { set } else { all & !set })
}

/// capabilities(7), by number.
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

fn capability(name: &str) -> Option<u64> {
    CAPABILITIES.iter().position(|c| *c == name).map(|bit| 1 << bit)
}

const ALL_NAMESPACES: u64 = 0x7e02_0000;

fn namespace(name: &str) -> Option<u64> {
    Some(match name {
        "mnt" => 0x0002_0000,
        "cgroup" => 0x0200_0000,
        "uts" => 0x0400_0000,
        "ipc" => 0x0800_0000,
        "user" => 0x1000_0000,
        "pid" => 0x2000_0000,
        "net" => 0x4000_0000,
        _ => return None,
    })
}

fn bind(word: &str) -> (String, String, bool, u64) {
    /// mount(2): what is mounted below comes along.
    const MS_REC: u64 = 16384;
    let (word, missing) = match word.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (word, false),
    };
    let mut parts = word.splitn(3, ':');
    let source = parts.next().unwrap_or(word).to_owned();
    let target = parts.next().map_or_else(|| source.clone(), str::to_owned);
    let flags = if parts.next() == Some("norbind") { 0 } else { MS_REC };
    (source, target, missing, flags)
}

type Address = (i32, Vec<u8>, u32);

/// `any`: every address of both families.
pub(super) fn any_address() -> Vec<Address> {
    vec![(libc::AF_INET, vec![0; 4], 0), (libc::AF_INET6, vec![0; 16], 0)]
}

fn addresses(word: &str) -> Option<Vec<Address>> {
    let named: &[&str] = match word {
        "any" => return Some(any_address()),
        "localhost" => &["127.0.0.0/8", "::1/128"],
        "link-local" => &["169.254.0.0/16", "fe80::/64"],
        _ => return address(word).map(|a| vec![a]),
    };
    named.iter().map(|a| address(a)).collect()
}

fn address(word: &str) -> Option<Address> {
    let (ip, prefix) = match word.split_once('/') {
        Some((ip, prefix)) => (ip, Some(prefix.parse::<u32>().ok()?)),
        None => (word, None),
    };
    let (family, bytes) = match ip.parse().ok()? {
        IpAddr::V4(ip) => (libc::AF_INET, ip.octets().to_vec()),
        IpAddr::V6(ip) => (libc::AF_INET6, ip.octets().to_vec()),
    };
    let bits = u32::try_from(bytes.len() * 8).ok()?;
    Some((family, bytes, prefix.unwrap_or(bits))).filter(|(_, _, p)| *p <= bits)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Value {
        properties_of(key, &[value.to_owned()]).unwrap().remove(0).value
    }

    #[test]
    fn keys_are_sorted_and_the_defaults_are_among_them() {
        assert!(KEYS.windows(2).all(|w| w[0].0 < w[1].0));
        assert!(!properties(&BTreeMap::new(), &[]).unwrap().is_empty());
    }

    #[test]
    fn each_key_has_the_type_systemd_wants() {
        assert_eq!(one("PrivateTmp", "no"), Value::Bool(false));
        assert_eq!(
            one("SystemCallFilter", "~@privileged @resources"),
            Value::Filter(false, vec!["@privileged".into(), "@resources".into()])
        );
        assert_eq!(one("CapabilityBoundingSet", "CAP_NET_BIND_SERVICE CAP_KILL"), Value::U64((1 << 10) | (1 << 5)));
        assert_eq!(one("CapabilityBoundingSet", ""), Value::U64(0));
        assert_eq!(one("RestrictNamespaces", "~user"), Value::U64(0x6e02_0000));
        assert_eq!(one("UMask", "0077"), Value::U32(0o77));
        assert_eq!(one("MemorySwapMax", "1G"), Value::U64(1 << 30));
        assert_eq!(one("DeviceAllow", "/dev/nvidia0"), Value::Pairs(vec![("/dev/nvidia0".into(), "rw".into())]));
        assert_eq!(one("IPAddressAllow", "10.0.0.0/8"), Value::Addresses(vec![(libc::AF_INET, vec![10, 0, 0, 0], 8)]));
        assert_eq!(one("BindReadOnlyPaths", "-/a:/b"), Value::Binds(vec![("/a".into(), "/b".into(), true, 16384)]));
        assert_eq!(
            properties_of("LimitNOFILE", &["1024:infinity".to_owned()]).unwrap(),
            [Property::new("LimitNOFILE", u64::MAX), Property::new("LimitNOFILESoft", 1024u64)]
        );
    }

    #[test]
    fn sup_14_unknown_key_or_value_is_named() {
        let error = check("ProtectSytem", &["strict".into()]).unwrap_err();
        assert!(error.contains("worker.sandbox.ProtectSytem"), "{error}");
        let error = check("PrivateTmp", &["maybe".into()]).unwrap_err();
        assert!(error.contains("yes or no"), "{error}");
        let error = check("CapabilityBoundingSet", &["CAP_FLY".into()]).unwrap_err();
        assert!(error.contains("CAP_FLY"), "{error}");
        assert!(check("IPAddressDeny", &["10.0.0.0/33".into()]).is_err());
        assert!(check("UMask", &["0088".into()]).is_err());
    }

    #[test]
    fn what_a_worker_says_replaces_the_default() {
        let said = BTreeMap::from([
            ("ProtectSystem".to_owned(), vec!["full".to_owned()]),
            ("SystemCallFilter".to_owned(), vec![]),
        ]);
        let all = properties(&said, &["PrivateTmp"]).unwrap();
        let of = |name: &str| all.iter().filter(|p| p.name == name).collect::<Vec<_>>();
        assert_eq!(of("ProtectSystem"), [&Property::new("ProtectSystem", "full")]);
        assert!(of("SystemCallFilter").is_empty() && of("PrivateTmp").is_empty());
    }
}
