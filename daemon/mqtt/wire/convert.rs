//! The wire's own types, and the way from and to those of the core. Times are spans: microseconds of the sender's clock.

use reeve_core::Mono;
use reeve_core::election::{Message, NodeName, Term, Ver};
use reeve_core::fleet::{Answer, Ask, Beacon, Bound, Document, NodeReport, Presence, Said, SlotId, Talk, Want};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is said. The document and a node's report are as the core keeps them on disk: one shape for both.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Body {
    PreVote { term: Term, ver: Ver, nonce: u64 },
    PreVoteReply { term: Term, nonce: u64, granted: bool },
    Vote { term: Term, ver: Ver, handover: bool },
    VoteReply { term: Term, granted: bool },
    Beat { term: Term, ver: Ver, document: Option<Document>, commit: Ver, sent: u64 },
    BeatReply { term: Term, ver: Ver, sent: u64 },
    TimeoutNow { term: Term },
    Beacon { term: Term, commit: Ver, interval_ms: u64, voters: Vec<NodeName>, nodes: u32, frozen: Option<String> },
    Here,
    Leaves,
    Gone,
    Report { report: Arc<NodeReport> },
    Ask { nonce: u64, waited_ms: u64, want: Wanted, reason: String },
    Answer { nonce: u64, term: Term, said: Reply },
    Echo { nonce: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "want", rename_all = "kebab-case")]
pub(super) enum Wanted {
    Slot { id: SlotId, slot: String, labels: BTreeMap<String, String> },
    Keep { id: SlotId },
    Release { id: SlotId, failed: bool },
    Break { id: SlotId },
    Freeze { on: bool },
    Join { bound: Bound },
    Leave { node: NodeName },
    HandOver { from: NodeName, to: Option<NodeName> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "kebab-case")]
pub(super) enum Reply {
    Granted { id: SlotId, fence: Ver, ttl_ms: u64 },
    Queued { position: u32, blocked: String },
    Done { text: String },
    Refused { text: String },
}

fn micros(at: Mono) -> u64 {
    u64::try_from(at.0.as_micros()).unwrap_or(u64::MAX)
}

fn mono(micros: u64) -> Mono {
    Mono(Duration::from_micros(micros))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl From<&Talk> for Body {
    fn from(talk: &Talk) -> Self {
        match talk {
            Talk::Election(message) => Body::from(message),
            Talk::Beacon(beacon) => Body::Beacon {
                term: beacon.term,
                commit: beacon.commit,
                interval_ms: millis(beacon.interval),
                voters: beacon.voters.clone(),
                nodes: beacon.nodes,
                frozen: beacon.frozen.clone(),
            },
            Talk::Presence(Presence::Here) => Body::Here,
            Talk::Presence(Presence::Leaves) => Body::Leaves,
            Talk::Presence(Presence::Gone) => Body::Gone,
            Talk::Report(report) => Body::Report { report: Arc::clone(report) },
            Talk::Ask(ask) => Body::Ask {
                nonce: ask.nonce,
                waited_ms: millis(ask.waited),
                want: Wanted::from(&ask.want),
                reason: ask.reason.clone(),
            },
            Talk::Answer(answer) => {
                Body::Answer { nonce: answer.nonce, term: answer.term, said: Reply::from(&answer.said) }
            }
            Talk::Echo(nonce) => Body::Echo { nonce: *nonce },
        }
    }
}

impl From<&Message> for Body {
    fn from(message: &Message) -> Self {
        match message.clone() {
            Message::PreVote { term, ver, nonce } => Body::PreVote { term, ver, nonce },
            Message::PreVoteReply { term, nonce, granted } => Body::PreVoteReply { term, nonce, granted },
            Message::Vote { term, ver, handover } => Body::Vote { term, ver, handover },
            Message::VoteReply { term, granted } => Body::VoteReply { term, granted },
            Message::Beat { term, ver, document, commit, sent } => {
                Body::Beat { term, ver, document, commit, sent: micros(sent) }
            }
            Message::BeatReply { term, ver, sent } => Body::BeatReply { term, ver, sent: micros(sent) },
            Message::TimeoutNow { term } => Body::TimeoutNow { term },
        }
    }
}

impl From<Body> for Talk {
    fn from(body: Body) -> Self {
        let message = match body {
            Body::PreVote { term, ver, nonce } => Message::PreVote { term, ver, nonce },
            Body::PreVoteReply { term, nonce, granted } => Message::PreVoteReply { term, nonce, granted },
            Body::Vote { term, ver, handover } => Message::Vote { term, ver, handover },
            Body::VoteReply { term, granted } => Message::VoteReply { term, granted },
            Body::Beat { term, ver, document, commit, sent } => {
                Message::Beat { term, ver, document, commit, sent: mono(sent) }
            }
            Body::BeatReply { term, ver, sent } => Message::BeatReply { term, ver, sent: mono(sent) },
            Body::TimeoutNow { term } => Message::TimeoutNow { term },
            Body::Beacon { term, commit, interval_ms, voters, nodes, frozen } => {
                let interval = Duration::from_millis(interval_ms);
                return Talk::Beacon(Beacon { term, commit, interval, voters, nodes, frozen });
            }
            Body::Here => return Talk::Presence(Presence::Here),
            Body::Leaves => return Talk::Presence(Presence::Leaves),
            Body::Gone => return Talk::Presence(Presence::Gone),
            Body::Report { report } => return Talk::Report(report),
            Body::Ask { nonce, waited_ms, want, reason } => {
                let waited = Duration::from_millis(waited_ms);
                return Talk::Ask(Ask { nonce, waited, want: Want::from(want), reason });
            }
            Body::Answer { nonce, term, said } => return Talk::Answer(Answer { nonce, term, said: Said::from(said) }),
            Body::Echo { nonce } => return Talk::Echo(nonce),
        };
        Talk::Election(message)
    }
}

impl From<&Want> for Wanted {
    fn from(want: &Want) -> Self {
        match want.clone() {
            Want::Slot { id, kind, labels } => Wanted::Slot { id, slot: kind, labels },
            Want::Keep(id) => Wanted::Keep { id },
            Want::Release { id, failed } => Wanted::Release { id, failed },
            Want::Break(id) => Wanted::Break { id },
            Want::Freeze(on) => Wanted::Freeze { on },
            Want::Join(bound) => Wanted::Join { bound },
            Want::Leave(node) => Wanted::Leave { node },
            Want::HandOver { from, to } => Wanted::HandOver { from, to },
        }
    }
}

impl From<Wanted> for Want {
    fn from(want: Wanted) -> Self {
        match want {
            Wanted::Slot { id, slot, labels } => Want::Slot { id, kind: slot, labels },
            Wanted::Keep { id } => Want::Keep(id),
            Wanted::Release { id, failed } => Want::Release { id, failed },
            Wanted::Break { id } => Want::Break(id),
            Wanted::Freeze { on } => Want::Freeze(on),
            Wanted::Join { bound } => Want::Join(bound),
            Wanted::Leave { node } => Want::Leave(node),
            Wanted::HandOver { from, to } => Want::HandOver { from, to },
        }
    }
}

impl From<&Said> for Reply {
    fn from(said: &Said) -> Self {
        match said.clone() {
            Said::Granted { id, fence, ttl } => Reply::Granted { id, fence, ttl_ms: millis(ttl) },
            Said::Queued { position, blocked } => Reply::Queued { position, blocked },
            Said::Done(text) => Reply::Done { text },
            Said::Refused(text) => Reply::Refused { text },
        }
    }
}

impl From<Reply> for Said {
    fn from(said: Reply) -> Self {
        match said {
            Reply::Granted { id, fence, ttl_ms } => Said::Granted { id, fence, ttl: Duration::from_millis(ttl_ms) },
            Reply::Queued { position, blocked } => Said::Queued { position, blocked },
            Reply::Done { text } => Said::Done(text),
            Reply::Refused { text } => Said::Refused(text),
        }
    }
}
