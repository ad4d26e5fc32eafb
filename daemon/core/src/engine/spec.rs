//! From a definition to what a launcher needs for one run: every template replaced.

use super::Site;
use crate::config::{Check, Config, Resources, TemplateValues, expand};
use crate::desired::DesiredWorker;
use crate::effect::{MULTIPROCESS_DIR, MULTIPROCESS_FOLDER, RunSpec};
use crate::gpu::books::Books;
use crate::ids::{ReplicaId, TeamName};
use crate::replica::Replica;
use std::sync::Arc;
use std::time::Duration;

/// What stands for the names in braces.
pub(super) fn values(id: &ReplicaId, port: Option<u16>, gpus: &[String], site: &Site) -> TemplateValues {
    TemplateValues {
        worker: id.worker.to_string(),
        replica: id.index,
        port,
        runtime_dir: format!("{}/{}", site.runtime_root, id.file_name()),
        gpus: gpus.join(","),
    }
}

/// Puts the values into each text.
pub(super) fn expand_all(texts: &[String], values: &TemplateValues) -> Vec<String> {
    texts.iter().map(|t| expand(t, values)).collect()
}

/// Puts the values into a check.
pub(super) fn expand_check(check: &Check, values: &TemplateValues) -> Check {
    match check {
        Check::Http(url) => Check::Http(expand(url, values)),
        Check::Tcp(addr) => Check::Tcp(expand(addr, values)),
        Check::Exec(argv) => Check::Exec(expand_all(argv, values)),
        Check::Notify => Check::Notify,
        Check::Progress => Check::Progress,
    }
}

/// The team's parents, outermost first.
pub(super) fn parents(config: &Config, team: &TeamName) -> Vec<TeamName> {
    let mut chain = Vec::new();
    let mut next = config.teams.get(team).and_then(|t| t.parent.clone());
    while let Some(parent) = next {
        if chain.contains(&parent) {
            break;
        }
        next = config.teams.get(&parent).and_then(|t| t.parent.clone());
        chain.insert(0, parent);
    }
    chain
}

/// The digest as it is stored with a run: with its limits, which may be changed while it lives.
pub(super) fn write_digest(digest: &str, limits: &Resources) -> String {
    let figure = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
    let Resources { cpu_request, cpu_limit, memory_request, memory_limit, tasks_max, .. } = *limits;
    let figures = [cpu_request, cpu_limit, memory_request, memory_limit, tasks_max].map(figure);
    format!("{digest}.{}", figures.join(","))
}

/// Reads [`write_digest`] back; limits are `None` where they were not written.
pub(super) fn read_digest(text: &str) -> (&str, Option<Resources>) {
    let Some((digest, limits)) = text.split_once('.') else {
        return (text, None);
    };
    let mut figures = limits.split(',').map(|n| n.parse::<u64>().ok());
    let mut next = || figures.next().flatten();
    let limits = Resources {
        cpu_request: next(),
        cpu_limit: next(),
        memory_request: next(),
        memory_limit: next(),
        tasks_max: next(),
        ..Resources::default()
    };
    (digest, Some(limits))
}

/// How long the worker may stay silent, if it has a watchdog.
pub(super) fn watchdog(worker: &crate::config::Worker) -> Option<Duration> {
    let probe = worker.liveness.as_ref().filter(|p| p.check == Check::Notify)?;
    Some(probe.period.saturating_mul(probe.failure_threshold))
}

/// Device files of these cards and slices; none when those of one of them are not known.
fn devices(books: &Books, gpus: &[String]) -> Vec<String> {
    let mut all = std::collections::BTreeSet::new();
    for uuid in gpus {
        let Some(card) = books.inventory().card_of(uuid).filter(|c| !c.nodes.is_empty()) else {
            return Vec::new();
        };
        all.extend(card.nodes.iter().cloned());
        if let Some(slice) = card.slice(uuid) {
            if slice.nodes.is_empty() {
                return Vec::new();
            }
            all.extend(slice.nodes.iter().cloned());
        }
    }
    all.into_iter().collect()
}

/// Builds it.
pub(super) fn build(
    worker: &DesiredWorker,
    replica: &Replica,
    books: &Books,
    site: &Site,
    config: &Config,
) -> Arc<RunSpec> {
    let def = &worker.def;
    let (id, port, gpus) = (&replica.id, replica.port, &replica.gpus);
    let values = values(id, port, gpus, site);
    let mut environment = std::collections::BTreeMap::from([
        ("REEVE_WORKER".to_owned(), id.worker.to_string()),
        ("REEVE_REPLICA".to_owned(), id.index.to_string()),
        ("REEVE_RUNTIME_DIR".to_owned(), values.runtime_dir.clone()),
    ]);
    if let Some(port) = port {
        environment.insert("PORT".into(), port.to_string());
    }
    if def.metrics.multiprocess {
        environment.insert(MULTIPROCESS_DIR.into(), format!("{}/{MULTIPROCESS_FOLDER}", values.runtime_dir));
    }
    if def.metrics.statsd && !site.statsd_root.is_empty() {
        let path = format!("{}/{}", site.statsd_root, id.file_name());
        environment.insert("DD_DOGSTATSD_URL".into(), format!("unix://{path}"));
        environment.insert("STATSD_SOCKET".into(), path);
    }
    // Said also when there are none: else a program takes every card it sees.
    if worker.limits.gpus_limit > 0 || worker.limits.gpus_request > 0 {
        for name in ["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"] {
            environment.insert(name.into(), values.gpus.clone());
        }
    }
    environment.extend(def.environment.iter().map(|(k, v)| (k.clone(), expand(v, &values))));
    Arc::new(RunSpec {
        replica: id.clone(),
        team: def.team.clone(),
        team_parents: parents(config, &def.team),
        exec: expand_all(&def.exec, &values),
        user: def.user.clone(),
        group: def.group.clone(),
        environment,
        environment_file: def.environment_file.clone(),
        credentials: def.credentials.clone(),
        working_directory: def.working_directory.clone(),
        limits: worker.limits,
        policy: def.restart.policy,
        unsupervised_after: def.restart.unsupervised_after,
        notify: true,
        stop_signal: def.stop.signal,
        stop_timeout: def.stop.timeout,
        watchdog: watchdog(def),
        sandbox: Arc::clone(&def.sandbox),
        gpus: gpus.clone(),
        devices: devices(books, gpus),
        digest: worker.digest.to_string(),
    })
}
