//! `logs WORKER[/N]`: what workers have logged, through a pipe from the daemon.

use crate::bus::proxy::client::LogQuery;
use crate::ctl::args::LogsArgs;
use crate::ctl::context::{Ctl, target};
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::render::style::tame;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use tokio::net::unix::pipe;

/// How many lines without `-n`.
const LINES: u32 = 100;
const LINES_FOLLOWING: u32 = 10;

/// Shows lines; `--follow` goes on until Ctrl-C or until the daemon closes the pipe.
pub async fn run(ctl: &Ctl, a: &LogsArgs) -> Result<u8, Failure> {
    let target = target(&a.target)?.to_string();
    let (client, agent) = ctl.asking_client().await?;
    let query = LogQuery {
        lines: a.lines.or(Some(if a.follow { LINES_FOLLOWING } else { LINES })),
        follow: a.follow,
        previous: a.previous,
        run: a.run.clone(),
        unasked: false,
    };
    let pipe = client.logs(&target, &query).await.doing(format!("read the log of {target}"))?;
    drop(agent);
    if a.follow {
        return follow(ctl, pipe);
    }
    let text = read(pipe)?;
    if ctl.global.json {
        ctl.document(&text.lines().collect::<Vec<_>>())?;
    } else {
        ctl.show(&shown(ctl, &text))?;
    }
    Ok(YES)
}

/// Everything, to the end of the pipe.
pub fn read(pipe: OwnedFd) -> io::Result<String> {
    let mut bytes = Vec::new();
    blocking(pipe)?.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Line by line as they come; with `--json` each line is a JSON string.
fn follow(ctl: &Ctl, pipe: OwnedFd) -> Result<u8, Failure> {
    let mut lines = BufReader::new(blocking(pipe)?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        if ctl.global.json {
            ctl.document(&text.trim_end_matches('\n'))?;
        } else {
            ctl.print(&shown(ctl, &text))?;
        }
        line.clear();
    }
    Ok(YES)
}

/// A terminal is spared control characters; a file or a program gets what was logged.
fn shown<'a>(ctl: &Ctl, text: &'a str) -> Cow<'a, str> {
    if ctl.output.is_terminal() { tame(text) } else { Cow::Borrowed(text) }
}

/// The daemon's end may not block, and ours may share that setting; nothing else runs here, so ours shall.
fn blocking(lines: OwnedFd) -> io::Result<File> {
    let file = File::from(lines);
    if !file.metadata()?.file_type().is_fifo() {
        return Ok(file);
    }
    Ok(pipe::Receiver::from_owned_fd(file.into())?.into_blocking_fd()?.into())
}
