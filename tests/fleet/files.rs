//! What voters have promised is lost: the file of one, or the majority.

use crate::broker::Broker;
use crate::fleet::{Fleet, Plan};
use crate::node::Node;
use crate::poll::{if_so, until};
use crate::says::Status;
use std::path::Path;

const YES: [&str; 3] = ["--yes", "--reason", "test"];

async fn rejoin(node: &Node) {
    node.fleet(&[&["rejoin"], &YES[..]].concat()).await.good();
}

/// A follower starts with a voter file that `spoil` has been at. It says that it does not vote, and why, until it has
/// rejoined; then its vote counts: with it, the fleet does without the third voter.
async fn forgets(spoil: impl Fn(&Path), says: &str) {
    let broker = Broker::open().await;
    let mut fleet = Fleet::up(Plan::three(1, broker.url())).await;
    let leader = fleet.led_by("n1").await;
    let slot = fleet["n4"].granted("reboot").await;
    fleet.node("n2").kill();
    spoil(&fleet["n2"].state().join("voter.json"));
    fleet.node("n2").start();
    let silent = until("it says that it votes no more", async || {
        let status = fleet.status("n2").await.ok_or("no answer")?;
        // It hears of a leader by the beacon, which is there every five seconds.
        if_so(status, |status| status.why().contains("votes no more") && status.quorum)
    })
    .await;
    assert!(silent.why().contains(says) && silent.why().contains("reevectl fleet rejoin"), "{silent:?}");
    assert_eq!((silent.role.as_str(), silent.leader.as_deref(), silent.term), ("observer", Some("n1"), leader.term));
    let others = [&fleet["n1"], &fleet["n3"], &fleet["n4"]];
    assert_eq!(fleet.agreed(&others).await.term, leader.term, "the others have not noticed");
    fleet["n2"].fleet(&["recover", "--i-know", "--reason", "test"]).await.refused(1, "voter file is lost");

    rejoin(&fleet["n2"]).await;
    let after = fleet.settled().await;
    assert_eq!((after.node.as_str(), after.voters.len()), ("n1", 3));
    assert_eq!(fleet.status("n2").await.unwrap().role, "follower");
    fleet["n2"].fleet(&[&["rejoin"], &YES[..]].concat()).await.refused(1, "there is nothing to rejoin");
    // Its vote is one of two that are left.
    fleet.node("n1").kill();
    let new = fleet.agreed(&fleet.running()).await;
    assert!(new.term > after.term, "{new:?}");
    let kept = fleet[&new.node].slot(&slot.0).await.expect("the slot");
    assert_eq!((kept.state.as_str(), kept.fence), ("granted", Some(slot.1)));
    // What was made anew is read like any other.
    fleet.node("n2").kill();
    fleet.node("n2").start();
    fleet.node("n1").start();
    fleet.settled().await;
    fleet.untouched();
}

#[tokio::test]
async fn rec_02_a_voter_without_its_file_votes_no_more_until_it_rejoins() {
    forgets(|file| std::fs::remove_file(file).unwrap(), "is missing").await;
}

#[tokio::test]
async fn rec_02_a_voter_with_a_torn_file_votes_no_more_until_it_rejoins() {
    let tear = |file: &Path| {
        let bytes = std::fs::read(file).unwrap();
        std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    };
    forgets(tear, "is torn").await;
}

#[tokio::test]
async fn rec_03_a_lost_majority_is_recovered_and_those_who_come_back_do_not_lead() {
    let broker = Broker::open().await;
    let mut fleet = Fleet::up(Plan::three(1, broker.url())).await;
    let before = fleet.led_by("n1").await;
    fleet["n3"].fleet(&["recover", "--i-know", "--reason", "test"]).await.refused(1, "nothing to recover");
    let slot = fleet["n4"].granted("reboot").await;
    fleet.node("n1").kill();
    fleet.node("n2").kill();
    until("the last voter knows that it is alone", async || {
        let status = fleet.status("n3").await.ok_or("no answer")?;
        if_so(status, |status| !status.quorum && status.why().contains("no quorum since"))
    })
    .await;
    fleet["n3"].fleet(&["recover", "--reason", "test"]).await.refused(5, "i-know");
    fleet["n3"].fleet(&["recover", "--i-know", "--reason", "n1 and n2 burnt"]).await.good();
    let recovered = fleet.settled().await;
    assert_eq!((recovered.node.as_str(), &recovered.voters[..]), ("n3", &["n3".to_owned()][..]));
    assert!(recovered.term >> 32 == (before.term >> 32) + 1, "{recovered:?}");
    let kept = fleet["n3"].slot(&slot.0).await.expect("the slot");
    assert_eq!(kept.fence.as_ref(), Some(&slot.1));

    // Two of three would be a majority, if they still were of this fleet.
    fleet.node("n1").start();
    fleet.node("n2").start();
    until("both say that they have to rejoin", async || {
        let said = fleet.ask(&[&fleet["n1"], &fleet["n2"], &fleet["n3"]]).await;
        for status in &said {
            assert!(!status.leads() || status.node == "n3", "{said:#?}");
        }
        let told = |status: &&Status| status.why().contains("rejoin");
        if_so(said, |said| said.len() == 3 && said.iter().filter(told).count() == 2)
    })
    .await;
    for name in ["n1", "n2"] {
        rejoin(&fleet[name]).await;
    }
    let after = fleet.settled().await;
    assert_eq!((after.node.as_str(), after.voters.len()), ("n3", 3));
    fleet.node("n3").kill();
    let new = fleet.agreed(&fleet.running()).await;
    assert!(new.term > recovered.term, "{new:?}");
    fleet.untouched();
}
