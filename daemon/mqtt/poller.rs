//! Polls the event loop of one connection, and nothing else: a poll is never raced against anything.

use super::line::Line;
use super::reason;
use rumqttc::{AsyncClient, Event, EventLoop, Outgoing, Packet, QoS, SubAck, SubscribeFilter, SubscribeReasonCode};
use std::sync::Arc;

/// One connection.
pub(super) struct Poller {
    pub(super) line: Arc<Line>,
    pub(super) client: AsyncClient,
    pub(super) eventloop: EventLoop,
    /// The filters.
    pub(super) subscriptions: Arc<[String]>,
}

impl Poller {
    /// Until the connection is gone; why it is.
    pub(super) async fn run(mut self) -> String {
        let mut answered = false;
        // Whether we leave the broker, and listen no more.
        let mut left = false;
        loop {
            let event = match self.eventloop.poll().await {
                Ok(event) => event,
                Err(error) => {
                    self.rest(left);
                    return reason::of(&error, answered);
                }
            };
            match event {
                Event::Incoming(packet) => {
                    answered = true;
                    self.line.heard();
                    if !left && let Err(reason) = self.incoming(packet) {
                        self.line.leave(reason);
                        left = true;
                    }
                }
                Event::Outgoing(Outgoing::Publish(_)) => self.line.wrote(),
                Event::Outgoing(_) => self.line.pump(),
            }
        }
    }

    fn incoming(&self, packet: Packet) -> Result<(), String> {
        match packet {
            Packet::ConnAck(_) => {
                self.line.open(&self.client);
                if self.subscriptions.is_empty() {
                    self.line.up();
                    return Ok(());
                }
                let filters = self.subscriptions.iter().map(|path| SubscribeFilter::new(path.clone(), QoS::AtMostOnce));
                // The event loop is new, so there is room; only a filter that is none is refused here.
                self.client
                    .try_subscribe_many(filters)
                    .map_err(|_| format!("no filters to subscribe to: {}", self.subscriptions.join(", ")))
            }
            Packet::SubAck(answer) => self.granted(&answer),
            Packet::Publish(publish) => {
                // Brokers may send by a subscription before they confirm it.
                self.line.up();
                self.line.message(publish.topic, publish.payload.into(), publish.retain);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn granted(&self, answer: &SubAck) -> Result<(), String> {
        let refused: Vec<_> = self
            .subscriptions
            .iter()
            .zip(&answer.return_codes)
            .filter(|(_, code)| **code == SubscribeReasonCode::Failure)
            .map(|(filter, _)| filter.as_str())
            .collect();
        if refused.is_empty() {
            self.line.up();
            return Ok(());
        }
        Err(reason::subscriptions(&refused))
    }

    /// What came in one batch with the error is still good.
    fn rest(&mut self, left: bool) {
        let events = std::mem::take(&mut self.eventloop.state.events);
        for event in events {
            match event {
                Event::Incoming(Packet::Publish(publish)) if !left && self.line.connected() => {
                    self.line.message(publish.topic, publish.payload.into(), publish.retain);
                }
                Event::Outgoing(Outgoing::Publish(_)) => self.line.wrote(),
                _ => {}
            }
        }
    }
}
