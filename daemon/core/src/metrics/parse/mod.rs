//! Reading text: pages in the text format 0.0.4 and in OpenMetrics 1.0, whichever it is.
//!
//! A page that is not well formed is refused whole, with the line: half of it might be the wrong half. What is well
//! formed and cannot be kept (over a limit, twice the same series, a counter below zero) is left out and counted.
//! Timestamps, exemplars and `_created` are read and dropped: a value is of the instant at which it was asked for.

mod line;

use super::family::Kind;
use super::foreign::{Foreign, Line, Part};
use super::labels::Labels;
use line::Sample;
use std::collections::{BTreeMap, BTreeSet};

/// How much of a page is taken (MET-17: cardinality cap).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole page; more is refused.
    pub bytes: usize,
    /// Series; more are dropped.
    pub series: usize,
    /// Labels of one series; with more it is dropped.
    pub labels: usize,
    /// Bytes of a name or a label value; with more the series is dropped.
    pub word: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 << 20, series: 1000, labels: 32, word: 512 }
    }
}

/// What a page held.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// What is kept.
    pub foreign: Foreign,
    /// What is not.
    pub dropped: Dropped,
    /// Some line carried a timestamp.
    pub timestamps: bool,
}

/// Series left out, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Over the limit on series.
    pub over: u64,
    /// The same series stood there before.
    pub duplicate: u64,
    /// Too long, too many labels, or a counter that is not a number from zero up.
    pub invalid: u64,
}

impl Dropped {
    /// These too.
    pub fn add(&mut self, more: Dropped) {
        self.over += more.over;
        self.duplicate += more.duplicate;
        self.invalid += more.invalid;
    }
}

/// A page is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// What `# TYPE`, `# HELP` and `# UNIT` said of a name.
#[derive(Debug, Default)]
struct Meta<'a> {
    kind: Option<Announced>,
    help: String,
    unit: &'a str,
}

/// Kinds as they are announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// One of ours.
    Known(Kind),
    /// OpenMetrics' `gaugehistogram`: each of its parts stands for itself.
    GaugeHistogram,
}

/// Reads a page.
pub fn parse(text: &str, limits: &Limits) -> Result<Parsed, ParseError> {
    if text.len() > limits.bytes {
        return Err(ParseError { line: 1, what: format!("the page has more than {} bytes", limits.bytes) });
    }
    let mut reader = Reader { limits, metas: BTreeMap::new(), seen: BTreeSet::new(), parsed: Parsed::default() };
    let mut ended = false;
    for (at, line) in text.lines().enumerate() {
        let fail = |what: String| ParseError { line: at + 1, what };
        let line = line.trim_end_matches('\r');
        if ended && !line.trim().is_empty() {
            return Err(fail("there is more after # EOF".into()));
        }
        match line.trim_start().strip_prefix('#') {
            _ if line.trim().is_empty() => {}
            Some(" EOF") => ended = true,
            Some(comment) => reader.comment(comment).map_err(fail)?,
            None => reader.sample(line::sample(line.trim()).map_err(fail)?),
        }
    }
    reader.describe();
    Ok(reader.parsed)
}

struct Reader<'a> {
    limits: &'a Limits,
    metas: BTreeMap<&'a str, Meta<'a>>,
    seen: BTreeSet<String>,
    parsed: Parsed,
}

impl<'a> Reader<'a> {
    fn comment(&mut self, comment: &'a str) -> Result<(), String> {
        let mut words = comment.trim_start().splitn(3, [' ', '\t']);
        let (what, name, rest) = (words.next(), words.next().unwrap_or(""), words.next().unwrap_or(""));
        match what {
            Some("HELP") => self.metas.entry(name).or_default().help = line::unescape(rest),
            Some("UNIT") => self.metas.entry(name).or_default().unit = rest.trim(),
            Some("TYPE") => {
                let kind = announced(rest.trim()).ok_or_else(|| format!("{:?} is no type", rest.trim()))?;
                if self.metas.entry(name).or_default().kind.replace(kind).is_some() {
                    return Err(format!("the type of {name} is said twice"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn sample(&mut self, sample: Sample) {
        self.parsed.timestamps |= sample.timestamp;
        let Some((name, kind, suffix)) = self.place(&sample.name) else {
            return;
        };
        let name = name.to_owned();
        let too_long = sample.labels.len() > self.limits.labels
            || sample.labels.iter().any(|(n, v)| n.len().max(v.len()) > self.limits.word)
            || name.len() > self.limits.word;
        let Some((part, labels)) = part(kind, suffix, sample.labels) else {
            self.parsed.dropped.invalid += 1;
            return;
        };
        let counts = kind == Kind::Counter || matches!(part, Part::Bucket(_) | Part::Count);
        if too_long || (counts && (sample.value.is_nan() || sample.value < 0.0)) {
            self.parsed.dropped.invalid += 1;
            return;
        }
        if self.parsed.foreign.len() >= self.limits.series {
            self.parsed.dropped.over += 1;
            return;
        }
        if !self.seen.insert(identity(&name, part, &labels)) {
            self.parsed.dropped.duplicate += 1;
            return;
        }
        let pairs: Vec<_> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        self.parsed.foreign.add(&name, kind, Line { part, labels: Labels::new(&pairs), value: sample.value });
    }

    /// To which family a sample belongs, and what stands behind that family's name. `None`: it is not kept.
    fn place<'n>(&self, name: &'n str) -> Option<(&'n str, Kind, &'n str)> {
        let kind_of = |name: &str| self.metas.get(name).and_then(|m| m.kind);
        match kind_of(name) {
            Some(Announced::Known(kind)) if kind != Kind::Histogram => return Some((name, kind, "")),
            _ => {}
        }
        for suffix in ["_bucket", "_sum", "_count", "_total", "_created", "_info"] {
            let Some(base) = name.strip_suffix(suffix) else {
                continue;
            };
            match (kind_of(base), suffix) {
                (Some(Announced::Known(kind @ Kind::Histogram)), "_bucket" | "_sum" | "_count")
                | (Some(Announced::Known(kind @ Kind::Summary)), "_sum" | "_count") => {
                    return Some((base, kind, suffix));
                }
                (Some(Announced::Known(kind @ Kind::Counter)), "_total")
                | (Some(Announced::Known(kind @ Kind::Info)), "_info") => return Some((name, kind, "")),
                (Some(Announced::Known(Kind::Counter | Kind::Histogram | Kind::Summary)), "_created") => return None,
                _ => {}
            }
        }
        Some((name, Kind::Untyped, ""))
    }

    /// Gives the families what was said of them; a short name stands for the full one.
    fn describe(&mut self) {
        let names: Vec<(String, Kind)> = self.parsed.foreign.iter().map(|(n, f)| (n.to_owned(), f.kind)).collect();
        for (name, kind) in names {
            let short = match kind {
                Kind::Counter => name.strip_suffix("_total"),
                Kind::Info => name.strip_suffix("_info"),
                Kind::Gauge | Kind::Histogram | Kind::Untyped | Kind::Summary => None,
            };
            let said = |n: &str| self.metas.get(n).filter(|m| m.kind == Some(Announced::Known(kind)));
            let meta = said(&name).or_else(|| short.and_then(said)).or_else(|| self.metas.get(name.as_str()));
            if let Some(meta) = meta {
                let family = self.parsed.foreign.family(&name, kind);
                family.help.clone_from(&meta.help);
                meta.unit.clone_into(&mut family.unit);
            }
        }
    }
}

fn announced(word: &str) -> Option<Announced> {
    Some(Announced::Known(match word {
        "counter" => Kind::Counter,
        // Each state of a state set is a gauge of 0 or 1.
        "gauge" | "stateset" => Kind::Gauge,
        "histogram" => Kind::Histogram,
        "summary" => Kind::Summary,
        "info" => Kind::Info,
        "untyped" | "unknown" => Kind::Untyped,
        "gaugehistogram" => return Some(Announced::GaugeHistogram),
        _ => return None,
    }))
}

type Pairs = Vec<(String, String)>;

/// Which part of its family it is; `None` when the label that says so is missing.
fn part(kind: Kind, suffix: &str, mut labels: Pairs) -> Option<(Part, Pairs)> {
    let mut take = |name: &str| {
        let at = labels.iter().position(|(n, _)| n == name)?;
        labels.remove(at).1.parse::<f64>().ok()
    };
    let part = match (kind, suffix) {
        (Kind::Histogram, "_bucket") => Part::Bucket(take("le")?),
        (Kind::Histogram | Kind::Summary, "_sum") => Part::Sum,
        (Kind::Histogram | Kind::Summary, "_count") => Part::Count,
        (Kind::Summary, _) => Part::Quantile(take("quantile")?),
        _ => Part::Value,
    };
    Some((part, labels))
}

/// What makes a series the same as another: name and labels, in whatever order.
fn identity(name: &str, part: Part, labels: &Pairs) -> String {
    let mut sorted: Vec<_> = labels.iter().collect();
    sorted.sort();
    format!("{name}{part:?}{sorted:?}")
}

#[cfg(test)]
mod tests;
