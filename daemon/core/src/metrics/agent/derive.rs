//! Sums of what a page gives, and copies under the other name.

use super::{Family, Foreign, Kind, Labels, Line, Part, f};
use std::collections::BTreeMap;

/// The counters that something follows from; `None`: the page does not have it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) tasks: Option<f64>,
    pub(super) errors: Option<f64>,
    pub(super) requests: Option<f64>,
    /// Requests are known by the histogram of their answers.
    pub(super) answers: bool,
    /// Good ones, all.
    pub(super) rounds: (Option<f64>, Option<f64>),
    pub(super) plans: (Option<f64>, Option<f64>),
    pub(super) busy: Option<f64>,
    pub(super) useful: Option<f64>,
    pub(super) coordinating: Option<f64>,
}

impl Counts {
    pub(super) fn of(page: &Foreign) -> Self {
        let tasks = sum(page, &f::TASKS, Part::Value, |_| true);
        let answers = sum(page, &f::RESPONSE_TIME, Part::Count, |_| true)
            .or_else(|| sum(page, &f::RESPONSE, Part::Count, |_| true));
        let share = |family| (sum(page, family, Part::Value, good), sum(page, family, Part::Value, |_| true));
        Self {
            tasks,
            errors: sum(page, &f::ERRORS, Part::Value, |_| true),
            requests: answers.or(tasks),
            answers: answers.is_some(),
            rounds: share(&f::CONSENSUS_ROUNDS),
            plans: share(&f::PLANS),
            busy: sum(page, &f::BUSY, Part::Value, |_| true),
            useful: sum(page, &f::COORDINATION_USEFUL, Part::Value, |_| true),
            coordinating: sum(page, &f::COORDINATION_TOTAL, Part::Value, |_| true),
        }
    }
}

/// Words that say that something went well.
fn good(labels: &Labels) -> bool {
    const WORDS: &[&str] = &["success", "succeeded", "ok", "reached", "done"];
    labels.pairs().iter().any(|(name, value)| name == "outcome" && WORDS.contains(&value.as_str()))
}

fn sum(page: &Foreign, family: &Family, part: Part, wanted: impl Fn(&Labels) -> bool) -> Option<f64> {
    let lines = page.get(family.name)?.lines.iter();
    let values = lines.filter(|line| line.part == part && wanted(&line.labels)).map(|line| line.value);
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

/// A page that does not say what a documented family is, means what it is documented as.
pub(super) fn settle_kinds(page: &mut Foreign) {
    for family in f::all().filter(|family| matches!(family.kind, Kind::Counter | Kind::Gauge)) {
        if page.get(family.name).is_some_and(|given| given.kind == Kind::Untyped) {
            page.describe(family);
        }
    }
}

/// The same numbers under the documented name and under the well-formed one, and what a histogram tells beside.
pub(super) fn mirror(page: &mut Foreign) {
    copy(page, &f::RESPONSE, &f::RESPONSE_TIME);
    copy(page, &f::RESPONSE_TIME, &f::RESPONSE);
    copy(page, &f::MESSAGE_DELIVERY, &f::MESSAGE_DELIVERY_LATENCY);
    copy(page, &f::MESSAGE_DELIVERY_LATENCY, &f::MESSAGE_DELIVERY);
    if page.get(f::REASONING_STEPS.name).is_none()
        && let Some(steps) = sum(page, &f::REASONING_CHAIN_LENGTH, Part::Sum, |_| true)
    {
        page.describe(&f::REASONING_STEPS);
        let line = Line { part: Part::Value, labels: Labels::none(), value: steps };
        page.add(f::REASONING_STEPS.name, Kind::Counter, line);
    }
}

/// Adds up the series of a histogram over the labels that `to` does not have. Where bounds differ there is no sum.
fn copy(page: &mut Foreign, from: &'static Family, to: &'static Family) {
    if page.get(to.name).is_some() {
        return;
    }
    let Some(given) = page.get(from.name).filter(|family| family.kind == Kind::Histogram) else {
        return;
    };
    let mut sums: BTreeMap<Labels, Vec<Line>> = BTreeMap::new();
    let mut series: BTreeMap<&Labels, Vec<&Line>> = BTreeMap::new();
    for line in &given.lines {
        series.entry(&line.labels).or_default().push(line);
    }
    for (labels, lines) in series {
        let labels = only(labels, to.labels);
        match sums.get_mut(&labels) {
            None => {
                let relabelled = lines.iter().map(|line| Line { labels: labels.clone(), ..(*line).clone() });
                sums.insert(labels.clone(), relabelled.collect());
            }
            Some(sum) if sum.len() == lines.len() && sum.iter().zip(&lines).all(|(a, b)| a.part == b.part) => {
                sum.iter_mut().zip(&lines).for_each(|(sum, line)| sum.value += line.value);
            }
            Some(_) => return,
        }
    }
    page.describe(to);
    for line in sums.into_values().flatten() {
        page.add(to.name, Kind::Histogram, line);
    }
}

fn only(labels: &Labels, names: &[&str]) -> Labels {
    let pairs = labels.pairs();
    let kept: Vec<_> =
        pairs.iter().filter(|(n, _)| names.contains(&n.as_str())).map(|(n, v)| (n.as_str(), v.as_str())).collect();
    Labels::new(&kept)
}
