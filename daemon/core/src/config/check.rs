//! A fragment against the schema: unknown keys, wrong types, bad values; all of them, each with its place.

use super::fragment::{Item, Table, Value, join};
use super::schema::{self, Key, Kind, Place};
use super::{Diagnostic, suggest, text, typed};
use std::collections::BTreeSet;

/// What the checker found in one fragment.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Errors in the order of the keys.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Dotted keys whose value cannot be trusted; relations with them say nothing.
    pub(super) bad: BTreeSet<String>,
}

/// Checks every key of a fragment.
pub(super) fn check(keys: &'static [Key], table: &Table) -> Findings {
    let mut walk = Walk { keys, found: Findings::default() };
    walk.table(&mut Vec::new(), "", table);
    walk.found
}

struct Walk {
    keys: &'static [Key],
    found: Findings,
}

impl Walk {
    fn table<'a>(&mut self, path: &mut Vec<&'a str>, dotted: &str, table: &'a Table) {
        for (name, item) in table.iter() {
            let key = join(dotted, name);
            path.push(name);
            match schema::lookup(self.keys, path) {
                Place::Key(row) => self.key(row, path, &key, item),
                Place::Section => self.section(path, &key, item),
                Place::Unknown => self.unknown(path, &key, item),
            }
            path.pop();
        }
    }

    fn key<'a>(&mut self, row: &'static Key, path: &mut Vec<&'a str>, key: &str, item: &'a Item) {
        match typed::read(row, item) {
            Ok(_) => {
                if let (Kind::Section { .. }, Value::Table(inner)) = (row.kind, &item.value) {
                    self.table(path, key, inner);
                }
            }
            Err(faults) => {
                for fault in faults {
                    let key = fault.below.map_or_else(|| key.to_owned(), |name| join(key, &name));
                    self.error(&fault.at, key, fault.text);
                }
                self.found.bad.insert(key.to_owned());
            }
        }
    }

    fn section<'a>(&mut self, path: &mut Vec<&'a str>, key: &str, item: &'a Item) {
        if let ["teams", name] = path.as_slice()
            && let Err(text) = text::team(name)
        {
            self.error(&item.key, key.to_owned(), text);
        }
        match &item.value {
            Value::Table(inner) => self.table(path, key, inner),
            other => {
                let names: Vec<_> = schema::children(self.keys, path)
                    .into_iter()
                    .map(|name| if name == "*" { "NAME" } else { name })
                    .collect();
                let text = format!("expected a table with {}, found {}", names.join(", "), other.describe());
                self.error(&item.at, key.to_owned(), text);
                self.found.bad.insert(key.to_owned());
            }
        }
    }

    fn unknown(&mut self, path: &[&str], key: &str, item: &Item) {
        let (name, parents) = path.split_last().unwrap_or((&"", &[]));
        let known = schema::children(self.keys, parents);
        let hint = special(path)
            .or_else(|| suggest::nearest(name, &known).map(|near| format!("did you mean `{near}`?")))
            .or_else(|| self.elsewhere(name).map(|other| format!("did you mean `{other}`?")))
            .unwrap_or_else(|| format!("expected one of {}", known.join(", ")));
        self.error(&item.key, key.to_owned(), format!("unknown key; {hint}"));
    }

    /// The full path of a key of that very name in another section, when there is just one.
    fn elsewhere(&self, name: &str) -> Option<&'static str> {
        let mut matches = self.keys.iter().filter(|key| key.segments().last() == Some(name));
        let first = matches.next()?;
        matches.next().is_none().then_some(first.path)
    }

    fn error(&mut self, at: &super::Origin, key: String, text: String) {
        self.found.diagnostics.push(at.diagnostic(true, key, text));
    }
}

/// Keys that people expect where there are none.
fn special(path: &[&str]) -> Option<String> {
    let hint = match path {
        ["worker" | "workers"] | ["worker" | "workers", ..] if path.len() == 1 => {
            "a worker is defined by a file of its own, workers.d/NAME.toml, with a [worker] section"
        }
        ["worker", "probe", "readiness", "notify"] => "readiness by READY=1 is `worker.ready.notify`",
        ["worker", "probe", "readiness", "progress"] => {
            "progress says that a worker lives: `worker.probe.liveness.progress`"
        }
        ["worker", "name"] => "a worker is named by its file, NAME.toml",
        ["node" | "launcher" | "supervision" | "metrics" | "fleet" | "teams"] => "this section belongs into reeve.toml",
        _ => return None,
    };
    Some(hint.to_owned())
}
