//! `reeve.toml`: node, launcher, supervision, metrics, teams.

use super::doc::{Doc, Report};
use crate::config::types::{
    Config, Damping, Gpu, LauncherKind, Metrics, MetricsTls, Node, Nvml, Remediation, Supervision, Team,
};
use crate::config::{HostFacts, text};
use crate::ids::TeamName;
use std::collections::BTreeMap;

/// Everything but the workers.
pub(super) fn build(doc: &Doc<'_>, host: &HostFacts, report: &mut Report) -> Config {
    let name = name(doc, host, report);
    Config {
        fleet: super::fleet::build(doc, &name, report),
        node: Node { name, labels: doc.map("node.labels") },
        launcher: match doc.text("launcher.kind").as_deref() {
            Some("systemd") => LauncherKind::Systemd,
            Some("direct") => LauncherKind::Direct,
            _ => LauncherKind::Auto,
        },
        supervision: supervision(doc),
        metrics: metrics(doc, report),
        gpu: Gpu {
            nvml: match doc.text("gpu.nvml") {
                _ if doc.is_off("gpu.nvml") => Nvml::Off,
                Some(path) if path != "auto" => Nvml::Library(path),
                _ => Nvml::Auto,
            },
            gpm: doc.flag("gpu.gpm"),
            nvlink_links: doc.flag("gpu.nvlink_links"),
        },
        teams: teams(doc),
        workers: BTreeMap::new(),
    }
}

/// Units of others that may be followed: each is a match rule, of which the bus allows a connection 512
/// (`max_match_rules_per_connection`, dbus-daemon(1)).
const UNITS: usize = 200;

fn metrics(doc: &Doc<'_>, report: &mut Report) -> Metrics {
    let listen = doc.text("metrics.listen");
    let units = doc.list("metrics.units");
    if units.len() > UNITS {
        let text = format!("has {} units; expected at most {UNITS}", units.len());
        report.error(doc, "metrics.units", &[], text);
    }
    let tls = if doc.is_set("metrics.tls") { tls(doc, listen.as_deref(), report) } else { None };
    Metrics {
        listen,
        system: doc.text("metrics.system").as_deref() != Some("off"),
        units,
        hardware: doc.flag("metrics.hardware"),
        network_filesystems: doc.flag("metrics.network_filesystems"),
        max_series: doc.count("metrics.max_series"),
        max_worker_series: doc.count("metrics.max_worker_series"),
        textfile: doc.text("metrics.textfile"),
        tls,
    }
}

fn tls(doc: &Doc<'_>, listen: Option<&str>, report: &mut Report) -> Option<MetricsTls> {
    if listen.is_some_and(|place| place.starts_with("unix:")) {
        let side = doc.side("metrics.listen");
        let text = format!("is for an address, and {side} is a socket whose file says who may connect");
        report.error(doc, "metrics.tls", &["metrics.listen"], text);
    }
    let mut needed = |key: &str| {
        let found = doc.text(key);
        if found.is_none() {
            report.error(doc, key, &[], "is missing; expected the name of a systemd credential".to_owned());
        }
        found
    };
    let (certificate, key) = (needed("metrics.tls.certificate"), needed("metrics.tls.key"));
    Some(MetricsTls { certificate: certificate?, key: key?, client_ca: doc.text("metrics.tls.client_ca") })
}

fn name(doc: &Doc<'_>, host: &HostFacts, report: &mut Report) -> String {
    if let Some(name) = doc.text("node.name") {
        return name;
    }
    if let Err(reason) = text::node(&host.hostname) {
        let text = format!("is not set, and the host name cannot stand in for it: {reason}");
        report.error(doc, "node.name", &[], text);
    }
    host.hostname.clone()
}

fn supervision(doc: &Doc<'_>) -> Supervision {
    let damping = Damping {
        crashes: doc.count("supervision.damping.crashes"),
        window: doc.duration("supervision.damping.window"),
    };
    Supervision {
        damping: (!doc.is_off("supervision.damping")).then_some(damping),
        restart_rate: doc.rate("supervision.restart_rate"),
        remediation: match doc.text("supervision.remediation").as_deref() {
            Some("dry-run") => Remediation::DryRun,
            Some("off") => Remediation::Off,
            _ => Remediation::On,
        },
    }
}

fn teams(doc: &Doc<'_>) -> BTreeMap<TeamName, Team> {
    doc.names("teams")
        .into_iter()
        .filter_map(|name| {
            let key = |key: &str| format!("teams.{name}.{key}");
            let team = Team {
                cpu_quota: doc.share(&key("cpu_quota")),
                memory_max: doc.share(&key("memory_max")),
                tasks_max: doc.integer(&key("tasks_max")).and_then(|n| u64::try_from(n).ok()),
                max_workers: doc.integer(&key("max_workers")).and_then(|n| u32::try_from(n).ok()),
                parent: doc.text(&key("parent")).and_then(|parent| TeamName::new(parent).ok()),
                fail_together: doc.flag(&key("fail_together")),
            };
            Some((TeamName::new(name).ok()?, team))
        })
        .collect()
}
