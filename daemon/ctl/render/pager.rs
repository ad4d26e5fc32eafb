//! Long output goes through a pager, when a person is reading and it does not fit the screen.

use std::env;
use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Options of less, when the user has set none: quit if it fits, colours, chop, no clearing, quit on Ctrl-C.
const LESS: &str = "FRSXMK";

/// Writes `text` to standard output, through the pager when `allowed` and it is taller than the terminal.
pub fn page(text: &str, allowed: bool) -> io::Result<()> {
    let rows = crate::host::console::size().map_or(24, |(_, rows)| usize::from(rows));
    if allowed
        && text.lines().count() >= rows
        && let Some(command) = choose(|name| env::var(name).ok())
        && through(&command, text)?
    {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// `REEVE_PAGER`, `PAGER`, less; an empty one or cat means none.
fn choose(var: impl Fn(&str) -> Option<String>) -> Option<String> {
    let command = var("REEVE_PAGER").or_else(|| var("PAGER")).unwrap_or_else(|| "less".to_owned());
    let command = command.trim().to_owned();
    (!command.is_empty() && command != "cat").then_some(command)
}

/// `false`: there is no such pager, nothing was shown.
fn through(command: &str, text: &str) -> io::Result<bool> {
    let mut pager = Command::new("sh");
    // `exec`, so that a missing program is the shell's 127 and not a shell that lingers.
    pager.arg("-c").arg(format!("exec {command}"));
    if env::var_os("LESS").is_none() {
        pager.env("LESS", LESS);
    }
    let Ok(mut child) = pager.stdin(Stdio::piped()).stderr(Stdio::null()).spawn() else {
        return Ok(false);
    };
    if let Some(mut stdin) = child.stdin.take() {
        // Leaving the pager early is no failure.
        let _ = stdin.write_all(text.as_bytes());
    }
    Ok(child.wait()?.code() != Some(127))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pager_is_chosen_in_order() {
        let with = |pairs: &'static [(&str, &str)]| {
            choose(|n| pairs.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(with(&[]).as_deref(), Some("less"));
        assert_eq!(with(&[("PAGER", "more")]).as_deref(), Some("more"));
        assert_eq!(with(&[("PAGER", "more"), ("REEVE_PAGER", "")]), None);
        assert_eq!(with(&[("PAGER", "cat")]), None);
    }
}
