//! One voter, the leader, has a bad line to the broker.

use crate::broker::Broker;
use crate::fleet::{Fleet, Plan};
use crate::poll::{if_so, until};
use crate::proxy::{End, Mode, Proxy};
use crate::says::Status;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Of the preset std.
const LEASE: Duration = Duration::from_secs(2);

/// n1 leads, and hears of the others through a proxy; n4 holds a slot.
struct Rig {
    _broker: Broker,
    proxy: Proxy,
    fleet: Fleet,
    leader: Status,
    slot: (String, String),
}

impl Rig {
    async fn up() -> Self {
        let broker = Broker::open().await;
        let proxy = Proxy::before(broker.port, Mode::Pass).await;
        let own_brokers = BTreeMap::from([("n1".to_owned(), vec![proxy.url()])]);
        let fleet = Fleet::up(Plan { own_brokers, ..Plan::three(1, broker.url()) }).await;
        let leader = fleet.led_by("n1").await;
        let slot = fleet["n4"].granted("reboot").await;
        Self { _broker: broker, proxy, fleet, leader, slot }
    }

    /// It still leads in the same term.
    async fn unmoved(&self) {
        let now = self.fleet.settled().await;
        assert_eq!((&now.node, now.term), (&self.leader.node, self.leader.term));
        self.kept(&now.node).await;
    }

    /// The slot is there as it was granted, whoever leads, and no worker was touched.
    async fn kept(&self, leader: &str) {
        let kept = self.fleet[leader].slot(&self.slot.0).await.expect("the slot");
        assert_eq!((kept.state.as_str(), kept.fence.as_ref()), ("granted", Some(&self.slot.1)));
        self.fleet.untouched();
    }

    /// From now on nothing of the others comes to n1: it acts on its lease no longer than that lasts, another leads, and
    /// once the line is good again n1 follows.
    async fn deaf(&self, mode: Mode) {
        let begun = Instant::now();
        self.proxy.set(mode);
        let others = self.fleet.others("n1");
        until("it leads no more", async || {
            // It looked after this instant.
            let asked = begun.elapsed();
            let status = self.fleet.status("n1").await.expect("an answer");
            assert!(!status.leads() || asked <= LEASE, "after {asked:?}: {status:?}");
            if_so(status, |status| !status.leads() && !status.quorum && !status.why().is_empty())
        })
        .await;
        let new = self.fleet.leader_among(&others).await;
        assert!(new.term > self.leader.term, "{new:?}");
        let new = self.fleet.agreed(&others).await;
        self.kept(&new.node).await;
        let late = self.fleet.status("n1").await.expect("an answer");
        assert!(!late.leads(), "{late:?} though there is {new:?}");
        self.proxy.set(Mode::Pass);
        let after = self.fleet.settled().await;
        assert_eq!((&after.node, after.term), (&new.node, new.term), "who comes back overthrows nobody");
        self.kept(&after.node).await;
        self.fleet.registry_complete().await;
    }
}

#[tokio::test]
async fn rec_03_a_slow_line_moves_nobody() {
    let rig = Rig::up().await;
    rig.proxy.set(Mode::Delay(Duration::from_millis(200)));
    rig.fleet.reports("n1", 4).await;
    rig.unmoved().await;
    rig.fleet["n4"].fleet(&["release", &rig.slot.0]).await.good();
    rig.fleet["n4"].granted("reboot").await;
}

#[tokio::test]
async fn rec_03_connections_that_break_move_nobody() {
    let rig = Rig::up().await;
    for end in [End::Cut, End::Reset, End::Cut, End::Reset] {
        let connected = || rig.fleet["n1"].log().matches("is connected").count();
        let before = connected();
        rig.proxy.end(end);
        until("it is connected again", async || if_so(connected(), |count| *count > before)).await;
        rig.unmoved().await;
    }
    assert_eq!(rig.fleet.reigns().last_key_value(), Some((&rig.leader.term, &rig.leader.node)));
}

#[tokio::test]
async fn rec_03_a_leader_in_a_black_hole_loses_its_lease_in_time() {
    Rig::up().await.deaf(Mode::Hole).await;
}

/// The others hear it, and it hears nobody.
#[tokio::test]
async fn rec_03_a_leader_on_a_half_open_line_loses_its_lease_in_time() {
    Rig::up().await.deaf(Mode::HalfOpen).await;
}
