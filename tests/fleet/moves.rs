//! The lead and the votes move because somebody wants it.

use crate::broker::Broker;
use crate::fleet::{Fleet, Plan};
use crate::poll::{if_so, until};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

#[tokio::test]
async fn rec_02_voters_come_and_go_and_the_lead_is_handed_over() {
    let broker = Broker::open().await;
    let fleet = Fleet::up(Plan::three(1, broker.url())).await;
    let first = fleet.led_by("n1").await;

    // The observer becomes a voter; another goes.
    fleet["n4"].fleet(&["promote", "--reason", "test"]).await.good();
    until("it votes", async || if_so(fleet.settled().await, |status| status.voters.len() == 4)).await;
    until("it knows that", async || if_so(fleet.status("n4").await.unwrap(), |status| status.role == "follower")).await;
    fleet["n4"].fleet(&["promote", "--reason", "test"]).await.refused(1, "is a voter already");
    fleet["n3"].fleet(&["demote", "n2", "--yes", "--reason", "test"]).await.good();
    let now = until("another goes", async || if_so(fleet.settled().await, |status| status.voters.len() == 3)).await;
    assert_eq!(now.voters, ["n1", "n3", "n4"]);
    assert_eq!((now.node.as_str(), now.term), ("n1", first.term), "votes move without an election");
    until("who was demoted observes", async || {
        if_so(fleet.status("n2").await, |status| status.as_ref().is_some_and(|status| status.role == "observer"))
    })
    .await;
    fleet["n2"].fleet(&["nodes"]).await.refused(5, "ask a voter");
    fleet.registry_complete().await;

    // To the new voter, by name; an observer cannot lead.
    fleet["n1"].fleet(&["handover", "n2", "--reason", "test"]).await.refused(1, "n2");
    let begun = Instant::now();
    fleet["n1"].fleet(&["handover", "n4", "--reason", "test"]).await.good();
    let new = fleet.leader_among(&[&fleet["n4"]]).await;
    println!("handed over by name: {:.2} s with both questions", begun.elapsed().as_secs_f64());
    assert_eq!((new.node.as_str(), new.term), ("n4", now.term + 1));
    assert_eq!(fleet.settled().await.node, "n4");
    fleet.untouched();
}

/// The time counts from the end of the process to the first answer that says that another leads, and there is no
/// moment at which it would have been on time by waiting for the old one's silence.
#[tokio::test]
async fn rec_04_a_leader_that_is_stopped_hands_over_before_it_ends() {
    let broker = Broker::open().await;
    let mut fleet = Fleet::up(Plan::three(1, broker.url())).await;
    for _ in 0..3 {
        let old = fleet.settled().await;
        fleet[&old.node].signal(Signal::SIGTERM);
        let node = fleet.node(&old.node);
        let status = until("it has ended", async || node.ended().ok_or("it runs".to_owned())).await;
        let ended = Instant::now();
        assert!(status.success(), "{status}");
        let new = fleet.leader_among(&fleet.running()).await;
        let took = ended.elapsed();
        println!("another leads {:.3} s after the end of the process", took.as_secs_f64());
        assert!(took < Duration::from_millis(500), "{took:?}");
        assert_eq!(new.term, old.term + 1);
        // It has said that it goes: nobody takes it for dead.
        until("the others know why it is gone", async || {
            let past = fleet[&new.node].why(&old.node).await;
            if_so(past, |past| past.iter().any(|past| past.text.contains("its daemon was stopped")))
        })
        .await;
        fleet.untouched();
        fleet.node(&old.node).start();
        let after = fleet.settled().await;
        assert_eq!((after.node, after.term), (new.node, new.term));
    }
    fleet.untouched();
}
