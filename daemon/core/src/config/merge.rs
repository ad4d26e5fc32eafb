//! Stage two: files of three ranks become one definition each, as systemd does it.
//!
//! A main file hides the one of the same name in a lower rank, a drop-in likewise; drop-ins of all ranks then apply in
//! the order of their names. Tables merge key by key, everything else replaces. An empty main file masks a worker.

use super::fragment::{self, Item, Origin, Table, Value};
use super::schema::{self, ALTERNATIVES};
use super::{Diagnostic, SourceFile, SourceKind, check};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All definitions, each key with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// `reeve.toml` and its drop-ins.
    pub node: Document,
    /// Workers by file name; unchecked, so the name may be one that is refused.
    pub workers: BTreeMap<String, Document>,
    /// Masked workers and the file that masks each.
    pub masked: BTreeMap<String, String>,
}

/// One definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its main file.
    pub file: Arc<str>,
    /// What is set.
    pub table: Table,
    /// A file of it has syntax errors, so that what is absent may have been meant.
    pub(super) broken: bool,
    /// Dotted keys whose value was refused.
    pub(super) bad: BTreeSet<String>,
}

impl Document {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.into(), table: Table::default(), broken: false, bad: BTreeSet::new() }
    }

    /// The item at a path.
    pub fn find(&self, path: &[&str]) -> Option<&Item> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.table.get(first)?, |item, name| match &item.value {
            Value::Table(table) => table.get(name),
            _ => None,
        })
    }

    /// Where the value at a path stands; for a default, where its section does, else the file.
    pub(super) fn origin(&self, path: &[&str]) -> Origin {
        (1..=path.len())
            .rev()
            .filter_map(|n| path.get(..n))
            .find_map(|path| self.find(path))
            .map_or_else(|| Origin::whole(&self.file), |item| item.at.clone())
    }
}

impl Default for Merged {
    fn default() -> Self {
        Self { node: Document::new("reeve.toml"), workers: BTreeMap::new(), masked: BTreeMap::new() }
    }
}

/// Hides, parses, checks and merges. Mistakes go to `out`.
pub(super) fn merge(files: &[SourceFile], out: &mut Vec<Diagnostic>) -> Merged {
    let mut merged = Merged::default();
    let mut definitions: BTreeMap<&SourceKind, Vec<&SourceFile>> = BTreeMap::new();
    definitions.entry(&SourceKind::Node).or_default();
    for file in files {
        definitions.entry(&file.kind).or_default().push(file);
    }
    for (kind, files) in definitions {
        let main = highest(files.iter().copied().filter(|f| f.drop_in.is_none()));
        let drop_ins = drop_ins(&files);
        match (kind, main) {
            (SourceKind::Node, main) => {
                let first = main.or(drop_ins.first().copied());
                let path = first.map_or("reeve.toml", |f| f.path.as_str());
                merged.node = document(kind, path, main.into_iter().chain(drop_ins), out);
            }
            (SourceKind::Worker(name), Some(main)) if main.text.trim().is_empty() => {
                merged.masked.insert(name.clone(), main.path.clone());
            }
            (SourceKind::Worker(name), Some(main)) => {
                let all = std::iter::once(main).chain(drop_ins);
                let document = document(kind, &main.path, all, out);
                merged.workers.insert(name.clone(), document);
            }
            (SourceKind::Worker(name), None) => {
                out.extend(drop_ins.iter().map(|file| {
                    let text = format!("there is no worker {name:?} that this could add to; it is ignored");
                    Origin::whole(&file.path.as_str().into()).diagnostic(false, String::new(), text)
                }));
            }
        }
    }
    merged
}

/// The file of the highest rank, which hides the others.
fn highest<'a>(files: impl Iterator<Item = &'a SourceFile>) -> Option<&'a SourceFile> {
    files.max_by_key(|file| file.rank)
}

/// Drop-ins that are not hidden, by name.
fn drop_ins<'a>(files: &[&'a SourceFile]) -> Vec<&'a SourceFile> {
    let mut named: BTreeMap<&str, &SourceFile> = BTreeMap::new();
    for file in files {
        if let Some(name) = file.drop_in.as_deref() {
            let shown = named.entry(name).or_insert(file);
            if file.rank > shown.rank {
                *shown = file;
            }
        }
    }
    named.into_values().collect()
}

/// Parses the files of one definition, checks each and lays them over one another.
fn document<'a>(
    kind: &SourceKind,
    path: &str,
    files: impl Iterator<Item = &'a SourceFile>,
    out: &mut Vec<Diagnostic>,
) -> Document {
    let mut document = Document::new(path);
    for file in files {
        let syntax_from = out.len();
        let fragment = fragment::parse(file, out);
        let bad_lines: BTreeSet<u32> = out.get(syntax_from..).unwrap_or_default().iter().map(|d| d.line).collect();
        let unreadable = unreadable(&file.text, &bad_lines);
        let findings = check::check(schema::keys(kind), &fragment.table);
        out.extend(findings.diagnostics.into_iter().filter(|d| !unreadable.contains(&d.line)));
        document.broken |= fragment.broken;
        document.bad.extend(findings.bad);
        lay_over(&mut document.table, fragment.table, "");
    }
    document
}

/// Lines on which a remark would say nothing more than the syntax error does: those of the errors, and all below a
/// section header that could not be read, since nobody knows where their keys belong.
fn unreadable(text: &str, bad: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut lines = bad.clone();
    let mut lost = false;
    for (number, line) in (1u32..).zip(text.lines()) {
        if line.trim_start().starts_with('[') {
            lost = bad.contains(&number);
        }
        if lost {
            lines.insert(number);
        }
    }
    lines
}

/// Lays a fragment over what stands already.
fn lay_over(base: &mut Table, over: Table, path: &str) {
    for (section, names) in ALTERNATIVES {
        let set = |name: &&&str| over.get(name).is_some_and(|item| item.value != Value::Bool(false));
        if *section == path && names.iter().any(|name| set(&name)) {
            base.retain(|name| !names.contains(&name) && name != "equals");
        }
    }
    for (name, item) in over {
        let path = fragment::join(path, &name);
        match (base.get_mut(&name), item.value) {
            (Some(Item { value: Value::Table(below), .. }), Value::Table(above)) => lay_over(below, above, &path),
            (_, value) => {
                base.insert(name, Item { value, ..item });
            }
        }
    }
}
