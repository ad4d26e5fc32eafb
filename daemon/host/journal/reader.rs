//! Reading the journal, by `journalctl`: the last lines of a run, logs for people, exits nobody watched.
//!
//! A process of its own costs nothing while nobody reads, reads every journal format of its systemd, and a damaged journal
//! cannot hurt the daemon. Runs that end together have their last lines read together, see [`super::tails`].

use super::exits;
use super::tails::{self, Tails};
use crate::host::ready;
use nix::fcntl::OFlag;
use reeve_core::{ExitInfo, RunId, Wall};
use serde_json::Value;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, Interest};
use tokio::process::Command;
use tokio::sync::Semaphore;

/// Short reads at once; more wait.
const READS: usize = 2;
/// Log streams at once; more are refused.
const STREAMS: usize = 32;
/// A short read takes no longer.
const LIMIT: Duration = Duration::from_secs(10);
/// The most one short read may give.
const OUTPUT_MAX: u64 = 4 * 1024 * 1024;

/// Whose log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Of these units, all their runs.
    Units(Vec<String>),
    /// Of one run.
    Run(RunId),
}

/// Reads the journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    program: PathBuf,
    reads: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    tails: Tails,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(PathBuf::from("journalctl"))
    }
}

impl Reader {
    /// With this `journalctl`.
    pub fn new(program: PathBuf) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { program, reads: places(READS), streams: places(STREAMS), tails: Tails::default() }
    }

    /// The last `n` lines of a run that has just ended, oldest first.
    pub async fn tail(&self, run: RunId, n: usize) -> Result<Vec<String>, String> {
        self.tails.wait_for(self, run, n).await
    }

    /// The newest `n` lines of these runs together, newest first, each with its run; whether there may be more.
    pub(super) async fn newest(&self, runs: &[RunId], n: usize) -> Result<(Vec<(RunId, String)>, bool), String> {
        let mut command = self.command();
        command
            .args(["--output=json", "--all", "--reverse", "--output-fields=MESSAGE,_SYSTEMD_INVOCATION_ID"])
            .arg(format!("--lines={n}"))
            .args(runs.iter().map(|run| format!("_SYSTEMD_INVOCATION_ID={run}")));
        let (entries, whole) = self.read(command).await?;
        let more = !whole || entries.len() >= n;
        Ok((entries.iter().filter_map(|entry| Some((tails::run_of(entry)?, message(entry)?))).collect(), more))
    }

    /// Waits until journald has taken in what was written so far, a flood of somebody else's included.
    pub(super) async fn sync(&self) {
        let mut command = self.command();
        command.arg("--sync");
        // Without it (another version, no right to) what is there is read.
        let _ = self.read(command).await;
    }

    /// Exits that PID 1 recorded of a unit since then, oldest first: what happened while reeved was away.
    pub async fn unit_exits(&self, unit: &str, since: Wall) -> Result<Vec<(RunId, ExitInfo)>, String> {
        let mut command = self.command();
        let (seconds, micros) = (since.0 / 1_000_000, since.0 % 1_000_000);
        command
            .args(["--output=json", "--all"])
            .arg(format!("--output-fields={}", exits::FIELDS))
            .arg(format!("--since=@{seconds}.{micros:06}"))
            .args(["_PID=1", &format!("UNIT={unit}")])
            .args(exits::MESSAGE_IDS.map(|id| format!("MESSAGE_ID={id}")));
        Ok(exits::collect(&self.read(command).await?.0))
    }

    /// Log lines as people read them: the read end of a pipe that ends after the newest, or goes on. The process behind
    /// it ends with its reader. Needs a running runtime.
    pub fn open_logs(&self, whose: &Whose, lines: u32, follow: bool) -> Result<OwnedFd, String> {
        let place = Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| format!("{STREAMS} log streams are open already"))?;
        let text = |e: io::Error| format!("cannot read the journal: {e}");
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| text(e.into()))?;
        let mut command = self.command();
        command
            .args(["--output=short-iso", "--no-hostname"])
            .arg(format!("--lines={lines}"))
            .stdout(writer.try_clone().map_err(text)?);
        if follow {
            command.arg("--follow");
        }
        match whose {
            Whose::Units(units) => {
                command.args(units.iter().map(|unit| format!("_SYSTEMD_UNIT={unit}")));
            }
            Whose::Run(run) => {
                command.arg(format!("_SYSTEMD_INVOCATION_ID={run}"));
            }
        }
        let gone = ready::broken(writer).map_err(text)?;
        let mut child = command.spawn().map_err(text)?;
        // The command holds a write end: with it open, the reader would never see the end.
        drop(command);
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                _ = child.wait() => {}
                // With no new lines journalctl would not notice that nobody reads them.
                _ = gone.ready(Interest::ERROR) => {
                    // It may have ended by itself.
                    let _ = child.kill().await;
                }
            }
        });
        Ok(reader)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("SYSTEMD_COLORS", "0")
            .args(["--no-pager", "--quiet"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Its entries, and whether that is all of them.
    async fn read(&self, mut command: Command) -> Result<(Vec<Value>, bool), String> {
        let _place = self.reads.acquire().await;
        let work = async {
            let mut child = command.spawn()?;
            let mut output = Vec::new();
            if let Some(pipe) = child.stdout.take() {
                pipe.take(OUTPUT_MAX).read_to_end(&mut output).await?;
            }
            Ok::<_, io::Error>((child.wait().await?, output))
        };
        let program = self.program.display();
        let (status, output) = tokio::time::timeout(LIMIT, work)
            .await
            .map_err(|_| format!("{program} did not end within {LIMIT:?}"))?
            .map_err(|e| format!("cannot run {program}: {e}"))?;
        if !status.success() && output.is_empty() {
            return Err(format!("{program} failed: {status}"));
        }
        let whole = (output.len() as u64) < OUTPUT_MAX;
        Ok((output.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect(), whole))
    }
}

/// Text of an entry. Bytes that are no text come as numbers; control characters would reach terminals.
fn message(entry: &Value) -> Option<String> {
    let text = match entry.get("MESSAGE")? {
        Value::String(text) => text.clone(),
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes.iter().filter_map(|b| u8::try_from(b.as_u64()?).ok()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => return None,
    };
    Some(text.replace(|c: char| c.is_control() && c != '\t', " "))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A stand-in for journalctl that keeps its arguments in `args`.
    fn stand_in(dir: &tempfile::TempDir, script: &str) -> Reader {
        let path = dir.path().join("journalctl");
        let args = dir.path().join("args");
        let text = format!("#!/bin/sh\necho \"$*\" > {}\n{script}\n", args.display());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Reader::new(path)
    }

    fn args(dir: &tempfile::TempDir) -> String {
        std::fs::read_to_string(dir.path().join("args")).unwrap()
    }

    #[tokio::test]
    async fn the_tail_of_a_run_is_text() {
        let dir = tempfile::tempdir().unwrap();
        let run = format!(r#""_SYSTEMD_INVOCATION_ID":"{}""#, "01".repeat(16));
        let script = format!(
            r#"echo '{{{run},"MESSAGE":[27,91,51,49,109,114,101,100]}}'; echo nonsense
            echo '{{{run},"MESSAGE":"one"}}'; echo '{{{run},"MESSAGE":null}}'; echo '{{"MESSAGE":"whose?"}}'"#
        );
        let lines = stand_in(&dir, &script).tail(RunId([1; 16]), 50).await;
        assert_eq!(lines.unwrap(), ["one", " [31mred"]);
        let expected = format!("--lines=50 _SYSTEMD_INVOCATION_ID={}\n", "01".repeat(16));
        assert!(args(&dir).ends_with(&expected), "{}", args(&dir));
    }

    /// Runs that end together cost one process; one that has said so much that others may be cut off costs another.
    #[tokio::test]
    async fn runs_that_end_together_are_read_together() {
        let dir = tempfile::tempdir().unwrap();
        let calls = dir.path().join("calls");
        let entry = |n: u8, text: &str| {
            format!(r#"echo '{{"_SYSTEMD_INVOCATION_ID":"{}","MESSAGE":"{text}"}}'"#, format!("{n:02x}").repeat(16))
        };
        // Four lines were asked for, two of each, and all four are of the first.
        let chatty = (1..=4).rev().map(|n| entry(1, &format!("a{n}"))).collect::<Vec<_>>().join("\n");
        let script = format!(
            "case \"$*\" in *--sync) exit;; esac\necho call >> {}\ncase \"$*\" in *=0101*=0202*)\n{chatty};;\n*) {};;\nesac",
            calls.display(),
            entry(2, "b1")
        );
        let reader = stand_in(&dir, &script);
        let (one, two) = tokio::join!(reader.tail(RunId([1; 16]), 2), reader.tail(RunId([2; 16]), 2));
        assert_eq!((one.unwrap(), two.unwrap()), (vec!["a3".to_owned(), "a4".to_owned()], vec!["b1".to_owned()]));
        assert_eq!(std::fs::read_to_string(&calls).unwrap().lines().count(), 2);
    }

    #[tokio::test]
    async fn a_journalctl_that_fails_or_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let failed = stand_in(&dir, "exit 3").tail(RunId([1; 16]), 5).await;
        assert!(failed.unwrap_err().contains("exit status: 3"));
        let nowhere = Reader::new(PathBuf::from("/no/such"));
        let missing = nowhere.tail(RunId([1; 16]), 5).await.unwrap_err();
        assert!(missing.starts_with("cannot run /no/such: "), "{missing}");
    }

    #[tokio::test]
    async fn unsupervised_exits_are_asked_of_pid_1() {
        let dir = tempfile::tempdir().unwrap();
        let reader = stand_in(&dir, "");
        let exits = reader.unit_exits("reeve-web-1.service", Wall(1_500_000)).await;
        assert_eq!(exits, Ok(Vec::new()));
        let asked = args(&dir);
        assert!(asked.contains("--since=@1.500000 _PID=1 UNIT=reeve-web-1.service MESSAGE_ID="));
    }

    #[tokio::test]
    async fn logs_end_with_the_last_line_and_the_process_with_the_reader() {
        let dir = tempfile::tempdir().unwrap();
        let reader = stand_in(&dir, "echo hello");
        let units = Whose::Units(vec!["a.service".to_owned(), "b.service".to_owned()]);
        let text = read_all(reader.open_logs(&units, 10, false).unwrap()).await;
        assert_eq!(text, "hello\n");
        assert!(args(&dir).ends_with("--lines=10 _SYSTEMD_UNIT=a.service _SYSTEMD_UNIT=b.service\n"));

        let pid = dir.path().join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600", pid.display());
        let reader = stand_in(&dir, &script);
        let logs = reader.open_logs(&Whose::Run(RunId([1; 16])), 10, true).unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        let proc = loop {
            assert!(tokio::time::Instant::now() < deadline);
            match std::fs::read_to_string(&pid) {
                Ok(pid) => break PathBuf::from(format!("/proc/{}", pid.trim())),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        assert!(proc.exists());
        drop(logs);
        while proc.exists() {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(reader.streams.available_permits(), STREAMS);
    }

    async fn read_all(fd: OwnedFd) -> String {
        let read = || io::read_to_string(std::fs::File::from(fd)).unwrap();
        tokio::task::spawn_blocking(read).await.unwrap()
    }
}
