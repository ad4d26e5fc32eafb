//! What the loop, the keeper and the poller share of one broker.

use super::news::News;
use super::options::{is_topic, qos};
use super::outbox::Outbox;
use super::{BrokerStatus, LinkEvent, PAYLOAD_MOST, Publication};
use crate::host::lock::lock;
use rumqttc::{AsyncClient, ClientError, Request};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// One broker.
#[derive(Debug)]
pub(super) struct Line {
    index: usize,
    /// Where to.
    pub(super) events: mpsc::Sender<LinkEvent>,
    /// Wakes the keeper: there is news that waits, or the end has come.
    pub(super) wake: Notify,
    state: Mutex<State>,
}

/// Behind the lock.
#[derive(Debug, Default)]
struct State {
    /// Its counters, and how it stands.
    status: BrokerStatus,
    /// Of the connection that stands, from its CONNACK on.
    client: Option<AsyncClient>,
    /// Since when it is connected.
    since: Option<Instant>,
    outbox: Outbox,
    /// Publications that rumqttc holds and has not written.
    handed: u64,
    news: News,
    /// Whether the broker was heard since the keeper last looked.
    heard: bool,
    /// The end has come; so long may a polite one take.
    end: Option<Duration>,
    /// Why we leave the broker, which let us in.
    left: Option<String>,
    /// DISCONNECT is on its way.
    disconnecting: bool,
}

impl Line {
    pub(super) fn new(index: usize, url: &str, events: mpsc::Sender<LinkEvent>) -> Self {
        let status =
            BrokerStatus { url: url.to_owned(), reason: "not connected yet".to_owned(), ..BrokerStatus::default() };
        let state = State { status, ..State::default() };
        Self { index, events, wake: Notify::new(), state: Mutex::new(state) }
    }

    // What the loop does.

    /// How it stands.
    pub(super) fn status(&self) -> BrokerStatus {
        lock(&self.state).status.clone()
    }

    /// Whether publications have a way.
    pub(super) fn connected(&self) -> bool {
        lock(&self.state).status.connected
    }

    /// Queues and sends what can be sent.
    pub(super) fn publish(&self, publication: Publication) {
        let mut state = lock(&self.state);
        if publication.payload.len() > PAYLOAD_MOST || !is_topic(&publication.topic) {
            state.status.refused += 1;
        } else if !state.status.connected || state.left.is_some() || state.end.is_some() {
            state.status.dropped += 1;
        } else {
            state.status.dropped += state.outbox.push(publication);
            state.pump();
        }
    }

    /// The will was refused.
    pub(super) fn refuse(&self) {
        lock(&self.state).status.refused += 1;
    }

    /// Ends it within `grace`: what is queued, then DISCONNECT.
    pub(super) fn end(&self, grace: Duration) {
        let mut state = lock(&self.state);
        state.end = Some(grace);
        state.pump();
        drop(state);
        self.wake.notify_one();
    }

    // What the poller does.

    /// The broker let us in.
    pub(super) fn open(&self, client: &AsyncClient) {
        let mut state = lock(&self.state);
        state.client = Some(client.clone());
        state.pump();
    }

    /// The subscriptions stand.
    pub(super) fn up(&self) {
        let mut state = lock(&self.state);
        if state.status.connected || state.disconnecting || state.left.is_some() {
            return;
        }
        state.status.connected = true;
        state.status.connects += 1;
        state.status.reason.clear();
        state.since = Some(Instant::now());
        self.tell(&mut state, LinkEvent::Connected(self.index));
    }

    /// Something came.
    pub(super) fn heard(&self) {
        lock(&self.state).heard = true;
    }

    /// A message came.
    pub(super) fn message(&self, topic: String, payload: Vec<u8>, retained: bool) {
        let mut state = lock(&self.state);
        state.status.received += 1;
        let message = LinkEvent::Message { broker: self.index, topic, payload, retained };
        // Not before the news that waits.
        if !state.news.is_empty() || self.events.try_send(message).is_err() {
            state.status.dropped += 1;
        }
    }

    /// A publication was written.
    pub(super) fn wrote(&self) {
        let mut state = lock(&self.state);
        state.handed = state.handed.saturating_sub(1);
        state.status.sent += 1;
        state.pump();
    }

    /// Something else was written, so there is room.
    pub(super) fn pump(&self) {
        lock(&self.state).pump();
    }

    /// Leaves the broker politely, and why.
    pub(super) fn leave(&self, reason: String) {
        let mut state = lock(&self.state);
        state.left = Some(reason);
        state.disconnect();
        drop(state);
        self.wake.notify_one();
    }

    // What the keeper does.

    /// The connection is gone, or was not made: how long it had lasted.
    pub(super) fn down(&self, reason: String) -> Option<Duration> {
        let mut state = lock(&self.state);
        let lasted = state.since.take().map(|since| since.elapsed());
        state.status.dropped += state.outbox.clear() + std::mem::take(&mut state.handed);
        state.status.lost += 1;
        state.client = None;
        state.disconnecting = false;
        let reason = state.left.take().unwrap_or(reason);
        let changed = std::mem::take(&mut state.status.connected) || state.status.reason != reason;
        if changed && state.end.is_none() {
            self.tell(&mut state, LinkEvent::Lost(self.index, reason.clone()));
        }
        state.status.reason = reason;
        lasted
    }

    /// Whether the broker was heard since the last call.
    pub(super) fn was_heard(&self) -> bool {
        std::mem::take(&mut lock(&self.state).heard)
    }

    /// `Some`: it is to end, within this.
    pub(super) fn ends(&self) -> Option<Duration> {
        lock(&self.state).end
    }

    /// Whether the broker is being left.
    pub(super) fn leaves(&self) -> bool {
        lock(&self.state).left.is_some()
    }

    /// Whether news waits for room.
    pub(super) fn has_news(&self) -> bool {
        !lock(&self.state).news.is_empty()
    }

    /// There is room for one, or nobody listens any more.
    pub(super) fn deliver(&self, room: Option<mpsc::Permit<'_, LinkEvent>>) {
        let mut state = lock(&self.state);
        match room {
            None => state.news.clear(),
            Some(room) => {
                if let Some(event) = state.news.pop() {
                    room.send(event);
                }
            }
        }
    }

    /// Tells it now, or leaves it to the keeper.
    fn tell(&self, state: &mut State, event: LinkEvent) {
        if state.news.is_empty() {
            match self.events.try_send(event) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => return,
                Err(mpsc::error::TrySendError::Full(event)) => state.news.push(event),
            }
        } else {
            state.news.push(event);
        }
        self.wake.notify_one();
    }
}

impl State {
    /// Hands rumqttc what it has room for. Called whenever the outbox or that room grows, so nothing is left lying.
    fn pump(&mut self) {
        if self.left.is_some() {
            return self.disconnect();
        }
        let Some(client) = self.client.clone().filter(|_| !self.disconnecting) else {
            return;
        };
        while let Some(next) = self.outbox.pop() {
            let (qos, acknowledged) = (qos(&next), next.acknowledged);
            match client.try_publish(next.topic, qos, next.retain, next.payload) {
                Ok(()) => self.handed += 1,
                Err(ClientError::TryRequest(Request::Publish(back)) | ClientError::Request(Request::Publish(back))) => {
                    let (topic, payload) = (back.topic, back.payload.into());
                    self.outbox.put_back(Publication { topic, payload, retain: back.retain, acknowledged });
                    return;
                }
                Err(_) => return,
            }
        }
        if self.end.is_some() {
            self.disconnect();
        }
    }

    /// After this nothing is sent. Without room now, the next pump tries again.
    fn disconnect(&mut self) {
        if let Some(client) = &self.client
            && !self.disconnecting
        {
            self.disconnecting = client.try_disconnect().is_ok();
        }
    }
}
