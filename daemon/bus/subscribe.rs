//! The Event signal: to callers of Subscribe only, each by a task of his own.

use super::names::{BUS_NAME, ROOT};
use super::peer::Peer;
use super::polkit::wait_gone;
use super::wire::{Dict, Val};
use crate::app::handle::NodeEvent;
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError};
use zbus::Message;

/// What an event carries: time, kind, target, reason, text, more.
pub(super) type Row<'a> = (u64, &'static str, String, &'a str, String, Dict<'a>);

/// An event as it travels.
pub(super) fn row(event: &NodeEvent) -> Row<'_> {
    let notice = &event.notice;
    let info = notice.kind.info();
    let level = match info.level {
        reeve_core::Level::Error => "error",
        reeve_core::Level::Warning => "warning",
        reeve_core::Level::Info => "info",
    };
    let more = Dict::new()
        .with("level", Val::text(level))
        .with("message_id", Val::text(info.id))
        .maybe("worker", notice.worker.as_ref().map(|w| Val::text(w.as_str())))
        .maybe("replica", notice.replica.map(Val::Count))
        .maybe("run", notice.run.map(|r| Val::text(r.to_string())));
    (event.at.0, info.word, notice.target(), notice.reason.as_str(), notice.message(), more)
}

/// Sends events to one subscriber until he leaves the bus.
pub(super) async fn forward(peer: Arc<Peer>, sender: String, events: broadcast::Receiver<Arc<NodeEvent>>) {
    let gone = async {
        if peer.connection.is_bus() {
            wait_gone(&peer.connection, &sender).await;
        } else {
            // Peer to peer the connection's end aborts this task.
            std::future::pending().await
        }
    };
    tokio::select! {
        () = gone => {}
        result = send(&peer, &sender, events) => {
            if let Err(error) = result {
                tracing::debug!(%error, "events could not be sent");
            }
        }
    }
}

async fn send(peer: &Peer, sender: &str, mut events: broadcast::Receiver<Arc<NodeEvent>>) -> zbus::Result<()> {
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(missed)) => {
                // He is slow; ListEvents has what he missed.
                tracing::debug!(missed, "a subscriber was too slow for some events");
                continue;
            }
            Err(RecvError::Closed) => return Ok(()),
        };
        let signal = Message::signal(ROOT, format!("{BUS_NAME}.Manager"), "Event");
        let signal = if sender.is_empty() { signal } else { signal.destination(sender) };
        peer.connection.send(&signal.build(&row(&event))?).await?;
    }
}
