#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use reeve_core::Mono;
use reeve_core::election::{Message, Term, Ver};
use reeve_core::fleet::{Answer, Ask, Beacon, Bound, Document, NodeReport, Presence, Said, To, Want};
use std::sync::Arc;
use std::time::Duration;

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn me() -> Sender {
    Sender { node: name("a"), seat: Seat(u64::MAX - 1), boot: Boot(3) }
}

/// One of each kind, and where it goes.
fn all() -> Vec<(To, Talk)> {
    let (term, ver) = (Term((1 << 32) + 7), Ver { term: Term(7), n: 9 });
    let sent = Mono(Duration::from_micros(123_456_789));
    let document = Some(Document::founding(["a", "b"].map(name)));
    let id = || "a/12.1".parse().unwrap();
    let votes = [
        Message::PreVote { term, ver, nonce: u64::MAX },
        Message::PreVoteReply { term, nonce: 1, granted: true },
        Message::Vote { term, ver, handover: true },
        Message::VoteReply { term, granted: false },
        Message::Beat { term, ver, document, commit: ver, sent },
        Message::BeatReply { term, ver, sent },
        Message::TimeoutNow { term },
    ];
    let wants = [
        Want::Slot { id: id(), kind: "reboot".into(), labels: [("rack".into(), "r1".into())].into() },
        Want::Keep(id()),
        Want::Release { id: id(), failed: true },
        Want::Break(id()),
        Want::Freeze(true),
        Want::Join(Bound { seat: Seat(1), boot: Boot(2) }),
        Want::Leave(name("c")),
        Want::HandOver { from: name("c"), to: Some(name("b")) },
    ];
    let says = [
        Said::Granted { id: id(), fence: ver, ttl: Duration::from_secs(60) },
        Said::Queued { position: 2, blocked: "b/1.1 comes first".into() },
        Said::Done("done".into()),
        Said::Refused("no".into()),
    ];
    let beacon = Beacon {
        term,
        commit: ver,
        interval: Duration::from_secs(2),
        voters: vec![name("a")],
        nodes: 3,
        frozen: Some("black friday".into()),
    };
    let ask = |want| Talk::Ask(Ask { nonce: 5, waited: Duration::from_millis(1500), want, reason: "kernel".into() });
    let mut all: Vec<(To, Talk)> = votes.map(|message| (To::Voter(name("b")), Talk::Election(message))).into();
    all.extend(wants.map(|want| (To::Leader, ask(want))));
    all.extend(says.map(|said| (To::Node(name("b")), Talk::Answer(Answer { nonce: 5, term, said }))));
    all.push((To::All, Talk::Beacon(beacon)));
    let presences = [Presence::Here, Presence::Leaves, Presence::Gone];
    all.extend(presences.map(|presence| (To::Registry, Talk::Presence(presence))));
    all.push((To::Registry, Talk::Report(Arc::new(NodeReport { cpus: 4, ..NodeReport::default() }))));
    all.push((To::Node(name("b")), Talk::Echo(7)));
    all
}

fn read(topic: &str, payload: &[u8]) -> Result<(Sender, u64, Talk), Wrong> {
    decode(&Home::new("lab", &name("b")), topic, payload)
}

#[test]
fn what_is_said_reads_back() {
    let home = Home::new("lab", &name("a"));
    for (to, talk) in all() {
        let payload = encode("lab", &me(), 42, &talk);
        let topic = home.route(&to, &talk).topic;
        assert_eq!(read(&topic, &payload), Ok((me(), 42, talk)), "{topic}: {}", String::from_utf8_lossy(&payload));
    }
}

#[test]
fn sec_08_what_is_not_what_it_seems_is_dropped_by_name() {
    let home = Home::new("lab", &name("a"));
    let (to, talk) = (To::Leader, all().remove(7).1);
    let (topic, payload) = (home.route(&to, &talk).topic, encode("lab", &me(), 1, &talk));
    let text = String::from_utf8(payload.clone()).unwrap();
    let with = |from: &str, to: &str| read(&topic, text.replace(from, to).as_bytes()).unwrap_err();
    assert_eq!(with("\"node\":\"a\"", "\"node\":\"c\""), Wrong::Sender);
    assert_eq!(with("\"lab\"", "\"other\""), Wrong::OtherFleet);
    assert_eq!(with("\"v\":1", "\"v\":2"), Wrong::Version);
    assert_eq!(with("\"kind\":\"ask\"", "\"kind\":\"sing\""), Wrong::Malformed);
    assert_eq!(with("a/12.1", "a/12"), Wrong::Malformed);
    assert_eq!(read("reeve/lab/lead/a", &payload), Err(Wrong::Topic), "an ask on the leader's topic");
    assert_eq!(read("reeve/lab/v/c/a", &payload), Err(Wrong::Topic), "for another voter");
    assert_eq!(read("reeve/other/n/a/ask", &payload), Err(Wrong::Topic));
    assert_eq!(read(&topic, &vec![b' '; 200_000]), Err(Wrong::TooLarge));
    assert_eq!(read(&topic, b"\xff{"), Err(Wrong::Malformed));
    assert_eq!(read(&topic, &payload[..payload.len() - 1]), Err(Wrong::Malformed));
}

#[test]
fn fields_of_a_newer_version_are_passed_over() {
    let home = Home::new("lab", &name("a"));
    for (to, talk) in all() {
        let text = String::from_utf8(encode("lab", &me(), 1, &talk)).unwrap();
        let newer =
            text.replacen("{", "{\"moon\":{\"phase\":1},", 1).replacen("\"kind\":", "\"more\":[1],\"kind\":", 1);
        assert_eq!(read(&home.route(&to, &talk).topic, newer.as_bytes()), Ok((me(), 1, talk)), "{newer}");
    }
}

/// Each byte of each message changed, cut and doubled: an error or a message, never a panic.
#[test]
fn bytes_that_were_changed_on_the_way_break_nothing() {
    let home = Home::new("lab", &name("a"));
    let mut read_anyway = 0;
    for (to, talk) in all() {
        let (topic, payload) = (home.route(&to, &talk).topic, encode("lab", &me(), 1, &talk));
        for place in 0..payload.len() {
            for byte in [0, b'"', b'{', b'}', b'9', b'-', 0xff] {
                let mut bytes = payload.clone();
                bytes[place] = byte;
                read_anyway += usize::from(read(&topic, &bytes).is_ok());
                bytes.truncate(place);
                assert!(read(&topic, &bytes).is_err());
            }
        }
    }
    assert!(read_anyway > 0, "numbers may change and still be numbers");
}
