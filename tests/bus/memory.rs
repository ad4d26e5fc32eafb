//! What a thousand replicas cost the bus: nothing at rest, little while they are listed.

use crate::fake::*;
use reeve_core::Snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Private memory of this process, kB.
fn private_kb() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let of = |key: &str| -> u64 {
        let line = text.lines().find(|l| l.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    of("Private_Dirty:") + of("Private_Clean:")
}

/// A thousand workers of one replica each: two thousand objects.
fn thousand() -> Snapshot {
    let workers: BTreeMap<_, _> = (0..1000)
        .map(|n| {
            let worker = worker(&format!("w{n}"), 1);
            (worker.name.clone(), Arc::new(worker))
        })
        .collect();
    Snapshot { workers, ..Snapshot::default() }
}

/// Alone in its process, since it weighs the process: run by the test below.
#[tokio::test]
#[ignore = "weighs the whole process: run it alone"]
async fn weigh() {
    let mut node = Node::private();
    let mut first = node.client().await;
    first.call(ROOT, "Manager", "Ping", &()).await.unwrap();
    node.snapshot.send_replace(Arc::new(thousand()));
    for _ in 0..1000 {
        first.signal("InterfacesAdded").await;
    }
    let loaded = private_kb();

    let mut clients = vec![first];
    for _ in 0..8 {
        let mut client = node.client().await;
        client.call(ROOT, "Manager", "Ping", &()).await.unwrap();
        clients.push(client);
    }
    let connected = private_kb();

    let begin = Instant::now();
    let mut bytes = 0;
    for client in &mut clients {
        let reply = client.call(ROOT, "Workers", "ListWorkers", &(none(),)).await.unwrap();
        bytes = reply.body().len();
        let objects = client.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &()).await.unwrap();
        assert!(objects.body().len() > 500_000);
    }
    let took = begin.elapsed() / 9;
    let listed = private_kb();
    println!(
        "2000 objects, 9 connections (both ends here): with the objects {loaded} kB, connected {connected} kB, \
         after 9 lists and dumps {listed} kB; one list is {bytes} bytes; list and dump took {took:?}"
    );
    // Eight more connections, client ends and buffers included.
    assert!(connected - loaded < 4 * 1024, "connections cost {} kB", connected - loaded);
}

/// The server by itself, with a thousand workers: what a connection to it and its objects cost.
#[test]
fn connections_carry_no_objects() {
    let me = std::env::current_exe().unwrap();
    let output =
        std::process::Command::new(me).args(["--ignored", "--exact", "memory::weigh", "--nocapture"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let figure = text.lines().find(|l| l.starts_with("2000 objects"));
    println!("{}", figure.expect("the figures"));
}
