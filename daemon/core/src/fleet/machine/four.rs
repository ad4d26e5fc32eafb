//! Three voters and an observer that hear each other at once.

use super::*;
use crate::election::Term;
use std::collections::VecDeque;

fn name(n: &str) -> NodeName {
    NodeName::new(n).unwrap()
}

struct World {
    nodes: BTreeMap<NodeName, Fleet>,
    now: Now,
    seq: u64,
    /// Who is not heard any more.
    away: Vec<NodeName>,
    /// All that was said, by whom.
    said: Vec<(NodeName, Talk)>,
}

impl World {
    fn new() -> Self {
        let nodes = BTreeMap::new();
        let now = Now { mono: Mono(Duration::from_secs(1000)), wall: Wall(0) };
        let mut world = Self { nodes, now, seq: 0, away: Vec::new(), said: Vec::new() };
        ["n1", "n2", "n3", "n4"].iter().for_each(|node| world.start(node, 1));
        world
    }

    fn start(&mut self, node: &str, boot: u64) {
        let voters = ["n1", "n2", "n3"].map(name).to_vec();
        let brokers = vec!["mqtt://b:1883".to_owned()];
        let config = Config { name: "lab".to_owned(), voters: voters.clone(), brokers, ..Config::alone(&name(node)) };
        let seat = Seat(node.bytes().map(u64::from).sum());
        let voter = match self.nodes.get(&name(node)) {
            Some(before) => Found::Ballot(Box::new(before.member().ballot().clone())),
            None => Found::Never,
        };
        let (config, file) = (Some(Arc::new(config)), NodeFile::default());
        let start = Start { node: name(node), config, voter, file, seat, seed: seat.0 + boot };
        let (fleet, outputs) = Fleet::start(start, self.now);
        self.nodes.insert(name(node), fleet);
        self.carry_out(&name(node), outputs);
        self.tell(node, Input::Broker(0, Ok(())));
    }

    fn tell(&mut self, node: &str, input: Input) {
        let outputs = self.nodes.get_mut(&name(node)).unwrap().handle(input, self.now);
        self.carry_out(&name(node), outputs);
    }

    fn carry_out(&mut self, node: &NodeName, outputs: Vec<Output>) {
        let mut queue: VecDeque<(NodeName, Output)> = outputs.into_iter().map(|o| (node.clone(), o)).collect();
        while let Some((by, output)) = queue.pop_front() {
            let (to, talk) = match output {
                Output::Write(mark, _) => {
                    let outputs = self.nodes.get_mut(&by).unwrap().handle(Input::Written(mark), self.now);
                    queue.extend(outputs.into_iter().map(|o| (by.clone(), o)));
                    continue;
                }
                Output::Say(to, talk) => (to, talk),
                _ => continue,
            };
            self.said.push((by.clone(), talk.clone()));
            self.seq += 1;
            let from = self.nodes[&by].sender();
            for (node, fleet) in self.nodes.iter_mut().filter(|(node, _)| **node != by && !self.away.contains(node)) {
                // As the subscriptions would have it.
                let hears = match &to {
                    To::Voter(voter) => voter == node && fleet.hears_voters(),
                    To::Node(other) => other == node,
                    To::Registry | To::Leader => fleet.is_voter(),
                    To::All => true,
                };
                if hears && !self.away.contains(&by) {
                    let talk = talk.clone();
                    let input = Input::Heard { from: from.clone(), seq: self.seq, broker: 0, retained: false, talk };
                    let outputs = fleet.handle(input, self.now);
                    queue.extend(outputs.into_iter().map(|o| (node.clone(), o)));
                }
            }
        }
    }

    /// Time goes on.
    fn pass(&mut self, span: Duration) {
        for _ in 0..span.as_millis() / 50 {
            self.now.mono = self.now.mono + Duration::from_millis(50);
            for node in ["n1", "n2", "n3", "n4"] {
                self.tell(node, Input::Tick);
            }
        }
    }

    fn status(&mut self, node: &str) -> super::super::FleetStatus {
        self.nodes.get_mut(&name(node)).unwrap().status(self.now)
    }

    /// One that has a leader, and who that is.
    fn settled() -> (Self, String) {
        let mut world = Self::new();
        world.pass(Duration::from_secs(8));
        let leader = world.leader();
        (world, leader)
    }

    fn leader(&mut self) -> String {
        let status = self.status("n4");
        assert!(status.quorum, "{status:?}");
        status.leader.unwrap().to_string()
    }

    fn command(&mut self, node: &str, command: FleetCommand) {
        let (by, reason) = ("root".to_owned(), "test".to_owned());
        self.tell(node, Input::Command { id: OperationId(1), command, by, reason });
    }
}

fn other<'a>(than: &str, among: [&'a str; 3]) -> &'a str {
    among.into_iter().find(|node| *node != than).unwrap()
}

#[test]
fn rec_02_the_picture_names_the_leader_of_the_newest_term() {
    let (mut world, leader) = World::settled();
    let voter = other(&leader, ["n1", "n2", "n3"]);
    let old = world.status(voter);
    assert_eq!((old.leader.map(|l| l.to_string()), old.term_number), (Some(leader.clone()), 1));
    // It votes in the next term, and nobody has won yet.
    world.away = ["n1", "n2", "n3", "n4"].map(name).to_vec();
    world.pass(Duration::from_secs(3));
    let standing = ["n1", "n2", "n3"].into_iter().find(|n| *n != leader && *n != voter).unwrap();
    let from = world.nodes[&name(standing)].sender();
    let ver = world.nodes[&name(standing)].member().ballot().document.ver;
    let vote = crate::election::Message::Vote { term: Term(2), ver, handover: false };
    world.tell(voter, Input::Heard { from, seq: 1000, broker: 0, retained: false, talk: Talk::Election(vote) });
    let between = world.status(voter);
    assert_eq!((between.leader, between.term_number), (None, 2));
}

#[test]
fn rec_02_who_is_no_voter_any_more_names_new_leaders_and_shows_no_registry() {
    let (mut world, leader) = World::settled();
    let gone = other(&leader, ["n1", "n2", "n3"]);
    assert!(!world.status(gone).nodes.is_empty());
    world.command(&leader, FleetCommand::Demote(name(gone)));
    world.pass(Duration::from_secs(2));
    let status = world.status(gone);
    assert_eq!((status.role, status.nodes.len()), ("observer", 0));
    world.command(&leader, FleetCommand::HandOver(None));
    world.pass(Duration::from_secs(2));
    let (seen, new) = (world.status(gone), world.leader());
    assert_ne!(new, leader);
    assert_eq!((seen.leader.map(|l| l.to_string()), seen.term_number), (Some(new), 2));
}

#[test]
fn rec_02_an_observer_that_is_made_a_voter_hears_of_it() {
    let mut world = World::new();
    world.pass(Duration::from_secs(8));
    world.command("n4", FleetCommand::Promote { force: false });
    world.pass(Duration::from_secs(2));
    let status = world.status("n4");
    assert_eq!((status.role, status.voters.len()), ("follower", 4));
}

#[test]
fn rec_04_a_leader_that_ends_while_all_miss_its_newest_version_hands_over_once_one_has_it() {
    let (mut world, leader) = World::settled();
    // A version is written that nobody hears of yet.
    world.away = ["n1", "n2", "n3"].map(name).into_iter().filter(|n| n.as_str() != leader).collect();
    world.command(&leader, FleetCommand::Freeze);
    world.tell(&leader, Input::Leaving);
    assert!(world.nodes[&name(&leader)].is_wanted());
    let left = world.said.len();
    world.away.clear();
    // One beat to learn who misses it, one with the document.
    world.pass(Duration::from_millis(1100));
    assert!(!world.nodes[&name(&leader)].is_wanted());
    let new = world.leader();
    assert_ne!(new, leader);
    assert_eq!(world.status(&new).term_number, 2);
    // Its farewell was its last word of itself.
    let report = Arc::new(NodeReport { version: "later".to_owned(), ..NodeReport::default() });
    world.tell(&leader, Input::Report(report));
    world.pass(Duration::from_secs(5));
    let after = world.said.drain(left..).filter(|(by, talk)| by.as_str() == leader && matches!(talk, Talk::Report(_)));
    assert_eq!(after.count(), 0);
}

#[test]
fn rec_02_a_voter_that_was_demoted_while_it_was_away_says_so_and_can_be_promoted() {
    let (mut world, leader) = World::settled();
    let gone = other(&leader, ["n1", "n2", "n3"]);
    world.away = vec![name(gone)];
    world.command(&leader, FleetCommand::Demote(name(gone)));
    world.pass(Duration::from_secs(20));
    world.away.clear();
    world.pass(Duration::from_secs(10));
    let status = world.status(gone);
    assert!(status.reason.contains("is none of its voters any more"), "{status:?}");
    world.command(gone, FleetCommand::Promote { force: false });
    world.pass(Duration::from_secs(3));
    let status = world.status(gone);
    assert_eq!(status.role, "follower");
}
