//! Starting, ending, stopping.

use crate::rig::{Rig, frozen, guard, sh, sh_ok, show, until, worker};
use reeve::host::launcher::Launcher;
use reeve_core::config::RestartPolicy;
use reeve_core::effect::RunSpec;
use reeve_core::{Applied, ExitStatus, LauncherEvent, ReplicaId};
use std::sync::Arc;
use std::time::Duration;

/// More than may be under way at once.
const MANY: u32 = 40;

#[tokio::test]
async fn ends_are_told_apart() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    for (policy, script, status) in [
        (RestartPolicy::Never, "exit 0", ExitStatus::Code(0)),
        (RestartPolicy::OnFailure, "exit 0", ExitStatus::Code(0)),
        (RestartPolicy::Always, "exit 0", ExitStatus::Code(0)),
        (RestartPolicy::Always, "exit 3", ExitStatus::Code(3)),
        (RestartPolicy::Never, "exit 3", ExitStatus::Code(3)),
        (RestartPolicy::Always, "exit 78", ExitStatus::Code(78)),
        (RestartPolicy::Always, "kill -SEGV $$", ExitStatus::Signal(11)),
        (RestartPolicy::Never, "kill -KILL $$", ExitStatus::Signal(9)),
        // Not to be mistaken for systemd's own 203/EXEC: the program did run.
        (RestartPolicy::Always, "sleep 1; exit 203", ExitStatus::Code(203)),
    ] {
        let spec = RunSpec { policy, ..worker("ends", script) };
        let (run, pid) = rig.start(&spec).await;
        assert!(pid > 0);
        let info = rig.ended(&spec.replica, run).await;
        assert_eq!((info.status, info.oom_kill), (status, false), "{policy:?} {script}");
        assert!(info.at.0 > 1_600_000_000_000_000);
    }
    rig.clean().await;
}

#[tokio::test]
async fn sup_p1_a_crash_is_followed_by_a_new_run_of_the_same_unit() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = worker("again", "exec sleep 1000");
    let replica = spec.replica.clone();
    let (mut run, mut pid) = rig.start(&spec).await;
    for _ in 0..5 {
        assert_eq!(show(&replica, "InvocationID"), run.to_string());
        sh(&format!("kill -9 {pid}"));
        assert_eq!(rig.exited(&replica, run).await.status, ExitStatus::Signal(9));
        assert_eq!(show(&replica, "SubState"), "auto-restart");
        // Held back until the record is on disk.
        let token = rig.begin(&spec, None);
        assert_eq!(show(&replica, "SubState"), "auto-restart");
        rig.launcher.recorded(&replica, run);
        let (new, new_pid) = rig.begun(token).await.unwrap();
        assert!(new != run && new_pid != pid);
        (run, pid) = (new, new_pid);
    }
    rig.clean().await;
}

#[tokio::test]
async fn a_start_that_cannot_be_says_why() {
    let Some(_guard) = guard().await else { return };
    sh("touch /var/tmp/not-executable && chmod 644 /var/tmp/not-executable");
    let mut rig = Rig::new().await;
    let spec = worker("bad", "sleep 1000");
    let exec = |program: &str| RunSpec { exec: vec![program.into()], ..spec.clone() };
    let cases = [
        (exec("/no/such/program"), "/no/such/program: no such file"),
        (exec("/var/tmp/not-executable"), "/var/tmp/not-executable: permission denied"),
        (exec("relative"), "not an absolute path"),
        (RunSpec { user: Some("nobody-at-all".into()), ..spec.clone() }, "user nobody-at-all is unknown"),
        (
            RunSpec { working_directory: Some("/no/such/folder".into()), ..spec.clone() },
            "working directory /no/such/folder",
        ),
        (RunSpec { environment_file: Some("/no/such/env".into()), ..spec.clone() }, "/no/such/env"),
        (
            RunSpec { sandbox: Arc::new([("ProtectSytem".to_owned(), vec!["yes".to_owned()])].into()), ..spec.clone() },
            "worker.sandbox.ProtectSytem",
        ),
        (
            RunSpec {
                sandbox: Arc::new([("ProtectSystem".to_owned(), vec!["perhaps".to_owned()])].into()),
                ..spec.clone()
            },
            "ProtectSystem",
        ),
    ];
    for (spec, expected) in cases {
        let error = rig.try_start(&spec).await.unwrap_err();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
        until("not armed", || show(&spec.replica, "SubState") != "auto-restart").await;
    }
    // The name is free for a better one at once.
    let (run, _) = rig.start(&spec).await;
    rig.launcher.kill(&spec.replica, run);
    assert_eq!(rig.status(&spec.replica, run).await, ExitStatus::Signal(9));
    rig.clean().await;
}

#[tokio::test]
async fn sup_p6_a_stop_asks_then_kills() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let grace = Duration::from_secs(20);
    let polite = worker("polite", "trap 'exit 7' TERM; while :; do sleep 0.1; done");
    let (run, _) = rig.start(&polite).await;
    rig.launcher.stop(&polite.replica, run, 15, grace);
    // Whether the trap was set before the signal came or not.
    let status = rig.status(&polite.replica, run).await;
    assert!(matches!(status, ExitStatus::Code(7) | ExitStatus::Signal(15)), "{status:?}");

    // Another signal than the unit's own.
    let (run, pid) = rig.start(&RunSpec { digest: "2".into(), ..worker("polite", "exec sleep 1000") }).await;
    assert!(pid > 0);
    rig.launcher.stop(&polite.replica, run, 10, grace);
    assert_eq!(rig.status(&polite.replica, run).await, ExitStatus::Signal(10));
    until("stays down", || show(&polite.replica, "SubState") != "auto-restart").await;

    let stubborn = worker("stubborn", "trap '' TERM; echo up > /dev/null; while :; do sleep 0.1; done");
    let (run, pid) = rig.start(&stubborn).await;
    until("deaf", || {
        // SigIgn of signal 15.
        sh_ok(&format!("grep -q 'SigIgn:.*[4567cdef]...$' /proc/{pid}/status"))
    })
    .await;
    rig.launcher.stop(&stubborn.replica, run, 15, Duration::from_secs(1));
    assert_eq!(rig.status(&stubborn.replica, run).await, ExitStatus::Signal(9));
    until("stays down", || show(&stubborn.replica, "SubState") != "auto-restart").await;
    rig.clean().await;
}

#[tokio::test]
async fn a_kill_reaches_grandchildren() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = worker("family", "setsid sh -c 'sleep 4321' & setsid setsid sleep 4321 & sleep 1000");
    let (run, _) = rig.start(&spec).await;
    until("children", || sh("pgrep -xc sleep || true").parse::<u32>().unwrap_or(0) >= 2).await;
    rig.launcher.kill(&spec.replica, run);
    assert_eq!(rig.status(&spec.replica, run).await, ExitStatus::Signal(9));
    until("none left", || !sh_ok("pgrep -f '[s]leep 4321'")).await;
    until("stays down", || show(&spec.replica, "SubState") != "auto-restart").await;
    rig.clean().await;
}

#[tokio::test]
async fn a_child_left_behind_ends_with_the_main_process() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = worker("orphan", "setsid sleep 5432 & sleep 0.5; exit 4");
    let (run, _) = rig.start(&spec).await;
    assert_eq!(rig.status(&spec.replica, run).await, ExitStatus::Code(4));
    assert!(!sh_ok("pgrep -f '[s]leep 5432'"));
    rig.clean().await;
}

#[tokio::test]
async fn frozen_workers_thaw_stop_and_die() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = worker("frozen", "exec sleep 1000");
    let replica = spec.replica.clone();
    for kill in [false, true] {
        let (run, _) = rig.start(&spec).await;
        rig.launcher.freeze(&replica, run);
        assert_eq!(rig.applied(Applied::Freeze).await, Ok(()));
        assert!(frozen(&replica));
        rig.launcher.thaw(&replica, run);
        assert_eq!(rig.applied(Applied::Thaw).await, Ok(()));
        assert!(!frozen(&replica));
        rig.launcher.freeze(&replica, run);
        assert_eq!(rig.applied(Applied::Freeze).await, Ok(()));
        let expected = if kill {
            rig.launcher.kill(&replica, run);
            9
        } else {
            rig.launcher.stop(&replica, run, 15, Duration::from_secs(20));
            15
        };
        assert_eq!(rig.status(&replica, run).await, ExitStatus::Signal(expected));
        rig.launcher.freeze(&replica, run);
        let refused = rig.applied(Applied::Freeze).await.unwrap_err();
        assert!(refused.contains("has ended"), "{refused}");
    }
    rig.clean().await;
}

#[tokio::test]
async fn sup_p5_a_changed_specification_is_a_new_unit() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let mut spec = worker("changed", "exec sleep 1000");
    let replica = spec.replica.clone();
    let (mut run, mut pid) = rig.start(&spec).await;
    for round in 0..6 {
        // Out of auto-restart, after a stop, and after a disarm.
        match round % 3 {
            0 => {
                sh(&format!("kill -9 {pid}"));
                rig.ended(&replica, run).await;
            }
            1 => {
                rig.launcher.stop(&replica, run, 15, Duration::from_secs(20));
                rig.ended(&replica, run).await;
            }
            _ => {
                sh(&format!("kill -9 {pid}"));
                rig.ended(&replica, run).await;
                rig.launcher.disarm(&replica);
            }
        }
        spec.environment.insert("ROUND".into(), round.to_string());
        let (new, new_pid) = rig.start(&spec).await;
        assert_ne!(new, run);
        let mut environ = String::new();
        // Empty while the shell becomes the program.
        until("an environment", || {
            environ = sh(&format!("tr '\\0' '\\n' < /proc/{new_pid}/environ"));
            !environ.trim().is_empty()
        })
        .await;
        assert!(environ.contains(&format!("ROUND={round}")), "{environ}");
        (run, pid) = (new, new_pid);
    }
    rig.clean().await;
}

#[tokio::test]
async fn a_disarmed_unit_stays_down_and_starts_again() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = RunSpec { unsupervised_after: Some(Duration::from_secs(2)), ..worker("disarmed", "exec sleep 1000") };
    let replica = spec.replica.clone();
    let (run, pid) = rig.start(&spec).await;
    sh(&format!("kill -9 {pid}"));
    rig.ended(&replica, run).await;
    rig.launcher.disarm(&replica);
    until("disarmed", || show(&replica, "SubState") != "auto-restart").await;
    let again = rig.start(&spec).await;
    assert_ne!(again.0, run);
    // Not disarmed: the dead-man restart comes, and the core hears of it.
    sh(&format!("kill -9 {}", again.1));
    rig.ended(&replica, again.0).await;
    let found = rig
        .wait("dead-man restart", |event| match event {
            LauncherEvent::Found(found) => Some(found.clone()),
            _ => None,
        })
        .await;
    assert!(found.run != again.0 && found.ended.is_none() && found.pid.is_some());
    // A start now finds it running already.
    assert_eq!(rig.start(&spec).await.0, found.run);
    rig.clean().await;
}

#[tokio::test]
async fn arguments_arrive_as_they_were_written() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let odd = ["$HOME", "${PATH}", "%n %%", "a b", "\"q\"", "back\\slash", "ä", "", ";", "*"];
    let mut spec = worker("odd", "sleep 1000");
    spec.exec[2] = "exec sleep 1000; :".into();
    spec.exec = vec!["/usr/bin/python3".into(), "-c".into(), "import time; time.sleep(1000)".into()];
    spec.exec.extend(odd.iter().map(|s| (*s).to_owned()));
    spec.environment.insert("ODD".into(), "a \"b\" $c %n \\ ü".into());
    let expected = format!("{}\0", spec.exec.join("\0"));
    let (run, pid) = rig.start(&spec).await;
    for _ in 0..2 {
        let main: u32 = show(&spec.replica, "MainPID").parse().unwrap();
        assert_eq!(main, pid);
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), expected);
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        assert!(String::from_utf8_lossy(&environ).contains("ODD=a \"b\" $c %n \\ ü\0"));
        sh("systemctl daemon-reload");
    }
    rig.launcher.kill(&spec.replica, run);
    rig.ended(&spec.replica, run).await;
    // And once more, read back from the file that systemd made of it.
    let (_, pid) = rig.start(&spec).await;
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), expected);
    rig.clean().await;
}

/// So many replicas that do nothing.
fn sleepers(name: &str, count: u32) -> Vec<RunSpec> {
    let replica = |n| ReplicaId::new(name.parse().unwrap(), n);
    (1..=count).map(|n| RunSpec { replica: replica(n), ..worker(name, "exec sleep 1000") }).collect()
}

#[tokio::test]
async fn many_starts_and_stops_at_once() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let specs = sleepers("many", MANY);
    let runs = rig.start_all(&specs).await;
    let mut ids: Vec<_> = runs.iter().map(|(run, _)| *run).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), specs.len());
    // A mass crash, then all back.
    let pids: Vec<String> = runs.iter().map(|(_, pid)| pid.to_string()).collect();
    sh(&format!("kill -9 {}", pids.join(" ")));
    for (spec, (run, _)) in specs.iter().zip(&runs) {
        assert_eq!(rig.status(&spec.replica, *run).await, ExitStatus::Signal(9));
    }
    let tokens: Vec<_> = specs.iter().map(|spec| rig.begin(spec, None)).collect();
    for (spec, token) in specs.iter().zip(tokens) {
        let (run, _) = rig.begun(token).await.unwrap();
        rig.launcher.stop(&spec.replica, run, 15, Duration::from_secs(60));
    }
    let mut stopped = 0;
    while stopped < specs.len() {
        rig.wait("stopped", |event| matches!(event, LauncherEvent::Exited { .. }).then_some(())).await;
        stopped += 1;
    }
    sh("systemctl stop reeve.slice; systemctl reset-failed 'reeve-*' || true");
    rig.launcher.close();
}

/// PID 1 follows whoever refers to a unit, or waits for a job, by a match rule, and leaves the bus when it may have no
/// more (512): dbus-daemon(1), max_match_rules_per_connection.
#[tokio::test]
async fn more_units_than_pid_1_may_have_match_rules() {
    const CROWD: u32 = 600;
    let Some(_guard) = guard().await else { return };
    let on_the_bus =
        || sh("busctl call org.freedesktop.DBus / org.freedesktop.DBus GetNameOwner s org.freedesktop.systemd1");
    let mut rig = Rig::new().await;
    let before = on_the_bus();
    let specs = sleepers("crowd", CROWD);
    let runs = rig.start_all(&specs).await;
    for (spec, (run, _)) in specs.iter().zip(&runs) {
        rig.launcher.stop(&spec.replica, *run, 15, Duration::from_secs(60));
    }
    for (spec, (run, _)) in specs.iter().zip(&runs) {
        assert_eq!(rig.status(&spec.replica, *run).await, ExitStatus::Signal(15), "{}", spec.replica);
    }
    assert_eq!(before, on_the_bus());
    sh("systemctl stop reeve.slice; systemctl reset-failed 'reeve-*' || true");
    rig.launcher.close();
}

#[tokio::test]
async fn signals_reach_the_main_process_or_all() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = worker("signals", "sleep 6543 & exec sleep 1000");
    let (run, _) = rig.start(&spec).await;
    rig.launcher.signal(&spec.replica, run, 10, false);
    assert_eq!(rig.status(&spec.replica, run).await, ExitStatus::Signal(10));
    let (run, _) = rig.start(&spec).await;
    rig.launcher.signal(&spec.replica, run, 12, true);
    assert_eq!(rig.status(&spec.replica, run).await, ExitStatus::Signal(12));
    rig.clean().await;
}

#[tokio::test]
async fn sup_p9_a_frozen_run_that_is_killed_does_not_block_its_name() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = worker("iced", "exec sleep 1000");
    let replica = spec.replica.clone();
    let (run, pid) = rig.start(&spec).await;
    rig.launcher.freeze(&replica, run);
    assert_eq!(rig.applied(Applied::Freeze).await, Ok(()));
    sh(&format!("kill -9 {pid}"));
    let status = rig.status(&replica, run).await;
    assert_eq!(status, ExitStatus::Signal(9));
    let (run, _) = rig.start(&spec).await;
    assert!(!frozen(&replica));
    assert_eq!(show(&replica, "FreezerState"), "running");
    rig.launcher.freeze(&replica, run);
    assert_eq!(rig.applied(Applied::Freeze).await, Ok(()));
    rig.launcher.stop(&replica, run, 15, Duration::from_secs(20));
    assert_eq!(rig.status(&replica, run).await, ExitStatus::Signal(15));
    rig.clean().await;
}
