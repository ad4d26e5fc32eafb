//! Finding runs again: after the daemon, the bus or PID 1 has been away.

use crate::rig::{Rig, guard, sh, sh_ok, show, until, worker};
use reeve::host::launcher::Launcher;
use reeve_core::config::RestartPolicy;
use reeve_core::effect::RunSpec;
use reeve_core::{Applied, ExitStatus, LauncherEvent};
use std::time::Duration;

#[tokio::test]
async fn a_second_launcher_finds_the_first_ones_run() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = worker("adopted", "exec sleep 1000");
    let replica = spec.replica.clone();
    let (run, pid) = rig.start(&spec).await;
    rig.die();
    let mut rig = Rig::new().await;
    let found = rig.find(&replica).await.unwrap();
    assert_eq!((found.run, found.pid), (run, Some(pid)));
    assert!(found.ended.is_none() && !found.frozen && found.started.is_some());
    assert!(found.missed.is_empty(), "{:?}", found.missed);
    assert!(found.cgroup.unwrap().ends_with(&replica.unit()));
    // The same specification: the unit is used again.
    sh(&format!("kill -9 {pid}"));
    assert_eq!(rig.status(&replica, run).await, ExitStatus::Signal(9));
    let (run, _) = rig.start(&spec).await;
    rig.launcher.freeze(&replica, run);
    assert_eq!(rig.applied(Applied::Freeze).await, Ok(()));
    rig.die();
    let mut rig = Rig::new().await;
    assert!(rig.find(&replica).await.unwrap().frozen);
    rig.launcher.stop(&replica, run, 15, Duration::from_secs(20));
    assert_eq!(rig.status(&replica, run).await, ExitStatus::Signal(15));
    rig.begin(&spec, None);
    rig.clean().await;
}

#[tokio::test]
async fn sup_p2_a_worker_heals_without_the_daemon_and_no_end_is_lost() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = RunSpec { unsupervised_after: Some(Duration::from_secs(1)), ..worker("healed", "exec sleep 1000") };
    let replica = spec.replica.clone();
    let (first, pid) = rig.start(&spec).await;
    rig.die();
    sh(&format!("kill -9 {pid}"));
    until("dead-man restart", || show(&replica, "NRestarts") == "1").await;
    until("running", || show(&replica, "SubState") == "running").await;
    let second = show(&replica, "InvocationID");
    sh(&format!("kill -SEGV {}", show(&replica, "MainPID")));
    until("second restart", || show(&replica, "NRestarts") == "2").await;
    until("running", || show(&replica, "SubState") == "running").await;
    let mut rig = Rig::new().await;
    let found = rig.find(&replica).await.unwrap();
    assert_eq!(found.run.to_string(), show(&replica, "InvocationID"));
    let missed: Vec<_> = found.missed.iter().map(|(run, info)| (run.to_string(), info.status)).collect();
    assert_eq!(missed, [(first.to_string(), ExitStatus::Signal(9)), (second, ExitStatus::Signal(11))]);
    rig.begin(&spec, None);
    rig.clean().await;
}

#[tokio::test]
async fn sup_p3_p4_ends_without_the_daemon_are_kept() {
    let Some(_guard) = guard().await else { return };
    for (n, (policy, code, restarts)) in [
        (RestartPolicy::Always, 0, true),
        (RestartPolicy::OnFailure, 0, false),
        (RestartPolicy::Never, 0, false),
        (RestartPolicy::Never, 5, false),
        (RestartPolicy::Always, 77, false),
        (RestartPolicy::OnFailure, 78, false),
        (RestartPolicy::OnFailure, 5, true),
    ]
    .into_iter()
    .enumerate()
    {
        let mut rig = Rig::new().await;
        let spec = RunSpec {
            policy,
            unsupervised_after: Some(Duration::from_millis(500)),
            ..worker(&format!("kept-{n}"), &format!("trap 'exit {code}' USR1; while :; do sleep 0.1; done"))
        };
        let replica = spec.replica.clone();
        let (run, pid) = rig.start(&spec).await;
        until("trap", || sh_ok(&format!("grep -q 'SigCgt:.*[2367abef]..$' /proc/{pid}/status"))).await;
        rig.die();
        sh(&format!("kill -USR1 {pid}"));
        if restarts {
            until("restarted", || {
                show(&replica, "InvocationID") != run.to_string() && show(&replica, "SubState") == "running"
            })
            .await;
        } else {
            until("ended", || ["failed", "exited"].contains(&show(&replica, "SubState").as_str())).await;
        }
        let mut rig = Rig::new().await;
        let found = rig.find(&replica).await.unwrap();
        let seen = if restarts {
            assert!(found.ended.is_none());
            found.missed[0].clone()
        } else {
            (found.run, found.ended.clone().unwrap())
        };
        assert_eq!((seen.0, seen.1.status), (run, ExitStatus::Code(code)), "{policy:?} {code}");
        // A found end needs no `recorded` before it is started again.
        let again = rig.start(&spec).await;
        assert_eq!(again.0 == found.run, restarts);
        rig.clean().await;
    }
}

#[tokio::test]
async fn sup_p10_no_start_limit_ends_the_dead_mans_restarts() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec =
        RunSpec { unsupervised_after: Some(Duration::from_millis(50)), ..worker("limitless", "sleep 0.2; exit 1") };
    let replica = spec.replica.clone();
    rig.start(&spec).await;
    rig.die();
    until("15 restarts", || show(&replica, "NRestarts").parse::<u32>().unwrap() >= 15).await;
    let mut rig = Rig::new().await;
    let found = rig.find(&replica).await.unwrap();
    assert!(found.missed.len() >= 14, "{}", found.missed.len());
    sh(&format!("systemctl stop {}", replica.unit()));
    rig.begin(&worker("limitless", "exec sleep 1000"), None);
    rig.clean().await;
}

#[tokio::test]
async fn sup_p8_reload_reexec_and_bus_restart_touch_nothing() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    rig.gaps = true;
    let live = worker("calm", "exec sleep 1000");
    let waiting = worker("waiting", "exec sleep 1000");
    let (run, pid) = rig.start(&live).await;
    let (mut ended, mut ended_pid) = rig.start(&waiting).await;
    for disturbance in [
        "systemctl daemon-reload",
        "systemctl daemon-reexec",
        "systemctl restart dbus.service",
        "systemctl daemon-reexec",
    ] {
        eprintln!("{disturbance}");
        sh(&format!("kill -9 {ended_pid}"));
        assert_eq!(rig.status(&waiting.replica, ended).await, ExitStatus::Signal(9));
        sh(disturbance);
        // Waits behind the re-reading by itself.
        let token = rig.begin(&waiting, None);
        let (new, new_pid) = rig.begun(token).await.unwrap();
        assert_ne!(new, ended);
        (ended, ended_pid) = (new, new_pid);
        let Some(found) = rig.find(&live.replica).await else {
            panic!(
                "{:?} {}",
                rig.kept(),
                sh(&format!("systemctl show {} | grep -E 'State|Trans|Slice|Invo'", live.replica.unit()))
            );
        };
        assert_eq!((found.run, found.pid), (run, Some(pid)), "{disturbance}");
        assert!(found.missed.is_empty());
        assert!(
            !rig.kept().iter().any(|e| matches!(e, LauncherEvent::Exited { .. } | LauncherEvent::StartFailed { .. })),
            "{disturbance}: {:?}",
            rig.kept()
        );
    }
    sh(&format!("kill -9 {pid}"));
    assert_eq!(rig.status(&live.replica, run).await, ExitStatus::Signal(9));
    rig.clean().await;
}

#[tokio::test]
async fn starts_in_flight_survive_reexec_and_bus_restart() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    rig.gaps = true;
    for disturbance in ["systemctl daemon-reexec", "systemctl restart dbus.service"] {
        let specs: Vec<RunSpec> = (1..=20).map(|n| worker(&format!("flight-{n}"), "exec sleep 1000")).collect();
        let tokens: Vec<_> = specs.iter().map(|spec| rig.begin(spec, None)).collect();
        // Somewhere in the middle.
        let first = rig.begun(tokens[0]).await.unwrap();
        let child = std::process::Command::new("sh").args(["-c", disturbance]).spawn();
        let mut runs = vec![first];
        for token in &tokens[1..] {
            runs.push(rig.begun(*token).await.unwrap());
        }
        assert!(child.unwrap().wait().unwrap().success());
        for (spec, (run, pid)) in specs.iter().zip(&runs) {
            let found = rig.find(&spec.replica).await.unwrap();
            assert_eq!((found.run, found.pid), (*run, Some(*pid)), "{disturbance}");
            rig.launcher.kill(&spec.replica, *run);
            assert_eq!(rig.status(&spec.replica, *run).await, ExitStatus::Signal(9));
        }
    }
    rig.clean().await;
}

#[tokio::test]
async fn an_end_during_the_bus_restart_is_not_lost() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = worker("blink", "exec sleep 1000");
    let replica = spec.replica.clone();
    let (run, pid) = rig.start(&spec).await;
    sh(&format!("systemctl stop dbus.socket dbus.service; kill -9 {pid}; systemctl start dbus.socket dbus.service"));
    assert_eq!(rig.status(&replica, run).await, ExitStatus::Signal(9));
    let (run, _) = rig.start(&spec).await;
    sh(&format!("systemctl restart {}", replica.unit()));
    // Somebody else's restart: the old run's end, then the new run.
    rig.exited(&replica, run).await;
    let found = rig
        .wait("the new run", |event| match event {
            LauncherEvent::Found(found) if found.run != run => Some(found.clone()),
            _ => None,
        })
        .await;
    assert!(found.ended.is_none());
    rig.clean().await;
}

#[tokio::test]
async fn sup_p7_a_start_racing_the_dead_mans_timer_loses_no_run() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let spec = RunSpec { unsupervised_after: Some(Duration::from_millis(300)), ..worker("racing", "exec sleep 1000") };
    let replica = spec.replica.clone();
    let (mut run, mut pid) = rig.start(&spec).await;
    let (mut told, mut over) = (vec![run], Vec::new());
    for round in 0..12u64 {
        sh(&format!("kill -9 {pid}"));
        rig.ended(&replica, run).await;
        over.push(run);
        // Before, at, and after the timer.
        let meet = tokio::time::Instant::now() + Duration::from_millis(200 + 20 * round);
        tokio::time::sleep_until(meet).await;
        (run, pid) = rig.start(&spec).await;
        told.push(run);
    }
    while let Some(found) = rig.found(&replica) {
        if !told.contains(&found.run) {
            told.push(found.run);
        }
        if found.ended.is_some() {
            over.push(found.run);
        }
    }
    // PID 1 names each run in some message, but not all in the same: one that is asked to end before it is started whole
    // leaves no "Started".
    let runs = sh(&format!(
        "journalctl --sync; journalctl -q -b -o json _PID=1 UNIT={} | python3 -c \"import json,sys; print('\\n'.join(sorted({{e['INVOCATION_ID'] for e in map(json.loads, sys.stdin) if 'INVOCATION_ID' in e}})))\"",
        replica.unit()
    ));
    let mut all: Vec<String> = told.iter().map(ToString::to_string).collect();
    all.sort();
    assert_eq!(all.join("\n"), runs);
    // All but the last have ended, each once.
    let mut ends = over.clone();
    ends.sort();
    ends.dedup();
    assert_eq!((ends.len(), over.len()), (told.len() - 1, told.len() - 1));
    rig.clean().await;
}
