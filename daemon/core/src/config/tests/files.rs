//! Hiding, drop-ins and masks, as systemd does it.

use super::*;

fn replicas(files: &[SourceFile]) -> u32 {
    valid(files).workers.values().next().unwrap().replicas
}

#[test]
fn a_main_file_of_a_higher_rank_hides_the_lower_one() {
    let files = [
        program("web", "replicas = 3"),
        of_rank(program("web", "replicas = 1\nuser = \"vendor\""), 0),
        of_rank(worker("web", "not even TOML ="), 1),
    ];
    let config = valid(&files);
    let web = config.workers.values().next().unwrap();
    assert_eq!((web.replicas, web.user.as_deref()), (3, None));

    let files = [node(""), of_rank(node("[node]\nname = \"vendor\""), 0)];
    assert_eq!(valid(&files).node.name, "host-1", "an empty file hides too");
}

#[test]
fn drop_ins_of_all_ranks_apply_in_the_order_of_their_names() {
    let vendor = |text, name| of_rank(drop_in(program("web", text), name), 0);
    let files = [
        drop_in(worker("web", "[worker]\nreplicas = 10"), "10-a.toml"),
        of_rank(program("web", "replicas = 1"), 0),
        of_rank(drop_in(worker("web", "[worker]\nreplicas = 20"), "20-b.toml"), 0),
        of_rank(drop_in(worker("web", "[worker]\nreplicas = 15"), "15-c.toml"), 1),
    ];
    assert_eq!(replicas(&files), 20);
    let reversed: Vec<_> = files.iter().rev().cloned().collect();
    assert_eq!(load(&files, &host()), load(&reversed, &host()), "the order of the files does not matter");

    let hidden = [
        of_rank(program("web", ""), 0),
        vendor("replicas = 5\nuser = \"vendor\"", "50-a.toml"),
        drop_in(worker("web", "[worker]\nreplicas = 6"), "50-a.toml"),
    ];
    let config = valid(&hidden);
    let web = config.workers.values().next().unwrap();
    assert_eq!((web.replicas, web.user.as_deref()), (6, None));

    let emptied = [
        of_rank(program("web", "replicas = 2"), 0),
        vendor("replicas = 5", "50-a.toml"),
        drop_in(worker("web", ""), "50-a.toml"),
    ];
    assert_eq!(replicas(&emptied), 2);
}

#[test]
fn tables_merge_key_by_key_and_lists_replace() {
    let main = program(
        "web",
        "credentials = [\"a\", \"b\"]\nenvironment = { A = \"1\", B = \"1\" }\n[worker.restart]\nbackoff = { cap = \"10s\" }\n",
    );
    let over = worker(
        "web",
        "[worker]\ncredentials = [\"c\"]\nenvironment = { B = \"2\", C = \"2\" }\n[worker.restart.backoff]\nbase = \"2s\"\n",
    );
    let config = valid(&[main, drop_in(over, "a.toml")]);
    let web = config.workers.values().next().unwrap();
    assert_eq!(web.credentials, ["c"]);
    let environment: Vec<_> = web.environment.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(environment, ["A=1", "B=2", "C=2"]);
    assert_eq!((web.restart.backoff.cap.as_secs(), web.restart.backoff.base.as_secs()), (10, 2));
}

#[test]
fn a_drop_in_replaces_an_alternative_and_switches_off() {
    let main = program(
        "web",
        "[worker.probe.liveness]\nhttp = \"http://127.0.0.1:{port}/\"\nperiod = \"7s\"\n[worker.restart.breaker]\nfailures = 9\n",
    );
    let over = |text: &str| drop_in(worker("web", text), "a.toml");
    let tcp = over("[worker.probe.liveness]\ntcp = \"127.0.0.1:{port}\"\n[worker.restart]\nbreaker = \"off\"");
    let config = valid(&[main.clone(), tcp]);
    let web = config.workers.values().next().unwrap();
    let liveness = web.liveness.as_ref().unwrap();
    assert_eq!(liveness.check, Check::Tcp("127.0.0.1:{port}".into()));
    assert_eq!(liveness.period.as_secs(), 7);
    assert_eq!(web.restart.breaker, None);

    let off = valid(&[main, over("[worker.probe]\nliveness = \"off\"")]);
    assert_eq!(off.workers.values().next().unwrap().liveness, None);
}

#[test]
fn an_empty_file_masks_a_worker_and_its_drop_ins() {
    let files = [
        of_rank(program("web", ""), 0),
        worker("web", " \n"),
        drop_in(worker("web", "[worker]\nreplicas = 2"), "a.toml"),
    ];
    let loaded = load(&files, &host());
    assert!(loaded.config.unwrap().workers.is_empty());
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(loaded.merged.masked["web"], "/etc/reeve/workers.d/web.toml");
}

#[test]
fn a_drop_in_for_nobody_is_a_warning() {
    let warnings = warnings(&[drop_in(worker("web", "[worker]\nreplicas = 2"), "a.toml")]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("a.toml:0 :") && warnings[0].contains("no worker \"web\""));
}

#[test]
fn a_mistake_in_a_drop_in_is_reported_there() {
    let over = drop_in(worker("web", "[worker]\nreplicas = \"2\""), "50-a.toml");
    only_error(&[program("web", ""), over], "50-a.toml:2 worker.replicas:", &["integer"]);
    let over = drop_in(worker("web", "[worker.resources]\nmemory = { limit = \"1G\" }"), "50-a.toml");
    only_error(
        &[program("web", "[worker.resources]\nmemory = { request = \"2G\" }"), over],
        "web.toml:4 worker.resources.memory.request:",
        &["web.toml.d/50-a.toml:2"],
    );
}
