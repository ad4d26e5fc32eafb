//! Against a tiny listener that answers, hangs, dawdles and talks nonsense.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use reeve_core::config::{Notice, Until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const LIMIT: Duration = Duration::from_millis(300);

/// What the listener does with a request.
#[derive(Clone)]
enum Server {
    /// Sends this.
    Says(Vec<u8>),
    /// Sends the first part, and never the rest.
    Dawdles(&'static str),
    /// Accepts and is silent.
    Hangs,
    /// Closes.
    Closes,
}

fn says(text: &str) -> Server {
    Server::Says(text.as_bytes().to_vec())
}

/// A listener that serves every connection in the same way; its `host:port` and the first lines it was asked.
async fn serve(server: Server) -> (String, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, seen) = unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (server, asked) = (server.clone(), asked.clone());
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let n = stream.read(&mut request).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&request[..n]).into_owned();
                let _ = asked.send(text);
                let keep = match &server {
                    Server::Says(bytes) => stream.write_all(bytes).await.is_err(),
                    Server::Dawdles(part) => stream.write_all(part.as_bytes()).await.is_ok(),
                    Server::Hangs => true,
                    Server::Closes => false,
                };
                if keep {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (address, seen)
}

struct Bench {
    prober: Prober,
    events: UnboundedReceiver<Event>,
}

fn bench() -> Bench {
    let (sender, events) = unbounded_channel();
    Bench { prober: Prober::new(sender, Way::Child), events }
}

fn replica() -> ReplicaId {
    "web/1".parse().unwrap()
}

impl Bench {
    async fn next(&mut self) -> Event {
        let wait = tokio::time::timeout(Duration::from_secs(20), self.events.recv());
        wait.await.unwrap().unwrap()
    }

    fn begin(&self, check: Check, limit: Duration) {
        let context = Arc::new(Context::default());
        let kind = ProbeKind::Liveness;
        self.prober.probe(replica(), RunId([7; 16]), kind, check, limit, context);
    }

    async fn probe(&mut self, check: Check) -> Result<Duration, String> {
        self.begin(check, LIMIT);
        match self.next().await {
            Event::Probed { run, result, .. } => {
                assert_eq!(run, RunId([7; 16]));
                result
            }
            other => panic!("{other:?}"),
        }
    }

    async fn http(&mut self, server: Server) -> Result<Duration, String> {
        let (address, _seen) = serve(server).await;
        self.probe(Check::Http(format!("http://{address}/health"))).await.map_err(|e| e.replace(&address, "HOST"))
    }

    async fn hook(&mut self, action: HookAction) -> Result<bool, String> {
        let context = Arc::new(Context::default());
        let kind = HookKind::Until;
        self.prober.hook(replica(), RunId([7; 16]), kind, action, LIMIT, context);
        match self.next().await {
            Event::Hooked { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn http_statuses_from_200_to_399_are_success() {
    let mut b = bench();
    for (status, well) in [(200, true), (204, true), (302, true), (399, true), (400, false)] {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nLocation: /x\r\n\r\n");
        assert_eq!(b.http(says(&answer)).await.is_ok(), well, "{status}");
    }
    let failed = b.http(says("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nbad!")).await;
    assert_eq!(failed, Err("http://HOST/health: answered 500".to_owned()));
}

#[tokio::test]
async fn the_request_is_plain_and_complete() {
    let mut b = bench();
    let (address, mut seen) = serve(says("HTTP/1.1 200 OK\r\n\r\n")).await;
    let url = format!("http://{address}/health?deep=1");
    assert!(b.probe(Check::Http(url)).await.is_ok());
    let asked = seen.recv().await.unwrap().to_lowercase();
    assert!(asked.starts_with("get /health?deep=1 http/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("host: {address}\r\n")), "{asked}");
    assert!(asked.contains("user-agent: reeved/"), "{asked}");
}

#[tokio::test]
async fn a_server_that_hangs_dawdles_or_talks_nonsense_fails_in_time() {
    let mut b = bench();
    let late = Err("no answer within 300ms".to_owned());
    assert_eq!(b.http(Server::Hangs).await, late);
    assert_eq!(b.http(Server::Dawdles("HTTP/1.1 200 O")).await, late);
    assert_eq!(b.http(Server::Dawdles("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")).await, late);
    for server in [says("SSH-2.0-OpenSSH\r\n"), says("\0\u{1}\u{2}\r\n\r\n"), Server::Closes] {
        let error = b.http(server).await.unwrap_err();
        assert!(error.starts_with("http://HOST/health: "), "{error}");
    }
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    assert!(b.http(says(&huge)).await.is_err());
}

#[tokio::test]
async fn a_long_body_is_not_read_to_its_end() {
    let mut b = bench();
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".to_vec();
    answer.resize(answer.len() + BODY_MAX + 1000, b'x');
    assert!(b.http(Server::Says(answer)).await.is_ok());
}

#[tokio::test]
async fn addresses_that_make_no_sense_are_named() {
    let mut b = bench();
    for (url, part) in [
        ("https://localhost/", "only http:// is supported"),
        ("http://", "http://: "),
        ("nonsense", "only http:// is supported"),
        ("http://127.0.0.1:1/", "connect to 127.0.0.1:1: connection refused"),
    ] {
        let error = b.probe(Check::Http(url.to_owned())).await.unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn tcp_asks_only_for_a_connection() {
    let mut b = bench();
    let (address, _seen) = serve(Server::Hangs).await;
    assert!(b.probe(Check::Tcp(address)).await.is_ok());
    let error = b.probe(Check::Tcp("127.0.0.1:1".to_owned())).await;
    assert_eq!(error, Err("connect to 127.0.0.1:1: connection refused".to_owned()));
}

#[tokio::test]
async fn exec_succeeds_with_code_0_and_names_the_program_otherwise() {
    let mut b = bench();
    let exec = |argv: &[&str]| Check::Exec(argv.iter().map(|a| (*a).to_owned()).collect());
    assert!(b.probe(exec(&["/bin/true"])).await.is_ok());
    let code = b.probe(exec(&["/bin/sh", "-c", "exit 3"])).await;
    assert_eq!(code, Err("/bin/sh exited with code 3".to_owned()));
    let late = b.probe(exec(&["/bin/sleep", "600"])).await.unwrap_err();
    assert_eq!(late, "/bin/sleep did not end within 300ms, it was killed");
}

#[tokio::test]
async fn hanging_probes_cost_others_their_place_but_not_their_verdict() {
    let mut b = bench();
    let (hanging, _a) = serve(Server::Hangs).await;
    let (well, _b) = serve(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    for _ in 0..AT_ONCE {
        b.begin(Check::Http(format!("http://{hanging}/")), LIMIT);
    }
    // It waits longer for its place than it may take, and still does not fail.
    b.begin(Check::Http(format!("http://{well}/")), LIMIT);
    let mut good = 0;
    for _ in 0..=AT_ONCE {
        if let Event::Probed { result: Ok(took), .. } = b.next().await {
            assert!(took < LIMIT);
            good += 1;
        }
    }
    assert_eq!(good, 1);
}

#[tokio::test]
async fn a_drain_is_done_when_its_metric_says_so() {
    let mut b = bench();
    let page = "active_tasks{q=\"a\"} 2\nactive_tasks{q=\"b\"} 1\n";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    let (address, _seen) = serve(says(&answer)).await;
    let url = format!("http://{address}/metrics");
    let until = |name: &str, equals: f64, scrape: Option<&String>| HookAction::Until {
        until: Until::Metric { name: name.to_owned(), equals },
        scrape: scrape.cloned(),
    };
    assert_eq!(b.hook(until("active_tasks", 3.0, Some(&url))).await, Ok(true));
    assert_eq!(b.hook(until("active_tasks", 0.0, Some(&url))).await, Ok(false));
    let missing = b.hook(until("queue", 0.0, Some(&url))).await;
    assert_eq!(missing, Err(format!("{url}: there is no metric queue")));
    assert!(b.hook(until("queue", 0.0, None)).await.is_err());
}

#[tokio::test]
async fn notices_and_programs_are_carried_out() {
    let mut b = bench();
    let (address, mut seen) = serve(says("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")).await;
    let notice = |n| HookAction::Notice(n);
    let url = format!("http://{address}/drain");
    assert_eq!(b.hook(notice(Notice::Http("POST".to_owned(), url))).await, Ok(true));
    assert!(seen.recv().await.unwrap().starts_with("POST /drain HTTP/1.1\r\n"));
    assert_eq!(b.hook(notice(Notice::None)).await, Ok(true));
    assert!(b.hook(notice(Notice::Signal(10))).await.is_err());
    let script = |text: &str| vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()];
    assert_eq!(b.hook(HookAction::Exec(script("exit 0"))).await, Ok(true));
    assert_eq!(b.hook(HookAction::Exec(script("exit 1"))).await, Err("/bin/sh exited with code 1".to_owned()));
    let until = |text| HookAction::Until { until: Until::Exec(script(text)), scrape: None };
    assert_eq!(b.hook(until("exit 1")).await, Ok(false));
    assert_eq!(b.hook(until("exit 0")).await, Ok(true));
}
