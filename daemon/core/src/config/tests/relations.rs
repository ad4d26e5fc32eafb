//! Relations between keys: both sides are named.

use super::*;

fn probes(lines: &str) -> SourceFile {
    program("web", &format!("[worker.probe.liveness]\nhttp = \"http://127.0.0.1:{{port}}/\"\n{lines}"))
}

#[test]
fn hlt_08_probe_budget() {
    only_error(
        &[probes("period = \"20s\"")],
        "web.toml:5 worker.probe.liveness.period:",
        &["after 1min only", "failure_threshold` = 3 (default)", "budget` = \"30s\" (default)", "HLT-08"],
    );
    only_error(
        &[probes("failure_threshold = 4\nbudget = \"35s\"")],
        "web.toml:3 worker.probe.liveness.period:",
        &["after 40s only", "/etc/reeve/workers.d/web.toml:5"],
    );
    valid(&[probes("period = \"20s\"\nbudget = \"60s\"")]);
    valid(&[program("web", "[worker.probe.liveness]\nprogress = true\nperiod = \"20m\"")]);
}

#[test]
fn hlt_01_probe_timeout_is_not_longer_than_its_period() {
    only_error(
        &[probes("period = \"2s\"\ntimeout = \"3s\"")],
        "web.toml:6 worker.probe.liveness.timeout:",
        &["`worker.probe.liveness.period` = \"2s\"", "HLT-01"],
    );
    let config = valid(&[probes("period = \"2s\"")]);
    let liveness = config.workers.values().next().unwrap().liveness.clone().unwrap();
    assert_eq!(liveness.timeout.as_secs(), 2);
}

#[test]
fn hlt_06_readiness_must_be_possible() {
    let text = "[worker.ready]\ntimeout = \"20s\"\n[worker.probe.readiness]\ntcp = \"127.0.0.1:{port}\"\nsuccess_threshold = 4\n";
    only_error(
        &[program("web", text)],
        "web.toml:5 worker.probe.readiness.initial_delay:",
        &["could never become ready", "`worker.ready.timeout` = \"20s\"", "HLT-06"],
    );
}

#[test]
fn a_probe_asks_in_exactly_one_way() {
    only_error(
        &[probes("tcp = \"127.0.0.1:{port}\"")],
        "web.toml:5 worker.probe.liveness.tcp:",
        &["only one", "worker.probe.liveness.http"],
    );
    only_error(
        &[program("web", "[worker.probe.liveness]\nperiod = \"5s\"")],
        "web.toml:3 worker.probe.liveness:",
        &["http, tcp, exec, notify, progress"],
    );
}

#[test]
fn sup_04_sup_05_request_above_limit() {
    for (line, resource, id) in [
        ("cpu = { request = 4, limit = \"200%\" }", "cpu", "SUP-04"),
        ("memory = { request = \"8G\", limit = \"512M\" }", "memory", "SUP-04"),
        ("gpus = { request = 2, limit = 1 }", "gpus", "SUP-05"),
    ] {
        only_error(
            &[program("web", &format!("[worker.resources]\n{line}"))],
            &format!("web.toml:4 worker.resources.{resource}.request:"),
            &[&format!("worker.resources.{resource}.limit"), id],
        );
    }
}

#[test]
fn sup_10_cbr_02_backoff_and_breaker() {
    only_error(
        &[program("web", "[worker.restart]\nbackoff = { base = \"2m\" }\nbreaker = \"off\"")],
        "web.toml:4 worker.restart.backoff.base:",
        &["`worker.restart.backoff.cap` = \"60s\" (default)", "SUP-10"],
    );
    let warnings = warnings(&[program(
        "web",
        "[worker.restart]\nbackoff = { first = \"10s\", base = \"10s\" }\nbreaker = { window = \"20s\" }",
    )]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("web.toml:5 worker.restart.breaker.window:"));
    for word in ["could never open", "worker.restart.backoff.base", "CBR-02"] {
        assert!(warnings[0].contains(word), "{warnings:?}");
    }
}

#[test]
fn ord_04_dependencies() {
    only_error(
        &[program("web", "depends_on = [\"databse\"]"), program("database", "")],
        "web.toml:3 worker.depends_on:",
        &["no worker `databse`", "did you mean `database`", "ORD-04"],
    );
    only_error(
        &[program("web", "depends_on = [\"db\"]"), worker("db", "")],
        "web.toml:3 worker.depends_on:",
        &["masked by /etc/reeve/workers.d/db.toml"],
    );
    only_error(
        &[program("web", "depends_on = [\"db\"]\norder = 10"), program("db", "order = 20")],
        "web.toml:4 worker.order:",
        &["`worker.order` = 20 (/etc/reeve/workers.d/db.toml:3)", "ORD-04"],
    );
}

#[test]
fn ord_04_circles_are_printed_once() {
    let files = [
        program("a", "depends_on = [\"c\"]"),
        program("b", "depends_on = [\"a\"]"),
        program("c", "depends_on = [\"b\"]"),
        program("d", "depends_on = [\"a\"]"),
        program("e", "depends_on = [\"e\"]"),
        program("f", ""),
    ];
    let errors = errors(&files);
    assert_eq!(
        errors,
        [
            "a.toml:3 worker.depends_on: dependency circle: a -> c -> b -> a (ORD-04)",
            "e.toml:3 worker.depends_on: dependency circle: e -> e (ORD-04)",
        ]
    );
}

#[test]
fn sup_02_sup_08_teams() {
    only_error(
        &[node("[teams.a]\nparent = \"b\"\n[teams.b]\nparent = \"a\"")],
        "reeve.toml:2 teams.a.parent:",
        &["circle of parents: a -> b -> a"],
    );
    only_error(
        &[node("[teams.agents]\n[teams.a]\nparent = \"agnets\"")],
        "reeve.toml:3 teams.a.parent:",
        &["no section [teams.agnets]", "did you mean `agents`"],
    );
    let files = [
        node("[teams.top]\nmax_workers = 4\n[teams.sub]\nparent = \"top\""),
        program("web", "team = \"sub\"\nreplicas = 3"),
        program("db", "team = \"top\"\nreplicas = 2"),
    ];
    only_error(
        &files,
        "reeve.toml:2 teams.top.max_workers:",
        &["may have 4 replicas", "want 5", "2 of db, 3 of web", "SUP-08"],
    );
    let files = [node("[teams.agents]"), program("web", "team = \"agnets\"")];
    let warnings = warnings(&files);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("web.toml:3 worker.team:") && warnings[0].contains("`agents`"));
}

#[test]
fn port_clashes() {
    let scrape = |port: &str| format!("[worker.metrics]\nscrape = \"http://127.0.0.1:{port}/metrics\"\n");
    only_error(
        &[program("web", &scrape("9723"))],
        "web.toml:4 worker.metrics.scrape:",
        &["port 9723", "`metrics.listen` = \"127.0.0.1:9723\" (default)"],
    );
    only_error(
        &[program("a", &scrape("8080")), program("b", &scrape("8080"))],
        "b.toml:4 worker.metrics.scrape:",
        &["port 8080", "worker `a`", "/etc/reeve/workers.d/a.toml:4"],
    );
    only_error(
        &[program("web", &format!("replicas = 2\n{}", scrape("8080")))],
        "web.toml:5 worker.metrics.scrape:",
        &["port 8080", "`worker.replicas` = 2"],
    );
    valid(&[program("a", &format!("replicas = 2\n{}", scrape("{port}"))), program("b", &scrape("8080"))]);
}

#[test]
fn sup_06_a_selector_that_does_not_match_is_a_warning() {
    let files =
        [node("[node.labels]\nrole = \"gpu\""), program("web", "node_selector = { role = \"core\", zone = \"a\" }")];
    let warnings = warnings(&files);
    assert_eq!(
        warnings,
        [
            "web.toml:3 worker.node_selector: unplaceable on node `host-1`: it wants role = \"core\" (here: \"gpu\"), zone = \"a\" (here: not set) (SUP-06)"
        ]
    );
}

#[test]
fn sup_05_gpus_turned_off_cannot_be_asked_for() {
    let asks = program("web", "[worker.resources]\ngpus = { request = 1, mig = \"1g.10gb\" }");
    assert_eq!(warnings(std::slice::from_ref(&asks)), Vec::<String>::new());
    let warnings = warnings(&[asks, node("[gpu]\nnvml = \"off\"")]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("web.toml:4 worker.resources.gpus.request: unplaceable"));
}

#[test]
fn sup_04_sup_07_requests_fit_the_host_and_the_team() {
    let ask = |replicas: u32, memory: &str| {
        format!("replicas = {replicas}\n[worker.resources]\nmemory = {{ request = \"{memory}\" }}\n")
    };
    only_error(
        &[program("a", &ask(2, "100G")), program("b", &ask(1, "60G")), program("c", &ask(1, "50G"))],
        "b.toml:5 worker.resources.memory.request:",
        &["unplaceable", "ask for 60G", "256G of the host", "56G are left", "SUP-04"],
    );
    only_error(
        &[node("[teams.t]\nmemory_max = \"25%\""), program("a", &format!("team = \"t\"\n{}", ask(1, "65G")))],
        "a.toml:6 worker.resources.memory.request:",
        &["64G of team `t`"],
    );
    only_error(
        &[program("a", "replicas = 10\n[worker.resources]\ncpu = { request = 6.5 }")],
        "a.toml:5 worker.resources.cpu.request:",
        &["10 replicas of 6.5 CPUs ask for 65 CPUs", "64 CPUs of the host"],
    );
}

#[test]
fn ord_06_what_a_drain_waits_for_can_happen() {
    for (lines, place, word) in [
        (
            "signal = \"SIGUSR1\"\nuntil = { metric = \"tasks\" }\n[worker.metrics]\nstatsd = false",
            "web.toml:5 worker.drain.until.metric:",
            "worker.metrics.scrape",
        ),
        ("until = { exit = true }", "web.toml:4 worker.drain.until.exit:", "worker.drain.http"),
        (
            "signal = \"SIGUSR1\"\nuntil = { equals = 3 }",
            "web.toml:5 worker.drain.until.equals:",
            "worker.drain.until.metric",
        ),
        ("signal = \"SIGKILL\"", "web.toml:4 worker.drain.signal:", "leaves no time"),
        ("signal = \"SIGUSR1\"\nexec = [\"/bin/a\"]", "web.toml:5 worker.drain.exec:", "worker.drain.signal"),
        (
            "signal = \"SIGUSR1\"\nuntil = { exit = true, exec = [\"/bin/a\"] }",
            "web.toml:5 worker.drain.until.exec:",
            "worker.drain.until.exit",
        ),
    ] {
        only_error(&[program("web", &format!("[worker.drain]\n{lines}"))], place, &[word, ""]);
    }
}
