//! One key explained: what it takes, what holds when it is absent, what is in force and where that was set.

use super::merge::{Document, Merged};
use super::schema::{self, Key, Kind, Place};
use super::show::{default_literal, defined, literal};
use super::{SourceKind, suggest};
use std::collections::BTreeMap;

/// What is known of a key: `key default unit range requirement text`, and with definitions at hand `value` and
/// `origin`. A worker's key may have the worker in front, `web:worker.replicas`; the end of a key is enough when only
/// one key ends so. `None`: no such key.
pub fn explain(key: &str, merged: Option<&Merged>) -> Option<BTreeMap<String, String>> {
    let (worker, key) = match key.split_once(':') {
        Some((worker, key)) => (Some(worker), key),
        None => (None, key),
    };
    let mut path: Vec<&str> = key.split('.').collect();
    let row = match exact(&path) {
        Some(row) => row,
        None => {
            let row = ending(key)?;
            path = row.segments().collect();
            row
        }
    };
    let mut facts: BTreeMap<String, String> = [
        ("key", path.join(".")),
        ("default", default_literal(row)),
        ("unit", row.unit().to_owned()),
        ("range", row.range()),
        ("requirement", row.requirement.to_owned()),
        ("text", row.text.to_owned()),
    ]
    .into_iter()
    .map(|(name, fact)| (name.to_owned(), fact))
    .collect();
    if let Some((value, origin)) = merged.map(|merged| in_force(merged, worker, &path, row)) {
        facts.insert("value".to_owned(), value);
        facts.insert("origin".to_owned(), origin);
    }
    Some(facts)
}

/// The key nearest to one that does not exist, for "did you mean".
pub fn nearest_key(key: &str) -> Option<String> {
    suggest::nearest(key, schema::schema().map(|row| row.path))
}

/// The row of a path that is complete; a path through a map (`worker.environment.HOME`) has the map's.
fn exact(path: &[&str]) -> Option<&'static Key> {
    [SourceKind::Node, SourceKind::Worker(String::new())].iter().find_map(|kind| {
        (1..=path.len()).rev().find_map(|n| match schema::lookup(schema::keys(kind), path.get(..n)?) {
            Place::Key(row) => {
                let open = matches!(row.kind, Kind::Map { .. } | Kind::Directives | Kind::Bounds);
                (n == path.len() || (open && n + 1 == path.len())).then_some(row)
            }
            Place::Section | Place::Unknown => None,
        })
    })
}

/// The only row that ends so.
fn ending(key: &str) -> Option<&'static Key> {
    let end = format!(".{key}");
    let mut rows = schema::schema().filter(|row| row.path.ends_with(&end));
    let first = rows.next()?;
    rows.next().is_none().then_some(first)
}

/// Value and origin; of a worker key without a worker's name, those of all workers that set it.
fn in_force(merged: &Merged, worker: Option<&str>, path: &[&str], row: &Key) -> (String, String) {
    let one = |document: &Document| match document.find(path) {
        Some(item) => (literal(&item.value), item.at.to_string()),
        None => (default_literal(row), "default".to_owned()),
    };
    if path.first() != Some(&"worker") {
        return one(&merged.node);
    }
    if let Some(name) = worker {
        return match merged.workers.get(name) {
            Some(document) => one(document),
            None => (String::new(), defined(merged, name)),
        };
    }
    let set: Vec<_> = merged
        .workers
        .iter()
        .filter(|(_, document)| document.find(path).is_some())
        .map(|(name, document)| (name, one(document)))
        .collect();
    if set.is_empty() {
        return (default_literal(row), "default".to_owned());
    }
    let join = |parts: Vec<String>| parts.join("; ");
    (
        join(set.iter().map(|(name, (value, _))| format!("{name}: {value}")).collect()),
        join(set.iter().map(|(name, (_, origin))| format!("{name}: {origin}")).collect()),
    )
}
