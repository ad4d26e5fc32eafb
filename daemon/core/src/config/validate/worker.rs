//! `workers.d/NAME.toml` as a [`Worker`].

use super::doc::{Doc, Report};
use super::probe;
use crate::config::WorkerMetrics;
use crate::config::types::{
    Backoff, Breaker, Check, Drain, Notice, Ready, Resources, Restart, RestartPolicy, Stop, Until, Worker,
};
use crate::config::{Origin, signal, template};
use crate::ids::{TeamName, WorkerName};
use std::sync::Arc;

/// Reads one definition; `None` when it is too broken for its relations to mean anything.
pub(super) fn build(name: &str, doc: &Doc<'_>, report: &mut Report) -> Option<Worker> {
    let name = match WorkerName::new(name) {
        Ok(name) => name,
        Err(error) => {
            let at = Origin::whole(&doc.document.file);
            report.diagnostics.push(at.diagnostic(true, String::new(), error.to_string()));
            return None;
        }
    };
    if !doc.is_set("worker.exec") {
        let text = "is missing; expected program and arguments such as [\"/usr/bin/worker\", \"--port\", \"{port}\"]";
        report.error(doc, "worker.exec", &[], text.to_owned());
        return None;
    }
    if doc.document.broken {
        return None;
    }
    let mut worker = Worker {
        name,
        team: doc.text("worker.team").and_then(|team| TeamName::new(team).ok())?,
        role: doc.text("worker.role"),
        exec: doc.list("worker.exec"),
        replicas: doc.count("worker.replicas"),
        user: doc.text("worker.user"),
        group: doc.text("worker.group"),
        environment: doc.map("worker.environment"),
        environment_file: doc.text("worker.environment_file"),
        credentials: doc.list("worker.credentials"),
        working_directory: doc.text("worker.working_directory"),
        order: doc.integer("worker.order").and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
        depends_on: doc.list("worker.depends_on").into_iter().filter_map(|name| WorkerName::new(name).ok()).collect(),
        node_selector: doc.map("worker.node_selector"),
        resources: resources(doc),
        gpu_profile: doc.text("worker.resources.gpus.mig"),
        restart: restart(doc),
        ready: Ready { notify: doc.flag("worker.ready.notify"), timeout: doc.duration("worker.ready.timeout") },
        liveness: probe::build(doc, "worker.probe.liveness", report),
        readiness: probe::build(doc, "worker.probe.readiness", report),
        drain: probe::drain(doc, report),
        stop: Stop {
            signal: doc.text("worker.stop.signal").and_then(|name| signal::parse_signal(&name)).unwrap_or(15),
            timeout: doc.duration("worker.stop.timeout"),
        },
        max_unavailable: doc.count("worker.rolling.max_unavailable"),
        metrics: metrics(doc),
        sandbox: Arc::new(doc.directives("worker.sandbox")),
        wants_port: false,
    };
    let wants_port = templates(&worker).any(template::wants_port);
    worker.wants_port = wants_port;
    Some(worker)
}

fn resources(doc: &Doc<'_>) -> Resources {
    let gpus_request = doc.count("worker.resources.gpus.request");
    Resources {
        cpu_request: doc.amount("worker.resources.cpu.request"),
        cpu_limit: doc.amount("worker.resources.cpu.limit"),
        memory_request: doc.amount("worker.resources.memory.request"),
        memory_limit: doc.amount("worker.resources.memory.limit"),
        gpus_request,
        gpus_limit: if doc.is_set("worker.resources.gpus.limit") {
            doc.count("worker.resources.gpus.limit")
        } else {
            gpus_request
        },
        tasks_max: doc.integer("worker.resources.tasks_max").and_then(|n| u64::try_from(n).ok()),
    }
}

fn restart(doc: &Doc<'_>) -> Restart {
    let breaker = Breaker {
        failures: doc.count("worker.restart.breaker.failures"),
        window: doc.duration("worker.restart.breaker.window"),
        open: doc.duration("worker.restart.breaker.open"),
    };
    Restart {
        policy: match doc.text("worker.restart.policy").as_deref() {
            Some("on-failure") => RestartPolicy::OnFailure,
            Some("never") => RestartPolicy::Never,
            _ => RestartPolicy::Always,
        },
        backoff: Backoff {
            first: doc.duration("worker.restart.backoff.first"),
            base: doc.duration("worker.restart.backoff.base"),
            cap: doc.duration("worker.restart.backoff.cap"),
            reset_after: doc.duration("worker.restart.backoff.reset_after"),
        },
        breaker: (!doc.is_off("worker.restart.breaker")).then_some(breaker),
        unsupervised_after: doc.maybe_duration("worker.restart.unsupervised_after"),
        remediation: doc.rate("worker.restart.remediation"),
    }
}

fn metrics(doc: &Doc<'_>) -> WorkerMetrics {
    let period = doc.duration("worker.metrics.period");
    let timeout = doc.duration("worker.metrics.timeout");
    let labels = match doc.is_set("worker.metrics.labels") {
        true => doc.list("worker.metrics.labels"),
        false => WorkerMetrics::default().labels,
    };
    WorkerMetrics {
        scrape: doc.text("worker.metrics.scrape"),
        period,
        timeout: if doc.is_set("worker.metrics.timeout") { timeout } else { timeout.min(period) },
        allow: doc.list("worker.metrics.allow"),
        max_series: doc.integer("worker.metrics.max_series").and_then(|n| u32::try_from(n).ok()),
        labels,
        buckets: doc.bounds("worker.metrics.buckets"),
        statsd: doc.flag("worker.metrics.statsd"),
        multiprocess: doc.flag("worker.metrics.multiprocess"),
    }
}

/// Every text of a worker in which templates stand.
fn templates(worker: &Worker) -> impl Iterator<Item = &str> {
    let probes = [&worker.liveness, &worker.readiness].into_iter().flatten().flat_map(|probe| match &probe.check {
        Check::Http(text) | Check::Tcp(text) => std::slice::from_ref(text),
        Check::Exec(argv) => argv.as_slice(),
        Check::Notify | Check::Progress => &[],
    });
    worker
        .exec
        .iter()
        .chain(worker.environment.values())
        .chain(probes)
        .chain(worker.drain.iter().flat_map(drain_templates))
        .chain(&worker.metrics.scrape)
        .map(String::as_str)
}

fn drain_templates(drain: &Drain) -> impl Iterator<Item = &String> {
    let notice = match &drain.notice {
        Notice::Http(_, url) => std::slice::from_ref(url),
        Notice::Exec(argv) => argv.as_slice(),
        Notice::Signal(_) | Notice::None => &[],
    };
    let until = match &drain.until {
        Until::Exec(argv) => argv.as_slice(),
        Until::Metric { .. } | Until::Exit | Until::Nothing => &[],
    };
    notice.iter().chain(until).chain(drain.save_state.iter().flatten())
}
