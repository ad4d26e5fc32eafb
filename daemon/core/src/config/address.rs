//! Addresses as they stand in the configuration: probe URLs, `host:port`, listening places, brokers.

use std::net::SocketAddr;

/// What a probe or scrape address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Host, without the brackets of IPv6.
    pub(super) host: String,
    /// The port; `None` when it is `{port}`.
    pub(super) port: Option<u16>,
}

impl Address {
    /// The fixed port when the host is this machine's loopback.
    pub(super) fn loopback_port(&self) -> Option<u16> {
        let local = self.host == "localhost" || self.host == "::1" || self.host.starts_with("127.");
        self.port.filter(|_| local)
    }
}

/// Reads `http://host[:port][/path]`; the port may be `{port}`.
pub(super) fn http(url: &str) -> Result<Address, String> {
    let expected = r#"a URL such as "http://127.0.0.1:{port}/health""#;
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(format!("expected {expected} (plain http only, since it asks this machine), found {url:?}"));
    };
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("expected {expected} without blanks, found {url:?}"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    split(authority, Some(80)).ok_or_else(|| format!("expected {expected}, found {url:?}"))
}

/// What may stand in `[worker.metrics] scrape`.
pub(super) const SCRAPE: &str =
    "a URL such as \"http://127.0.0.1:{port}/metrics\" or \"unix:{runtime_dir}/metrics.sock:/metrics\"";

/// Where a page of metrics is read: [`http`], or `unix:/PATH[:/PAGE]`; `None`: a socket, which has no port.
pub(super) fn scrape(text: &str) -> Result<Option<Address>, String> {
    let Some(rest) = text.strip_prefix("unix:") else {
        return http(text).map(Some);
    };
    let (path, page) = rest.split_once(":/").unwrap_or((rest, ""));
    let plain = |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let rooted = path.starts_with('/') || path.starts_with("{runtime_dir}/");
    if rooted && !path.ends_with('/') && !path.split('/').any(|part| part == "..") && plain(path) && plain(page) {
        Ok(None)
    } else {
        Err(format!("expected {SCRAPE}, found {text:?}"))
    }
}

/// Reads `host:port`; the port may be `{port}`.
pub(super) fn tcp(text: &str) -> Result<Address, String> {
    split(text, None).ok_or_else(|| format!(r#"expected host and port such as "127.0.0.1:{{port}}", found {text:?}"#))
}

/// Reads `METHOD http://…` of a drain step.
pub(super) fn request(text: &str) -> Result<(String, String, Address), String> {
    const METHODS: &[&str] = &["POST", "PUT", "GET", "DELETE", "PATCH"];
    let expected = r#"a method and a URL such as "POST http://127.0.0.1:{port}/drain""#;
    let (method, url) = text
        .split_once(' ')
        .filter(|(method, _)| METHODS.contains(method))
        .ok_or_else(|| format!("expected {expected}, found {text:?}"))?;
    let url = url.trim();
    Ok((method.to_owned(), url.to_owned(), http(url)?))
}

/// Where the scrape endpoint listens: `IP:PORT` or `unix:/PATH`.
pub(super) fn listen(text: &str) -> Result<(), String> {
    let ok = match text.strip_prefix("unix:") {
        Some(path) => path.starts_with('/') && !path.ends_with('/') && path.len() <= 107,
        None => text.parse::<SocketAddr>().is_ok(),
    };
    if ok {
        Ok(())
    } else {
        Err(format!(
            r#"expected an address such as "127.0.0.1:9723", a socket such as "unix:/run/reeve/metrics.sock" or "off", found {text:?}"#
        ))
    }
}

/// The TCP port of a listening place.
pub(super) fn listen_port(text: &str) -> Option<u16> {
    text.parse::<SocketAddr>().ok().map(|a| a.port())
}

/// A broker: `mqtts://host:port`.
pub(super) fn broker(text: &str) -> Result<(), String> {
    text.strip_prefix("mqtts://")
        .or_else(|| text.strip_prefix("mqtt://"))
        .and_then(|rest| split(rest, Some(8883)))
        .filter(|address| address.port.is_some())
        .map(|_| ())
        .ok_or_else(|| format!(r#"expected a broker such as "mqtts://broker-a:8883", found {text:?}"#))
}

/// Splits host and port; `None` when either is not valid.
fn split(authority: &str, default: Option<u16>) -> Option<Address> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            match after {
                "" => (host, None),
                _ => (host, Some(after.strip_prefix(':')?)),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let good = |c: char| c.is_ascii_alphanumeric() || ".-_{}:".contains(c);
    if host.is_empty() || !host.chars().all(good) {
        return None;
    }
    let port = match port {
        Some("{port}") => None,
        Some(number) => Some(number.parse::<u16>().ok().filter(|p| *p > 0)?),
        None => Some(default?),
    };
    Some(Address { host: host.to_owned(), port })
}
