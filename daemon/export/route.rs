//! From a request to an answer.

use super::negotiate;
use super::page::View;
use super::{health, served::Served};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use reeve_core::metrics::Selection;
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Pages on their way out at one time; more are told to come again.
pub(super) const PAGES: usize = 16;
/// The loop answers within this, or it does not live. Longer than its longest turn, shorter than its watchdog.
const ALIVE: Duration = Duration::from_secs(2);
/// A page goes out in pieces of this size, so that a slow client holds its place until it has nearly all.
const PIECE: usize = 16 * 1024;
/// What Prometheus says it will wait.
const SCRAPE_TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// The paths there are.
const PATHS: [&str; 5] = ["/", "/metrics", "/healthz", "/ready", "/health"];
const ROOT: &str = "reeved\n\n/metrics   Prometheus text or OpenMetrics; ?collect[]=SOURCE or FAMILY*\n\
                    /healthz   200 while the daemon's loop turns\n/ready     200 while the node takes work\n\
                    /health    200 while everything is well\n";

/// All that answers need.
#[derive(Debug)]
pub(super) struct Route {
    view: View,
    pub(super) pages: Arc<Semaphore>,
}

/// An answer before it is dressed.
struct Answer {
    status: StatusCode,
    kind: &'static str,
    bytes: Vec<u8>,
    gzip: bool,
    permit: Option<OwnedSemaphorePermit>,
}

impl Route {
    pub(super) fn new(view: View) -> Self {
        Self { view, pages: Arc::new(Semaphore::new(PAGES)) }
    }

    /// Never waits for more than the loop's sign of life.
    pub(super) async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let asked = request.uri().path();
        let path = PATHS.into_iter().find(|path| *path == asked).unwrap_or("other");
        let answer = match *request.method() {
            Method::GET | Method::HEAD => self.get(path, request).await,
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n"),
        };
        let served: &Served = self.view.served();
        served.answered(path, answer.status.as_u16());
        dress(answer)
    }

    async fn get(&self, path: &str, request: &Request<Incoming>) -> Answer {
        match path {
            "/metrics" => self.metrics(request),
            "/healthz" => match timeout(patience(request.headers()), self.view.alive()).await {
                Ok(Ok(())) => text(StatusCode::OK, "ok\n"),
                Ok(Err(_)) => text(StatusCode::SERVICE_UNAVAILABLE, "the daemon is ending\n"),
                Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the daemon's loop does not turn\n"),
            },
            "/ready" => document(health::ready(&self.view.snapshot())),
            "/health" => document(health::health(&self.view.snapshot())),
            "/" => text(StatusCode::OK, ROOT),
            _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz, /ready and /health\n"),
        }
    }

    fn metrics(&self, request: &Request<Incoming>) -> Answer {
        let Ok(permit) = Arc::clone(&self.pages).try_acquire_owned() else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "too many scrapes at once\n");
        };
        let began = Instant::now();
        let headers = request.headers();
        let format = negotiate::format(joined(headers, header::ACCEPT).as_deref());
        let page = self.view.text(format, &selection(request.uri().query()));
        let gzip = negotiate::gzip(joined(headers, header::ACCEPT_ENCODING).as_deref());
        let bytes = if gzip { packed(&page) } else { page.into_bytes() };
        self.view.served().wrote(began.elapsed());
        Answer { status: StatusCode::OK, kind: format.content_type(), bytes, gzip, permit: Some(permit) }
    }
}

/// How long to wait for the loop: not longer than the client does.
fn patience(headers: &HeaderMap) -> Duration {
    let theirs = headers.get(SCRAPE_TIMEOUT).and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
    let theirs = theirs.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    theirs.filter(|span| !span.is_zero()).unwrap_or(ALIVE).min(ALIVE)
}

/// Several headers of one name are one list.
fn joined(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let all: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!all.is_empty()).then(|| all.join(","))
}

/// `collect[]=cpu&collect[]=reeve_*`.
fn selection(query: Option<&str>) -> Selection {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let words = pairs.filter(|(key, _)| matches!(decoded(key).as_str(), "collect[]" | "collect"));
    Selection::of(words.map(|(_, value)| decoded(value)))
}

/// Percent signs and plus signs taken back; what is not well formed stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Level 1: the others cost several times as much for a few bytes.
fn packed(page: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(page.len() / 4), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(page.as_bytes());
    encoder.finish().unwrap_or_default()
}

fn text(status: StatusCode, text: &str) -> Answer {
    let bytes = text.as_bytes().to_vec();
    Answer { status, kind: "text/plain; charset=utf-8", bytes, gzip: false, permit: None }
}

fn document((well, value): (bool, serde_json::Value)) -> Answer {
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Answer { status, kind: "application/json", bytes: format!("{value:#}\n").into_bytes(), gzip: false, permit: None }
}

fn dress(answer: Answer) -> Response<Body> {
    let Answer { status, kind, bytes, gzip, permit } = answer;
    let page = permit.is_some();
    let mut response = Response::new(Body { left: Bytes::from(bytes), permit });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if page {
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    }
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        _ => {}
    }
    response
}

/// A body that goes out piece by piece and gives its place back with the last one.
#[derive(Debug)]
pub(super) struct Body {
    left: Bytes,
    #[expect(dead_code, reason = "held, not looked at")]
    permit: Option<OwnedSemaphorePermit>,
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.left.len().min(PIECE);
        let piece = self.left.split_to(size);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MET-18: `?collect[]=` as Prometheus writes it.
    #[test]
    fn met_18_collect_is_decoded() {
        let some = selection(Some("x=1&collect%5B%5D=cpu&collect[]=reeve_%2A&collect[]=%zz"));
        assert_eq!(some, Selection::of(["cpu", "reeve_*", "%zz"].map(str::to_owned)));
        assert_eq!(selection(None), Selection::all());
    }

    /// MET-18: the client's own limit is kept.
    #[test]
    fn met_18_the_scrape_timeout_is_honoured() {
        for (header, expected) in
            [(None, 2000), (Some("0.5"), 500), (Some("10"), 2000), (Some("-1"), 2000), (Some("x"), 2000)]
        {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(SCRAPE_TIMEOUT, HeaderValue::from_static(value));
            }
            assert_eq!(patience(&headers), Duration::from_millis(expected), "{header:?}");
        }
    }
}
