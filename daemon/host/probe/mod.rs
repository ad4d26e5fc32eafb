//! Carries out `Effect::Probe` and `Effect::Hook`: http, tcp and exec, each in a task of its own, each bounded in time.
//!
//! A probe that hangs costs its own place among the [`AT_ONCE`] and nothing else. Waiting for a place is no failure of
//! the worker: the clock of a probe starts when it does. Drain steps have places of their own, since they may take
//! minutes.

pub mod exec;
mod hook;
mod metric;

use crate::host::http;
use exec::{Context, Way};
use reeve_core::config::Check;
use reeve_core::{Event, HookAction, HookKind, ProbeKind, ReplicaId, RunId};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

/// Probes under way at once, and as many drain steps.
pub const AT_ONCE: usize = 64;
/// Bytes of an answer that are read; the rest says nothing about health.
const BODY_MAX: usize = 64 * 1024;

/// Asks workers. Cheap to clone. Needs a running runtime; what is under way ends with it.
#[derive(Debug, Clone)]
pub struct Prober {
    events: UnboundedSender<Event>,
    way: Way,
    probes: Arc<Semaphore>,
    hooks: Arc<Semaphore>,
}

impl Prober {
    /// Answers go to `events` as [`Event::Probed`] and [`Event::Hooked`]; programs are run in `way`.
    pub fn new(events: UnboundedSender<Event>, way: Way) -> Self {
        Self { events, way, probes: Arc::new(Semaphore::new(AT_ONCE)), hooks: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Asks once; exactly one [`Event::Probed`] follows.
    pub fn probe(
        &self,
        replica: ReplicaId,
        run: RunId,
        kind: ProbeKind,
        check: Check,
        timeout: Duration,
        context: Arc<Context>,
    ) {
        let (events, way, places) = (self.events.clone(), self.way, Arc::clone(&self.probes));
        tokio::spawn(async move {
            let _place = places.acquire().await;
            let begun = Instant::now();
            let answer = within(timeout + NET, ask(&check, way, &context, timeout)).await;
            // Nobody listens only while the daemon ends.
            let _ = events.send(Event::Probed { replica, run, kind, result: answer.map(|()| begun.elapsed()) });
        });
    }

    /// Does one drain step; exactly one [`Event::Hooked`] follows.
    pub fn hook(
        &self,
        replica: ReplicaId,
        run: RunId,
        kind: HookKind,
        action: HookAction,
        timeout: Duration,
        context: Arc<Context>,
    ) {
        let (events, way, places) = (self.events.clone(), self.way, Arc::clone(&self.hooks));
        tokio::spawn(async move {
            let _place = places.acquire().await;
            let result = within(timeout + NET, hook::run(&action, way, &context, timeout)).await;
            // Nobody listens only while the daemon ends.
            let _ = events.send(Event::Hooked { replica, run, kind, result });
        });
    }
}

/// Programs bound themselves, since they must be killed and reaped; this is the net below, for a user look-up that hangs.
const NET: Duration = Duration::from_secs(2);

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(format!("no answer within {limit:?}")),
    }
}

async fn ask(check: &Check, way: Way, context: &Context, limit: Duration) -> Result<(), String> {
    match check {
        Check::Http(url) => {
            let answer = within(limit, http::ask("GET", url, BODY_MAX)).await?;
            if answer.is_success() { Ok(()) } else { Err(format!("{url}: answered {}", answer.status)) }
        }
        Check::Tcp(address) => {
            let connect = async {
                TcpStream::connect(address.as_str()).await.map_err(|e| format!("connect to {address}: {}", e.kind()))
            };
            within(limit, connect).await.map(drop)
        }
        Check::Exec(argv) => match exec::run(way, argv, context, limit).await? {
            0 => Ok(()),
            code => Err(exit_text(argv, code)),
        },
        Check::Notify | Check::Progress => Err("the worker reports by itself, there is nothing to ask".to_owned()),
    }
}

fn exit_text(argv: &[String], code: i32) -> String {
    let program = argv.first().map_or("the program", String::as_str);
    format!("{program} exited with code {code}")
}

#[cfg(test)]
mod tests;
