//! Each node in a network of its own: its cable is pulled, which no process sees as an end of a connection.

use crate::broker::Broker;
use crate::fleet::{Fleet, Plan};
use crate::poll::{if_so, until};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PORT: u16 = 1883;

/// A bridge, and a network namespace for each node with a cable to it. Dropping it takes all away.
struct Net {
    /// Part of every name: two runs of this test at once do not meet.
    mark: String,
    /// `10.231.x.`
    subnet: String,
    nodes: Vec<String>,
}

fn ip(words: &str) -> bool {
    let done = Command::new("ip").args(words.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

impl Net {
    /// `None`: not permitted here.
    fn new(count: usize) -> Option<Self> {
        let id = std::process::id() % 250 + 1;
        let mut net = Self { mark: format!("rf{id}"), subnet: format!("10.231.{id}."), nodes: Vec::new() };
        let (mark, subnet) = (net.mark.clone(), net.subnet.clone());
        let bridge = format!("link add {mark} type bridge");
        if !(nix::unistd::geteuid().is_root() && ip(&format!("netns add {mark}n1")) && ip(&bridge)) {
            ip(&format!("netns del {mark}n1"));
            return None;
        }
        let mut all = ip(&format!("addr add {subnet}254/24 dev {mark}")) && ip(&format!("link set {mark} up"));
        for n in 1..=count {
            let (node, space) = (format!("n{n}"), format!("{mark}n{n}"));
            all &= n == 1 || ip(&format!("netns add {space}"));
            all &= ip(&format!("link add {space} type veth peer name eth0 netns {space}"))
                && ip(&format!("link set {space} master {mark} up"))
                && ip(&format!("-n {space} addr add {subnet}{n}/24 dev eth0"))
                && ip(&format!("-n {space} link set eth0 up"))
                && ip(&format!("-n {space} link set lo up"));
            net.nodes.push(node);
        }
        all.then_some(net)
    }

    fn before(&self) -> BTreeMap<String, Vec<String>> {
        let command = |node: &String| {
            let words = ["ip", "netns", "exec"].map(str::to_owned).into_iter();
            (node.clone(), words.chain([format!("{}{node}", self.mark)]).collect())
        };
        self.nodes.iter().map(command).collect()
    }

    fn cable(&self, node: &str, state: &str) {
        assert!(ip(&format!("link set {}{node} {state}", self.mark)), "{node} {state}");
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for node in &self.nodes {
            ip(&format!("netns del {}{node}", self.mark));
        }
        ip(&format!("link del {}", self.mark));
    }
}

#[tokio::test]
async fn rec_03_the_leaders_cable_is_pulled_and_put_back() {
    let Some(net) = Net::new(4) else {
        println!("SKIPPED: network namespaces need root and `ip netns`");
        return;
    };
    let address = format!("{}254", net.subnet);
    let broker = Broker::start(|_| format!("listener {PORT} {address}\nallow_anonymous true\n")).await;
    let brokers = vec![format!("mqtt://{address}:{PORT}")];
    let fleet = Fleet::up(Plan { voters: 3, observers: 1, brokers, before: net.before(), ..Plan::default() }).await;
    fleet.registry_complete().await;
    let old = fleet.settled().await;
    let slot = fleet["n4"].granted("reboot").await;
    for _ in 0..2 {
        let old = fleet.settled().await;
        let begun = Instant::now();
        net.cable(&old.node, "down");
        until("it leads no more", async || {
            let asked = begun.elapsed();
            let status = fleet.status(&old.node).await.expect("an answer");
            assert!(!status.leads() || asked <= Duration::from_secs(2), "after {asked:?}: {status:?}");
            if_so(status, |status| !status.leads() && !status.quorum)
        })
        .await;
        let others = fleet.others(&old.node);
        let new = fleet.leader_among(&others).await;
        println!("another leads {:.2} s after the cable was pulled", begun.elapsed().as_secs_f64());
        assert!(new.term > old.term, "{new:?}");
        let new = fleet.agreed(&others).await;
        let kept = fleet[&new.node].slot(&slot.0).await.expect("the slot");
        assert_eq!((kept.state.as_str(), kept.fence.as_ref()), ("granted", Some(&slot.1)));
        fleet.untouched();
        net.cable(&old.node, "up");
        let after = fleet.settled().await;
        assert_eq!((&after.node, after.term), (&new.node, new.term), "who comes back overthrows nobody");
    }
    assert!(fleet.settled().await.term > old.term);
    fleet.registry_complete().await;
    fleet.untouched();
    drop(broker);
}
