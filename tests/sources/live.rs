//! Sources over time, on threads and with files that change.

use super::picture::{Living, handle, picture};
use reeve::sources::{self, SourcesConfig, Space};
use reeve_core::exit::{Cause, ExitRecord};
use reeve_core::metrics::{Report, Value};
use reeve_core::{RunId, Wall, WorkerName};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

fn value(report: &Report, family: &str, label: &str) -> Option<f64> {
    let samples = report.outcome.as_ref().unwrap();
    let found = samples.get(family)?.samples.iter().find(|(labels, _)| labels.as_str().contains(label))?;
    if let Value::Number(number) = found.1 { Some(number) } else { None }
}

/// The next report of this source for which the condition holds; others that came meanwhile are counted.
fn until(reports: &mut UnboundedReceiver<Report>, source: &str, holds: impl Fn(&Report) -> bool) -> usize {
    let mut others = 0;
    loop {
        let report = reports.blocking_recv().unwrap();
        if report.source != source {
            others += usize::from(report.outcome.is_ok());
        } else if holds(&report) {
            return others;
        }
    }
}

#[test]
fn met_03_a_mount_that_hangs_is_told_and_holds_up_nobody() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir_all(tree.path().join("1")).unwrap();
    let table = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / /srv/dead rw - xfs /dev/sdb1 rw\n";
    fs::write(tree.path().join("1/mountinfo"), table).unwrap();
    fs::write(tree.path().join("loadavg"), "1 2 3 1/1 1\n").unwrap();
    let space = move |path: &Path| {
        if path == Path::new("/srv/dead") {
            // Until it is released; later calls return at once.
            let _ = held.lock().unwrap().recv();
        }
        Ok(Space { size: 2.0, avail: 1.0, free: 1.0, files: 1.0, files_free: 1.0 })
    };
    let config = SourcesConfig {
        proc: tree.path().to_owned(),
        base: Duration::from_millis(20),
        mount_timeout: Duration::from_millis(60),
        space: Arc::new(space),
        ..SourcesConfig::default()
    };
    let (_pictures, workers) = handle(picture(&[]));
    let (sender, mut reports) = unbounded_channel();
    let running = sources::start(config, sender, workers).unwrap();
    let dead =
        |r: &Report| value(r, "node_filesystem_device_error", "device_error=\"mountpoint timeout\"") == Some(1.0);
    let well = |r: &Report| value(r, "node_filesystem_size_bytes", "mountpoint=\"/\"") == Some(2.0);
    assert!(until(&mut reports, "filesystem", |r| dead(r) && well(r)) > 0);
    // It goes on like this, and the others go on looking.
    assert!(until(&mut reports, "filesystem", |r| dead(r) && well(r)) > 0);
    assert!(until(&mut reports, "load", |r| value(r, "node_load1", "") == Some(1.0)) > 0);
    drop(release);
    until(&mut reports, "filesystem", |r| value(r, "node_filesystem_size_bytes", "/srv/dead").is_some() && !dead(r));
    drop(running);
}

#[test]
fn met_02_an_oom_kill_counts_although_its_cgroup_is_gone() {
    let tree = tempfile::tempdir().unwrap();
    let cgroup = tree.path().join("agents.team/reeve-web-1");
    let events = |kills: u32| {
        fs::create_dir_all(&cgroup).unwrap();
        fs::write(cgroup.join("memory.events"), format!("max 0\noom {kills}\noom_kill {kills}\n")).unwrap();
    };
    let config = SourcesConfig { system: false, base: Duration::from_millis(5), ..SourcesConfig::default() };
    let living = |run: u8| picture(&[Living { index: 1, run: Some((run, &cgroup)), pid: None }]);
    events(0);
    let (pictures, workers) = handle(living(1));
    let (sender, mut reports) = unbounded_channel();
    let running = sources::start(config, sender, workers.clone()).unwrap();
    let kills = |wanted: f64| {
        move |r: &Report| value(r, "reeve_worker_memory_events_total", "event=\"oom_kill\"") == Some(wanted)
    };
    until(&mut reports, "workers", kills(0.0));
    // Killed between two looks, and its cgroup removed.
    fs::remove_dir_all(&cgroup).unwrap();
    workers.ended(&record(1, Cause::Oom));
    pictures.send_replace(picture(&[Living { index: 1, run: None, pid: None }]));
    until(&mut reports, "workers", kills(1.0));
    // The next run begins at nothing, and goes on from there.
    events(0);
    pictures.send_replace(living(2));
    until(&mut reports, "workers", kills(1.0));
    fs::remove_dir_all(&cgroup).unwrap();
    workers.ended(&record(2, Cause::Operator));
    events(2);
    pictures.send_replace(living(3));
    until(&mut reports, "workers", kills(3.0));
    // With the replica go its series.
    pictures.send_replace(picture(&[]));
    until(&mut reports, "workers", |r| r.outcome.as_ref().unwrap().is_empty());
    drop(running);
}

fn record(run: u8, cause: Cause) -> ExitRecord {
    ExitRecord {
        run: RunId([run; 16]),
        worker: WorkerName::new("web").unwrap(),
        replica: 1,
        started: None,
        ended: Wall(0),
        supervised: true,
        cause,
        exit_code: None,
        signal: Some(9),
        reason: String::new(),
        peak_memory: None,
        restarts: 0,
        log_tail: Vec::new(),
    }
}
