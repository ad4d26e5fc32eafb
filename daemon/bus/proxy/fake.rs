//! A node that is not there: a few methods of `org.reeve.Node1`, peer to peer, with fixed answers.

use super::traits::{More, RunRow, WorkerRow};
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use zbus::object_server::SignalEmitter;
use zbus::{
    Connection, DBusError, Guid, ObjectServer, OwnedFd, OwnedObjectPath, OwnedVariant, Variant, connection, interface,
};

const ROOT: &str = "/org/reeve/Node1";

/// So many events happen when somebody subscribes.
pub(crate) const BURST: u32 = 500;

/// The errors it answers with.
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.reeve.Error")]
pub(crate) enum Refused {
    #[zbus(error)]
    ZBus(zbus::Error),
    NoSuchWorker(String),
    NotAuthorized(String),
    ConfigInvalid(String),
    AuditBroken(String),
}

/// Serves on `DIR/run/reeve/bus` until the runtime ends.
pub(crate) fn serve(root: &Path) -> std::io::Result<()> {
    let folder = root.join("run/reeve");
    std::fs::create_dir_all(&folder)?;
    let listener = UnixListener::bind(folder.join("bus"))?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = stream.into_std() else { break };
            tokio::spawn(async move {
                if let Ok(peer) = peer(stream).await {
                    peer.closed().await;
                }
            });
        }
    });
    Ok(())
}

/// One end of a connection.
pub(crate) async fn peer(stream: UnixStream) -> zbus::Result<Connection> {
    connection::Builder::unix_stream(stream)
        .server(Guid::generate())
        .p2p()
        .serve_at(ROOT, Manager)
        .serve_at(ROOT, Workers)
        .serve_at(ROOT, Audit)
        .build()
        .await
}

/// The same on a bus, under its name.
pub(crate) async fn on_bus(address: &str) -> zbus::Result<Connection> {
    connection::Builder::address(address)
        .serve_at(ROOT, Manager)
        .serve_at(ROOT, Workers)
        .name("org.reeve.Node1")
        .build()
        .await
}

fn more(pairs: Vec<(&str, Variant<'_>)>) -> More {
    pairs.into_iter().filter_map(|(k, v)| Some((k.to_owned(), OwnedVariant::try_from(v).ok()?))).collect()
}

struct Manager;

#[interface(name = "org.reeve.Node1.Manager")]
impl Manager {
    async fn get_status(&self, _opt: More) -> More {
        more(vec![
            ("node", "gpu-07".into()),
            ("state", "running".into()),
            ("since", 1_795_223_000_000_000u64.into()),
            ("workers_total", 2u32.into()),
            ("workers_ready", 2u32.into()),
            ("components", HashMap::from([("bus".to_owned(), String::new())]).into()),
        ])
    }

    async fn list_events(
        &self,
        _since: u64,
        _max: u32,
        _opt: More,
    ) -> Vec<(u64, String, String, String, String, More)> {
        vec![(
            1_795_223_000_000_000,
            "worker-started".to_owned(),
            "web/1".to_owned(),
            "wanted".to_owned(),
            "a worker was started".to_owned(),
            More::new(),
        )]
    }

    async fn subscribe(&self, _opt: More, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> zbus::fdo::Result<()> {
        // More than a stream of zbus holds: the reply comes behind them.
        for replica in 2..BURST + 2 {
            Self::event(
                &emitter,
                1_795_223_001_000_000,
                "worker-ready",
                &format!("web/{replica}"),
                "its probe answers",
                "a worker is ready",
                More::new(),
            )
            .await?;
        }
        Ok(())
    }

    async fn check_config(&self, _opt: More) -> Vec<(String, String, u32, u32, String, String)> {
        vec![(
            "error".to_owned(),
            "/etc/reeve/workers.d/web.toml".to_owned(),
            4,
            9,
            "worker.replicas".to_owned(),
            "expected a number, found a text".to_owned(),
        )]
    }

    async fn reload(&self, _opt: More) -> Result<u64, Refused> {
        Err(Refused::ConfigInvalid("1 mistake".to_owned()))
    }

    async fn drain(&self, _reason: String, _opt: More) -> Result<OwnedObjectPath, Refused> {
        Err(Refused::NotAuthorized("not an operator".to_owned()))
    }

    #[zbus(signal)]
    async fn event(
        emitter: &SignalEmitter<'_>,
        time: u64,
        kind: &str,
        target: &str,
        reason: &str,
        text: &str,
        more: More,
    ) -> zbus::Result<()>;
}

struct Workers;

#[interface(name = "org.reeve.Node1.Workers")]
impl Workers {
    async fn list_workers(&self, _opt: More) -> zbus::fdo::Result<Vec<WorkerRow>> {
        let exit: HashMap<String, Variant<'_>> = HashMap::from([
            ("cause".to_owned(), "exit-code".into()),
            ("exit_code".to_owned(), 3i32.into()),
            ("at".to_owned(), 1_795_222_000_000_000u64.into()),
        ]);
        let replica: HashMap<String, Variant<'_>> = HashMap::from([
            ("index".to_owned(), 1u32.into()),
            ("state".to_owned(), "ready".into()),
            ("ready".to_owned(), true.into()),
            ("pid".to_owned(), 4711u32.into()),
            ("last_exit".to_owned(), exit.into()),
        ]);
        let path = OwnedObjectPath::try_from("/org/reeve/Node1/worker/web")?;
        let row = |name: &str, more: More| {
            (name.to_owned(), path.clone(), "default".to_owned(), 1, 1, "running".to_owned(), 2, more)
        };
        Ok(vec![
            row("web", more(vec![("replicas", vec![replica].into())])),
            // An older daemon that says nothing more.
            row("bare", More::new()),
        ])
    }

    async fn list_runs(&self, _target: String, _opt: More) -> Vec<RunRow> {
        let row = |run: &str, ended| {
            let more = more(vec![("exit_code", 3i32.into()), ("replica", 1u32.into())]);
            (run.to_owned(), ended - 1_500_000, ended, "exit-code".to_owned(), true, more)
        };
        vec![row("0a", 1_795_222_000_000_000), row("0b", 1_795_222_900_000_000)]
    }

    async fn get_logs(&self, target: String, _opt: More) -> zbus::fdo::Result<OwnedFd> {
        let failed = |e: std::io::Error| zbus::fdo::Error::Failed(e.to_string());
        let (reader, mut writer) = std::io::pipe().map_err(failed)?;
        writeln!(writer, "one line of {target}").map_err(failed)?;
        Ok(OwnedFd::from(std::os::fd::OwnedFd::from(reader)))
    }

    async fn stop(
        &self,
        target: String,
        _opt: More,
        #[zbus(object_server)] server: &ObjectServer,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<OwnedObjectPath, Refused> {
        match target.as_str() {
            "nobody" => return Err(Refused::NoSuchWorker("no worker is nobody".to_owned())),
            "secret" => return Err(Refused::NotAuthorized("not an operator".to_owned())),
            _ => {}
        }
        let path = next_path()?;
        let result = if target == "stuck" { "failed" } else { "success" };
        server.at(&path, TaskRun::new(target == "endless", result)).await?;
        let connection = connection.clone();
        let ended = path.clone();
        tokio::spawn(async move {
            let run = connection.object_server().interface::<_, TaskRun>(&ended).await?;
            if run.get().await.endless {
                return Ok(());
            }
            run.get_mut().await.state = "done";
            let emitter = run.signal_emitter();
            TaskRun::completed(emitter, result, "", "1 of 1 stopped").await
        });
        Ok(path)
    }
}

/// Unique, as task runs are.
fn next_path() -> Result<OwnedObjectPath, Refused> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = format!("/org/reeve/Node1/task_run/{id:08}");
    OwnedObjectPath::try_from(path).map_err(Refused::ZBus)
}

struct TaskRun {
    endless: bool,
    state: &'static str,
    result: &'static str,
}

impl TaskRun {
    fn new(endless: bool, result: &'static str) -> Self {
        Self { endless, state: "running", result }
    }
}

#[interface(name = "org.reeve.Node1.TaskRun")]
impl TaskRun {
    #[zbus(property)]
    async fn state(&self) -> String {
        self.state.to_owned()
    }
    #[zbus(property)]
    async fn result(&self) -> String {
        if self.state == "done" { self.result.to_owned() } else { String::new() }
    }
    #[zbus(property)]
    async fn message(&self) -> String {
        "1 of 1 stopped".to_owned()
    }

    async fn get_report(&self, _opt: More) -> String {
        r#"{"dry_run":true,"plan":[{"action":"stop","target":"web/1","reason":"asked for"}]}"#.to_owned()
    }

    #[zbus(signal)]
    async fn completed(emitter: &SignalEmitter<'_>, result: &str, error_name: &str, message: &str) -> zbus::Result<()>;
}

struct Audit;

#[interface(name = "org.reeve.Node1.Audit")]
impl Audit {
    async fn verify(&self, _opt: More) -> Result<More, Refused> {
        Err(Refused::AuditBroken("entry 7 was altered".to_owned()))
    }
}
