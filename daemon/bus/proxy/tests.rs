//! The client against a peer with a few methods: no bus, no daemon.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::client::{Client, LogQuery, Verb};
use super::connect::Place;
use super::error::CallError;
use super::{Options, fake};
use reeve_core::Wall;
use std::io::Read;
use std::time::Duration;
use tempfile::TempDir;

async fn node() -> (TempDir, Client) {
    let root = TempDir::new().unwrap();
    fake::serve(root.path()).unwrap();
    let place = Place::Private(root.path().join("run/reeve/bus"));
    let client = place.connect().await.unwrap();
    (root, client)
}

#[tokio::test]
async fn what_the_daemon_leaves_out_reads_as_absent() {
    let (_root, client) = node().await;
    let state = client.status().await.unwrap();
    assert_eq!((state.node.as_str(), state.state.as_str()), ("gpu-07", "running"));
    assert_eq!((state.reason, state.version, state.uptime), (None, None, None));
    assert_eq!(state.components["bus"], "");
    let workers = client.workers().await.unwrap();
    let web = &workers[0];
    assert_eq!(web.replicas[0].pid, Some(4711));
    let exit = web.replicas[0].last_exit.as_ref().unwrap();
    assert_eq!((exit.cause.as_str(), exit.exit_code, exit.signal), ("exit-code", Some(3), None));
    assert_eq!(workers[1].replicas, []);
    assert_eq!(workers[1].role, None);
}

#[tokio::test]
async fn runs_come_newest_first_whatever_the_daemon_does() {
    let (_root, client) = node().await;
    let runs = client.runs("web", None).await.unwrap();
    let ids: Vec<_> = runs.iter().map(|r| r.run.as_str()).collect();
    assert_eq!(ids, ["0b", "0a"]);
    assert_eq!(runs[0].replica, Some(1));
    assert_eq!(runs[0].log_tail, None);
}

#[tokio::test]
async fn a_task_run_is_followed_to_its_end() {
    let (_root, client) = node().await;
    let path = client.act(Verb::Stop, "web", &Options::default()).await.unwrap();
    let mut watch = client.watch(&path).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let run = watch.next().await.unwrap();
            if run.is_done() {
                return run;
            }
        }
    });
    let run = end.await.unwrap();
    assert!(run.is_success());
    assert_eq!(run.message.as_deref(), Some("1 of 1 stopped"));
}

#[tokio::test]
async fn refusals_keep_their_names() {
    let (_root, client) = node().await;
    let act = |target: &'static str| {
        let client = client.clone();
        async move { client.act(Verb::Stop, target, &Options::default()).await.unwrap_err() }
    };
    assert!(act("nobody").await.is("NoSuchWorker"));
    assert_eq!(
        act("secret").await,
        CallError::NotAuthorized { action: "manage-workers", text: "not an operator".to_owned() }
    );
    // A method this daemon does not have.
    let unknown = client.show_config().await.unwrap_err();
    assert!(unknown.is("org.freedesktop.DBus.Error.UnknownMethod"), "{unknown:?}");
}

#[tokio::test]
async fn a_missing_socket_is_unreachable() {
    let root = TempDir::new().unwrap();
    let place = Place::Private(root.path().join("run/reeve/bus"));
    let error = place.connect().await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn log_lines_come_through_a_pipe() {
    let (_root, client) = node().await;
    let pipe = client.logs("web", &LogQuery::default()).await.unwrap();
    let mut text = String::new();
    std::fs::File::from(pipe).read_to_string(&mut text).unwrap();
    assert_eq!(text, "one line of web\n");
}

#[tokio::test]
async fn events_between_subscribing_and_reading_are_not_lost_however_many() {
    let (_root, client) = node().await;
    let subscribed = tokio::time::timeout(Duration::from_secs(20), client.subscribe()).await;
    let mut events = subscribed.unwrap().unwrap();
    let past = client.events(Wall(0), 10).await.unwrap();
    assert_eq!(past[0].target, "web/1");
    for replica in 2..fake::BURST + 2 {
        let next = events.next().await.unwrap();
        assert_eq!((next.kind.as_str(), next.target), ("worker-ready", format!("web/{replica}")));
    }
}

/// A bus of our own; `None` on a machine without dbus-daemon.
fn bus() -> Option<(std::process::Child, Place)> {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let mut daemon = Command::new("dbus-daemon")
        .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut address = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
    Some((daemon, Place::Address(address.trim().to_owned())))
}

#[tokio::test]
async fn on_a_bus_the_name_may_be_missing_come_and_go() {
    let Some((mut daemon, place)) = bus() else { return };
    let Place::Address(address) = &place else { unreachable!() };
    let client = place.connect().await.unwrap();
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");

    let server = fake::on_bus(address).await.unwrap();
    assert_eq!(client.status().await.unwrap().node, "gpu-07");
    let path = client.act(Verb::Stop, "web", &Options::default()).await.unwrap();
    let mut watch = client.watch(&path).await.unwrap();
    let done = tokio::time::timeout(Duration::from_secs(20), async { while !watch.next().await.unwrap().is_done() {} });
    done.await.unwrap();

    // The daemon dies while somebody waits.
    let path = client.act(Verb::Stop, "endless", &Options::default()).await.unwrap();
    let mut watch = client.watch(&path).await.unwrap();
    assert!(!watch.next().await.unwrap().is_done());
    server.close().await.unwrap();
    let gone = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Err(error) = watch.next().await {
                return error;
            }
        }
    });
    let error = gone.await.unwrap();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}
