//! Journal entries: every operator-visible change is one [`Notice`] of a fixed [`Kind`].
//!
//! [`TABLE`] is the one source for `MESSAGE_ID`, priority, the journal catalogue (`journalctl -x`) and the man page.

use crate::ids::{ReplicaId, RunId, WorkerName};

/// How loud an entry is (syslog priorities 3 to 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is broken and stays so until somebody acts.
    Error,
    /// Worth a look if it grows.
    Warning,
    /// An operator would see the difference.
    Info,
}

/// One journal entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which.
    pub kind: Kind,
    /// Worker concerned.
    pub worker: Option<WorkerName>,
    /// Replica number concerned.
    pub replica: Option<u32>,
    /// Run concerned.
    pub run: Option<RunId>,
    /// Why, for people: the `REEVE_REASON` field.
    pub reason: String,
}

impl Notice {
    /// An entry of the node.
    pub fn node(kind: Kind, reason: impl Into<String>) -> Self {
        Self { kind, worker: None, replica: None, run: None, reason: reason.into() }
    }
    /// An entry of a worker.
    pub fn worker(kind: Kind, worker: &WorkerName, reason: impl Into<String>) -> Self {
        Self { kind, worker: Some(worker.clone()), replica: None, run: None, reason: reason.into() }
    }
    /// An entry of a replica.
    pub fn replica(kind: Kind, replica: &ReplicaId, run: Option<RunId>, reason: impl Into<String>) -> Self {
        Self { kind, worker: Some(replica.worker.clone()), replica: Some(replica.index), run, reason: reason.into() }
    }
    /// What it is about: `web/2`, `web` or `node`.
    pub fn target(&self) -> String {
        match (&self.worker, self.replica) {
            (Some(w), Some(r)) => format!("{w}/{r}"),
            (Some(w), None) => w.to_string(),
            _ => "node".to_owned(),
        }
    }
    /// The line people read: `web/2: a worker has failed: exit code 1`.
    pub fn message(&self) -> String {
        let info = self.kind.info();
        match &self.worker {
            Some(_) => format!("{}: {}: {}", self.target(), info.title, self.reason),
            None => format!("{}: {}", info.title, self.reason),
        }
    }
}

/// What is fixed for one kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// The kind.
    pub kind: Kind,
    /// Word in events and JSON.
    pub word: &'static str,
    /// `MESSAGE_ID` (sd-id128, made once and never changed).
    pub id: &'static str,
    /// Loudness.
    pub level: Level,
    /// Subject of the catalogue entry.
    pub title: &'static str,
    /// Text of the catalogue entry: what happened, why, what to do. `@FIELD@` are journal fields.
    pub text: &'static str,
}

macro_rules! table {
    ($($kind:ident $word:literal $id:literal $level:ident $title:literal $text:literal)*) => {
        /// Kinds of entries; each is described in [`TABLE`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "TABLE describes each")]
        pub enum Kind { $($kind),* }

        /// Every kind there is.
        pub const TABLE: &[Info] = &[
            $(Info { kind: Kind::$kind, word: $word, id: $id, level: Level::$level, title: $title, text: $text }),*
        ];

        impl Kind {
            /// Its row in [`TABLE`].
            pub fn info(self) -> &'static Info {
                match self { $(Kind::$kind => &Info { kind: Kind::$kind, word: $word, id: $id, level: Level::$level, title: $title, text: $text }),* }
            }
        }
    };
}

table! {
    DaemonStarted "daemon-started" "41a9543f5cc8432ea4382db07bd5ea2e" Info "reeved has started"
      "reeved @REEVE_VERSION@ is ready. Running workers were adopted, none was restarted.\n\
      See `reevectl status`."
    DaemonStopping "daemon-stopping" "534ae2d672e947abaaa7c1084861fa0b" Info "reeved is stopping"
      "reeved was asked to end. Under the systemd launcher the workers run on and are adopted at the next start;\n\
      under the direct launcher they end with it."
    Degraded "degraded" "4147777cc3324d2685dd21a09c0641ee" Warning "a component Reeve leans on is in trouble"
      "@REEVE_REASON@\n\
      Workers are still supervised. The entry `component recovered` follows when it is over."
    Recovered "recovered" "42d9a0ff0eda48afbb6090eb1e5ea44f" Info "a component works again"
      "@REEVE_REASON@"
    ConfigReloaded "config-reloaded" "f29688b23d5b43ba82174b1f28333b15" Info "the configuration was reloaded"
      "Only workers whose definition changed are touched; `reevectl plan` shows what is still to be done."
    ConfigRefused "config-refused" "a6eb44a5dca54d26a832b4e63cc7997f" Warning "the configuration on disk was refused"
      "@REEVE_REASON@\n\
      The old configuration stays in force and no worker was touched. `reevectl config check` lists every mistake\n\
      with file, line and key."
    WorkerStarted "worker-started" "2a41950079534d72accae55e53fd133f" Info "a worker was started"
      "Run @REEVE_RUN@ of @REEVE_WORKER@/@REEVE_REPLICA@ has started: @REEVE_REASON@."
    WorkerReady "worker-ready" "5d54ea5d0c10489599ca28157ca2fea7" Info "a worker is ready"
      "@REEVE_WORKER@/@REEVE_REPLICA@ takes work."
    WorkerUnready "worker-unready" "3578b5c0790d4f2ca1b1c39fef97f532" Warning "a worker is out of rotation"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@. It is not restarted for that; a failing liveness probe would."
    WorkerExited "worker-exited" "cf7e6035c79f48ec8904cf49ab3f2e73" Info "a worker has ended"
      "Run @REEVE_RUN@ of @REEVE_WORKER@/@REEVE_REPLICA@ has ended: @REEVE_REASON@."
    WorkerFailed "worker-failed" "88e74645dd044e2fb50d1369293a6430" Warning "a worker has failed"
      "Run @REEVE_RUN@ of @REEVE_WORKER@/@REEVE_REPLICA@ has failed: @REEVE_REASON@.\n\
      `reevectl runs @REEVE_WORKER@/@REEVE_REPLICA@` shows its last runs, `reevectl logs --previous` what it said."
    StartFailed "start-failed" "340bb3b7c7d8448dbaa2ca690a7f1cdb" Error "a worker could not be started"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@.\n\
      Check `exec`, `user` and the permissions in its definition; it is tried again with a growing delay."
    CrashLoop "crash-loop" "dce6568e1e824ff6a97b0e9f38ad92db" Error "a worker is in a crash loop"
      "@REEVE_WORKER@/@REEVE_REPLICA@ keeps failing the same way: @REEVE_REASON@.\n\
      Its breaker is open: one trial run follows when the delay is over. `reevectl logs --previous @REEVE_WORKER@/@REEVE_REPLICA@`\n\
      shows why it fails; `reevectl reset @REEVE_WORKER@/@REEVE_REPLICA@` tries at once."
    CrashLoopOver "crash-loop-over" "7d3c28e7a7374c7292c272abd9a70ea1" Info "a crash loop is over"
      "@REEVE_WORKER@/@REEVE_REPLICA@ has stayed up: @REEVE_REASON@."
    WorkerParked "worker-parked" "e1ed5a3d86d64c6f96fc7c380d934baf" Error "a worker is not restarted"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@.\n\
      It waits for `reevectl reset` or a changed definition."
    WorkerDone "worker-done" "5a4910b303ac483bb0ab90f10f253e46" Info "a worker is done"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@."
    ProbeFailed "probe-failed" "e7db41af6533408ba3cd5f6f5d13a139" Warning "a liveness check failed"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@."
    RemediationSpent "remediation-spent" "f187afa7474f4175b171d70446ae1386" Warning "a sick worker is not restarted"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@.\n\
      See `remediation` in reeve.toml(5); `reevectl restart @REEVE_WORKER@/@REEVE_REPLICA@` does it by hand."
    StopIgnored "stop-ignored" "fcdf9a1e1b1f4da395504cf1663da6a9" Warning "a worker ignored the stop signal"
      "@REEVE_WORKER@/@REEVE_REPLICA@ was killed with all its processes: @REEVE_REASON@."
    DrainStarted "drain-started" "e449dab7d5894a91a2c1e57ed89d1474" Info "a worker is being drained"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@."
    DrainFinished "drain-finished" "b9541f9555da4c4694fb4cae60da8a40" Info "a drain has ended"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@."
    DrainTimeout "drain-timeout" "67f6888fd8a845d282322e0623ae0655" Warning "a drain took too long"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@. It is stopped with work in hand."
    WorkerPaused "worker-paused" "7992e7eca17c4c30829fcc34bee81577" Info "a worker is paused"
      "@REEVE_WORKER@/@REEVE_REPLICA@ is frozen: @REEVE_REASON@. `reevectl resume` thaws it."
    WorkerIsolated "worker-isolated" "7e6dd166c8f2408e8a5581dfa8c184c6" Warning "a worker is isolated"
      "@REEVE_WORKER@/@REEVE_REPLICA@ is frozen and off the network: @REEVE_REASON@."
    WorkerResumed "worker-resumed" "22531938d4f544cbb557a58cf79a59cb" Info "a worker runs again"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@."
    WorkerAdopted "worker-adopted" "878c20b1c4fe4320bff0d284eb294df5" Info "a running worker was adopted"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@."
    UnsupervisedRuns "unsupervised-runs" "874059f8e70043a6a1cda9dd5bcf1268" Warning "a worker ended while reeved was away"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@. The runs are in `reevectl runs`, marked unsupervised."
    Orphan "orphan" "10e964aa0b574341904262f1defff054" Warning "a unit that nobody wants was swept"
      "@REEVE_REASON@"
    Damped "damped" "45b5f2f8fe7d4bfc93a4fa0ad755545b" Error "many workers fail of one cause"
      "@REEVE_REASON@\n\
      One of them is tried first; the others wait until it is well."
    DampingOver "damping-over" "9f38aa3f28f94d3d8021e5382903fb86" Info "a mass crash is over"
      "@REEVE_REASON@"
    Unplaceable "unplaceable" "96659c093a544169b0237f21a971371b" Warning "a worker does not fit this node"
      "@REEVE_WORKER@: @REEVE_REASON@."
    Scaled "scaled" "8b5deef4ec4f4130bdb26cf3463bd3fe" Info "a worker was scaled"
      "@REEVE_WORKER@: @REEVE_REASON@."
    GpuOut "gpu-out" "a9e8ff6fb32e42088d79c08ae9ff9eed" Error "a GPU takes no more work"
      "@REEVE_REASON@\n\
      Its workers move to other GPUs, or wait for one. `reevectl gpu list` shows all of them; see nvidia-smi -q for the\n\
      card's own account. A card that needs a reset is reset after `reevectl gpu release`."
    GpuBack "gpu-back" "6009ebe256164489838686f9aa0d7ddb" Info "a GPU takes work again"
      "@REEVE_REASON@"
    GpusReleased "gpus-released" "18a4a5d914834bc9b4761e9ad4d264b0" Info "NVML was let go of"
      "@REEVE_REASON@\n\
      Nothing is measured on GPUs and no worker is started on one until `reevectl gpu acquire`."
    GpusAcquired "gpus-acquired" "91e52c45d7f74bb4a2a2489490d5535e" Info "NVML is held again"
      "@REEVE_REASON@"
    GpuStragglers "gpu-stragglers" "e32114a9aa8a425d81951c5988200151" Warning "a dead run still holds its GPU"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@. What is left in its cgroup is killed; nothing is started on the GPU\n\
      before it is clean."
    LimitsSet "limits-set" "16b5cfb2bd894f5294cb85383c35f116" Info "limits were changed live"
      "@REEVE_WORKER@: @REEVE_REASON@."
    LimitsRefused "limits-refused" "4df570dbfc0e4068b750c9b87ad03af3" Warning "a request on a live run was refused"
      "@REEVE_WORKER@/@REEVE_REPLICA@: @REEVE_REASON@."
    OperationStarted "operation-started" "c32938f21e344a7e8762fdb702d9f635" Info "a command was accepted"
      "@REEVE_REASON@"
    OperationFinished "operation-finished" "fa1ba44a29034b8dafba2cf3b78023b0" Info "a command has ended"
      "@REEVE_REASON@"
    NodeDraining "node-draining" "9701ba9425f2405b8564413dc84080b2" Info "the node is being drained"
      "@REEVE_REASON@"
    NodeDrained "node-drained" "794034def1a446e2b457b55e447f42a7" Info "the node is drained"
      "@REEVE_REASON@"
    NodeUndrained "node-undrained" "2613e9d15b854a12b65ccbdb72744f4d" Info "the node takes work again"
      "@REEVE_REASON@"
    Resumed "resumed" "2e77267343a54eeeb6a7a5beb89576e0" Info "the machine was suspended"
      "@REEVE_REASON@ Probe, watchdog and start timers begin anew; no worker is restarted for the gap."
    StateTorn "state-torn" "7a4c75ef98664d53aa043a7d637731b9" Error "a damaged state file was set aside"
      "@REEVE_REASON@\n\
      Nothing was lost that had been written before; the file is kept beside with the ending `.damaged`."
    FleetLeader "fleet-leader" "9b05b5763f7a43da9929dde41badd3c9" Info "the fleet has another leader"
      "@REEVE_REASON@\n\
      Workers are not touched. `reevectl fleet why leader` tells how it came about."
    FleetNoQuorum "fleet-no-quorum" "165904159a394e96ad8bdd2f9e93b076" Warning "the fleet has no leader"
      "@REEVE_REASON@\n\
      Workers run on and are supervised; no slot is granted and nothing is rolled out until most voters and a broker can\n\
      reach each other. `reevectl fleet status` shows which of them cannot."
    FleetQuorum "fleet-quorum" "0522031a4169474c975653b0d8c04451" Info "the fleet has a leader again"
      "@REEVE_REASON@"
    FleetSilent "fleet-silent" "c2bc43d802424191b3dcfd05b9ba74d7" Error "this node votes no more"
      "@REEVE_REASON@\n\
      A voter that could have forgotten what it promised would let two nodes lead at once."
    FleetTrouble "fleet-trouble" "ddd4215795fa4e4cb86e8c59c7f6a053" Warning "something is wrong in the fleet"
      "@REEVE_REASON@\n\
      `reevectl fleet status` shows more."
    FleetBrokerLost "fleet-broker-lost" "fa58e10936ea407f99f9365229011ea8" Warning "a broker is not connected"
      "@REEVE_REASON@\n\
      It is tried again with a growing delay. One connected broker is enough; without any no leader can be elected and\n\
      workers run on."
    FleetBrokerBack "fleet-broker-back" "e592679a6e5c46ec83778b0a629b001a" Info "a broker is connected"
      "@REEVE_REASON@"
    FleetNodeLost "fleet-node-lost" "6c0c42fd5f58444dae2da4e229f17285" Warning "a node is lost"
      "@REEVE_REASON@\n\
      It counts as out of service in the budgets of slots. `reevectl fleet nodes` shows when it was heard last."
    FleetNodeBack "fleet-node-back" "2b515e8226814f27a3a5f96cb427e2f0" Info "a lost node is back"
      "@REEVE_REASON@"
    FleetSlotGranted "fleet-slot-granted" "ebf5069a55a7488384adea43e6783822" Info "a slot was granted"
      "@REEVE_REASON@"
    FleetSlotReleased "fleet-slot-released" "4622cbdd34d4436b9af5e161268f5c83" Info "a slot was released"
      "@REEVE_REASON@"
    FleetSlotSuspect "fleet-slot-suspect" "ec6efdc530be4db3be180ea6e077b8b4" Warning "a slot is suspect"
      "@REEVE_REASON@\n\
      Nobody knows how its node is, so it still counts. Look at the node; then `reevectl fleet release` there, or\n\
      `reevectl fleet break` anywhere."
    FleetSlotBroken "fleet-slot-broken" "eba0c61d751146fc82223c69d7593862" Warning "a slot was broken"
      "@REEVE_REASON@"
    FleetFrozen "fleet-frozen" "50a10d5d5ac1483a9b0ffcbfe9d59bbb" Info "slots were frozen or unfrozen"
      "@REEVE_REASON@"
    FleetVoters "fleet-voters" "98b6d523fe194971a4f819a10f2cfbf2" Info "the voters of the fleet have changed"
      "@REEVE_REASON@\n\
      Say so in fleet.voters of each node, for those that start with nothing."
    FleetRecovered "fleet-recovered" "037b9964989f43cea9844a2f03a1a2fc" Warning "the fleet was recovered from a lost majority"
      "@REEVE_REASON@\n\
      Tokens of before lose to those of after. Voters of before that come back do not vote until `reevectl fleet rejoin`."
    Audit "audit" "1b654746e76b4b348678d37109176543" Info "a mutating call was made"
      "@REEVE_CALLER_UID@ asked for @REEVE_ACTION@: @REEVE_RESULT@."
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_and_words_are_unique_and_well_formed() {
        let ids: BTreeSet<_> = TABLE.iter().map(|i| i.id).collect();
        let words: BTreeSet<_> = TABLE.iter().map(|i| i.word).collect();
        assert_eq!((ids.len(), words.len()), (TABLE.len(), TABLE.len()));
        for info in TABLE {
            assert!(info.id.len() == 32 && info.id.bytes().all(|b| b.is_ascii_hexdigit()), "{}", info.word);
            assert_eq!(info.kind.info(), info);
        }
    }
}
