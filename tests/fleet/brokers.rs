//! Brokers fail.

use crate::broker::Broker;
use crate::fleet::{Fleet, Plan};
use crate::poll::{if_so, stays, until};
use crate::says::Status;
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

#[tokio::test]
async fn rec_03_of_two_brokers_one_may_fail_and_nobody_notices() {
    let mut brokers = [Broker::open().await, Broker::open().await];
    let urls = brokers.iter().map(Broker::url).collect();
    let more = "report_interval = \"1s\"\n".to_owned();
    let fleet = Fleet::up(Plan { voters: 3, observers: 1, brokers: urls, more, ..Plan::default() }).await;
    fleet.registry_complete().await;
    let before = fleet.settled().await;
    for lost in [0, 1] {
        brokers[lost].stop();
        shown(&fleet, lost, false).await;
        // Ten seconds and twenty beats.
        fleet.reports(&before.node, 10).await;
        shown(&fleet, lost, false).await;
        let after = fleet.settled().await;
        assert_eq!((&after.node, after.term), (&before.node, before.term));
        fleet.registry_complete().await;
        brokers[lost].again().await;
        shown(&fleet, lost, true).await;
    }
    assert_eq!(fleet.reigns().len(), 1, "{:?}", fleet.reigns());
    fleet.untouched();
}

/// All nodes show this one as connected, or not and why; and the other as connected.
async fn shown(fleet: &Fleet, index: usize, connected: bool) {
    until("the brokers are shown", async || {
        let said = fleet.ask(&fleet.running()).await;
        if_so(said, |said| {
            said.iter().all(|status| {
                let (this, other) = (&status.brokers[index], &status.brokers[1 - index]);
                other.connected && this.connected == connected && this.reason.is_some() != connected
            })
        })
    })
    .await;
}
