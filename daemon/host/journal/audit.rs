//! The audit trail: every mutating call, allowed or refused, in two places.
//!
//! 1. The security log: a journal namespace of its own, kept for 90 days by its configuration.
//! 2. The mirror, `audit.jsonl` in the state folder, which outlives a vacuumed journal. Each line carries the hash of
//!    the one before, across rotations, so that [`Audit::verify`] can name the first entry that was altered, dropped or
//!    moved. Entries cut off at the very end are seen while the daemon runs, and by comparing with the journal.
//!
//! ```text
//! {"seq":7,"prev":"<hash of 6>","entry":{…},"hash":"<SHA-256 of the line up to here>"}
//! ```

use super::chain::{self, Head, Link};
use super::native::{Entry, Native};
use reeve_core::{Kind, Wall};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The socket of the journal namespace.
pub const SOCKET: &str = "/run/systemd/journal.reeve-audit/socket";
/// The mirror is rotated at this size …
const SIZE_MAX: u64 = 8 * 1024 * 1024;
/// … and so many older files are kept.
const KEPT: u32 = 10;
/// A longer line is no entry of ours.
const LINE_MAX: u64 = 1024 * 1024;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditEntry {
    /// When.
    pub at: Wall,
    /// Whose call.
    pub uid: u32,
    /// `uid 1000 (alice)`.
    pub caller: String,
    /// `manage-workers`, or the name of the method.
    pub action: String,
    /// `web/2`.
    pub target: String,
    /// `allowed`, `refused`, `success`, `failed` …
    pub result: String,
    /// `unique pid exe comm unit session` of the caller, `arguments polkit_result reason task_run request_id`.
    pub more: BTreeMap<String, String>,
}

/// What could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The chain has a hole here: the call is nowhere, or in the journal only.
    #[error("audit entry is not in the mirror: {0}")]
    Mirror(String),
    /// The mirror has it.
    #[error("audit entry is not in the security log: {0}")]
    Journal(String),
}

/// A chain without a flaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many entries are left of it.
    pub entries: u64,
    /// When the oldest was written.
    pub first: Wall,
    /// When the newest was written.
    pub last: Wall,
}

/// The first flaw.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("audit entry {index} ({}, line {line}) {why}", file.display())]
pub struct Broken {
    /// Number of the entry, counted from the first ever.
    pub index: u64,
    /// Where.
    pub file: PathBuf,
    /// Where in it.
    pub line: u64,
    /// What is wrong, after "the entry".
    pub why: String,
}

/// The trail.
#[derive(Debug)]
pub struct Audit {
    folder: PathBuf,
    file: File,
    size: u64,
    size_max: u64,
    head: Head,
    journal: Option<Native>,
}

impl Audit {
    /// Continues the chain in `folder`. `namespace`: the socket of the security log ([`SOCKET`]), where there is one. The
    /// texts name what was damaged; a torn last line is set aside.
    pub fn open(folder: &Path, namespace: Option<&Path>) -> Result<(Self, Vec<String>), String> {
        let mut problems = Vec::new();
        let path = folder.join("audit.jsonl");
        let text = |e: io::Error| format!("cannot open {}: {e}", path.display());
        set_torn_end_aside(&path, &mut problems).map_err(text)?;
        let mut head = None;
        for (_, file) in files(folder).into_iter().rev() {
            head = last_link(&file).map_err(text)?;
            if head.is_some() {
                break;
            }
        }
        let file = append_to(&path).map_err(text)?;
        let size = file.metadata().map_err(text)?.len();
        let journal = match namespace.map(Native::new).transpose() {
            Ok(journal) => journal,
            Err(e) => {
                problems.push(format!("the security log cannot be written: {e}"));
                None
            }
        };
        let audit =
            Self { folder: folder.to_owned(), file, size, size_max: SIZE_MAX, head: head.unwrap_or_default(), journal };
        Ok((audit, problems))
    }

    /// Writes one record to both places. Each is tried, whatever becomes of the other.
    pub fn append(&mut self, entry: &AuditEntry) -> Result<(), AuditError> {
        let journal = match &self.journal {
            Some(journal) => journal.send(&fields(entry)).map_err(AuditError::Journal),
            None => Ok(()),
        };
        self.mirror(entry).map_err(AuditError::Mirror)?;
        journal
    }

    /// How many entries there have ever been.
    pub fn entries(&self) -> u64 {
        self.head.seq
    }

    fn mirror(&mut self, entry: &AuditEntry) -> Result<(), String> {
        let json = serde_json::to_string(entry).map_err(|e| e.to_string())?;
        let (line, head) = chain::link(&self.head, &json);
        if self.size > 0 && self.size + line.len() as u64 > self.size_max {
            self.rotate().map_err(|e| format!("cannot rotate {}: {e}", self.path().display()))?;
        }
        let written = self.file.write(line.as_bytes());
        if matches!(written, Ok(n) if n == line.len()) {
            self.size += line.len() as u64;
            self.head = head;
            return Ok(());
        }
        // Half an entry must not stay. If it does, the next start sets it aside.
        let _ = self.file.set_len(self.size);
        Err(match written {
            Ok(_) => format!("cannot write {}: disk full", self.path().display()),
            Err(e) => format!("cannot write {}: {e}", self.path().display()),
        })
    }

    /// Moves every file up by one, up to the first free number: after an interrupted rotation there is one.
    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let free = (1..KEPT).find(|n| !self.numbered(*n).exists()).unwrap_or(KEPT);
        for n in (0..free).rev() {
            std::fs::rename(self.numbered(n), self.numbered(n + 1))?;
        }
        self.file = append_to(&self.path())?;
        self.size = 0;
        Ok(())
    }

    /// The newest `max` records since `since`, oldest first.
    pub fn query(&self, since: Wall, max: usize) -> Result<Vec<AuditEntry>, String> {
        let mut found: VecDeque<AuditEntry> = VecDeque::new();
        for (_, path) in files(&self.folder).into_iter().rev() {
            let room = max.saturating_sub(found.len());
            let mut here: VecDeque<AuditEntry> = VecDeque::new();
            let mut older = false;
            let each = |_, line: &str| {
                let entry = chain::read(line).and_then(|link| entry_of(&link));
                match entry {
                    Ok(entry) if entry.at >= since => {
                        here.push_back(entry);
                        if here.len() > room {
                            here.pop_front();
                        }
                    }
                    Ok(_) => older = true,
                    Err(_) => {}
                }
                Ok::<(), String>(())
            };
            lines(&path, each)?;
            here.extend(found);
            found = here;
            if older || found.len() >= max {
                break;
            }
        }
        Ok(found.into())
    }

    /// Follows the whole chain. An unreadable file breaks it as well.
    pub fn verify(&self) -> Result<Verified, Broken> {
        let mut seen: Option<(u64, Wall)> = None;
        let mut head = Head::default();
        let mut last = Wall::default();
        let files = files(&self.folder);
        for (number, path) in &files {
            // The beginning of the chain has been rotated away only if as many files are left as are kept.
            let cut = seen.is_none() && *number == KEPT;
            let mut at_line = 0;
            let each = |line_number: u64, line: &str| {
                at_line = line_number;
                let link = chain::read(line)?;
                chain::follows(&link, if cut && line_number == 1 { None } else { Some(&head) })?;
                let entry = entry_of(&link)?;
                seen.get_or_insert((link.head.seq, entry.at));
                last = entry.at;
                head = link.head;
                Ok(())
            };
            if let Err(why) = lines(path, each) {
                return Err(Broken { index: head.seq + 1, file: path.clone(), line: at_line, why });
            }
        }
        if head != self.head {
            return Err(Broken {
                index: head.seq + 1,
                file: self.path(),
                line: 0,
                why: format!("is gone: the last written was {}", self.head.seq),
            });
        }
        let (first_seq, first) = seen.unwrap_or((1, Wall::default()));
        Ok(Verified { entries: (head.seq + 1).saturating_sub(first_seq), first, last })
    }

    fn path(&self) -> PathBuf {
        self.numbered(0)
    }

    fn numbered(&self, n: u32) -> PathBuf {
        numbered(&self.folder, n)
    }
}

/// `--password hunter2` is nobody's business: values of keys that sound secret are replaced.
pub fn redact(arguments: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    const SECRET: [&str; 6] = ["password", "passwd", "secret", "token", "key", "credential"];
    let hide = |key: &str| SECRET.iter().any(|word| key.to_lowercase().contains(word));
    arguments
        .iter()
        .map(|(key, value)| {
            let value = if hide(key) { "[redacted]" } else { value };
            (key.clone(), value.to_owned())
        })
        .collect()
}

fn fields(entry: &AuditEntry) -> Entry {
    let info = Kind::Audit.info();
    let AuditEntry { uid, caller, action, target, result, more, .. } = entry;
    let mut out = Entry::new();
    out.field("MESSAGE", &format!("{caller}: {action} {target}: {result}"))
        .field("MESSAGE_ID", info.id)
        .field("PRIORITY", "6")
        .field("SYSLOG_IDENTIFIER", "reeved")
        .field("REEVE_AUDIT", "1")
        .field("REEVE_CALLER", caller)
        .field("REEVE_CALLER_UID", &uid.to_string())
        .field("REEVE_ACTION", action)
        .field("REEVE_TARGET", target)
        .field("REEVE_RESULT", result);
    for (key, value) in more {
        let of_caller = ["unique", "pid", "exe", "comm", "unit", "session"].contains(&key.as_str());
        let prefix = if of_caller { "REEVE_CALLER_" } else { "REEVE_" };
        out.field(&format!("{prefix}{}", key.to_ascii_uppercase()), value);
    }
    out
}

fn entry_of(link: &Link<'_>) -> Result<AuditEntry, String> {
    serde_json::from_str(link.entry).map_err(|e| format!("cannot be understood: {e}"))
}

fn numbered(folder: &Path, n: u32) -> PathBuf {
    match n {
        0 => folder.join("audit.jsonl"),
        n => folder.join(format!("audit.jsonl.{n}")),
    }
}

/// The files there are, oldest first.
fn files(folder: &Path) -> Vec<(u32, PathBuf)> {
    (0..=KEPT).rev().map(|n| (n, numbered(folder, n))).filter(|(_, path)| path.exists()).collect()
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Calls `each` with number (from 1) and text of every line.
fn lines(path: &Path, mut each: impl FnMut(u64, &str) -> Result<(), String>) -> Result<(), String> {
    let text = |e: io::Error| format!("cannot be read: {e}");
    let mut file = BufReader::new(File::open(path).map_err(text)?);
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        let read = file.by_ref().take(LINE_MAX).read_line(&mut line);
        if read.map_err(text)? == 0 {
            break;
        }
        each(number, line.strip_suffix('\n').unwrap_or(&line))?;
    }
    Ok(())
}

fn last_link(path: &Path) -> io::Result<Option<Head>> {
    let mut head = None;
    let each = |_, line: &str| {
        // An altered entry still tells where to go on; verify will name it.
        head = chain::read_unchecked(line).map(|link| link.head).or(head.take());
        Ok(())
    };
    lines(path, each).map_err(io::Error::other)?;
    Ok(head)
}

fn set_torn_end_aside(path: &Path, problems: &mut Vec<String>) -> io::Result<()> {
    let Ok(bytes) = std::fs::read(path) else {
        return Ok(());
    };
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    if let Some(torn) = bytes.get(whole..).filter(|torn| !torn.is_empty()) {
        problems.push(format!("{}: the last entry was torn and is set aside", path.display()));
        let aside = path.with_extension("jsonl.damaged");
        append_to(&aside)?.write_all(torn)?;
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
