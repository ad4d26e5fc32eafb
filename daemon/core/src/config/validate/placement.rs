//! Whether this host can hold it: labels, GPUs, CPU and memory asked for, ports.

use super::Built;
use super::doc::{Doc, Report};
use super::graph::line;
use crate::config::types::{Check, Config, Notice, Nvml, Share, Worker};
use crate::config::units::{render_cpu, render_size};
use crate::config::{HostFacts, address};
use crate::ids::WorkerName;
use std::collections::BTreeMap;

/// The workers that belong on this node, in the order of starting; what keeps the others off is a warning each.
pub(super) fn placed<'a>(
    config: &Config,
    built: &'a BTreeMap<WorkerName, Built<'a>>,
    report: &mut Report,
) -> Vec<&'a Built<'a>> {
    let mut placed: Vec<_> = built.values().filter(|built| belongs(config, built, report)).collect();
    placed.sort_by_key(|built| built.worker.order);
    placed
}

/// Checks that there is room for all of them, and a port.
pub(super) fn check(node: &Doc<'_>, config: &Config, host: &HostFacts, placed: &[&Built<'_>], report: &mut Report) {
    room(config, host, placed, report);
    ports(node, config, placed, report);
}

/// A worker that does not belong here is shown as unplaceable by the core, and is no mistake (SUP-05, SUP-06).
fn belongs(config: &Config, built: &Built<'_>, report: &mut Report) -> bool {
    let Built { doc, worker } = built;
    let labels = &config.node.labels;
    let missing: Vec<_> = worker
        .node_selector
        .iter()
        .filter(|(name, value)| labels.get(*name) != Some(*value))
        .map(|(name, value)| match labels.get(name) {
            Some(other) => format!("{name} = {value:?} (here: {other:?})"),
            None => format!("{name} = {value:?} (here: not set)"),
        })
        .collect();
    if !missing.is_empty() {
        let text = format!("unplaceable on node `{}`: it wants {} (SUP-06)", config.node.name, missing.join(", "));
        report.warning(doc, "worker.node_selector", text);
    }
    if worker.resources.gpus_request > 0 && config.gpu.nvml == Nvml::Off {
        let text = "unplaceable: it asks for GPUs, and they are turned off (gpu.nvml) (SUP-05)".to_owned();
        report.warning(doc, "worker.resources.gpus.request", text);
    }
    missing.is_empty()
}

/// One resource that runs out.
struct Stock<'a> {
    resource: &'static str,
    owner: String,
    team: Option<&'a str>,
    all: u64,
    left: u64,
}

/// What is asked for must fit the host and each team's limit (SUP-04, SUP-07), in the order of starting.
fn room(config: &Config, host: &HostFacts, placed: &[&Built<'_>], report: &mut Report) {
    let mut stocks = Vec::new();
    let cpus = u64::from(host.cpus) * 100;
    for (resource, all) in [("cpu", cpus), ("memory", host.memory)] {
        let owner = "the host".to_owned();
        stocks.push(Stock { resource, owner, team: None, all, left: all });
        for (name, team) in &config.teams {
            let share = match resource {
                "cpu" => team.cpu_quota,
                _ => team.memory_max,
            };
            if let Some(share) = share {
                let all = of(share, all);
                stocks.push(Stock {
                    resource,
                    owner: format!("team `{name}`"),
                    team: Some(name.as_str()),
                    all,
                    left: all,
                });
            }
        }
    }
    for Built { doc, worker } in placed {
        let line: Vec<_> = line(config, &worker.team).into_iter().map(|team| team.as_str()).collect();
        for stock in &mut stocks {
            if stock.team.is_none_or(|team| line.contains(&team)) {
                take(stock, doc, worker, report);
            }
        }
    }
}

fn take(stock: &mut Stock<'_>, doc: &Doc<'_>, worker: &Worker, report: &mut Report) {
    let (request, render): (_, fn(u64) -> String) = match stock.resource {
        "cpu" => (worker.resources.cpu_request, |n| format!("{} CPUs", render_cpu(n))),
        _ => (worker.resources.memory_request, render_size),
    };
    let Some(request) = request else {
        return;
    };
    let wanted = request.saturating_mul(u64::from(worker.replicas));
    match stock.left.checked_sub(wanted) {
        Some(left) => stock.left = left,
        None => {
            let key = format!("worker.resources.{}.request", stock.resource);
            let text = format!(
                "unplaceable: {} replicas of {} ask for {}, and of the {} of {} only {} are left after the workers \
                 that start before it (SUP-04)",
                worker.replicas,
                render(request),
                render(wanted),
                render(stock.all),
                stock.owner,
                render(stock.left)
            );
            report.error(doc, &key, &["worker.replicas"], text);
        }
    }
}

/// A share in the unit of the whole.
fn of(share: Share, whole: u64) -> u64 {
    match share {
        Share::Absolute(amount) => amount,
        // Rounded towards the user: a share is written in percent, the loss of a byte is nobody's mistake.
        Share::Percent(percent) => (whole as f64 * percent / 100.0).ceil() as u64,
    }
}

/// A fixed loopback port belongs to one replica of one worker.
fn ports(node: &Doc<'_>, config: &Config, placed: &[&Built<'_>], report: &mut Report) {
    let mut taken: BTreeMap<u16, (String, String)> = BTreeMap::new();
    if let Some(port) = config.metrics.listen.as_deref().and_then(address::listen_port) {
        let side = node.side("metrics.listen");
        taken.insert(port, (String::new(), side));
    }
    for Built { doc, worker } in placed {
        let name = worker.name.as_str();
        let fixed = fixed_ports(worker);
        if worker.replicas > 1
            && let Some((key, port)) = fixed.first()
        {
            let text = format!(
                "port clash: all of {} ask for port {port}; expected {{port}}, which is another for each replica",
                doc.side("worker.replicas")
            );
            report.error(doc, key, &["worker.replicas"], text);
        }
        for (key, port) in fixed {
            match taken.get(&port) {
                Some((owner, side)) if owner != name => {
                    let text = format!("port clash: port {port} is taken by {side}; expected {{port}} or another port");
                    report.error(doc, key, &[], text);
                }
                Some(_) => {}
                None => {
                    let side = format!("worker `{name}`, {}", doc.side(key));
                    taken.insert(port, (name.to_owned(), side));
                }
            }
        }
    }
}

/// Loopback ports that a worker must be listening on, with the key that says so.
fn fixed_ports(worker: &Worker) -> Vec<(&'static str, u16)> {
    let mut found = Vec::new();
    let mut add = |key, address: Result<address::Address, String>| {
        found.extend(address.ok().and_then(|a| a.loopback_port()).map(|port| (key, port)));
    };
    for (probe, http, tcp) in [
        (&worker.liveness, "worker.probe.liveness.http", "worker.probe.liveness.tcp"),
        (&worker.readiness, "worker.probe.readiness.http", "worker.probe.readiness.tcp"),
    ] {
        match probe.as_ref().map(|probe| &probe.check) {
            Some(Check::Http(url)) => add(http, address::http(url)),
            Some(Check::Tcp(text)) => add(tcp, address::tcp(text)),
            Some(Check::Exec(_) | Check::Notify | Check::Progress) | None => {}
        }
    }
    if let Some(Notice::Http(_, url)) = worker.drain.as_ref().map(|drain| &drain.notice) {
        add("worker.drain.http", address::http(url));
    }
    if let Some(Ok(Some(address))) = worker.metrics.scrape.as_deref().map(address::scrape) {
        add("worker.metrics.scrape", Ok(address));
    }
    found
}
