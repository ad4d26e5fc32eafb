//! The journal: writing what the daemon decided, the audit trail, diagnostics, and reading what workers logged.
//!
//! Entries go straight to journald's socket: a failed send must be known, and tracing's journald layer hides it. Where
//! stderr is not connected to the journal (containers, a terminal) the same entries go to stderr.

pub mod audit;
mod chain;
mod exits;
pub mod logging;
mod native;
pub mod reader;
pub mod stderr;
mod tails;

use native::{Entry, Native};
use nix::sys::stat::fstat;
use reeve_core::notice::Level;
use reeve_core::{Notice, ReplicaId};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use stderr::Form;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Where entries go.
#[derive(Debug)]
pub enum Journal {
    /// To journald.
    Native(Native),
    /// To stderr.
    Stderr(Form),
}

impl Journal {
    /// journald if it is at the other end of stderr (`JOURNAL_STREAM`), else stderr.
    pub fn detect() -> Self {
        let stream = std::env::var("JOURNAL_STREAM").ok();
        if stream.is_some_and(|stream| is_stderr(&stream))
            && let Ok(native) = Native::new(Path::new(SOCKET))
        {
            return Self::Native(native);
        }
        Self::Stderr(if io::stderr().is_terminal() { Form::Text } else { Form::Json })
    }

    /// Whether journald takes the entries.
    pub fn is_native(&self) -> bool {
        matches!(self, Self::Native(_))
    }

    /// Writes one entry; `extra` are further fields (`REEVE_TERM` …). An error says why it could not be written.
    pub fn notice(&self, notice: &Notice, extra: &[(&str, &str)]) -> Result<(), String> {
        match self {
            Self::Native(native) => native.send(&entry(notice, extra)),
            Self::Stderr(form) => {
                let mut line = stderr::line(*form, super::clock::Clock::wall(), notice, extra);
                line.push('\n');
                io::stderr().write_all(line.as_bytes()).map_err(|e| format!("stderr: {e}"))
            }
        }
    }
}

/// `JOURNAL_STREAM` is device and inode of the stream; stderr may have been turned elsewhere since.
fn is_stderr(stream: &str) -> bool {
    fstat(io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn entry(notice: &Notice, extra: &[(&str, &str)]) -> Entry {
    let info = notice.kind.info();
    let priority = match info.level {
        Level::Error => "3",
        Level::Warning => "4",
        Level::Info => "6",
    };
    let mut entry = Entry::new();
    entry
        .field("MESSAGE", &notice.message())
        .field("MESSAGE_ID", info.id)
        .field("PRIORITY", priority)
        .field("SYSLOG_IDENTIFIER", "reeved")
        .field("REEVE_EVENT", info.word)
        .field("REEVE_REASON", &notice.reason);
    if let Some(worker) = &notice.worker {
        entry.field("REEVE_WORKER", worker.as_str());
        if let Some(replica) = notice.replica {
            entry.field("REEVE_REPLICA", &replica.to_string());
            // Shown by `journalctl -u` among the worker's own lines.
            let unit = ReplicaId::new(worker.clone(), replica).unit();
            entry.field("OBJECT_SYSTEMD_UNIT", &unit);
        }
    }
    if let Some(run) = notice.run {
        entry.field("REEVE_RUN", &run.to_string());
    }
    for (name, value) in extra {
        entry.field(name, value);
    }
    entry
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use reeve_core::{Kind, RunId};
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn an_entry_carries_all_its_fields_to_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::Native(Native::new(&path).unwrap());
        assert!(journal.is_native());
        let replica: ReplicaId = "web/2".parse().unwrap();
        let notice = Notice::replica(Kind::CrashLoop, &replica, Some(RunId([1; 16])), "code 1");
        journal.notice(&notice, &[("REEVE_TERM", "7")]).unwrap();
        let mut buffer = [0; 4096];
        let n = journald.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..n]);
        for field in [
            "MESSAGE=web/2: a worker is in a crash loop: code 1\n",
            "MESSAGE_ID=dce6568e1e824ff6a97b0e9f38ad92db\n",
            "PRIORITY=3\n",
            "SYSLOG_IDENTIFIER=reeved\n",
            "REEVE_WORKER=web\n",
            "REEVE_REPLICA=2\n",
            "REEVE_RUN=01010101010101010101010101010101\n",
            "REEVE_REASON=code 1\n",
            "OBJECT_SYSTEMD_UNIT=reeve-web-2.service\n",
            "REEVE_TERM=7\n",
        ] {
            assert!(text.contains(field), "{field} in {text}");
        }
    }

    #[test]
    fn stderr_is_recognised_by_device_and_inode() {
        let stat = fstat(io::stderr()).unwrap();
        assert!(is_stderr(&format!("{}:{}", stat.st_dev, stat.st_ino)));
        assert!(!is_stderr("1:2"));
        assert!(!is_stderr(""));
    }
}
