//! What a link is told at its start, and what rumqttc is told of it.

use super::{Login, Publication};
use rumqttc::{AsyncClient, EventLoop, LastWill, MqttOptions, NetworkOptions, QoS, TlsConfiguration, Transport};
use std::time::Duration;

/// Limit of a packet, in and out. One that comes and is larger ends the connection, so it is generous.
const PACKET_MOST: usize = 256 * 1024;
/// Requests that rumqttc holds; the rest waits in the outbox, where the oldest can give way.
const REQUESTS: usize = 10;
/// For a connection from name to CONNACK, and for a flush.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a link is told at its start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Client id, the same at each broker.
    pub client: String,
    /// `mqtt://host:port` or `mqtts://host:port`; without a port, 1883 or 8883.
    pub brokers: Vec<String>,
    /// What the brokers ask for.
    pub login: Login,
    /// Filters, all at QoS 0, subscribed anew with each connection.
    pub subscriptions: Vec<String>,
    /// What a broker publishes when this node is gone without a word.
    pub will: Publication,
    /// Between pings; whole seconds, at least one.
    pub keep_alive: Duration,
    /// Between tries: first, most. Jittered.
    pub retry: (Duration, Duration),
    /// Seed of the jitter.
    pub seed: u64,
}

impl Options {
    /// As MQTT can say it.
    pub(super) fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive.as_secs().clamp(1, u64::from(u16::MAX)))
    }

    /// Whether the will fits a CONNECT.
    pub(super) fn will_fits(&self) -> bool {
        self.will.payload.len() <= usize::from(u16::MAX) && is_topic(&self.will.topic)
    }

    /// A new event loop for one connection.
    pub(super) fn connection(&self, url: &str) -> Result<(AsyncClient, EventLoop), String> {
        let broker = Broker::of(url)?;
        let mut options = MqttOptions::new(&self.client, broker.host, broker.port);
        options.set_keep_alive(self.keep_alive());
        options.set_clean_session(true);
        options.set_max_packet_size(PACKET_MOST, PACKET_MOST);
        if let Some((user, password)) = &self.login.user {
            options.set_credentials(user, password);
        }
        if self.will_fits() {
            let will = &self.will;
            options.set_last_will(LastWill::new(&will.topic, will.payload.clone(), qos(will), will.retain));
        }
        if broker.secure {
            let config = self.login.tls.clone().ok_or("no TLS was set up for this broker")?;
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
        }
        let (client, mut eventloop) = AsyncClient::new(options, REQUESTS);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
        eventloop.set_network_options(network);
        Ok((client, eventloop))
    }
}

/// As rumqttc says it.
pub(super) fn qos(publication: &Publication) -> QoS {
    if publication.acknowledged { QoS::AtLeastOnce } else { QoS::AtMostOnce }
}

/// Whether it can be published to. rumqttc looks for wildcards only, and a broker ends the connection over the others.
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= usize::from(u16::MAX) && !topic.contains(['+', '#', '\0'])
}

/// An address of the configuration, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Broker<'a> {
    secure: bool,
    /// Without the brackets of IPv6: so it can be looked up, and is the name that the certificate must have.
    host: &'a str,
    port: u16,
}

impl<'a> Broker<'a> {
    fn of(url: &'a str) -> Result<Self, String> {
        let wrong = || format!(r#"expected a broker such as "mqtts://broker-a:8883", found {url:?}"#);
        let (secure, rest) = match (url.strip_prefix("mqtts://"), url.strip_prefix("mqtt://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(wrong()),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(wrong)?) })
            }
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None if secure => 8883,
            None => 1883,
        };
        if host.is_empty() { Err(wrong()) } else { Ok(Self { secure, host, port }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let of = |url| Broker::of(url).map(|broker| (broker.secure, broker.host, broker.port)).ok();
        assert_eq!(of("mqtt://a"), Some((false, "a", 1883)));
        assert_eq!(of("mqtts://a.example"), Some((true, "a.example", 8883)));
        assert_eq!(of("mqtts://10.0.0.1:1"), Some((true, "10.0.0.1", 1)));
        assert_eq!(of("mqtt://[fe80::1]:1884"), Some((false, "fe80::1", 1884)));
        assert_eq!(of("mqtts://[::1]"), Some((true, "::1", 8883)));
        for wrong in ["a:1", "http://a:1", "mqtt://", "mqtt://:1", "mqtt://a:x", "mqtt://a:70000", "mqtt://[::1]x"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn topics() {
        assert!(is_topic("reeve/f/n/a/up"));
        for wrong in ["", "a/+", "#", "a\0"] {
            assert!(!is_topic(wrong), "{wrong:?}");
        }
        assert!(!is_topic(&"x".repeat(65_536)));
    }
}
