//! The state of units that are not ours, as node_exporter's systemd collector tells it (MET-01).
//!
//! PID 1 says when a unit changes; what it is then is read. A signal thus only makes us look, so it matters neither
//! who sent it nor how many were lost: every unit is read again once a minute anyway.

use super::pump::pump;
use super::systemd1::{SERVICE, Systemd, SystemdError, unit_path};
use futures_util::StreamExt;
use reeve_core::metrics::families::{NODE_SYSTEMD_SERVICE_RESTART, NODE_SYSTEMD_UNIT_STATE};
use reeve_core::metrics::{Labels, Samples};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use zbus::connection::Builder;
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream, OwnedVariant};

const STATES: [&str; 5] = ["activating", "active", "deactivating", "failed", "inactive"];
/// How often all are read, whatever was said.
const AGAIN: Duration = Duration::from_secs(60);
/// Between two tries to reach PID 1.
const RETRY: Duration = Duration::from_secs(5);

/// One unit at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Unit {
    /// `active`, `failed` …
    state: String,
    /// `simple`, `oneshot` …; empty for what is not a service.
    kind: String,
    /// Automatic restarts; services only.
    restarts: Option<u32>,
}

/// Tells what the units are like, first and whenever that changes, until `say` gives `false`. While PID 1 cannot be
/// reached it tells why, and tries again.
pub async fn follow(names: Vec<String>, say: impl FnMut(Result<Samples, String>) -> bool + Send) {
    follow_by(Builder::system, names, say).await;
}

/// The same on any bus.
pub async fn follow_by(
    bus: impl Fn() -> Builder<'static> + Send,
    names: Vec<String>,
    mut say: impl FnMut(Result<Samples, String>) -> bool + Send,
) {
    loop {
        let Err(error) = follow_once(bus(), &names, &mut say).await else { return };
        // What was true is not known any more.
        if !say(Ok(Samples::new())) || !say(Err(format!("units cannot be followed: {error}"))) {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Ends with an error when the bus goes, without one when nobody listens.
async fn follow_once(
    bus: Builder<'_>,
    names: &[String],
    say: &mut (impl FnMut(Result<Samples, String>) -> bool + Send),
) -> Result<(), SystemdError> {
    let systemd = Systemd::connect_by(bus).await?;
    let connection = &systemd.connection;
    let changed = MessageStream::from(connection).filter_map(|message| async move {
        let message = message.ok()?;
        let signal = message.message_type() == Type::Signal;
        signal.then(|| message.header().path().map(ToString::to_string)).flatten()
    });
    let mut changed = pump(Box::pin(changed));
    let paths: BTreeMap<String, &str> = names.iter().map(|name| (unit_path(name), name.as_str())).collect();
    listen(connection, paths.keys()).await?;
    systemd.resubscribe().await?;
    let mut again = interval(AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut units: BTreeMap<&str, Unit> = BTreeMap::new();
    let mut told = None;
    loop {
        let mut due = Vec::new();
        // Cancel safety: neither a tick nor a path is taken by the branch that loses.
        tokio::select! {
            _ = again.tick() => {
                due.extend(paths.iter());
                // Said again though nothing may have changed: it was seen now.
                told = None;
            }
            path = changed.recv() => {
                let Some(path) = path else {
                    return Err(SystemdError::Lost("the bus has gone away".to_owned()));
                };
                due.extend(paths.get_key_value(&path));
                while let Ok(path) = changed.try_recv() {
                    due.extend(paths.get_key_value(&path));
                }
                due.sort_unstable();
                due.dedup();
            }
        }
        for (path, name) in due {
            match read(connection, path, name).await.map_err(SystemdError::from) {
                Ok(unit) => drop(units.insert(name, unit)),
                // One that PID 1 does not want to speak of hides no other.
                Err(SystemdError::Refused { text, .. }) => {
                    tracing::debug!(unit = name, text, "systemd does not tell the state of a unit");
                    units.remove(name);
                }
                Err(lost) => return Err(lost),
            }
        }
        // Somebody else's signal may come before the first reading.
        if !units.is_empty() && told.as_ref() != Some(&units) {
            if !say(Ok(samples(&units))) {
                return Ok(());
            }
            told = Some(units.clone());
        }
    }
}

async fn listen(connection: &Connection, paths: impl Iterator<Item = &String>) -> zbus::Result<()> {
    let bus = DBusProxy::new(connection).await?;
    for path in paths {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(SERVICE)
            .path(path.as_str())
            .interface("org.freedesktop.DBus.Properties")
            .member("PropertiesChanged")
            .build()?;
        bus.add_match_rule(rule).await?;
    }
    Ok(())
}

async fn read(connection: &Connection, path: &str, name: &str) -> zbus::Result<Unit> {
    let get = async |interface: &str, property: &str| {
        let (interface, of) = (format!("{SERVICE}.{interface}"), Some("org.freedesktop.DBus.Properties"));
        let reply = connection.call_method(Some(SERVICE), path, of, "Get", &(interface.as_str(), property)).await?;
        reply.body().deserialize::<OwnedVariant>()
    };
    let mut unit = Unit { state: String::try_from(get("Unit", "ActiveState").await?)?, ..Unit::default() };
    if name.ends_with(".service") {
        unit.kind = String::try_from(get("Service", "Type").await?)?;
        unit.restarts = Some(u32::try_from(get("Service", "NRestarts").await?)?);
    }
    Ok(unit)
}

fn samples(units: &BTreeMap<&str, Unit>) -> Samples {
    let mut samples = Samples::new();
    for (name, unit) in units {
        for state in STATES {
            let labels = Labels::new(&[("name", name), ("state", state), ("type", &unit.kind)]);
            samples.put_with(&NODE_SYSTEMD_UNIT_STATE, &labels, f64::from(u8::from(unit.state == state)));
        }
        if let Some(restarts) = unit.restarts {
            samples.put_with(&NODE_SYSTEMD_SERVICE_RESTART, &Labels::new(&[("name", name)]), f64::from(restarts));
        }
    }
    samples
}
