//! A broker that lets in whom it knows, and only to what is theirs.

use crate::broker::Broker;
use crate::certificates::{Authority, Good, Identity};
use crate::fleet::{Fleet, Plan};
use crate::node::Node;
use crate::poll::{if_so, until};
use std::path::Path;

const MORE: &str = "credentials = \"mqtt\"\n";

/// What `fleet broker-config` prints: its settings, and its permissions.
async fn printed(fleet: &mut Fleet) -> (String, String) {
    fleet.node("n1").start();
    let node = &fleet["n1"];
    let text = until("it prints a configuration of the broker", async || {
        let answer = node.ctl(&["fleet", "broker-config"]).await;
        if answer.code == 0 { Ok(answer.out) } else { Err(answer.err) }
    })
    .await;
    fleet.node("n1").kill();
    let mut files = text.split("\n# file: ").skip(1).map(|part| part.split_once('\n').unwrap().1.to_owned());
    (files.next().unwrap(), files.next().unwrap())
}

/// A broker as printed, but for its folders and its port. The listener has its own line already.
async fn broker(authority: &Authority, (settings, permissions): &(String, String)) -> Broker {
    let identity = authority.issue("localhost", Good::Now);
    Broker::start(|folder| {
        std::fs::write(folder.join("acl"), permissions).unwrap();
        authority.listener(folder, &identity);
        let at = |name: &str| folder.join(name).display().to_string();
        let settings = settings
            .replace("/etc/mosquitto/certs/ca.crt", &at("ca"))
            .replace("/etc/mosquitto/certs/broker.crt", &at("crt"))
            .replace("/etc/mosquitto/certs/broker.key", &at("key"))
            .replace("/etc/mosquitto/reeve.acl", &at("acl"));
        settings.lines().filter(|line| !line.starts_with("listener ")).flat_map(|line| [line, "\n"]).collect()
    })
    .await
}

/// What this node shows to the broker, and whom it believes.
fn equip(node: &Node, identity: &Identity, ca: &str) {
    let folder = node.etc().join("credentials");
    std::fs::create_dir_all(&folder).unwrap();
    for (kind, text) in [("crt", &identity.certificate[..]), ("key", &identity.key), ("ca", ca)] {
        write(&folder.join(format!("mqtt.{kind}")), text);
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// Why it is not connected, once it says so.
async fn stands_outside(fleet: &Fleet, name: &str, says: &str) {
    until("it says why it is not let in", async || {
        let status = fleet.status(name).await.ok_or("no answer")?;
        if_so(status, |status| {
            let link = &status.brokers[0];
            status.why().contains(says)
                && !link.connected
                && link.reason.as_deref().is_some_and(|why| why.contains(says))
        })
    })
    .await;
}

/// Those that are let in.
fn insiders(fleet: &Fleet) -> Vec<&Node> {
    ["n1", "n2", "n3", "n4"].map(|name| &fleet[name]).to_vec()
}

#[tokio::test]
async fn sec_08_a_fleet_lives_behind_certificates_and_permissions() {
    let authority = Authority::new("the fleet's");
    let elsewhere = Authority::new("somebody else's");
    let mut fleet = Fleet::new(Plan {
        voters: 3,
        observers: 3,
        brokers: vec!["mqtts://localhost:1".to_owned()],
        more: MORE.to_owned(),
        ..Plan::default()
    });
    for node in fleet.nodes() {
        equip(node, &authority.issue(&node.name, Good::Now), &authority.pem());
    }
    let printed = printed(&mut fleet).await;
    let broker = broker(&authority, &printed).await;
    fleet.rewire(&[broker.secure_url()]);
    // One believes another authority, one has a certificate whose time is over.
    equip(&fleet["n5"], &authority.issue("n5", Good::Now), &elsewhere.pem());
    equip(&fleet["n6"], &authority.issue("n6", Good::Past), &authority.pem());
    fleet.nodes().iter_mut().for_each(Node::start);
    stands_outside(&fleet, "n5", "signed by nobody we trust").await;
    stands_outside(&fleet, "n6", "expired").await;

    // Everything works for those that are let in: votes, the registry, slots, and an election.
    let leader = fleet.agreed(&insiders(&fleet)).await;
    until("the registry is complete", async || {
        let nodes = fleet[&leader.node].nodes().await;
        if_so(nodes, |nodes| nodes.len() == 4 && nodes.iter().all(|n| n.state == "alive" && n.workers.len() == 2))
    })
    .await;
    let (slot, fence) = fleet["n4"].granted("reboot").await;
    fleet.node(&leader.node).kill();
    let left: Vec<_> = insiders(&fleet).into_iter().filter(|node| node.name != leader.node).collect();
    let new = fleet.agreed(&left).await;
    assert_eq!(fleet[&new.node].slot(&slot).await.and_then(|slot| slot.fence), Some(fence));
    fleet["n4"].fleet(&["release", &slot]).await.good();
    fleet.node(&leader.node).start();
    fleet.agreed(&insiders(&fleet)).await;
    assert_eq!(fleet[&new.node].nodes().await.len(), 4, "who is not let in is not known");

    // With the right files, after a restart, they are.
    for name in ["n5", "n6"] {
        let node = fleet.node(name);
        equip(node, &authority.issue(name, Good::Now), &authority.pem());
        node.kill();
        node.start();
    }
    fleet.registry_complete().await;
    fleet.untouched();
}
