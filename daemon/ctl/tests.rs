//! Command lines from the text typed to the text shown, against a peer with a few methods; screens against golden
//! texts (`REEVE_BLESS=1` writes them anew); documents against the promised fields.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod golden;
mod json_shape;

use super::args::{Cli, Color, Verb};
use super::output::{Output, Written};
use crate::bus::proxy::fake;
use clap::{CommandFactory, Parser};
use std::time::Duration;
use tempfile::TempDir;

/// Types a command line to a node that is not there, and reads what it says.
async fn type_in(words: &[&str]) -> (u8, Written) {
    let root = TempDir::new().unwrap();
    fake::serve(root.path()).unwrap();
    type_at(root.path().to_str().unwrap(), words).await
}

async fn type_at(root: &str, words: &[&str]) -> (u8, Written) {
    let common = ["reevectl", "--root", root];
    let words = common.iter().chain(words);
    let cli = Cli::try_parse_from(words).unwrap();
    let (output, kept) = Output::kept();
    let code = super::run(cli, output).await;
    let written = kept.borrow().clone();
    (code, written)
}

#[test]
fn the_definitions_are_sound() {
    Cli::command().debug_assert();
    crate::app::args::Cli::command().debug_assert();
}

#[test]
fn verbs_of_later_work_are_not_offered() {
    for verb in ["task", "checklist", "report", "doctor"] {
        assert!(Cli::try_parse_from(["reevectl", verb]).is_err(), "{verb}");
    }
    assert!(Cli::try_parse_from(["reevectl", "node", "reboot"]).is_err());
}

#[test]
fn command_lines_are_understood() {
    let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|c| (c.global, c.verb));
    let (global, verb) = parse("reevectl status web/2 --json --color never").unwrap();
    assert!(global.json && global.color == Color::Never);
    let Verb::Status(status) = verb else { panic!() };
    assert_eq!((status.target.as_deref(), status.lines), (Some("web/2"), 10));
    let (_, verb) = parse("reevectl stop --all --timeout 1min30s --no-wait").unwrap();
    let Verb::Stop(stop) = verb else { panic!() };
    assert!(stop.all && stop.wait.no_wait);
    assert_eq!(stop.wait.timeout, Some(Duration::from_secs(90)));
    let (_, verb) = parse("reevectl set web memory_max=8G cpu_quota=200%").unwrap();
    let Verb::Set(set) = verb else { panic!() };
    assert_eq!(set.values[1], ("cpu_quota".to_owned(), "200%".to_owned()));
    for good in [
        "reevectl reload --wait",
        "reevectl restart --rolling web db/1",
        "reevectl logs web -f -n 5",
        "reevectl logs web --previous",
        "reevectl node drain --reason kernel",
        "reevectl audit verify",
        "reevectl metrics cpu reeve_worker_* --json",
        "reevectl config explain worker.stop.timeout",
        "reevectl events -f --since 1h",
        "reevectl fleet status --json",
        "reevectl fleet nodes --file-sd --port 9723",
        "reevectl fleet why gpu-07/12.1",
        "reevectl fleet ask reboot --no-wait --reason kernel",
        "reevectl fleet release gpu-07/12.1 --failed",
        "reevectl fleet break gpu-07/12.1 --reason burned -y",
        "reevectl fleet handover --reason update",
        "reevectl fleet recover --i-know --reason fire",
        "reevectl fleet broker-config --operator ops --operator eve",
    ] {
        assert!(parse(good).is_ok(), "{good}");
    }
    for bad in [
        "reevectl",
        "reevectl stop",
        "reevectl stop --all web",
        "reevectl node drain",
        "reevectl set web memory_max",
        "reevectl stop web --timeout soon",
        "reevectl logs web --previous --run 00",
        "reevectl scale web many",
        "reevectl nonsense",
        "reevectl fleet",
        "reevectl fleet nodes --port 9723",
        "reevectl fleet nodes --file-sd --port 0",
        "reevectl fleet break gpu-07/12.1",
        "reevectl fleet handover gpu-05",
        "reevectl fleet demote --reason old",
    ] {
        assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad}");
    }
}

#[tokio::test]
async fn a_worker_that_is_ready_answers_yes() {
    let (code, written) = type_in(&["status", "web"]).await;
    assert_eq!(code, 0, "{}", written.err);
    assert!(written.out.contains("web - worker of team default"), "{}", written.out);
    assert!(written.out.contains("one line of web"), "{}", written.out);
    let (code, written) = type_in(&["-q", "status"]).await;
    assert_eq!((code, written), (0, Written::default()));
}

#[tokio::test]
async fn stopping_waits_for_the_end_and_tells_it() {
    let (code, written) = type_in(&["stop", "web", "bare"]).await;
    assert_eq!(code, 0, "{}", written.err);
    assert_eq!(written.out, "web: 1 of 1 stopped\nbare: 1 of 1 stopped\n");
    let (code, written) = type_in(&["stop", "stuck"]).await;
    assert_eq!((code, written.out.as_str()), (1, ""));
    assert!(written.err.contains("stop stuck: failed: 1 of 1 stopped"), "{}", written.err);
}

#[tokio::test]
async fn waiting_may_be_bounded_or_left_out() {
    let (code, written) = type_in(&["stop", "endless", "--timeout", "0s"]).await;
    assert_eq!(code, 1);
    assert!(written.err.contains("goes on"), "{}", written.err);
    let (code, written) = type_in(&["stop", "endless", "--no-wait"]).await;
    assert_eq!(code, 0);
    assert!(written.out.contains("accepted as task run"), "{}", written.out);
}

#[tokio::test]
async fn a_dry_run_shows_what_would_be_done() {
    let (code, written) = type_in(&["stop", "web", "--dry-run"]).await;
    assert_eq!(code, 0, "{}", written.err);
    assert_eq!(written.out, "ACTION  TARGET  REASON\nstop    web/1   asked for\n");
}

#[tokio::test]
async fn refusals_have_their_exit_codes_and_the_next_command() {
    let (code, written) = type_in(&["stop", "nobody"]).await;
    assert_eq!(code, 5);
    assert!(written.err.contains("cannot stop nobody: no worker is nobody"), "{}", written.err);
    assert!(written.err.contains("reevectl list"), "{}", written.err);
    let (code, _) = type_in(&["stop", "secret", "web"]).await;
    assert_eq!(code, 4);
    let (code, written) = type_in(&["node", "drain", "--reason", "kernel"]).await;
    assert_eq!((code, written.out.as_str()), (4, ""));
    let (code, written) = type_in(&["status", "wbe"]).await;
    assert_eq!(code, 5);
    assert!(written.err.contains("did you mean \"web\"?"), "{}", written.err);
    let (code, _) = type_in(&["status", "web/9"]).await;
    assert_eq!(code, 5);
    let (code, written) = type_in(&["stop", "No/Name/At/All"]).await;
    assert_eq!(code, 2, "{}", written.err);
}

#[tokio::test]
async fn nobody_there_is_exit_code_3() {
    let root = TempDir::new().unwrap();
    let (code, written) = type_at(root.path().to_str().unwrap(), &["list"]).await;
    assert_eq!(code, 3);
    assert!(written.err.contains("Is reeved running with the same --root?"), "{}", written.err);
}

#[tokio::test]
async fn a_refused_reload_lists_every_mistake() {
    let (code, written) = type_in(&["reload", "--wait"]).await;
    assert_eq!((code, written.out.as_str()), (5, ""));
    assert!(
        written.err.starts_with(
            "/etc/reeve/workers.d/web.toml:4:9: error: worker.replicas: expected a number, found a text\n"
        ),
        "{}",
        written.err
    );
    let (code, written) = type_in(&["config", "check"]).await;
    assert_eq!(code, 1);
    assert!(written.out.ends_with("\n1 error, 0 warnings.\n"), "{}", written.out);
}

#[tokio::test]
async fn a_broken_audit_trail_is_the_answer_no() {
    let (code, written) = type_in(&["audit", "verify"]).await;
    assert_eq!(code, 1);
    assert!(written.err.contains("entry 7 was altered"), "{}", written.err);
}
