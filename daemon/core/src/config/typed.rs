//! A written value read as what its key takes.

use super::fragment::{Item, Origin, Table, Value};
use super::schema::{self, Key, Kind};
use super::types::{Rate, Share};
use super::{template, units};
use crate::fleet::Amount;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A value of the right type and inside its bounds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Typed {
    Off,
    Section,
    Text(String),
    Bool(bool),
    Integer(i64),
    Number(f64),
    Duration(Duration),
    /// Bytes, or hundredths of a CPU.
    Amount(u64),
    Share(Share),
    Rate(Rate),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
    Directives(BTreeMap<String, Vec<String>>),
    Bounds(BTreeMap<String, Vec<f64>>),
}

/// What is wrong with a value, and where; `below` is the part of the key under the value's own.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: Origin,
    pub(super) below: Option<String>,
    pub(super) text: String,
}

/// Reads `item` as `key` wants it, or says everything that is wrong with it.
pub(super) fn read(key: &Key, item: &Item) -> Result<Typed, Vec<Fault>> {
    if key.off && item.value == Value::Text("off".to_owned()) {
        return Ok(Typed::Off);
    }
    let wrong = |hint: &str| {
        let text = format!("expected {}, found {}{hint}", key.expected(), item.value.describe());
        Err(vec![fault(item, text)])
    };
    let figure = |read: Result<Typed, String>| read.map_err(|text| vec![fault(item, text)]);
    match (key.kind, &item.value) {
        (Kind::Section { .. }, Value::Table(_)) => Ok(Typed::Section),
        (Kind::Text { check, .. }, Value::Text(text)) => {
            figure(checked(key, check, text).map(|()| Typed::Text(text.clone())))
        }
        (Kind::Choice(words), Value::Text(text)) => {
            if words.contains(&text.as_str()) {
                Ok(Typed::Text(text.clone()))
            } else {
                wrong(&super::suggest::hint(text, words))
            }
        }
        (Kind::Bool, Value::Bool(flag)) => Ok(Typed::Bool(*flag)),
        (Kind::Integer { min, max }, Value::Integer(number)) => {
            if (min..=max).contains(number) {
                Ok(Typed::Integer(*number))
            } else {
                wrong("")
            }
        }
        (Kind::Number, Value::Integer(number)) => Ok(Typed::Number(*number as f64)),
        (Kind::Number, Value::Float(number)) if number.is_finite() => Ok(Typed::Number(*number)),
        (Kind::Duration { min }, Value::Text(text)) => figure(duration(min, text)),
        (Kind::Duration { .. }, Value::Integer(number)) => {
            wrong(&format!("; write a text with its unit, \"{number}s\""))
        }
        (Kind::Size, Value::Text(text)) => figure(units::parse_size(text).map(Typed::Amount)),
        (Kind::Size | Kind::MemoryShare, Value::Integer(_)) => wrong("; write a text with its unit"),
        (Kind::Cpu, value) => match cpu_text(value) {
            Some(text) => figure(units::parse_cpu(&text).map(Typed::Amount)),
            None => wrong(""),
        },
        (Kind::CpuShare, Value::Text(text)) => figure(units::parse_share(text, units::parse_cpu).map(Typed::Share)),
        (Kind::CpuShare, value) => match cpu_text(value) {
            Some(text) => figure(units::parse_cpu(&text).map(|n| Typed::Share(Share::Absolute(n)))),
            None => wrong(""),
        },
        (Kind::MemoryShare, Value::Text(text)) => figure(units::parse_share(text, units::parse_size).map(Typed::Share)),
        (Kind::NodeShare, Value::Integer(number)) => figure(node_share(&number.to_string())),
        (Kind::NodeShare, Value::Text(text)) => figure(node_share(text)),
        (Kind::Rate, Value::Text(text)) => figure(units::parse_rate(text).map(Typed::Rate)),
        (Kind::Command, Value::List(items)) => command(key, item, items),
        (Kind::List { check, .. }, Value::List(items)) => list(key, check, items),
        (Kind::Map { key: name, value, .. }, Value::Table(table)) => map(key, name, value, table),
        (Kind::Directives, Value::Table(table)) => directives(table),
        (Kind::Bounds, Value::Table(table)) => bounds(table),
        _ => wrong(""),
    }
}

/// Reads the default of a key; `None` when it has none.
pub(super) fn default(key: &Key) -> Option<Typed> {
    let text = key.default?;
    let value = match (key.kind, text) {
        (_, "{}") => Value::Table(Table::default()),
        (_, "[]") => Value::List(Vec::new()),
        (Kind::Bool, _) => Value::Bool(text == "true"),
        (Kind::Integer { .. } | Kind::Number, _) => Value::Integer(text.parse().ok()?),
        _ => Value::Text(text.to_owned()),
    };
    let at = Origin::whole(&Arc::from("default"));
    let item = Item { key: at.clone(), at, value };
    read(key, &item).ok()
}

fn node_share(text: &str) -> Result<Typed, String> {
    text.parse::<Amount>().map(|amount| Typed::Text(amount.to_string()))
}

fn fault(item: &Item, text: String) -> Fault {
    Fault { at: item.at.clone(), below: None, text }
}

fn checked(key: &Key, check: super::text::Check, text: &str) -> Result<(), String> {
    if key.template {
        template::check(text)?;
    }
    check(text)
}

fn duration(min: Duration, text: &str) -> Result<Typed, String> {
    let duration = units::parse_duration(text)?;
    if duration < min {
        return Err(format!("expected at least {}, found {text:?}", units::render_duration(min)));
    }
    Ok(Typed::Duration(duration))
}

fn cpu_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

fn list(key: &Key, check: super::text::Check, items: &[Item]) -> Result<Typed, Vec<Fault>> {
    let mut texts = Vec::new();
    let mut faults = Vec::new();
    for item in items {
        match &item.value {
            Value::Text(text) => match checked(key, check, text) {
                Ok(()) if texts.contains(text) && !matches!(key.kind, Kind::Command) => {
                    faults.push(fault(item, format!("{text:?} stands in the list twice")));
                }
                Ok(()) => texts.push(text.clone()),
                Err(text) => faults.push(fault(item, text)),
            },
            other => faults.push(fault(item, format!("expected texts in the list, found {}", other.describe()))),
        }
    }
    if faults.is_empty() { Ok(Typed::List(texts)) } else { Err(faults) }
}

fn command(key: &Key, whole: &Item, items: &[Item]) -> Result<Typed, Vec<Fault>> {
    let Some(first) = items.first() else {
        let text = format!("expected {}, found an empty list", key.expected());
        return Err(vec![fault(whole, text)]);
    };
    let read = list(key, super::text::argument, items);
    match &first.value {
        Value::Text(program) if !program.starts_with('/') || program.ends_with('/') => {
            let text = format!(
                "expected the program by absolute path, such as \"/usr/bin/{}\", found {program:?}",
                program.rsplit('/').find(|s| !s.is_empty()).unwrap_or("true")
            );
            let mut faults = read.err().unwrap_or_default();
            faults.insert(0, fault(first, text));
            Err(faults)
        }
        _ => read,
    }
}

fn map(
    key: &Key,
    check_name: super::text::Check,
    check_value: super::text::Check,
    table: &Table,
) -> Result<Typed, Vec<Fault>> {
    let mut map = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, item) in table.iter() {
        let mut refuse = |at: &Origin, text: String| {
            faults.push(Fault { at: at.clone(), below: Some(name.to_owned()), text });
        };
        if let Err(text) = check_name(name) {
            refuse(&item.key, text);
            continue;
        }
        match &item.value {
            Value::Text(text) => match checked(key, check_value, text) {
                Ok(()) => {
                    map.insert(name.to_owned(), text.clone());
                }
                Err(text) => refuse(&item.at, text),
            },
            other => {
                let hint = match other {
                    Value::Integer(n) => format!("; write \"{n}\""),
                    Value::Bool(flag) => format!("; write \"{flag}\""),
                    _ => String::new(),
                };
                refuse(&item.at, format!("expected a text, found {}{hint}", other.describe()));
            }
        }
    }
    if faults.is_empty() { Ok(Typed::Map(map)) } else { Err(faults) }
}

fn directives(table: &Table) -> Result<Typed, Vec<Fault>> {
    let mut map = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, item) in table.iter() {
        let mut refuse = |at: &Origin, text: String| {
            faults.push(Fault { at: at.clone(), below: Some(name.to_owned()), text });
        };
        if let Err(text) = schema::check_directive(name) {
            refuse(&item.key, text);
            continue;
        }
        let values = match &item.value {
            Value::Text(text) => Some(vec![text.clone()]),
            Value::Bool(true) => Some(vec!["yes".to_owned()]),
            Value::Bool(false) => Some(vec!["no".to_owned()]),
            Value::List(items) => items
                .iter()
                .map(|item| match &item.value {
                    Value::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        match values {
            Some(values) if values.iter().all(|v| super::text::plain(v).is_ok() && !v.contains('\n')) => {
                map.insert(name.to_owned(), values);
            }
            Some(_) => refuse(&item.at, "expected a text on one line".to_owned()),
            None => refuse(
                &item.at,
                format!("expected a text, true or false, or a list of texts, found {}", item.value.describe()),
            ),
        }
    }
    if faults.is_empty() { Ok(Typed::Directives(map)) } else { Err(faults) }
}

/// Most bounds of one histogram: each is a series.
const BOUNDS_MAX: usize = 64;

fn bounds(table: &Table) -> Result<Typed, Vec<Fault>> {
    let mut map = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, item) in table.iter() {
        let mut refuse = |at: &Origin, text: String| {
            faults.push(Fault { at: at.clone(), below: Some(name.to_owned()), text });
        };
        if let Err(text) = super::text::metric(name) {
            refuse(&item.key, text);
            continue;
        }
        let expected = format!("expected 1 to {BOUNDS_MAX} ascending numbers such as [0.1, 1, 10]");
        let numbers: Option<Vec<f64>> = match &item.value {
            Value::List(items) => items.iter().map(|item| number(&item.value)).collect(),
            _ => None,
        };
        match numbers {
            Some(all) if (1..=BOUNDS_MAX).contains(&all.len()) && all.windows(2).all(|pair| pair[0] < pair[1]) => {
                map.insert(name.to_owned(), all);
            }
            Some(_) => refuse(&item.at, expected),
            None => refuse(&item.at, format!("{expected}, found {}", item.value.describe())),
        }
    }
    if faults.is_empty() { Ok(Typed::Bounds(map)) } else { Err(faults) }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number).filter(|number| number.is_finite()),
        _ => None,
    }
}
