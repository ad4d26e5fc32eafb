//! The handle, and the keeper of each broker.

use super::line::Line;
use super::options::CONNECT_TIMEOUT;
use super::poller::Poller;
use super::reason;
use super::retry::Retry;
use super::{BrokerStatus, Link, LinkEvent, Options, Publication, To};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

/// A polite end that somebody waits for.
const CLOSE: Duration = Duration::from_millis(500);
/// A polite end that nobody waits for.
const DROP: Duration = Duration::from_millis(200);
/// Ticks of half a keep-alive without a word from the broker: two keep-alives.
const SILENT_TICKS: u32 = 4;
/// Beyond rumqttc's own limits of the time to connect, and for the answer to the subscription.
const SLACK: Duration = Duration::from_secs(2);

/// The link to all brokers: one keeper and one poller for each. Dropping it says goodbye to the brokers in the
/// background, for at most 200 ms, so that no will is published; that needs the runtime to go on. [`Links::close`]
/// waits, and is what to call before another link with the same client id starts: a broker that is asked by a second
/// connection ends the first one as if it had been lost.
pub struct Links {
    lines: Vec<Arc<Line>>,
    keepers: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.status()).finish()
    }
}

impl Links {
    /// Starts the tasks, on the tokio runtime it is called in, and returns at once. When `events` is full, messages
    /// are dropped and counted; who came and went is kept until there is room. A will that no MQTT packet can hold
    /// counts as refused at each broker, and the connections are made without one.
    pub fn start(options: Options, events: mpsc::Sender<LinkEvent>) -> Links {
        let options = Arc::new(options);
        let subscriptions: Arc<[String]> = options.subscriptions.iter().cloned().collect();
        let (mut lines, mut keepers) = (Vec::new(), Vec::new());
        for (index, url) in options.brokers.iter().enumerate() {
            let line = Arc::new(Line::new(index, url, events.clone()));
            if !options.will_fits() {
                line.refuse();
            }
            let keeper = Keeper {
                line: Arc::clone(&line),
                options: Arc::clone(&options),
                url: url.clone(),
                subscriptions: Arc::clone(&subscriptions),
                retry: Retry::new(options.retry, options.seed.wrapping_add(index as u64)),
            };
            keepers.push(tokio::spawn(keeper.run()));
            lines.push(line);
        }
        Links { lines, keepers }
    }

    /// Publishes `last` to each connected broker, after what is queued, and leaves them politely, so that none
    /// publishes the will. Waits at most 500 ms.
    pub async fn close(mut self, last: Option<Publication>) {
        if let Some(last) = last {
            self.publish(To::All, last);
        }
        for line in &self.lines {
            line.end(CLOSE);
        }
        let deadline = Instant::now() + CLOSE;
        for mut keeper in std::mem::take(&mut self.keepers) {
            if timeout_at(deadline, &mut keeper).await.is_err() {
                keeper.abort();
            }
        }
    }
}

impl Link for Links {
    fn publish(&mut self, to: To, publication: Publication) {
        match to {
            To::All => {
                if let Some((last, others)) = self.lines.split_last() {
                    for line in others {
                        line.publish(publication.clone());
                    }
                    last.publish(publication);
                }
            }
            To::First => {
                // With none connected the first one counts it as dropped.
                if let Some(line) = self.lines.iter().find(|line| line.connected()).or(self.lines.first()) {
                    line.publish(publication);
                }
            }
        }
    }

    fn status(&self) -> Vec<BrokerStatus> {
        self.lines.iter().map(|line| line.status()).collect()
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if !self.keepers.is_empty() {
            self.lines.iter().for_each(|line| line.end(DROP));
        }
    }
}

/// Sees to it that there is a connection to one broker.
struct Keeper {
    line: Arc<Line>,
    options: Arc<Options>,
    url: String,
    subscriptions: Arc<[String]>,
    retry: Retry,
}

impl Keeper {
    async fn run(mut self) {
        while self.line.ends().is_none() {
            let reason = match self.options.connection(&self.url) {
                Ok((client, eventloop)) => {
                    let (line, subscriptions) = (Arc::clone(&self.line), Arc::clone(&self.subscriptions));
                    self.watch(Poller { line, client, eventloop, subscriptions }).await
                }
                Err(reason) => reason,
            };
            let lasted = self.line.down(reason);
            let pause = self.retry.after(lasted);
            self.pause(pause).await;
        }
    }

    /// Lets the poller run until its connection is gone, the broker is silent for too long, or the end takes too long.
    /// Nothing here is part of a poll: all of it may be dropped at any await. The set ends its task with itself.
    ///
    /// The poller has come to its end when this returns: it must not write to the line of a connection that is counted
    /// as lost.
    async fn watch(&self, poller: Poller) -> String {
        let half = self.options.keep_alive() / 2;
        let connecting = (CONNECT_TIMEOUT + SLACK).as_millis().div_ceil(half.as_millis().max(1));
        let connecting = u32::try_from(connecting).unwrap_or(u32::MAX).max(SILENT_TICKS);
        let mut set = JoinSet::new();
        set.spawn(poller.run());
        let mut ticks = interval(half);
        // A pause of this process is one tick, however long.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = 0;
        let mut grace = None;
        loop {
            let span = self.line.ends().or_else(|| self.line.leaves().then_some(CLOSE));
            if let (None, Some(span)) = (grace, span) {
                grace = Some(Instant::now() + span);
            }
            let reason = tokio::select! {
                // Channel-like: a result that was not taken stays.
                ended = set.join_next() => {
                    return match ended {
                        Some(Ok(reason)) => reason,
                        Some(Err(_)) | None => "the task of the connection ended".to_owned(),
                    };
                }
                // A tick that was not taken stays due.
                _ = ticks.tick() => {
                    silent = if self.line.was_heard() { 0 } else { silent + 1 };
                    let most = if self.line.connected() { SILENT_TICKS } else { connecting };
                    if silent < most {
                        continue;
                    }
                    reason::SILENT
                }
                () = self.news() => continue,
                () = at(grace) => "the link was closed",
            };
            set.shutdown().await;
            return reason.to_owned();
        }
    }

    /// Between two tries.
    async fn pause(&self, span: Duration) {
        let pause = sleep(span);
        tokio::pin!(pause);
        while self.line.ends().is_none() {
            tokio::select! {
                () = &mut pause => return,
                () = self.news() => {}
            }
        }
    }

    /// Delivers a piece of news, or returns when there is a new one, or the end. A permit that is not taken goes back;
    /// a wake that is not taken stays.
    async fn news(&self) {
        if self.line.has_news() {
            tokio::select! {
                room = self.line.events.reserve() => self.line.deliver(room.ok()),
                () = self.line.wake.notified() => {}
            }
        } else {
            self.line.wake.notified().await;
        }
    }
}

/// At that time, or never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
