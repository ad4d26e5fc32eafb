//! The last lines of runs that have ended: those of runs that end at about the same time are read by one `journalctl`. A
//! process for each would keep the machine busy for seconds just when a thousand workers come back.

use super::reader::Reader;
use crate::host::lock::lock;
use reeve_core::RunId;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// Who ends within so long is read together.
const GATHER: Duration = Duration::from_millis(500);
/// Runs that are read together.
const BATCH: usize = 64;

type Lines = Result<Vec<String>, String>;

/// Who waits for last lines. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Tails(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// A task works on it.
    served: bool,
}

#[derive(Debug)]
struct Waiting {
    run: RunId,
    lines: usize,
    back: oneshot::Sender<Lines>,
}

impl Tails {
    /// The last lines of a run, oldest first.
    pub(super) async fn wait_for(&self, reader: &Reader, run: RunId, lines: usize) -> Lines {
        let (back, answer) = oneshot::channel();
        let idle = {
            let mut queue = lock(&self.0);
            queue.waiting.push(Waiting { run, lines, back });
            !std::mem::replace(&mut queue.served, true)
        };
        if idle {
            tokio::spawn(serve(self.clone(), reader.clone()));
        }
        answer.await.unwrap_or_else(|_| Err("the daemon is ending".to_owned()))
    }

    /// The next batch; `None`: nobody waits any more, and the next who comes is served by a new task.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queue = lock(&self.0);
        let count = queue.waiting.len().min(BATCH);
        queue.served = count > 0;
        (count > 0).then(|| queue.waiting.drain(..count).collect())
    }
}

async fn serve(tails: Tails, reader: Reader) {
    loop {
        tokio::time::sleep(GATHER).await;
        let Some(batch) = tails.next() else { return };
        read(&reader, batch).await;
    }
}

async fn read(reader: &Reader, batch: Vec<Waiting>) {
    reader.sync().await;
    let runs: Vec<RunId> = batch.iter().map(|w| w.run).collect();
    let together = reader.newest(&runs, batch.iter().map(|w| w.lines).sum()).await;
    for Waiting { run, lines, back } in batch {
        let found = match &together {
            Ok((newest, more)) => {
                let own: Vec<String> =
                    newest.iter().filter(|(of, _)| *of == run).take(lines).map(|(_, line)| line.clone()).collect();
                // Others may have said so much that the rest of this one's lines was cut off.
                if *more && own.len() < lines && runs.len() > 1 {
                    let alone = reader.newest(&[run], lines).await;
                    alone.map(|(newest, _)| newest.into_iter().map(|(_, line)| line).collect())
                } else {
                    Ok(own)
                }
            }
            Err(why) => Err(why.clone()),
        };
        // Who asked is gone only when the daemon ends.
        let _ = back.send(found.map(|newest| newest.into_iter().rev().collect()));
    }
}

/// Whose an entry is.
pub(super) fn run_of(entry: &Value) -> Option<RunId> {
    entry.get("_SYSTEMD_INVOCATION_ID")?.as_str()?.parse().ok()
}
