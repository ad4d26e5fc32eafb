//! Tables: which cards are chosen, what shuts the gate, what opens a breaker.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::books::Books;
use super::gate::{AGAIN, LIMIT};
use super::place::{Request, choose};
use super::{Card, Hold, Inventory, Process, Slice, Way};
use crate::ids::{ReplicaId, WorkerName};
use crate::time::{Mono, Now, Wall};
use std::collections::BTreeMap;
use std::time::Duration;

const GIB: u64 = 1 << 30;

fn id(text: &str) -> ReplicaId {
    let (worker, index) = text.split_once('/').unwrap();
    ReplicaId::new(WorkerName::new(worker).unwrap(), index.parse().unwrap())
}

fn now(seconds: u64) -> Now {
    let span = Duration::from_secs(seconds);
    Now { mono: Mono(span), wall: Wall(1_790_000_000_000_000).plus(span) }
}

/// A card per entry, on that CPU node.
fn cards(nodes: &[u32]) -> Vec<Card> {
    let card = |(index, node): (usize, &u32)| Card {
        index: index as u32,
        uuid: format!("GPU-{index}"),
        numa_node: Some(*node),
        nodes: vec![format!("/dev/nvidia{index}")],
        memory_total: Some(80 * GIB),
        memory_used: Some(GIB / 100),
        ..Card::default()
    };
    nodes.iter().enumerate().map(card).collect()
}

fn saw(books: &mut Books, cards: Vec<Card>, at: u64) -> super::books::Changed {
    let owner = |path: &str| path.strip_prefix("/live-").map(|of| id(&of.replace('-', "/")));
    books.saw(Inventory { at: now(at).mono, hold: Hold::Held, cards }, now(at), owner)
}

fn books(nodes: &[u32]) -> Books {
    let mut books = Books::new(BTreeMap::new());
    saw(&mut books, cards(nodes), 1);
    books
}

fn ask(least: usize) -> Request {
    Request { least, most: least, ..Request::default() }
}

fn given(books: &Books, request: &Request, kept: &[&str]) -> Vec<String> {
    let kept: Vec<String> = kept.iter().map(|s| (*s).to_owned()).collect();
    choose(books, request, &id("web/1"), &kept, |_| true).unwrap()
}

fn process(pid: u32, memory: u64, cgroup: &str) -> Process {
    Process { pid, memory: Some(memory), gpu_instance: None, cgroup: Some(cgroup.to_owned()) }
}

/// SUP-05: near each other, near the CPU, the node that is filled best, what it had before.
#[test]
fn sup_05_cards_are_chosen_near_each_other() {
    let two = books(&[0, 0, 0, 1, 1]);
    assert_eq!(given(&two, &ask(1), &[]), ["GPU-3"], "the smaller node keeps the larger one whole");
    assert_eq!(given(&two, &ask(2), &[]), ["GPU-3", "GPU-4"]);
    assert_eq!(given(&two, &ask(3), &[]), ["GPU-0", "GPU-1", "GPU-2"]);
    assert_eq!(given(&two, &ask(4), &[]), ["GPU-0", "GPU-1", "GPU-2", "GPU-3"]);
    assert_eq!(given(&two, &Request { near: Some(0), ..ask(1) }, &[]), ["GPU-0"]);
    assert_eq!(given(&two, &ask(1), &["GPU-1"]), ["GPU-1"], "kept");
    assert_eq!(given(&two, &Request { most: 2, ..ask(1) }, &["GPU-1"]), ["GPU-1"], "enough is enough");
    assert_eq!(given(&two, &Request { most: 9, ..ask(0) }, &[]).len(), 5);
    assert!(given(&two, &ask(0), &["GPU-1"]).is_empty());
}

/// SUP-05: NVLink before a PCIe switch before a host bridge, whatever the numbers; a way that is not known is the longest.
#[test]
fn sup_05_cards_with_a_short_way_to_each_other_are_chosen() {
    // Bridges of NVLink join 0 with 2 and 1 with 3; 4 and 5 share a switch.
    let mut all = cards(&[0; 6]);
    let mut join = |a: usize, b: usize, way: Way| {
        let (from, to) = (all[a].uuid.clone(), all[b].uuid.clone());
        all[a].ways.insert(to, way);
        all[b].ways.insert(from, way);
    };
    for (a, b) in (0..6).flat_map(|a| (a + 1..6).map(move |b| (a, b))) {
        join(a, b, Way::Bridge);
    }
    join(0, 2, Way::Nvlink);
    join(1, 3, Way::Nvlink);
    join(4, 5, Way::Switch);
    let mut books = Books::new(BTreeMap::new());
    saw(&mut books, all.clone(), 1);
    assert_eq!(given(&books, &ask(2), &[]), ["GPU-0", "GPU-2"]);
    assert_eq!(given(&books, &ask(4), &[]), ["GPU-0", "GPU-1", "GPU-2", "GPU-3"]);
    assert_eq!(given(&books, &ask(2), &["GPU-3"]), ["GPU-1", "GPU-3"], "what it had, and what is near that");
    all[2].processes = vec![process(7, GIB, "/stranger")];
    all[3].processes = vec![process(8, GIB, "/stranger")];
    saw(&mut books, all, 2);
    assert_eq!(given(&books, &ask(2), &[]), ["GPU-4", "GPU-5"], "strangers come first");
}

/// SUP-05: strangers' cards come last, and neighbours first.
#[test]
fn sup_05_strangers_are_avoided() {
    let mut cards = cards(&[0, 0, 0, 0]);
    cards[1].processes.push(process(7, GIB, "/user.slice"));
    let mut books = Books::new(BTreeMap::new());
    saw(&mut books, cards, 1);
    assert_eq!(given(&books, &ask(2), &[]), ["GPU-2", "GPU-3"]);
    assert_eq!(given(&books, &ask(4), &[]).len(), 4);
}

/// SUP-05: refused with the reason, and whether it could ever fit.
#[test]
fn sup_05_what_does_not_fit_is_refused_with_the_reason() {
    let mut books = books(&[0, 0]);
    let refused = |books: &Books, request: &Request| {
        let why = choose(books, request, &id("web/1"), &[], |owner| owner.worker.as_str() != "gone").unwrap_err();
        (why.never, why.reason)
    };
    assert_eq!(refused(&books, &ask(3)), (true, "it asks for 3 GPUs, and this node has 2".into()));
    books.give(&id("train/1"), &["GPU-0".into()]);
    books.give(&id("gone/1"), &["GPU-1".into()]);
    assert_eq!(given_to(&books), ["GPU-1"], "an owner who is not wanted any more holds nothing");
    let why = refused(&books, &ask(2));
    assert_eq!(why, (false, "waits for 2 GPUs: 1 of 2 can be given; held by train/1".into()));
    let mut sick = cards(&[0, 0]);
    sick[1].facts.remap_failure = Some(true);
    saw(&mut books, sick, 2);
    assert!(refused(&books, &ask(2)).1.contains("GPU 1 (GPU-1) is out: a row remap has failed"));
    let why = Request { profile: Some("1g.10gb".into()), ..ask(1) };
    assert_eq!(refused(&books, &why), (true, "it asks for 1 1g.10gb slice, and this node has none".into()));
    for (hold, never) in [(Hold::Released, false), (Hold::Unavailable("no driver".into()), false), (Hold::Off, true)] {
        books.saw(Inventory { hold, ..Inventory::default() }, now(3), |_| None);
        assert_eq!(refused(&books, &ask(1)).0, never);
    }
}

fn given_to(books: &Books) -> Vec<String> {
    choose(books, &ask(1), &id("web/1"), &[], |owner| owner.worker.as_str() != "gone").unwrap()
}

/// SUP-05: slices of one profile are given one by one; a sliced card is never given whole.
#[test]
fn sup_05_mig_slices_are_given_by_profile() {
    let mut all = cards(&[0, 0]);
    all[0].sliced = true;
    let slice = |n: u32, profile: &str| Slice {
        uuid: format!("MIG-{n}"),
        profile: profile.into(),
        gpu_instance: n,
        memory_total: Some(10 * GIB),
        memory_used: Some(0),
        ..Slice::default()
    };
    all[0].slices = vec![slice(2, "3g.40gb"), slice(7, "1g.10gb"), slice(8, "1g.10gb")];
    let mut books = Books::new(BTreeMap::new());
    saw(&mut books, all.clone(), 1);
    let small = |n| Request { profile: Some("1g.10gb".into()), ..ask(n) };
    assert_eq!(given(&books, &small(2), &[]), ["MIG-7", "MIG-8"]);
    assert_eq!(given(&books, &ask(1), &[]), ["GPU-1"]);
    books.give(&id("train/1"), &["MIG-7".into()]);
    assert_eq!(given(&books, &small(1), &[]), ["MIG-8"]);
    // A dead run on one slice is nothing to the other.
    books.died(&id("train/1"), &["MIG-7".into()], Some("/dead".into()), None, now(5).mono);
    all[0].processes = vec![Process { gpu_instance: Some(7), ..process(9, GIB, "/dead") }];
    saw(&mut books, all, 6);
    assert_eq!((books.gate(&["MIG-8".into()]), books.gate(&["MIG-7".into()]).is_some()), (None, true));
}

/// Supervision note 6.3: a process or memory of the dead run shuts the gate; a look from before its end says nothing.
#[test]
fn sup_05_the_gate_opens_when_the_card_is_clean() {
    let mut books = books(&[0]);
    let mine = ["GPU-0".to_owned()];
    let with = |processes: Vec<Process>, used: u64| {
        let mut all = cards(&[0]);
        (all[0].processes, all[0].memory_used) = (processes, Some(used));
        all
    };
    // A child whose cgroup can still be read while the run lives, and not afterwards.
    let child = process(8, 3 * GIB, "/live-web-1");
    saw(&mut books, with(vec![child.clone()], 3 * GIB), 9);
    books.died(&id("web/1"), &mine, Some("/sys/fs/cgroup/live-web-1".into()), Some(7), now(10).mono);
    assert!(books.gate(&mine).is_some_and(|why| why.contains("waits for a look")));
    saw(&mut books, with(vec![], GIB / 100), 9);
    assert!(books.gate(&mine).is_some(), "a look that began before the end");
    let orphan = Process { cgroup: None, ..child };
    let changed = saw(&mut books, with(vec![orphan], 3 * GIB), 11);
    assert_eq!(changed.stragglers, [(id("web/1"), Some("/sys/fs/cgroup/live-web-1".to_owned()))]);
    assert!(books.gate(&mine).is_some_and(|why| why.contains("process 8 of its last run is still on GPU 0")));
    let changed = saw(&mut books, with(vec![], 3 * GIB), 12);
    assert!(changed.stragglers.is_empty());
    assert_eq!(books.gate(&mine).unwrap(), "3072 MiB of its last run are still in use on GPU 0 (GPU-0)");
    // Memory of a stranger who is there is not the dead run's.
    let stranger = process(9, 3 * GIB, "/user.slice");
    let changed = saw(&mut books, with(vec![stranger], 3 * GIB), 13);
    assert_eq!((books.gate(&mine), changed.clean), (None, vec![id("web/1")]));
}

/// Supervision note 6.3: what is not clean in time is taken out until it is.
#[test]
fn sup_05_a_card_that_stays_dirty_is_taken_out() {
    let mut books = books(&[0, 0]);
    let mine = ["GPU-0".to_owned()];
    books.died(&id("web/1"), &mine, None, Some(7), now(10).mono);
    let dirty = || {
        let mut all = cards(&[0, 0]);
        all[0].processes = vec![process(7, GIB, "/x")];
        all
    };
    assert!(saw(&mut books, dirty(), 10 + AGAIN.as_secs()).out.is_empty());
    let changed = saw(&mut books, dirty(), 10 + LIMIT.as_secs());
    assert!(changed.out[0].2.reason.starts_with("it is not clean after 60 s: process 7"), "{changed:?}");
    assert_eq!(given(&books, &ask(1), &["GPU-0"]), ["GPU-1"]);
    assert_eq!(saw(&mut books, cards(&[0, 0]), 100).back.len(), 1);
}

/// CBR-02: the breaker of a card opens by an XID, for longer each time, and is kept over restarts.
#[test]
fn cbr_02_the_breaker_of_a_card() {
    let xid = |at: u64| {
        let mut all = cards(&[0]);
        all[0].facts.fatal_xid = Some((79, now(at).wall));
        all
    };
    let mut books = books(&[0]);
    let changed = saw(&mut books, xid(10), 10);
    assert!(changed.records && changed.out.len() == 1);
    assert!(!saw(&mut books, xid(10), 20).records, "the same one again");
    assert!(books.out("GPU-0").is_some());
    let mut restarted = Books::new(books.records().clone());
    saw(&mut restarted, cards(&[0]), 30);
    assert_eq!(restarted.out("GPU-0").map(|o| o.reason.as_str()), Some("XID 79"));
    assert_eq!(saw(&mut restarted, cards(&[0]), 10 + 601).back.len(), 1);
    assert!(saw(&mut restarted, xid(700), 700).records);
    saw(&mut restarted, cards(&[0]), 700 + 601);
    assert!(restarted.out("GPU-0").is_some(), "twice as long");
    saw(&mut restarted, cards(&[0]), 700 + 1201);
    assert!(restarted.out("GPU-0").is_none());
    // A day without another one.
    saw(&mut restarted, cards(&[0]), 700 + 1201 + 25 * 3600);
    assert!(restarted.records().is_empty());
}

/// REC-12: nobody is taken off a sick card where remediation is off, nor on the word of an old look.
#[test]
fn rec_12_a_sick_card_moves_nobody_where_remediation_is_off() {
    let mut sick = cards(&[0]);
    sick[0].facts.lost = Some("gone".into());
    let mut books = books(&[0]);
    saw(&mut books, sick, 2);
    let mine = ["GPU-0".to_owned()];
    assert!(books.sick(&mine).is_some_and(|out| out.lost));
    books.acts = false;
    assert_eq!(books.sick(&mine), None);
    books.acts = true;
    books.saw(Inventory { hold: Hold::Released, ..books.inventory().clone() }, now(3), |_| None);
    assert_eq!(books.sick(&mine), None);
}
