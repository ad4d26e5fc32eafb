//! What is said to a replica's task, and what it says.

use super::settings::Settings;
use reeve_core::metrics::Told;
use reeve_core::status::ReplicaStatus;
use reeve_core::{Mono, ReplicaId, RunId};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// What a replica says, on its way to the loop.
#[derive(Debug)]
pub struct Said {
    /// Whose.
    pub replica: ReplicaId,
    /// What.
    pub what: What,
}

/// What is said.
#[derive(Debug)]
pub enum What {
    /// Series to show instead of those before; they are told again within `period`.
    Series {
        /// They, and what was left out.
        told: Told,
        /// How often it is told at least.
        period: Duration,
    },
    /// Values that somebody decides by have changed.
    Values {
        /// Of which run.
        run: RunId,
        /// All of them.
        values: BTreeMap<String, f64>,
    },
}

/// What concerns a replica.
#[derive(Debug)]
pub(super) enum Note {
    Socket(OwnedFd),
    Starting(Mono, Option<u32>),
    Shown(Mono, Shown),
    Settings(Box<Settings>),
}

/// What the picture shows of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) run: Option<RunId>,
    /// It is up: its page can be asked for.
    pub(super) up: bool,
    pub(super) port: Option<u16>,
    /// By UUID, comma-separated.
    pub(super) gpus: String,
    pub(super) cgroup: Option<String>,
}

impl Shown {
    pub(super) fn of(status: &ReplicaStatus) -> Self {
        let up = matches!(status.state, "ready" | "unready" | "draining" | "saving");
        Self { run: status.run, up, port: status.port, gpus: status.gpus.join(","), cgroup: status.cgroup.clone() }
    }
}
