//! The fake store: what `Append`, `Record` and `Persist` wrote, and what a new daemon is given of it.

use reeve_core::persist::{LiveRun, NodeRecord, ReplicaHistory, RestartRecord, Restored, RunEntry};
use reeve_core::{ExitRecord, ReplicaId, RunId};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Store {
    pub node: NodeRecord,
    logs: BTreeMap<ReplicaId, Log>,
}

#[derive(Debug, Default)]
struct Log {
    live: Option<LiveRun>,
    restart: RestartRecord,
    port: Option<u16>,
    gpus: reeve_core::persist::GpuGrant,
    exits: Vec<ExitRecord>,
}

impl Store {
    pub fn append(&mut self, id: &ReplicaId, entry: RunEntry) {
        let log = self.logs.entry(id.clone()).or_default();
        match entry {
            RunEntry::Started(live) => log.live = Some(live),
            RunEntry::Ready(ready) => {
                if let Some(live) = &mut log.live {
                    live.ready = ready;
                }
            }
            RunEntry::Frozen { frozen, isolated } => {
                if let Some(live) = &mut log.live {
                    (live.frozen, live.isolated) = (frozen, isolated);
                }
            }
            RunEntry::Exited(record) => self.record(record),
            RunEntry::Tail { .. } => {}
            RunEntry::Restart(books) => log.restart = books,
            RunEntry::Port(port) => log.port = Some(port),
            RunEntry::Gpus(grant) => log.gpus = grant,
        }
    }

    /// The same run written twice counts once, as in the real store.
    pub fn record(&mut self, record: ExitRecord) {
        let log = self.logs.entry(record.replica_id()).or_default();
        if log.live.as_ref().is_some_and(|l| l.run == record.run) {
            log.live = None;
        }
        match log.exits.iter_mut().find(|e| e.run == record.run) {
            Some(known) => *known = record,
            None => log.exits.push(record),
        }
    }

    /// How often the end of a run stands in the log of its replica.
    pub fn records_of(&self, id: &ReplicaId, run: RunId) -> usize {
        self.logs.get(id).map_or(0, |l| l.exits.iter().filter(|e| e.run == run).count())
    }

    pub fn parked(&self, id: &ReplicaId) -> bool {
        self.logs.get(id).is_some_and(|l| l.restart.parked.is_some())
    }

    pub fn restored(&self) -> Restored {
        let history = |log: &Log| ReplicaHistory {
            live: log.live.clone(),
            restart: log.restart.clone(),
            port: log.port,
            gpus: log.gpus.clone(),
            last_exit: log.exits.last().cloned(),
        };
        Restored {
            node: self.node.clone(),
            replicas: self.logs.iter().map(|(id, log)| (id.clone(), history(log))).collect(),
        }
    }
}
