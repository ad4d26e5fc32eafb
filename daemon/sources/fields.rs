//! Small helpers of the parsers.

use reeve_core::metrics::Labels;
use std::collections::BTreeMap;

/// Devices come and go; more than this are not remembered.
const MOST: usize = 1024;

/// Labels with one varying value, written once.
#[derive(Debug)]
pub(super) struct Known {
    name: &'static str,
    labels: BTreeMap<String, Labels>,
}

impl Known {
    /// Labels of this name.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, labels: BTreeMap::new() }
    }

    /// Those with this value.
    pub(super) fn get(&mut self, value: &str) -> Labels {
        if let Some(labels) = self.labels.get(value) {
            return labels.clone();
        }
        if self.labels.len() >= MOST {
            self.labels.clear();
        }
        let labels = Labels::new(&[(self.name, value)]);
        self.labels.insert(value.to_owned(), labels.clone());
        labels
    }
}

/// Microseconds as seconds.
pub(super) fn micros(value: f64) -> f64 {
    value / 1e6
}

/// Numbers between blanks; what is none of them is left out of its place as `None`.
pub(super) fn numbers(text: &str) -> impl Iterator<Item = Option<f64>> {
    text.split_ascii_whitespace().map(|word| word.parse().ok())
}

/// The number behind `key=`.
pub(super) fn keyed(line: &str, key: &str) -> Option<f64> {
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
}
