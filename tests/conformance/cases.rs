//! The behaviours.

use super::Body;
use super::bench::{Bench, Outcome, alive, frozen, is_root, until};
use reeve_core::config::Resources;
use reeve_core::{Applied, ExitStatus, LauncherEvent, RunId};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

macro_rules! cases {
    ($($name:ident)*) => {
        /// All of them, by name.
        pub const CASES: &[(&str, Body)] = &[$((stringify!($name), |b| Box::pin($name(b)))),*];
    };
}

cases! {
    exit_codes_arrive
    signals_arrive
    missing_binary_is_named
    no_permission_is_named
    missing_interpreter_is_named
    unknown_user_is_named
    missing_environment_file_is_named
    missing_working_directory_is_named
    missing_credential_is_named
    exec_that_forks_and_exits_leaves_nothing
    ignored_sigterm_is_followed_by_sigkill
    stop_signal_reaches_the_main_process_alone
    whole_signal_reaches_all
    kill_reaches_grandchildren_in_other_sessions
    freeze_and_thaw
    stop_of_a_frozen_worker_ends
    kill_of_a_frozen_worker_ends
    arguments_and_environment_arrive
    environment_file_is_read
    notify_socket_and_watchdog_are_told
    runs_as_another_user_with_its_credentials
    asking_for_another_user_without_being_root_is_refused
    descriptors_and_signals_are_clean
    many_fast_runs_each_start_and_exit_once
    many_stopped_at_once_all_hear_it
    a_flooded_log_blocks_nobody
    log_lines_are_kept_by_run
    two_runs_of_one_replica_in_sequence
    requests_for_an_unknown_run_are_ignored
    the_list_holds_what_runs
    network_requests_are_answered
    limits_can_be_changed
    memory_limit_ends_in_an_oom_kill
    fork_bomb_stays_within_tasks_max
    close_leaves_nothing_where_workers_end_with_the_daemon
}

const FOREVER: &str = "while :; do sleep 1000; done";

async fn exit_codes_arrive(b: &mut Bench) -> Outcome {
    for code in [0, 1, 75, 143] {
        let run = b.start(b.shell("web/1", &format!("exit {code}"))).await;
        let info = b.exited(&run).await;
        assert_eq!(info.status, ExitStatus::Code(code));
        assert!(!info.oom_kill && info.at.0 > 1_700_000_000_000_000);
    }
    Outcome::Done
}

async fn signals_arrive(b: &mut Bench) -> Outcome {
    let run = b.start(b.shell("web/1", "kill -SEGV $$")).await;
    assert_eq!(b.exit_status(&run).await, ExitStatus::Signal(11));
    let run = b.start(b.spec("web/1", &["/bin/sleep", "1000"])).await;
    b.launcher.signal(&run.replica, run.run, 10, false);
    assert_eq!(b.exit_status(&run).await, ExitStatus::Signal(10));
    Outcome::Done
}

async fn missing_binary_is_named(b: &mut Bench) -> Outcome {
    let error = b.start_fails(b.spec("web/1", &["/usr/bin/nope"])).await;
    assert_eq!(error, "/usr/bin/nope: no such file or directory");
    assert!(b.rest().is_empty());
    Outcome::Done
}

async fn no_permission_is_named(b: &mut Bench) -> Outcome {
    let path = b.file("not-executable");
    std::fs::write(&path, "#!/bin/sh\n").unwrap();
    let error = b.start_fails(b.spec("web/1", &[path.to_str().unwrap()])).await;
    assert!(error.contains("not-executable: permission denied"), "{error}");
    Outcome::Done
}

async fn missing_interpreter_is_named(b: &mut Bench) -> Outcome {
    let path = b.file("script");
    std::fs::write(&path, "#!/usr/bin/nope\n").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let error = b.start_fails(b.spec("web/1", &[path.to_str().unwrap()])).await;
    assert!(error.contains("script: "), "{error}");
    Outcome::Done
}

async fn unknown_user_is_named(b: &mut Bench) -> Outcome {
    let mut spec = b.shell("web/1", FOREVER);
    spec.user = Some("nobody-such".to_owned());
    let error = b.start_fails(spec).await;
    assert!(error.contains("nobody-such"), "{error}");
    Outcome::Done
}

async fn missing_environment_file_is_named(b: &mut Bench) -> Outcome {
    let mut spec = b.shell("web/1", FOREVER);
    spec.environment_file = Some("/nonexistent/env".to_owned());
    let error = b.start_fails(spec).await;
    assert!(error.contains("/nonexistent/env"), "{error}");
    Outcome::Done
}

async fn missing_working_directory_is_named(b: &mut Bench) -> Outcome {
    let mut spec = b.shell("web/1", FOREVER);
    spec.working_directory = Some("/nonexistent/dir".to_owned());
    let error = b.start_fails(spec).await;
    assert!(error.contains("/nonexistent/dir"), "{error}");
    Outcome::Done
}

async fn missing_credential_is_named(b: &mut Bench) -> Outcome {
    let mut spec = b.shell("web/1", FOREVER);
    spec.credentials = vec!["no-such-key".to_owned()];
    let error = b.start_fails(spec).await;
    assert!(error.contains("no-such-key"), "{error}");
    Outcome::Done
}

async fn exec_that_forks_and_exits_leaves_nothing(b: &mut Bench) -> Outcome {
    // One stays in the session and holds the output open, one leaves it as daemons do.
    let script = "sh -c 'echo $$ > {folder}/a; exec sleep 1000' & \
        setsid sh -c 'sh -c \"echo \\$\\$ > {folder}/b; exec sleep 1000\" & wait' & \
        until [ -s {folder}/a ] && [ -s {folder}/b ]; do :; done; exit 3";
    for round in 0..5 {
        let run = b.start(b.shell("web/1", script)).await;
        let began = Instant::now();
        assert_eq!(b.exit_status(&run).await, ExitStatus::Code(3));
        assert!(began.elapsed() < super::bench::patience() / 2);
        for name in ["a", "b"] {
            let pid = b.pid_of(name).await;
            until(&format!("{name} is gone, round {round}"), || !alive(pid)).await;
            std::fs::remove_file(b.file(name)).unwrap();
        }
    }
    Outcome::Done
}

async fn ignored_sigterm_is_followed_by_sigkill(b: &mut Bench) -> Outcome {
    let script = "trap '' TERM; echo ready > {folder}/ready; while :; do sleep 0.05; done";
    let run = b.start(b.shell("web/1", script)).await;
    b.text_of("ready").await;
    let began = Instant::now();
    let grace = Duration::from_millis(300);
    b.launcher.stop(&run.replica, run.run, 15, grace);
    assert_eq!(b.exit_status(&run).await, ExitStatus::Signal(9));
    assert!(began.elapsed() >= grace);
    Outcome::Done
}

async fn stop_signal_reaches_the_main_process_alone(b: &mut Bench) -> Outcome {
    let script = "sh -c 'trap \"echo hit > {folder}/hit\" TERM; echo $$ > {folder}/child; \
        while :; do sleep 0.02; done' & \
        trap 'exit 7' TERM; until [ -s {folder}/child ]; do :; done; \
        echo ready > {folder}/ready; while :; do sleep 0.02; done";
    let run = b.start(b.shell("web/1", script)).await;
    b.text_of("ready").await;
    let grace = Duration::from_secs(1000);
    b.launcher.stop(&run.replica, run.run, 15, grace);
    assert_eq!(b.exit_status(&run).await, ExitStatus::Code(7));
    let child = b.pid_of("child").await;
    until("the child is gone", || !alive(child)).await;
    assert!(!b.file("hit").exists());
    Outcome::Done
}

async fn whole_signal_reaches_all(b: &mut Bench) -> Outcome {
    let script = "trap 'echo main > {folder}/main' USR1; \
        setsid sh -c 'trap \"echo child > {folder}/child\" USR1; echo ready > {folder}/ready; \
        while :; do sleep 0.02; done' & while :; do sleep 0.02; done";
    let run = b.start(b.shell("web/1", script)).await;
    b.text_of("ready").await;
    b.launcher.signal(&run.replica, run.run, 10, true);
    assert_eq!(b.text_of("main").await, "main\n");
    assert_eq!(b.text_of("child").await, "child\n");
    b.end(&run).await;
    Outcome::Done
}

async fn kill_reaches_grandchildren_in_other_sessions(b: &mut Bench) -> Outcome {
    let script = "setsid sh -c 'sh -c \"echo \\$\\$ > {folder}/grandchild; exec sleep 1000\" & \
        wait' & while :; do sleep 1000; done";
    let run = b.start(b.shell("web/1", script)).await;
    let grandchild = b.pid_of("grandchild").await;
    assert!(alive(grandchild));
    b.launcher.kill(&run.replica, run.run);
    assert_eq!(b.exit_status(&run).await, ExitStatus::Signal(9));
    until("the grandchild is gone", || !alive(grandchild)).await;
    Outcome::Done
}

/// Answers SIGUSR1 with a line in `name`.
fn answering(b: &Bench) -> reeve_core::RunSpec {
    let script = "trap 'echo $(cat {folder}/question) > {folder}/answer' USR1; \
        echo ready > {folder}/ready; while :; do sleep 0.02; done";
    b.shell("web/1", script)
}

async fn freeze_and_thaw(b: &mut Bench) -> Outcome {
    let run = b.start(answering(b)).await;
    b.text_of("ready").await;
    for round in ["one\n", "two\n"] {
        b.launcher.freeze(&run.replica, run.run);
        assert_eq!(b.applied(&run, Applied::Freeze).await, Ok(()));
        until("it is frozen", || frozen(&run)).await;
        std::fs::write(b.file("question"), round).unwrap();
        b.launcher.signal(&run.replica, run.run, 10, false);
        b.launcher.thaw(&run.replica, run.run);
        assert_eq!(b.applied(&run, Applied::Thaw).await, Ok(()));
        until("it is thawed", || !frozen(&run)).await;
        let answer = b.file("answer");
        until("it answers", || std::fs::read_to_string(&answer).is_ok_and(|t| t == round)).await;
    }
    b.end(&run).await;
    Outcome::Done
}

async fn stop_of_a_frozen_worker_ends(b: &mut Bench) -> Outcome {
    let script = "trap 'exit 5' TERM; echo ready > {folder}/ready; while :; do sleep 0.02; done";
    let run = b.start(b.shell("web/1", script)).await;
    b.text_of("ready").await;
    b.launcher.freeze(&run.replica, run.run);
    assert_eq!(b.applied(&run, Applied::Freeze).await, Ok(()));
    let grace = Duration::from_secs(1000);
    b.launcher.stop(&run.replica, run.run, 15, grace);
    // It was thawed, so it could end in its own way.
    assert_eq!(b.exit_status(&run).await, ExitStatus::Code(5));
    Outcome::Done
}

async fn kill_of_a_frozen_worker_ends(b: &mut Bench) -> Outcome {
    let run = b.start(b.shell("web/1", FOREVER)).await;
    b.launcher.freeze(&run.replica, run.run);
    assert_eq!(b.applied(&run, Applied::Freeze).await, Ok(()));
    b.launcher.kill(&run.replica, run.run);
    assert_eq!(b.exit_status(&run).await, ExitStatus::Signal(9));
    let run = b.start(b.shell("web/1", "exit 0")).await;
    assert_eq!(b.exit_status(&run).await, ExitStatus::Code(0));
    Outcome::Done
}

async fn arguments_and_environment_arrive(b: &mut Bench) -> Outcome {
    let script = "printf '%s|' \"$0\" \"$@\" \"$GREETING\" > {folder}/out; env >> {folder}/out";
    let mut spec = b.shell("web/1", script);
    spec.exec.extend(["zero", "one two", "", "ü$HOME"].map(str::to_owned));
    let greeting = "a b\"c'd".to_owned();
    spec.environment = BTreeMap::from([("GREETING".to_owned(), greeting)]);
    spec.working_directory = Some("/usr".to_owned());
    let run = b.start(spec).await;
    assert_eq!(b.exit_status(&run).await, ExitStatus::Code(0));
    let text = b.text_of("out").await;
    assert!(text.starts_with("zero|one two||ü$HOME|a b\"c'd|"), "{text}");
    // systemd says nothing of a home that is the root folder.
    let home = if b.launcher.survives() { "" } else { "HOME=/" };
    for part in ["PATH=/", home, "USER=", "PWD=/usr\n"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(text.contains(&format!("INVOCATION_ID={}\n", run.run)), "{text}");
    assert!(!text.contains("CARGO_"), "the daemon's own environment: {text}");
    Outcome::Done
}

async fn environment_file_is_read(b: &mut Bench) -> Outcome {
    let file = b.file("env");
    std::fs::write(&file, "# comment\nFIRST='one two'\nSECOND=\"file\"\n").unwrap();
    let mut spec = b.shell("web/1", "echo \"$FIRST $SECOND $THIRD\" > {folder}/out");
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    spec.environment = BTreeMap::from([pair("SECOND", "key"), pair("THIRD", "3")]);
    spec.environment_file = Some(file.to_str().unwrap().to_owned());
    let run = b.start(spec).await;
    assert_eq!(b.exit_status(&run).await, ExitStatus::Code(0));
    assert_eq!(b.text_of("out").await, "one two file 3\n");
    let mut spec = b.shell("web/1", "exit 4");
    spec.environment_file = Some("-/nonexistent/env".to_owned());
    let run = b.start(spec).await;
    assert_eq!(b.exit_status(&run).await, ExitStatus::Code(4));
    Outcome::Done
}

async fn notify_socket_and_watchdog_are_told(b: &mut Bench) -> Outcome {
    let script = "echo \"$NOTIFY_SOCKET $WATCHDOG_USEC\" > {folder}/out";
    let mut spec = b.shell("web/1", script);
    spec.watchdog = Some(Duration::from_secs(20));
    let socket = b.file("notify");
    let token = b.launch(spec, Some(socket.clone()));
    let run = b.started(token).await;
    assert_eq!(b.exit_status(&run).await, ExitStatus::Code(0));
    let told = b.text_of("out").await;
    assert_eq!(told, format!("{} 20000000\n", socket.display()));
    Outcome::Done
}

async fn runs_as_another_user_with_its_credentials(b: &mut Bench) -> Outcome {
    if !is_root() {
        return Outcome::Skipped("only root can run workers as another user".to_owned());
    }
    let folder = b.etc.join("credentials");
    std::fs::create_dir_all(&folder).unwrap();
    let key = folder.join("api-key");
    std::fs::write(&key, "secret\n").unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let script = "cat $CREDENTIALS_DIRECTORY/api-key > {folder}/out && \
        [ \"$(stat -c %a $CREDENTIALS_DIRECTORY/api-key)\" = 400 ] && \
        echo \"$(id -un) $(id -u) $USER\" >> {folder}/out";
    for _ in 0..2 {
        let mut spec = b.shell("web/1", script);
        spec.user = Some("nobody".to_owned());
        spec.credentials = vec!["api-key".to_owned()];
        let run = b.start(spec).await;
        assert_eq!(b.exit_status(&run).await, ExitStatus::Code(0));
        assert_eq!(b.text_of("out").await, "secret\nnobody 65534 nobody\n");
        std::fs::remove_file(b.file("out")).unwrap();
    }
    let mut spec = b.spec("web/1", &["/usr/bin/nope"]);
    spec.user = Some("nobody".to_owned());
    let error = b.start_fails(spec).await;
    assert_eq!(error, "/usr/bin/nope: no such file or directory");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let mut spec = b.shell("web/1", script);
    spec.credentials = vec!["api-key".to_owned()];
    let error = b.start_fails(spec).await;
    assert!(error.contains("api-key"), "{error}");
    Outcome::Done
}

async fn asking_for_another_user_without_being_root_is_refused(b: &mut Bench) -> Outcome {
    if is_root() {
        return Outcome::Skipped("this is root".to_owned());
    }
    let mut spec = b.shell("web/1", FOREVER);
    spec.user = Some("root".to_owned());
    let error = b.start_fails(spec).await;
    assert!(error.contains("root"), "{error}");
    Outcome::Done
}

async fn descriptors_and_signals_are_clean(b: &mut Bench) -> Outcome {
    let script = "ls /proc/self/fd | tr '\\n' ' ' > {folder}/out; \
        grep -E '^Sig(Blk|Ign)' /proc/self/status >> {folder}/out; echo >> {folder}/out";
    let run = b.start(b.shell("web/1", script)).await;
    assert_eq!(b.exit_status(&run).await, ExitStatus::Code(0));
    let text = b.text_of("out").await;
    // The fourth is ls reading the folder.
    assert!(text.starts_with("0 1 2 3 Sig"), "{text}");
    let masks = text.lines().filter_map(|l| l.split_once(":\t"));
    assert!(masks.clone().count() == 2, "{text}");
    assert!(masks.clone().all(|(_, m)| m.trim_start_matches('0').is_empty()), "{text}");
    Outcome::Done
}

async fn many_fast_runs_each_start_and_exit_once(b: &mut Bench) -> Outcome {
    let mut seen = BTreeSet::new();
    for round in 0..30 {
        let specs: Vec<_> = (1..=10).map(|n| b.spec(&format!("web/{n}"), &["/bin/true"])).collect();
        let mut tokens = Vec::new();
        for spec in specs {
            let replica = spec.replica.clone();
            tokens.push((b.launch(spec, None), replica));
        }
        for (token, replica) in tokens {
            let run = b.started(token).await;
            assert_eq!(run.replica, replica);
            assert!(seen.insert(run.run), "a run id came twice");
            let status = b.exit_status(&run).await;
            assert_eq!(status, ExitStatus::Code(0), "round {round}");
        }
    }
    assert_eq!(seen.len(), 300);
    let rest = b.rest();
    assert!(rest.is_empty(), "{rest:?}");
    Outcome::Done
}

/// More than the bus lets a connection ask at once.
async fn many_stopped_at_once_all_hear_it(b: &mut Bench) -> Outcome {
    let specs: Vec<_> = (1..=150).map(|n| b.spec(&format!("web/{n}"), &["/bin/sleep", "1000"])).collect();
    let tokens: Vec<_> = specs.into_iter().map(|spec| b.launch(spec, None)).collect();
    let mut runs = Vec::new();
    for token in tokens {
        runs.push(b.started(token).await);
    }
    for run in &runs {
        b.launcher.stop(&run.replica, run.run, 15, Duration::from_secs(1000));
    }
    for run in &runs {
        assert_eq!(b.exit_status(run).await, ExitStatus::Signal(15), "{}", run.replica);
    }
    Outcome::Done
}

async fn a_flooded_log_blocks_nobody(b: &mut Bench) -> Outcome {
    let flood = b.start(b.spec("flood/1", &["/usr/bin/yes", "a line of no great interest"])).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        let run = b.start(b.spec("web/1", &["/bin/true"])).await;
        b.exited(&run).await;
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < super::bench::patience() / 4, "{slowest:?}");
    let grace = Duration::from_secs(1000);
    b.launcher.stop(&flood.replica, flood.run, 15, grace);
    assert_eq!(b.exit_status(&flood).await, ExitStatus::Signal(15));
    Outcome::Done
}

async fn log_lines_are_kept_by_run(b: &mut Bench) -> Outcome {
    let mut runs = Vec::new();
    for (script, lines) in [
        ("echo out; echo err >&2; printf 'no end'; exit 1", vec!["out", "err", "no end"]),
        ("exit 0", vec![]),
        ("sleep 1000 & i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo $i; done; kill $$", vec!["60"]),
    ] {
        let run = b.start(b.shell("web/1", script)).await;
        b.exited(&run).await;
        runs.push((run, lines));
    }
    for (run, lines) in runs {
        let tail = (b.tail)(&run.replica, run.run).await;
        assert!(tail.len() <= 50);
        let last = &tail[tail.len().saturating_sub(lines.len())..];
        assert_eq!(last, lines.as_slice());
        assert!(tail.len() == lines.len() || tail.len() == 50, "{tail:?}");
    }
    Outcome::Done
}

async fn two_runs_of_one_replica_in_sequence(b: &mut Bench) -> Outcome {
    let first = b.start(b.shell("web/1", FOREVER)).await;
    b.end(&first).await;
    let second = b.start(b.shell("web/1", FOREVER)).await;
    assert_ne!(first.run, second.run);
    // What was meant for the first does not touch the second.
    b.launcher.kill(&first.replica, first.run);
    b.launcher.recorded(&first.replica, first.run);
    b.launcher.signal(&second.replica, second.run, 10, false);
    assert_eq!(b.exit_status(&second).await, ExitStatus::Signal(10));
    b.launcher.forget(&second.replica);
    let third = b.start(b.shell("web/1", "exit 0")).await;
    assert_eq!(b.exit_status(&third).await, ExitStatus::Code(0));
    Outcome::Done
}

async fn requests_for_an_unknown_run_are_ignored(b: &mut Bench) -> Outcome {
    let run = b.start(b.shell("web/1", FOREVER)).await;
    let other = "other/1".parse().unwrap();
    let unknown = RunId([7; 16]);
    for replica in [&run.replica, &other] {
        b.launcher.kill(replica, unknown);
        b.launcher.stop(replica, unknown, 15, Duration::ZERO);
        b.launcher.signal(replica, unknown, 9, true);
        b.launcher.freeze(replica, unknown);
        b.launcher.thaw(replica, unknown);
        b.launcher.recorded(replica, unknown);
    }
    b.launcher.disarm(&other);
    b.launcher.forget(&other);
    b.launcher.signal(&run.replica, run.run, 12, false);
    assert_eq!(b.exit_status(&run).await, ExitStatus::Signal(12));
    Outcome::Done
}

async fn the_list_holds_what_runs(b: &mut Bench) -> Outcome {
    b.launcher.list();
    let complete = |e: &LauncherEvent| matches!(e, LauncherEvent::ListComplete).then_some(());
    b.expect("ListComplete", complete).await;
    assert!(b.rest().is_empty());
    let run = b.start(b.shell("web/1", FOREVER)).await;
    b.launcher.list();
    b.expect("ListComplete", complete).await;
    let found = b.expect("Found", |e| match e {
        LauncherEvent::Found(found) => Some(found.clone()),
        _ => None,
    });
    let found = found.await;
    assert_eq!((&found.replica, found.run), (&run.replica, run.run));
    assert_eq!(found.pid, u32::try_from(run.pid).ok());
    assert!(found.ended.is_none() && !found.frozen);
    b.end(&run).await;
    Outcome::Done
}

async fn network_requests_are_answered(b: &mut Bench) -> Outcome {
    let run = b.start(b.shell("web/1", FOREVER)).await;
    b.launcher.network(&run.replica, run.run, true);
    let denied = b.applied(&run, Applied::Network).await;
    assert!(denied.is_ok() || denied.as_ref().is_err_and(|e| e.contains("network")));
    b.launcher.network(&run.replica, run.run, false);
    assert_eq!(b.applied(&run, Applied::Network).await, Ok(()));
    b.end(&run).await;
    Outcome::Done
}

async fn limits_can_be_changed(b: &mut Bench) -> Outcome {
    let run = b.start(b.shell("web/1", FOREVER)).await;
    let limits =
        Resources { memory_limit: Some(64 << 20), cpu_limit: Some(50), tasks_max: Some(20), ..Resources::default() };
    b.launcher.set_limits(&run.replica, run.run, limits);
    let result = b.applied(&run, Applied::Limits).await;
    if b.limits {
        assert_eq!(result, Ok(()));
        let group = run.cgroup.clone().unwrap();
        let read = |f: &str| std::fs::read_to_string(group.join(f)).unwrap();
        assert_eq!(read("memory.max"), "67108864\n");
        assert_eq!(read("cpu.max"), "50000 100000\n");
        assert_eq!(read("pids.max"), "20\n");
    } else {
        assert!(result.is_err_and(|e| e.contains("limit")));
    }
    b.end(&run).await;
    Outcome::Done
}

async fn memory_limit_ends_in_an_oom_kill(b: &mut Bench) -> Outcome {
    if !b.limits {
        return Outcome::Skipped("no memory controller".to_owned());
    }
    // dd holds 64 MiB until somebody reads them. It takes them before there is a limit, since whoever grows up to a limit
    // is slowed down so much at 90 % of it that the end may be long in coming.
    let reader = "mkfifo {folder}/fifo; { head -c 1 > /dev/null; echo $$ > {folder}/greedy; \
        exec sleep 1000; } < {folder}/fifo &";
    let greedy = "dd if=/dev/zero of={folder}/fifo bs=64M count=1";
    for script in [format!("{reader} exec {greedy}"), format!("{reader} {greedy}; exit 0")] {
        let run = b.start(b.shell("web/1", &script)).await;
        b.text_of("greedy").await;
        let limits = Resources { memory_limit: Some(32 << 20), ..Resources::default() };
        b.launcher.set_limits(&run.replica, run.run, limits);
        let info = b.exited(&run).await;
        assert!(info.oom_kill, "{info:?}");
        // Killed as a whole, whichever process was greedy.
        assert_eq!(info.status, ExitStatus::Signal(9));
        std::fs::remove_file(b.file("greedy")).unwrap();
        std::fs::remove_file(b.file("fifo")).unwrap();
    }
    let mut spec = b.shell("web/1", "kill -KILL $$");
    spec.limits.memory_limit = Some(32 << 20);
    let run = b.start(spec).await;
    let info = b.exited(&run).await;
    assert_eq!((info.status, info.oom_kill), (ExitStatus::Signal(9), false));
    Outcome::Done
}

async fn fork_bomb_stays_within_tasks_max(b: &mut Bench) -> Outcome {
    if !b.limits {
        return Outcome::Skipped("no pids controller".to_owned());
    }
    let mut spec = b.shell("web/1", "bomb() { bomb | bomb & }; bomb; while :; do sleep 1; done");
    spec.limits.tasks_max = Some(40);
    let run = b.start(spec).await;
    let group = run.cgroup.clone().unwrap();
    let hit = || {
        let text = std::fs::read_to_string(group.join("pids.events")).unwrap_or_default();
        !text.is_empty() && !text.contains("max 0\n")
    };
    until("the limit is hit", hit).await;
    let other = b.start(b.spec("web/2", &["/bin/true"])).await;
    assert_eq!(b.exit_status(&other).await, ExitStatus::Code(0));
    b.end(&run).await;
    Outcome::Done
}

async fn close_leaves_nothing_where_workers_end_with_the_daemon(b: &mut Bench) -> Outcome {
    if b.launcher.survives() {
        return Outcome::Skipped("workers outlive the daemon".to_owned());
    }
    let script = "trap '' TERM; setsid sh -c 'echo $$ > {folder}/child; exec sleep 1000' & \
        while :; do sleep 1; done";
    let run = b.start(b.shell("web/1", script)).await;
    let child = b.pid_of("child").await;
    b.launcher.freeze(&run.replica, run.run);
    b.launcher.close();
    assert!(!alive(run.pid) && !alive(child));
    assert_eq!(b.exit_status(&run).await, ExitStatus::Signal(9));
    if let Some(group) = &run.cgroup {
        assert!(!group.exists());
    }
    Outcome::Done
}
