//! Brokers fail.

use crate::broker::Broker;
use crate::fleet::{Fleet, Plan};
use crate::node::Node;
use crate::poll::{if_so, stays, until};
use crate::says::Status;
use futures_util::future::join_all;
use std::time::{Duration, Instant};

const AWAY: Duration = Duration::from_secs(6);

#[tokio::test]
async fn rec_03_a_broker_that_forgets_everything_costs_the_lease_and_nothing_else() {
    let mut broker = Broker::open().await;
    let fleet = Fleet::up(Plan::three(1, broker.url())).await;
    fleet.registry_complete().await;
    let before = fleet.settled().await;
    let (slot, fence) = fleet["n4"].granted("reboot").await;
    broker.stop();
    let gone = Instant::now();
    until("all say that no broker is connected", async || {
        let said = fleet.ask(&fleet.running()).await;
        let alone = |s: &Status| !s.quorum && !s.leads() || s.role == "observer";
        if_so(said, |said| {
            said.len() == 4 && said.iter().all(|s| alone(s) && s.why().contains("no broker is connected"))
        })
    })
    .await;
    fleet["n4"].fleet(&["ask", "reboot", "--reason", "test", "--timeout", "1s"]).await.refused(1, "cancelled");
    stays(AWAY.saturating_sub(gone.elapsed()), async || {
        let said = fleet.ask(&fleet.running()).await;
        assert!(said.iter().all(|status| !status.leads()), "{said:?}");
    })
    .await;
    fleet.untouched();
    broker.again().await;
    fleet.registry_complete().await;
    let after = fleet.settled().await;
    assert_eq!(after.voters, before.voters);
    let kept = fleet[&after.node].slot(&slot).await.expect("the slot");
    assert_eq!((kept.state.as_str(), kept.fence), ("granted", Some(fence)));
    fleet.untouched();
}

/// Of two brokers this one fails: nobody leads who did not before, and all goes on.
async fn one_fails(lost: usize) {
    let mut brokers = [Broker::open().await, Broker::open().await];
    let urls = brokers.iter().map(Broker::url).collect();
    let more = "report_interval = \"1s\"\n".to_owned();
    let fleet = Fleet::up(Plan { voters: 3, observers: 1, brokers: urls, more, ..Plan::default() }).await;
    shown(&fleet.running(), lost, true).await;
    fleet.registry_complete().await;
    let before = fleet.settled().await;
    brokers[lost].stop();
    shown(&fleet.running(), lost, false).await;
    // Ten seconds and twenty beats.
    fleet.reports(&before.node, 10).await;
    shown(&fleet.running(), lost, false).await;
    fleet["n4"].granted("reboot").await;
    fleet.registry_complete().await;
    // Observers, who may be many, take longer to come back.
    brokers[lost].again().await;
    shown(&["n1", "n2", "n3"].map(|name| &fleet[name]), lost, true).await;
    let after = fleet.settled().await;
    assert_eq!((&after.node, after.term), (&before.node, before.term));
    assert_eq!(fleet.reigns().len(), 1, "{:?}", fleet.reigns());
    fleet.untouched();
}

#[tokio::test]
async fn rec_03_of_two_brokers_the_first_may_fail_and_nobody_notices() {
    one_fails(0).await;
}

#[tokio::test]
async fn rec_03_of_two_brokers_the_second_may_fail_and_nobody_notices() {
    one_fails(1).await;
}

/// These show this one as connected, or not and why; and the other as connected.
async fn shown(nodes: &[&Node], index: usize, connected: bool) {
    let so = |status: &Status| {
        let (this, other) = (&status.brokers[index], &status.brokers[1 - index]);
        other.connected && this.connected == connected && this.reason.is_some() != connected
    };
    until("the brokers are shown", async || {
        let said = join_all(nodes.iter().map(|node| node.status())).await;
        if_so(said, |said| said.iter().all(|status| status.as_ref().is_some_and(so)))
    })
    .await;
}
