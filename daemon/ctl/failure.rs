//! What ends a command early: its exit code, and a message that says what failed, why, and what to type next.

use super::context::Ctl;
use crate::bus::proxy::{CallError, Place};
use std::io;

/// Yes, or done.
pub const YES: u8 = 0;
/// No, or the work ended other than well.
pub const NO: u8 = 1;
/// The command line was not understood.
pub const USAGE: u8 = 2;
/// No bus, nobody behind the name, or no answer.
pub const UNREACHABLE: u8 = 3;
/// Not authorised.
pub const NOT_AUTHORISED: u8 = 4;
/// Refused for another reason, which is named.
pub const REFUSED: u8 = 5;

/// A command that ends early.
#[derive(Debug)]
pub enum Failure {
    /// A call failed.
    Call {
        /// `stop web`: completes "cannot …".
        what: String,
        /// Why.
        error: CallError,
    },
    /// Not what the options allow.
    Usage(String),
    /// The answer is no.
    No(String),
    /// Everything was said already.
    Said(u8),
    /// Output could not be written.
    Output(io::Error),
}

/// Names what was being done when a call failed.
pub trait Doing<T> {
    /// `what` completes "cannot …".
    fn doing(self, what: impl Into<String>) -> Result<T, Failure>;
}

impl<T> Doing<T> for Result<T, CallError> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::Call { what: what.into(), error })
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Call { error, .. } => code_of(error),
            Failure::Usage(_) => USAGE,
            Failure::No(_) => NO,
            Failure::Said(code) => *code,
            // The reader has seen enough.
            Failure::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => YES,
            Failure::Output(_) => NO,
        }
    }

    /// Says it on standard error.
    pub fn report(&self, ctl: &Ctl) {
        let text = match self {
            Failure::Call { what, error } => message(what, error, &ctl.place),
            Failure::Usage(text) => format!("reevectl: {text}\nSee `reevectl --help`.\n"),
            Failure::No(text) => format!("reevectl: {text}\n"),
            Failure::Said(_) => return,
            Failure::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => return,
            Failure::Output(e) => format!("reevectl: cannot write output: {e}\n"),
        };
        ctl.output.err(&text);
    }
}

/// The exit code of a failed call.
pub fn code_of(error: &CallError) -> u8 {
    match error {
        CallError::Unreachable { .. } | CallError::Mismatch(_) => UNREACHABLE,
        CallError::NotAuthorized { .. } => NOT_AUTHORISED,
        CallError::Refused { .. } => REFUSED,
    }
}

/// What failed, why, and the next command, each on its line.
pub fn message(what: &str, error: &CallError, place: &Place) -> String {
    let mut text = format!("reevectl: cannot {what}: {error}\n");
    if let Some(hint) = hint(error, place) {
        text.push_str(&hint);
        text.push('\n');
    }
    text
}

fn hint(error: &CallError, place: &Place) -> Option<String> {
    match error {
        CallError::Unreachable { .. } => Some(match place {
            Place::Private(path) => {
                format!("Is reeved running with the same --root? Nothing answers on {}.", path.display())
            }
            _ => "See `systemctl status reeved` and `journalctl -u reeved`.".to_owned(),
        }),
        CallError::NotAuthorized { action, .. } => Some(authority(action, place)),
        CallError::Mismatch(_) => Some(
            "Are reeved and reevectl of the same version? Compare `reevectl --version` with `reeved --version`."
                .to_owned(),
        ),
        CallError::Refused { name, .. } => next_command(name).map(str::to_owned),
    }
}

/// Who may do it, and how to become one of them.
fn authority(action: &str, place: &Place) -> String {
    if matches!(place, Place::Private(_) | Place::Session) || action.is_empty() {
        return "Run it as the user who runs reeved, or as root.".to_owned();
    }
    let group = group_of(action);
    format!(
        "It needs the polkit action org.reeve.node1.{action}, which members of {group} have:\n\
         `sudo usermod -aG {group} \"$USER\"`, then log in again; or run it with sudo."
    )
}

/// The group whose level covers the action.
fn group_of(action: &str) -> &'static str {
    match action {
        "reload-config" | "set-log-level" | "reboot" | "gpu-control" | "lift-isolation" | "run-admin-task"
        | "manage-tasks" | "approve" | "cancel-any" | "break-slot" | "lead" | "recover-fleet" | "failover"
        | "rollout-control" => "reeve-admins",
        _ => "reeve-operators",
    }
}

fn next_command(name: &str) -> Option<&'static str> {
    Some(match name {
        "NoSuchWorker" | "NoSuchTeam" => "`reevectl list` shows all workers and their teams.",
        "NoSuchReplica" => "`reevectl status WORKER` shows its replicas.",
        "NoSuchKey" => "`reevectl config show` shows all keys in force; see reeve.toml(5).",
        "InvalidState" | "Conflict" => "`reevectl status` shows what is going on.",
        "Unplaceable" => "`reevectl plan` shows why it does not fit this node.",
        "Draining" => "`reevectl node undrain` lets the node take work again.",
        "NoSuchNode" => "`reevectl fleet nodes` shows all nodes, on a voter.",
        "NoSuchSlot" => "`reevectl fleet slots` shows all slots.",
        "SlotUnavailable" | "OutsideWindow" => "`reevectl fleet slots` shows who holds what.",
        "NotLeader" | "NoQuorum" => "`reevectl fleet status` shows who leads, and who has answered.",
        "ConfigInvalid" => "`reevectl config check` lists every mistake.",
        "Busy" => "Try again in a moment.",
        "Unavailable" => "`reevectl status` shows which component is in trouble.",
        "AuditBroken" => "The entries before the one named are sound; keep the files for an investigation.",
        "org.freedesktop.DBus.Error.UnknownMethod"
        | "org.freedesktop.DBus.Error.UnknownInterface"
        | "org.freedesktop.DBus.Error.UnknownObject" => {
            "This reeved does not offer it: is it older than reevectl, or still starting?"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str) -> CallError {
        CallError::Refused { name: name.to_owned(), text: "no worker is named wbe".to_owned() }
    }

    #[test]
    fn every_kind_of_failure_has_its_exit_code() {
        let call = |error| Failure::Call { what: "stop web".to_owned(), error };
        let unreachable = CallError::Unreachable { place: "the system bus".to_owned(), why: "no such file".to_owned() };
        let shut = CallError::NotAuthorized { action: "manage-workers", text: "no".to_owned() };
        let pipe = Failure::Output(io::Error::from(io::ErrorKind::BrokenPipe));
        let full = Failure::Output(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(pipe.code(), 0);
        assert_eq!(full.code(), 1);
        assert_eq!(Failure::No(String::new()).code(), 1);
        assert_eq!(Failure::Usage(String::new()).code(), 2);
        assert_eq!(call(unreachable).code(), 3);
        assert_eq!(call(CallError::Mismatch(String::new())).code(), 3);
        assert_eq!(call(shut).code(), 4);
        assert_eq!(call(refused("NoSuchWorker")).code(), 5);
    }

    #[test]
    fn a_message_says_what_failed_why_and_the_next_command() {
        assert_eq!(
            message("stop wbe", &refused("NoSuchWorker"), &Place::System),
            "reevectl: cannot stop wbe: no worker is named wbe\n\
             `reevectl list` shows all workers and their teams.\n"
        );
        let shut = |action| CallError::NotAuthorized { action, text: "the caller is not an operator".to_owned() };
        let text = message("stop web", &shut("manage-workers"), &Place::System);
        assert!(text.contains("org.reeve.node1.manage-workers"), "{text}");
        assert!(text.contains("reeve-operators"), "{text}");
        let text = message("reload", &shut("reload-config"), &Place::System);
        assert!(text.contains("reeve-admins"), "{text}");
        let private = Place::Private("/tmp/x/run/reeve/bus".into());
        let text = message("reload", &shut("reload-config"), &private);
        assert!(text.contains("as the user who runs reeved"), "{text}");
    }
}
