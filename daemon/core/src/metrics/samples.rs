//! What one look at a source has brought.

use super::family::Family;
use super::labels::Labels;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All samples of one source at one instant; replaced whole by the next look.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    by_name: BTreeMap<&'static str, Series>,
    count: usize,
}

/// The samples of one family.
#[derive(Debug, Clone)]
pub struct Series {
    /// Which.
    pub family: &'static Family,
    /// Labels and value, in the order they were put.
    pub samples: Vec<(Labels, Value)>,
}

/// A measured value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Counter, gauge, info, untyped.
    Number(f64),
    /// Histogram.
    Histogram(Arc<Histogram>),
}

/// Observations counted by upper bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    bounds: Cow<'static, [f64]>,
    /// One more than bounds: the last is above all of them. Not cumulative.
    counts: Vec<u64>,
    sum: f64,
}

impl Samples {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A number without labels.
    pub fn put(&mut self, family: &'static Family, value: f64) {
        self.add(family, Labels::none(), Value::Number(value));
    }

    /// A number, if it is known.
    pub fn put_some(&mut self, family: &'static Family, labels: &Labels, value: Option<f64>) {
        if let Some(value) = value {
            self.put_with(family, labels, value);
        }
    }

    /// A number with labels.
    pub fn put_with(&mut self, family: &'static Family, labels: &Labels, value: f64) {
        self.add(family, labels.clone(), Value::Number(value));
    }

    /// A histogram.
    pub fn put_histogram(&mut self, family: &'static Family, labels: &Labels, value: Arc<Histogram>) {
        self.add(family, labels.clone(), Value::Histogram(value));
    }

    /// Any value.
    pub fn add(&mut self, family: &'static Family, labels: Labels, value: Value) {
        let series = self.by_name.entry(family.name).or_insert_with(|| Series { family, samples: Vec::new() });
        series.samples.push((labels, value));
        self.count += 1;
    }

    /// Takes over everything of another.
    pub fn extend(&mut self, other: Samples) {
        self.count += other.count;
        for (name, more) in other.by_name {
            match self.by_name.get_mut(name) {
                Some(series) => series.samples.extend(more.samples),
                None => drop(self.by_name.insert(name, more)),
            }
        }
    }

    /// Drops the samples whose labels do not fit.
    pub fn retain(&mut self, fits: impl Fn(&Labels) -> bool) {
        self.by_name.values_mut().for_each(|series| series.samples.retain(|(labels, _)| fits(labels)));
        self.by_name.retain(|_, series| !series.samples.is_empty());
        self.count = self.by_name.values().map(|series| series.samples.len()).sum();
    }

    /// Families in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Series> {
        self.by_name.values()
    }

    /// One family.
    pub fn get(&self, name: &str) -> Option<&Series> {
        self.by_name.get(name)
    }

    /// How many values.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Histogram {
    /// Without observations. `bounds` are upper bounds in ascending order, `+Inf` left out.
    pub fn new(bounds: impl Into<Cow<'static, [f64]>>) -> Self {
        let bounds = bounds.into();
        Self { counts: vec![0; bounds.len() + 1], bounds, sum: 0.0 }
    }

    /// One more observation.
    pub fn observe(&mut self, value: f64) {
        self.observe_times(value, 1);
    }

    /// The same observation so many times: it stands for those that were not sent.
    #[expect(clippy::cast_precision_loss, reason = "counts are exact up to 2^53")]
    pub fn observe_times(&mut self, value: f64, times: u64) {
        let at = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        if let Some(count) = self.counts.get_mut(at) {
            *count += times;
        }
        self.sum += value * times as f64;
    }

    /// Upper bounds with the number of observations up to each, `+Inf` last.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain(std::iter::once(f64::INFINITY));
        bounds.zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }

    /// How many observations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static A: Family = Family::gauge("a", "", "A.", "test");
    static B: Family = Family::gauge("b", "", "B.", "test");

    #[test]
    fn samples_are_kept_by_name() {
        let mut one = Samples::new();
        one.put(&B, 1.0);
        let mut two = Samples::new();
        two.put(&A, 2.0);
        two.put_with(&B, &Labels::new(&[("x", "y")]), 3.0);
        two.put_some(&B, &Labels::none(), None);
        one.extend(two);
        let names: Vec<_> = one.iter().map(|s| (s.family.name, s.samples.len())).collect();
        assert_eq!((names, one.len()), (vec![("a", 1), ("b", 2)], 3));
        one.retain(|labels| labels.as_str().contains("\"y\""));
        let names: Vec<_> = one.iter().map(|s| (s.family.name, s.samples.len())).collect();
        assert_eq!((names, one.len()), (vec![("b", 1)], 1));
    }

    #[test]
    fn observations_are_counted_up_to_each_bound() {
        let mut histogram = Histogram::new(&[1.0, 2.0][..]);
        for value in [0.5, 1.0, 1.5, 9.0] {
            histogram.observe(value);
        }
        let counts: Vec<_> = histogram.cumulative().collect();
        assert_eq!(counts, [(1.0, 2), (2.0, 3), (f64::INFINITY, 4)]);
        assert_eq!((histogram.count(), histogram.sum()), (4, 12.0));
    }
}
