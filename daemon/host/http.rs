//! One request over plain HTTP/1.1: a connection of its own, no redirects, a bounded body.

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::error::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// The most the header of an answer may take.
const HEADER_MAX: usize = 16 * 1024;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The body, as far as wanted.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

impl Answer {
    /// 200..=399, as probes of this kind are commonly judged.
    pub fn is_success(&self) -> bool {
        (200..=399).contains(&self.status)
    }
}

/// Sends one request and reads at most `body_max` bytes of the body. Not bounded in time: the caller does that.
pub async fn ask(method: &str, url: &str, body_max: usize) -> Result<Answer, String> {
    ask_for(method, url, "*/*", body_max).await
}

/// The same for an answer of these types. `url` may also be `unix:/PATH`, or `unix:/PATH:/PAGE`.
pub async fn ask_for(method: &str, url: &str, accept: &str, body_max: usize) -> Result<Answer, String> {
    if let Some(rest) = url.strip_prefix("unix:") {
        let (path, page) = match rest.split_once(":/") {
            Some((path, page)) => (path, format!("/{page}")),
            None => (rest, "/metrics".to_owned()),
        };
        let stream = UnixStream::connect(path).await.map_err(|e| format!("connect to {path}: {}", e.kind()))?;
        let request = request(method, &page, "localhost", accept).map_err(|e| format!("{url}: {e}"))?;
        return exchange(stream, request, body_max).await.map_err(|e| format!("{url}: {e}"));
    }
    let uri: Uri = url.parse().map_err(|e| format!("{url}: {e}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("{url}: only http:// is supported"));
    }
    let host = uri.host().ok_or_else(|| format!("{url}: names no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(80);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or(host, |a| a.as_str());
    let request = request(method, path, authority, accept).map_err(|e| format!("{url}: {e}"))?;
    let stream =
        TcpStream::connect((host, port)).await.map_err(|e| format!("connect to {host}:{port}: {}", e.kind()))?;
    exchange(stream, request, body_max).await.map_err(|e| format!("{url}: {e}"))
}

fn request(method: &str, path: &str, host: &str, accept: &str) -> Result<Request<Empty<Bytes>>, String> {
    let method: Method = method.parse().map_err(|_| format!("{method:?} is not an HTTP method"))?;
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(ACCEPT, accept)
        .header(USER_AGENT, concat!("reeved/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>, body_max: usize) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEADER_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| explain(&e))?;
    let answer = async {
        let response = sender.send_request(request).await?;
        Ok::<_, hyper::Error>(read(response, body_max).await)
    };
    tokio::pin!(answer, connection);
    let mut driving = true;
    loop {
        tokio::select! {
            biased;
            // Both are polled to their end in this one place, so dropping the whole call drops the connection.
            answer = &mut answer => return answer.map_err(|e| explain(&e)),
            _ = &mut connection, if driving => driving = false,
        }
    }
}

async fn read(mut response: Response<hyper::body::Incoming>, body_max: usize) -> Answer {
    let mut answer = Answer { status: response.status().as_u16(), body: Vec::new(), whole: false };
    loop {
        match response.frame().await {
            None => {
                answer.whole = true;
                return answer;
            }
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                let room = body_max - answer.body.len();
                answer.body.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return answer;
                }
            }
            // The status is known; whoever needs the body sees that it is not whole.
            Some(Err(_)) => return answer,
        }
    }
}

/// hyper says "error reading a body" and hides why in the source.
fn explain(error: &hyper::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
