//! A fleet: its nodes, and what was seen of its leaders.

use crate::node::Node;
use crate::poll::{if_so, until};
use crate::says::{Entry, Status};
use futures_util::future::join_all;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Index;
use tempfile::TempDir;

/// What a fleet is to be.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// So many, n1 being the preferred; observers are numbered after them.
    pub voters: usize,
    pub observers: usize,
    pub brokers: Vec<String>,
    /// Of nodes that have others.
    pub own_brokers: BTreeMap<String, Vec<String>>,
    /// What stands before the command of a node.
    pub before: BTreeMap<String, Vec<String>>,
    /// More lines of `[fleet]`, and sections.
    pub more: String,
}

impl Plan {
    /// Three voters and so many observers at one broker.
    pub fn three(observers: usize, broker: String) -> Self {
        Self { voters: 3, observers, brokers: vec![broker], ..Self::default() }
    }

    fn section(&self, name: &str) -> String {
        let voters: Vec<_> = (1..=self.voters).map(|n| format!("n{n}")).collect();
        let brokers = self.own_brokers.get(name).unwrap_or(&self.brokers);
        format!("[fleet]\nname = \"lab\"\nvoters = {voters:?}\nbrokers = {brokers:?}\n{}", self.more)
    }
}

/// Nodes that know of each other.
#[derive(Debug)]
pub struct Fleet {
    nodes: Vec<Node>,
    /// Who was said to lead in a term, and by whom.
    leaders: RefCell<BTreeMap<u64, (String, String)>>,
    plan: Plan,
    /// Goes last, when nobody writes to it any more.
    _folder: TempDir,
}

impl Index<&str> for Fleet {
    type Output = Node;
    fn index(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).expect("a node of the fleet")
    }
}

impl Fleet {
    /// Folders and configurations; nothing runs yet.
    pub fn new(plan: Plan) -> Self {
        let folder = tempfile::Builder::new().prefix("rf").tempdir().unwrap();
        let node = |n: usize| {
            let name = format!("n{n}");
            let before = plan.before.get(&name).cloned().unwrap_or_default();
            Node::new(folder.path(), &name, &plan.section(&name), before)
        };
        let nodes = (1..=plan.voters + plan.observers).map(node).collect();
        Self { nodes, leaders: RefCell::default(), plan, _folder: folder }
    }

    /// All of it runs, has a leader, and each knows it.
    pub async fn up(plan: Plan) -> Self {
        let mut fleet = Self::new(plan);
        fleet.nodes.iter_mut().for_each(Node::start);
        fleet.settled().await;
        fleet
    }

    pub fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name == name).expect("a node of the fleet")
    }

    pub fn nodes(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// The configuration of a node, with other brokers.
    pub fn rewire(&mut self, brokers: &[String]) {
        self.plan.brokers = brokers.to_vec();
        for node in &self.nodes {
            node.configure(&self.plan.section(&node.name));
        }
    }

    pub fn running(&self) -> Vec<&Node> {
        self.nodes.iter().filter(|node| node.runs()).collect()
    }

    /// All but one.
    pub fn others<'a>(&'a self, name: &str) -> Vec<&'a Node> {
        self.nodes.iter().filter(|node| node.name != name).collect()
    }

    /// What these say now, and whether it can be true: a term has one leader.
    pub async fn ask(&self, nodes: &[&Node]) -> Vec<Status> {
        let said = join_all(nodes.iter().map(|node| node.status())).await;
        let said: Vec<Status> = said.into_iter().flatten().collect();
        said.iter().for_each(|status| self.note(status));
        said
    }

    /// One node's, if it answers.
    pub async fn status(&self, name: &str) -> Option<Status> {
        self.ask(&[&self[name]]).await.pop()
    }

    fn note(&self, status: &Status) {
        let Some(leader) = &status.leader else { return };
        let mut leaders = self.leaders.borrow_mut();
        let (known, first) = leaders.entry(status.term).or_insert_with(|| (leader.clone(), status.node.clone()));
        assert_eq!(
            known, leader,
            "two leaders of term {}: one is said by {first}, the other by {}: {status:?}",
            status.term, status.node
        );
    }

    /// Terms and their leaders, as far as any node told.
    pub fn reigns(&self) -> BTreeMap<u64, String> {
        self.leaders.borrow().iter().map(|(term, (leader, _))| (*term, leader.clone())).collect()
    }

    /// One of these leads, with its lease.
    pub async fn leader_among(&self, nodes: &[&Node]) -> Status {
        until("one of them leads", async || {
            let said = self.ask(nodes).await;
            said.iter().find(|status| status.leads()).cloned().ok_or(format!("{said:#?}"))
        })
        .await
    }

    /// All that run agree on a leader, which has its lease, and nothing is wrong anywhere. The leader's status.
    pub async fn settled(&self) -> Status {
        self.agreed(&self.running()).await
    }

    /// These agree on a leader.
    pub async fn agreed(&self, nodes: &[&Node]) -> Status {
        until("they agree on a leader", async || {
            let said = self.ask(nodes).await;
            agreement(nodes, &said).ok_or(format!("{said:#?}"))
        })
        .await
    }

    /// The leader knows all nodes, and that both workers of each are ready.
    pub async fn registry_complete(&self) {
        let leader = self.settled().await.node;
        let well = |entry: &Entry| {
            let ready = entry.workers.iter().filter(|worker| worker.ready == 1).count();
            entry.state == "alive" && entry.labels.get("me") == Some(&entry.name) && ready == 2
        };
        until("the registry is complete", async || {
            let nodes = self[&leader].nodes().await;
            if_so(nodes, |nodes| nodes.len() == self.nodes.len() && nodes.iter().all(well))
        })
        .await;
    }

    /// This one leads: by itself, or because it was asked for.
    pub async fn led_by(&self, name: &str) -> Status {
        let now = self.settled().await;
        if now.node != name {
            self[&now.node].fleet(&["handover", name, "--reason", "test"]).await.good();
        }
        until("it leads", async || if_so(self.settled().await, |status| status.node == name)).await
    }

    /// So many reports of each other node have come to this one: the fleet has lived on for as many intervals.
    pub async fn reports(&self, at: &str, count: usize) {
        let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
        until("the reports come", async || {
            self.ask(&self.running()).await;
            for entry in self[at].nodes().await.into_iter().filter(|entry| entry.name != at) {
                let times = heard.entry(entry.name).or_default();
                let newer = entry.heard.filter(|time| times.last() != Some(time));
                times.extend(newer);
            }
            if_so(&heard, |heard| !heard.is_empty() && heard.values().all(|times| times.len() > count)).map(drop)
        })
        .await;
    }

    /// No worker of any node was restarted.
    pub fn untouched(&self) {
        self.nodes.iter().for_each(Node::untouched);
    }
}

fn agreement(nodes: &[&Node], said: &[Status]) -> Option<Status> {
    let leader = said.iter().find(|status| status.leads())?;
    let same = |s: &Status| s.leader.as_ref() == Some(&leader.node) && s.term == leader.term && s.quorum;
    let agreed = said.len() == nodes.len() && said.iter().all(|s| same(s) && s.why().is_empty());
    agreed.then(|| leader.clone())
}
