//! The standard interfaces: Peer, Introspectable, Properties, ObjectManager. All from the table and the snapshot.

use super::dispatch::own_interface;
use super::error::Error;
use super::introspect;
use super::names::{Object, ROOT, escape, run_id};
use super::objects::properties::{Gauges, View, dict, find};
use super::peer::Peer;
use super::table;
use super::wire::{Dict, PathRef};
use reeve_core::Snapshot;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use zbus::{Message, Signature, Type, Variant};

const PEER: &str = "org.freedesktop.DBus.Peer";
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";

pub(super) fn is_standard(interface: &str) -> bool {
    interface.starts_with("org.freedesktop.DBus.")
}

/// The name of a method of theirs.
pub(super) fn method(member: &str) -> Option<&'static str> {
    const ALL: [&str; 7] = ["Ping", "GetMachineId", "Introspect", "Get", "GetAll", "Set", "GetManagedObjects"];
    ALL.into_iter().find(|name| *name == member)
}

/// Answers a call of a standard interface; `None` when it is none of theirs and no interface was named.
pub(super) fn call(
    peer: &Peer,
    message: &Message,
    path: &str,
    interface: Option<&str>,
    member: &str,
) -> Result<Option<Message>, Error> {
    let header = message.header();
    let reply = Message::method_return(&header);
    let is = |name: &str| interface.is_none_or(|i| i == name);
    let context = &peer.context;
    let snapshot = context.handle.snapshot();
    let log_level = context.log_level.borrow().clone();
    let view = View::new(&snapshot, context, &log_level);
    let answer = match member {
        // Our own Ping answers with the time; without an interface it is meant.
        "Ping" if interface == Some(PEER) => reply.build(&()),
        "GetMachineId" if is(PEER) => reply.build(&(machine_id()?.as_str(),)),
        "Introspect" if is(INTROSPECTABLE) => {
            let xml = introspection(&snapshot, path).ok_or_else(|| Error::unknown_object(path))?;
            reply.build(&(xml.as_str(),))
        }
        "Get" if is(PROPERTIES) => {
            let body = message.body();
            let (name, property): (&str, &str) = body.deserialize().map_err(|_| mismatch(message, "Get", "ss"))?;
            let object = live(&snapshot, path)?;
            let found = own_interface(&object, name).ok_or_else(|| Error::unknown_interface(name, path))?;
            let value = find(&view, &object, found, property).ok_or_else(|| Error::unknown_property(name, property))?;
            reply.build(&(value,))
        }
        "GetAll" if is(PROPERTIES) => {
            let body = message.body();
            let (name,): (&str,) = body.deserialize().map_err(|_| mismatch(message, "GetAll", "s"))?;
            let object = live(&snapshot, path)?;
            if is_standard(name) {
                reply.build(&(Dict::new(),))
            } else {
                let found = own_interface(&object, name).ok_or_else(|| Error::unknown_interface(name, path))?;
                let all = dict(&view, &object, found, Gauges::Read).ok_or_else(|| Error::unknown_object(path))?;
                reply.build(&(all,))
            }
        }
        "Set" if is(PROPERTIES) => {
            let body = message.body();
            let (name, property, _): (&str, &str, Variant<'_>) =
                body.deserialize().map_err(|_| mismatch(message, "Set", "ssv"))?;
            let object = live(&snapshot, path)?;
            let found = own_interface(&object, name).ok_or_else(|| Error::unknown_interface(name, path))?;
            return Err(match find(&view, &object, found, property) {
                Some(_) => Error::read_only(property),
                None => Error::unknown_property(name, property),
            });
        }
        "GetManagedObjects" if is(OBJECT_MANAGER) && path == ROOT => reply.build(&(Managed(view),)),
        _ if interface.is_none() => return Ok(None),
        _ => {
            return Err(Error::unknown_method(format!("{path} has no method {member}")));
        }
    };
    Ok(Some(answer?))
}

fn mismatch(message: &Message, method: &str, expected: &str) -> Error {
    let got = message.body().signature().to_string_no_parens();
    Error::signature(method, expected, &got)
}

fn live(snapshot: &Snapshot, path: &str) -> Result<Object, Error> {
    Object::parse(path).filter(|o| o.exists(snapshot)).ok_or_else(|| Error::unknown_object(path))
}

fn machine_id() -> Result<String, Error> {
    std::fs::read_to_string("/etc/machine-id")
        .or_else(|_| std::fs::read_to_string("/var/lib/dbus/machine-id"))
        .map(|id| id.trim().to_owned())
        .map_err(|e| Error::unavailable(format!("/etc/machine-id: {e}")))
}

/// XML of an object, or of a folder on the way to one; `None` when there is neither.
fn introspection(snapshot: &Snapshot, path: &str) -> Option<String> {
    let workers = format!("{ROOT}/worker");
    let runs = format!("{ROOT}/task_run");
    if let Some(object) = Object::parse(path) {
        if !object.exists(snapshot) {
            return None;
        }
        let interfaces = object.interfaces().iter().filter_map(|n| table::interface(n));
        let children = match &object {
            Object::Root => ["worker", "task_run", "fleet"].map(str::to_owned).to_vec(),
            Object::Worker(name) => snapshot
                .workers
                .get(name)
                .map_or(Vec::new(), |w| w.replicas.iter().map(|r| r.id.index.to_string()).collect()),
            Object::Replica(_) | Object::TaskRun(_) | Object::Fleet => Vec::new(),
        };
        let root = object == Object::Root;
        return Some(introspect::object(interfaces, root, true, children));
    }
    let children: Vec<String> = if path == workers {
        snapshot.workers.keys().map(|w| escape(w.as_str())).collect()
    } else if path == runs {
        snapshot.operations.iter().map(|o| run_id(o.id)).collect()
    } else {
        let rest = if path == "/" { ROOT.strip_prefix('/')? } else { ROOT.strip_prefix(path)?.strip_prefix('/')? };
        vec![rest.split('/').next()?.to_owned()]
    };
    Some(introspect::object([], false, false, children))
}

/// `a{oa{sa{sv}}}`: everything below the root, each made when it is written.
struct Managed<'a>(View<'a>);

impl Type for Managed<'_> {
    const SIGNATURE: &'static Signature = &Signature::static_dict(&Signature::ObjectPath, Interfaces::SIGNATURE);
}

impl Serialize for Managed<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for object in objects(self.0.snapshot) {
            let path = object.path();
            map.serialize_entry(&PathRef(&path), &Interfaces(&self.0, &object))?;
        }
        map.end()
    }
}

/// Everything below the root.
fn objects(snapshot: &Snapshot) -> impl Iterator<Item = Object> + '_ {
    let workers = snapshot.workers.values().flat_map(|w| {
        std::iter::once(Object::Worker(w.name.clone())).chain(w.replicas.iter().map(|r| Object::Replica(r.id.clone())))
    });
    workers.chain(snapshot.operations.iter().map(|o| Object::TaskRun(o.id))).chain(std::iter::once(Object::Fleet))
}

/// `a{sa{sv}}`: the interfaces of one object with their properties, gauges unread.
pub(super) struct Interfaces<'a>(pub &'a View<'a>, pub &'a Object);

impl Type for Interfaces<'_> {
    const SIGNATURE: &'static Signature = &Signature::static_dict(&Signature::Str, Dict::SIGNATURE);
}

impl Serialize for Interfaces<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for interface in self.1.interfaces().iter().filter_map(|n| table::interface(n)) {
            if let Some(properties) = dict(self.0, self.1, interface, Gauges::Skip) {
                map.serialize_entry(interface.full_name().as_str(), &properties)?;
            }
        }
        map.end()
    }
}
