//! Domain types as they travel: dictionaries of variants with the names of design.md's JSON.
//!
//! [`Val`] is a variant that borrows from the snapshot and is written straight into the message, so that a list of a
//! thousand replicas needs no copy of them. It can be compared, by which the watcher knows what has changed.

use super::names::Object;
use reeve_core::status::{LastExit, ReplicaStatus};
use reeve_core::{ExitRecord, ReplicaId};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use zbus::{ObjectPath, Signature, Type, as_variant};

/// What a gauge shows when nobody knows, as systemd does.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Val<'a> {
    /// `s`.
    Text(Cow<'a, str>),
    /// `b`.
    Bool(bool),
    /// `i`.
    Int(i32),
    /// `q`.
    Port(u16),
    /// `u`.
    Count(u32),
    /// `t`.
    Long(u64),
    /// `d`.
    Real(f64),
    /// `o`.
    Path(String),
    /// `as`.
    Texts(Vec<Cow<'a, str>>),
    /// `ao`.
    Paths(Vec<String>),
    /// `a{ss}`.
    Map(&'a BTreeMap<String, String>),
    /// `(ss)`.
    Pair(Cow<'a, str>, Cow<'a, str>),
    /// `a{sv}`.
    Dict(Dict<'a>),
    /// `aa{sv}`.
    Dicts(Vec<Dict<'a>>),
    /// The same, each made when it is written.
    Replicas(&'a [Arc<ReplicaStatus>]),
}

impl<'a> Val<'a> {
    /// `s`.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Val::Text(text.into())
    }

    /// `as`.
    pub fn texts(texts: &'a [String]) -> Self {
        Val::Texts(texts.iter().map(|t| Cow::Borrowed(t.as_str())).collect())
    }

    /// Its type.
    #[cfg(test)]
    pub fn signature(&self) -> &'static str {
        match self {
            Val::Text(_) => "s",
            Val::Bool(_) => "b",
            Val::Int(_) => "i",
            Val::Port(_) => "q",
            Val::Count(_) => "u",
            Val::Long(_) => "t",
            Val::Real(_) => "d",
            Val::Path(_) => "o",
            Val::Texts(_) => "as",
            Val::Paths(_) => "ao",
            Val::Map(_) => "a{ss}",
            Val::Pair(..) => "(ss)",
            Val::Dict(_) => "a{sv}",
            Val::Dicts(_) | Val::Replicas(_) => "aa{sv}",
        }
    }
}

/// Writes `value` as a variant.
fn variant<T: Type + Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    as_variant::Serialize(value).serialize(to)
}

impl Serialize for Val<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Val::Text(text) => variant(&text.as_ref(), to),
            Val::Bool(value) => variant(value, to),
            Val::Int(value) => variant(value, to),
            Val::Port(value) => variant(value, to),
            Val::Count(value) => variant(value, to),
            Val::Long(value) => variant(value, to),
            Val::Real(value) => variant(value, to),
            Val::Path(path) => variant(&PathRef(path), to),
            Val::Texts(texts) => variant(texts, to),
            Val::Paths(paths) => {
                let paths: Vec<_> = paths.iter().map(|p| PathRef(p)).collect();
                variant(&paths, to)
            }
            Val::Map(map) => variant(map, to),
            Val::Pair(one, other) => variant(&(one.as_ref(), other.as_ref()), to),
            Val::Dict(dict) => variant(dict, to),
            Val::Dicts(dicts) => variant(dicts, to),
            Val::Replicas(replicas) => variant(&Replicas(replicas), to),
        }
    }
}

impl Type for Val<'_> {
    const SIGNATURE: &'static Signature = &Signature::Variant;
}

/// A path made by us, hence valid; checked only as far as the bus does.
#[derive(Debug, Clone, Copy)]
pub(super) struct PathRef<'a>(pub &'a str);

impl Serialize for PathRef<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ObjectPath::try_from(self.0).map_err(serde::ser::Error::custom)?.serialize(to)
    }
}

impl Type for PathRef<'_> {
    const SIGNATURE: &'static Signature = ObjectPath::SIGNATURE;
}

/// `a{sv}`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Dict<'a>(Vec<(Cow<'static, str>, Val<'a>)>);

impl<'a> Dict<'a> {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more.
    pub fn with(mut self, key: impl Into<Cow<'static, str>>, value: Val<'a>) -> Self {
        self.0.push((key.into(), value));
        self
    }

    /// With one more where there is one: an absent value is left out.
    pub fn maybe(self, key: &'static str, value: Option<Val<'a>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> FromIterator<(Cow<'static, str>, Val<'a>)> for Dict<'a> {
    fn from_iter<I: IntoIterator<Item = (Cow<'static, str>, Val<'a>)>>(list: I) -> Self {
        Self(list.into_iter().collect())
    }
}

impl Serialize for Dict<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key.as_ref(), value)?;
        }
        map.end()
    }
}

impl Type for Dict<'_> {
    const SIGNATURE: &'static Signature = &Signature::static_dict(&Signature::Str, &Signature::Variant);
}

/// `aa{sv}`, each made when it is written.
struct Replicas<'a>(&'a [Arc<ReplicaStatus>]);

impl Serialize for Replicas<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for status in self.0 {
            list.serialize_element(&replica(status))?;
        }
        list.end()
    }
}

impl Type for Replicas<'_> {
    const SIGNATURE: &'static Signature = <Vec<Dict<'static>> as Type>::SIGNATURE;
}

/// One element of `replicas` in `ListWorkers`.
fn replica(status: &ReplicaStatus) -> Dict<'_> {
    Dict::new()
        .with("index", Val::Count(status.id.index))
        .with("state", Val::text(status.state))
        .with("ready", Val::Bool(status.ready))
        .with("health", Val::text(status.health))
        .maybe("pid", status.pid.map(Val::Count))
        .maybe("run", status.run.map(|run| Val::text(run.to_string())))
        .maybe("unit", status.unit.as_deref().map(Val::text))
        .with("since", Val::Long(status.since.0))
        .maybe("started", status.started.map(|at| Val::Long(at.0)))
        .with("restarts", Val::Long(status.restarts))
        .maybe("last_exit", status.last_exit.as_ref().map(|e| Val::Dict(last_exit(e))))
        .with("reason", Val::text(status.reason.as_str()))
        .maybe("next_start", status.next_start.map(|at| Val::Long(at.0)))
        .maybe("status", status.status_text.as_deref().map(Val::text))
        .maybe("port", status.port.map(Val::Port))
        .with("gpus", Val::texts(&status.gpus))
        .maybe("active_tasks", status.active_tasks.map(Val::Long))
        .maybe("queue_depth", status.queue_depth.map(Val::Long))
        .with("holds", Val::texts(&status.holds))
        .with("outdated", Val::Bool(status.outdated))
}

/// The newest end of a replica.
fn last_exit(exit: &LastExit) -> Dict<'_> {
    Dict::new()
        .with("cause", Val::text(exit.cause.word()))
        .with("text", Val::text(exit.cause.to_string()))
        .with("at", Val::Long(exit.at.0))
        .maybe("exit_code", exit.exit_code.map(Val::Int))
        .maybe("signal", exit.signal.map(Val::Int))
}

/// One row of `ListRuns`: run, started, ended, cause, supervised, more.
pub(super) type RunRow<'a> = (String, u64, u64, &'static str, bool, Dict<'a>);

/// An ended run. `tail`: the caller may read logs.
pub(super) fn run(record: &ExitRecord, tail: bool) -> RunRow<'_> {
    let more = Dict::new()
        .with("worker", Val::text(record.worker.as_str()))
        .with("replica", Val::Count(record.replica))
        .maybe("exit_code", record.exit_code.map(Val::Int))
        .maybe("signal", record.signal.map(Val::Int))
        .with("reason", Val::text(record.reason.as_str()))
        .maybe("peak_memory", record.peak_memory.map(Val::Long))
        .with("restarts", Val::Long(record.restarts))
        .maybe("log_tail", tail.then(|| Val::texts(&record.log_tail)));
    (
        record.run.to_string(),
        record.started.map_or(0, |at| at.0),
        record.ended.0,
        record.cause.word(),
        record.supervised,
        more,
    )
}

/// The path of a replica.
pub(super) fn replica_path(id: &ReplicaId) -> String {
    Object::Replica(id.clone()).path()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use zbus::wire::{LE, serialized::Context, to_bytes};
    use zbus::{OwnedVariant, Variant};

    #[test]
    fn values_arrive_with_their_types() {
        let map = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let values = [
            Val::text("x"),
            Val::Bool(true),
            Val::Int(-1),
            Val::Port(80),
            Val::Count(7),
            Val::Long(8),
            Val::Real(0.5),
            Val::Path("/org/reeve/Node1".into()),
            Val::Texts(vec!["a".into()]),
            Val::Paths(vec!["/a".into()]),
            Val::Map(&map),
            Val::Pair("a".into(), "b".into()),
            Val::Dict(Dict::new().with("k", Val::Count(1))),
            Val::Dicts(vec![Dict::new()]),
            Val::Replicas(&[]),
        ];
        for value in &values {
            let bytes = to_bytes(Context::new(LE, 0), &(value,)).unwrap();
            let (read,): (Variant<'_>,) = bytes.deserialize().unwrap().0;
            assert_eq!(read.value_signature().to_string(), value.signature(), "{value:?}");
        }
    }

    #[test]
    fn a_dictionary_reads_back() {
        let dict = Dict::new()
            .with("n", Val::Long(5))
            .maybe("absent", None)
            .with("inner", Val::Dict(Dict::new().with("s", Val::text("t"))));
        let bytes = to_bytes(Context::new(LE, 0), &dict).unwrap();
        let read: HashMap<String, OwnedVariant> = bytes.deserialize().unwrap().0;
        assert_eq!(read.len(), 2);
        assert_eq!(*read["n"], Variant::U64(5));
        let inner: HashMap<String, OwnedVariant> = read["inner"].try_clone().unwrap().try_into().unwrap();
        assert_eq!(*inner["s"], Variant::from("t"));
    }
}
