//! `[fleet]`.

use super::doc::{Doc, Report};
use crate::config::types::Fleet;
use crate::election::{NodeName, Timing};
use crate::fleet::{Amount, SlotPolicy, Window};
use std::collections::BTreeMap;
use std::sync::Arc;

/// More make each decision slower and none safer.
const VOTERS: usize = 5;

/// The section, if there is one.
pub(super) fn build(doc: &Doc<'_>, node: &str, report: &mut Report) -> Option<Arc<Fleet>> {
    if !doc.is_set("fleet") {
        return None;
    }
    if !doc.is_set("fleet.name") {
        report.error(doc, "fleet.name", &[], "is missing; expected the name of the fleet".to_owned());
    }
    let voters = voters(doc, report);
    let brokers = doc.list("fleet.brokers");
    let alone = voters.len() == 1 && voters.iter().all(|voter| voter.as_str() == node);
    if brokers.is_empty() && !alone && !doc.is_bad("fleet.brokers") {
        let text = "is missing; expected the brokers that all nodes of the fleet connect to, such as \
                    [\"mqtts://broker-a:8883\"]";
        report.error(doc, "fleet.brokers", &[], text.to_owned());
    }
    let rank = |(place, voter): (usize, &NodeName)| (voter.clone(), u32::try_from(VOTERS - place).unwrap_or(0));
    Some(Arc::new(Fleet {
        name: doc.text("fleet.name")?,
        priority: voters.iter().enumerate().take(VOTERS).map(rank).collect(),
        voters,
        brokers,
        timing: match doc.text("fleet.preset").as_deref() {
            Some("fast") => Timing::FAST,
            Some("calm") => Timing::CALM,
            _ => Timing::STD,
        },
        credentials: doc.text("fleet.credentials"),
        report_interval: doc.duration("fleet.report_interval"),
        slots: slots(doc),
    }))
}

fn voters(doc: &Doc<'_>, report: &mut Report) -> Vec<NodeName> {
    let voters: Vec<NodeName> = doc.list("fleet.voters").iter().filter_map(|name| NodeName::new(name).ok()).collect();
    match voters.len() {
        0 if !doc.is_bad("fleet.voters") => {
            let text = "is missing; expected the nodes that elect the leader, the same list on every node: 1, 3 or 5";
            report.error(doc, "fleet.voters", &[], text.to_owned());
        }
        n if n > VOTERS => {
            let text = format!("has {n} nodes; expected 1, 3 or 5: more make each decision slower and none safer");
            report.error(doc, "fleet.voters", &[], text);
        }
        n @ (2 | 4) => {
            let (one, lost) = (n - 1, if n == 2 { "none" } else { "one" });
            let text = format!("has {n} nodes, which may lose {lost} of them, as {one} may; expected 1, 3 or 5");
            report.warning(doc, "fleet.voters", text);
        }
        _ => {}
    }
    voters
}

fn slots(doc: &Doc<'_>) -> BTreeMap<String, SlotPolicy> {
    let policy = |kind: &str| {
        let key = |key: &str| format!("fleet.slots.{kind}.{key}");
        SlotPolicy {
            max_unavailable: doc
                .text(&key("max_unavailable"))
                .and_then(|text| text.parse().ok())
                .unwrap_or(Amount::Count(1)),
            per: doc.text(&key("per")),
            ttl: doc.duration(&key("ttl")),
            break_after: doc.maybe_duration(&key("break_after")),
            windows: doc.list(&key("windows")).iter().filter_map(|text| text.parse::<Window>().ok()).collect(),
        }
    };
    doc.names("fleet.slots").into_iter().map(|kind| (kind.to_owned(), policy(kind))).collect()
}
