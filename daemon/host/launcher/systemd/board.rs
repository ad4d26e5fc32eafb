//! Where operations wait for what PID 1 announces: the end of a job, the unloading of a unit.

use crate::bus::systemd1::SystemdError;
use crate::host::lock::lock;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::oneshot;

/// Ends of jobs that came before anybody asked: a call's answer and the signal travel on different ways.
const EARLY: usize = 1024;

#[derive(Debug, Default)]
struct Waiting {
    jobs: HashMap<String, oneshot::Sender<String>>,
    early: VecDeque<(String, String)>,
    unloads: HashMap<String, oneshot::Sender<()>>,
    /// Counts the times that signals were missed.
    era: u64,
}

/// A job's result, once it is over.
pub(super) type Job = BoxFuture<'static, Result<String, SystemdError>>;

/// Shared between the launcher's task and its operations. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Board(Arc<Mutex<Waiting>>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.0)
    }

    /// To be asked before the call that makes a job.
    pub fn era(&self) -> u64 {
        self.lock().era
    }

    /// The result of the job, once it is over; lost when signals have been missed since that era.
    pub fn job(&self, job: String, era: u64) -> Job {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        let early = waiting.early.iter().position(|(path, _)| *path == job);
        match early.and_then(|at| waiting.early.remove(at)) {
            // The receiver is right below.
            Some((_, result)) => drop(sender.send(result)),
            None if waiting.era != era => drop(sender),
            None => drop(waiting.jobs.insert(job, sender)),
        }
        drop(waiting);
        async move { receiver.await.map_err(|_| lost()) }.boxed()
    }

    /// Resolves when the unit is unloaded after this call.
    pub fn unload(&self, unit: &str) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.lock().unloads.insert(unit.to_owned(), sender);
        receiver
    }

    /// A job is over.
    pub fn job_removed(&self, job: String, result: String) {
        let mut waiting = self.lock();
        match waiting.jobs.remove(&job) {
            // An operation that was given up waits no more.
            Some(sender) => drop(sender.send(result)),
            None => {
                if waiting.early.len() >= EARLY {
                    waiting.early.pop_front();
                }
                waiting.early.push_back((job, result));
            }
        }
    }

    /// A unit is unloaded.
    pub fn unit_removed(&self, unit: &str) {
        if let Some(sender) = self.lock().unloads.remove(unit) {
            // As above.
            let _ = sender.send(());
        }
    }

    /// Signals have been missed: who waits must find out otherwise.
    pub fn lose_all(&self) {
        let mut waiting = self.lock();
        *waiting = Waiting { era: waiting.era + 1, ..Waiting::default() };
    }
}

fn lost() -> SystemdError {
    SystemdError::Lost("signals of systemd were missed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_may_end_before_or_after_it_is_asked_for() {
        let board = Board::default();
        let era = board.era();
        board.job_removed("/job/1".into(), "done".into());
        assert_eq!(board.job("/job/1".into(), era).await, Ok("done".into()));
        let later = board.job("/job/2".into(), era);
        board.job_removed("/job/2".into(), "failed".into());
        assert_eq!(later.await, Ok("failed".into()));
        let never = board.job("/job/3".into(), era);
        board.lose_all();
        assert!(never.await.is_err());
        // The call's answer comes after that: nobody will tell of its job.
        assert!(board.job("/job/4".into(), era).await.is_err());
    }
}
