//! Names and numbers that identify things: workers, replicas, runs, teams, operations.
//!
//! All are newtypes, so that one can never be passed for another. Names are checked once, when made.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a name or id was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A name must match `[a-z0-9]([a-z0-9-]*[a-z0-9])?` and be at most 48 characters long.
    #[error("{what} name {name:?} is not valid: use 1 to 48 of a-z, 0-9 and '-', not starting or ending with '-'")]
    Name { what: &'static str, name: String },
    /// A run id is 32 hexadecimal digits, the shape of systemd's InvocationID.
    #[error("run id {0:?} is not 32 hexadecimal digits")]
    Run(String),
    /// A replica is written `WORKER/N` with N from 1.
    #[error("replica {0:?} is not of the form WORKER/N with N from 1")]
    Replica(String),
}

fn check_name(what: &'static str, name: &str) -> Result<(), IdError> {
    let ok = !name.is_empty()
        && name.len() <= 48
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if ok { Ok(()) } else { Err(IdError::Name { what, name: name.to_owned() }) }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $ty:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $ty(std::sync::Arc<str>);

        impl $ty {
            /// Checks and makes a name.
            pub fn new(name: impl AsRef<str>) -> Result<Self, IdError> {
                check_name($what, name.as_ref())?;
                Ok(Self(name.as_ref().into()))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl TryFrom<String> for $ty {
            type Error = IdError;
            fn try_from(s: String) -> Result<Self, IdError> {
                Self::new(s)
            }
        }
        impl From<$ty> for String {
            fn from(n: $ty) -> String {
                n.0.to_string()
            }
        }
        impl FromStr for $ty {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                Self::new(s)
            }
        }
    };
}

name_type!(
    /// What is kept running: the name of a worker definition.
    WorkerName, "worker"
);
name_type!(
    /// Workers that start, stop, drain and are limited together.
    TeamName, "team"
);

/// One numbered copy of a worker, written `worker/n`, n from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReplicaId {
    /// The worker it is a copy of.
    pub worker: WorkerName,
    /// Its number, from 1.
    pub index: u32,
}

impl ReplicaId {
    /// The replica `index` of `worker`.
    pub fn new(worker: WorkerName, index: u32) -> Self {
        Self { worker, index }
    }

    /// The stable name of its systemd unit: `reeve-<worker>-<n>.service`.
    pub fn unit(&self) -> String {
        format!("reeve-{}-{}.service", self.worker, self.index)
    }

    /// Reads a unit name back; `None` when it is not one of ours.
    pub fn from_unit(unit: &str) -> Option<Self> {
        let stem = unit.strip_prefix("reeve-")?.strip_suffix(".service")?;
        let (worker, index) = stem.rsplit_once('-')?;
        let index: u32 = index.parse().ok().filter(|i| *i > 0)?;
        Some(Self { worker: WorkerName::new(worker).ok()?, index })
    }

    /// `<worker>-<n>`: the name of its files and sockets.
    pub fn file_name(&self) -> String {
        format!("{}-{}", self.worker, self.index)
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.worker, self.index)
    }
}
impl FromStr for ReplicaId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let bad = || IdError::Replica(s.to_owned());
        let (worker, index) = s.split_once('/').ok_or_else(bad)?;
        let index: u32 = index.parse().ok().filter(|i| *i > 0).ok_or_else(bad)?;
        Ok(Self { worker: WorkerName::new(worker)?, index })
    }
}
impl TryFrom<String> for ReplicaId {
    type Error = IdError;
    fn try_from(s: String) -> Result<Self, IdError> {
        s.parse()
    }
}
impl From<ReplicaId> for String {
    fn from(r: ReplicaId) -> String {
        r.to_string()
    }
}

/// What a command names: a whole worker or one replica of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Every replica of the worker.
    Worker(WorkerName),
    /// One replica.
    Replica(ReplicaId),
}

impl Target {
    /// The worker it belongs to.
    pub fn worker(&self) -> &WorkerName {
        match self {
            Target::Worker(w) => w,
            Target::Replica(r) => &r.worker,
        }
    }
}
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Worker(w) => w.fmt(f),
            Target::Replica(r) => r.fmt(f),
        }
    }
}
impl FromStr for Target {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        if s.contains('/') { Ok(Target::Replica(s.parse()?)) } else { Ok(Target::Worker(s.parse()?)) }
    }
}

/// One life of a replica. On systemd it is the unit's InvocationID; `direct` makes one of the same shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(pub [u8; 16]);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
impl FromStr for RunId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let bad = || IdError::Run(s.to_owned());
        if s.len() != 32 || !s.is_ascii() {
            return Err(bad());
        }
        let mut id = [0u8; 16];
        for (i, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(s.get(2 * i..2 * i + 2).ok_or_else(bad)?, 16).map_err(|_| bad())?;
        }
        Ok(Self(id))
    }
}
impl TryFrom<String> for RunId {
    type Error = IdError;
    fn try_from(s: String) -> Result<Self, IdError> {
        s.parse()
    }
}
impl From<RunId> for String {
    fn from(r: RunId) -> String {
        r.to_string()
    }
}

/// Names one `Start` effect until the launcher answers with the run's id. Never reused within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartToken(pub u64);

/// One accepted long command (a task run of kind `command` on the bus).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId(pub u64);

/// One command on the inbox, to match the reply with the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn unit_names_parse_back() {
        let r: ReplicaId = "task-executor/12".parse().unwrap();
        assert_eq!(r.unit(), "reeve-task-executor-12.service");
        assert_eq!(ReplicaId::from_unit(&r.unit()), Some(r));
        assert_eq!(ReplicaId::from_unit("reeve-task@backup.service"), None);
        assert_eq!(ReplicaId::from_unit("reeve-web.service"), None);
        assert_eq!(ReplicaId::from_unit("reeve-web-0.service"), None);
    }

    #[test]
    fn run_ids_parse_back() {
        let text = "0123456789abcdef0123456789abcdef";
        assert_eq!(text.parse::<RunId>().unwrap().to_string(), text);
        assert!("xyz".parse::<RunId>().is_err());
        assert!("é123456789abcdef0123456789abcde".parse::<RunId>().is_err());
    }

    #[test]
    fn names_are_checked() {
        for bad in ["", "-a", "a-", "A", "a@b", "a/b", "ä", &"x".repeat(49)] {
            assert!(WorkerName::new(bad).is_err(), "{bad}");
        }
        assert!("web/0".parse::<Target>().is_err());
        assert!(matches!("web".parse::<Target>().unwrap(), Target::Worker(_)));
    }
}
