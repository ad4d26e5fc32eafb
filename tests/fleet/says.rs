//! What `reevectl --json fleet …` says, as far as these tests read it.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    pub node: String,
    pub role: String,
    pub leader: Option<String>,
    pub term: u64,
    pub quorum: bool,
    pub lease_remaining_ms: Option<u64>,
    pub voters: Vec<String>,
    pub brokers: Vec<Link>,
    pub reason: Option<String>,
    pub frozen: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Link {
    pub connected: bool,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub name: String,
    pub state: String,
    pub heard: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub workers: Vec<Worker>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Worker {
    pub ready: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Slot {
    pub id: String,
    pub holder: String,
    pub kind: String,
    pub state: String,
    pub fence: Option<String>,
    pub position: Option<u64>,
    pub blocked: Option<String>,
}

/// What `fleet ask` brought.
#[derive(Debug, Clone, Deserialize)]
pub struct Asked {
    pub slot: Option<String>,
    pub fence: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Happened {
    pub kind: String,
    pub cause: String,
    pub text: String,
}

impl Status {
    /// It leads, and may act on it. The lease of the only voter does not end.
    pub fn leads(&self) -> bool {
        let only = self.voters == [self.node.clone()];
        self.role == "leader" && self.lease_remaining_ms.map_or(only, |left| left > 0)
    }

    /// Empty when nothing is wrong.
    pub fn why(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }
}
