//! Errors in words for people: short, lower case, without secrets.

use rumqttc::mqttbytes::Error as BytesError;
use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError};
use std::io::{self, ErrorKind};
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as RustlsError};

/// It does not answer, or no longer.
pub(super) const SILENT: &str = "the broker does not answer";

/// Why a connection ended, or was not made. `answered`: the broker had let us in.
pub(super) fn of(error: &ConnectionError, answered: bool) -> String {
    match error {
        ConnectionError::MqttState(error) => state(error, answered),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => SILENT.to_owned(),
        ConnectionError::Tls(error) => tls(error),
        ConnectionError::Io(error) => io_error(error),
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::NotConnAck(_) => "what answers there is no MQTT broker".to_owned(),
        ConnectionError::RequestsDone => "the link was closed".to_owned(),
    }
}

/// Refused subscriptions by their filters.
pub(super) fn subscriptions(filters: &[&str]) -> String {
    let plural = if filters.len() == 1 { "" } else { "s" };
    format!("the broker refuses the subscription{plural} {} (its access rules?)", filters.join(", "))
}

fn refused(code: ConnectReturnCode) -> String {
    match code {
        ConnectReturnCode::Success => "the broker let the node in and yet did not",
        ConnectReturnCode::RefusedProtocolVersion => "the broker does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "the broker refuses the client id",
        ConnectReturnCode::ServiceUnavailable => "the broker says that it is unavailable",
        ConnectReturnCode::BadUserNamePassword => "the broker refuses this user or password",
        // What mosquitto says of a wrong password.
        ConnectReturnCode::NotAuthorized => "the broker refuses this user or password (not authorised)",
    }
    .to_owned()
}

fn state(error: &StateError, answered: bool) -> String {
    match error {
        StateError::Io(error) | StateError::Deserialization(BytesError::Io(error)) => io_error(error),
        StateError::AwaitPingResp => SILENT.to_owned(),
        StateError::CollisionTimeout => "the broker does not acknowledge what it was sent".to_owned(),
        StateError::ConnectionAborted if answered => "the broker closed the connection".to_owned(),
        StateError::ConnectionAborted => {
            "the broker closed the connection before it answered (does the port expect TLS?)".to_owned()
        }
        StateError::Deserialization(BytesError::PayloadSizeLimitExceeded(size)) => {
            format!("the broker sent a packet of {size} bytes, which is too large")
        }
        StateError::Deserialization(BytesError::OutgoingPacketTooLarge { pkt_size, .. }) => {
            format!("a packet of {pkt_size} bytes is too large to send")
        }
        other => format!("what the broker says is no MQTT: {other}"),
    }
}

fn tls(error: &TlsError) -> String {
    match error {
        TlsError::Io(error) => io_error(error),
        TlsError::TLS(error) => rustls(error),
        TlsError::DNSName(_) => "the broker's name cannot stand in a certificate".to_owned(),
        other => format!("TLS failed: {other}"),
    }
}

fn io_error(error: &io::Error) -> String {
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>()) {
        return rustls(inner);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => "the connection was reset".to_owned(),
        ErrorKind::TimedOut => SILENT.to_owned(),
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => "the broker closed the connection".to_owned(),
        ErrorKind::HostUnreachable => "no route to the broker's host".to_owned(),
        ErrorKind::NetworkUnreachable => "the broker's network is unreachable".to_owned(),
        _ => {
            let text = error.to_string();
            if text.contains("lookup address") || text.contains("could not resolve") {
                "the broker's name is unknown".to_owned()
            } else {
                text
            }
        }
    }
}

fn rustls(error: &RustlsError) -> String {
    match error {
        RustlsError::InvalidCertificate(error) => certificate(error),
        RustlsError::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => "the broker asks for a client certificate".to_owned(),
            AlertDescription::CertificateExpired => "the broker says that our certificate has expired".to_owned(),
            AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate => "the broker does not accept our certificate".to_owned(),
            // TLS 1.2 has no word of its own for a missing certificate.
            AlertDescription::HandshakeFailure => {
                "the broker refuses the TLS handshake (does it ask for a client certificate?)".to_owned()
            }
            other => format!("the broker refuses the TLS handshake: {other:?}"),
        },
        RustlsError::InvalidMessage(_) => "the port of the broker does not speak TLS".to_owned(),
        other => format!("TLS failed: {other}"),
    }
}

fn certificate(error: &CertificateError) -> String {
    let what = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::Revoked => "was revoked",
        CertificateError::UnknownIssuer => "is signed by nobody we trust",
        CertificateError::BadSignature => "is signed by nobody we trust (its signature is wrong)",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name than the configured one"
        }
        other => return format!("the certificate of the broker is not accepted: {other}"),
    };
    format!("the certificate of the broker {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_words() {
        let io = |kind: ErrorKind| of(&ConnectionError::Io(kind.into()), false);
        assert_eq!(io(ErrorKind::ConnectionRefused), "connection refused");
        assert_eq!(io(ErrorKind::ConnectionReset), "the connection was reset");
        let lookup = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(of(&ConnectionError::Io(lookup), false), "the broker's name is unknown");
        assert_eq!(of(&ConnectionError::NetworkTimeout, false), SILENT);
        let code = |code| of(&ConnectionError::ConnectionRefused(code), false);
        assert_eq!(code(ConnectReturnCode::BadUserNamePassword), "the broker refuses this user or password");
        assert!(code(ConnectReturnCode::NotAuthorized).starts_with("the broker refuses this user or password"));
        let closed = |answered| of(&ConnectionError::MqttState(StateError::ConnectionAborted), answered);
        assert_eq!(closed(true), "the broker closed the connection");
        assert!(closed(false).contains("TLS"));
    }

    #[test]
    fn certificates_in_words_wherever_they_turn_up() {
        let inner = || RustlsError::InvalidCertificate(CertificateError::Expired);
        let wrapped = || io::Error::new(ErrorKind::InvalidData, inner());
        let expected = "the certificate of the broker has expired";
        let read = StateError::Deserialization(BytesError::Io(wrapped()));
        for error in [
            ConnectionError::Tls(TlsError::Io(wrapped())),
            ConnectionError::Tls(TlsError::TLS(inner())),
            ConnectionError::Io(wrapped()),
            ConnectionError::MqttState(read),
        ] {
            assert_eq!(of(&error, true), expected);
        }
    }

    #[test]
    fn refused_subscriptions_by_name() {
        assert_eq!(subscriptions(&["lead/+"]), "the broker refuses the subscription lead/+ (its access rules?)");
        assert_eq!(subscriptions(&["a", "b/#"]), "the broker refuses the subscriptions a, b/# (its access rules?)");
    }
}
