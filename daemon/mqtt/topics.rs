//! Where what is said goes: `reeve/<fleet>/…`. A node writes only under its own name, which a broker's access rules can
//! hold it to (`reevectl fleet broker-config`).
//!
//! | topic | writer | readers | QoS, kept |
//! |---|---|---|---|
//! | `v/<to>/<from>` | voter | that voter | 0, no |
//! | `lead/<id>` | voter | all | 0, yes |
//! | `n/<id>/up` | node, or a broker for it | voters | 1, yes |
//! | `n/<id>/rep` | node | voters | 0, yes |
//! | `n/<id>/ask` | node | voters | 0, no |
//! | `n/<id>/rx/<from>` | voters, and the node itself | that node | 0, no |

use reeve_core::election::NodeName;
use reeve_core::fleet::{Talk, To};

/// The topics of one node in its fleet.
#[derive(Debug, Clone)]
pub struct Home {
    fleet: String,
    prefix: String,
    node: NodeName,
}

/// Where something is published, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Topic.
    pub topic: String,
    /// Kept by the brokers.
    pub retain: bool,
    /// QoS 1.
    pub acknowledged: bool,
}

/// What kind of thing may stand on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Vote,
    Lead,
    Up,
    Report,
    Ask,
    Rx,
}

impl Class {
    /// Whether it may be said there.
    pub(super) fn carries(self, talk: &Talk) -> bool {
        match talk {
            Talk::Election(_) => self == Class::Vote,
            Talk::Beacon(_) => self == Class::Lead,
            Talk::Presence(_) => self == Class::Up,
            Talk::Report(_) => self == Class::Report,
            Talk::Ask(_) => self == Class::Ask,
            Talk::Answer(_) | Talk::Echo(_) => self == Class::Rx,
        }
    }
}

impl Home {
    /// Of this node in this fleet.
    pub fn new(fleet: &str, node: &NodeName) -> Self {
        Self { fleet: fleet.to_owned(), prefix: format!("reeve/{fleet}/"), node: node.clone() }
    }

    /// The fleet; empty for a node that is in none, and says nothing.
    pub fn fleet(&self) -> &str {
        &self.fleet
    }

    /// What a node reads; a voter the registry and what is asked, too.
    pub fn subscriptions(&self, voter: bool) -> Vec<String> {
        let (prefix, me) = (&self.prefix, &self.node);
        let mut all = vec![format!("{prefix}lead/+"), format!("{prefix}n/{me}/rx/+")];
        if voter {
            all.push(format!("{prefix}v/{me}/+"));
            all.extend(["up", "rep", "ask"].map(|what| format!("{prefix}n/+/{what}")));
        }
        all
    }

    /// Where something goes.
    pub fn route(&self, to: &To, talk: &Talk) -> Route {
        let me = &self.node;
        let (path, retain) = match to {
            To::Voter(voter) => (format!("v/{voter}/{me}"), false),
            To::All => (format!("lead/{me}"), true),
            To::Registry if matches!(talk, Talk::Presence(_)) => (format!("n/{me}/up"), true),
            To::Registry => (format!("n/{me}/rep"), true),
            To::Leader => (format!("n/{me}/ask"), false),
            To::Node(node) => (format!("n/{node}/rx/{me}"), false),
        };
        let acknowledged = matches!(talk, Talk::Presence(_));
        Route { topic: format!("{}{path}", self.prefix), retain, acknowledged }
    }

    /// What a topic is for, and who writes it.
    pub(super) fn read<'a>(&self, topic: &'a str) -> Option<(Class, &'a str)> {
        let levels: Vec<&str> = topic.strip_prefix(&self.prefix)?.split('/').collect();
        let me = self.node.as_str();
        match levels.as_slice() {
            ["v", to, from] if *to == me => Some((Class::Vote, from)),
            ["lead", from] => Some((Class::Lead, from)),
            ["n", from, "up"] => Some((Class::Up, from)),
            ["n", from, "rep"] => Some((Class::Report, from)),
            ["n", from, "ask"] => Some((Class::Ask, from)),
            ["n", to, "rx", from] if *to == me => Some((Class::Rx, from)),
            _ => None,
        }
    }
}
