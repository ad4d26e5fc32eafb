//! A fleet begins.

use crate::broker::Broker;
use crate::fleet::{Fleet, Plan};
use crate::poll::{if_so, until};

#[tokio::test]
async fn rec_02_three_voters_elect_and_an_observer_sees_it() {
    let broker = Broker::open().await;
    let fleet = Fleet::up(Plan::three(1, broker.url())).await;
    let leader = fleet.settled().await;
    assert_eq!(leader.voters, ["n1", "n2", "n3"]);
    let observer = fleet.status("n4").await.unwrap();
    assert_eq!((observer.role.as_str(), observer.lease_remaining_ms), ("observer", None));
    assert_eq!((observer.leader.as_deref(), observer.term), (Some(leader.node.as_str()), leader.term));
    fleet.registry_complete().await;
    // Each voter keeps the registry, so that whoever leads next has it.
    for voter in ["n1", "n2", "n3"] {
        until("a voter knows all nodes", async || {
            if_so(fleet[voter].nodes().await, |nodes| nodes.len() == 4 && nodes.iter().all(|n| n.state == "alive"))
        })
        .await;
    }
    fleet["n4"].fleet(&["nodes"]).await.refused(5, "ask a voter");
    let past = fleet[&leader.node].why("leader").await;
    assert!(past.iter().any(|past| past.kind == "leader" && past.cause == "elected"), "{past:?}");
    assert!(past.iter().any(|past| past.text.contains("by the votes of")), "{past:?}");
    fleet.untouched();
}
