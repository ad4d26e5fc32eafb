//! The store on a disk that fails, and on the real one.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::fault::{Fault, FaultDisk, Loss};
use super::*;
use reeve_core::persist::{LiveRun, RestartRecord};
use reeve_core::{Cause, Wall};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const LOG: &str = "/s/runs/web-1.log";

fn web() -> ReplicaId {
    "web/1".parse().unwrap()
}

fn run(n: u32) -> RunId {
    let mut id = [1; 16];
    id[..4].copy_from_slice(&n.to_be_bytes());
    RunId(id)
}

fn started(n: u32) -> RunEntry {
    RunEntry::Started(LiveRun {
        run: run(n),
        started: Wall(u64::from(n)),
        digest: "d".to_owned(),
        pid: 100 + n,
        cgroup: Some("/x".to_owned()),
        ready: false,
        frozen: false,
        isolated: false,
    })
}

fn exit(n: u32) -> ExitRecord {
    ExitRecord {
        run: run(n),
        worker: web().worker,
        replica: 1,
        started: Some(Wall(1)),
        ended: Wall(u64::from(n)),
        supervised: true,
        cause: Cause::ExitCode(1),
        exit_code: Some(1),
        signal: None,
        reason: format!("exit code 1 of run {n}"),
        peak_memory: None,
        restarts: u64::from(n),
        log_tail: Vec::new(),
    }
}

fn restart(n: u32) -> RunEntry {
    RunEntry::Restart(RestartRecord { restarts: u64::from(n), ..RestartRecord::default() })
}

fn ids(runs: &[ExitRecord]) -> Vec<RunId> {
    runs.iter().map(|r| r.run).collect()
}

#[test]
fn a_history_is_restored() {
    let disk = FaultDisk::new();
    let (mut store, restored, problems) = disk.open();
    assert_eq!((restored, problems), (Restored::default(), Vec::new()));
    for entry in [
        RunEntry::Port(4000),
        started(1),
        RunEntry::Ready(true),
        RunEntry::Exited(exit(1)),
        restart(1),
        started(2),
        RunEntry::Ready(true),
        RunEntry::Frozen { frozen: true, isolated: true },
    ] {
        store.append(&web(), &entry).unwrap();
    }
    store.add_tail(&web(), run(1), vec!["last words".to_owned()]).unwrap();
    let mut node = NodeRecord::default();
    node.stopped.insert(web(), "by alice".to_owned());
    store.persist(&node).unwrap();

    let (store, restored, problems) = disk.open();
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(restored.node, node);
    let history = &restored.replicas[&web()];
    let live = history.live.as_ref().unwrap();
    assert_eq!((live.run, live.pid), (run(2), 102));
    assert!(live.ready && live.frozen && live.isolated);
    assert_eq!((history.port, history.restart.restarts), (Some(4000), 1));
    assert_eq!(history.last_exit, Some(exit(1)));
    let runs = store.runs(&web());
    assert_eq!(runs[0].log_tail, ["last words"]);
}

#[test]
fn thirty_two_runs_are_kept_newest_first_and_the_log_stays_short() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    let mut longest = 0;
    for n in 1..=500 {
        store.append(&web(), &started(n)).unwrap();
        store.append(&web(), &RunEntry::Ready(true)).unwrap();
        store.record(&exit(n)).unwrap();
        store.append(&web(), &restart(n)).unwrap();
        store.add_tail(&web(), run(n), vec![format!("line of {n}"); 60]).unwrap();
        if n % 7 == 0 {
            store.flush().unwrap();
        }
        longest = longest.max(store.logs[&web()].count.lines);
    }
    assert!(longest < 330, "{longest}");
    let expected: Vec<RunId> = (469..=500).rev().map(run).collect();
    let runs = store.runs(&web());
    assert_eq!(ids(&runs), expected);
    assert_eq!(runs[31].log_tail, vec!["line of 469".to_owned(); 50]);
    store.flush().unwrap();
    let (store, restored, problems) = disk.open();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(ids(&store.runs(&web())), expected);
    assert_eq!(restored.replicas[&web()].restart.restarts, 500);
    assert!(store.next_sync().is_some());
}

#[test]
fn a_record_written_twice_counts_once() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    store.record(&exit(1)).unwrap();
    store.record(&exit(2)).unwrap();
    store.record(&exit(1)).unwrap();
    assert_eq!(ids(&store.runs(&web())), [run(2), run(1)]);
}

#[test]
fn torn_and_altered_lines_are_set_aside_and_the_rest_is_kept() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    for n in 1..=5 {
        store.record(&exit(n)).unwrap();
    }
    drop(store);
    disk.damage(LOG, |bytes| {
        let third = bytes.split(|b| *b == b'\n').take(2).map(|l| l.len() + 1).sum::<usize>();
        bytes[third + 30] ^= 0x20;
        bytes.truncate(bytes.len() - 10);
    });
    let damaged = disk.content(LOG).unwrap();
    let (mut store, restored, problems) = disk.open();
    assert_eq!(problems, ["/s/runs/web-1.log: 2 of 5 lines are torn or altered"]);
    assert_eq!(disk.content("/s/runs/web-1.log.damaged"), Some(damaged));
    assert_eq!(ids(&store.runs(&web())), [run(4), run(2), run(1)]);
    assert_eq!(restored.replicas[&web()].last_exit, Some(exit(4)));
    store.record(&exit(6)).unwrap();
    drop(store);
    let (store, _, problems) = disk.open();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(ids(&store.runs(&web()))[0], run(6));
}

#[test]
fn a_damaged_node_record_falls_back_to_the_previous_one() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    let record = |n| NodeRecord { next_operation: n, ..NodeRecord::default() };
    for n in 1..=3 {
        store.persist(&record(n)).unwrap();
    }
    disk.damage("/s/node.json", |bytes| bytes.truncate(20));
    let (mut store, restored, problems) = disk.open();
    assert_eq!(restored.node, record(2));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("/s/node.json: is torn"), "{problems:?}");
    assert!(disk.content("/s/node.json.damaged").is_some());
    // The good previous copy is not overwritten by the damaged one.
    disk.end_after(3);
    assert!(store.persist(&record(4)).is_err());
    disk.revive();
    assert_eq!(disk.open().1.node, record(2));
}

#[test]
fn a_full_disk_loses_nothing_and_keeps_the_order() {
    for fault in [Fault::Full(0), Fault::Full(20), Fault::FullAndStuck(20), Fault::ReadOnly] {
        let disk = FaultDisk::new();
        let (mut store, ..) = disk.open();
        store.record(&exit(1)).unwrap();
        disk.set(Some(fault));
        let why = store.record(&exit(2)).unwrap_err();
        assert!(why.starts_with("cannot write /s/runs/web-1.log: "), "{why}");
        assert!(why.ends_with("1 entries wait in memory"), "{why}");
        assert!(store.record(&exit(3)).is_err());
        assert!(store.persist(&NodeRecord::default()).is_err());
        assert_eq!(store.waiting(), 3);
        // They are shown all the same.
        assert_eq!(ids(&store.runs(&web())), [run(3), run(2), run(1)]);
        assert!(store.retry().is_err());
        disk.set(None);
        store.retry().unwrap();
        assert_eq!(store.waiting(), 0);
        store.record(&exit(4)).unwrap();
        let (store, ..) = disk.open();
        let expected = [run(4), run(3), run(2), run(1)];
        assert_eq!(ids(&store.runs(&web())), expected, "{fault:?}");
    }
}

#[test]
fn what_belongs_together_is_one_write_and_none_of_it_is_lost() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    store.append_all(&web(), &[started(1), RunEntry::Ready(true)]).unwrap();
    assert_eq!(store.logs[&web()].count.lines, 2);
    disk.set(Some(Fault::Full(20)));
    let why = store.append_all(&web(), &[RunEntry::Exited(exit(1)), restart(1)]).unwrap_err();
    assert!(why.ends_with("2 entries wait in memory"), "{why}");
    disk.set(None);
    store.retry().unwrap();
    let (store, restored, problems) = disk.open();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(ids(&store.runs(&web())), [run(1)]);
    assert_eq!(restored.replicas[&web()].restart.restarts, 1);
}

#[test]
fn a_failing_fsync_is_said_and_tried_again() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    store.record(&exit(1)).unwrap();
    disk.set(Some(Fault::NoSync));
    let why = store.flush().unwrap_err();
    assert!(why.starts_with("cannot sync /s/runs/web-1.log: "), "{why}");
    assert!(store.next_sync().is_some());
    disk.set(None);
    store.flush().unwrap();
    assert_eq!(store.next_sync(), None);
}

#[test]
fn fsyncs_are_batched_once_a_second_and_one_at_a_time() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    store.flush().unwrap();
    let at = |ms| Mono(Duration::from_millis(ms));
    assert!(store.sync_due(at(0)).is_none());
    store.record(&exit(1)).unwrap();
    let job = store.sync_due(at(100)).unwrap();
    store.record(&exit(2)).unwrap();
    assert!(store.sync_due(at(5000)).is_none());
    store.synced(job.run()).unwrap();
    assert_eq!(store.next_sync(), Some(at(1100)));
    assert!(store.sync_due(at(1099)).is_none());
    assert!(store.sync_due(at(1100)).is_some());
}

#[test]
fn entries_that_come_during_a_rewrite_are_kept() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    for n in 1..=100 {
        store.append(&web(), &RunEntry::Port(n)).unwrap();
    }
    let job = store.sync_due(Mono::default()).unwrap();
    store.record(&exit(1)).unwrap();
    let done = job.run();
    store.record(&exit(2)).unwrap();
    store.synced(done).unwrap();
    store.record(&exit(3)).unwrap();
    assert_eq!(store.logs[&web()].count.lines, 4);
    assert_eq!(store.logs[&web()].length, disk.content(LOG).unwrap().len() as u64);
    assert_eq!(ids(&store.runs(&web())), [run(3), run(2), run(1)]);
}

#[test]
fn a_removed_log_does_not_come_back_by_a_rewrite() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    for n in 1..=100 {
        store.append(&web(), &RunEntry::Port(n)).unwrap();
    }
    let job = store.sync_due(Mono::default()).unwrap();
    store.remove(&web()).unwrap();
    store.append(&web(), &RunEntry::Port(7)).unwrap();
    store.synced(job.run()).unwrap();
    let (_, restored, _) = disk.open();
    assert_eq!(restored.replicas[&web()].port, Some(7));
    assert_eq!(disk.list(Path::new("/s/runs")).unwrap(), ["web-1.log"]);
}

/// What the script of [`life`] had acknowledged before the process ended.
#[derive(Default, Clone)]
struct Acknowledged {
    exits: Vec<RunId>,
    port: u16,
    node: u64,
    /// As of the last flush that succeeded.
    durable: Option<Box<Acknowledged>>,
}

/// Runs in [`life`].
const LIFE: u16 = 12;

/// Everything the store can do, with the state rewritten and flushed on the way.
fn life(store: &mut Store) -> Acknowledged {
    let mut said = Acknowledged::default();
    for n in 1..=LIFE {
        if store.append(&web(), &RunEntry::Port(n)).is_ok() {
            said.port = n;
        }
        let _ = store.append(&web(), &RunEntry::Ready(true));
        if store.record(&exit(u32::from(n))).is_ok() {
            said.exits.push(run(u32::from(n)));
        }
        let _ = store.add_tail(&web(), run(u32::from(n)), vec!["x".to_owned()]);
        for _ in 0..10 {
            let _ = store.append(&web(), &restart(u32::from(n)));
        }
        if n % 4 == 0 {
            let record = NodeRecord { next_operation: u64::from(n), ..NodeRecord::default() };
            if store.persist(&record).is_ok() {
                said.node = u64::from(n);
            }
        }
        if n % 4 == 0 && store.flush().is_ok() && store.waiting() == 0 {
            said.durable = Some(Box::new(said.clone()));
        }
    }
    said
}

fn holds(disk: &std::sync::Arc<FaultDisk>, said: &Acknowledged, what: &str) {
    let (mut store, restored, _) = disk.open();
    let kept = ids(&store.runs(&web()));
    for id in &said.exits {
        // Run ids grow here; an older one may have made room for a newer.
        let made_room = kept.len() == 32 && kept.iter().all(|newer| newer > id);
        assert!(kept.contains(id) || made_room, "{what}: run {id} is lost");
    }
    let port = restored.replicas.get(&web()).and_then(|h| h.port);
    assert!(port.unwrap_or(0) >= said.port, "{what}: port {port:?}");
    assert!(restored.node.next_operation >= said.node, "{what}");
    // It works on, and the damage does not come back.
    store.record(&exit(999)).unwrap();
    store.persist(&NodeRecord::default()).unwrap();
    let (store, _, problems) = disk.open();
    assert!(problems.is_empty(), "{what}: {problems:?}");
    assert_eq!(ids(&store.runs(&web()))[0], run(999), "{what}");
}

#[test]
fn the_process_may_end_at_every_step() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    disk.end_after(usize::MAX);
    assert_eq!(life(&mut store).exits.len(), usize::from(LIFE));
    let steps = disk.steps();
    // The log was shortened on the way: some of the steps are those of a rewrite.
    assert!(store.logs[&web()].count.lines < 14 * u32::from(LIFE));
    assert!(steps > 14 * usize::from(LIFE), "{steps}");
    for step in 0..steps {
        let disk = FaultDisk::new();
        let (mut store, ..) = disk.open();
        disk.end_after(step);
        let said = life(&mut store);
        drop(store);
        disk.revive();
        holds(&disk, &said, &format!("step {step}"));
    }
}

#[test]
fn the_power_may_fail_at_every_step() {
    let disk = FaultDisk::new();
    let (mut store, ..) = disk.open();
    disk.end_after(usize::MAX);
    life(&mut store);
    let steps = disk.steps();
    for step in 0..steps {
        for (names, half) in [(step / 3 % 2 == 0, false), (step / 5 % 2 == 0, true)] {
            let disk = FaultDisk::new();
            let (mut store, ..) = disk.open();
            disk.end_after(step);
            let said = life(&mut store);
            drop(store);
            disk.revive();
            disk.lose_power(Loss { names, half });
            let mut durable = said.durable.map_or_else(Acknowledged::default, |d| *d);
            // The node's record is synced before it is acknowledged.
            durable.node = said.node;
            holds(&disk, &durable, &format!("step {step}, {names} {half}"));
        }
    }
}

#[test]
fn opening_may_end_at_every_step_too() {
    let prepare = || {
        let disk = FaultDisk::new();
        let (mut store, ..) = disk.open();
        for n in 1..=3 {
            store.record(&exit(n)).unwrap();
        }
        store.persist(&NodeRecord::default()).unwrap();
        drop(store);
        disk.damage(LOG, |bytes| bytes[40] ^= 1);
        disk
    };
    for step in 0..12 {
        let disk = prepare();
        disk.end_after(step);
        let _ = Store::open(Path::new("/s"), disk.clone());
        disk.revive();
        let (store, ..) = disk.open();
        assert_eq!(ids(&store.runs(&web())), [run(3), run(2)], "step {step}");
    }
}

fn real(dir: &Path) -> Result<(Store, Restored, Vec<String>), StoreError> {
    Store::open(dir, std::sync::Arc::new(RealDisk))
}

#[test]
fn two_reeved_on_one_folder_the_second_is_refused_by_pid() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("state");
    let (store, ..) = real(&folder).unwrap();
    let refused = real(&folder).unwrap_err();
    let text = refused.to_string();
    let pid = std::process::id();
    assert!(text.ends_with(&format!("held by another reeved (pid {pid})")), "{text}");
    drop(store);
    assert!(real(&folder).is_ok());
}

#[test]
fn files_are_private_and_survive_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("state");
    let (mut store, ..) = real(&folder).unwrap();
    for n in 1..=100 {
        store.append(&web(), &RunEntry::Port(n)).unwrap();
    }
    store.record(&exit(1)).unwrap();
    store.persist(&NodeRecord::default()).unwrap();
    store.flush().unwrap();
    let mode = |name: &str| {
        let path = folder.join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode("runs")), (0o700, 0o700));
    for file in ["lock", "node.json", "runs/web-1.log"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    drop(store);
    let (mut store, restored, problems) = real(&folder).unwrap();
    assert_eq!((problems, restored.replicas[&web()].port), (Vec::new(), Some(100)));
    assert_eq!(store.logs[&web()].count.lines, 2);
    store.remove(&web()).unwrap();
    assert_eq!(real_names(&folder), Vec::<String>::new());
}

fn real_names(folder: &Path) -> Vec<String> {
    RealDisk.list(&folder.join("runs")).unwrap()
}

/// Run by hand: `cargo test --release -p reeve --lib append_cost -- --ignored --nocapture`.
#[test]
#[ignore = "prints a figure"]
fn append_cost() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, ..) = real(dir.path()).unwrap();
    let replicas: Vec<ReplicaId> = (1..=1000).map(|n| format!("web/{n}").parse().unwrap()).collect();
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        for replica in &replicas {
            store.append(replica, &started(1)).unwrap();
        }
    }
    println!("append: {:?}", begun.elapsed() / 20_000);
}
