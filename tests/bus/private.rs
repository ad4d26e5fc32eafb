//! The private socket: its mode, many clients, one left behind by a crash.

use crate::fake::*;
use futures_util::StreamExt;
use reeve::bus::Address;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use zbus::connection::Builder;

async fn connect(socket: &Path) -> Client {
    let address = format!("unix:path={}", socket.display());
    let stream = Builder::address(address.as_str()).p2p().build_message_stream().await.unwrap();
    Client::new(stream, None)
}

#[tokio::test]
async fn many_clients_share_the_private_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/reeve/bus");
    let mut node = Node::private();
    node.server.listen(Address::Private(socket.clone())).await.unwrap();
    let meta = std::fs::metadata(&socket).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);

    let mut one = connect(&socket).await;
    let mut two = connect(&socket).await;
    one.call(ROOT, "Workers", "Stop", &("web", none())).await.unwrap();
    // The other one hears of it.
    two.signal("TaskRunStarted").await;
    one.signal("TaskRunStarted").await;
    drop(one);
    two.call(ROOT, "Manager", "Ping", &()).await.unwrap();
    assert_eq!(*node.server.problem().borrow(), None);

    drop(node);
    assert!(!socket.exists(), "nothing is left behind");
}

#[tokio::test]
async fn proxies_hear_signals_peer_to_peer() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let connection = client.connection.clone();
    let proxy = zbus::Proxy::new(&connection, "org.reeve.Node1", ROOT, "org.reeve.Node1.Maintenance").await.unwrap();
    let mut started = proxy.receive_signal("TaskRunStarted").await.unwrap();
    client.call(ROOT, "Workers", "Stop", &("web", none())).await.unwrap();
    let heard = tokio::time::timeout(std::time::Duration::from_secs(10), started.next()).await;
    assert!(heard.unwrap().is_some());
    let active: Vec<zbus::OwnedObjectPath> = proxy.get_property("ActiveTaskRuns").await.unwrap();
    assert_eq!(active.len(), 1);
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let mut node = Node::private();
    node.server.listen(Address::Private(socket.clone())).await.unwrap();
    let mut client = connect(&socket).await;
    client.call(ROOT, "Manager", "Ping", &()).await.unwrap();
}

#[tokio::test]
async fn a_socket_that_cannot_be_made_is_named() {
    let mut node = Node::private();
    let socket = Path::new("/proc/nowhere/bus").to_owned();
    let error = node.server.listen(Address::Private(socket)).await.unwrap_err();
    assert!(error.to_string().starts_with("/proc/nowhere/bus: "), "{error}");
}

#[test]
fn addresses_are_read() {
    let socket = Path::new("/tmp/bus");
    assert_eq!(Address::parse("system", socket), Ok(Address::System));
    assert_eq!(Address::parse("private", socket), Ok(Address::Private(socket.to_owned())));
    let address = "unix:path=/run/x";
    assert_eq!(Address::parse(address, socket), Ok(Address::Bus(address.into())));
    assert!(Address::parse("sytem", socket).unwrap_err().contains("\"sytem\""));
}

#[tokio::test]
async fn a_flood_of_one_caller_is_told_to_wait() {
    let mut node = Node::private();
    // A loop that answers nobody.
    let (requests, inbox) = tokio::sync::mpsc::unbounded_channel();
    let (_keep, seen) = tokio::sync::watch::channel(std::sync::Arc::new(Default::default()));
    let handle = reeve::app::handle::Handle::new(requests, seen, node.events.clone());
    node.server = reeve::bus::Server::new(options(handle, &node.trail, &node.root)).unwrap();
    let mut client = node.client().await;
    for _ in 0..32 {
        let message = zbus::Message::method_call(ROOT, "ShowConfig")
            .interface("org.reeve.Node1.Manager")
            .build(&(none(),))
            .unwrap();
        client.connection.send(&message).await.unwrap();
    }
    let refused = client.call(ROOT, "Manager", "Ping", &()).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.Busy");
    drop(inbox);
    // The questions are answered now: the loop is gone.
    let free = async { while client.call(ROOT, "Manager", "Ping", &()).await.is_err() {} };
    tokio::time::timeout(std::time::Duration::from_secs(10), free).await.unwrap();
}
