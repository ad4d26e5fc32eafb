//! Why: what has happened to a node, a slot or the lead, and how it stands.

use crate::bus::call::Call;
use crate::bus::error::Error;
use reeve_core::Snapshot;
use reeve_core::election::NodeName;
use reeve_core::fleet::{Happened, SlotId};
use zbus::Message;

/// Time, kind, cause, text.
type Row = (u64, &'static str, &'static str, String);

pub(in crate::bus::objects) fn why(call: &mut Call<'_>) -> Result<Message, Error> {
    let subject = Subject::read(&call.args.text()?)?;
    let snapshot = call.handle().snapshot();
    subject.check(&snapshot)?;
    let past = snapshot.fleet.past.iter().filter(|h| subject.concerns(h));
    let mut rows: Vec<Row> = past.map(|h| (h.at.0, h.kind, h.cause, subject.text(h))).collect();
    rows.extend(subject.standing(&snapshot));
    call.reply(&(rows,))
}

/// What is asked about.
enum Subject {
    All,
    Leader,
    Node(NodeName),
    Slot(SlotId),
}

impl Subject {
    fn read(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "" => Subject::All,
            "leader" => Subject::Leader,
            slot if slot.contains('/') => {
                Subject::Slot(slot.parse().map_err(|e| Error::argument(format!("subject: {e}")))?)
            }
            node => Subject::Node(NodeName::new(node).map_err(|e| Error::argument(format!("subject: {e}")))?),
        })
    }

    /// Whether there is or was such a thing, as far as this node knows.
    fn check(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let fleet = &snapshot.fleet;
        let was = || fleet.past.iter().any(|h| self.concerns(h));
        match self {
            Subject::Slot(id) if !fleet.slots.iter().any(|s| s.id == *id) && !was() => {
                Err(Error::new("NoSuchSlot", format!("this node knows of no slot {id}, nor of one that was")))
            }
            Subject::Node(name)
                if snapshot.node.name != name.as_str()
                    && !fleet.nodes.contains_key(name)
                    && !fleet.voters.contains_key(name)
                    && !fleet.slots.iter().any(|s| s.id.node == *name)
                    && !was() =>
            {
                Err(Error::new("NoSuchNode", format!("this node knows of no node {name}")))
            }
            _ => Ok(()),
        }
    }

    fn concerns(&self, happened: &Happened) -> bool {
        match self {
            Subject::All => true,
            // A broker that goes takes the leader with it often enough.
            Subject::Leader => matches!(happened.kind, "leader" | "voters" | "broker"),
            Subject::Slot(id) => happened.subject == id.to_string(),
            Subject::Node(name) => {
                happened.subject == name.as_str()
                    || happened.subject.parse::<SlotId>().is_ok_and(|slot| slot.node == *name)
            }
        }
    }

    /// The sentence, with the subject in front where that is not what was asked about.
    fn text(&self, happened: &Happened) -> String {
        let subject = happened.subject.as_str();
        let known = match self {
            Subject::All | Subject::Leader => false,
            Subject::Slot(_) => true,
            Subject::Node(name) => name.as_str() == subject,
        };
        if known || happened.text.contains(subject) {
            return happened.text.clone();
        }
        format!("{subject}: {}", happened.text)
    }

    /// How it stands, where that needs an explanation.
    fn standing(&self, snapshot: &Snapshot) -> Vec<Row> {
        let fleet = &snapshot.fleet;
        let since = if fleet.since.0 > 0 { fleet.since.0 } else { snapshot.at.0 };
        match self {
            Subject::All | Subject::Leader if fleet.alone => {
                vec![(since, "leader", "alone", "no [fleet] is configured: this node leads itself".to_owned())]
            }
            Subject::All | Subject::Leader if !fleet.reason.is_empty() => {
                vec![(since, "leader", fleet.role, fleet.reason.clone())]
            }
            Subject::Slot(id) => {
                let blocked = fleet.slots.iter().filter(|s| s.id == *id && !s.blocked.is_empty());
                blocked.map(|s| (s.since.0, "slot", s.state, s.blocked.clone())).collect()
            }
            Subject::All | Subject::Leader | Subject::Node(_) => Vec::new(),
        }
    }
}
