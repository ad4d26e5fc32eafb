//! The leader is killed, again and again.

use crate::broker::Broker;
use crate::fleet::{Fleet, Plan};
use std::time::{Duration, Instant};

/// As many as `REEVE_KILLS` says.
fn kills() -> usize {
    std::env::var("REEVE_KILLS").map_or(5, |count| count.parse().expect("REEVE_KILLS: a number"))
}

/// The time counts from the signal to the first answer of a node that says it leads and has its lease. Who was killed
/// comes back each time, as a follower: the next kill hits a fleet of three again.
#[tokio::test]
async fn rec_04_leaders_are_killed_and_no_worker_of_another_node_notices() {
    let broker = Broker::open().await;
    let mut fleet = Fleet::up(Plan::three(1, broker.url())).await;
    let mut took = Vec::new();
    for _ in 0..kills() {
        let old = fleet.settled().await;
        let begun = Instant::now();
        fleet.node(&old.node).kill();
        let new = fleet.leader_among(&fleet.others(&old.node)).await;
        took.push(begun.elapsed());
        assert!(new.term > old.term && new.node != old.node, "{old:?} {new:?}");
        fleet.untouched();
        fleet.node(&old.node).start();
        let settled = fleet.settled().await;
        assert_eq!((settled.node, settled.term), (new.node, new.term), "who comes back overthrows nobody");
    }
    fleet.registry_complete().await;
    fleet.untouched();
    let reigns = fleet.reigns();
    assert_eq!(reigns.len(), took.len() + 1, "each kill costs one election: {reigns:?}");
    // The observer and its workers were never touched.
    assert_eq!(fleet["n4"].starts().map(|starts| starts.len()), [1, 1]);
    println!("{} kills, {}", took.len(), spread(&mut took));
}

fn spread(took: &mut [Duration]) -> String {
    took.sort();
    let at = |share: usize| took[(took.len() * share).div_ceil(100).saturating_sub(1)].as_secs_f64();
    let max = took.last().expect("at least one kill").as_secs_f64();
    format!("another led after {:.2} s (p50), {:.2} s (p99), {max:.2} s (max)", at(50), at(99))
}
