//! Who is calling: the uid as the bus or the socket vouches for it, the rest as `/proc` tells it, for the records only.

use serde::Serialize;
use std::fmt;
use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Client {
    /// Uid: vouched for. Authority rests on this and the unique name alone.
    pub uid: u32,
    /// Name of that uid in `/etc/passwd`. Other user databases are not asked: they may be slow, and a call waits.
    pub user: Option<String>,
    /// Unique name on the bus; none peer to peer.
    pub unique: Option<String>,
    /// Process.
    pub pid: Option<u32>,
    /// Program, where it may be read.
    pub exe: Option<String>,
    /// Its short name.
    pub comm: Option<String>,
    /// systemd unit it runs in.
    pub unit: Option<String>,
    /// Login session it runs in.
    pub session: Option<String>,
}

impl Client {
    /// Looks a caller up. `process`: a pidfd that pins it, where there is one.
    pub fn new(uid: u32, unique: Option<String>, pid: Option<u32>, process: Option<BorrowedFd<'_>>) -> Self {
        let mut client = Client {
            uid,
            user: user_name(&fs::read_to_string("/etc/passwd").unwrap_or_default(), uid),
            unique,
            pid,
            ..Client::default()
        };
        let Some(pid) = pid else {
            return client;
        };
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        client.comm = read("comm").map(|c| c.trim_end().to_owned());
        client.exe = fs::read_link(format!("/proc/{pid}/exe")).ok().map(|p| p.to_string_lossy().into_owned());
        let (unit, session) = read("cgroup").map_or((None, None), |c| place(&c));
        client.unit = unit;
        client.session = session;
        // The number may have been given to another process meanwhile; the pidfd knows.
        if process.is_some_and(|fd| pinned(fd) != Some(pid)) {
            client.comm = None;
            client.exe = None;
            client.unit = None;
            client.session = None;
        }
        client
    }

    /// `timer` for a task's unit, else `dbus`: what started it is told by the unit, never by an argument.
    pub fn via(&self) -> &'static str {
        match &self.unit {
            Some(unit) if self.uid == 0 && unit.starts_with("reeve-task@") => "timer",
            _ => "dbus",
        }
    }

    /// `uid 1000 (alice)`.
    pub fn who(&self) -> String {
        match &self.user {
            Some(user) => format!("uid {} ({user})", self.uid),
            None => format!("uid {}", self.uid),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.who())?;
        if let (Some(comm), Some(pid)) = (&self.comm, self.pid) {
            write!(f, ", {comm}[{pid}]")?;
        }
        match (&self.session, &self.unit) {
            (Some(session), _) => write!(f, ", session {session}"),
            (None, Some(unit)) => write!(f, ", {unit}"),
            (None, None) => Ok(()),
        }
    }
}

/// The pid a pidfd stands for, while that process lives.
fn pinned(process: BorrowedFd<'_>) -> Option<u32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_raw_fd())).ok()?;
    let line = info.lines().find_map(|l| l.strip_prefix("Pid:"))?;
    line.trim().parse().ok()
}

/// Unit and session of a `/proc/PID/cgroup`: the unit is the first part of the path that is not a slice.
fn place(cgroup: &str) -> (Option<String>, Option<String>) {
    let path = cgroup
        .lines()
        .find_map(|l| l.strip_prefix("0::"))
        .or_else(|| cgroup.lines().find_map(|l| l.split("name=systemd:").nth(1)));
    let Some(path) = path else {
        return (None, None);
    };
    let unit = path.split('/').find(|part| part.ends_with(".service") || part.ends_with(".scope"));
    let session = unit.and_then(|u| u.strip_prefix("session-")).and_then(|u| u.strip_suffix(".scope"));
    (unit.map(ToOwned::to_owned), session.map(ToOwned::to_owned))
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_and_session_come_from_the_cgroup() {
        let some = |s: &str| Some(s.to_owned());
        for (cgroup, unit, session) in [
            ("0::/system.slice/cron.service\n", some("cron.service"), None),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", some("session-3.scope"), some("3")),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service\n", some("user@1000.service"), None),
            (
                "12:cpu:/\n1:name=systemd:/system.slice/system-reeve\\x2dtask.slice/reeve-task@backup.service\n",
                some("reeve-task@backup.service"),
                None,
            ),
            ("0::/\n", None, None),
        ] {
            assert_eq!(place(cgroup), (unit, session), "{cgroup}");
        }
    }

    #[test]
    fn a_task_unit_of_root_is_the_timer_and_nobody_else_can_say_so() {
        let client = |uid, unit: &str| Client { uid, unit: Some(unit.into()), ..Client::default() };
        assert_eq!(client(0, "reeve-task@backup.service").via(), "timer");
        assert_eq!(client(1000, "reeve-task@backup.service").via(), "dbus");
        assert_eq!(client(0, "ssh.service").via(), "dbus");
    }

    #[test]
    fn names_are_read_from_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("alice"));
        assert_eq!(user_name(passwd, 7), None);
    }

    #[test]
    fn this_process_is_found() {
        let client = Client::new(0, None, Some(std::process::id()), None);
        assert!(client.comm.is_some());
        assert!(client.to_string().starts_with("uid 0"));
    }
}
