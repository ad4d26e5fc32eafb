//! The mount table, `/proc/<pid>/mountinfo`, and which of its lines are worth measuring.

use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub device: String,
    pub point: PathBuf,
    pub kind: String,
    pub readonly: bool,
}

/// No storage behind them (node_exporter's list).
const PSEUDO: [&str; 25] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// On another host: the other host's business, and what hangs when it is away.
const NETWORK: [&str; 18] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse.ceph",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
];

/// The mounts to measure; of several at one point the one on top.
pub(super) fn parse(text: &str, network: bool) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in text.lines().filter_map(one) {
        mounts.retain(|below| below.point != mount.point);
        mounts.push(mount);
    }
    mounts.retain(|mount| {
        let kind = mount.kind.as_str();
        !PSEUDO.contains(&kind) && !excluded(&mount.point) && (network || !NETWORK.contains(&kind))
    });
    mounts
}

/// `36 35 98:0 /root /mnt/point rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue`
fn one(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(4);
    let (point, options) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (kind, device, more) = (right.next()?, right.next()?, right.next().unwrap_or_default());
    let readonly = options.split(',').chain(more.split(',')).any(|option| option == "ro");
    Some(Mount { device: unescape(device), point: unescape(point).into(), kind: kind.to_owned(), readonly })
}

/// Blanks, line breaks and backslashes stand as `\040`, `\011`, `\012` and `\134`.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                plain.push(char::from(code));
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain + rest
}

/// node_exporter's default: `^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`.
fn excluded(point: &Path) -> bool {
    let below = |folder: &str| point.strip_prefix(folder).is_ok_and(|rest| !rest.as_os_str().is_empty());
    ["/dev", "/proc", "/sys"].iter().any(|folder| point.starts_with(folder))
        || ["/run/credentials", "/var/lib/docker", "/var/lib/containers/storage"].iter().any(|folder| below(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(text: &str, network: bool) -> Vec<String> {
        parse(text, network).iter().map(|m| m.point.display().to_string()).collect()
    }

    #[test]
    fn met_03_only_what_stores_is_measured() {
        let text = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,discard\n\
            28 27 0:25 / /run rw - tmpfs tmpfs rw\n\
            29 28 0:26 / /run/credentials/x ro - ramfs ramfs ro\n\
            30 27 0:40 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw\n\
            31 27 8:2 / /srv\\040data ro - xfs /dev/sdb1 rw\n\
            32 27 0:41 / /home rw - nfs4 server:/home rw\n\
            33 27 8:3 / /var/lib/docker rw - ext4 /dev/sdc1 ro\nnonsense\n";
        assert_eq!(points(text, false), ["/", "/run", "/srv data", "/var/lib/docker"]);
        assert_eq!(points(text, true).len(), 5);
        let readonly: Vec<_> = parse(text, false).iter().map(|m| m.readonly).collect();
        assert_eq!(readonly, [false, false, true, true]);
    }

    #[test]
    fn met_03_of_several_mounts_at_one_point_the_one_on_top_counts() {
        let text = "1 0 8:1 / /srv rw - ext4 /dev/sda1 rw\n2 1 8:2 / /srv rw - xfs /dev/sdb1 rw\n";
        let mounts = parse(text, false);
        assert_eq!(mounts.iter().map(|m| m.device.as_str()).collect::<Vec<_>>(), ["/dev/sdb1"]);
        let hidden = "1 0 8:1 / /srv rw - ext4 /dev/sda1 rw\n2 1 0:9 / /srv rw - autofs systemd rw\n";
        assert!(parse(hidden, false).is_empty());
    }

    #[test]
    fn met_03_escapes_are_read_back() {
        assert_eq!(unescape("a\\040b\\134c\\"), "a b\\c\\");
        assert_eq!(unescape("\\04"), "\\04");
    }
}
