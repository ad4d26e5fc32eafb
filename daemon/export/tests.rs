//! The endpoint from outside, over pipes and sockets of its own. Time is moved, not waited for.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::connection;
use super::listener::Listener;
use super::page::View;
use super::route::{PAGES, Route};
use super::settings::{Place, Settings, TlsFiles};
use super::thread::{CONNECTIONS, Thread};
use super::tls;
use crate::app::handle::{Handle, Request};
use crate::host::clock::Clock;
use flate2::read::GzDecoder;
use reeve_core::metrics::families::NODE_LOAD1;
use reeve_core::metrics::{Board, Caps, Exposition, Labels, Report, Samples};
use reeve_core::status::NodeStatus;
use reeve_core::{Event, Mono, Snapshot, Wall};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A daemon with samples, whose loop answers or hangs.
struct Daemon {
    route: Arc<Route>,
    view: View,
    requests: mpsc::UnboundedReceiver<Request>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    _exposition: watch::Sender<Arc<Exposition>>,
}

fn daemon(exposition: Arc<Exposition>) -> Daemon {
    let (asks, requests) = mpsc::unbounded_channel();
    let mut picture = Snapshot {
        node: NodeStatus { name: "n1".into(), state: "running", ..NodeStatus::default() },
        ..Snapshot::default()
    };
    picture.node.components.insert("store".into(), String::new());
    let (snapshot, pictures) = watch::channel(Arc::new(picture));
    let (sender, receiver) = watch::channel(exposition);
    let view = View::new(Handle::new(asks, pictures, broadcast::Sender::new(1)).showing(receiver));
    Daemon { route: Arc::new(Route::new(view.clone())), view, requests, snapshot, _exposition: sender }
}

/// Load 0.5, seen at `at`, and `more` further series.
fn samples(at: Mono, more: usize) -> Arc<Exposition> {
    let mut board = Board::new(Caps::default());
    let mut samples = Samples::new();
    samples.put(&NODE_LOAD1, 0.5);
    for n in 0..more {
        samples.put_with(&NODE_LOAD1, &Labels::new(&[("n", &n.to_string())]), 1.0);
    }
    let report = Report { source: "load", at, took: Duration::from_millis(1), outcome: Ok(samples) };
    board.take(report, reeve_core::Now { mono: at, wall: Wall(1) });
    board.exposition()
}

fn fresh(more: usize) -> Arc<Exposition> {
    samples(Clock::now().mono, more)
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let pair = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned())).unwrap();
        Self { status, headers: lines.map(pair).collect(), body: bytes[end + 4..].to_vec() }
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn request(what: &str, headers: &str) -> String {
    format!("{what} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{headers}\r\n")
}

async fn ask(daemon: &Daemon, what: &str, headers: &str) -> Answer {
    let (mut ours, theirs) = duplex(1 << 20);
    let server = tokio::spawn(connection::serve(Box::new(theirs), None, Arc::clone(&daemon.route)));
    ours.write_all(request(what, headers).as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes).await.unwrap();
    server.await.unwrap();
    Answer::read(&bytes)
}

/// MET-18: format by Accept, coding by Accept-Encoding, one part by collect[].
#[tokio::test]
async fn met_18_a_page_is_negotiated() {
    let daemon = daemon(fresh(0));
    let plain = ask(&daemon, "GET /metrics", "").await;
    assert_eq!(
        (plain.status, plain.headers["content-type"].as_str()),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(plain.text().contains("\nnode_load1 0.5\n") && !plain.text().contains("# EOF"));
    assert_eq!(plain.headers["vary"], "Accept, Accept-Encoding");

    let open = ask(&daemon, "GET /metrics", "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n").await;
    assert!(open.headers["content-type"].starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.text().ends_with("# EOF\n"));

    let packed = ask(&daemon, "GET /metrics?collect[]=load", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    let mut text = String::new();
    GzDecoder::new(&packed.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, "# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.5\n");

    let one = ask(&daemon, "GET /metrics?collect%5B%5D=reeve_source_s*", "").await.text();
    assert!(one.starts_with("# HELP reeve_source_success ") && one.ends_with("{source=\"load\"} 1\n"), "{one}");
    let counted = ask(&daemon, "GET /metrics?collect[]=reeve_scrapes_total", "").await.text();
    assert!(counted.contains("reeve_scrapes_total{path=\"/metrics\",code=\"200\"} 4\n"), "{counted}");
}

/// MET-18: what is not there is said; HEAD has no body.
#[tokio::test]
async fn met_18_paths_and_methods() {
    let daemon = daemon(fresh(0));
    let head = ask(&daemon, "HEAD /metrics", "").await;
    assert!(head.status == 200 && head.body.is_empty() && head.headers["content-length"] != "0");
    assert_eq!(ask(&daemon, "GET /nothing", "").await.status, 404);
    let post = ask(&daemon, "POST /metrics", "Content-Length: 0\r\n").await;
    assert_eq!((post.status, post.headers["allow"].as_str()), (405, "GET, HEAD"));
    assert!(ask(&daemon, "GET /", "").await.text().contains("/healthz"));
    let long = format!("X: {}\r\n", "y".repeat(20_000));
    assert_eq!(ask(&daemon, "GET /metrics", &long).await.status, 431, "a header is bounded");
}

/// Isolation: over the cap of pages a scrape is told to come again, and the signs of life are not.
#[tokio::test(start_paused = true)]
async fn met_18_too_many_scrapes_are_told_to_come_again() {
    let mut daemon = daemon(fresh(0));
    let held = Arc::clone(&daemon.route.pages).try_acquire_many_owned(u32::try_from(PAGES).unwrap()).unwrap();
    let refused = ask(&daemon, "GET /metrics", "").await;
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "1"));
    // No page is to be had, and the loop is asked all the same.
    assert_eq!(ask(&daemon, "GET /healthz", "").await.status, 503);
    assert!(matches!(daemon.requests.try_recv(), Ok(Request::Alive(_))));
    drop(held);
    assert_eq!(ask(&daemon, "GET /metrics", "").await.status, 200);
}

/// HLT-07: /healthz asks the loop; a loop that hangs is told, and a page is served all the same.
#[tokio::test(start_paused = true)]
async fn hlt_07_a_loop_that_hangs_is_told() {
    let mut daemon = daemon(fresh(0));
    let hung = ask(&daemon, "GET /healthz", "").await;
    assert_eq!((hung.status, hung.text().as_str()), (503, "the daemon's loop does not turn\n"));
    assert_eq!(ask(&daemon, "GET /metrics", "").await.status, 200);
    while daemon.requests.try_recv().is_ok() {}
    let mut requests = std::mem::replace(&mut daemon.requests, mpsc::unbounded_channel().1);
    tokio::spawn(async move {
        while let Some(Request::Alive(back)) = requests.recv().await {
            back.send(()).unwrap();
        }
    });
    let alive = ask(&daemon, "GET /healthz", "").await;
    assert_eq!((alive.status, alive.text().as_str()), (200, "ok\n"));
}

/// HLT-07: status and components; not 200 when something is wrong.
#[tokio::test]
async fn hlt_07_components_are_told() {
    let daemon = daemon(fresh(0));
    let well = ask(&daemon, "GET /health", "").await;
    assert_eq!((well.status, well.json()["status"].as_str()), (200, Some("healthy")));
    assert_eq!(ask(&daemon, "GET /ready", "").await.status, 200);
    daemon.snapshot.send_modify(|picture| {
        let node = &mut Arc::make_mut(picture).node;
        (node.state, node.reason) = ("degraded", "store: no space".into());
        node.components.insert("store".into(), "no space".into());
    });
    for (path, word) in [("GET /health", "unhealthy"), ("GET /ready", "not-ready")] {
        let sick = ask(&daemon, path, "").await;
        let json = sick.json();
        assert_eq!(
            (sick.status, json["status"].as_str(), json["reason"].as_str()),
            (503, Some(word), Some("store: no space"))
        );
        assert_eq!(json["components"]["store"]["reason"], "no space");
    }
}

/// HLT-03: a source that hangs is a gap with success 0; the page does not wait for it.
#[tokio::test]
async fn hlt_03_a_source_that_hangs_does_not_delay_a_page() {
    let past = Mono(Clock::now().mono.0.saturating_sub(Duration::from_secs(60)));
    let text = ask(&daemon(samples(past, 0)), "GET /metrics", "").await.text();
    assert!(text.contains("reeve_source_success{source=\"load\"} 0\n") && !text.contains("node_load1"), "{text}");
}

async fn serve_slow(daemon: &Daemon, room: usize, sent: &str) -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (mut ours, theirs) = duplex(room);
    let server = tokio::spawn(connection::serve(Box::new(theirs), None, Arc::clone(&daemon.route)));
    ours.write_all(sent.as_bytes()).await.unwrap();
    (ours, server)
}

/// Isolation: who takes nothing of a page, or never ends a header, loses the connection and gives the place back.
#[tokio::test(start_paused = true)]
async fn met_18_slow_clients_are_let_go() {
    let daemon = daemon(fresh(10_000));
    let (client, server) = serve_slow(&daemon, 512, &request("GET /metrics", "")).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(daemon.route.pages.available_permits(), PAGES - 1, "a page on its way holds its place");
    server.await.unwrap();
    assert_eq!(daemon.route.pages.available_permits(), PAGES);
    drop(client);
    let (_client, server) = serve_slow(&daemon, 512, "GET /metrics HTTP/1.1\r\nHost: ").await;
    server.await.unwrap();
}

/// Isolation: over the cap of connections the answer is 503 at once.
#[tokio::test]
async fn met_18_too_many_connections_are_refused() {
    const { assert!(CONNECTIONS > PAGES, "signs of life have room beside pages") };
    let (mut ours, theirs) = duplex(1024);
    connection::refuse(Box::new(theirs)).await;
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes).await.unwrap();
    let answer = Answer::read(&bytes);
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "1"));
}

struct Signed {
    ca: String,
    certificate: String,
    key: String,
}

/// A certificate for "localhost" signed by a new authority.
fn signed() -> Signed {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    Signed { ca: authority.pem(), certificate: own.pem(), key: key.serialize_pem() }
}

fn client(trusts: &Signed, shows: Option<&Signed>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusts.ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match shows {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = vec![CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

fn tls_files(dir: &Path, server: &Signed, clients: Option<&Signed>) -> TlsFiles {
    let put = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        certificate: put("crt", &server.certificate),
        key: put("key", &server.key),
        client_ca: clients.map(|c| put("ca", &c.ca)),
    }
}

async fn ask_tls(daemon: &Daemon, files: &TlsFiles, connector: TlsConnector) -> Option<Answer> {
    let (ours, theirs) = duplex(1 << 20);
    let acceptor = tls::acceptor(files).unwrap();
    tokio::spawn(connection::serve(Box::new(theirs), Some(acceptor), Arc::clone(&daemon.route)));
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), ours).await.ok()?;
    stream.write_all(request("GET /metrics", "").as_bytes()).await.ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.ok()?;
    Some(Answer::read(&bytes))
}

/// SEC-06: with TLS, and with clients' certificates where they are asked for.
#[tokio::test]
async fn sec_06_tls_asks_for_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = daemon(fresh(0));
    let (server, good, bad) = (signed(), signed(), signed());
    let open = tls_files(dir.path(), &server, None);
    assert_eq!(ask_tls(&daemon, &open, client(&server, None)).await.unwrap().status, 200);
    let closed = tls_files(dir.path(), &server, Some(&good));
    assert_eq!(ask_tls(&daemon, &closed, client(&server, Some(&good))).await.unwrap().status, 200);
    assert!(ask_tls(&daemon, &closed, client(&server, None)).await.is_none());
    assert!(ask_tls(&daemon, &closed, client(&server, Some(&bad))).await.is_none());
    assert!(ask_tls(&daemon, &closed, client(&good, Some(&good))).await.is_none(), "the server is not that one");
    std::fs::write(dir.path().join("key"), "nothing").unwrap();
    let problem = tls::acceptor(&closed).map(|_| ()).unwrap_err();
    assert!(problem.contains("key: no private key in PEM"), "{problem}");
}

fn at(place: Place) -> Settings {
    Settings { listen: Some(place), ..Settings::default() }
}

fn problem(events: &mut mpsc::UnboundedReceiver<Event>) -> Option<String> {
    match events.try_recv() {
        Ok(Event::ComponentHealth { component: "metrics", problem }) => problem,
        other => panic!("{other:?}"),
    }
}

/// MET-18: a socket has mode 0660, replaces one that nobody listens on, takes nobody's place, and goes with us.
#[tokio::test]
async fn met_18_a_socket_is_taken_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let place = Place::Socket(path.clone());
    let first = Listener::bind(&place).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let why = Listener::bind(&place).unwrap_err();
    assert!(why.contains("somebody listens there"), "{why}");
    drop(first);
    assert!(!path.exists());
    std::fs::write(&path, "a file").unwrap();
    assert!(Listener::bind(&place).unwrap_err().contains("not a socket"));
    assert!(path.exists());
}

/// MET-18: a reload keeps the old place until the new one is taken; a port in use is a reason, not an end.
#[tokio::test]
async fn met_18_a_reload_keeps_what_works() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Place::Address(taken.local_addr().unwrap());
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut thread = Thread::new(daemon(fresh(0)).view, sender);

    thread.apply(&at(address.clone()));
    let said = problem(&mut events).unwrap();
    assert!(said.starts_with(&format!("cannot listen on {address}: ")) && thread.retries(), "{said}");

    thread.apply(&at(Place::Socket(one.clone())));
    assert!(problem(&mut events).is_none() && one.exists() && !thread.retries());
    thread.apply(&at(address.clone()));
    let said = problem(&mut events).unwrap();
    assert!(said.ends_with(&format!("; still listening on unix:{}", one.display())) && one.exists(), "{said}");

    // Tried again, it works as soon as the place is free.
    drop(taken);
    thread.apply(&at(address));
    assert!(problem(&mut events).is_none() && !one.exists());
    thread.apply(&at(Place::Socket(two.clone())));
    assert!(two.exists());
    thread.apply(&Settings::default());
    assert!(!two.exists(), "off");
    assert!(events.try_recv().is_err(), "only changes are told");
}

/// MET-18: certificates that cannot be read leave what works as it is.
#[tokio::test]
async fn sec_06_bad_certificates_change_nothing() {
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut thread = Thread::new(daemon(fresh(0)).view, sender);
    let missing = TlsFiles { certificate: "/nonexistent/crt".into(), key: "/nonexistent/key".into(), client_ca: None };
    let address = Place::Address("127.0.0.1:0".parse().unwrap());
    thread.apply(&Settings { listen: Some(address), tls: Some(missing), textfile: None });
    assert!(problem(&mut events).unwrap().starts_with("/nonexistent/crt: "));
}

/// MET-18: sockets of the service manager are used, whichever kind they are; the thread serves and ends.
#[test]
fn met_18_inherited_sockets_are_served() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let path = dir.path().join("activated");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let file = dir.path().join("reeve.prom");
    let settings = Settings { textfile: Some(file.clone()), ..at(Place::Socket(dir.path().join("not-used"))) };
    let (sender, _events) = mpsc::unbounded_channel();
    let daemon = daemon(fresh(0));
    let handed = vec![OwnedFd::from(tcp), OwnedFd::from(unix)];
    let export = super::Export::start(settings, handed, daemon.view.clone(), sender).unwrap();
    let mut tcp = std::net::TcpStream::connect(address).unwrap();
    let mut unix = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let text = request("GET /metrics", "");
    let mut both = [Vec::new(), Vec::new()];
    tcp.write_all(text.as_bytes()).unwrap();
    unix.write_all(text.as_bytes()).unwrap();
    tcp.read_to_end(&mut both[0]).unwrap();
    unix.read_to_end(&mut both[1]).unwrap();
    for bytes in both {
        assert!(Answer::read(&bytes).text().contains("\nnode_load1 0.5\n"));
    }
    assert!(!dir.path().join("not-used").exists());
    drop(export);
    assert!(path.exists(), "it belongs to the service manager");
    assert!(!file.exists(), "no old numbers stay behind");
}
