//! Writing text: Prometheus' text format 0.0.4 and OpenMetrics 1.0, from one set of families.
//!
//! | | 0.0.4 | OpenMetrics |
//! |---|---|---|
//! | name on `# TYPE` of a counter, of an info | full | without `_total`, without `_info` |
//! | kinds | info is gauge, unknown is untyped | `info`, `unknown` |
//! | `# UNIT` | – | where the name ends with the unit |
//! | `le`, `quantile` | `1` | `1.0` |
//! | escapes in help | `\` and line feed | and `"` |
//! | last line | – | `# EOF` |

pub mod number;

use super::family::Kind;
use super::foreign::{Foreign, ForeignFamily, Line, Part, as_number, lines_of};
use super::labels::Labels;
use super::samples::{Samples, Series, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Which exposition format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The media type, as it stands in `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Everything of one name, from wherever it came.
#[derive(Debug)]
struct Group<'a> {
    kind: Kind,
    unit: &'a str,
    help: &'a str,
    ours: Vec<&'a Series>,
    theirs: Vec<&'a ForeignFamily>,
}

/// What is written: borrowed from its owners, put in order of names.
#[derive(Debug, Default)]
pub struct Page<'a> {
    groups: BTreeMap<&'a str, Group<'a>>,
}

impl<'a> Page<'a> {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the families of the table for which `wanted` says so.
    pub fn add(&mut self, samples: &'a Samples, wanted: &dyn Fn(&str) -> bool) {
        for series in samples.iter().filter(|s| wanted(s.family.name)) {
            let family = series.family;
            let group = self.groups.entry(family.name).or_insert_with(|| Group {
                kind: family.kind,
                unit: family.unit,
                help: family.help,
                ours: Vec::new(),
                theirs: Vec::new(),
            });
            group.ours.push(series);
        }
    }

    /// Adds foreign families. What is of another kind than the first of its name is left out: a name has one kind.
    pub fn add_foreign(&mut self, foreign: &'a Foreign, wanted: &dyn Fn(&str) -> bool) {
        for (name, family) in foreign.iter().filter(|(name, f)| wanted(name) && !f.lines.is_empty()) {
            let group = self.groups.entry(name).or_insert_with(|| Group {
                kind: family.kind,
                unit: &family.unit,
                help: &family.help,
                ours: Vec::new(),
                theirs: Vec::new(),
            });
            if group.kind == family.kind {
                group.theirs.push(family);
            }
        }
    }

    /// Every line by itself: full name, labels with `le` or `quantile`, value. For those who do not read the text.
    pub fn each(&self, mut take: impl FnMut(String, Vec<(String, String)>, f64)) {
        for (name, group) in &self.groups {
            let mut seen = BTreeSet::new();
            let mut line = |line: &Line| {
                let mut labels = line.labels.pairs();
                let mut bound = |label: &str, at: f64| {
                    let mut text = String::new();
                    number::bound(&mut text, at, false);
                    labels.push((label.to_owned(), text));
                };
                match line.part {
                    Part::Bucket(at) => bound("le", at),
                    Part::Quantile(at) => bound("quantile", at),
                    Part::Value | Part::Sum | Part::Count => {}
                }
                let name = format!("{name}{}", line.part.suffix());
                if seen.insert((name.clone(), labels.clone())) {
                    take(name, labels, line.value);
                }
            };
            for (labels, value) in group.ours.iter().flat_map(|series| &series.samples) {
                lines_of(labels, value, |it| line(&it));
            }
            group.theirs.iter().flat_map(|family| &family.lines).for_each(&mut line);
        }
    }

    /// Writes it.
    pub fn render(&self, format: Format) -> String {
        let mut out = String::with_capacity(16 * 1024);
        for (name, group) in &self.groups {
            let head = Head::of(name, group.kind, format, &self.groups);
            head.write(&mut out, group, format);
            group.write(&mut out, name, format);
        }
        if format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    }
}

/// How a family is announced.
struct Head<'a> {
    name: &'a str,
    word: &'static str,
}

impl<'a> Head<'a> {
    /// A counter or info whose short name is taken by another family, or that has no short name, is announced in full,
    /// as of no known kind.
    fn of(name: &'a str, kind: Kind, format: Format, groups: &BTreeMap<&str, Group<'_>>) -> Self {
        if format == Format::Text {
            return Self { name, word: kind.text() };
        }
        let (suffix, plain) = match kind {
            Kind::Counter => ("_total", Kind::Untyped),
            Kind::Info => ("_info", Kind::Gauge),
            Kind::Gauge | Kind::Histogram | Kind::Untyped | Kind::Summary => {
                return Self { name, word: kind.open_metrics() };
            }
        };
        match name.strip_suffix(suffix).filter(|short| !short.is_empty() && !groups.contains_key(short)) {
            Some(short) => Self { name: short, word: kind.open_metrics() },
            None => Self { name, word: plain.open_metrics() },
        }
    }

    fn write(&self, out: &mut String, group: &Group<'_>, format: Format) {
        // Writing into a String cannot fail.
        if !group.help.is_empty() {
            let _ = write!(out, "# HELP {} ", self.name);
            escape_help(out, group.help, format);
            out.push('\n');
        }
        let _ = writeln!(out, "# TYPE {} {}", self.name, self.word);
        let unit = group.unit;
        let named = self.name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
        if format == Format::OpenMetrics && !unit.is_empty() && named {
            let _ = writeln!(out, "# UNIT {} {unit}", self.name);
        }
    }
}

impl Group<'_> {
    /// The samples. One owner does not write the same series twice (the board sees to it); several might.
    fn write(&self, out: &mut String, name: &str, format: Format) {
        let alone = self.ours.len() + self.theirs.len() == 1;
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for series in &self.ours {
            for (labels, value) in &series.samples {
                if alone || seen.insert(labels.as_str()) {
                    sample(out, name, labels, value, format);
                }
            }
        }
        for family in &self.theirs {
            let mut own: BTreeSet<&str> = BTreeSet::new();
            for line in &family.lines {
                let labels = line.labels.as_str();
                if alone || own.contains(labels) || seen.insert(labels) {
                    // The other parts of what has just been let in belong to it.
                    own.insert(labels);
                    foreign_line(out, name, line, format);
                }
            }
        }
    }
}

fn sample(out: &mut String, name: &str, labels: &Labels, value: &Value, format: Format) {
    match value {
        Value::Number(number) => plain_line(out, name, "", labels, None, *number, format),
        Value::Histogram(histogram) => {
            for (bound, count) in histogram.cumulative() {
                plain_line(out, name, "_bucket", labels, Some(("le", bound)), as_number(count), format);
            }
            plain_line(out, name, "_sum", labels, None, histogram.sum(), format);
            plain_line(out, name, "_count", labels, None, as_number(histogram.count()), format);
        }
    }
}

fn foreign_line(out: &mut String, name: &str, line: &Line, format: Format) {
    let extra = match line.part {
        Part::Bucket(bound) => Some(("le", bound)),
        Part::Quantile(bound) => Some(("quantile", bound)),
        Part::Value | Part::Sum | Part::Count => None,
    };
    plain_line(out, name, line.part.suffix(), &line.labels, extra, line.value, format);
}

fn plain_line(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &Labels,
    extra: Option<(&str, f64)>,
    value: f64,
    format: Format,
) {
    out.push_str(name);
    out.push_str(suffix);
    let labels = labels.as_str();
    if !labels.is_empty() || extra.is_some() {
        out.push('{');
        out.push_str(labels);
        if let Some((label, bound)) = extra {
            if !labels.is_empty() {
                out.push(',');
            }
            out.push_str(label);
            out.push_str("=\"");
            number::bound(out, bound, format == Format::OpenMetrics);
            out.push('"');
        }
        out.push('}');
    }
    out.push(' ');
    number::value(out, value);
    out.push('\n');
}

fn escape_help(out: &mut String, help: &str, format: Format) {
    for letter in help.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if format == Format::OpenMetrics => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
