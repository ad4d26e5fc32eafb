//! Joining the parts.

use super::args::{self, Cli};
use super::effects::speaker;
use super::fleet::FleetDesk;
use super::gpu::Gpus;
use super::logs::LogSource;
use super::metrics::Measuring;
use super::run::{App, Inbox};
use super::trail::Trail;
use crate::bus;
use crate::host::clock::Clock;
use crate::host::config_files;
use crate::host::fdstore;
use crate::host::holds::Holds;
use crate::host::journal::logging::{self, Output};
use crate::host::journal::{Journal, reader::Reader};
use crate::host::launcher::direct::{DirectLauncher, DirectOptions};
use crate::host::launcher::systemd::{MissedQuery, Surroundings, SystemdLauncher};
use crate::host::launcher::{EventSender, Launcher};
use crate::host::notify::NotifySockets;
use crate::host::paths::Paths;
use crate::host::ports::Ports;
use crate::host::probe::Prober;
use crate::host::probe::exec::Way;
use crate::host::process::raise_open_files;
use crate::host::sd::Sd;
use crate::host::store::{RealDisk, Store, StoreError};
use crate::host::threads;
use crate::host::users::own_uid;
use clap::Parser;
use reeve_core::config::{Config, LauncherKind, Loaded};
use reeve_core::metrics::Board;
use reeve_core::{Core, Event, Kind, Notice, ReplicaId, Restored, RunId, Site, Wall};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

/// READY=1 is said after this even when the launcher has not listed what runs.
const READY_BY: Duration = Duration::from_secs(20);

/// Why the daemon does not start, with its exit code.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Permission(String),
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Config(_) => args::EXIT_CONFIG,
            Failure::Permission(_) => args::EXIT_PERMISSION,
            Failure::Internal(_) => args::EXIT_INTERNAL,
        }
    }

    /// A failed access to `path`.
    fn io(what: &str, path: &Path, error: &std::io::Error) -> Self {
        let text = format!("{what} {}: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => Failure::Permission(text),
            _ => Failure::Internal(text),
        }
    }
}

/// `reeved`.
pub fn reeved_main() -> ExitCode {
    let cli = Cli::parse();
    let paths = Paths::new(cli.root.as_deref().unwrap_or(Path::new("/")));
    if cli.check {
        return check(&paths, cli.config.as_deref());
    }
    let runtime = match threads::runtime().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::Internal(format!("the runtime cannot be made: {error}"))),
    };
    match runtime.block_on(run(cli, paths)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    eprintln!("reeved: {failure}");
    ExitCode::from(failure.code())
}

/// `--check`: every mistake, and whether the files would be taken.
fn check(paths: &Paths, main: Option<&Path>) -> ExitCode {
    let loaded = config_files::load(paths, main);
    for remark in &loaded.diagnostics {
        eprintln!("{remark}");
    }
    match loaded.config {
        Some(config) => {
            println!("configuration is valid: {} workers", config.workers.len());
            ExitCode::SUCCESS
        }
        None => ExitCode::from(args::EXIT_CONFIG),
    }
}

fn load(paths: &Paths, main: Option<&Path>) -> Result<(Loaded, Arc<Config>), Failure> {
    let mut loaded = config_files::load(paths, main);
    for remark in loaded.diagnostics.iter().filter(|d| !d.error) {
        tracing::warn!("{remark}");
    }
    match loaded.config.take() {
        Some(config) => Ok((loaded, Arc::new(config))),
        None => {
            let all = loaded.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>();
            Err(Failure::Config(format!("the configuration is refused:\n{}", all.join("\n"))))
        }
    }
}

async fn run(cli: Cli, paths: Paths) -> Result<(), Failure> {
    let journal = Journal::detect();
    let output = if journal.is_native() { Output::Journal } else { Output::Stderr };
    let level = logging::init(word(cli.log), output).map_err(Failure::Internal)?;
    for folder in [&paths.run, &paths.state] {
        std::fs::create_dir_all(folder).map_err(|e| Failure::io("cannot make", folder, &e))?;
    }
    let (store, restored, problems) = Store::open(&paths.state, Arc::new(RealDisk)).map_err(|e| store_failure(&e))?;
    let (loaded, config) = load(&paths, cli.config.as_deref())?;
    let (launcher_events, launcher_inbox) = mpsc::unbounded_channel();
    let (events, event_inbox) = mpsc::unbounded_channel();
    let wish = cli.launcher.map_or(config.launcher, kind);
    let launcher = choose(wish, &paths, launcher_events.clone(), &events, &restored).await?;
    let mut notify = NotifySockets::new(&paths, launcher_events);
    let handed = notify.adopt(fdstore::inherited());
    let holds = Holds::new(&paths);
    let (kept, handed) = holds.take_over(handed);
    rebind(&mut notify, &restored, &config, &*launcher.0);
    let (requests, request_inbox) = mpsc::unbounded_channel();
    let (tails, tail_inbox) = mpsc::unbounded_channel();
    let (synced, synced_inbox) = mpsc::unbounded_channel();
    let (reports, report_inbox) = mpsc::unbounded_channel();
    let entries = broadcast::Sender::new(256);
    let facts = config_files::host_facts();
    let site = Site {
        runtime_root: paths.run.join("workers").to_string_lossy().into_owned(),
        statsd_root: paths.statsd_folder().to_string_lossy().into_owned(),
        launcher: launcher.0.name().to_owned(),
        has_units: launcher.0.survives(),
        cpus: facts.cpus,
        memory: facts.memory,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut ports = Ports::new();
    for (id, history) in &restored.replicas {
        if let Some(port) = history.port {
            ports.reserve(id, port);
        }
    }
    let way = if launcher.0.survives() { Way::Unit } else { Way::Child };
    let metrics = config.metrics.clone();
    let cards = config.gpu.clone();
    let (fleet, fleet_inbox, troubles) = FleetDesk::start(&config, &paths).map_err(Failure::Internal)?;
    let mut core = Core::new(config, restored, site, seed(), Clock::now());
    let (snapshot, pictures) = watch::channel(core.snapshot());
    let (said, said_inbox) = mpsc::unbounded_channel();
    let intake = super::metrics::listen(&core, &paths, pictures.clone(), said, seed(), &events);
    let board = Board::new(super::metrics::caps(&metrics));
    let (exposition, samples) = watch::channel(board.exposition());
    let gpus = Gpus::start(cards, core.gpus_released(), reports.clone(), events.clone(), pictures.clone());
    let handle = super::handle::Handle::new(requests, pictures, entries.clone()).showing(samples);
    let export = super::metrics::start(&core, &loaded.merged, &paths, handed, &handle, &events);
    let measuring = Measuring::start(&metrics, &handle, reports, events.clone());
    let address = bus_address(&cli, &paths)?;
    let namespace = journal.is_native() && whole_host(&paths);
    let (sink, torn) = Trail::open(&paths.state, namespace, events.clone()).map_err(Failure::Internal)?;
    for trouble in troubles {
        journal.notice(&trouble, &[]).map_err(Failure::Internal)?;
    }
    for text in problems.into_iter().chain(torn) {
        journal.notice(&Notice::node(Kind::StateTorn, text), &[]).map_err(Failure::Internal)?;
    }
    let log_level = word(cli.log).to_owned();
    let options = bus::Options { handle, sink: Arc::new(sink), log_level, holds, kept, authority: None };
    let server = serve(options, address, events.clone()).await?;
    let later = events.clone();
    let app = App {
        core,
        config_file: cli.config,
        merged: loaded.merged,
        store,
        launcher: launcher.0,
        logs: launcher.1,
        notify,
        prober: Prober::new(events, way),
        ports,
        journal,
        journal_troubled: false,
        level,
        tails,
        sd: Sd::from_env(),
        snapshot,
        entries,
        recent: VecDeque::new(),
        replies: BTreeMap::new(),
        next_command: 0,
        queue: VecDeque::new(),
        later,
        specs: BTreeMap::new(),
        board,
        exposition,
        measuring,
        gpus,
        fleet,
        export,
        intake,
        unshown: false,
        stale: true,
        pictured: Instant::now(),
        retry_at: None,
        synced,
        ready_by: Some(Instant::now() + READY_BY),
        ending: false,
        paths,
    };
    let on = |kind| signal(kind).map_err(|e| Failure::Internal(format!("signals cannot be watched: {e}")));
    let inbox = Inbox {
        launcher: launcher_inbox,
        events: event_inbox,
        requests: request_inbox,
        tails: tail_inbox,
        synced: synced_inbox,
        reports: report_inbox,
        said: said_inbox,
        fleet: fleet_inbox,
        terminate: on(SignalKind::terminate())?,
        interrupt: on(SignalKind::interrupt())?,
        hangup: on(SignalKind::hangup())?,
    };
    let ended = app.run(inbox).await.map_err(|e| Failure::Internal(format!("the loop has failed: {e}")));
    drop(server);
    ended
}

fn kind(launcher: args::Launcher) -> LauncherKind {
    match launcher {
        args::Launcher::Auto => LauncherKind::Auto,
        args::Launcher::Systemd => LauncherKind::Systemd,
        args::Launcher::Direct => LauncherKind::Direct,
    }
}

fn word(level: args::LogLevel) -> &'static str {
    match level {
        args::LogLevel::Error => "error",
        args::LogLevel::Warn => "warn",
        args::LogLevel::Info => "info",
        args::LogLevel::Debug => "debug",
        args::LogLevel::Trace => "trace",
    }
}

fn store_failure(error: &StoreError) -> Failure {
    match error {
        StoreError::Io { path, source } => Failure::io("cannot use", path, source),
        StoreError::Locked { .. } => Failure::Internal(error.to_string()),
    }
}

/// Seed of the jitter: no two nodes of a fleet may retry in step.
fn seed() -> u64 {
    let now = Clock::now();
    now.wall.0 ^ (u64::from(std::process::id()) << 40) ^ u64::from(now.mono.0.subsec_nanos()).rotate_left(32)
}

/// Sockets of runs that may still live are read again before anything else, so that nothing they say is lost.
fn rebind(notify: &mut NotifySockets, restored: &Restored, config: &Config, launcher: &dyn Launcher) {
    for (id, _) in restored.replicas.iter().filter(|(_, h)| h.live.is_some()) {
        notify.rebind(id, speaker(config, id, launcher));
    }
}

/// Without `--root`. With one, unit names and the security journal would be those of the host's own reeved.
fn whole_host(paths: &Paths) -> bool {
    paths.root == Path::new("/")
}

/// Makes the launcher that was asked for, or that fits.
async fn choose(
    wish: LauncherKind,
    paths: &Paths,
    to: EventSender,
    events: &mpsc::UnboundedSender<Event>,
    restored: &Restored,
) -> Result<(Box<dyn Launcher>, LogSource), Failure> {
    let possible = whole_host(paths) && Path::new("/run/systemd/system").is_dir() && own_uid() == 0;
    match wish {
        LauncherKind::Direct => direct(paths, to),
        LauncherKind::Systemd => systemd(paths, to, events, restored).await,
        LauncherKind::Auto if possible => match systemd(paths, to.clone(), events, restored).await {
            Ok(launcher) => Ok(launcher),
            Err(failure) => {
                tracing::warn!("systemd is PID 1 and does not answer ({failure}); workers become children of reeved");
                direct(paths, to)
            }
        },
        LauncherKind::Auto => direct(paths, to),
    }
}

fn direct(paths: &Paths, to: EventSender) -> Result<(Box<dyn Launcher>, LogSource), Failure> {
    let launcher = DirectLauncher::new(to, paths, DirectOptions::default())
        .map_err(|e| Failure::io("the direct launcher cannot be made below", &paths.run, &e))?;
    let logs = LogSource::Direct(launcher.logs());
    Ok((Box::new(launcher), logs))
}

async fn systemd(
    paths: &Paths,
    to: EventSender,
    events: &mpsc::UnboundedSender<Event>,
    restored: &Restored,
) -> Result<(Box<dyn Launcher>, LogSource), Failure> {
    let systemd = bus::systemd1::Systemd::connect()
        .await
        .map_err(|e| Failure::Internal(format!("systemd cannot be asked over the system bus: {e}")))?;
    raise_open_files().map_err(|e| Failure::Internal(format!("the limit on open files cannot be read: {e}")))?;
    let known = known_runs(restored);
    let health = events.clone();
    let surroundings = Surroundings {
        missed: Box::new(move |query| {
            let (stored, since) = known.get(&query.replica).copied().unzip();
            Box::pin(missed(query, stored, since.unwrap_or_default()))
        }),
        health: Box::new(move |problem| {
            // Nobody listens any more only when the daemon ends.
            let _ = health.send(Event::ComponentHealth { component: "launcher", problem });
        }),
    };
    Ok((Box::new(SystemdLauncher::new(to, systemd, paths, surroundings)), LogSource::Journal(Reader::default())))
}

/// The run of each replica that was stored last, alive or ended, and when it was known to begin at the latest.
fn known_runs(restored: &Restored) -> BTreeMap<ReplicaId, (RunId, Wall)> {
    let run = |h: &reeve_core::persist::ReplicaHistory| {
        let live = h.live.as_ref().map(|l| (l.run, l.started));
        live.or_else(|| h.last_exit.as_ref().map(|e| (e.run, e.started.unwrap_or(e.ended))))
    };
    restored.replicas.iter().filter_map(|(id, h)| Some((id.clone(), run(h)?))).collect()
}

/// Ends of runs between the one last known and the present one, from PID 1's own records.
async fn missed(query: MissedQuery, stored: Option<RunId>, since: Wall) -> Vec<(RunId, reeve_core::ExitInfo)> {
    let known = query.known.or(stored);
    if known.is_none() || known == query.present {
        return Vec::new();
    }
    let all = match Reader::default().unit_exits(&query.replica.unit(), since).await {
        Ok(all) => all,
        Err(why) => {
            tracing::warn!(replica = %query.replica, "ends of unseen runs cannot be read: {why}");
            return Vec::new();
        }
    };
    let from = all.iter().position(|(run, _)| Some(*run) == known).unwrap_or(0);
    all.into_iter().skip(from).filter(|(run, _)| Some(*run) != query.present).collect()
}

/// Where the bus is served: private with a root of our own, else the system's.
fn bus_address(cli: &Cli, paths: &Paths) -> Result<bus::Address, Failure> {
    let text = match (&cli.bus, &cli.root) {
        (Some(text), _) => text.as_str(),
        (None, Some(_)) => "private",
        (None, None) => "system",
    };
    bus::Address::parse(text, &paths.bus_socket()).map_err(Failure::Config)
}

/// Serves the bus; a bus that is away is told to the core and tried again.
async fn serve(
    options: bus::Options,
    address: bus::Address,
    events: mpsc::UnboundedSender<Event>,
) -> Result<bus::Server, Failure> {
    let mut server =
        bus::Server::new(options).map_err(|e| Failure::Internal(format!("the bus cannot be served: {e}")))?;
    server.listen(address).await.map_err(|e| match e {
        bus::server::StartError::NotAllowed(_) => Failure::Permission(e.to_string()),
        bus::server::StartError::NameTaken | bus::server::StartError::Socket { .. } => Failure::Internal(e.to_string()),
    })?;
    let mut problem = server.problem();
    tokio::spawn(async move {
        loop {
            let now = problem.borrow_and_update().clone();
            if events.send(Event::ComponentHealth { component: "bus", problem: now }).is_err() {
                return;
            }
            if problem.changed().await.is_err() {
                return;
            }
        }
    });
    Ok(server)
}
