//! The direct launcher against the conformance suite, with cgroups and without, and what only it does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

#[path = "conformance/mod.rs"]
mod conformance;

use conformance::{Bench, Body, CASES, Outcome, Wanted};
use reeve::host::launcher::Launcher;
use reeve::host::launcher::direct::{DirectLauncher, DirectOptions};
use reeve::host::paths::Paths;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, ExitCode, Stdio};
use tokio::sync::mpsc::unbounded_channel;

fn main() -> ExitCode {
    if let Some(root) = std::env::var_os("REEVE_TEST_DAEMON") {
        return daemon(std::path::Path::new(&root));
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
    // Left behind on purpose: the launcher writes there until it is dropped.
    let root = root().keep();
    let paths = Paths::new(&root);
    let (sender, events) = unbounded_channel();
    let launcher = DirectLauncher::new(sender, &paths, DirectOptions { cgroups }).unwrap();
    let limits = launcher.can_limit();
    let mut bench = Bench::new(Box::new(launcher), events, paths.etc.clone(), limits);
    bench.root = root;
    bench
}
