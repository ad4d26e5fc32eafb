//! Families that are not in the table: what workers say of themselves, under names known only at run time.
//!
//! Their lines are kept as they came, so that a page of any client library is passed on without loss.

use super::family::{Family, Kind};
use super::labels::Labels;
use super::samples::{Samples, Value};
use std::collections::BTreeMap;

/// Families by full name, as in the text format 0.0.4 (`_total` and `_info` included).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Foreign {
    families: BTreeMap<String, ForeignFamily>,
    series: usize,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignFamily {
    /// Kind.
    pub kind: Kind,
    /// Help, unescaped; may be empty.
    pub help: String,
    /// Base unit; may be empty.
    pub unit: String,
    /// Its lines, in the order they came.
    pub lines: Vec<Line>,
}

/// One line of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Which part of its family.
    pub part: Part,
    /// Labels without `le` and `quantile`.
    pub labels: Labels,
    /// Value.
    pub value: f64,
}

/// Which part of a family a line is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    /// The value itself.
    Value,
    /// `_bucket{le="…"}` of a histogram.
    Bucket(f64),
    /// `{quantile="…"}` of a summary.
    Quantile(f64),
    /// `_sum`.
    Sum,
    /// `_count`.
    Count,
}

impl Part {
    /// What stands behind the family's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Part::Value | Part::Quantile(_) => "",
            Part::Bucket(_) => "_bucket",
            Part::Sum => "_sum",
            Part::Count => "_count",
        }
    }
}

impl Foreign {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The family of this name, made without lines if there is none yet.
    pub fn family(&mut self, name: &str, kind: Kind) -> &mut ForeignFamily {
        self.families.entry(name.to_owned()).or_insert_with(|| ForeignFamily {
            kind,
            help: String::new(),
            unit: String::new(),
            lines: Vec::new(),
        })
    }

    /// A family of the table: what is known of it is said, whatever its lines came as.
    pub fn describe(&mut self, of: &Family) {
        let family = self.family(of.name, of.kind);
        family.kind = of.kind;
        of.help.clone_into(&mut family.help);
        of.unit.clone_into(&mut family.unit);
    }

    /// Takes over the families of another that are not here yet.
    pub fn adopt(&mut self, other: &Foreign) {
        for (name, family) in &other.families {
            if !self.families.contains_key(name) {
                self.series += family.lines.len();
                self.families.insert(name.clone(), family.clone());
            }
        }
    }

    /// The sum over the plain series of a family.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let lines = self.get(name)?.lines.iter().filter(|line| line.part == Part::Value);
        lines.fold(None, |sum, line| Some(sum.unwrap_or(0.0) + line.value))
    }

    /// One more line of a family.
    pub fn add(&mut self, name: &str, kind: Kind, line: Line) {
        self.family(name, kind).lines.push(line);
        self.series += 1;
    }

    /// Families in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ForeignFamily)> {
        self.families.iter().map(|(name, family)| (name.as_str(), family))
    }

    /// One family.
    pub fn get(&self, name: &str) -> Option<&ForeignFamily> {
        self.families.get(name)
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.series
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.series == 0
    }

    /// Keeps the families for which `wanted` says so, and says how many lines went.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str, &ForeignFamily) -> bool) -> usize {
        let before = self.series;
        self.families.retain(|name, family| wanted(name, family));
        self.recount();
        before - self.series
    }

    /// Keeps the lines for which `wanted` says so, and says how many went. Families without any go with them.
    pub fn retain_lines(&mut self, mut wanted: impl FnMut(&str, &Line) -> bool) -> usize {
        let before = self.series;
        for (name, family) in &mut self.families {
            family.lines.retain(|line| wanted(name, line));
        }
        self.families.retain(|_, family| !family.lines.is_empty());
        self.recount();
        before - self.series
    }

    /// Every line with these labels in front of its own; a label of the same name that it came with goes, as who it is
    /// is ours to say.
    pub fn labelled(mut self, pairs: &[(&str, &str)]) -> Self {
        for line in self.families.values_mut().flat_map(|f| &mut f.lines) {
            let own = line.labels.pairs();
            let mut all = pairs.to_vec();
            all.extend(
                own.iter()
                    .filter(|(name, _)| pairs.iter().all(|(ours, _)| ours != name))
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            );
            line.labels = Labels::new(&all);
        }
        self
    }

    fn recount(&mut self) {
        self.series = self.families.values().map(|f| f.lines.len()).sum();
    }
}

/// The lines that a value of the table becomes.
pub fn lines_of(labels: &Labels, value: &Value, mut each: impl FnMut(Line)) {
    let mut line = |part, value| each(Line { part, labels: labels.clone(), value });
    match value {
        Value::Number(number) => line(Part::Value, *number),
        Value::Histogram(histogram) => {
            for (bound, count) in histogram.cumulative() {
                line(Part::Bucket(bound), as_number(count));
            }
            line(Part::Sum, histogram.sum());
            line(Part::Count, as_number(histogram.count()));
        }
    }
}

impl From<&Samples> for Foreign {
    fn from(samples: &Samples) -> Self {
        let mut foreign = Foreign::new();
        for series in samples.iter() {
            let of = series.family;
            foreign.describe(of);
            for (labels, value) in &series.samples {
                lines_of(labels, value, |line| foreign.add(of.name, of.kind, line));
            }
        }
        foreign
    }
}

/// Counts are exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "the exposition formats know only floating point")]
pub(super) fn as_number(count: u64) -> f64 {
    count as f64
}
