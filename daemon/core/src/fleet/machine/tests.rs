//! One machine at a time, and two that talk: what is said, in order.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::election::{Boot, Term, Ver};
use crate::fleet::slot::SlotId;
use crate::fleet::talk::{Answer, Ask, Said, Want};
use crate::fleet::{Amount, SlotPolicy};
use std::sync::atomic::{AtomicU64, Ordering};

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn at(millis: u64) -> Now {
    Now { mono: Mono(Duration::from_secs(1000) + Duration::from_millis(millis)), wall: Wall(millis * 1000) }
}

fn config(voters: &[&str]) -> Arc<Config> {
    let slots = [("reboot".to_owned(), SlotPolicy { max_unavailable: Amount::Count(1), ..SlotPolicy::default() })];
    let config = Config::alone(&name("x"));
    Arc::new(Config {
        name: "lab".into(),
        voters: voters.iter().map(|voter| name(voter)).collect(),
        brokers: vec!["mqtt://b".into()],
        slots: slots.into(),
        ..config
    })
}

fn begin(node: &str, config: Option<Arc<Config>>, file: NodeFile) -> (Fleet, Vec<Output>) {
    let start = Start { node: name(node), config, voter: Found::Never, file, seat: Seat(7), seed: 1 };
    Fleet::start(start, at(0))
}

/// Answers every write at once, until nothing more is asked for.
fn settle(fleet: &mut Fleet, mut outputs: Vec<Output>, now: Now) -> Vec<Output> {
    let mut all = Vec::new();
    while !outputs.is_empty() {
        let more = outputs.iter().filter_map(|output| match output {
            Output::Write(mark, _) => Some(Input::Written(*mark)),
            _ => None,
        });
        let more: Vec<_> = more.collect();
        all.extend(outputs);
        outputs = more.into_iter().flat_map(|input| fleet.handle(input, now)).collect();
    }
    all
}

fn told(fleet: &mut Fleet, input: Input, now: Now) -> Vec<Output> {
    let outputs = fleet.handle(input, now);
    settle(fleet, outputs, now)
}

fn ask(n: u64, command: FleetCommand) -> Input {
    Input::Command { id: OperationId(n), command, by: "uid 0".into(), reason: "kernel".into() }
}

fn standings(outputs: &[Output]) -> Vec<(u64, Standing)> {
    let standing = |output: &Output| match output {
        Output::Standing(id, standing) => Some((id.0, standing.clone())),
        _ => None,
    };
    outputs.iter().filter_map(standing).collect()
}

#[test]
fn rec_02_a_node_without_a_fleet_leads_itself_at_once_and_rests() {
    let (mut fleet, outputs) = begin("a", None, NodeFile::default());
    settle(&mut fleet, outputs, at(0));
    told(&mut fleet, Input::Tick, at(1));
    let status = fleet.status(at(1));
    assert_eq!((status.role, status.leader, status.quorum, status.alone), ("leader", Some(name("a")), true, true));
    assert_eq!(status.reason, "");
    assert_eq!(fleet.deadline(), None, "nothing wakes it");
    let kind = || "reboot".to_owned();
    let outputs = told(&mut fleet, ask(1, FleetCommand::Ask { kind: kind() }), at(2));
    let granted = standings(&outputs);
    let done = |text: &str| text.starts_with("a/1.1 is granted");
    assert!(matches!(&granted[..], [(1, Standing::Done(text))] if done(text)), "{outputs:?}");
    // The second waits for the first: one may be out of service.
    let outputs = told(&mut fleet, ask(2, FleetCommand::Ask { kind: kind() }), at(3));
    let waits = standings(&outputs);
    assert!(matches!(&waits[..], [(2, Standing::Waits(text))] if text.contains("a/1.1 is held")), "{outputs:?}");
    let slot: SlotId = "a/1.1".parse().unwrap();
    let released = standings(&told(&mut fleet, ask(3, FleetCommand::Release { slot, failed: false }), at(4)));
    assert!(released.contains(&(3, Standing::Done("a/1.1 is released".into()))), "{released:?}");
    let next = released.iter().any(|(id, standing)| *id == 2 && matches!(standing, Standing::Done(_)));
    assert!(next, "who waits has it at once: {released:?}");
}

#[test]
fn mnt_09_a_slot_is_on_the_disk_before_it_is_asked_for() {
    let (mut fleet, outputs) = begin("o", Some(config(&["a"])), NodeFile::default());
    settle(&mut fleet, outputs, at(0));
    told(&mut fleet, Input::Broker(0, Ok(())), at(1));
    let outputs = fleet.handle(ask(1, FleetCommand::Ask { kind: "reboot".into() }), at(2));
    let kept = outputs.iter().position(|output| matches!(output, Output::Keep(file) if file.held.len() == 1));
    let said = outputs.iter().position(|output| matches!(output, Output::Say(To::Leader, Talk::Ask(_))));
    assert!(kept.unwrap() < said.unwrap(), "{outputs:?}");
}

fn asked(outputs: &[Output]) -> Option<Ask> {
    outputs.iter().find_map(|output| match output {
        Output::Say(To::Leader, Talk::Ask(ask)) => Some(ask.clone()),
        _ => None,
    })
}

fn answer(nonce: u64, term: u64, said: Said) -> Input {
    let from = Sender { node: name("a"), seat: Seat(1), boot: Boot(1) };
    let talk = Talk::Answer(Answer { nonce, term: Term(term), said });
    // Each is newer than the one before.
    static SEQ: AtomicU64 = AtomicU64::new(100);
    Input::Heard { from, seq: SEQ.fetch_add(1, Ordering::Relaxed), broker: 0, retained: false, talk }
}

/// An observer that has asked for a slot 2 ms after it began, and the ask.
fn observer() -> (Fleet, Ask, SlotId) {
    let (mut fleet, outputs) = begin("o", Some(config(&["a"])), NodeFile::default());
    settle(&mut fleet, outputs, at(0));
    told(&mut fleet, Input::Broker(0, Ok(())), at(1));
    let outputs = told(&mut fleet, ask(1, FleetCommand::Ask { kind: "reboot".into() }), at(2));
    (fleet, asked(&outputs).unwrap(), "o/1.1".parse().unwrap())
}

fn grant(id: &SlotId, term: u64, seconds: u64) -> Said {
    let fence = Ver { term: Term(term), n: 3 };
    Said::Granted { id: id.clone(), fence, ttl: Duration::from_secs(seconds) }
}

#[test]
fn mnt_09_a_grant_counts_from_the_ask_and_not_from_the_answer() {
    let (mut fleet, ask, id) = observer();
    told(&mut fleet, answer(ask.nonce, 5, grant(&id, 5, 10)), at(4000));
    assert!(fleet.holds(&id, at(9999).mono) && !fleet.holds(&id, at(10_003).mono));
}

#[test]
fn mnt_09_a_grant_that_comes_too_late_is_asked_for_anew() {
    let (mut fleet, ask, id) = observer();
    let late = told(&mut fleet, answer(ask.nonce, 5, grant(&id, 5, 10)), at(12_000));
    assert!(!fleet.holds(&id, at(12_000).mono));
    assert!(!standings(&late).iter().any(|(_, standing)| matches!(standing, Standing::Done(_))), "{late:?}");
    let again = asked(&late).unwrap();
    assert_ne!(again.nonce, ask.nonce);
    told(&mut fleet, answer(again.nonce, 5, grant(&id, 5, 10)), at(12_010));
    assert!(fleet.holds(&id, at(21_000).mono));
}

#[test]
fn rec_04_an_answer_of_an_older_term_is_dropped() {
    let (mut fleet, ask, id) = observer();
    let beacon = Beacon {
        term: Term(9),
        commit: Ver::default(),
        interval: Duration::from_secs(2),
        voters: vec![name("a")],
        nodes: 2,
        frozen: None,
    };
    let from = Sender { node: name("b"), seat: Seat(2), boot: Boot(1) };
    told(&mut fleet, Input::Heard { from, seq: 1, broker: 0, retained: false, talk: Talk::Beacon(beacon) }, at(10));
    let outputs = told(&mut fleet, answer(ask.nonce, 8, grant(&id, 8, 60)), at(20));
    assert!(!fleet.holds(&id, at(21).mono) && standings(&outputs).is_empty());
    assert_eq!(fleet.status(at(21)).tallies.dropped["old-term"], 1);
}

#[test]
fn mnt_09_after_a_start_held_slots_are_asked_for_again_and_the_others_given_back() {
    let (_, outputs) = {
        let (mut fleet, ask, id) = observer();
        told(&mut fleet, answer(ask.nonce, 5, grant(&id, 5, 600)), at(10));
        let mut file = fleet.file.clone();
        let open: SlotId = "o/1.2".parse().unwrap();
        file.held.insert(open, crate::fleet::HeldRecord { kind: "reboot".into(), reason: String::new(), fence: None });
        let (mut fleet, outputs) = begin("o", Some(config(&["a"])), file);
        settle(&mut fleet, outputs, at(0));
        assert!(!fleet.holds(&id, at(1).mono), "a grant of an earlier life is no grant");
        let outputs = told(&mut fleet, Input::Broker(0, Ok(())), at(1));
        (fleet, outputs)
    };
    let wants = outputs.iter().filter_map(|output| match output {
        Output::Say(To::Leader, Talk::Ask(ask)) => Some(ask.want.clone()),
        _ => None,
    });
    let wants: Vec<_> = wants.collect();
    assert_eq!(
        wants,
        [Want::Keep("o/1.1".parse().unwrap()), Want::Release { id: "o/1.2".parse().unwrap(), failed: false }]
    );
}

#[test]
fn rec_03_without_a_broker_or_a_leader_it_says_so_and_what_that_means() {
    let (mut fleet, outputs) = begin("o", Some(config(&["a"])), NodeFile::default());
    settle(&mut fleet, outputs, at(0));
    told(&mut fleet, Input::Broker(0, Err("connection refused".into())), at(1));
    let line = fleet.status(at(2)).line(at(2).mono);
    assert_eq!(line, "no broker is connected (mqtt://b: connection refused); slots frozen, workers unaffected");
    told(&mut fleet, Input::Broker(0, Ok(())), at(3));
    assert_eq!(fleet.status(at(4)).line(at(4).mono), "no quorum since 00:00:00 UTC: slots frozen, workers unaffected");
    let told = told(&mut fleet, Input::Tick, at(11_000));
    let notices = told.iter().filter_map(|output| match output {
        Output::Notice(notice) => Some(notice.kind),
        _ => None,
    });
    assert_eq!(notices.collect::<Vec<_>>(), [Kind::FleetNoQuorum]);
}

#[test]
fn rec_02_a_lost_voter_file_takes_its_vote_and_nothing_else() {
    let start = Start {
        node: name("a"),
        config: Some(config(&["a", "b", "c"])),
        voter: Found::Lost("voter.json: is missing".into()),
        file: NodeFile::default(),
        seat: Seat(7),
        seed: 1,
    };
    let (mut fleet, outputs) = Fleet::start(start, at(0));
    assert!(!outputs.iter().any(|output| matches!(output, Output::Write(..))), "nothing is written over it");
    told(&mut fleet, Input::Broker(0, Ok(())), at(1));
    assert!(fleet.status(at(2)).reason.starts_with("this node votes no more: voter.json: is missing"));
    let outputs = told(&mut fleet, ask(1, FleetCommand::Rejoin), at(3));
    assert!(outputs.iter().any(|output| matches!(output, Output::Write(..))), "a new file");
    assert!(matches!(asked(&outputs).unwrap().want, Want::Join(bound) if bound.seat == Seat(7)));
}

#[test]
fn rec_02_what_waits_behind_a_write_that_fails_never_leaves() {
    let (mut fleet, outputs) = begin("a", Some(config(&["a", "b", "c"])), NodeFile::default());
    settle(&mut fleet, outputs, at(0));
    told(&mut fleet, Input::Broker(0, Ok(())), at(1));
    let from = Sender { node: name("b"), seat: Seat(2), boot: Boot(1) };
    let vote = crate::election::Message::Vote { term: Term(1), ver: Ver::default(), handover: false };
    let talk = Talk::Election(vote);
    // After the grace of a start.
    let mut outputs = fleet.handle(Input::Heard { from, seq: 1, broker: 0, retained: false, talk }, at(60_000));
    let votes = |outputs: &[Output]| {
        let vote = |output: &&Output| matches!(output, Output::Say(To::Voter(_), Talk::Election(_)));
        outputs.iter().filter(vote).count()
    };
    assert!(outputs.iter().any(|output| matches!(output, Output::Write(..))) && votes(&outputs) == 1, "{outputs:?}");
    outputs.retain(|output| !output.relies_on_ballot());
    assert_eq!(votes(&outputs), 0);
    let outputs = fleet.handle(Input::WriteFailed("no space left on device".into()), at(60_001));
    assert_eq!(votes(&outputs), 0);
    assert!(fleet.status(at(60_002)).reason.contains("votes no more: cannot write its voter file"));
}
