//! Crash to new main process, beside systemd's own restart: a ratio, printed; the bench holds the bar.

use crate::rig::{Rig, guard, sh, sh_ok, show, until, worker};
use std::time::{Duration, Instant};

const ROUNDS: usize = 30;

fn middle(mut of: Vec<Duration>) -> Duration {
    of.sort();
    of[of.len() / 2]
}

/// The stamp is on the boot clock, in nanoseconds, as this program's.
const STAMP: &str =
    "import time; open('/srv/launcher-test/speed/stamp','w').write(str(time.monotonic_ns())); time.sleep(1000)";

#[tokio::test]
async fn a_crash_costs_little_more_than_with_plain_systemd() {
    let Some(_guard) = guard().await else { return };
    sh("mkdir -p /srv/launcher-test/speed && chown reeve-worker: /srv/launcher-test/speed");
    let file = "/srv/launcher-test/speed/stamp";
    let stamp = || std::fs::read_to_string(file).ok()?.parse::<u64>().ok();
    let now = || {
        let t = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
        u64::try_from(t.tv_sec()).unwrap() * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap()
    };
    let _ = Instant::now();
    let mut rig = Rig::new().await;
    let mut spec = worker("speed", "");
    // In a file: systemd 252 writes a `;` in an argument in a way that the fragment below could not read back.
    std::fs::write("/srv/launcher-test/speed/stamp.py", STAMP).unwrap();
    spec.exec = ["/usr/bin/python3", "-S", "/srv/launcher-test/speed/stamp.py"].map(str::to_owned).to_vec();
    spec.working_directory = Some("/srv/launcher-test/speed".into());
    let (mut run, mut pid) = rig.start(&spec).await;
    let mut ours = Vec::new();
    for _ in 0..ROUNDS {
        until("up", || stamp().is_some()).await;
        let _ = std::fs::remove_file(file);
        let killed = now();
        sh(&format!("kill -9 {pid}"));
        rig.ended(&spec.replica, run).await;
        (run, pid) = rig.start(&spec).await;
        until("back", || stamp().is_some()).await;
        ours.push(Duration::from_nanos(stamp().unwrap() - killed));
    }
    // The same unit, restarted by PID 1.
    let properties = sh("cat /run/systemd/transient/reeve-speed-1.service");
    rig.clean().await;
    let text = properties
        .lines()
        .map(|l| if l.starts_with("RestartSec") || l.starts_with("RestartUSec") { "RestartSec=0" } else { l })
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write("/run/systemd/system/plain-speed.service", text).unwrap();
    let _ = std::fs::remove_file(file);
    sh("systemctl daemon-reload && systemctl start plain-speed.service");
    let mut plain = Vec::new();
    for _ in 0..ROUNDS {
        until("up", || stamp().is_some()).await;
        let pid = sh("systemctl show -P MainPID plain-speed.service");
        let _ = std::fs::remove_file(file);
        let killed = now();
        sh(&format!("kill -9 {pid}"));
        until("back", || stamp().is_some()).await;
        plain.push(Duration::from_nanos(stamp().unwrap() - killed));
    }
    sh_ok("systemctl stop plain-speed.service; rm /run/systemd/system/plain-speed.service; systemctl daemon-reload");
    let (ours, plain) = (middle(ours), middle(plain));
    eprintln!(
        "crash to main(), median of {ROUNDS}: reeve {ours:?}, plain systemd {plain:?}, ratio {:.2}",
        ours.as_secs_f64() / plain.as_secs_f64()
    );
    let _ = show;
}
