//! Names on the bus: the service, its interfaces, and the paths of its objects.

use reeve_core::ids::OperationId;
use reeve_core::status::{OperationStatus, ReplicaStatus};
use reeve_core::{ReplicaId, Snapshot, Target, WorkerName};
use std::sync::Arc;

/// The bus name. Final: the number rises only on an incompatible change.
pub const BUS_NAME: &str = "org.reeve.Node1";
/// The manager's path; all other objects are below it.
pub const ROOT: &str = "/org/reeve/Node1";
/// Counts additions to the interfaces.
pub const API_MINOR: u32 = 3;
/// Prefix of our error names.
pub const ERROR_PREFIX: &str = "org.reeve.Error.";

/// Something a path names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// The node.
    Root,
    /// `worker/<name>`.
    Worker(WorkerName),
    /// `worker/<name>/<n>`.
    Replica(ReplicaId),
    /// `task_run/<id>`.
    TaskRun(OperationId),
    /// `fleet`.
    Fleet,
}

impl Object {
    /// Its path.
    pub fn path(&self) -> String {
        match self {
            Object::Root => ROOT.to_owned(),
            Object::Worker(worker) => format!("{ROOT}/worker/{}", escape(worker.as_str())),
            Object::Replica(replica) => format!("{ROOT}/worker/{}/{}", escape(replica.worker.as_str()), replica.index),
            Object::TaskRun(id) => format!("{ROOT}/task_run/{}", run_id(*id)),
            Object::Fleet => format!("{ROOT}/fleet"),
        }
    }

    /// Reads a path; `None` when it has not the shape of one of ours.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(ROOT)?;
        if rest.is_empty() {
            return Some(Object::Root);
        }
        if rest == "/fleet" {
            return Some(Object::Fleet);
        }
        let mut parts = rest.strip_prefix('/')?.split('/');
        let object = match (parts.next()?, parts.next()?, parts.next()) {
            ("worker", name, None) => Object::Worker(WorkerName::new(unescape(name)?).ok()?),
            ("worker", name, Some(index)) => Object::Replica(ReplicaId::new(
                WorkerName::new(unescape(name)?).ok()?,
                plain_number(index).filter(|n| *n > 0)?,
            )),
            ("task_run", id, None) => Object::TaskRun(parse_run_id(id)?),
            _ => return None,
        };
        (parts.next().is_none() && object.path() == path).then_some(object)
    }

    /// Whether it exists now.
    pub fn exists(&self, snapshot: &Snapshot) -> bool {
        match self {
            Object::Root | Object::Fleet => true,
            Object::Worker(worker) => snapshot.workers.contains_key(worker),
            Object::Replica(id) => replica(snapshot, id).is_some(),
            Object::TaskRun(id) => operation(snapshot, *id).is_some(),
        }
    }

    /// The last part of each interface it has.
    pub fn interfaces(&self) -> &'static [&'static str] {
        match self {
            Object::Root => &["Manager", "Workers", "Gpus", "Maintenance", "Metrics", "Audit"],
            Object::Worker(_) => &["Worker"],
            Object::Replica(_) => &["Replica"],
            Object::TaskRun(_) => &["TaskRun"],
            Object::Fleet => &["Fleet"],
        }
    }

    /// The target that its methods act on.
    pub fn target(&self) -> Option<Target> {
        match self {
            Object::Worker(worker) => Some(Target::Worker(worker.clone())),
            Object::Replica(replica) => Some(Target::Replica(replica.clone())),
            Object::Root | Object::TaskRun(_) | Object::Fleet => None,
        }
    }
}

impl From<Target> for Object {
    fn from(target: Target) -> Self {
        match target {
            Target::Worker(worker) => Object::Worker(worker),
            Target::Replica(replica) => Object::Replica(replica),
        }
    }
}

/// The replica of this id. They stand in order, mostly without a gap, so the first guess is mostly right.
pub fn replica<'a>(snapshot: &'a Snapshot, id: &ReplicaId) -> Option<&'a Arc<ReplicaStatus>> {
    let replicas = &snapshot.workers.get(&id.worker)?.replicas;
    let guess = usize::try_from(id.index).ok()?.checked_sub(1)?;
    match replicas.get(guess) {
        Some(replica) if replica.id.index == id.index => Some(replica),
        _ => replicas.iter().find(|r| r.id.index == id.index),
    }
}

/// The task run of this id, when it is still kept.
pub fn operation(snapshot: &Snapshot, id: OperationId) -> Option<&Arc<OperationStatus>> {
    snapshot.operations.iter().find(|o| o.id == id)
}

/// The id of a task run as text: 26 digits, so that ids sort by age as text and look alike on every node.
pub fn run_id(id: OperationId) -> String {
    format!("{:026}", id.0)
}

/// Reads the id of a task run: with or without leading zeros, or its path.
pub fn parse_run_id(text: &str) -> Option<OperationId> {
    let id = text.strip_prefix(ROOT).and_then(|t| t.strip_prefix("/task_run/")).unwrap_or(text);
    (!id.is_empty() && id.len() <= 26 && id.bytes().all(|b| b.is_ascii_digit()))
        .then(|| id.parse().ok().map(OperationId))?
}

fn plain_number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Escapes a name into one element of a path, as systemd does: what is not a letter or a digit, and a digit in front,
/// becomes `_` and two hexadecimal digits.
pub fn escape(name: &str) -> String {
    if name.is_empty() {
        return "_".to_owned();
    }
    let mut out = String::with_capacity(name.len() + 8);
    for (i, b) in name.bytes().enumerate() {
        if b.is_ascii_alphabetic() || (i > 0 && b.is_ascii_digit()) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("_{b:02x}"));
        }
    }
    out
}

/// Undoes [`escape`].
pub fn unescape(element: &str) -> Option<String> {
    if element == "_" {
        return Some(String::new());
    }
    let mut out = Vec::with_capacity(element.len());
    let mut rest = element.bytes();
    while let Some(b) = rest.next() {
        if b == b'_' {
            let digits = [rest.next()?, rest.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn paths_parse_back() {
        for (path, object) in [
            ("/org/reeve/Node1", Object::Root),
            ("/org/reeve/Node1/worker/task_2dexecutor", Object::Worker(WorkerName::new("task-executor").unwrap())),
            (
                "/org/reeve/Node1/worker/_33web/12",
                Object::Replica(ReplicaId::new(WorkerName::new("3web").unwrap(), 12)),
            ),
            ("/org/reeve/Node1/task_run/00000000000000000000000042", Object::TaskRun(OperationId(42))),
            ("/org/reeve/Node1/fleet", Object::Fleet),
        ] {
            assert_eq!(object.path(), path);
            assert_eq!(Object::parse(path), Some(object), "{path}");
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "/",
            "/org/reeve",
            "/org/reeve/Node12",
            "/org/reeve/Node1/worker",
            "/org/reeve/Node1/worker/3web",
            "/org/reeve/Node1/worker/web/0",
            "/org/reeve/Node1/worker/web/01",
            "/org/reeve/Node1/worker/web/1/1",
            "/org/reeve/Node1/worker/web_",
            "/org/reeve/Node1/task_run/42",
            "/org/reeve/Node1/fleet/",
            "/org/reeve/Node1/fleet/a",
        ] {
            assert_eq!(Object::parse(path), None, "{path}");
        }
    }

    #[test]
    fn task_run_ids_are_read_in_each_form() {
        for text in ["42", "00000000000000000000000042", "/org/reeve/Node1/task_run/00000000000000000000000042"] {
            assert_eq!(parse_run_id(text), Some(OperationId(42)), "{text}");
        }
        for text in ["", "x", "-1", "99999999999999999999999999", "+1"] {
            assert_eq!(parse_run_id(text), None, "{text}");
        }
    }
}
