//! The direct launcher against the conformance suite, with cgroups and without, and what only it does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

#[path = "conformance/mod.rs"]
mod conformance;

use conformance::{Bench, Body, CASES, Outcome, Subject, Wanted, alive, until};
use reeve::host::launcher::direct::{DirectLauncher, DirectOptions};
use reeve::host::paths::Paths;
use reeve_core::exit::TAIL_LINES;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use tokio::sync::mpsc::unbounded_channel;

fn main() -> ExitCode {
    if let Some(root) = std::env::var_os("REEVE_TEST_DAEMON") {
        return daemon(Path::new(&root));
    }
    let wanted = Wanted::from_args();
    let mut failed = 0;
    for (group, cgroups) in [("cgroup", true), ("session", false)] {
        let make = || bench(cgroups);
        failed += conformance::run(&wanted, group, CASES, &make);
        failed += conformance::run(&wanted, group, OWN, &make);
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        eprintln!("{failed} failed");
        ExitCode::FAILURE
    }
}

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    root
}

fn bench(cgroups: bool) -> Bench {
    let root = root();
    let paths = Paths::new(root.path());
    let (sender, events) = unbounded_channel();
    let launcher = DirectLauncher::new(sender, &paths, DirectOptions { cgroups }).unwrap();
    let controllers = launcher.controllers();
    let logs = launcher.logs();
    Bench::new(Subject {
        launcher: Box::new(launcher),
        events,
        root,
        etc: paths.etc,
        limits: ["memory", "pids", "cpu"].iter().all(|c| controllers.contains(c)),
        tail: Box::new(move |replica, run| {
            let (logs, replica) = (logs.clone(), replica.clone());
            Box::pin(async move { logs.tail(&replica, run, TAIL_LINES).await })
        }),
    })
}

const OWN: &[(&str, Body)] = &[
    ("a_flood_is_cut_and_counted", |b| Box::pin(a_flood_is_cut_and_counted(b))),
    ("a_killed_daemon_leaves_nothing", |b| Box::pin(a_killed_daemon_leaves_nothing(b))),
];

async fn a_flood_is_cut_and_counted(b: &mut Bench) -> Outcome {
    let run = b.start(b.shell("web/1", "seq 1 25000; exit 0")).await;
    b.exited(&run).await;
    let tail = (b.tail)(&run.replica, run.run).await;
    assert_eq!(tail.len(), 50);
    assert_eq!(tail[48], "10000");
    assert_eq!(tail[49], "suppressed 15000 lines: more than 10000 in 30 s");
    Outcome::Done
}

/// The daemon is killed; its main processes die with it, and the next daemon on the same root ends the others.
async fn a_killed_daemon_leaves_nothing(b: &mut Bench) -> Outcome {
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .env("REEVE_TEST_DAEMON", b.root.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
    let mut pid = || lines.next().unwrap().unwrap().parse::<i32>().unwrap();
    let (main, child) = (pid(), pid());
    assert!(alive(main) && alive(child));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    until("the main process has died with the daemon", || !alive(main)).await;
    b.launcher.list();
    assert!(!alive(child));
    Outcome::Done
}

/// A daemon with one worker whose child has left its session; prints both process ids.
fn daemon(root: &Path) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, events) = unbounded_channel();
        let options = DirectOptions::default();
        let launcher = DirectLauncher::new(sender, &Paths::new(root), options).unwrap();
        let mut bench = Bench::new(Subject {
            launcher: Box::new(launcher),
            events,
            root: tempfile::tempdir().unwrap(),
            etc: root.to_owned(),
            limits: false,
            tail: Box::new(|_, _| Box::pin(async { Vec::new() })),
        });
        let script = "setsid sh -c 'echo $$ > {folder}/child; exec sleep 1000' & \
            while :; do sleep 1000; done";
        let run = bench.start(bench.shell("web/1", script)).await;
        println!("{}\n{}", run.pid, bench.pid_of("child").await);
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}
