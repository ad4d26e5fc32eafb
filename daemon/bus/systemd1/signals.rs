//! Signals of PID 1 turned into plain events.

use super::state::UnitPart;
use super::{SERVICE, unit_name};
use std::collections::HashMap;
use zbus::message::{Message, Type};
use zbus::{ObjectPath, Variant};

/// Something PID 1, or the bus about PID 1, has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemdEvent {
    /// A job is over. Changes of its unit up to then have been announced before.
    JobRemoved {
        /// Object path, as the call that made the job returned it.
        job: String,
        /// Its unit.
        unit: String,
        /// `done`, `failed`, `canceled`, `timeout`, `dependency`, `skipped` …
        result: String,
    },
    /// A unit has changed. PID 1 sends what is special to services first, then what is common to all units, both of
    /// the same instant: `complete` is set on the second.
    Changed {
        /// Which.
        unit: String,
        /// What it is now.
        part: Box<UnitPart>,
        /// The picture is whole.
        complete: bool,
    },
    /// A unit is no longer loaded.
    UnitRemoved {
        /// Which.
        unit: String,
    },
    /// A daemon-reload begins (`true`) or has ended.
    Reloading(bool),
    /// PID 1 is on the bus anew (`true`: daemon-reexec) or has left it.
    Owner(bool),
    /// The bus is gone. Nothing follows.
    Lost,
}

/// Reads messages of one connection.
#[derive(Debug)]
pub(super) struct Reader {
    owner: String,
}

impl Reader {
    pub(super) fn new(owner: String) -> Self {
        Self { owner }
    }

    /// The event in a message, if it is one of ours.
    pub(super) fn read(&mut self, message: &Message) -> Option<SystemdEvent> {
        if message.message_type() != Type::Signal {
            return None;
        }
        let header = message.header();
        let sender = header.sender()?.as_str();
        let member = header.member()?.as_str();
        if sender == "org.freedesktop.DBus" && member == "NameOwnerChanged" {
            return self.owner_changed(message);
        }
        if sender != self.owner {
            return None;
        }
        match (header.interface()?.as_str(), member) {
            ("org.freedesktop.DBus.Properties", "PropertiesChanged") => changed(header.path()?.as_str(), message),
            ("org.freedesktop.systemd1.Manager", "JobRemoved") => {
                let body = message.body();
                let (_, job, unit, result): (u32, ObjectPath<'_>, &str, &str) = body.deserialize().ok()?;
                ours(unit).then(|| SystemdEvent::JobRemoved {
                    job: job.to_string(),
                    unit: unit.to_owned(),
                    result: result.to_owned(),
                })
            }
            ("org.freedesktop.systemd1.Manager", "UnitRemoved") => {
                let body = message.body();
                let (unit, _): (&str, ObjectPath<'_>) = body.deserialize().ok()?;
                ours(unit).then(|| SystemdEvent::UnitRemoved { unit: unit.to_owned() })
            }
            ("org.freedesktop.systemd1.Manager", "Reloading") => {
                message.body().deserialize().ok().map(SystemdEvent::Reloading)
            }
            _ => None,
        }
    }

    fn owner_changed(&mut self, message: &Message) -> Option<SystemdEvent> {
        let body = message.body();
        let (name, _, new): (&str, &str, &str) = body.deserialize().ok()?;
        if name != SERVICE {
            return None;
        }
        new.clone_into(&mut self.owner);
        Some(SystemdEvent::Owner(!new.is_empty()))
    }
}

fn ours(unit: &str) -> bool {
    unit.starts_with("reeve-")
}

fn changed(path: &str, message: &Message) -> Option<SystemdEvent> {
    let unit = unit_name(path).filter(|unit| ours(unit))?;
    let body = message.body();
    let (interface, properties, _): (&str, HashMap<&str, Variant<'_>>, Vec<&str>) = body.deserialize().ok()?;
    let complete = match interface {
        "org.freedesktop.systemd1.Service" => false,
        "org.freedesktop.systemd1.Unit" => true,
        _ => return None,
    };
    Some(SystemdEvent::Changed { unit, part: Box::new(UnitPart::read(&properties)), complete })
}
