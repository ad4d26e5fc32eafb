//! Signals on their way out, gathered so that many leave in one write.

use super::names::{BUS_NAME, Object, ROOT};
use super::objects::properties::View;
use super::standard::Interfaces;
use super::wire::{Dict, PathRef};
use zbus::{Connection, DynamicType, Message};

/// As many are gathered before they are sent; bounds memory when a thousand workers change at once.
const BATCH: usize = 64;

/// Gathers signals for one connection.
#[derive(Debug)]
pub(super) struct Outbox<'a> {
    connection: &'a Connection,
    waiting: Vec<Message>,
}

impl<'a> Outbox<'a> {
    pub fn new(connection: &'a Connection) -> Self {
        Self { connection, waiting: Vec::new() }
    }

    /// One of our signals; `interface` without the prefix.
    pub async fn signal(
        &mut self,
        object: &Object,
        interface: &str,
        name: &str,
        body: &(impl serde::Serialize + DynamicType),
    ) -> zbus::Result<()> {
        let path = object.path();
        let interface = format!("{BUS_NAME}.{interface}");
        let message = Message::signal(path, interface, name).build(body)?;
        self.push(message).await
    }

    /// PropertiesChanged with the new values.
    pub async fn changed(&mut self, object: &Object, interface: &str, changed: &Dict<'_>) -> zbus::Result<()> {
        const NONE: &[&str] = &[];
        let full = format!("{BUS_NAME}.{interface}");
        let message = Message::signal(object.path(), "org.freedesktop.DBus.Properties", "PropertiesChanged")
            .build(&(full.as_str(), changed, NONE))?;
        self.push(message).await
    }

    /// An object has come.
    pub async fn added(&mut self, view: &View<'_>, object: &Object) -> zbus::Result<()> {
        let path = object.path();
        let message = manager("InterfacesAdded").build(&(PathRef(&path), Interfaces(view, object)))?;
        self.push(message).await
    }

    /// An object has gone.
    pub async fn removed(&mut self, object: &Object) -> zbus::Result<()> {
        let path = object.path();
        let interfaces: Vec<String> = object.interfaces().iter().map(|name| format!("{BUS_NAME}.{name}")).collect();
        let message = manager("InterfacesRemoved").build(&(PathRef(&path), interfaces))?;
        self.push(message).await
    }

    async fn push(&mut self, message: Message) -> zbus::Result<()> {
        self.waiting.push(message);
        if self.waiting.len() >= BATCH {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends what is gathered.
    pub async fn flush(&mut self) -> zbus::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.connection.send_all(&waiting).await
    }
}

fn manager(name: &'static str) -> zbus::message::Builder<'static> {
    Message::signal(ROOT, "org.freedesktop.DBus.ObjectManager", name)
}
