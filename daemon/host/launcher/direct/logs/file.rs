//! One replica's log on disk: `<wall µs> <run> <text>` a line, two files of 1 MiB.

use super::LogLine;
use reeve_core::{RunId, Wall};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LARGEST: u64 = 1024 * 1024;
/// A tail is looked for in this much of the end first.
const GLANCE: u64 = 64 * 1024;
/// Lines and bytes kept while the disk takes nothing.
const KEPT: (usize, usize) = (50, 16 * 1024);
const RETRY: Duration = Duration::from_secs(1);

/// Appends, turns over, and reads back.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    open: Option<(File, u64)>,
    unsaved: VecDeque<LogLine>,
    failed: Option<Instant>,
}

impl LogFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None, unsaved: VecDeque::new(), failed: None }
    }

    /// Takes the lines; what the disk refuses stays in memory as far as it fits. `Err` when it begins to fail.
    pub(super) fn append(&mut self, lines: &[LogLine], now: Instant) -> io::Result<()> {
        if self.failed.is_some_and(|at| now < at + RETRY) {
            self.keep(lines);
            return Ok(());
        }
        let mut text = String::with_capacity(lines.iter().map(|l| l.text.len() + 52).sum());
        if self.failed.is_some() {
            // The disk may have taken half a line.
            text.push('\n');
        }
        for line in self.unsaved.iter().chain(lines) {
            use std::fmt::Write;
            let _ = writeln!(text, "{} {} {}", line.at.0, line.run, line.text);
        }
        match self.write(text.as_bytes()) {
            Ok(()) => {
                self.unsaved = VecDeque::new();
                self.failed = None;
                Ok(())
            }
            Err(e) => {
                self.open = None;
                self.keep(lines);
                match self.failed.replace(now) {
                    None => Err(e),
                    Some(_) => Ok(()),
                }
            }
        }
    }

    /// The last `n` lines, of one run or of all, oldest first.
    pub(super) fn read(&self, run: Option<RunId>, n: usize) -> Vec<LogLine> {
        let wanted = |l: &LogLine| run.is_none_or(|r| r == l.run);
        let mut lines = lines_of(&self.path, GLANCE);
        let begins_within = lines.first().is_some_and(|l| !wanted(l));
        lines.extend(self.unsaved.iter().cloned());
        lines.retain(wanted);
        if lines.len() < n && (lines.is_empty() || !begins_within) {
            lines = lines_of(&self.path.with_extension("log.1"), u64::MAX);
            lines.extend(lines_of(&self.path, u64::MAX));
            lines.extend(self.unsaved.iter().cloned());
            lines.retain(wanted);
        }
        lines.drain(..lines.len().saturating_sub(n));
        lines
    }

    /// Closes the file until the next line.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    fn keep(&mut self, lines: &[LogLine]) {
        self.unsaved.extend(lines.iter().cloned());
        let mut bytes: usize = self.unsaved.iter().map(|l| l.text.len()).sum();
        while self.unsaved.len() > KEPT.0 || bytes > KEPT.1 {
            bytes -= self.unsaved.pop_front().map_or(bytes, |l| l.text.len());
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(_, size)| *size >= LARGEST) {
            self.open = None;
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
        }
        let (file, size) = match &mut self.open {
            Some(open) => open,
            closed => {
                let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
                let size = file.metadata()?.len();
                closed.insert((file, size))
            }
        };
        file.write_all(text)?;
        *size += text.len() as u64;
        Ok(())
    }
}

/// The whole lines in the last `most` bytes. A line that is not one of ours is passed over.
fn lines_of(path: &Path, most: u64) -> Vec<LogLine> {
    let read = || -> io::Result<(Vec<u8>, bool)> {
        let mut file = File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(most);
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        file.take(4 * LARGEST).read_to_end(&mut text)?;
        Ok((text, from > 0))
    };
    let Ok((text, cut)) = read() else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&text);
    text.lines().skip(usize::from(cut)).filter_map(parse).collect()
}

fn parse(line: &str) -> Option<LogLine> {
    let (at, rest) = line.split_once(' ')?;
    let (run, text) = rest.split_at_checked(32)?;
    Some(LogLine { at: Wall(at.parse().ok()?), run: run.parse().ok()?, text: text.strip_prefix(' ')?.to_owned() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn line(run: u8, text: &str) -> LogLine {
        LogLine { at: Wall(1_700_000_000_000_000), run: RunId([run; 16]), text: text.to_owned() }
    }

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|l| l.text.as_str()).collect()
    }

    #[test]
    fn sup_10_lines_are_read_back_by_run() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = LogFile::new(folder.path().join("web-1.log"));
        let now = Instant::now();
        let lines = [line(1, "a"), line(1, ""), line(2, " b  c "), line(1, "d")];
        file.append(&lines, now).unwrap();
        assert_eq!(file.read(None, 9), lines);
        assert_eq!(texts(&file.read(Some(RunId([1; 16])), 2)), ["", "d"]);
        assert_eq!(texts(&file.read(Some(RunId([2; 16])), 50)), [" b  c "]);
        assert!(file.read(Some(RunId([3; 16])), 50).is_empty());
    }

    #[test]
    fn two_files_bound_the_space_and_are_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web-1.log");
        let mut file = LogFile::new(path.clone());
        let now = Instant::now();
        let long = "x".repeat(1000);
        for n in 0..4000u32 {
            file.append(&[line(1, &format!("{n} {long}"))], now).unwrap();
        }
        let old = path.with_extension("log.1");
        for path in [&path, &old] {
            assert!(std::fs::metadata(path).unwrap().len() < LARGEST + 2000);
        }
        let all = file.read(None, 1000);
        assert_eq!(all.len(), 1000);
        assert!(all[0].text.starts_with("3000 ") && all[999].text.starts_with("3999 "));
    }

    #[test]
    fn a_disk_that_takes_nothing_loses_no_tail() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/web-1.log");
        let mut file = LogFile::new(path.clone());
        let now = Instant::now();
        assert!(file.append(&[line(1, "a")], now).is_err());
        assert!(file.append(&[line(1, "b")], now).is_ok());
        assert_eq!(texts(&file.read(Some(RunId([1; 16])), 50)), ["a", "b"]);
        std::fs::create_dir(folder.path().join("missing")).unwrap();
        file.append(&[line(1, "c")], now + RETRY).unwrap();
        assert_eq!(texts(&file.read(None, 50)), ["a", "b", "c"]);
        for _ in 0..100 {
            file.failed = Some(now);
            file.append(&[line(1, &"y".repeat(1000))], now).unwrap();
        }
        assert!(file.unsaved.len() <= 16);
    }
}
