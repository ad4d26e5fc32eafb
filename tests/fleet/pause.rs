//! The leader stands still for a while, and goes on as if nothing had been.

use crate::broker::Broker;
use crate::fleet::{Fleet, Plan};
use crate::node::Node;
use crate::poll::{if_so, stays, until};
use crate::says::Status;
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// Longer than its lease and than any election.
const STILL: Duration = Duration::from_secs(8);

#[tokio::test]
async fn rec_03_a_leader_that_stood_still_never_claims_the_lead_again() {
    let broker = Broker::open().await;
    let fleet = Fleet::up(Plan::three(1, broker.url())).await;
    let old = fleet.settled().await;
    let (stopped, others) = (&fleet[&old.node], fleet.others(&old.node));
    let begun = Instant::now();
    stopped.signal(Signal::SIGSTOP);
    let new = fleet.leader_among(&others).await;
    assert!(new.term > old.term, "{new:?}");
    stays(STILL.saturating_sub(begun.elapsed()), async || drop(fleet.ask(&others).await)).await;
    let new = fleet.agreed(&others).await;

    // Questions that wait already are answered before it has had time to learn anything.
    let early = async {
        for status in join_all((0..4).map(|_| stopped.status())).await.into_iter().flatten() {
            assert!(!status.leads(), "{status:?} though there is {new:?}");
        }
    };
    let wakes = async {
        until("the questions wait", async || if_so(waiting(stopped), |count| *count >= 4)).await;
        stopped.signal(Signal::SIGCONT);
    };
    tokio::join!(early, wakes);
    until("it follows", async || {
        let status = fleet.status(&old.node).await;
        assert!(!status.as_ref().is_some_and(|status| status.leads()), "{status:?} though there is {new:?}");
        let follows = |s: &Status| s.role == "follower" && s.leader.as_deref() == Some(&new.node);
        if_so(status, |status| status.as_ref().is_some_and(follows))
    })
    .await;
    let after = fleet.settled().await;
    assert_eq!((after.node, after.term), (new.node, new.term), "who comes back overthrows nobody");
    fleet.registry_complete().await;
    fleet.untouched();
}

/// Connections to its bus socket that the kernel has set up: one for each `reevectl` that asks.
fn waiting(node: &Node) -> usize {
    let folder = node.root.join("run/reeve/bus").display().to_string();
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    // The listening socket stands there as well.
    sockets.lines().filter(|line| line.contains(&folder)).count().saturating_sub(1)
}
