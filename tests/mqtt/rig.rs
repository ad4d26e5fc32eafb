//! A link under test, with the receiving end of its events.

use crate::broker::DEADLINE;
use reeve::mqtt::{BrokerStatus, Link, LinkEvent, Links, Login, Options, Publication, To};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A link and what it tells.
pub struct Rig {
    pub links: Links,
    pub events: mpsc::Receiver<LinkEvent>,
}

/// Everything quick: keep-alive 1 s, tries after 50 to 200 ms.
pub fn options(client: &str, brokers: &[String], subscriptions: &[&str]) -> Options {
    Options {
        client: client.to_owned(),
        brokers: brokers.to_vec(),
        login: Login::default(),
        subscriptions: subscriptions.iter().map(|&filter| filter.to_owned()).collect(),
        will: publication(&format!("will/{client}"), b"gone"),
        keep_alive: Duration::from_secs(1),
        retry: (Duration::from_millis(50), Duration::from_millis(200)),
        seed: 1,
    }
}

/// At QoS 0, not retained.
pub fn publication(topic: &str, payload: &[u8]) -> Publication {
    Publication { topic: topic.to_owned(), payload: payload.to_vec(), retain: false, acknowledged: false }
}

impl Rig {
    pub fn start(options: Options) -> Self {
        let (sender, events) = mpsc::channel(1024);
        Self { links: Links::start(options, sender), events }
    }

    /// Started, and connected to its only broker.
    pub async fn up(client: &str, url: String, subscriptions: &[&str]) -> Self {
        let mut rig = Self::start(options(client, &[url], subscriptions));
        rig.connected(0).await;
        rig
    }

    pub async fn next(&mut self) -> LinkEvent {
        match timeout(DEADLINE, self.events.recv()).await {
            Ok(event) => event.unwrap(),
            Err(_) => panic!("nothing came, and so it stands: {:?}", self.links),
        }
    }

    /// The next event is this one.
    pub async fn connected(&mut self, index: usize) {
        assert_eq!(self.next().await, LinkEvent::Connected(index), "{:?}", self.links);
    }

    /// The next event is a loss; why.
    pub async fn lost(&mut self, index: usize) -> String {
        match self.next().await {
            LinkEvent::Lost(broker, reason) if broker == index => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Connected at last; losses on the way do not count.
    pub async fn connected_again(&mut self, index: usize) {
        loop {
            match self.next().await {
                LinkEvent::Connected(broker) if broker == index => return,
                LinkEvent::Lost(..) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next event is a message: broker, topic, payload.
    pub async fn message(&mut self) -> (usize, String, Vec<u8>) {
        match self.next().await {
            LinkEvent::Message { broker, topic, payload, .. } => (broker, topic, payload),
            other => panic!("{other:?}"),
        }
    }

    pub fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.links.publish(To::All, publication(topic, payload));
    }

    /// Publishes, and gets it back by its own subscription to `topic` as the next message.
    pub async fn echo(&mut self, topic: &str) {
        self.publish(topic, b"echo");
        assert_eq!(self.message().await, (0, topic.to_owned(), b"echo".to_vec()));
    }

    pub fn status(&self, index: usize) -> BrokerStatus {
        self.links.status().swap_remove(index)
    }

    /// Until its status is so.
    pub async fn until(&self, index: usize, what: impl Fn(&BrokerStatus) -> bool) -> BrokerStatus {
        let look = async {
            loop {
                let status = self.status(index);
                if what(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match timeout(DEADLINE, look).await {
            Ok(status) => status,
            Err(_) => panic!("{:?}", self.links),
        }
    }
}
