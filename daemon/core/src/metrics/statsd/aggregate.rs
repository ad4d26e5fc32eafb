//! Messages added up to series.

use super::cell::{Cell, cost};
use super::names;
use super::parse::{Message, Refused, Type, parse};
use crate::metrics::families::agent;
use crate::metrics::family::Kind;
use crate::metrics::foreign::Foreign;
use crate::metrics::labels::Labels;
use crate::time::Mono;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Bytes of a label value; longer ones are cut.
const VALUE_MAX: usize = 120;
/// Names that are remembered, beside those that have series.
const NAMES_MAX: usize = 1024;

/// What is kept and how.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// Tags that become labels, beside those that a documented family has.
    pub labels: Vec<String>,
    /// Upper bounds of histograms, by the name that is sent or kept.
    pub buckets: BTreeMap<String, Vec<f64>>,
    /// Series at most, counted as lines of the page.
    pub max_series: usize,
}

/// All that one replica has sent. Counters and histograms go on over its runs: it is Reeve that counts.
#[derive(Debug, Clone, Default)]
pub struct Aggregator {
    rules: Rules,
    /// What a name that was sent means; `None`: it is not kept.
    meant: BTreeMap<(Type, String), Option<String>>,
    families: BTreeMap<String, Family>,
    series: usize,
    /// Something did not fit; the next run begins with nothing.
    full: bool,
    messages: u64,
    refused: BTreeMap<Refused, u64>,
}

#[derive(Debug, Clone)]
struct Family {
    kind: Kind,
    help: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    bounds: Cow<'static, [f64]>,
    cells: BTreeMap<Labels, Cell>,
}

impl Aggregator {
    /// Nothing yet.
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Other rules. Where they change what a series is, all begin anew.
    pub fn set_rules(&mut self, rules: Rules) {
        if rules.labels != self.rules.labels || rules.buckets != self.rules.buckets {
            self.clear();
        }
        self.rules = rules;
    }

    /// Takes a datagram: lines of messages.
    pub fn datagram(&mut self, bytes: &[u8], now: Mono) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.refuse(Refused::Malformed);
        };
        let mut empty = true;
        for line in text.split('\n').map(|line| line.trim_end_matches(['\r', '\0'])).filter(|line| !line.is_empty()) {
            empty = false;
            match parse(line).and_then(|message| self.message(&message, now)) {
                Ok(()) => self.messages += 1,
                Err(reason) => self.refuse(reason),
            }
        }
        if empty {
            self.refuse(Refused::Malformed);
        }
    }

    /// Counts something that was not taken.
    pub fn refuse(&mut self, reason: Refused) {
        *self.refused.entry(reason).or_default() += 1;
    }

    /// Messages taken.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Messages not taken, by reason.
    pub fn refused(&self) -> &BTreeMap<Refused, u64> {
        &self.refused
    }

    /// Whether anything was ever sent.
    pub fn is_used(&self) -> bool {
        self.messages > 0 || !self.refused.is_empty()
    }

    /// A run is over: what it said of the moment goes with it. After a flood everything does, so that the next run has
    /// room.
    pub fn run_ended(&mut self) {
        if std::mem::take(&mut self.full) {
            return self.clear();
        }
        for family in self.families.values_mut() {
            family.cells.retain(|_, cell| cell.lasts());
        }
        self.recount();
    }

    /// Writes down what is known.
    pub fn write(&self, out: &mut Foreign, now: Mono) {
        for (name, family) in self.families.iter().filter(|(_, family)| !family.cells.is_empty()) {
            let written = out.family(name, family.kind);
            family.help.clone_into(&mut written.help);
            family.unit.clone_into(&mut written.unit);
            for (labels, cell) in &family.cells {
                cell.lines(labels, now, |line| out.add(name, family.kind, line));
            }
        }
    }

    /// The sum over the series of a family.
    pub fn sum(&self, name: &str, now: Mono) -> Option<f64> {
        let numbers = self.families.get(name)?.cells.values().filter_map(|cell| cell.number(now));
        numbers.fold(None, |sum, number| Some(sum.unwrap_or(0.0) + number))
    }

    fn message(&mut self, message: &Message<'_>, now: Mono) -> Result<(), Refused> {
        let name = self.meaning(message)?;
        let Some(family) = self.families.get_mut(&name) else {
            return Err(Refused::Name);
        };
        let labels = labels(message, family.labels, &self.rules.labels);
        if let Some(cell) = family.cells.get_mut(&labels) {
            return cell.take(message, now);
        }
        let price = cost(family.kind, family.bounds.len());
        if self.series + price > self.rules.max_series {
            self.full = true;
            return Err(Refused::Over);
        }
        let mut cell = Cell::new(message.kind, &family.bounds, now);
        cell.take(message, now)?;
        family.cells.insert(labels, cell);
        self.series += price;
        Ok(())
    }

    /// The family of a message, made if there is none.
    fn meaning(&mut self, message: &Message<'_>) -> Result<String, Refused> {
        let key = (message.kind, message.name.to_owned());
        if let Some(known) = self.meant.get(&key) {
            return known.clone().ok_or(Refused::Name);
        }
        if self.meant.len() >= NAMES_MAX {
            self.full = true;
            return Err(Refused::Over);
        }
        let plain = names::plain(message.name);
        let documented = names::documented(&plain, message.kind);
        let name = documented.map(|family| family.name.to_owned()).or_else(|| names::other(&plain, message.kind));
        let kind = names::kind(message.kind);
        let name = name.filter(|name| self.families.get(name).is_none_or(|family| family.kind == kind));
        if let Some(name) = &name
            && !self.families.contains_key(name)
        {
            let said =
                [message.name, plain.as_str(), name].into_iter().find_map(|n| self.rules.buckets.get(n)).cloned();
            let bounds = match (kind, said) {
                (Kind::Histogram, Some(bounds)) => Cow::Owned(bounds),
                (Kind::Histogram, None) => Cow::Borrowed(agent::bounds(name).unwrap_or(names::DEFAULT_BOUNDS)),
                _ => Cow::Borrowed(&[][..]),
            };
            let family = Family {
                kind,
                help: documented.map_or("", |family| family.help),
                unit: documented.map_or("", |family| family.unit),
                labels: documented.map_or(&[], |family| family.labels),
                bounds,
                cells: BTreeMap::new(),
            };
            self.families.insert(name.clone(), family);
        }
        self.meant.insert(key, name.clone());
        name.ok_or(Refused::Name)
    }

    fn clear(&mut self) {
        self.meant.clear();
        self.families.clear();
        self.series = 0;
        self.full = false;
    }

    fn recount(&mut self) {
        let of = |family: &Family| family.cells.len() * cost(family.kind, family.bounds.len());
        self.series = self.families.values().map(of).sum();
    }
}

/// The tags that are wanted, by name. Who the worker is, is not its own to say.
fn labels(message: &Message<'_>, of_family: &[&str], wanted: &[String]) -> Labels {
    const OURS: &[&str] = &["worker", "replica", "role", "le", "quantile"];
    let mut pairs: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in message.tags() {
        let name = names::plain(name).replace(':', "_");
        let is_wanted = of_family.contains(&name.as_str()) || wanted.contains(&name);
        if is_wanted && !OURS.contains(&name.as_str()) && !value.is_empty() {
            pairs.insert(name, value);
        }
    }
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), cut(value))).collect();
    Labels::new(&pairs)
}

fn cut(value: &str) -> &str {
    let end =
        value.char_indices().map(|(at, letter)| at + letter.len_utf8()).take_while(|end| *end <= VALUE_MAX).last();
    value.get(..end.unwrap_or(0)).unwrap_or_default()
}
