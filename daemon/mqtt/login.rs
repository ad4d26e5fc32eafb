//! What the brokers ask for: password, certificates. From systemd's credentials, never from the configuration.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Who signs certificates, as far as the system knows.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What the brokers ask for.
#[derive(Clone, Default)]
pub struct Login {
    /// User name and password.
    pub(super) user: Option<(String, String)>,
    /// For brokers that are asked by `mqtts://`.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Whether it holds a certificate of this node.
    certificate: bool,
}

/// Nothing of it is for other eyes.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("password", &self.user.is_some())
            .field("certificate", &self.certificate)
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

impl Login {
    /// Reads what `name` (of `[fleet] credentials`) means in `folder`, systemd's folder of credentials:
    ///
    /// - `NAME.password`: the password of the user `node`; a newline at its end does not count.
    /// - `NAME.crt`, `NAME.key`: the certificate of this node with its chain, and its key, in PEM.
    /// - `NAME.ca`: who signs the brokers' certificates, in PEM; without it, whom the system trusts.
    ///
    /// # Errors
    ///
    /// A text for people: which file, and what was expected there. A name for which there is no file at all is a
    /// mistake, as is a certificate without a key.
    pub fn read(node: &str, folder: &Path, name: Option<&str>, brokers: &[String]) -> Result<Self, String> {
        let secure = brokers.iter().any(|url| url.starts_with("mqtts://"));
        let Some(name) = name else {
            let tls = if secure { Some(Arc::new(config(roots(None)?, None)?)) } else { None };
            return Ok(Self { tls, ..Self::default() });
        };
        let [password, crt, key, ca] = ["password", "crt", "key", "ca"].map(|kind| File::read(folder, name, kind));
        let (password, crt, key, ca) = (password?, crt?, key?, ca?);
        if [&password, &crt, &key, &ca].iter().all(|file| file.bytes.is_none()) {
            return Err(format!(
                "{}: expected {name}.password, {name}.crt with {name}.key or {name}.ca, found none of them",
                folder.display()
            ));
        }
        let user = match &password.bytes {
            Some(bytes) => Some((node.to_owned(), password.text(bytes)?)),
            None => None,
        };
        let identity = match (&crt.bytes, &key.bytes) {
            (None, None) => None,
            (Some(chain), Some(secret)) => Some((crt.certificates(chain)?, key.key(secret)?)),
            (Some(_), None) => return Err(format!("{}: missing, expected the key of {name}.crt", key.path.display())),
            (None, Some(_)) => {
                return Err(format!("{}: missing, expected the certificate of {name}.key", crt.path.display()));
            }
        };
        let certificate = identity.is_some();
        let tls = if secure {
            let identity = identity.map(|(chain, secret)| (chain, secret, &crt.path, &key.path));
            Some(Arc::new(config(roots(Some(&ca))?, identity)?))
        } else {
            None
        };
        Ok(Self { user, tls, certificate })
    }
}

/// One file, which may be missing.
struct File {
    path: PathBuf,
    bytes: Option<Vec<u8>>,
}

impl File {
    fn read(folder: &Path, name: &str, kind: &str) -> Result<Self, String> {
        let path = folder.join(format!("{name}.{kind}"));
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Self { path, bytes: Some(bytes) }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Self { path, bytes: None }),
            Err(e) => Err(format!("{}: {e}", path.display())),
        }
    }

    /// The password. No error says what is in the file.
    fn text(&self, bytes: &[u8]) -> Result<String, String> {
        let expected = || format!("{}: expected a password in one line of UTF-8", self.path.display());
        let text = str::from_utf8(bytes).map_err(|_| expected())?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() || text.contains(['\n', '\0']) || text.len() > usize::from(u16::MAX) {
            return Err(expected());
        }
        Ok(text.to_owned())
    }

    fn certificates(&self, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
        let found = found.map_err(|e| format!("{}: not PEM: {e}", self.path.display()))?;
        if found.is_empty() {
            return Err(format!("{}: expected a certificate in PEM, found none", self.path.display()));
        }
        Ok(found)
    }

    fn key(&self, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
        PrivateKeyDer::from_pem_slice(bytes)
            .map_err(|_| format!("{}: expected a private key in PEM, found none", self.path.display()))
    }
}

/// Whom to believe: the given file, else the system's.
fn roots(ca: Option<&File>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(ca) = ca
        && let Some(bytes) = &ca.bytes
    {
        for certificate in ca.certificates(bytes)? {
            roots.add(certificate).map_err(|e| format!("{}: {e}", ca.path.display()))?;
        }
        return Ok(roots);
    }
    let system = File { path: SYSTEM.into(), bytes: None };
    let bytes = std::fs::read(SYSTEM).map_err(|e| {
        format!(
            "{SYSTEM}: {e}; an mqtts broker needs it, or the credential that ends in .ca with who signs the brokers"
        )
    })?;
    // The system's bundle may hold oddities that nobody needs.
    roots.add_parsable_certificates(system.certificates(&bytes)?);
    Ok(roots)
}

/// A chain with its key, and the files they came from.
type Identity<'a> = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, &'a PathBuf, &'a PathBuf);

fn config(roots: RootCertStore, identity: Option<Identity<'_>>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .with_root_certificates(roots);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key, chain_path, key_path)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|e| format!("{} and {}: {e}", chain_path.display(), key_path.display())),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)], name: Option<&str>, broker: &str) -> Result<Login, String> {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let read = Login::read("n1", folder.path(), name, &[broker.to_owned()]);
        read.map_err(|text| text.replace(&folder.path().display().to_string(), "DIR"))
    }

    fn identity() -> (String, String) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn a_password_without_its_newline_and_never_shown() {
        for text in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            let login = read(&[("mqtt.password", text)], Some("mqtt"), "mqtt://b:1883").unwrap();
            assert_eq!(login.user, Some(("n1".to_owned(), "s3cret".to_owned())));
            assert_eq!(format!("{login:?}"), "Login { password: true, certificate: false, tls: false }");
        }
        for text in ["", "\n", "two\nlines\n"] {
            let error = read(&[("mqtt.password", text)], Some("mqtt"), "mqtt://b:1883").unwrap_err();
            assert_eq!(error, "DIR/mqtt.password: expected a password in one line of UTF-8");
        }
    }

    #[test]
    fn nothing_named_is_anonymous_and_reads_nothing() {
        let login = read(&[("mqtt.password", "s3cret")], None, "mqtt://b:1883").unwrap();
        assert!(login.user.is_none() && login.tls.is_none());
    }

    #[test]
    fn a_name_without_files_is_a_mistake() {
        let error = read(&[("other.password", "x")], Some("mqtt"), "mqtt://b:1883").unwrap_err();
        assert_eq!(error, "DIR: expected mqtt.password, mqtt.crt with mqtt.key or mqtt.ca, found none of them");
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        let (crt, key) = identity();
        let of = |files: &[(&str, &str)]| read(files, Some("mqtt"), "mqtts://b:8883");
        let ca = ("mqtt.ca", crt.as_str());
        let login = of(&[ca, ("mqtt.crt", &crt), ("mqtt.key", &key)]).unwrap();
        assert_eq!(format!("{login:?}"), "Login { password: false, certificate: true, tls: true }");
        assert!(of(&[ca]).unwrap().tls.is_some());

        let error = |files: &[(&str, &str)]| of(files).unwrap_err();
        assert_eq!(error(&[ca, ("mqtt.crt", &crt)]), "DIR/mqtt.key: missing, expected the key of mqtt.crt");
        assert_eq!(error(&[ca, ("mqtt.key", &key)]), "DIR/mqtt.crt: missing, expected the certificate of mqtt.key");
        assert_eq!(
            error(&[ca, ("mqtt.crt", &crt), ("mqtt.key", &crt)]),
            "DIR/mqtt.key: expected a private key in PEM, found none"
        );
        assert_eq!(error(&[("mqtt.ca", "rubbish")]), "DIR/mqtt.ca: expected a certificate in PEM, found none");
        let other = identity().1;
        let text = error(&[ca, ("mqtt.crt", &crt), ("mqtt.key", &other)]);
        assert!(text.starts_with("DIR/mqtt.crt and DIR/mqtt.key: "), "{text}");
    }

    #[test]
    fn without_an_mqtts_broker_nothing_of_tls_is_built() {
        let login = read(&[("mqtt.ca", "rubbish"), ("mqtt.password", "x")], Some("mqtt"), "mqtt://b:1883").unwrap();
        assert!(login.tls.is_none());
    }
}
