//! The link to the brokers, broker by broker (HLT-10, MET-14).

use crate::metrics::family::{Family, Kind, Lane};

/// This group, in the order of the manual page.
pub(super) static TABLE: &[&Family] =
    &[&CONNECTED, &SENT, &RECEIVED, &DROPPED, &REFUSED, &CONNECTS, &LOSSES, &ROUND_TRIP];

const SOURCE: &str = "the link to the brokers";
/// Its URL, without secrets.
const BROKER: &[&str] = &["broker"];

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family::gauge(name, unit, help, SOURCE).with(BROKER).on(Lane::Event)
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family::counter(name, "", help, SOURCE).with(BROKER).on(Lane::Event)
}

/// HLT-10.
pub static CONNECTED: Family = gauge(
    "reeve_mqtt_connected",
    "",
    "Whether the broker of this URL is connected and has granted the subscriptions: 1 or 0.",
);
/// MET-14.
pub static SENT: Family = counter("reeve_mqtt_messages_sent_total", "Messages that were written to the broker.");
/// MET-14.
pub static RECEIVED: Family = counter("reeve_mqtt_messages_received_total", "Messages that came from the broker.");
/// MET-14.
pub static DROPPED: Family = counter(
    "reeve_mqtt_messages_dropped_total",
    "Messages that were dropped: unsent, because the broker was away or too slow, or on arrival, for want of room.",
);
/// MET-14.
pub static REFUSED: Family = counter(
    "reeve_mqtt_messages_refused_total",
    "Messages that were never tried: too large, or for a topic that is none.",
);
/// HLT-10.
pub static CONNECTS: Family = counter("reeve_mqtt_connects_total", "Connections to the broker that were made.");
/// HLT-10.
pub static LOSSES: Family = counter(
    "reeve_mqtt_connection_losses_total",
    "Connections to the broker that were lost, and tries to connect that failed.",
);
/// HLT-10, MET-14.
pub static ROUND_TRIP: Family = gauge(
    "reeve_mqtt_round_trip_seconds",
    "seconds",
    "From sending a message to itself to its return through the broker, in seconds, tried about every 15 s; one that \
     has not returned when the next is sent is not counted.",
)
.of(Kind::Histogram);
/// Bounds of [`ROUND_TRIP`]; 1 s and 5 s are the limits of MET-14.
pub static ROUND_TRIP_BOUNDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
