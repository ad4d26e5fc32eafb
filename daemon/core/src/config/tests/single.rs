//! One mistake, one remark: syntax, unknown keys, types, ranges.

use super::*;

#[test]
fn sup_14_unknown_key_is_an_error() {
    for (file, place, words) in [
        (node("[node]\nnmae = \"a\""), "reeve.toml:2 node.nmae:", &["did you mean `name`"][..]),
        (node("[nod]\nname = \"a\""), "reeve.toml:1 nod:", &["did you mean `node`"]),
        (node("[worker]\nexec = []"), "reeve.toml:1 worker:", &["workers.d/NAME.toml"]),
        (node("[teams.a]\ncpu_qouta = 1"), "reeve.toml:2 teams.a.cpu_qouta:", &["`cpu_quota`"]),
        (program("web", "replica = 3"), "web.toml:3 worker.replica:", &["`replicas`"]),
        (program("web", "Replicas = 3"), "web.toml:3 worker.Replicas:", &["`replicas`"]),
        (program("web", "zzz = 3"), "web.toml:3 worker.zzz:", &["expected one of", "depends_on"]),
        (
            program("web", "[worker.sandbox]\nProtectSytem = true"),
            "web.toml:4 worker.sandbox.ProtectSytem:",
            &["`ProtectSystem`"],
        ),
        (
            program("web", "[worker.sandbox]\nMemoryMax = \"1G\""),
            "web.toml:4 worker.sandbox.MemoryMax:",
            &["worker.resources.memory.limit"],
        ),
        (
            program("web", "[worker.probe.readiness]\ntcp = \"localhost:{port}\"\nnotify = true"),
            "web.toml:5 worker.probe.readiness.notify:",
            &["worker.ready.notify"],
        ),
        (program("web", "[node]\nname = \"a\""), "web.toml:3 node:", &["belongs into reeve.toml"]),
        (program("web", "save_state = [\"/bin/a\"]"), "web.toml:3 worker.save_state:", &["`worker.drain.save_state`"]),
    ] {
        only_error(
            &[file],
            place,
            &[&["unknown key"][..], words]
                .concat()
                .iter()
                .copied()
                .filter(|w| *w != "unknown key" || !place.contains("sandbox"))
                .collect::<Vec<_>>(),
        );
    }
}

#[test]
fn sup_14_wrong_type_is_an_error() {
    for (file, place, words) in [
        (node("[node]\nname = 5"), "reeve.toml:2 node.name:", ["expected a name", "found the integer 5"]),
        (node("node = 5"), "reeve.toml:1 node:", ["expected a table with labels, name", "integer 5"]),
        (node("[node]\nlabels = { rank = 1 }"), "reeve.toml:2 node.labels.rank:", ["expected a text", "write \"1\""]),
        (
            node("[supervision]\ndamping = 5"),
            "reeve.toml:2 supervision.damping:",
            ["expected a table, or \"off\"", "integer 5"],
        ),
        (
            program("web", "replicas = \"5\""),
            "web.toml:3 worker.replicas:",
            ["expected an integer from 0", "text \"5\""],
        ),
        (
            program("web", "[worker.ready]\ntimeout = 30"),
            "web.toml:4 worker.ready.timeout:",
            ["expected a duration", "\"30s\""],
        ),
        (
            program("web", "[worker.ready]\nnotify = \"yes\""),
            "web.toml:4 worker.ready.notify:",
            ["true or false", "\"yes\""],
        ),
        (
            program("web", "[worker.resources]\nmemory = { limit = 8 }"),
            "web.toml:4 worker.resources.memory.limit:",
            ["expected a size", "unit"],
        ),
        (
            program("web", "depends_on = \"db\""),
            "web.toml:3 worker.depends_on:",
            ["expected a list of worker names", "\"db\""],
        ),
        (
            program("web", "credentials = [1]"),
            "web.toml:3 worker.credentials:",
            ["expected texts in the list", "integer 1"],
        ),
        (
            program("web", "[worker.sandbox]\nPrivateTmp = 1"),
            "web.toml:4 worker.sandbox.PrivateTmp:",
            ["true or false", "integer 1"],
        ),
        (
            worker("web", "[worker]\nexec = \"/bin/a\""),
            "web.toml:2 worker.exec:",
            ["list of program and arguments", "/bin/a"],
        ),
        (
            worker("web", "[worker]\nexec = [\"/bin/a\"]\nreplicas = 1979-05-27"),
            "web.toml:3 worker.replicas:",
            ["integer", "the date 1979-05-27"],
        ),
    ] {
        only_error(&[file], place, &words);
    }
}

fn fleet(more: &str) -> String {
    format!("[fleet]\nname = \"lab\"\nbrokers = [\"mqtt://b:1883\"]\nvoters = [\"a\"]\n{more}")
}

#[test]
fn sup_14_bad_value_is_an_error() {
    let probe = |line: &str| program("web", &format!("[worker.probe.liveness]\n{line}"));
    for (file, place, words) in [
        (node("[node]\nname = \"a/b\""), "reeve.toml:2 node.name:", "letters, digits"),
        (node("[node.labels]\n\"a b\" = \"c\""), "reeve.toml:2 node.labels.\"a b\":", "label name"),
        (node("[launcher]\nkind = \"sistemd\""), "reeve.toml:2 launcher.kind:", "did you mean `systemd`"),
        (node("[metrics]\nlisten = \"9723\""), "reeve.toml:2 metrics.listen:", "unix:/run"),
        (node("[metrics]\nunits = [\"nginx\"]"), "reeve.toml:2 metrics.units:", "nginx.service"),
        (node("[metrics]\nunits = [\"getty@.service\"]"), "reeve.toml:2 metrics.units:", "getty@tty1.service"),
        (node("[metrics]\nunits = [\"a/b.service\"]"), "reeve.toml:2 metrics.units:", "name of a systemd unit"),
        (node("[teams.Big]\n"), "reeve.toml:1 teams.Big:", "team name \"Big\""),
        (node("[teams.a]\ncpu_quota = \"200%\""), "reeve.toml:2 teams.a.cpu_quota:", "up to 100%"),
        (
            node("[supervision]\nrestart_rate = \"0/s\""),
            "reeve.toml:2 supervision.restart_rate:",
            "never let anything start",
        ),
        (node("[supervision.damping]\ncrashes = 1"), "reeve.toml:2 supervision.damping.crashes:", "from 2"),
        (
            node("[fleet]\nname = \"lab\"\nbrokers = [\"http://a\"]\nvoters = [\"a\"]"),
            "reeve.toml:3 fleet.brokers:",
            "mqtts://",
        ),
        (node(&fleet("").replace("name = \"lab\"", "")), "reeve.toml:1 fleet.name:", "is missing"),
        (
            node("[fleet]\nname = \"lab\"\nvoters = [\"a\"]"),
            "reeve.toml:1 fleet.brokers:",
            "is missing; expected the brokers",
        ),
        (node("[fleet]\nname = \"lab\"\nbrokers = [\"mqtt://b:1883\"]"), "reeve.toml:1 fleet.voters:", "1, 3 or 5"),
        (
            node(&fleet("").replace("[\"a\"]", "[\"a\", \"b\", \"a\"]")),
            "reeve.toml:4 fleet.voters:",
            "stands in the list twice",
        ),
        (
            node(&fleet("").replace("[\"a\"]", "[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"]")),
            "reeve.toml:4 fleet.voters:",
            "has 6 nodes",
        ),
        (
            node(&fleet("[fleet.slots.reboot]\nmax_unavailable = \"0\"")),
            "reeve.toml:6 fleet.slots.reboot.max_unavailable:",
            "\"10%\"",
        ),
        (
            node(&fleet("[fleet.slots.reboot]\nwindows = [\"nightly\"]")),
            "reeve.toml:6 fleet.slots.reboot.windows:",
            "Mon..Fri 22:00-06:00",
        ),
        (node(&fleet("[fleet.slots.reboot]\nttl = \"1s\"")), "reeve.toml:6 fleet.slots.reboot.ttl:", "10s"),
        (program("web", "replicas = -1"), "web.toml:3 worker.replicas:", "from 0 to 10000"),
        (program("web", "team = \"A\""), "web.toml:3 worker.team:", "team name \"A\""),
        (program("web", "user = \"a b\""), "web.toml:3 worker.user:", "account"),
        (program("web", "working_directory = \"srv\""), "web.toml:3 worker.working_directory:", "absolute path"),
        (program("web", "credentials = [\"a/b\"]"), "web.toml:3 worker.credentials:", "name of a systemd credential"),
        (program("web", "depends_on = [\"a\", \"a\"]"), "web.toml:3 worker.depends_on:", "twice"),
        (
            program("web", "environment = { \"A-B\" = \"1\" }"),
            "web.toml:3 worker.environment.A-B:",
            "environment variable",
        ),
        (
            program("web", "environment = { NOTIFY_SOCKET = \"1\" }"),
            "web.toml:3 worker.environment.NOTIFY_SOCKET:",
            "set by Reeve",
        ),
        (
            program("web", "environment = { A = \"{prot}\" }"),
            "web.toml:3 worker.environment.A:",
            "`{prot}` is not known",
        ),
        (
            program("web", "[worker.restart]\nunsupervised_after = \"500ms\""),
            "web.toml:4 worker.restart.unsupervised_after:",
            "at least 1s",
        ),
        (
            program("web", "[worker.restart]\npolicy = \"allways\""),
            "web.toml:4 worker.restart.policy:",
            "did you mean `always`",
        ),
        (
            program("web", "[worker.restart]\nremediation = \"3\""),
            "web.toml:4 worker.restart.remediation:",
            "a rate such as",
        ),
        (program("web", "[worker.drain]\ntimeout = \"0s\""), "web.toml:4 worker.drain.timeout:", "at least 1ms"),
        (program("web", "[worker.drain]\ntimeout = \"infinity\""), "web.toml:4 worker.drain.timeout:", "must end"),
        (
            program("web", "[worker.drain]\nsignal = \"SIGUSER1\""),
            "web.toml:4 worker.drain.signal:",
            "did you mean `SIGUSR1`",
        ),
        (
            program("web", "[worker.drain]\nhttp = \"http://localhost/\""),
            "web.toml:4 worker.drain.http:",
            "a method and a URL",
        ),
        (program("web", "[worker.stop]\nsignal = \"SIGSTOP\""), "web.toml:4 worker.stop.signal:", "reevectl pause"),
        (
            program("web", "[worker.stop]\ntimeout = \"5 parsecs\""),
            "web.toml:4 worker.stop.timeout:",
            "\"parsecs\" is not a unit",
        ),
        (
            program("web", "[worker.resources]\nmemory.limit = \"infinity\""),
            "web.toml:4 worker.resources.memory.limit:",
            "leave the key out",
        ),
        (
            program("web", "[worker.resources]\ncpu.limit = 0"),
            "web.toml:4 worker.resources.cpu.limit:",
            "number of CPUs",
        ),
        (
            program("web", "[worker.rolling]\nmax_unavailable = 0"),
            "web.toml:4 worker.rolling.max_unavailable:",
            "from 1",
        ),
        (probe("http = \"https://localhost:1/\""), "web.toml:4 worker.probe.liveness.http:", "plain http only"),
        (probe("http = \"http://localhost:99999/\""), "web.toml:4 worker.probe.liveness.http:", "a URL such as"),
        (probe("tcp = \"localhost\""), "web.toml:4 worker.probe.liveness.tcp:", "host and port"),
        (probe("exec = [\"check\"]"), "web.toml:4 worker.probe.liveness.exec:", "absolute path"),
        (worker("web", "[worker]\nexec = [\"python3\", \"a.py\"]"), "web.toml:2 worker.exec:", "\"/usr/bin/python3\""),
        (worker("web", "[worker]\nexec = []"), "web.toml:2 worker.exec:", "an empty list"),
        (
            worker("web", "[worker]\nexec = [\"/bin/sh\", \"-c\", \"${HOME}\"]"),
            "web.toml:2 worker.exec:",
            "`{{` for a literal brace",
        ),
        (worker("web", "[worker]\nreplicas = 3"), "web.toml:1 worker.exec:", "is missing"),
        (worker("web", "# only a remark"), "web.toml:0 worker.exec:", "is missing"),
        (program("Web", ""), "Web.toml:0 :", "worker name \"Web\""),
    ] {
        only_error(&[file], place, &[words]);
    }
}

#[test]
fn sup_14_syntax_errors_are_all_reported_and_others_with_them() {
    let text = "[worker]\nexec = [\"/bin/a\"]\nreplicas = = 3\nreplica = 4\n[worker.stop\ntimeout = \"30s\"\n";
    let errors = errors(&[worker("web", text), program("db", "zzz = 1")]);
    let places: Vec<_> = errors.iter().map(|e| e.split(' ').next().unwrap()).collect();
    assert!(places.contains(&"web.toml:3"), "{errors:#?}");
    assert!(places.contains(&"web.toml:4"), "{errors:#?}");
    assert!(places.contains(&"web.toml:5"), "{errors:#?}");
    assert!(places.contains(&"db.toml:3"), "{errors:#?}");
}

#[test]
fn a_syntax_error_hides_no_worker_from_those_that_depend_on_it() {
    only_error(
        &[worker("db", "[worker]\nexec = \n"), program("web", "depends_on = [\"db\"]")],
        "db.toml:2",
        &["not valid TOML"],
    );
}

#[test]
fn columns_are_counted_in_characters() {
    let file = worker("web", "worker = { exec = [\"/bin/é\"], replica = 1 }");
    let loaded = load(&[file], &host());
    let d = &loaded.diagnostics[0];
    assert_eq!((d.line, d.column, d.key.as_str()), (1, 31, "worker.replica"));
    assert_eq!(
        d.to_string(),
        "/etc/reeve/workers.d/web.toml:1:31: error: worker.replica: unknown key; did you mean `replicas`?"
    );
}

#[test]
fn a_remark_on_a_whole_file_names_no_line() {
    let loaded = load(&[program("Web", "")], &host());
    let text = loaded.diagnostics[0].to_string();
    assert!(text.starts_with("/etc/reeve/workers.d/Web.toml: error: worker name"), "{text}");
}

#[test]
fn sup_14_all_mistakes_are_reported_at_once() {
    let files = [
        node("[node]\nnmae = \"x\"\n[launcher]\nkind = 3\n[metrics]\nlisten = \"here\"\n"),
        program("a", "replicas = \"x\"\ndepends_on = [\"nobody\"]\n[worker.stop]\nsignal = \"SIGFOO\"\ntimeout = 5\n"),
        program("b", "depends_on = [\"c\"]\n[worker.resources]\ncpu = { request = 4, limit = 2 }\n"),
        program("c", "depends_on = [\"b\"]\n[worker.restart]\npolicy = \"maybe\"\n"),
        worker("d", "[worker\nexec = [\"/bin/d\"]\n"),
    ];
    let errors = errors(&files);
    for wanted in [
        "reeve.toml:2 node.nmae",
        "reeve.toml:4 launcher.kind",
        "reeve.toml:6 metrics.listen",
        "a.toml:3 worker.replicas",
        "a.toml:4 worker.depends_on",
        "a.toml:6 worker.stop.signal",
        "a.toml:7 worker.stop.timeout",
        "b.toml:3 worker.depends_on: dependency circle: b -> c -> b",
        "b.toml:5 worker.resources.cpu.request",
        "c.toml:5 worker.restart.policy",
        "d.toml:1",
    ] {
        assert!(errors.iter().any(|e| e.starts_with(wanted)), "{wanted} in {errors:#?}");
    }
    assert_eq!(errors.len(), 11, "{errors:#?}");
}
