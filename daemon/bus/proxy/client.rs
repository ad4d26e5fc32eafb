//! One plain function per method of the API, each knowing the polkit action it needs.

use super::convert::Fields;
use super::error::CallError;
use super::records::{AuditEntry, ConfigMark, EventEntry, Gpus, NodeState, PlanLine, Run, Series, TaskRun, Worker};
use super::traits::{
    AuditProxy, GpusProxy, MaintenanceProxy, ManagerProxy, MetricsProxy, Opt, TaskRunProxy, WorkersProxy,
};
use reeve_core::Wall;
use serde_json::{Map, Value};
use std::os::fd::OwnedFd;
use std::time::Duration;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath, Variant};

/// The options every acting method knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Why, in the caller's words; audited.
    pub reason: Option<String>,
    /// Same id, same task run.
    pub request_id: Option<String>,
    /// The daemon gives up after this long.
    pub timeout: Option<Duration>,
    /// Change nothing, fill the report.
    pub dry_run: bool,
}

impl Options {
    fn dict(&self) -> Opt<'_> {
        let mut opt = Opt::new();
        if let Some(reason) = &self.reason {
            opt.insert("reason", Variant::from(reason.as_str()));
        }
        if let Some(id) = &self.request_id {
            opt.insert("request-id", Variant::from(id.as_str()));
        }
        if let Some(timeout) = self.timeout {
            let usec = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
            opt.insert("timeout-usec", Variant::from(usec));
        }
        if self.dry_run {
            opt.insert("dry-run", Variant::from(true));
        }
        opt
    }
}

/// What can be asked of a worker or replica that ends in a task run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the methods of Workers")]
pub enum Verb {
    Start,
    Stop,
    Restart { rolling: bool },
    Pause,
    Resume,
    Isolate,
    Drain,
}

/// Which log lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// How many of the newest.
    pub lines: Option<u32>,
    /// Go on as more come.
    pub follow: bool,
    /// Of the run before the present one.
    pub previous: bool,
    /// Of this run.
    pub run: Option<String>,
    /// Rather fail than ask for a password.
    pub unasked: bool,
}

/// A connection to the daemon.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) connection: Connection,
    pub(super) place: String,
}

/// Builds a proxy without a property cache: each command asks once and is gone.
macro_rules! proxy {
    ($self:ident, $ty:ident, $action:expr) => {
        $ty::builder(&$self.connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(|e| $self.error(e, $action))?
    };
}

impl Client {
    pub(super) fn new(connection: Connection, place: String) -> Self {
        Self { connection, place }
    }

    /// `the system bus`.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn error(&self, error: zbus::Error, action: &'static str) -> CallError {
        CallError::from_zbus(error, action, &self.place)
    }

    /// The node in one picture.
    pub async fn status(&self) -> Result<NodeState, CallError> {
        const ACTION: &str = "read-status";
        let manager = proxy!(self, ManagerProxy, ACTION);
        let more = manager.get_status(&Opt::new()).await.map_err(|e| self.error(e, ACTION))?;
        let mut state = NodeState::read(&Fields::from(more));
        if state.uptime.is_none() {
            // A gauge beside the status; its absence is no reason to show nothing.
            let uptime = manager.uptime_usec().await.ok();
            state.uptime = uptime.filter(|u| *u > 0).map(Duration::from_micros);
        }
        Ok(state)
    }

    /// All workers with their replicas.
    pub async fn workers(&self) -> Result<Vec<Worker>, CallError> {
        const ACTION: &str = "read-workers";
        let rows =
            proxy!(self, WorkersProxy, ACTION).list_workers(&Opt::new()).await.map_err(|e| self.error(e, ACTION))?;
        Ok(rows.into_iter().map(Worker::read).collect())
    }

    /// Series of the named sources or families; of all without any.
    pub async fn metrics(&self, filter: &[String]) -> Result<Vec<Series>, CallError> {
        const ACTION: &str = "read-metrics";
        let filter: Vec<&str> = filter.iter().map(String::as_str).collect();
        let rows = proxy!(self, MetricsProxy, ACTION).get_metrics(&filter, &Opt::new()).await;
        let rows = rows.map_err(|e| self.error(e, ACTION))?;
        Ok(rows.into_iter().map(|(name, labels, value)| Series { name, labels, value }).collect())
    }

    /// Ended runs, newest first.
    pub async fn runs(&self, target: &str, max: Option<u32>) -> Result<Vec<Run>, CallError> {
        const ACTION: &str = "read-workers";
        let mut opt = Opt::new();
        if let Some(max) = max {
            opt.insert("max", Variant::from(max));
        }
        let rows =
            proxy!(self, WorkersProxy, ACTION).list_runs(target, &opt).await.map_err(|e| self.error(e, ACTION))?;
        let mut runs: Vec<Run> = rows.into_iter().map(|r| Run::read(r, target)).collect();
        // The order is part of what we promise, whatever the daemon does.
        runs.sort_by_key(|r| std::cmp::Reverse(r.ended));
        Ok(runs)
    }

    /// The read end of a pipe with log lines.
    pub async fn logs(&self, target: &str, query: &LogQuery) -> Result<OwnedFd, CallError> {
        const ACTION: &str = "read-logs";
        let mut opt = Opt::new();
        if let Some(lines) = query.lines {
            opt.insert("lines", Variant::from(lines));
        }
        if query.follow {
            opt.insert("follow", Variant::from(true));
        }
        if query.previous {
            opt.insert("previous", Variant::from(true));
        }
        if let Some(run) = &query.run {
            opt.insert("run", Variant::from(run.as_str()));
        }
        let workers = proxy!(self, WorkersProxy, ACTION);
        let fd = if query.unasked {
            workers.get_logs_unasked(target, &opt).await
        } else {
            workers.get_logs(target, &opt).await
        };
        fd.map(OwnedFd::from).map_err(|e| self.error(e, ACTION))
    }

    /// Starts, stops … one worker or replica; the path of the task run.
    pub async fn act(&self, verb: Verb, target: &str, options: &Options) -> Result<String, CallError> {
        let action = match verb {
            Verb::Isolate => "isolate",
            // Of an isolated worker the daemon asks for lift-isolation, and says so in its refusal.
            _ => "manage-workers",
        };
        let workers = proxy!(self, WorkersProxy, action);
        let mut opt = options.dict();
        let path = match verb {
            Verb::Start => workers.start(target, &opt).await,
            Verb::Stop => workers.stop(target, &opt).await,
            Verb::Restart { rolling } => {
                if rolling {
                    opt.insert("rolling", Variant::from(true));
                }
                workers.restart(target, &opt).await
            }
            Verb::Pause => workers.pause(target, &opt).await,
            Verb::Resume => workers.resume(target, &opt).await,
            Verb::Isolate => workers.isolate(target, &opt).await,
            Verb::Drain => workers.drain(target, &opt).await,
        };
        self.path(path, action)
    }

    /// Forgets failures and closes breakers, at once.
    pub async fn reset(&self, target: &str, options: &Options) -> Result<(), CallError> {
        const ACTION: &str = "manage-workers";
        proxy!(self, WorkersProxy, ACTION).reset(target, &options.dict()).await.map_err(|e| self.error(e, ACTION))
    }

    /// Another number of replicas.
    pub async fn scale(&self, worker: &str, replicas: u32, options: &Options) -> Result<String, CallError> {
        const ACTION: &str = "manage-workers";
        let path = proxy!(self, WorkersProxy, ACTION).scale(worker, replicas, &options.dict()).await;
        self.path(path, ACTION)
    }

    /// Changes limits of a worker; `applied` or `needs-restart`.
    pub async fn set(&self, worker: &str, values: &[(String, String)], options: &Options) -> Result<String, CallError> {
        const ACTION: &str = "set-resources";
        let values: Opt<'_> = values.iter().map(|(k, v)| (k.as_str(), Variant::from(v.as_str()))).collect();
        proxy!(self, WorkersProxy, ACTION)
            .set(worker, &values, &options.dict())
            .await
            .map_err(|e| self.error(e, ACTION))
    }

    /// Stops every worker in reverse order.
    pub async fn stop_all(&self, options: &Options) -> Result<String, CallError> {
        const ACTION: &str = "manage-workers";
        let (reason, opt) = reason_apart(options);
        let path = proxy!(self, WorkersProxy, ACTION).stop_all(reason, &opt).await;
        self.path(path, ACTION)
    }

    /// Drains and stops every worker, starts none until undrained.
    pub async fn node_drain(&self, options: &Options) -> Result<String, CallError> {
        const ACTION: &str = "drain";
        let (reason, opt) = reason_apart(options);
        let path = proxy!(self, ManagerProxy, ACTION).drain(reason, &opt).await;
        self.path(path, ACTION)
    }

    /// Undoes it.
    pub async fn node_undrain(&self, options: &Options) -> Result<String, CallError> {
        const ACTION: &str = "drain";
        let (reason, opt) = reason_apart(options);
        let path = proxy!(self, ManagerProxy, ACTION).undrain(reason, &opt).await;
        self.path(path, ACTION)
    }

    /// What would be done now, or with the files on disk.
    pub async fn plan(&self, candidate: bool) -> Result<Vec<PlanLine>, CallError> {
        const ACTION: &str = "read-status";
        let mut opt = Opt::new();
        if candidate {
            opt.insert("candidate", Variant::from(true));
        }
        let rows = proxy!(self, ManagerProxy, ACTION).get_plan(&opt).await.map_err(|e| self.error(e, ACTION))?;
        Ok(rows.into_iter().map(|(action, target, reason)| PlanLine { action, target, reason }).collect())
    }

    /// What happened since, oldest first, at most so many.
    pub async fn events(&self, since: Wall, max: u32) -> Result<Vec<EventEntry>, CallError> {
        const ACTION: &str = "read-status";
        let rows = proxy!(self, ManagerProxy, ACTION)
            .list_events(since.0, max, &Opt::new())
            .await
            .map_err(|e| self.error(e, ACTION))?;
        Ok(rows.into_iter().map(EventEntry::read).collect())
    }

    /// Reads the configuration again; the generation now in force.
    pub async fn reload(&self, options: &Options) -> Result<u64, CallError> {
        const ACTION: &str = "reload-config";
        proxy!(self, ManagerProxy, ACTION).reload(&options.dict()).await.map_err(|e| self.error(e, ACTION))
    }

    /// Every remark on the files on disk.
    pub async fn check_config(&self) -> Result<Vec<ConfigMark>, CallError> {
        const ACTION: &str = "read-config";
        let rows =
            proxy!(self, ManagerProxy, ACTION).check_config(&Opt::new()).await.map_err(|e| self.error(e, ACTION))?;
        Ok(rows.into_iter().map(ConfigMark::read).collect())
    }

    /// The configuration in force, as TOML with origins.
    pub async fn show_config(&self) -> Result<String, CallError> {
        const ACTION: &str = "read-config";
        proxy!(self, ManagerProxy, ACTION).show_config(&Opt::new()).await.map_err(|e| self.error(e, ACTION))
    }

    /// Key, value in force, value on disk, of all that differs.
    pub async fn diff_config(&self) -> Result<Vec<(String, String, String)>, CallError> {
        const ACTION: &str = "read-config";
        proxy!(self, ManagerProxy, ACTION).diff_config(&Opt::new()).await.map_err(|e| self.error(e, ACTION))
    }

    /// What a key means: `default unit range requirement value origin text`.
    pub async fn explain_config(&self, key: &str) -> Result<Map<String, Value>, CallError> {
        const ACTION: &str = "read-config";
        let more = proxy!(self, ManagerProxy, ACTION)
            .explain_config(key, &Opt::new())
            .await
            .map_err(|e| self.error(e, ACTION))?;
        Ok(Fields::from(more).0)
    }

    /// Cards, and our hold on NVML.
    pub async fn gpus(&self) -> Result<Gpus, CallError> {
        const ACTION: &str = "read-gpus";
        let list = proxy!(self, GpusProxy, ACTION).list_gpus(&Opt::new()).await.map_err(|e| self.error(e, ACTION))?;
        Ok(Gpus::read(list))
    }

    /// Lets go of NVML; there is always a reason.
    pub async fn gpu_release(&self, options: &Options) -> Result<(), CallError> {
        const ACTION: &str = "gpu-control";
        let (reason, opt) = reason_apart(options);
        proxy!(self, GpusProxy, ACTION).release_gpu(reason, &opt).await.map_err(|e| self.error(e, ACTION))
    }

    /// Gets hold of NVML again.
    pub async fn gpu_acquire(&self, options: &Options) -> Result<(), CallError> {
        const ACTION: &str = "gpu-control";
        let opt = options.dict();
        proxy!(self, GpusProxy, ACTION).acquire_gpu(&opt).await.map_err(|e| self.error(e, ACTION))
    }

    /// Entries of the audit trail since, oldest first, at most so many.
    pub async fn audit(&self, since: Wall, max: u32) -> Result<Vec<AuditEntry>, CallError> {
        const ACTION: &str = "read-audit";
        let rows = proxy!(self, AuditProxy, ACTION)
            .query(since.0, max, &Opt::new())
            .await
            .map_err(|e| self.error(e, ACTION))?;
        Ok(rows.into_iter().map(AuditEntry::read).collect())
    }

    /// Proves the chain of the audit trail; `entries first last`.
    pub async fn audit_verify(&self) -> Result<Map<String, Value>, CallError> {
        const ACTION: &str = "read-audit";
        let more = proxy!(self, AuditProxy, ACTION).verify(&Opt::new()).await.map_err(|e| self.error(e, ACTION))?;
        Ok(Fields::from(more).0)
    }

    /// A task run as it stands.
    pub async fn task_run(&self, path: &str) -> Result<TaskRun, CallError> {
        const ACTION: &str = "read-tasks";
        let reply = self
            .connection
            .call_method(
                self.destination(),
                path,
                Some("org.freedesktop.DBus.Properties"),
                "GetAll",
                &"org.reeve.Node1.TaskRun",
            )
            .await
            .map_err(|e| self.error(e, ACTION))?;
        let more: super::traits::More = reply.body().deserialize().map_err(|e| self.error(e, ACTION))?;
        Ok(TaskRun::read(path, &Fields::from(more)))
    }

    /// What a task run reports, usually of a dry run.
    pub async fn report(&self, path: &str) -> Result<Value, CallError> {
        const ACTION: &str = "read-tasks";
        let text = TaskRunProxy::builder(&self.connection)
            .path(path)
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(|e| self.error(e, ACTION))?
            .get_report(&Opt::new())
            .await
            .map_err(|e| self.error(e, ACTION))?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|e| CallError::Mismatch(format!("report of {path} is not JSON: {e}")))
    }

    /// Asks a task run to end.
    pub async fn cancel(&self, id: &str) -> Result<(), CallError> {
        const ACTION: &str = "cancel-own";
        proxy!(self, MaintenanceProxy, ACTION).cancel(id, &Opt::new()).await.map_err(|e| self.error(e, ACTION))
    }

    /// Peer to peer there is nobody to address.
    pub(super) fn destination(&self) -> Option<&'static str> {
        self.connection.is_bus().then_some(super::traits::NAME)
    }

    pub(super) fn path(&self, path: zbus::Result<OwnedObjectPath>, action: &'static str) -> Result<String, CallError> {
        path.map(|p| p.as_str().to_owned()).map_err(|e| self.error(e, action))
    }
}

/// Methods with a reason of their own take it there and not among the options.
pub(super) fn reason_apart(options: &Options) -> (&str, Opt<'_>) {
    let mut opt = options.dict();
    opt.remove("reason");
    (options.reason.as_deref().unwrap_or_default(), opt)
}
