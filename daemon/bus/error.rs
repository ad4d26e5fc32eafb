//! Refusals as they leave on the bus: `org.reeve.Error.*`, and the few standard names that tools know.

use super::names::ERROR_PREFIX;
use crate::app::handle::Ended;
use reeve_core::config::Diagnostic;
use reeve_core::{Refusal, RefusalKind};
use std::fmt;
use zbus::Message;
use zbus::message::Header;

/// Names of our errors. The core's [`RefusalKind`]s are among them, by the same names.
pub const NAMES: &[&str] = &[
    "NotAuthorized",
    "NoSuchWorker",
    "NoSuchReplica",
    "NoSuchTeam",
    "NoSuchTaskRun",
    "NoSuchNode",
    "NoSuchSlot",
    "NoSuchKey",
    "InvalidArgument",
    "InvalidState",
    "Conflict",
    "Unplaceable",
    "NotLeader",
    "NoQuorum",
    "SlotUnavailable",
    "OutsideWindow",
    "Draining",
    "Timeout",
    "Cancelled",
    "Busy",
    "ConfigInvalid",
    "AuditBroken",
    "Unavailable",
    "NotSupported",
    "Internal",
];

/// A refusal: a D-Bus error name and a plain sentence (busctl shows only that).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    name: &'static str,
    text: String,
}

impl Error {
    /// `org.reeve.Error.<name>`.
    pub fn new(name: &'static str, text: impl Into<String>) -> Self {
        debug_assert!(name.contains('.') || NAMES.contains(&name), "{name}");
        Self { name, text: text.into() }
    }

    /// The last part of its name.
    pub fn kind(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// What was passed makes no sense.
    pub fn argument(text: impl Into<String>) -> Self {
        Self::new("InvalidArgument", text)
    }

    /// The caller may not.
    pub fn not_authorized(text: impl Into<String>) -> Self {
        Self::new("NotAuthorized", text)
    }

    /// Not in this version, or not in this set-up.
    pub fn not_supported(text: impl Into<String>) -> Self {
        Self::new("NotSupported", text)
    }

    /// Not in the present state of things.
    pub fn invalid_state(text: impl Into<String>) -> Self {
        Self::new("InvalidState", text)
    }

    /// Something we lean on does not answer.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::new("Unavailable", text)
    }

    /// A password would help, but the caller did not allow to ask for one. The standard name, which tools know.
    pub fn interaction_required(text: impl Into<String>) -> Self {
        Self::new("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", text)
    }

    /// No such method; likewise standard.
    pub fn unknown_method(text: impl Into<String>) -> Self {
        Self::new("org.freedesktop.DBus.Error.UnknownMethod", text)
    }

    /// No such object.
    pub fn unknown_object(path: &str) -> Self {
        Self::new("org.freedesktop.DBus.Error.UnknownObject", format!("there is no object {path}"))
    }

    /// No such interface there.
    pub fn unknown_interface(interface: &str, path: &str) -> Self {
        Self::new("org.freedesktop.DBus.Error.UnknownInterface", format!("{path} has no interface {interface}"))
    }

    /// No such property.
    pub fn unknown_property(interface: &str, name: &str) -> Self {
        Self::new("org.freedesktop.DBus.Error.UnknownProperty", format!("{interface} has no property {name}"))
    }

    /// Properties are changed by methods only.
    pub fn read_only(name: &str) -> Self {
        Self::new("org.freedesktop.DBus.Error.PropertyReadOnly", format!("{name} cannot be set; a change is a method"))
    }

    /// The arguments have the wrong types.
    pub fn signature(method: &str, expected: &str, got: &str) -> Self {
        Self::new(
            "org.freedesktop.DBus.Error.InvalidArgs",
            format!("{method} takes arguments of type \"{expected}\", not \"{got}\""),
        )
    }

    /// The full error name.
    pub fn name(&self) -> String {
        if self.name.contains('.') { self.name.to_owned() } else { format!("{ERROR_PREFIX}{}", self.name) }
    }

    /// The last part of its name, for the audit trail.
    pub fn word(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// The sentence.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The reply that carries it.
    pub fn reply(&self, to: &Header<'_>) -> zbus::Result<Message> {
        Message::error(to, self.name()).build(&(self.text.as_str(),))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.text)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let name = match refusal.kind {
            RefusalKind::NoSuchWorker => "NoSuchWorker",
            RefusalKind::NoSuchReplica => "NoSuchReplica",
            RefusalKind::NoSuchTeam => "NoSuchTeam",
            RefusalKind::NoSuchTaskRun => "NoSuchTaskRun",
            RefusalKind::NoSuchKey => "NoSuchKey",
            RefusalKind::InvalidArgument => "InvalidArgument",
            RefusalKind::InvalidState => "InvalidState",
            RefusalKind::Conflict => "Conflict",
            RefusalKind::Unplaceable => "Unplaceable",
            RefusalKind::Draining => "Draining",
            RefusalKind::NotSupported => "NotSupported",
            RefusalKind::Busy => "Busy",
            RefusalKind::Unavailable => "Unavailable",
        };
        Self::new(name, refusal.text)
    }
}

impl From<Ended> for Error {
    fn from(ended: Ended) -> Self {
        Self::unavailable(ended.to_string())
    }
}

impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        Self::new("Internal", error.to_string())
    }
}

/// The files on disk have mistakes: every one of them in the text, one a line.
impl From<Vec<Diagnostic>> for Error {
    fn from(mistakes: Vec<Diagnostic>) -> Self {
        let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        Self::new("ConfigInvalid", lines.join("\n"))
    }
}
