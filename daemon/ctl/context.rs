//! What a verb works with: where the daemon is, how output looks, where it goes.

use super::agent::Agent;
use super::args::Global;
use super::failure::{Doing, Failure};
use super::output::Output;
use super::render::Style;
use crate::bus::proxy::{Client, Place};
use crate::host::paths::Paths;
use reeve_core::{Target, Wall};
use serde::Serialize;
use std::io::{self, BufRead};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The surroundings of one command.
#[derive(Debug)]
pub struct Ctl {
    /// Options of every verb.
    pub global: Global,
    /// How output looks.
    pub style: Style,
    /// Where it goes.
    pub output: Output,
    /// Where the daemon is.
    pub place: Place,
}

impl Ctl {
    /// Sorts the options; the error is about the command line.
    pub fn new(global: Global, output: Output) -> Result<Self, String> {
        let place = place(global.root.as_deref(), global.bus.as_deref())?;
        let style = Style::detect(global.color, now());
        Ok(Self { global, style, output, place })
    }

    /// Connects, for a call that needs no password.
    pub async fn client(&self) -> Result<Client, Failure> {
        self.place.connect().await.doing("reach reeved")
    }

    /// Connects, for a call that polkit may want a password for; the agent asks on this terminal while it lives.
    pub async fn asking_client(&self) -> Result<(Client, Option<Agent>), Failure> {
        let agent = if self.place == Place::System
            && !self.global.no_ask_password
            && self.output.is_dialogue()
            && !crate::host::console::is_root()
        {
            Agent::start()
        } else {
            None
        };
        Ok((self.client().await?, agent))
    }

    /// Shows a screen.
    pub fn show(&self, text: &str) -> Result<(), Failure> {
        if self.global.quiet {
            return Ok(());
        }
        Ok(self.output.page(text, !self.global.no_pager)?)
    }

    /// Prints a line or a few, at once.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        if self.global.quiet {
            return Ok(());
        }
        Ok(self.output.write(text)?)
    }

    /// Prints the one document of this call: indented for a person, on one line for a program.
    pub fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        if self.global.quiet {
            return Ok(());
        }
        let text =
            if self.output.is_terminal() { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        let text = text.map_err(io::Error::from)?;
        Ok(self.output.write(&(text + "\n"))?)
    }

    /// Asks before something destructive, when somebody is there to answer. Scripts are taken at their word.
    pub fn confirm(&self, question: &str, yes: bool) -> Result<(), Failure> {
        if yes || !self.output.is_dialogue() {
            return Ok(());
        }
        self.output.err(&format!("{question} [y/N] "));
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::No("not confirmed, nothing was done".to_owned())),
        }
    }

    /// The style, as wide as it gets when asked for.
    pub fn style(&self, full: bool) -> Style {
        if full { self.style.unbounded() } else { self.style.clone() }
    }
}

/// `WORKER` or `WORKER/N`, checked before anything is sent.
pub fn target(text: &str) -> Result<Target, Failure> {
    text.parse().map_err(|e: reeve_core::ids::IdError| Failure::Usage(e.to_string()))
}

fn place(root: Option<&Path>, bus: Option<&str>) -> Result<Place, String> {
    let private = || Place::Private(Paths::new(root.unwrap_or(Path::new("/"))).bus_socket());
    match bus {
        None if root.is_some() => Ok(private()),
        None | Some("system") => Ok(Place::System),
        Some("session") => Ok(Place::Session),
        Some("private") => Ok(private()),
        Some(address) if address.contains(':') => Ok(Place::Address(address.to_owned())),
        Some(other) => Err(format!(
            "--bus {other:?} is neither system, session, private nor a D-Bus address such as unix:path=/run/bus"
        )),
    }
}

fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_root_means_its_private_socket() {
        let root = Path::new("/tmp/demo");
        let socket = Place::Private("/tmp/demo/run/reeve/bus".into());
        assert_eq!(place(Some(root), None).unwrap(), socket);
        assert_eq!(place(Some(root), Some("private")).unwrap(), socket);
        assert_eq!(place(Some(root), Some("session")).unwrap(), Place::Session);
        assert_eq!(place(None, None).unwrap(), Place::System);
        assert_eq!(place(None, Some("private")).unwrap(), Place::Private("/run/reeve/bus".into()));
        assert_eq!(place(None, Some("unix:path=/x")).unwrap(), Place::Address("unix:path=/x".to_owned()));
        assert!(place(None, Some("nonsense")).is_err());
    }
}
