//! `config show`, `diff`, `explain`.

use super::*;

/// What is shown is itself a configuration, the same one.
#[test]
fn shown_configuration_reads_back() {
    let mut files = example::files();
    files.push(drop_in(
        worker(
            "task-executor",
            "[worker]\nreplicas = 3\n[worker.restart]\nbreaker = \"off\"\nenvironment = {}\n"
                .replace("environment = {}\n", "")
                .as_str(),
        ),
        "10-a.toml",
    ));
    files.push(program(
        "odd",
        "environment = { A = \"say \\\"hi\\\"\\n\\u0001\" }\n[worker.sandbox]\nReadWritePaths = [\"/a\", \"/b\"]\n",
    ));
    let first = load(&files, &host());
    let text = show(&first.merged);
    let shown: Vec<_> = text
        .split("# ==== ")
        .skip(1)
        .map(|part| {
            let (name, text) = part.split_once(" ====\n").unwrap();
            match name.strip_prefix("workers.d/") {
                None => node(text),
                Some(name) => worker(name.strip_suffix(".toml").unwrap(), text),
            }
        })
        .collect();
    let second = load(&shown, &host());
    assert_eq!(first.config.unwrap(), second.config.unwrap_or_else(|| panic!("{:#?}\n{text}", second.diagnostics)));
    assert!(text.contains("replicas = 3  # origin /etc/reeve/workers.d/task-executor.toml.d/10-a.toml:2\n"), "{text}");
    assert!(text.contains("max_unavailable = 1  # default\n"), "{text}");
    assert!(text.contains("breaker = \"off\"  # origin"), "{text}");
    assert!(!text.contains("[worker.restart.breaker]\nfailures = 5  # default\nwindow = \"30s\"  # default\nopen = \"30s\"  # default\n\n[worker.ready]\nnotify = false  # origin"), "{text}");
}

#[test]
fn masked_workers_are_shown() {
    let loaded = load(&[worker("web", "")], &host());
    assert!(show(&loaded.merged).contains("# masked by /etc/reeve/workers.d/web.toml"));
}

#[test]
fn differences_name_key_and_both_values() {
    let merged = |files: &[SourceFile]| load(files, &host()).merged;
    let old = merged(&[node(""), program("web", "replicas = 3"), program("old", "")]);
    let new = merged(&[
        node("[launcher]\nkind = \"direct\"\n[teams.a]\nmax_workers = 3\n"),
        program("web", "environment = { A = \"1\" }"),
        worker("old", ""),
        program("new", ""),
    ]);
    let differences: Vec<_> =
        diff(&old, &new).into_iter().map(|(key, was, is)| format!("{key}: {was} -> {is}")).collect();
    assert_eq!(
        differences,
        [
            "launcher.kind: \"auto\" -> \"direct\"",
            "teams.a.fail_together:  -> false",
            "teams.a.max_workers:  -> 3",
            "new: not defined -> defined",
            "old: defined -> masked by /etc/reeve/workers.d/old.toml",
            "web:worker.environment.A:  -> \"1\"",
            "web:worker.replicas: 3 -> 1",
        ]
    );
    assert_eq!(diff(&old, &old), []);
}

#[test]
fn keys_are_explained() {
    let facts = explain("worker.probe.liveness.period", None).unwrap();
    assert_eq!(facts["default"], "\"10s\"");
    assert_eq!(facts["unit"], "duration");
    assert_eq!(facts["range"], "at least 1ms");
    assert_eq!(facts["requirement"], "HLT-05");
    assert!(!facts.contains_key("value"));

    let merged =
        load(&[node("[teams.a]\ncpu_quota = 2"), program("web", "replicas = 3"), program("db", "")], &host()).merged;
    let explain = |key: &str| explain(key, Some(&merged)).map(|f| format!("{} ({})", f["value"], f["origin"]));
    assert_eq!(explain("teams.a.cpu_quota").unwrap(), "2 (/etc/reeve/reeve.toml:2)");
    assert_eq!(explain("launcher.kind").unwrap(), "\"auto\" (default)");
    assert_eq!(explain("worker.replicas").unwrap(), "web: 3 (web: /etc/reeve/workers.d/web.toml:3)");
    assert_eq!(explain("web:worker.replicas").unwrap(), "3 (/etc/reeve/workers.d/web.toml:3)");
    assert_eq!(explain("db:worker.replicas").unwrap(), "1 (default)");
    assert_eq!(explain("replicas").unwrap(), "web: 3 (web: /etc/reeve/workers.d/web.toml:3)");
    assert_eq!(explain("nobody:worker.replicas").unwrap(), " (not defined)");
    assert!(explain("worker.environment.HOME").is_some());
    assert!(explain("worker.nothing").is_none());
    assert!(explain("worker.replicas.x").is_none());
    assert!(explain("timeout").is_none(), "several keys end so");
    assert_eq!(nearest_key("worker.replica").as_deref(), Some("worker.replicas"));
    for key in schema() {
        assert!(super::explain(key.path, None).is_some(), "{}", key.path);
    }
}
