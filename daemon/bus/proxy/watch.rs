//! Following: a task run to its end, and events as they happen.
//!
//! Subscribe first, then read: what happens in between is in the reading, what happens later in a signal. A slow tick
//! reads again all the same, so a lost signal costs a second and not the answer.

use super::client::Client;
use super::error::CallError;
use super::records::{EventEntry, TaskRun};
use super::traits::{ManagerProxy, NAME, Opt, TaskRunProxy};
use crate::bus::pump::pump;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, select};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Interval, MissedTickBehavior, interval};
use zbus::fdo;
use zbus::proxy::CacheProperties;

/// How often a task run is read when no signal comes.
const TICK: Duration = Duration::from_secs(1);

enum Signal {
    /// Something about the task run has changed.
    Changed,
    /// The daemon has left the bus.
    OwnerGone,
}

/// A task run being followed.
#[expect(missing_debug_implementations, reason = "holds a queue, which has nothing to show")]
pub struct Watch {
    client: Client,
    path: String,
    signals: UnboundedReceiver<Signal>,
    tick: Interval,
}

impl Client {
    /// Begins to follow a task run.
    pub async fn watch(&self, path: &str) -> Result<Watch, CallError> {
        let fail = |e| self.error(e, "read-tasks");
        let run = TaskRunProxy::builder(&self.connection)
            .path(path.to_owned())
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(fail)?;
        let completed = run.receive_completed().await.map_err(fail)?;
        let changed = fdo::PropertiesProxy::builder(&self.connection)
            .destination(NAME)
            .path(path.to_owned())
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(fail)?
            .receive_properties_changed()
            .await
            .map_err(fail)?;
        let mut signals: BoxStream<'static, Signal> =
            select(completed.map(|_| Signal::Changed), changed.map(|_| Signal::Changed)).boxed();
        if self.connection.is_bus() {
            let gone = fdo::DBusProxy::builder(&self.connection)
                .cache_properties(CacheProperties::No)
                .build()
                .await
                .map_err(fail)?
                .receive_name_owner_changed_with_args(&[(0, NAME), (2, "")])
                .await
                .map_err(fail)?;
            signals = select(signals, gone.map(|_| Signal::OwnerGone)).boxed();
        }
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Watch { client: self.clone(), path: path.to_owned(), signals: pump(signals), tick })
    }

    /// Begins to receive events; [`Events::next`] gives them.
    pub async fn subscribe(&self) -> Result<Events, CallError> {
        let fail = |e| self.error(e, "read-status");
        let manager = ManagerProxy::builder(&self.connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(fail)?;
        let signals = pump(manager.receive_event().await.map_err(fail)?);
        manager.subscribe(&Opt::new()).await.map_err(fail)?;
        Ok(Events { client: self.clone(), signals })
    }
}

impl Watch {
    /// Waits for a change (the first call for nothing) and reads the task run. Cancelling loses nothing.
    pub async fn next(&mut self) -> Result<TaskRun, CallError> {
        // Cancel safety: a signal dropped here is made good by the next reading.
        let signal = tokio::select! {
            signal = self.signals.recv() => signal,
            _ = self.tick.tick() => Some(Signal::Changed),
        };
        match signal {
            Some(Signal::Changed) => self.client.task_run(&self.path).await,
            Some(Signal::OwnerGone) => Err(self.gone("reeved has left the bus")),
            None => Err(self.gone("the connection was closed")),
        }
    }

    fn gone(&self, why: &str) -> CallError {
        CallError::Unreachable { place: self.client.place().to_owned(), why: why.to_owned() }
    }
}

/// Events as they happen.
#[expect(missing_debug_implementations, reason = "holds a queue, which has nothing to show")]
pub struct Events {
    client: Client,
    signals: UnboundedReceiver<super::traits::Event>,
}

impl Events {
    /// The next one.
    pub async fn next(&mut self) -> Result<EventEntry, CallError> {
        let Some(signal) = self.signals.recv().await else {
            return Err(CallError::Unreachable {
                place: self.client.place().to_owned(),
                why: "the connection was closed".to_owned(),
            });
        };
        let row = signal.message().body().deserialize().map_err(|e| self.client.error(e, "read-status"))?;
        Ok(EventEntry::read(row))
    }
}
