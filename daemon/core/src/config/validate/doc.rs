//! Reading a merged document by key, with defaults; and reporting what does not fit together.

use crate::config::merge::Document;
use crate::config::schema::{self, Key, Place};
use crate::config::typed::{self, Typed};
use crate::config::types::{Rate, Share};
use crate::config::{Diagnostic, Item, Origin, SourceKind, Value, show};
use std::collections::BTreeMap;
use std::time::Duration;

/// A merged document and its schema.
#[derive(Clone, Copy)]
pub(super) struct Doc<'a> {
    pub(super) document: &'a Document,
    keys: &'static [Key],
}

impl<'a> Doc<'a> {
    pub(super) fn new(document: &'a Document, kind: &SourceKind) -> Self {
        Self { document, keys: schema::keys(kind) }
    }

    fn item(&self, path: &str) -> Option<&'a Item> {
        let path: Vec<_> = path.split('.').collect();
        self.document.find(&path)
    }

    /// Something is written there, and it is neither "off" nor `false`.
    pub(super) fn present(&self, path: &str) -> bool {
        self.item(path)
            .is_some_and(|item| item.value != Value::Text("off".to_owned()) && item.value != Value::Bool(false))
    }

    /// Whether the key is set at all; a default does not count.
    pub(super) fn is_set(&self, path: &str) -> bool {
        self.item(path).is_some()
    }

    /// Whether a section is switched off.
    pub(super) fn is_off(&self, path: &str) -> bool {
        self.item(path).is_some_and(|item| item.value == Value::Text("off".to_owned()))
    }

    /// Names of the tables below a path.
    pub(super) fn names(&self, path: &str) -> Vec<&'a str> {
        match self.item(path).map(|item| &item.value) {
            Some(Value::Table(table)) => table.iter().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        }
    }

    fn typed(&self, path: &str) -> Option<Typed> {
        let segments: Vec<_> = path.split('.').collect();
        let Place::Key(key) = schema::lookup(self.keys, &segments) else {
            return None;
        };
        self.document.find(&segments).and_then(|item| typed::read(key, item).ok()).or_else(|| typed::default(key))
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        match self.typed(path) {
            Some(Typed::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn flag(&self, path: &str) -> bool {
        matches!(self.typed(path), Some(Typed::Bool(true)))
    }

    pub(super) fn integer(&self, path: &str) -> Option<i64> {
        match self.typed(path) {
            Some(Typed::Integer(number)) => Some(number),
            _ => None,
        }
    }

    /// An integer whose range in the schema fits.
    pub(super) fn count(&self, path: &str) -> u32 {
        self.integer(path).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
    }

    pub(super) fn number(&self, path: &str) -> f64 {
        match self.typed(path) {
            Some(Typed::Number(number)) => number,
            _ => 0.0,
        }
    }

    /// `None` is "off".
    pub(super) fn maybe_duration(&self, path: &str) -> Option<Duration> {
        match self.typed(path) {
            Some(Typed::Duration(duration)) => Some(duration),
            _ => None,
        }
    }

    pub(super) fn duration(&self, path: &str) -> Duration {
        self.maybe_duration(path).unwrap_or_default()
    }

    pub(super) fn amount(&self, path: &str) -> Option<u64> {
        match self.typed(path) {
            Some(Typed::Amount(amount)) => Some(amount),
            _ => None,
        }
    }

    pub(super) fn share(&self, path: &str) -> Option<Share> {
        match self.typed(path) {
            Some(Typed::Share(share)) => Some(share),
            _ => None,
        }
    }

    /// `None` is "off".
    pub(super) fn rate(&self, path: &str) -> Option<Rate> {
        match self.typed(path) {
            Some(Typed::Rate(rate)) => Some(rate),
            _ => None,
        }
    }

    pub(super) fn list(&self, path: &str) -> Vec<String> {
        match self.typed(path) {
            Some(Typed::List(list)) => list,
            _ => Vec::new(),
        }
    }

    pub(super) fn map(&self, path: &str) -> BTreeMap<String, String> {
        match self.typed(path) {
            Some(Typed::Map(map)) => map,
            _ => BTreeMap::new(),
        }
    }

    pub(super) fn bounds(&self, path: &str) -> BTreeMap<String, Vec<f64>> {
        match self.typed(path) {
            Some(Typed::Bounds(map)) => map,
            _ => BTreeMap::new(),
        }
    }

    pub(super) fn directives(&self, path: &str) -> BTreeMap<String, Vec<String>> {
        match self.typed(path) {
            Some(Typed::Directives(map)) => map,
            _ => BTreeMap::new(),
        }
    }

    /// The key, its value and where that stands: one side of a relation.
    pub(super) fn side(&self, path: &str) -> String {
        match self.item(path) {
            Some(item) => format!("`{path}` = {} ({})", show::literal(&item.value), item.at),
            None => {
                let segments: Vec<_> = path.split('.').collect();
                match schema::lookup(self.keys, &segments) {
                    Place::Key(key) if key.default.is_some() => {
                        format!("`{path}` = {} (default)", show::default_literal(key))
                    }
                    _ => format!("`{path}`, which is not set"),
                }
            }
        }
    }

    /// Whether the value there was refused already, or may have been lost to a syntax error.
    pub(super) fn is_bad(&self, path: &str) -> bool {
        self.document.broken
            || self.document.bad.iter().any(|bad| {
                bad == path
                    || path.strip_prefix(bad.as_str()).is_some_and(|r| r.starts_with('.'))
                    || bad.strip_prefix(path).is_some_and(|r| r.starts_with('.'))
            })
    }

    fn origin(&self, path: &str) -> Origin {
        let segments: Vec<_> = path.split('.').collect();
        self.document.origin(&segments)
    }
}

/// Collects what does not fit together.
#[derive(Default)]
pub(super) struct Report {
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// An error at `key`. It is left out when `key` or one of `others` was refused already: one mistake, one remark.
    pub(super) fn error(&mut self, doc: &Doc<'_>, key: &str, others: &[&str], text: String) {
        if !doc.is_bad(key) && !others.iter().any(|other| doc.is_bad(other)) {
            let at = doc.origin(key);
            self.diagnostics.push(at.diagnostic(true, key.to_owned(), text));
        }
    }

    /// A warning at `key`.
    pub(super) fn warning(&mut self, doc: &Doc<'_>, key: &str, text: String) {
        let at = doc.origin(key);
        self.diagnostics.push(at.diagnostic(false, key.to_owned(), text));
    }
}
