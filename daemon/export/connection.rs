//! One connection: TLS if there is any, HTTP/1.1, and an end for those who dawdle.

use super::listener::Io;
use super::route::{Body, Route};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

/// For a whole header, and between two requests: longer than the usual interval of scrapes.
const HEADER: Duration = Duration::from_secs(75);
/// For a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A client that takes nothing of its page for so long has gone.
const STALL: Duration = Duration::from_secs(10);
/// The most a header may take, and the most of a page that waits to be sent.
const BUFFER: usize = 16 * 1024;

/// Serves it to its end. What goes wrong is the client's own affair and is told to nobody but the log's least level.
pub(super) async fn serve(io: Box<dyn Io>, tls: Option<TlsAcceptor>, route: Arc<Route>) {
    let io = Patient { io, until: None };
    let ended = match tls {
        None => http(io, route).await,
        Some(acceptor) => match timeout(HANDSHAKE, acceptor.accept(io)).await {
            Ok(Ok(stream)) => http(stream, route).await,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the handshake took too long".to_owned()),
        },
    };
    if let Err(error) = ended {
        tracing::trace!(error, "a connection to the metrics endpoint has ended");
    }
}

/// Tells a client that there are too many of them, without reading what it wants.
pub(super) async fn refuse(mut io: Box<dyn Io>) {
    let answer =
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    // It fits into the socket's own buffer; a client that has gone has gone.
    let _ = timeout(STALL, io.write_all(answer)).await;
}

async fn http(io: impl AsyncRead + AsyncWrite + Unpin, route: Arc<Route>) -> Result<(), String> {
    let service = service_fn(move |request| {
        let route = Arc::clone(&route);
        async move { Ok::<hyper::Response<Body>, Infallible>(route.answer(&request).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(io), service)
        .await
        .map_err(|e| e.to_string())
}

/// A connection on which a write that makes no progress fails after [`STALL`].
struct Patient {
    io: Box<dyn Io>,
    until: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn watched<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.until = None;
            return polled;
        }
        let until = self.until.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALL)));
        match until.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watched(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.watched(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.watched(cx, polled)
    }
}
