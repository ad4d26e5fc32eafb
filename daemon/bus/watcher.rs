//! Announces what changed between two snapshots. Each connection has its own: one that reads slowly sees fewer, larger
//! steps, and holds up nobody.

mod fleet;

use super::names::Object;
use super::objects::properties::{Gauges, View, error_name, task_name, values};
use super::peer::Peer;
use super::signals::Outbox;
use super::table::{self, Emits};
use super::wire::{Dict, PathRef};
use reeve_core::Snapshot;
use reeve_core::status::{OperationStatus, ReplicaStatus, WorkerStatus};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Least span between two looks: what comes and goes faster is told once.
const TICK: Duration = Duration::from_millis(50);

/// Runs until the connection or the daemon ends.
pub(super) async fn run(peer: Arc<Peer>) {
    let context = &peer.context;
    let mut watch = context.handle.watch();
    let mut levels = context.log_level.subscribe();
    let mut old = watch.borrow_and_update().clone();
    let mut old_level = levels.borrow_and_update().clone();
    loop {
        tokio::select! {
            changed = watch.changed() => if changed.is_err() { return },
            changed = levels.changed() => if changed.is_err() { return },
        }
        let new = watch.borrow_and_update().clone();
        let new_level = levels.borrow_and_update().clone();
        let step = Step { before: View::new(&old, context, &old_level), after: View::new(&new, context, &new_level) };
        let mut out = Outbox::new(&peer.connection);
        if let Err(error) = step.announce(&mut out).await {
            tracing::debug!(%error, "changes could not be announced");
            if peer.connection.is_closed() {
                return;
            }
        }
        old = new;
        old_level = new_level;
        tokio::time::sleep(TICK).await;
    }
}

struct Step<'a> {
    before: View<'a>,
    after: View<'a>,
}

impl Step<'_> {
    async fn announce(&self, out: &mut Outbox<'_>) -> zbus::Result<()> {
        self.node(out).await?;
        self.workers(out).await?;
        self.task_runs(out).await?;
        self.fleet(out).await?;
        out.flush().await
    }

    async fn node(&self, out: &mut Outbox<'_>) -> zbus::Result<()> {
        let root = Object::Root;
        self.properties(out, &root).await?;
        let (old, new) = (&self.before.snapshot.node, &self.after.snapshot.node);
        if old.state != new.state {
            let body = (new.state, old.state, new.reason.as_str());
            out.signal(&root, "Manager", "StateChanged", &body).await?;
            let draining = |state: &str| state == "draining" || state == "drained";
            if draining(old.state) != draining(new.state) {
                let body = (draining(new.state), 0_u64);
                out.signal(&root, "Manager", "PrepareForDrain", &body).await?;
            }
        }
        let generation = new.config_generation;
        if generation > old.config_generation {
            let body = (generation, true);
            out.signal(&root, "Manager", "ConfigReloaded", &body).await?;
        } else if new.config_errors > 0 && new.config_errors != old.config_errors {
            let body = (generation, false);
            out.signal(&root, "Manager", "ConfigReloaded", &body).await?;
        }
        Ok(())
    }

    async fn workers(&self, out: &mut Outbox<'_>) -> zbus::Result<()> {
        let (old, new) = (&self.before.snapshot.workers, &self.after.snapshot.workers);
        for (name, worker) in old {
            if !new.contains_key(name) {
                for replica in &worker.replicas {
                    out.removed(&Object::Replica(replica.id.clone())).await?;
                }
                out.removed(&Object::Worker(name.clone())).await?;
            }
        }
        for (name, worker) in new {
            match old.get(name) {
                Some(before) if Arc::ptr_eq(before, worker) => {}
                Some(before) => self.worker(out, before, worker).await?,
                None => {
                    out.added(&self.after, &Object::Worker(name.clone())).await?;
                    for replica in &worker.replicas {
                        let object = Object::Replica(replica.id.clone());
                        out.added(&self.after, &object).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn worker(&self, out: &mut Outbox<'_>, old: &WorkerStatus, new: &WorkerStatus) -> zbus::Result<()> {
        let object = Object::Worker(new.name.clone());
        self.properties(out, &object).await?;
        let change = (old.state, new.state, old.health, new.health);
        changes(out, &object, change, &new.reason).await?;

        let before: BTreeMap<_, &Arc<ReplicaStatus>> = old.replicas.iter().map(|r| (&r.id, r)).collect();
        let after: BTreeSet<_> = new.replicas.iter().map(|r| &r.id).collect();
        for id in before.keys().filter(|id| !after.contains(*id)) {
            out.removed(&Object::Replica((*id).clone())).await?;
        }
        for replica in &new.replicas {
            let object = Object::Replica(replica.id.clone());
            match before.get(&replica.id) {
                Some(before) if Arc::ptr_eq(before, replica) => {}
                Some(before) => {
                    self.properties(out, &object).await?;
                    let change = (before.state, replica.state, before.health, replica.health);
                    changes(out, &object, change, &replica.reason).await?;
                }
                None => out.added(&self.after, &object).await?,
            }
        }
        Ok(())
    }

    async fn task_runs(&self, out: &mut Outbox<'_>) -> zbus::Result<()> {
        let by_id = |snapshot: &Snapshot| -> BTreeMap<_, Arc<OperationStatus>> {
            let all = snapshot.operations.iter();
            all.map(|o| (o.id, o.clone())).collect()
        };
        let (old, new) = (by_id(self.before.snapshot), by_id(self.after.snapshot));
        for (id, run) in &new {
            let object = Object::TaskRun(*id);
            let before = old.get(id);
            match before {
                Some(before) if Arc::ptr_eq(before, run) => continue,
                Some(_) => self.properties(out, &object).await?,
                None => {
                    out.added(&self.after, &object).await?;
                    let path = object.path();
                    let body = (PathRef(&path), task_name(run));
                    out.signal(&Object::Root, "Maintenance", "TaskRunStarted", &body).await?;
                }
            }
            if run.state == "done" && before.is_none_or(|b| b.state != "done") {
                let body = (run.result, error_name(run), run.message.as_str());
                out.signal(&object, "TaskRun", "Completed", &body).await?;
                let path = object.path();
                let body = (PathRef(&path), task_name(run), run.result);
                out.signal(&Object::Root, "Maintenance", "TaskRunFinished", &body).await?;
            }
        }
        for id in old.keys().filter(|id| !new.contains_key(id)) {
            out.removed(&Object::TaskRun(*id)).await?;
        }
        Ok(())
    }

    async fn fleet(&self, out: &mut Outbox<'_>) -> zbus::Result<()> {
        let (old, new) = (&self.before.snapshot.fleet, &self.after.snapshot.fleet);
        if Arc::ptr_eq(old, new) {
            return Ok(());
        }
        self.properties(out, &Object::Fleet).await?;
        fleet::announce(out, old, new).await
    }

    /// One PropertiesChanged for each interface of the object that has changed.
    async fn properties(&self, out: &mut Outbox<'_>, object: &Object) -> zbus::Result<()> {
        for interface in object.interfaces().iter().filter_map(|n| table::interface(n)) {
            let (Some(old), Some(new)) = (
                values(&self.before, object, interface, Gauges::Skip),
                values(&self.after, object, interface, Gauges::Skip),
            ) else {
                continue;
            };
            let changed: Dict<'_> = interface
                .properties
                .iter()
                .zip(old.into_iter().zip(new))
                .filter(|(property, (old, new))| property.emits == Emits::True && old != new)
                .map(|(property, (_, new))| (Cow::Borrowed(property.name), new))
                .collect();
            if !changed.is_empty() {
                out.changed(object, interface.name, &changed).await?;
            }
        }
        Ok(())
    }
}

/// StateChanged and HealthChanged of a worker or a replica: states and health before and after.
async fn changes(
    out: &mut Outbox<'_>,
    object: &Object,
    (old_state, new_state, old_health, new_health): (&str, &str, &str, &str),
    reason: &str,
) -> zbus::Result<()> {
    let Some(interface) = object.interfaces().first() else {
        return Ok(());
    };
    if old_state != new_state {
        let body = (new_state, old_state, reason);
        out.signal(object, interface, "StateChanged", &body).await?;
    }
    if old_health != new_health {
        let body = (new_health == "healthy", reason);
        out.signal(object, interface, "HealthChanged", &body).await?;
    }
    Ok(())
}
