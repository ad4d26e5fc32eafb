//! The texts of sandbox keys read as numbers, masks and addresses.

use std::net::IpAddr;

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn inverted(text: &str) -> (bool, &str) {
    match text.strip_prefix('~') {
        Some(rest) => (false, rest),
        None => (true, text),
    }
}

pub(super) fn size(text: &str) -> Option<u64> {
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

pub(super) fn errno(text: &str) -> Option<i32> {
    match text {
        "EPERM" => Some(libc::EPERM),
        "EACCES" => Some(libc::EACCES),
        "ENOSYS" => Some(libc::ENOSYS),
        _ => text.parse().ok().filter(|n| (1..4096).contains(n)),
    }
}

pub(super) fn mask(line: &str, bit: fn(&str) -> Option<u64>, all: u64) -> Result<u64, String> {
    let (allow, list) = inverted(line);
    let mut set = 0;
    for word in list.split_whitespace() {
        set |= bit(word).ok_or_else(|| format!("known names, not {word:?}"))?;
    }
    Ok(if allow { set } else { all & !set })
}

/// capabilities(7), by number.
pub(super) const CAPABILITIES: [&str; 41] = [
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

pub(super) fn capability(name: &str) -> Option<u64> {
    CAPABILITIES.iter().position(|c| *c == name).map(|bit| 1 << bit)
}

/// All kinds there are.
pub(super) const ALL_NAMESPACES: u64 = 0x7e02_0000;

pub(super) fn namespace(name: &str) -> Option<u64> {
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

pub(super) fn bind(word: &str) -> (String, String, bool, u64) {
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

pub(super) fn addresses(word: &str) -> Option<Vec<Address>> {
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
