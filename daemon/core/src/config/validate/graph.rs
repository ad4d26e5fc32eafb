//! Who depends on whom: workers, their order, teams and their parents.

use super::Built;
use super::doc::{Doc, Report};
use crate::config::types::Config;
use crate::config::{Merged, suggest};
use crate::ids::{TeamName, WorkerName};
use std::collections::{BTreeMap, BTreeSet};

/// Dependencies exist, form no circle and do not contradict the order (ORD-04).
pub(super) fn dependencies(merged: &Merged, built: &BTreeMap<WorkerName, Built<'_>>, report: &mut Report) {
    const KEY: &str = "worker.depends_on";
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, Built { doc, worker }) in built {
        let wanted = edges.entry(name.as_str()).or_default();
        for other in &worker.depends_on {
            wanted.push(other.as_str());
            if let Some(file) = merged.masked.get(other.as_str()) {
                let text = format!("worker `{other}` is masked by {file} (ORD-04)");
                report.error(doc, KEY, &[], text);
            } else if !merged.workers.contains_key(other.as_str()) {
                let hint = suggest::hint(other.as_str(), merged.workers.keys());
                let text = format!("there is no worker `{other}`{hint} (ORD-04)");
                report.error(doc, KEY, &[], text);
            }
            if let Some(dependency) = built.get(other)
                && dependency.worker.order > worker.order
                && !dependency.doc.is_bad("worker.order")
            {
                let text = format!(
                    "{} starts it before `{other}`, on which it depends and which has {}; expected an order not \
                     below that (ORD-04)",
                    doc.side("worker.order"),
                    dependency.doc.side("worker.order")
                );
                report.error(doc, "worker.order", &[KEY], text);
            }
        }
    }
    for circle in circles(edges) {
        let first = circle.first().and_then(|name| WorkerName::new(name).ok());
        if let Some(Built { doc, .. }) = first.and_then(|name| built.get(&name)) {
            let text = format!("dependency circle: {} (ORD-04)", circle.join(" -> "));
            report.error(doc, KEY, &[], text);
        }
    }
}

/// Teams exist, form no circle and are not over their number (SUP-02, SUP-08).
pub(super) fn teams(
    doc: &Doc<'_>,
    config: &Config,
    built: &BTreeMap<WorkerName, Built<'_>>,
    placed: &[&Built<'_>],
    report: &mut Report,
) {
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, team) in &config.teams {
        let Some(parent) = &team.parent else {
            continue;
        };
        edges.insert(name.as_str(), vec![parent.as_str()]);
        if !config.teams.contains_key(parent) {
            let hint = suggest::hint(parent.as_str(), config.teams.keys().map(TeamName::as_str));
            let text = format!("there is no section [teams.{parent}]{hint} (SUP-02)");
            report.error(doc, &format!("teams.{name}.parent"), &[], text);
        }
    }
    for circle in circles(edges) {
        if let Some(first) = circle.first() {
            let text = format!("circle of parents: {} (SUP-02)", circle.join(" -> "));
            report.error(doc, &format!("teams.{first}.parent"), &[], text);
        }
    }
    for Built { doc, worker } in built.values() {
        let known = config.teams.contains_key(&worker.team);
        let near = suggest::nearest(worker.team.as_str(), config.teams.keys().map(TeamName::as_str));
        if let (false, Some(near)) = (known, near) {
            let text =
                format!("there is no section [teams.{}], so it has no limits; did you mean `{near}`?", worker.team);
            report.warning(doc, "worker.team", text);
        }
    }
    sizes(doc, config, placed, report);
}

fn sizes(doc: &Doc<'_>, config: &Config, placed: &[&Built<'_>], report: &mut Report) {
    for (name, team) in &config.teams {
        let Some(most) = team.max_workers else {
            continue;
        };
        let mut members: Vec<_> = placed.iter().filter(|b| line(config, &b.worker.team).contains(&name)).collect();
        members.sort_by_key(|b| &b.worker.name);
        let total: u64 = members.iter().map(|b| u64::from(b.worker.replicas)).sum();
        let trusted = members.iter().all(|b| !b.doc.is_bad("worker.replicas"));
        if total > u64::from(most) && trusted {
            let parts: Vec<_> = members.iter().map(|b| format!("{} of {}", b.worker.replicas, b.worker.name)).collect();
            let text = format!(
                "team `{name}` may have {most} replicas and its workers want {total}: {} (SUP-08)",
                parts.join(", ")
            );
            report.error(doc, &format!("teams.{name}.max_workers"), &[], text);
        }
    }
}

/// A team and those above it, innermost first; ends at a circle.
pub(super) fn line<'a>(config: &'a Config, team: &'a TeamName) -> Vec<&'a TeamName> {
    let mut line = vec![team];
    while let Some(parent) = line.last().and_then(|team| config.teams.get(*team)).and_then(|team| team.parent.as_ref())
    {
        if line.contains(&parent) {
            break;
        }
        line.push(parent);
    }
    line
}

/// Every circle once, written from its smallest name and back to it.
fn circles(mut edges: BTreeMap<&str, Vec<&str>>) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    loop {
        // Whoever waits for nobody is in no circle.
        loop {
            let waiting: BTreeSet<&str> = edges.keys().copied().collect();
            let before = edges.len();
            edges.retain(|_, wanted| {
                wanted.retain(|other| waiting.contains(other));
                !wanted.is_empty()
            });
            if edges.len() == before {
                break;
            }
        }
        let Some(first) = edges.keys().next().copied() else {
            return found;
        };
        let mut walk = vec![first];
        let circle = loop {
            let next = walk
                .last()
                .and_then(|name| edges.get(name))
                .and_then(|wanted| wanted.first())
                .copied()
                .unwrap_or(first);
            if let Some(from) = walk.iter().position(|name| *name == next) {
                break walk.split_off(from);
            }
            walk.push(next);
        };
        let smallest = circle.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
        let names = circle.iter().cycle().skip(smallest);
        found.push(names.take(circle.len() + 1).map(|name| (*name).to_owned()).collect());
        for name in circle {
            edges.remove(name);
        }
    }
}
