//! Merged definitions as people read them: as TOML with origins, and as differences.

use super::SourceKind;
use super::fragment::{Origin, Table, Value, join};
use super::merge::{Document, Merged};
use super::schema::{self, Key, Kind};
use std::collections::BTreeMap;

/// All definitions as TOML, one after another under a `# ==== FILE ====` line each. Every key says in a comment where
/// it was set, or that it is a default.
pub fn show(merged: &Merged) -> String {
    let mut out = String::new();
    let node = rows(&merged.node, &SourceKind::Node);
    out.push_str(&toml("reeve.toml", &node));
    for (name, worker) in &merged.workers {
        let rows = rows(worker, &SourceKind::Worker(name.clone()));
        out.push_str(&toml(&format!("workers.d/{name}.toml"), &rows));
    }
    for (name, file) in &merged.masked {
        out.push_str(&format!("# ==== workers.d/{name}.toml ====\n# masked by {file}\n\n"));
    }
    out
}

/// What is different between two sets of definitions: key, in force, on disk. Keys of a worker are written
/// `NAME:worker.replicas`.
pub fn diff(in_force: &Merged, on_disk: &Merged) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    let node = |merged: &Merged| flat(&merged.node, &SourceKind::Node);
    compare("", &node(in_force), &node(on_disk), &mut out);
    let all: BTreeMap<&String, ()> =
        in_force.workers.keys().chain(on_disk.workers.keys()).map(|name| (name, ())).collect();
    for name in all.into_keys() {
        let worker = |merged: &Merged| {
            let document = merged.workers.get(name)?;
            Some(flat(document, &SourceKind::Worker(name.clone())))
        };
        match (worker(in_force), worker(on_disk)) {
            (Some(old), Some(new)) => compare(&format!("{name}:"), &old, &new, &mut out),
            _ => out.push((name.clone(), defined(in_force, name), defined(on_disk, name))),
        }
    }
    out
}

/// A value as TOML.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) => quote(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Bool(flag) => flag.to_string(),
        Value::Datetime(text) => text.clone(),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| literal(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) => {
            let items: Vec<_> =
                table.iter().map(|(name, item)| format!("{} = {}", toml_key(name), literal(&item.value))).collect();
            if items.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", items.join(", ")) }
        }
    }
}

/// The default of a key as TOML; empty when it has none.
pub(super) fn default_literal(key: &Key) -> String {
    match (key.kind, key.default) {
        (_, None) => String::new(),
        (Kind::Bool | Kind::Integer { .. } | Kind::Number, Some(text)) | (_, Some(text @ ("[]" | "{}"))) => {
            text.to_owned()
        }
        (_, Some(text)) => quote(text),
    }
}

/// One line of the output.
struct Row {
    section: String,
    name: String,
    value: String,
    origin: Option<Origin>,
}

/// Every key of a document that is set or has a default that holds.
fn rows(document: &Document, kind: &SourceKind) -> Vec<Row> {
    let mut out = Vec::new();
    for key in schema::keys(kind) {
        let segments: Vec<_> = key.segments().collect();
        expand(document, key, &segments, &mut Vec::new(), Some(&document.table), &mut out);
    }
    out
}

/// Walks down to the key, into every table where its path has a `*`.
fn expand<'a>(
    document: &Document,
    key: &Key,
    rest: &[&'a str],
    path: &mut Vec<&'a str>,
    table: Option<&'a Table>,
    out: &mut Vec<Row>,
) {
    let Some((first, rest)) = rest.split_first() else {
        return;
    };
    let names: Vec<&str> = match *first {
        "*" => table.into_iter().flat_map(Table::iter).map(|(name, _)| name).collect(),
        name => vec![name],
    };
    for name in names {
        path.push(name);
        let item = table.and_then(|table| table.get(name));
        match item.map(|item| &item.value) {
            _ if rest.is_empty() => leaf(document, key, path, out),
            Some(Value::Table(inner)) => expand(document, key, rest, path, Some(inner), out),
            // Switched off, or an optional section that is absent: its keys do not hold.
            Some(_) => {}
            None if optional(path) => {}
            None => expand(document, key, rest, path, None, out),
        }
        path.pop();
    }
}

fn optional(path: &[&str]) -> bool {
    schema::schema()
        .any(|row| matches!(row.kind, Kind::Section { optional: true }) && row.segments().eq(path.iter().copied()))
        || path == ["fleet"]
}

fn leaf(document: &Document, key: &Key, path: &[&str], out: &mut Vec<Row>) {
    let (section, name) = match path.split_last() {
        Some((name, parents)) => (dotted(parents), *name),
        None => return,
    };
    let mut push = |section: &str, name: &str, value: String, origin: Option<&Origin>| {
        out.push(Row { section: section.to_owned(), name: toml_key(name), value, origin: origin.cloned() });
    };
    match (document.find(path), key.kind) {
        (Some(item), Kind::Map { .. } | Kind::Directives | Kind::Bounds) => {
            if let Value::Table(table) = &item.value {
                for (name, item) in table.iter() {
                    push(&dotted(path), name, literal(&item.value), Some(&item.at));
                }
            }
        }
        (Some(item), Kind::Section { .. }) => {
            if !matches!(item.value, Value::Table(_)) {
                push(&section, name, literal(&item.value), Some(&item.at));
            }
        }
        (Some(item), _) => push(&section, name, literal(&item.value), Some(&item.at)),
        (None, Kind::Map { .. } | Kind::Directives | Kind::Bounds) => {}
        (None, _) => {
            let default = default_literal(key);
            if !default.is_empty() {
                push(&section, name, default, None);
            }
        }
    }
}

/// Rows as TOML, sections in the order of their first key.
fn toml(file: &str, rows: &[Row]) -> String {
    let mut sections: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows {
        match sections.iter_mut().find(|(name, _)| *name == row.section) {
            Some((_, rows)) => rows.push(row),
            None => sections.push((&row.section, vec![row])),
        }
    }
    let mut out = format!("# ==== {file} ====\n");
    for (name, rows) in sections {
        out.push_str(&format!("[{name}]\n"));
        for row in rows {
            let origin = row.origin.as_ref().map_or_else(|| "default".to_owned(), |o| format!("origin {o}"));
            out.push_str(&format!("{} = {}  # {origin}\n", row.name, row.value));
        }
        out.push('\n');
    }
    out
}

/// Dotted key → value, defaults included.
fn flat(document: &Document, kind: &SourceKind) -> BTreeMap<String, String> {
    rows(document, kind).into_iter().map(|row| (format!("{}.{}", row.section, row.name), row.value)).collect()
}

fn compare(
    prefix: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    out: &mut Vec<(String, String, String)>,
) {
    let all: BTreeMap<&String, ()> = old.keys().chain(new.keys()).map(|key| (key, ())).collect();
    for key in all.into_keys() {
        let side = |rows: &BTreeMap<String, String>| rows.get(key).cloned().unwrap_or_default();
        let (was, is) = (side(old), side(new));
        if was != is {
            out.push((format!("{prefix}{key}"), was, is));
        }
    }
}

pub(super) fn defined(merged: &Merged, name: &str) -> String {
    match merged.masked.get(name) {
        _ if merged.workers.contains_key(name) => "defined".to_owned(),
        Some(file) => format!("masked by {file}"),
        None => "not defined".to_owned(),
    }
}

fn dotted(path: &[&str]) -> String {
    path.iter().map(|segment| toml_key(segment)).collect::<Vec<_>>().join(".")
}

/// A key segment, quoted as TOML wants it.
fn toml_key(segment: &str) -> String {
    if join("", segment) == segment { segment.to_owned() } else { quote(segment) }
}

/// A basic string of TOML.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
