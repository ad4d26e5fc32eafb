//! A bad network: a TCP proxy that passes on, holds back, or ends connections.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

/// What the network does to what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Pass,
    /// Everything comes this much later.
    Delay(Duration),
    /// Connections are accepted, nothing goes through either way.
    Hole,
    /// What the broker sends is lost; what it is sent arrives.
    HalfOpen,
}

/// How connections end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both sides see a FIN.
    Cut,
    /// The client sees a RST.
    Reset,
}

/// Between a client and a broker.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    end: broadcast::Sender<End>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn before(port: u16, mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (mode, _) = watch::channel(mode);
        let (end, _) = broadcast::channel(4);
        let (modes, ends) = (mode.clone(), end.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, port, modes.subscribe(), ends.subscribe()));
            }
        });
        Self { port: own, mode, end, task }
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Ends each connection that stands.
    pub fn end(&self, end: End) {
        let _ = self.end.send(end);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, port: u16, mode: watch::Receiver<Mode>, mut end: broadcast::Receiver<End>) {
    let Ok(mut broker) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = broker.set_nodelay(true);
    let ended = {
        let (client_in, client_out) = client.split();
        let (broker_in, broker_out) = broker.split();
        tokio::select! {
            () = pump(client_in, broker_out, mode.clone(), false) => End::Cut,
            () = pump(broker_in, client_out, mode, true) => End::Cut,
            end = end.recv() => end.unwrap_or(End::Cut),
        }
    };
    if ended == End::Reset {
        let _ = client.set_zero_linger();
    }
}

/// `answers`: what the broker sends.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut mode: watch::Receiver<Mode>, answers: bool) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // What is sent into a hole is neither read nor lost: it piles up.
        if mode.wait_for(|mode| *mode != Mode::Hole).await.is_err() {
            return;
        }
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let now = *mode.borrow();
        match now {
            Mode::HalfOpen if answers => continue,
            Mode::Delay(span) => tokio::time::sleep(span).await,
            Mode::Hole if mode.wait_for(|mode| *mode != Mode::Hole).await.is_err() => return,
            Mode::Hole | Mode::HalfOpen | Mode::Pass => {}
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
