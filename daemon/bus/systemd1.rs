//! Asking PID 1: `org.freedesktop.systemd1` on the system bus, in plain Rust types.
//!
//! One [`Systemd`] is one connection: when the bus goes, its calls end with [`SystemdError::Lost`], its stream with
//! [`SystemdEvent::Lost`], and a new one has to be made. Signals are believed only from the owner of the name, since
//! any client of the system bus may send a signal that looks like PID 1's.

mod property;
mod signals;
mod state;

pub use property::{Property, Value};
pub use signals::SystemdEvent;
pub use state::{UnitPart, UnitState};

use super::pump::pump;
use futures_util::StreamExt;
use futures_util::stream::once;
use property::wire;
use std::collections::{BTreeSet, HashMap};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use zbus::fdo::DBusProxy;
use zbus::proxy::CacheProperties;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, Variant};

pub(super) const SERVICE: &str = "org.freedesktop.systemd1";
const UNITS: &str = "/org/freedesktop/systemd1/unit";

/// Calls under way at once. The bus daemon refuses more than 128 for a connection (`max_replies_per_connection`,
/// dbus-daemon(1)) as if PID 1 had said no: a stop of all workers would miss some.
const CALLS_AT_ONCE: usize = 64;
/// PID 1 may stand still for seconds during a reload or a switch of its binary; longer than this it is gone for us.
const REPLY_WITHIN: Duration = Duration::from_secs(60);

type Properties<'a> = &'a [(&'a str, Variant<'a>)];
type Listed = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;
    fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        properties: Properties<'_>,
        aux: &[(&str, Properties<'_>)],
    ) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> zbus::Result<()>;
    fn freeze_unit(&self, name: &str) -> zbus::Result<()>;
    fn thaw_unit(&self, name: &str) -> zbus::Result<()>;
    fn set_unit_properties(&self, name: &str, runtime: bool, properties: Properties<'_>) -> zbus::Result<()>;
    fn list_units_by_patterns(&self, states: &[&str], patterns: &[&str]) -> zbus::Result<Vec<Listed>>;
}

/// Why PID 1 did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemdError {
    /// The bus or PID 1 went away; whether it was done is unknown.
    #[error("lost the connection to systemd: {0}")]
    Lost(String),
    /// It said no.
    #[error("{text}")]
    Refused {
        /// D-Bus error name, `org.freedesktop.systemd1.UnitExists`.
        name: String,
        /// Its text.
        text: String,
    },
}

impl SystemdError {
    /// A refusal of our own, for which PID 1 was not asked.
    pub fn ours(text: impl Into<String>) -> Self {
        SystemdError::Refused { name: String::new(), text: text.into() }
    }

    /// The last part of the D-Bus error name, empty when the connection was lost.
    pub fn kind(&self) -> &str {
        match self {
            SystemdError::Lost(_) => "",
            SystemdError::Refused { name, .. } => name.rsplit('.').next().unwrap_or(name),
        }
    }
}

/// Error names, less `org.freedesktop.DBus.Error.`, that mean nobody has answered. Starting PID 1 by activation is what
/// the bus tries in vain while PID 1 replaces itself.
const UNANSWERED: [&str; 7] =
    ["NoReply", "Disconnected", "ServiceUnknown", "NameHasNoOwner", "TimedOut", "Timeout", "NoServer"];

impl From<zbus::Error> for SystemdError {
    fn from(error: zbus::Error) -> Self {
        let whole = error.to_string();
        let (name, text) = match &error {
            zbus::Error::MethodError(name, text, _) => (name.to_string(), text.clone()),
            zbus::Error::FDO(fdo) if !matches!(**fdo, zbus::fdo::Error::ZBus(_)) => {
                (zbus::DBusError::name(&**fdo).to_string(), zbus::DBusError::description(&**fdo).map(str::to_owned))
            }
            _ => return SystemdError::Lost(whole),
        };
        let bare = name.strip_prefix("org.freedesktop.DBus.Error.");
        if bare.is_some_and(|bare| UNANSWERED.contains(&bare) || bare.starts_with("Spawn.")) {
            return SystemdError::Lost(whole);
        }
        let text = text.unwrap_or_else(|| name.clone());
        SystemdError::Refused { name, text }
    }
}

/// What a call gives.
pub type Result<T> = std::result::Result<T, SystemdError>;

/// A connection to PID 1. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Systemd {
    pub(super) connection: Connection,
    manager: ManagerProxy<'static>,
    turns: Arc<Semaphore>,
}

impl Systemd {
    /// Connects to the system bus and makes sure that systemd is on it.
    pub async fn connect() -> Result<Self> {
        Self::connect_by(zbus::connection::Builder::system()).await
    }

    /// The same on any bus.
    pub async fn connect_by(bus: zbus::connection::Builder<'_>) -> Result<Self> {
        let connection = bus.method_timeout(REPLY_WITHIN).build().await?;
        let manager = ManagerProxy::builder(&connection).cache_properties(CacheProperties::No).build().await?;
        let systemd = Self { connection, manager, turns: Arc::new(Semaphore::new(CALLS_AT_ONCE)) };
        systemd.owner().await?;
        Ok(systemd)
    }

    async fn owner(&self) -> Result<String> {
        let bus = DBusProxy::new(&self.connection).await.map_err(SystemdError::from)?;
        let name = zbus::names::BusName::try_from(SERVICE)?;
        let owner = bus.get_name_owner(name).await.map_err(zbus::Error::from)?;
        Ok(owner.to_string())
    }

    /// One call, when it is its turn.
    async fn call<T>(&self, call: impl Future<Output = zbus::Result<T>>) -> Result<T> {
        // Never closed.
        let _turn = self.turns.acquire().await;
        Ok(call.await?)
    }

    /// Everything PID 1 says of units named `reeve-*`, from now on, in the order it said it.
    pub async fn subscribe(&self) -> Result<UnboundedReceiver<SystemdEvent>> {
        let owner = self.owner().await?;
        let mut reader = signals::Reader::new(owner.clone());
        let said = MessageStream::from(&self.connection)
            .take_while(|message| ready(message.is_ok()))
            .filter_map(move |message| ready(message.ok().and_then(|message| reader.read(&message))))
            .chain(once(ready(SystemdEvent::Lost)));
        // From here on, not when all is set up: PID 1 may say a lot until then.
        let events = pump(said);
        let bus = DBusProxy::new(&self.connection).await?;
        for rule in rules()? {
            bus.add_match_rule(rule).await.map_err(zbus::Error::from)?;
        }
        self.resubscribe().await?;
        // It may have left before the rule that tells of it was in place.
        if self.owner().await? != owner {
            return Err(SystemdError::Lost("systemd has replaced itself".into()));
        }
        Ok(events)
    }

    /// Says that signals are wanted, again where it was said before: a PID 1 that replaced itself may have forgotten.
    pub async fn resubscribe(&self) -> Result<()> {
        match self.call(self.manager.subscribe()).await {
            Err(e) if e.kind() == "AlreadySubscribed" => Ok(()),
            other => other,
        }
    }

    /// Makes a unit and starts it; the job to wait for.
    pub async fn start_transient_unit<'a>(
        &self,
        name: &str,
        properties: impl IntoIterator<Item = &'a Property>,
    ) -> Result<String> {
        let properties = wire(properties);
        let job = self.call(self.manager.start_transient_unit(name, "replace", &properties, &[])).await?;
        Ok(job.to_string())
    }

    /// Ends the unit if need be and starts it; the job to wait for.
    pub async fn restart_unit(&self, name: &str) -> Result<String> {
        Ok(self.call(self.manager.restart_unit(name, "replace")).await?.to_string())
    }

    /// Stops it; the job to wait for.
    pub async fn stop_unit(&self, name: &str) -> Result<String> {
        Ok(self.call(self.manager.stop_unit(name, "replace")).await?.to_string())
    }

    /// Clears `failed`.
    pub async fn reset_failed(&self, name: &str) -> Result<()> {
        self.call(self.manager.reset_failed_unit(name)).await
    }

    /// Signals the main process, or all.
    pub async fn kill_unit(&self, name: &str, whole: bool, signal: i32) -> Result<()> {
        let whom = if whole { "all" } else { "main" };
        self.call(self.manager.kill_unit(name, whom, signal)).await
    }

    /// Freezes; back when it is frozen.
    pub async fn freeze(&self, name: &str) -> Result<()> {
        self.call(self.manager.freeze_unit(name)).await
    }

    /// Thaws; back when it runs.
    pub async fn thaw(&self, name: &str) -> Result<()> {
        self.call(self.manager.thaw_unit(name)).await
    }

    /// Changes properties until the unit is unloaded or the host boots.
    pub async fn set_unit_properties(&self, name: &str, properties: &[Property]) -> Result<()> {
        let properties = wire(properties);
        self.call(self.manager.set_unit_properties(name, true, &properties)).await
    }

    /// Those of the properties that a service has here: the versions differ.
    pub async fn known(&self, names: &[&'static str]) -> Result<BTreeSet<&'static str>> {
        // Any service tells of all.
        let path = unit_path("systemd-journald.service");
        let interface = Some("org.freedesktop.DBus.Introspectable");
        let reply =
            self.call(self.connection.call_method(Some(SERVICE), path.as_str(), interface, "Introspect", &())).await?;
        let body = reply.body();
        let text: &str = body.deserialize()?;
        let told = |name: &&&str| text.contains(&format!("<property name=\"{name}\""));
        Ok(names.iter().filter(told).copied().collect())
    }

    /// Names of loaded units that match one of the patterns.
    pub async fn list_units_by_patterns(&self, patterns: &[&str]) -> Result<Vec<String>> {
        let listed = self.call(self.manager.list_units_by_patterns(&[], patterns)).await?;
        Ok(listed.into_iter().map(|unit| unit.0).collect())
    }

    /// All that is of interest of one unit, of one instant.
    pub async fn unit_properties(&self, name: &str) -> Result<UnitState> {
        let path = unit_path(name);
        // The empty interface name means all interfaces: one call, hence one instant.
        let interface = Some("org.freedesktop.DBus.Properties");
        let reply =
            self.call(self.connection.call_method(Some(SERVICE), path.as_str(), interface, "GetAll", &"")).await?;
        let body = reply.body();
        let properties: HashMap<&str, Variant<'_>> = body.deserialize()?;
        Ok(UnitState::read(&properties))
    }
}

fn rules() -> Result<Vec<MatchRule<'static>>> {
    let signal = || MatchRule::builder().msg_type(zbus::message::Type::Signal).sender(SERVICE);
    let manager = |member| {
        signal().path("/org/freedesktop/systemd1").interface("org.freedesktop.systemd1.Manager").member(member).build()
    };
    let changed = |interface| {
        signal()
            .path_namespace(UNITS)
            .interface("org.freedesktop.DBus.Properties")
            .member("PropertiesChanged")
            .arg(0, interface)
            .build()
    };
    let owner = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .arg(0, SERVICE)
        .build();
    [
        manager("JobRemoved"),
        manager("UnitRemoved"),
        manager("Reloading"),
        changed("org.freedesktop.systemd1.Service"),
        changed("org.freedesktop.systemd1.Unit"),
        owner,
    ]
    .into_iter()
    .map(|rule| rule.map_err(SystemdError::from))
    .collect()
}

/// Object path of a unit: all but letters and digits, and a digit in front, become `_` and two hex digits.
pub(super) fn unit_path(name: &str) -> String {
    let mut path = format!("{UNITS}/");
    for (i, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && i > 0) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

/// The name back from its object path.
fn unit_name(path: &str) -> Option<String> {
    let escaped = path.strip_prefix(UNITS)?.strip_prefix('/')?;
    let mut name = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'_' {
            name.push(byte);
            continue;
        }
        let hex = [bytes.next()?, bytes.next()?];
        let hex = std::str::from_utf8(&hex).ok()?;
        name.push(u8::from_str_radix(hex, 16).ok()?);
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_paths_read_back() {
        let name = "reeve-task-executor-12.service";
        let path = unit_path(name);
        assert_eq!(path, "/org/freedesktop/systemd1/unit/reeve_2dtask_2dexecutor_2d12_2eservice");
        assert_eq!(unit_name(&path).as_deref(), Some(name));
        assert_eq!(unit_name("/org/freedesktop/systemd1/job/1"), None);
    }
}
