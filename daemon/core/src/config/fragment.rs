//! Stage one: a file as written, every key and value with its place.

use super::{Diagnostic, SourceFile};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// File as given.
    pub file: Arc<str>,
    /// From 1; 0 for the file as a whole.
    pub line: u32,
    /// From 1, in characters; 0 likewise.
    pub column: u32,
}

impl Origin {
    /// The file as a whole.
    pub(super) fn whole(file: &Arc<str>) -> Self {
        Self { file: file.clone(), line: 0, column: 0 }
    }

    /// A remark on this place.
    pub(super) fn diagnostic(&self, error: bool, key: String, text: String) -> Diagnostic {
        Diagnostic { file: self.file.to_string(), line: self.line, column: self.column, error, key, text }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}", self.file, self.line) }
    }
}

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `"text"`.
    Text(String),
    /// `5`.
    Integer(i64),
    /// `0.5`.
    Float(f64),
    /// `true`.
    Bool(bool),
    /// `1979-05-27`: TOML has them, no key of ours takes one.
    Datetime(String),
    /// `[...]`.
    List(Vec<Item>),
    /// `{...}` or a section.
    Table(Table),
}

/// Keys and their values, by name. A node keeps what a thousand files say, most of them with a handful of keys a
/// section, so this is a sorted list and not a tree.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table(Vec<(String, Item)>);

impl Table {
    /// The item of that name.
    pub fn get(&self, name: &str) -> Option<&Item> {
        let at = self.find(name).ok()?;
        self.0.get(at).map(|(_, item)| item)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Item)> {
        self.0.iter().map(|(name, item)| (name.as_str(), item))
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Item> {
        let at = self.find(name).ok()?;
        self.0.get_mut(at).map(|(_, item)| item)
    }

    /// Sets an item; one of the same name goes.
    pub(super) fn insert(&mut self, name: String, item: Item) {
        match self.find(&name) {
            Ok(at) => {
                if let Some((_, old)) = self.0.get_mut(at) {
                    *old = item;
                }
            }
            Err(at) => self.0.insert(at, (name, item)),
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }
}

impl IntoIterator for Table {
    type Item = (String, Item);
    type IntoIter = std::vec::IntoIter<(String, Item)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A value and its places.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Where the key stands.
    pub key: Origin,
    /// Where the value stands.
    pub at: Origin,
    /// The value.
    pub value: Value,
}

impl Value {
    /// The value in words, for `expected …, found …`.
    pub(super) fn describe(&self) -> String {
        match self {
            Value::Text(text) => format!("the text {text:?}"),
            Value::Integer(number) => format!("the integer {number}"),
            Value::Float(number) => format!("the number {number:?}"),
            Value::Bool(flag) => format!("{flag}"),
            Value::Datetime(text) => format!("the date {text}"),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

/// One parsed file.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) table: Table,
    /// It has syntax errors: what the table lacks may have been meant.
    pub(super) broken: bool,
}

/// Parses a file; goes on behind a syntax error as far as that makes sense.
pub(super) fn parse(source: &SourceFile, out: &mut Vec<Diagnostic>) -> Fragment {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let mut reader = Reader {
        file: source.path.as_str().into(),
        text: &source.text,
        lines: line_starts(&source.text),
        broken: !errors.is_empty(),
        out,
    };
    for error in &errors {
        let at = reader.place(error.span().map_or(0, |span| span.start));
        let text = format!("not valid TOML: {}", error.message());
        reader.out.push(at.diagnostic(true, String::new(), text));
    }
    let table = reader.table(document.get_ref(), "");
    Fragment { table, broken: reader.broken }
}

struct Reader<'a> {
    file: Arc<str>,
    text: &'a str,
    lines: Vec<usize>,
    broken: bool,
    out: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn place(&self, offset: usize) -> Origin {
        let index = self.lines.partition_point(|start| *start <= offset);
        let start = index.checked_sub(1).and_then(|i| self.lines.get(i)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        Origin {
            file: self.file.clone(),
            line: u32::try_from(index).unwrap_or(u32::MAX),
            column: u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX),
        }
    }

    fn table(&mut self, table: &DeTable<'_>, path: &str) -> Table {
        let mut out = Table(Vec::with_capacity(table.len()));
        for (key, value) in table {
            let name: &str = key.get_ref();
            let path = join(path, name);
            if let Some(read) = self.value(value, &path) {
                let key = self.place(key.span().start);
                let at = self.place(value.span().start);
                let item = Item { key, at, value: read };
                out.insert(name.to_owned(), item);
            }
        }
        out
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, path: &str) -> Option<Value> {
        Some(match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => {
                    return self.refuse(value, path, "an integer that fits 64 bits", number.as_str());
                }
            },
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) => Value::Float(number),
                Err(_) => return self.refuse(value, path, "a number", number.as_str()),
            },
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(date) => Value::Datetime(date.to_string()),
            DeValue::Array(items) => {
                let mut list = Vec::new();
                for item in items.iter() {
                    let at = self.place(item.span().start);
                    if let Some(value) = self.value(item, path) {
                        list.push(Item { key: at.clone(), at, value });
                    }
                }
                Value::List(list)
            }
            DeValue::Table(table) => Value::Table(self.table(table, path)),
        })
    }

    /// The value is dropped, so the file counts as broken.
    fn refuse(&mut self, value: &Spanned<DeValue<'_>>, path: &str, expected: &str, found: &str) -> Option<Value> {
        self.broken = true;
        let at = self.place(value.span().start);
        let text = format!("expected {expected}, found {found}");
        self.out.push(at.diagnostic(true, path.to_owned(), text));
        None
    }
}

/// Offsets at which lines begin.
fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// Appends a segment to a dotted key, quoted when it has to be.
pub(super) fn join(path: &str, segment: &str) -> String {
    let bare = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let segment = if bare { segment.to_owned() } else { format!("{segment:?}") };
    if path.is_empty() { segment } else { format!("{path}.{segment}") }
}
