//! What the configuration says of the endpoint, with paths.

use crate::host::paths::Paths;
use reeve_core::config::Metrics;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen; `None`: nowhere.
    pub listen: Option<Place>,
    /// TLS, on an address.
    pub tls: Option<TlsFiles>,
    /// Which file to write.
    pub textfile: Option<PathBuf>,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// TCP.
    Address(SocketAddr),
    /// A unix socket.
    Socket(PathBuf),
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Who signs clients' certificates.
    pub client_ca: Option<PathBuf>,
}

impl Settings {
    /// From the configuration. `by_default`: nobody has said where to listen; below a root of its own that is a socket
    /// there, so that several nodes on one host do not want the same port. `credentials` is the folder that systemd has
    /// made (`$CREDENTIALS_DIRECTORY`).
    pub fn of(metrics: &Metrics, by_default: bool, paths: &Paths, credentials: Option<&Path>) -> Self {
        let own = by_default && paths.root != Path::new("/");
        let listen = match metrics.listen.as_deref() {
            Some(_) if own => Some(Place::Socket(paths.run.join("metrics.sock"))),
            Some(text) => place(text, paths),
            None => None,
        };
        let folder = credentials.map_or_else(|| paths.etc.join("credentials"), Path::to_owned);
        let tls = metrics.tls.as_ref().filter(|_| !own).map(|tls| TlsFiles {
            certificate: folder.join(&tls.certificate),
            key: folder.join(&tls.key),
            client_ca: tls.client_ca.as_ref().map(|name| folder.join(name)),
        });
        Self { listen, tls, textfile: metrics.textfile.as_ref().map(PathBuf::from) }
    }
}

/// The configuration was checked, so a text that is neither does not come.
fn place(text: &str, paths: &Paths) -> Option<Place> {
    match text.strip_prefix("unix:") {
        Some(path) => Some(Place::Socket(match path.strip_prefix("/run/reeve/") {
            Some(below) => paths.run.join(below),
            None => path.into(),
        })),
        None => text.parse().ok().map(Place::Address),
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Address(address) => write!(f, "{address}"),
            Place::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(listen: Option<&str>) -> Metrics {
        Metrics { listen: listen.map(str::to_owned), ..Metrics::off() }
    }

    #[test]
    fn met_18_places_follow_the_root() {
        let (host, own) = (Paths::new(Path::new("/")), Paths::new(Path::new("/tmp/x")));
        let of = |listen, by_default, paths: &Paths| {
            Settings::of(&metrics(listen), by_default, paths, None).listen.map(|place| place.to_string())
        };
        let default = Some("127.0.0.1:9723");
        assert_eq!(of(default, true, &host).as_deref(), default);
        assert_eq!(of(default, false, &own).as_deref(), default);
        assert_eq!(of(default, true, &own).as_deref(), Some("unix:/tmp/x/run/reeve/metrics.sock"));
        assert_eq!(of(Some("unix:/run/reeve/m"), false, &own).as_deref(), Some("unix:/tmp/x/run/reeve/m"));
        assert_eq!(of(Some("unix:/srv/m"), false, &own).as_deref(), Some("unix:/srv/m"));
        assert_eq!(of(None, false, &host), None);
    }
}
