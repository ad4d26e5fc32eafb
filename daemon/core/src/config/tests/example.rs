//! The example of the design, and the empty configuration.

use super::*;
use crate::ids::{TeamName, WorkerName};
use std::time::Duration;

pub(super) const NODE: &str = r#"# reeve.toml
[node]      # name = hostname, labels = {}
name = "gpu-07"
labels = { role = "worker" }
[launcher]  # kind = "auto" | "systemd" | "direct"
kind = "auto"
[supervision]
damping = { crashes = 5, window = "5s" }   # k workers dead of one cause: one trial first; "off"
restart_rate = "20/s"                      # token bucket for starts on this node; "off"
[metrics]
listen = "127.0.0.1:9723"
[fleet]     # absent: a fleet of one that leads itself, no broker needed
name = "lab"
voters = ["gpu-05", "gpu-06", "gpu-07"]
brokers = ["mqtts://broker-a:8883", "mqtts://broker-b:8883"]
preset = "std"            # fast | std | calm
credentials = "mqtt"      # name of a systemd credential, never the secret
[teams.agent-system]
cpu_quota = "80%"         # of the host
memory_max = "80%"
max_workers = 100
"#;

pub(super) const WORKER: &str = r#"# workers.d/task-executor.toml
[worker]
team = "agent-system"
role = "executor"                     # label for metrics, alerts, scaling
exec = ["/usr/bin/agent-executor", "--port", "{port}"]
replicas = 5
user = "agents"
environment = { LOG_LEVEL = "info" }
environment_file = "/etc/agents/env"
credentials = ["api-key"]
working_directory = "/srv/agents"
order = 50                            # start in ascending order, stop in descending
depends_on = ["coordinator"]
node_selector = { role = "worker" }
[worker.resources]
cpu = { request = 2, limit = 4 }
memory = { request = "8Gi", limit = "16Gi" }
gpus = { request = 0, limit = 0 }
tasks_max = 512
[worker.restart]
policy = "always"                     # always | on-failure | never
backoff = { first = "0s", base = "1s", cap = "60s", reset_after = "5m" }
breaker = { failures = 5, window = "30s", open = "30s" }
unsupervised_after = "30s"            # systemd restarts it if reeved itself is dead; "off"
[worker.ready]
notify = false
timeout = "60s"
[worker.probe.liveness]
http = "http://127.0.0.1:{port}/health"
initial_delay = "30s"
period = "10s"
timeout = "5s"
failure_threshold = 3
[worker.probe.readiness]
http = "http://127.0.0.1:{port}/ready"
initial_delay = "5s"
period = "5s"
[worker.drain]
signal = "SIGUSR1"
until = { metric = "active_tasks", equals = 0 }
timeout = "120s"
save_state = ["/usr/lib/agents/save-state"]
[worker.stop]
signal = "SIGTERM"
timeout = "30s"
[worker.metrics]
scrape = "http://127.0.0.1:{port}/metrics"
[worker.sandbox]
ProtectSystem = "strict"
"#;

pub(super) fn files() -> Vec<SourceFile> {
    vec![node(NODE), worker("task-executor", WORKER), program("coordinator", "")]
}

#[test]
fn sup_14_the_example_of_the_design_is_valid() {
    let config = valid(&files());
    assert_eq!(config.node.name, "gpu-07");
    let team = &config.teams[&TeamName::new("agent-system").unwrap()];
    assert_eq!(team.cpu_quota, Some(Share::Percent(80.0)));
    assert_eq!(team.max_workers, Some(100));
    let w = &config.workers[&WorkerName::new("task-executor").unwrap()];
    assert_eq!(w.replicas, 5);
    assert_eq!(w.resources.cpu_request, Some(200));
    assert_eq!(w.resources.memory_limit, Some(16 << 30));
    assert_eq!(w.stop.signal, 15);
    assert!(w.wants_port);
    assert_eq!(w.sandbox["ProtectSystem"], ["strict"]);
    let drain = w.drain.as_ref().unwrap();
    assert_eq!(drain.notice, Notice::Signal(10));
    let until = Until::Metric { name: "active_tasks".into(), equals: 0.0 };
    assert_eq!(drain.until, until);
    let fleet = config.fleet.as_ref().unwrap();
    assert_eq!((fleet.name.as_str(), fleet.voters.len(), fleet.brokers.len()), ("lab", 3, 2));
    assert_eq!(fleet.priority[&fleet.voters[0]], 5, "the first is preferred");
    assert_eq!(warnings(&files()), Vec::<String>::new());
}

#[test]
fn an_empty_configuration_is_valid() {
    for files in [vec![], vec![node("")], vec![node("# nothing\n")]] {
        let config = valid(&files);
        assert_eq!(config.node.name, "host-1");
        assert!(config.workers.is_empty());
        assert_eq!(config.metrics.listen.as_deref(), Some("127.0.0.1:9723"));
        assert!(config.metrics.system);
        assert_eq!(config.launcher, LauncherKind::Auto);
        let supervision = Supervision {
            damping: Some(Damping { crashes: 5, window: Duration::from_secs(5) }),
            restart_rate: Some(Rate { count: 20, per: Duration::from_secs(1) }),
            remediation: Remediation::On,
        };
        assert_eq!(config.supervision, supervision);
    }
}

#[test]
fn hlt_05_hlt_06_defaults_are_the_figures_of_the_requirements() {
    let probes = "[worker.probe.liveness]\ntcp = \"127.0.0.1:{port}\"\n[worker.probe.readiness]\nhttp = \"http://127.0.0.1:{port}/\"\n[worker.drain]\n";
    let config = valid(&[program("web", probes)]);
    let w = config.workers.values().next().unwrap();
    let seconds = Duration::from_secs;
    let liveness = w.liveness.as_ref().unwrap();
    assert_eq!(
        (liveness.initial_delay, liveness.period, liveness.timeout, liveness.failure_threshold),
        (seconds(30), seconds(10), seconds(5), 3)
    );
    let readiness = w.readiness.as_ref().unwrap();
    assert_eq!((readiness.initial_delay, readiness.period, readiness.timeout), (seconds(5), seconds(5), seconds(5)));
    assert_eq!(w.team.as_str(), "default");
    assert_eq!(w.replicas, 1);
    assert_eq!(w.order, 50);
    assert_eq!(w.restart.policy, RestartPolicy::Always);
    let backoff = Backoff { first: seconds(0), base: seconds(1), cap: seconds(60), reset_after: seconds(300) };
    assert_eq!(w.restart.backoff, backoff);
    let breaker = Breaker { failures: 5, window: seconds(30), open: seconds(30) };
    assert_eq!(w.restart.breaker, Some(breaker));
    assert_eq!(w.restart.unsupervised_after, Some(seconds(30)));
    let rate = Rate { count: 3, per: seconds(3600) };
    assert_eq!(w.restart.remediation, Some(rate), "REC-12");
    assert_eq!(w.ready.timeout, seconds(60));
    assert_eq!(w.drain.as_ref().unwrap().timeout, seconds(120));
    assert_eq!((w.stop.signal, w.stop.timeout), (15, seconds(30)));
    assert_eq!(w.max_unavailable, 1);
}

#[test]
fn off_is_taken_where_the_manual_says_so() {
    let node = node(
        "[supervision]\ndamping = \"off\"\nrestart_rate = \"off\"\nremediation = \"dry-run\"\n[metrics]\nlisten = \"off\"\nsystem = \"off\"\n",
    );
    let web = program(
        "web",
        "[worker.restart]\nbreaker = \"off\"\nunsupervised_after = \"off\"\nremediation = \"off\"\n[worker.probe]\nliveness = \"off\"\n",
    );
    let config = valid(&[node, web]);
    assert_eq!(config.supervision.damping, None);
    assert_eq!(config.supervision.restart_rate, None);
    assert_eq!(config.supervision.remediation, Remediation::DryRun);
    assert_eq!(config.metrics.listen, None);
    assert!(!config.metrics.system);
    let w = config.workers.values().next().unwrap();
    assert_eq!(w.restart.breaker, None);
    assert_eq!(w.restart.unsupervised_after, None);
    assert_eq!(w.restart.remediation, None);
    assert_eq!(w.liveness, None);
}

#[test]
fn every_default_in_the_schema_is_of_its_own_type_and_in_range() {
    for key in schema() {
        if key.default.is_some() {
            assert!(typed::default(key).is_some(), "{}", key.path);
        }
        assert!(!key.text.is_empty() && !key.range().is_empty(), "{}", key.path);
    }
}
