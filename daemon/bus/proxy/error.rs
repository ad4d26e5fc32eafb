//! Why a call came to nothing, in the four ways a user can do something about.

use zbus::DBusError;
use zbus::fdo;

const OURS: &str = "org.reeve.Error.";

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No bus, nobody behind the name, or no answer.
    #[error("no answer from reeved on {place}: {why}")]
    Unreachable {
        /// `the system bus`, `the private bus /run/reeve/bus`.
        place: String,
        /// What happened.
        why: String,
    },
    /// The caller may not do this.
    #[error("not authorised: {text}")]
    NotAuthorized {
        /// `manage-workers`: the polkit action without its prefix; empty when the door itself was shut.
        action: &'static str,
        /// What the daemon or the bus said.
        text: String,
    },
    /// The daemon said no and why.
    #[error("{text}")]
    Refused {
        /// `NoSuchWorker`: the error name without our prefix, or the full name of a foreign one.
        name: String,
        /// What the daemon said.
        text: String,
    },
    /// The answer has another shape than this version knows.
    #[error("the answer of reeved was not understood: {0}")]
    Mismatch(String),
}

impl CallError {
    /// Whether it is the refusal of this name.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, CallError::Refused { name, .. } if name == wanted)
    }

    /// Sorts a zbus error. `action` is what the method needs, `place` where it was sent.
    pub(super) fn from_zbus(error: zbus::Error, action: &'static str, place: &str) -> Self {
        let unreachable = |why: String| CallError::Unreachable { place: place.to_owned(), why };
        match error {
            zbus::Error::MethodError(name, text, _) => {
                let text = text.unwrap_or_default();
                match name.strip_prefix(OURS) {
                    Some("NotAuthorized") => CallError::NotAuthorized { action, text },
                    Some(short) => CallError::Refused { name: short.to_owned(), text: or_name(text, short) },
                    // The bus asked systemd to start the daemon, and that failed.
                    None if name.starts_with("org.freedesktop.systemd1.") => unreachable(or_name(text, &name)),
                    None => CallError::Refused { name: name.to_string(), text: or_name(text, &name) },
                }
            }
            zbus::Error::FDO(error) => Self::from_standard(*error, action, place),
            zbus::Error::InputOutput(e) => unreachable(e.to_string()),
            zbus::Error::Connection(e, _) => unreachable(e.to_string()),
            zbus::Error::Handshake(text) | zbus::Error::Address(text) => unreachable(text),
            other => CallError::Mismatch(other.to_string()),
        }
    }

    fn from_standard(error: fdo::Error, action: &'static str, place: &str) -> Self {
        let name = error.name().to_string();
        let text = error.description().unwrap_or_default().to_owned();
        match error {
            fdo::Error::ZBus(inner) => Self::from_zbus(inner, action, place),
            fdo::Error::InteractiveAuthorizationRequired(_)
            | fdo::Error::AccessDenied(_)
            | fdo::Error::AuthFailed(_) => CallError::NotAuthorized { action, text },
            fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_) => CallError::Unreachable {
                place: place.to_owned(),
                why: "nobody owns the name org.reeve.Node1".to_owned(),
            },
            fdo::Error::NoReply(_)
            | fdo::Error::Disconnected(_)
            | fdo::Error::Timeout(_)
            | fdo::Error::TimedOut(_)
            | fdo::Error::NoServer(_)
            | fdo::Error::SpawnFailed(_)
            | fdo::Error::SpawnChildExited(_)
            | fdo::Error::SpawnExecFailed(_)
            | fdo::Error::IOError(_) => CallError::Unreachable { place: place.to_owned(), why: or_name(text, &name) },
            _ => CallError::Refused { text: or_name(text, &name), name },
        }
    }
}

fn or_name(text: String, name: &str) -> String {
    if text.is_empty() { name.to_owned() } else { text }
}
