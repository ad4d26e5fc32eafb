//! Permission to be disruptive: one at a time.

use crate::broker::Broker;
use crate::fleet::{Fleet, Plan};
use crate::poll::{if_so, until};
use crate::says::{Asked, Slot};

/// Three voters and two observers.
async fn fleet(broker: &Broker) -> Fleet {
    let more = "[fleet.slots.default]\nttl = \"10s\"\n[fleet.slots.reboot]\nttl = \"1h\"\n".to_owned();
    Fleet::up(Plan { more, ..Plan::three(2, broker.url()) }).await
}

/// A slot of this holder stands so with the leader.
async fn stands(fleet: &Fleet, holder: &str, state: &str) -> Slot {
    until("the slot stands so", async || {
        let leader = fleet.settled().await.node;
        let slots = fleet[&leader].slots().await;
        let found = slots.iter().find(|slot| slot.holder == holder && slot.state == state);
        found.cloned().ok_or(format!("{slots:#?}"))
    })
    .await
}

/// Nobody but these hold or want one.
async fn only(fleet: &Fleet, holders: &[&str]) {
    until("no others are there", async || {
        let leader = fleet.settled().await.node;
        if_so(fleet[&leader].slots().await, |slots| {
            slots.len() == holders.len() && slots.iter().all(|slot| holders.contains(&slot.holder.as_str()))
        })
    })
    .await;
}

/// Orders grants.
fn order(fence: &str) -> (u64, u64) {
    let (term, n) = fence.rsplit_once('.').unwrap_or_else(|| panic!("{fence}"));
    (term.parse().unwrap(), n.parse().unwrap())
}

#[tokio::test]
async fn mnt_09_slots_are_granted_one_after_another_and_outlive_the_leader() {
    let broker = Broker::open().await;
    let mut fleet = fleet(&broker).await;
    let (first, fence) = fleet["n4"].granted("reboot").await;
    assert_eq!(stands(&fleet, "n4", "granted").await.kind, "reboot");

    // The second waits, is told for whom, and gets it once it is free.
    let waits = fleet["n5"].fleet(&["ask", "reboot", "--reason", "second"]);
    let frees = async {
        let queued = stands(&fleet, "n5", "queued").await;
        assert!(
            queued.position == Some(1) && queued.blocked.as_deref().is_some_and(|why| why.contains("n4")),
            "{queued:?}"
        );
        let own = fleet["n5"].slots().await;
        assert!(own.iter().any(|s| s.blocked.as_deref().is_some_and(|why| why.contains("n4"))), "{own:?}");
        let why = fleet[&fleet.settled().await.node].why(&queued.id).await;
        assert!(why.iter().any(|past| past.text.contains("n4")), "{why:?}");
        fleet["n5"].fleet(&["release", &first]).await.refused(1, "is a slot of n4; release it there");
        fleet["n4"].fleet(&["release", &first]).await.good();
    };
    let (answer, ()) = tokio::join!(waits, frees);
    answer.good();
    let second = stands(&fleet, "n5", "granted").await;
    let later = second.fence.clone().unwrap();
    assert!(order(&later) > order(&fence), "{later} after {fence}");
    only(&fleet, &["n5"]).await;

    // A question is taken back: by itself when its time is over, or by name.
    fleet["n4"].fleet(&["ask", "reboot", "--reason", "hasty", "--timeout", "1s"]).await.refused(1, "");
    only(&fleet, &["n5"]).await;
    fleet["n4"].fleet(&["ask", "reboot", "--reason", "later", "--no-wait"]).await.good();
    let queued = stands(&fleet, "n4", "queued").await;
    fleet["n4"].fleet(&["release", &queued.id]).await.good();
    only(&fleet, &["n5"]).await;

    // Whoever leads next knows it as it was.
    let old = fleet.settled().await.node;
    fleet.node(&old).kill();
    let new = fleet.agreed(&fleet.running()).await;
    let kept = fleet[&new.node].slot(&second.id).await.expect("the slot");
    assert_eq!((kept.state.as_str(), kept.fence.as_deref()), ("granted", Some(later.as_str())));
    fleet.node(&old).start();
    fleet.settled().await;
    assert_eq!(stands(&fleet, "n5", "granted").await.fence, Some(later));
    fleet.untouched();
}

#[tokio::test]
async fn mnt_09_a_slot_that_is_not_released_is_suspect_counts_and_is_broken_by_a_person() {
    let broker = Broker::open().await;
    let fleet = fleet(&broker).await;
    let (first, _) = fleet["n4"].granted("drill").await;
    let suspect = stands(&fleet, "n4", "suspect").await;
    assert!(suspect.blocked.as_deref().is_some_and(|why| why.contains("10 s")), "{suspect:?}");
    let waits = fleet["n5"].fleet(&["ask", "drill", "--reason", "second"]);
    let breaks = async {
        let queued = stands(&fleet, "n5", "queued").await;
        assert!(
            queued.blocked.as_deref().is_some_and(|why| why.contains("n4") && why.contains("suspect")),
            "{queued:?}"
        );
        fleet["n2"].fleet(&["break", &first, "--reason", "gone", "--yes"]).await.good();
    };
    let (answer, ()) = tokio::join!(waits, breaks);
    let granted: Vec<Asked> = answer.read();
    let second = granted[0].slot.clone().expect("a slot");
    // The check after the work fails: nobody else gets it.
    fleet["n5"].fleet(&["release", &second, "--failed", "--reason", "no pulse"]).await.good();
    let failed = stands(&fleet, "n5", "suspect").await;
    assert!(failed.blocked.as_deref().is_some_and(|why| why.contains("no pulse")), "{failed:?}");
    fleet["n4"].fleet(&["ask", "drill", "--reason", "third", "--timeout", "1s"]).await.refused(1, "");
    fleet["n4"].fleet(&["break", &second, "--reason", "looked at", "--yes"]).await.good();
    fleet["n4"].granted("drill").await;
    fleet.untouched();
}

#[tokio::test]
async fn mnt_09_frozen_slots_are_granted_to_nobody_and_all_see_why() {
    let broker = Broker::open().await;
    let fleet = fleet(&broker).await;
    fleet["n4"].fleet(&["freeze", "--reason", "black friday"]).await.good();
    until("all see that slots are frozen", async || {
        let said = fleet.ask(&fleet.running()).await;
        if_so(said, |said| said.iter().all(|s| s.frozen.as_deref().is_some_and(|why| why.contains("black friday"))))
    })
    .await;
    let waits = fleet["n5"].fleet(&["ask", "reboot", "--reason", "test"]);
    let thaws = async {
        let queued = stands(&fleet, "n5", "queued").await;
        assert!(
            queued.blocked.as_deref().is_some_and(|why| why.contains("slots are frozen: black friday")),
            "{queued:?}"
        );
        fleet["n1"].fleet(&["unfreeze"]).await.good();
    };
    let (answer, ()) = tokio::join!(waits, thaws);
    answer.good();
    until("nobody says that slots are frozen", async || {
        if_so(fleet.ask(&fleet.running()).await, |said| said.iter().all(|status| status.frozen.is_none()))
    })
    .await;
    fleet.untouched();
}
