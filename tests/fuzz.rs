//! Every message of the fleet and every file of it, changed at random: read or refused, never a panic, and nothing that is
//! fed with it grows without bound.
//!
//! `REEVE_FUZZ_CASES` says how many (20,000), `REEVE_FUZZ_SEED` from which seed; scripts/fuzz asks for millions.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use reeve::host::store::RealDisk;
use reeve::host::store::voter::VoterFile;
use reeve::mqtt::{Home, decode, encode};
use reeve_core::config::Fleet as Config;
use reeve_core::election::{Ballot, Boot, Message, NodeName, Seat, Sender, Term, Ver};
use reeve_core::fleet::{
    Answer, Ask, Beacon, Bound, Document, Fleet, Found, HeldRecord, Input, NodeFile, NodeReport, Presence, Said, Start,
    Talk, To, Want,
};
use reeve_core::rng::Rng;
use reeve_core::time::{Mono, Now, Wall};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

/// What may stand in place of a number, a text, a piece of structure.
const PIECES: &[&str] = &[
    "0",
    "-1",
    "1",
    "18446744073709551615",
    "18446744073709551616",
    "9007199254740993",
    "1e308",
    "-0.0",
    "4294967296",
    "null",
    "true",
    "\"\"",
    "\"a\"",
    "\"n1/1.1\"",
    "\"\\u0000\"",
    "\"ä/+#\"",
    "[]",
    "{}",
    "[[[[[[[[[[[[[[[[",
    "{\"\":",
    "\"x\":",
    ",",
    "}",
    "]",
    "\\",
];

fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut Rng) {
    let pick = |rng: &mut Rng, len: usize| usize::try_from(rng.below(len as u64)).unwrap();
    for _ in 0..=rng.below(4) {
        if bytes.is_empty() {
            return;
        }
        let (at, to) = (pick(rng, bytes.len()), pick(rng, bytes.len()));
        let (at, to) = (at.min(to), at.max(to));
        match rng.below(8) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..to)),
            4 => {
                let piece: Vec<u8> = bytes[at..to].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let other = &others[pick(rng, others.len())];
                let from = pick(rng, other.len());
                bytes.splice(at..to, other[from..].iter().copied());
            }
            _ => {
                let piece = PIECES[pick(rng, PIECES.len())].bytes();
                // A whole token, where there is one.
                let end = bytes[at..].iter().position(|b| b",]}:".contains(b)).map_or(at, |n| at + n);
                bytes.splice(at..end, piece);
            }
        }
        bytes.truncate(200_000);
    }
}

/// Another value of the same kind, so that more gets past the door.
fn vary(value: &mut Value, rng: &mut Rng) {
    const NUMBERS: [u64; 8] = [0, 1, 2, 3, 9, 1 << 32, (1 << 53) + 1, u64::MAX];
    const TEXTS: [&str; 7] = ["", "n1", "n2", "n2/1.1", "n1/1.1", "reboot", "a\u{0}ä/+#"];
    let pick = |rng: &mut Rng, len: usize| usize::try_from(rng.below(len as u64)).unwrap();
    match value {
        Value::Number(_) => *value = Value::from(NUMBERS[pick(rng, NUMBERS.len())]),
        Value::Bool(flag) => *flag = !*flag,
        Value::String(text) => TEXTS[pick(rng, TEXTS.len())].clone_into(text),
        Value::Null => *value = Value::from(TEXTS[pick(rng, TEXTS.len())]),
        Value::Array(items) if items.is_empty() => items.push(Value::from("n1")),
        Value::Array(items) => {
            let place = pick(rng, items.len());
            match rng.below(3) {
                0 => drop(items.remove(place)),
                1 => items.extend_from_within(place..),
                _ => vary(&mut items[place], rng),
            }
        }
        Value::Object(fields) => {
            let names: Vec<_> =
                fields.keys().filter(|key| !matches!(key.as_str(), "kind" | "want" | "said")).cloned().collect();
            if let Some(name) = (!names.is_empty()).then(|| names[pick(rng, names.len())].clone())
                && let Some(value) = fields.get_mut(&name)
            {
                vary(value, rng);
            }
        }
    }
}

/// One of each kind that a voter may hear.
fn corpus() -> Vec<(To, Talk)> {
    let (term, ver) = (Term(3), Ver { term: Term(3), n: 9 });
    let document = Some(Document::founding(["n1", "n2", "n3"].map(name)));
    let sent = Mono(Duration::from_secs(5));
    let id = || "n2/1.1".parse().unwrap();
    let me = || name("n1");
    let mut all: Vec<(To, Talk)> = [
        Message::PreVote { term, ver, nonce: 1 },
        Message::PreVoteReply { term, nonce: 1, granted: true },
        Message::Vote { term, ver, handover: true },
        Message::VoteReply { term, granted: true },
        Message::Beat { term, ver, document, commit: ver, sent },
        Message::BeatReply { term, ver, sent },
        Message::TimeoutNow { term },
    ]
    .map(|message| (To::Voter(me()), Talk::Election(message)))
    .into();
    let wants = [
        Want::Slot { id: id(), kind: "reboot".into(), labels: [("rack".into(), "r1".into())].into() },
        Want::Keep(id()),
        Want::Release { id: id(), failed: true },
        Want::Break(id()),
        Want::Freeze(true),
        Want::Join(Bound { seat: Seat(1), boot: Boot(2) }),
        Want::Leave(name("n3")),
        Want::HandOver { from: me(), to: None },
    ];
    let ask = |want| Talk::Ask(Ask { nonce: 5, waited: Duration::from_secs(1), want, reason: "kernel".into() });
    all.extend(wants.map(|want| (To::Leader, ask(want))));
    let says = [
        Said::Granted { id: id(), fence: ver, ttl: Duration::from_secs(60) },
        Said::Queued { position: 1, blocked: "x".into() },
        Said::Done("done".into()),
        Said::Refused("no".into()),
    ];
    all.extend(says.map(|said| (To::Node(me()), Talk::Answer(Answer { nonce: 5, term, said }))));
    let interval = Duration::from_secs(2);
    let beacon = Beacon { term, commit: ver, interval, voters: vec![me()], nodes: 3, frozen: None };
    all.push((To::All, Talk::Beacon(beacon)));
    all.extend([Presence::Here, Presence::Leaves, Presence::Gone].map(|p| (To::Registry, Talk::Presence(p))));
    all.push((To::Registry, Talk::Report(Arc::new(NodeReport { cpus: 4, ..NodeReport::default() }))));
    all
}

fn at(millis: u64) -> Now {
    Now { mono: Mono(Duration::from_millis(1_000_000 + millis)), wall: Wall(millis * 1000) }
}

/// n1 of a fleet of three, or of one that leads.
fn voter(alone: bool) -> Fleet {
    let voters = if alone { vec![name("n1")] } else { ["n1", "n2", "n3"].map(name).into() };
    let config = Config { name: "lab".into(), voters, brokers: vec!["mqtt://b".into()], ..Config::alone(&name("n1")) };
    let start = Start {
        node: name("n1"),
        config: Some(Arc::new(config)),
        voter: Found::Never,
        file: NodeFile::default(),
        seat: Seat(1),
        seed: 1,
    };
    let (mut fleet, _) = Fleet::start(start, at(0));
    fleet.handle(Input::Broker(0, Ok(())), at(1));
    fleet.handle(Input::Written(reeve_core::election::Mark(1)), at(2));
    fleet.handle(Input::Tick, at(3));
    (2..6).for_each(|mark| drop(fleet.handle(Input::Written(reeve_core::election::Mark(mark)), at(3))));
    fleet
}

#[test]
fn sec_08_no_message_breaks_a_voter_or_makes_it_grow() {
    let (cases, seed) = (number("REEVE_FUZZ_CASES", 20_000), number("REEVE_FUZZ_SEED", 1));
    let (mut rng, theirs, mine) = (Rng::new(seed), Home::new("lab", &name("n2")), Home::new("lab", &name("n1")));
    let sender = Sender { node: name("n2"), seat: Seat(2), boot: Boot(1) };
    let good: Vec<_> = corpus().iter().map(|(to, talk)| (theirs.route(to, talk).topic, talk.clone())).collect();
    let payloads: Vec<_> = good.iter().map(|(_, talk)| encode("lab", &sender, 1, talk)).collect();
    let (mut fleets, mut taken) = ([voter(false), voter(true)], 0_u64);
    for case in 0..cases {
        let which = usize::try_from(rng.below(good.len() as u64)).unwrap();
        let mut bytes = encode("lab", &sender, case + 1, &good[which].1);
        if rng.below(4) == 0 {
            mutate(&mut bytes, &payloads, &mut rng);
        } else {
            let mut value: Value = serde_json::from_slice(&bytes).unwrap();
            (0..=rng.below(3)).for_each(|_| vary(&mut value["say"], &mut rng));
            bytes = value.to_string().into_bytes();
        }
        let Ok((from, seq, talk)) = decode(&mine, &good[which].0, &bytes) else { continue };
        taken += 1;
        // Made-up names, as many as there are messages: only a broker without permissions lets them through.
        let node = if taken.is_multiple_of(3) { name(&format!("x{taken}")) } else { from.node };
        let from = Sender { node, ..from };
        for fleet in &mut fleets {
            let input =
                Input::Heard { from: from.clone(), seq, broker: 0, retained: case % 5 == 0, talk: talk.clone() };
            let outputs = fleet.handle(input, at(10 + case));
            assert!(outputs.len() < 50, "seed {seed} case {case}: {} outputs of {talk:?}", outputs.len());
        }
    }
    println!("{cases} messages from seed {seed}, {taken} of them could be read");
    assert!(taken > cases / 4, "most changes must not end at the door");
    for fleet in &mut fleets {
        let status = fleet.status(at(20 + cases));
        let size = (status.nodes.len(), status.slots.len(), status.past.len(), status.voters.len());
        assert!(size.0 <= 20_000 && size.1 <= 20_000 && size.2 <= 200 && size.3 <= 6, "{size:?}");
    }
}

#[test]
fn rec_02_no_file_breaks_a_start_and_none_that_was_changed_is_believed() {
    let (cases, seed) = (number("REEVE_FUZZ_CASES", 20_000) / 10, number("REEVE_FUZZ_SEED", 1));
    let folder = tempfile::tempdir().unwrap();
    let files = VoterFile::new(folder.path(), Arc::new(RealDisk));
    let founding = Document::founding(["n1", "n2", "n3"].map(name));
    let ballot = Ballot { term: Term(7), boot: Boot(3), ..Ballot::new("lab", name("n1"), Seat(9), founding) };
    let held = HeldRecord { kind: "reboot".into(), reason: "kernel".into(), fence: Some(Ver { term: Term(7), n: 2 }) };
    let file = NodeFile { term: Term(7), held: [("n1/3.1".parse().unwrap(), held)].into() };
    files.write(&ballot).unwrap();
    files.write_node(&file).unwrap();
    let paths = ["voter.json", "voter.seat", "fleet.json"].map(|name| folder.path().join(name));
    let whole = paths.clone().map(|path| std::fs::read(path).unwrap());
    let mut rng = Rng::new(seed);
    for case in 0..cases {
        let which = usize::try_from(rng.below(3)).unwrap();
        let mut bytes = whole[which].clone();
        mutate(&mut bytes, &whole, &mut rng);
        std::fs::write(&paths[which], &bytes).unwrap();
        match files.read("lab", &name("n1")) {
            Found::Ballot(found) => assert_eq!(*found, ballot, "seed {seed} case {case}"),
            Found::Lost(why) => assert!(why.contains("does not vote"), "{why}"),
            Found::Never => panic!("seed {seed} case {case}: a file is there"),
        }
        if let Ok(found) = files.read_node() {
            assert!(found == file || found == NodeFile::default(), "seed {seed} case {case}: {found:?}");
        }
        std::fs::write(&paths[which], &whole[which]).unwrap();
    }
}
