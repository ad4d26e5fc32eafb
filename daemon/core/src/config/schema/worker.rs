//! Keys of `workers.d/NAME.toml`.

use super::{Key, Kind};
use crate::config::{address, text};
use std::time::Duration;

const NONE: Duration = Duration::ZERO;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

const fn path(path: &'static str, requirement: &'static str, line: &'static str) -> Key {
    let kind = Kind::Text { expected: "an absolute path", check: text::path };
    Key::new(path, kind, None, requirement, line)
}

const fn account(path: &'static str, line: &'static str) -> Key {
    let kind = Kind::Text { expected: "the name or number of an account", check: text::account };
    Key::new(path, kind, None, "SEC-14", line)
}

const fn signal(path: &'static str, default: Option<&'static str>, line: &'static str) -> Key {
    let kind = Kind::Text { expected: "a signal such as \"SIGTERM\"", check: text::signal };
    Key::new(path, kind, default, "ORD-06", line)
}

const fn url(path: &'static str, requirement: &'static str, line: &'static str) -> Key {
    let kind = Kind::Text { expected: "a URL such as \"http://127.0.0.1:{port}/health\"", check: http };
    Key::new(path, kind, None, requirement, line).template()
}

const fn tcp(path: &'static str, requirement: &'static str, line: &'static str) -> Key {
    let kind = Kind::Text { expected: "host and port such as \"127.0.0.1:{port}\"", check: host_and_port };
    Key::new(path, kind, None, requirement, line).template()
}

const fn command(path: &'static str, requirement: &'static str, line: &'static str) -> Key {
    Key::new(path, Kind::Command, None, requirement, line).template()
}

const fn span(
    path: &'static str,
    default: &'static str,
    min: Duration,
    requirement: &'static str,
    line: &'static str,
) -> Key {
    Key::new(path, Kind::Duration { min }, Some(default), requirement, line)
}

const fn count(
    path: &'static str,
    default: &'static str,
    min: i64,
    max: i64,
    requirement: &'static str,
    line: &'static str,
) -> Key {
    Key::new(path, Kind::Integer { min, max }, Some(default), requirement, line)
}

const fn section(path: &'static str, optional: bool, requirement: &'static str, line: &'static str) -> Key {
    Key::new(path, Kind::Section { optional }, None, requirement, line).or_off()
}

fn http(text: &str) -> Result<(), String> {
    address::http(text).map(|_| ())
}

fn scrape(text: &str) -> Result<(), String> {
    address::scrape(text).map(|_| ())
}

fn host_and_port(text: &str) -> Result<(), String> {
    address::tcp(text).map(|_| ())
}

fn request(text: &str) -> Result<(), String> {
    address::request(text).map(|_| ())
}

/// In the order of the manual, sections together.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    command("worker.exec", "SUP-01", "Program (absolute path) and arguments. Required."),
    Key::new("worker.team", Kind::Text { expected: "a team name", check: text::team }, Some("default"), "SUP-02",
        "Team it belongs to."),
    Key::new("worker.role", Kind::Text { expected: "1 to 48 letters, digits, '.', '-' and '_'", check: text::role },
        None, "SUP-01", "Label used by metrics, alerts and scaling."),
    count("worker.replicas", "1", 0, 10_000, "SUP-03", "Copies wanted on this node."),
    account("worker.user", "Account it runs as. Default: reeve-worker with systemd, the daemon's own with direct."),
    account("worker.group", "Group it runs as. Default: that of the account."),
    path("worker.environment_file", "SUP-14", "File of NAME=value lines, read at each start."),
    Key::new("worker.credentials", Kind::List { expected: "a list of names of systemd credentials",
        check: text::credential }, Some("[]"), "SEC-06", "systemd credentials it may read."),
    path("worker.working_directory", "", "Folder it starts in. Default: /."),
    count("worker.order", "50", -1_000_000, 1_000_000, "ORD-04 ORD-07",
        "Start in ascending order, stop in descending."),
    Key::new("worker.depends_on", Kind::List { expected: "a list of worker names", check: text::worker }, Some("[]"),
        "ORD-04", "Workers that must be ready before it starts."),
    Key::new("worker.environment", Kind::Map { expected: "a table of variables and texts", key: text::variable,
        value: text::variable_value }, Some("{}"), "SUP-14", "Environment variables.").template(),
    Key::new("worker.node_selector", Kind::Map { expected: "a table of label names and texts", key: text::label,
        value: text::plain }, Some("{}"), "SUP-06", "Labels the node must have; else the worker is unplaceable."),
    count("worker.rolling.max_unavailable", "1", 1, 10_000, "DEP-06 REC-09",
        "Replicas that may be down at once in a rolling change."),

    Key::new("worker.resources.tasks_max", Kind::Integer { min: 1, max: 4_194_304 }, None, "SUP-04",
        "Processes and threads at most."),
    Key::new("worker.resources.cpu.request", Kind::Cpu, None, "SUP-04", "CPUs asked for: admission and weight."),
    Key::new("worker.resources.cpu.limit", Kind::Cpu, None, "SUP-04", "CPUs at most."),
    Key::new("worker.resources.memory.request", Kind::Size, None, "SUP-04", "Memory asked for: admission, MemoryLow."),
    Key::new("worker.resources.memory.limit", Kind::Size, None, "SUP-04", "Memory at most; MemoryHigh at 90 %."),
    count("worker.resources.gpus.request", "0", 0, 64, "SUP-05",
        "Whole GPUs asked for, per replica: of one NUMA node, by the shortest ways to each other (NVLink, PCIe)."),
    count("worker.resources.gpus.limit", "0", 0, 64, "SUP-05",
        "Whole GPUs at most, as far as they are free. Default: the request."),
    Key::new("worker.resources.gpus.mig", Kind::Text { expected: "a MIG profile such as \"1g.10gb\"",
        check: text::profile }, None, "SUP-05", "It asks for MIG slices of this profile instead of whole GPUs."),

    Key::new("worker.restart.policy", Kind::Choice(&["always", "on-failure", "never"]), Some("always"), "SUP-09",
        "When an ended run is followed by another."),
    span("worker.restart.unsupervised_after", "30s", SECOND, "SUP-09",
        "systemd restarts it after this long when reeved itself is dead.").or_off(),
    Key::new("worker.restart.remediation", Kind::Rate, Some("3/h"), "REC-12",
        "Restarts for failed probes, watchdog or progress at most, per replica.").or_off(),
    span("worker.restart.backoff.first", "0s", NONE, "SUP-10", "Before the first restart after a failure."),
    span("worker.restart.backoff.base", "1s", NONE, "SUP-10", "Before the second; it doubles from there."),
    span("worker.restart.backoff.cap", "60s", NONE, "SUP-10", "Never longer than this."),
    span("worker.restart.backoff.reset_after", "5m", SECOND, "SUP-10", "A run that stays up this long clears the count."),
    section("worker.restart.breaker", false, "CBR-02",
        "Stops trying for a while after failures of one cause; \"off\" turns that off."),
    count("worker.restart.breaker.failures", "5", 1, 1_000, "CBR-02", "Failures of one cause that open it."),
    span("worker.restart.breaker.window", "30s", MILLISECOND, "CBR-02", "Within which span they must happen."),
    span("worker.restart.breaker.open", "30s", MILLISECOND, "CBR-02", "How long it stays open the first time; it doubles."),

    Key::new("worker.ready.notify", Kind::Bool, Some("false"), "SUP-09", "It is ready when it sends READY=1."),
    span("worker.ready.timeout", "60s", MILLISECOND, "SUP-09", "Not ready for this long after the start: restarted."),

    section("worker.probe.liveness", true, "HLT-05", "Failing restarts the worker. One of http, tcp, exec, notify, progress."),
    url("worker.probe.liveness.http", "HLT-01", "GET; 200 to 399 is success."),
    tcp("worker.probe.liveness.tcp", "HLT-01", "A connection that is accepted is success."),
    command("worker.probe.liveness.exec", "HLT-01", "Exit code 0 is success."),
    Key::new("worker.probe.liveness.notify", Kind::Bool, Some("false"), "HLT-01", "WATCHDOG=1 must come within each period."),
    Key::new("worker.probe.liveness.progress", Kind::Bool, Some("false"), "HLT-01",
        "X_REEVE_PROGRESS must change within period × failure_threshold."),
    span("worker.probe.liveness.initial_delay", "30s", NONE, "HLT-05", "Not before this long after the start."),
    span("worker.probe.liveness.period", "10s", MILLISECOND, "HLT-05", "From one to the next."),
    span("worker.probe.liveness.timeout", "5s", MILLISECOND, "HLT-01",
        "A later answer is a failure. Default: 5s, or the period when that is shorter."),
    count("worker.probe.liveness.failure_threshold", "3", 1, 1_000, "HLT-05", "Failures in a row that count."),
    count("worker.probe.liveness.success_threshold", "1", 1, 1_000, "HLT-05", "Successes in a row that count."),
    span("worker.probe.liveness.budget", "30s", MILLISECOND, "HLT-08",
        "A failure must be detected within this span: period × failure_threshold may not be longer."),

    section("worker.probe.readiness", true, "HLT-06", "Failing takes it out of rotation. One of http, tcp, exec."),
    url("worker.probe.readiness.http", "HLT-01", "GET; 200 to 399 is success."),
    tcp("worker.probe.readiness.tcp", "HLT-01", "A connection that is accepted is success."),
    command("worker.probe.readiness.exec", "HLT-01", "Exit code 0 is success."),
    span("worker.probe.readiness.initial_delay", "5s", NONE, "HLT-06", "Not before this long after the start."),
    span("worker.probe.readiness.period", "5s", MILLISECOND, "HLT-06", "From one to the next."),
    span("worker.probe.readiness.timeout", "5s", MILLISECOND, "HLT-01",
        "A later answer is a failure. Default: 5s, or the period when that is shorter."),
    count("worker.probe.readiness.failure_threshold", "3", 1, 1_000, "HLT-06", "Failures in a row that count."),
    count("worker.probe.readiness.success_threshold", "1", 1, 1_000, "HLT-06", "Successes in a row that count."),

    section("worker.drain", true, "ORD-06", "How work is finished before a stop. One of signal, http, exec starts it."),
    signal("worker.drain.signal", None, "Signal that tells it to take no more work."),
    Key::new("worker.drain.http", Kind::Text { expected: "a method and a URL such as \"POST http://127.0.0.1:{port}/drain\"",
        check: request }, None, "ORD-06", "Request that tells it to take no more work.").template(),
    command("worker.drain.exec", "ORD-06", "Program that tells it to take no more work."),
    span("worker.drain.timeout", "120s", MILLISECOND, "ORD-06", "The whole drain, save_state included, at most."),
    command("worker.drain.save_state", "ORD-06", "Program that saves its state before the stop."),
    Key::new("worker.drain.until.metric", Kind::Text { expected: "a metric name", check: text::metric }, None, "ORD-06",
        "The work is done when this metric of [worker.metrics] scrape …"),
    Key::new("worker.drain.until.equals", Kind::Number, Some("0"), "ORD-06", "… has this value."),
    Key::new("worker.drain.until.exit", Kind::Bool, Some("false"), "ORD-06", "The work is done when it exits by itself."),
    command("worker.drain.until.exec", "ORD-06", "The work is done when this program exits 0; asked again each second."),

    signal("worker.stop.signal", Some("SIGTERM"), "First signal of a stop."),
    span("worker.stop.timeout", "30s", MILLISECOND, "ORD-06", "Then the whole cgroup gets SIGKILL."),

    Key::new("worker.metrics.scrape", Kind::Text { expected: address::SCRAPE, check: scrape }, None, "MET-08",
        "Where its own metrics are read, in the background.").template(),
    span("worker.metrics.period", "15s", SECOND, "MET-08 MET-18", "From one reading to the next."),
    span("worker.metrics.timeout", "5s", MILLISECOND, "HLT-03",
        "A reading that takes longer is a gap. Default: 5s, or the period when that is shorter."),
    Key::new("worker.metrics.allow", Kind::List { expected: "a list of names such as [\"vllm:*\", \"queue_depth\"]",
        check: text::metric_glob }, Some("[]"), "MET-17", "Families that are kept, * and ? stand for letters; empty: all."),
    Key::new("worker.metrics.max_series", Kind::Integer { min: 1, max: 100_000 }, None, "MET-17",
        "Series that one replica may bring at most; more is dropped and counted. Default: [metrics] max_worker_series."),
    Key::new("worker.metrics.labels", Kind::List { expected: "a list of label names", check: text::metric_label }, None,
        "MET-17", "DogStatsD tags that become labels, the others are dropped. Default: algorithm, cluster, complexity, \
         direction, kind, message_type, outcome, transport."),
    Key::new("worker.metrics.buckets", Kind::Bounds, Some("{}"), "MET-12 MET-17",
        "Upper bounds of histograms that come as DogStatsD, by name; the documented agent metrics have theirs."),
    Key::new("worker.metrics.statsd", Kind::Bool, Some("true"), "MET-05",
        "Each replica has a DogStatsD socket, told as DD_DOGSTATSD_URL and STATSD_SOCKET."),
    Key::new("worker.metrics.multiprocess", Kind::Bool, Some("true"), "MET-08",
        "Each run has an empty folder for Python's multiprocess metrics, told as PROMETHEUS_MULTIPROC_DIR."),

    Key::new("worker.sandbox", Kind::Directives, Some("{}"), "SEC-14", "systemd's own directives, over the hardening that holds by default."),
];
