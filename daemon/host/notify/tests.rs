//! Real sockets in a temporary folder.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use reeve_core::{LauncherEvent, Notification};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

struct Bench {
    _dir: tempfile::TempDir,
    paths: Paths,
    sockets: NotifySockets,
    events: UnboundedReceiver<LauncherEvent>,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path());
    let (sender, events) = unbounded_channel();
    let sockets = NotifySockets::new(&paths, sender);
    Bench { _dir: dir, paths, sockets, events }
}

impl Bench {
    async fn next(&mut self) -> (ReplicaId, Notification) {
        let wait = tokio::time::timeout(Duration::from_secs(5), self.events.recv());
        match wait.await.unwrap().unwrap() {
            LauncherEvent::Notified { replica, message } => (replica, message),
            other => panic!("{other:?}"),
        }
    }
}

fn replica(n: u32) -> ReplicaId {
    format!("web/{n}").parse().unwrap()
}

fn say(path: &std::path::Path, text: &[u8]) {
    UnixDatagram::unbound().unwrap().send_to(text, path).unwrap();
}

#[tokio::test]
async fn what_a_worker_says_arrives_under_its_replica() {
    let mut b = bench();
    let (one, two) = (b.sockets.bind(&replica(1), None).unwrap(), b.sockets.bind(&replica(2), None).unwrap());
    let mode = std::fs::metadata(&one).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    say(&two, b"READY=1\nSTATUS=up");
    let (who, what) = b.next().await;
    assert_eq!(who, replica(2));
    assert!(what.ready);
    assert_eq!(what.status.as_deref(), Some("up"));
    say(&one, b"WATCHDOG=1");
    assert_eq!(b.next().await.0, replica(1));
}

#[tokio::test]
async fn garbage_and_oversize_are_counted_and_harm_nothing() {
    let mut b = bench();
    let path = b.sockets.bind(&replica(1), None).unwrap();
    say(&path, b"\xff\xff");
    say(&path, &vec![b'A'; socket::DATAGRAM_MAX + 1]);
    say(&path, b"READY=1");
    assert!(b.next().await.1.ready);
    assert_eq!(b.sockets.ignored(), 2);
}

#[tokio::test]
async fn a_barrier_is_answered_by_closing_its_descriptor() {
    let mut b = bench();
    let path = b.sockets.bind(&replica(1), None).unwrap();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let from = UnixDatagram::unbound().unwrap();
    let fds = [writer.as_raw_fd()];
    sendmsg(
        from.as_raw_fd(),
        &[io::IoSlice::new(b"BARRIER=1")],
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::empty(),
        Some(&UnixAddr::new(&path).unwrap()),
    )
    .unwrap();
    drop(writer);
    let closed = tokio::task::spawn_blocking(move || nix::unistd::read(&reader, &mut [0; 1]));
    let closed = tokio::time::timeout(Duration::from_secs(5), closed);
    assert_eq!(closed.await.unwrap().unwrap(), Ok(0));
    assert!(b.events.try_recv().is_err());
}

#[tokio::test]
async fn what_was_said_during_a_restart_is_heard_after_it() {
    let mut before = bench();
    let path = before.sockets.bind(&replica(1), None).unwrap();
    let kept = before.sockets.open[&replica(1)].fd();
    let kept = kept.try_clone().unwrap();
    let other: OwnedFd = UnixDatagram::unbound().unwrap().into();
    before.sockets.close(&replica(1)).unwrap();
    say(&path, b"READY=1");

    let (sender, events) = unbounded_channel();
    before.sockets = NotifySockets::new(&before.paths, sender);
    before.events = events;
    let handed = vec![("notify-web-1".to_owned(), kept), ("hold".to_owned(), other)];
    let others = before.sockets.adopt(handed);
    assert_eq!(others.len(), 1);
    before.sockets.bind(&replica(1), None).unwrap();
    assert!(before.next().await.1.ready);
}

#[tokio::test]
async fn what_an_earlier_run_said_is_discarded() {
    let mut b = bench();
    let path = b.sockets.bind(&replica(1), None).unwrap();
    say(&path, b"READY=1");
    b.sockets.discard(&replica(1));
    say(&path, b"STATUS=new run");
    let (_, what) = b.next().await;
    assert!(!what.ready);
    assert_eq!(what.status.as_deref(), Some("new run"));
}

#[tokio::test]
async fn a_lost_socket_file_is_made_again_and_remove_leaves_nothing() {
    let mut b = bench();
    let path = b.sockets.bind(&replica(1), None).unwrap();
    std::fs::remove_file(&path).unwrap();
    b.sockets.bind(&replica(1), None).unwrap();
    say(&path, b"READY=1");
    assert!(b.next().await.1.ready);
    b.sockets.remove(&replica(1));
    assert!(!path.exists());
    b.sockets.remove(&replica(1));
}

#[tokio::test]
async fn a_path_that_is_too_long_is_refused_by_name() {
    let mut b = bench();
    b.sockets.paths.run = b.paths.run.join("x".repeat(120));
    let error = b.sockets.bind(&replica(1), None).unwrap_err().to_string();
    assert!(error.starts_with("cannot bind /"), "{error}");
}

#[tokio::test]
async fn a_flood_is_merged_and_the_last_word_is_heard() {
    let mut b = bench();
    let path = b.sockets.bind(&replica(1), None).unwrap();
    let flood = tokio::task::spawn_blocking(move || {
        let from = UnixDatagram::unbound().unwrap();
        for n in 0..500 {
            let text = format!("X_REEVE_PROGRESS={n}");
            from.send_to(text.as_bytes(), &path).unwrap();
        }
    });
    let mut heard = 0;
    while b.next().await.1.progress.as_deref() != Some("499") {
        heard += 1;
    }
    flood.await.unwrap();
    assert!(heard < 400, "{heard}");
}

#[test]
fn names_read_back() {
    let replica: ReplicaId = "task-executor/12".parse().unwrap();
    assert_eq!(replica_of(&name_of(&replica)), Some(replica));
    for other in ["notify-web", "notify-web-0", "metrics-web-1", "connection"] {
        assert_eq!(replica_of(other), None, "{other}");
    }
}
