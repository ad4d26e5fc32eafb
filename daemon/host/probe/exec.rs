//! Running a probe or hook program to its end: as the worker's user, bounded, without a trace left behind.
//!
//! Two ways, like the launchers: an own child in a process group of its own, or a transient unit beside the worker's, for
//! a daemon that has no right to change its user (the hardened unit) and for a program that must see what the worker
//! sees (its private /tmp, its network).

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Group, Pid, User, geteuid};
use reeve_core::config::Worker;
use reeve_core::{ReplicaId, RunSpec};
use std::collections::BTreeMap;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// How programs are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As our own child.
    Child,
    /// As a transient unit through systemd-run.
    Unit,
}

/// What a program shares with the worker it asks about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// User; `None`: the daemon's own.
    pub user: Option<String>,
    /// Group; `None`: the user's.
    pub group: Option<String>,
    /// Environment, templates replaced.
    pub environment: BTreeMap<String, String>,
    /// Working directory.
    pub working_directory: Option<String>,
    /// The worker's unit, to share its namespaces.
    pub unit: String,
    /// Its sandbox keys.
    pub sandbox: Arc<BTreeMap<String, Vec<String>>>,
}

impl Context {
    /// That of a run.
    pub fn from_spec(spec: &RunSpec) -> Self {
        Self {
            user: spec.user.clone(),
            group: spec.group.clone(),
            environment: spec.environment.clone(),
            working_directory: spec.working_directory.clone(),
            unit: spec.replica.unit(),
            sandbox: Arc::clone(&spec.sandbox),
        }
    }

    /// That of a run that was adopted: from its definition. Variables that hold templates are left out.
    pub fn from_worker(worker: &Worker, replica: &ReplicaId) -> Self {
        let plain = |(k, v): (&String, &String)| (!v.contains('{')).then(|| (k.clone(), v.clone()));
        Self {
            user: worker.user.clone(),
            group: worker.group.clone(),
            environment: worker.environment.iter().filter_map(plain).collect(),
            working_directory: worker.working_directory.clone().filter(|dir| !dir.contains('{')),
            unit: replica.unit(),
            sandbox: Arc::clone(&worker.sandbox),
        }
    }

    /// The same with this user where none is named.
    pub fn or_user(mut self, user: Option<&str>) -> Self {
        self.user = self.user.or_else(|| user.map(str::to_owned));
        self
    }
}

/// Runs it; `Ok(code)` when it exited by itself within `limit`.
pub async fn run(way: Way, argv: &[String], context: &Context, limit: Duration) -> Result<i32, String> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err("no program is named".to_owned());
    };
    let mut command = match way {
        Way::Child => child(program, arguments, context).await?,
        Way::Unit => unit(argv, context, limit),
    };
    let shown = match way {
        Way::Child => program.as_str(),
        Way::Unit => "systemd-run",
    };
    let mut running = command.spawn().map_err(|e| format!("cannot execute {shown}: {}", with_errno(&e)))?;
    let mut group = ProcessGroup(running.id());
    let complaint = running.stderr.take();
    let ended = tokio::time::timeout(limit, async {
        let mut text = Vec::new();
        if let Some(pipe) = complaint {
            // What cannot be read is only missing from a message.
            let _ = pipe.take(1024).read_to_end(&mut text).await;
        }
        (running.wait().await, text)
    })
    .await;
    match ended {
        Ok((status, complaint)) => {
            group.0 = None;
            let status = status.map_err(|e| format!("cannot wait for {program}: {e}"))?;
            let complaint = String::from_utf8_lossy(&complaint);
            verdict(program, status, complaint.lines().next().unwrap_or_default())
        }
        Err(_elapsed) => {
            drop(group);
            // Reaped here, so that its number is free again; it is dying, unless the kernel holds it.
            let _ = tokio::time::timeout(Duration::from_secs(1), running.wait()).await;
            Err(format!("{program} did not end within {limit:?}, it was killed"))
        }
    }
}

fn verdict(program: &str, status: ExitStatus, complaint: &str) -> Result<i32, String> {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(_), _) if !complaint.is_empty() => Err(format!("{program}: {complaint}")),
        (Some(code), _) => Ok(code),
        (None, signal) => Err(format!(
            "{program} was ended by {}",
            signal.map_or_else(|| "a signal".to_owned(), reeve_core::exit::signal_name)
        )),
    }
}

/// Kills what is left when the call is dropped or out of time.
struct ProcessGroup(Option<u32>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(pid) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            // Gone already, or of another user (then it is in a unit, which PID 1 ends).
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn quiet(command: &mut Command) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
}

async fn child(program: &str, arguments: &[String], context: &Context) -> Result<Command, String> {
    let mut command = Command::new(program);
    quiet(&mut command);
    // The daemon's own environment names its notify socket, its credentials and its descriptors.
    command.args(arguments).env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(&context.environment);
    if let Some(dir) = &context.working_directory {
        command.current_dir(dir);
    }
    if geteuid().is_root()
        && let Some((uid, gid)) = identity(context.clone()).await?
    {
        // std drops root's supplementary groups along with the user.
        command.uid(uid).gid(gid);
    }
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is one prctl(2) and nothing else.
    unsafe {
        command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from));
    }
    Ok(command)
}

/// Looking up a user may ask a directory server, hence not on the loop's thread.
async fn identity(context: Context) -> Result<Option<(u32, u32)>, String> {
    let Some(name) = context.user else {
        return Ok(None);
    };
    let look = move || {
        let user = match name.parse::<u32>() {
            Ok(uid) => User::from_uid(uid.into()),
            Err(_) => User::from_name(&name),
        };
        let user = user
            .map_err(|e| format!("cannot look up user {name}: {e}"))?
            .ok_or_else(|| format!("there is no user {name}"))?;
        let gid = match context.group {
            None => user.gid,
            Some(group) => match group.parse::<u32>() {
                Ok(gid) => gid.into(),
                Err(_) => {
                    Group::from_name(&group)
                        .map_err(|e| format!("cannot look up group {group}: {e}"))?
                        .ok_or_else(|| format!("there is no group {group}"))?
                        .gid
                }
            },
        };
        Ok(Some((user.uid.as_raw(), gid.as_raw())))
    };
    tokio::task::spawn_blocking(look).await.map_err(|e| format!("cannot look up the user: {e}"))?
}

/// PID 1 ends the unit soon after `limit` even when nobody waits for it any more.
fn unit(argv: &[String], context: &Context, limit: Duration) -> Command {
    let mut command = Command::new("systemd-run");
    quiet(&mut command);
    command.stderr(Stdio::piped());
    command.args(["--quiet", "--wait", "--collect", "--service-type=exec"]);
    let mut property = |key: &str, value: &str| {
        command.arg(format!("--property={key}={value}"));
    };
    for (key, values) in &*context.sandbox {
        values.iter().for_each(|value| property(key, value));
    }
    property("JoinsNamespaceOf", &context.unit);
    // A little later than we do ourselves: then the error says "did not end", not "exited with code 1".
    let last = limit + Duration::from_millis(500);
    property("RuntimeMaxSec", &format!("{}ms", last.as_millis()));
    property("TimeoutStopSec", "1s");
    property("StandardOutput", "null");
    property("StandardError", "null");
    property("Slice", "reeve.slice");
    if let Some(user) = &context.user {
        property("User", user);
    }
    if let Some(group) = &context.group {
        property("Group", group);
    }
    if let Some(dir) = &context.working_directory {
        property("WorkingDirectory", dir);
    }
    for (key, value) in &context.environment {
        command.arg(format!("--setenv={key}={value}"));
    }
    // PID 1 puts variables in, as in a unit file; a doubled sign is a plain one.
    let mut argv = argv.iter();
    command.arg("--").args(argv.next());
    command.args(argv.map(|argument| argument.replace('$', "$$")));
    command
}

/// `No such file or directory (ENOENT)`.
fn with_errno(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(errno) => format!("{} ({errno:?})", errno.desc()),
        None => error.to_string(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(10);

    async fn sh(script: &str, context: &Context, limit: Duration) -> Result<i32, String> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        run(Way::Child, &argv, context, limit).await
    }

    #[tokio::test]
    async fn the_exit_code_comes_back() {
        let context = Context::default();
        assert_eq!(sh("exit 0", &context, LONG).await, Ok(0));
        assert_eq!(sh("exit 7", &context, LONG).await, Ok(7));
        let killed = sh("kill -9 $$", &context, LONG).await.unwrap_err();
        assert_eq!(killed, "/bin/sh was ended by SIGKILL");
    }

    #[tokio::test]
    async fn a_program_that_cannot_run_is_named_with_the_errno() {
        let context = Context::default();
        let gone = run(Way::Child, &["/no/such".to_owned()], &context, LONG).await;
        let text = "cannot execute /no/such: No such file or directory (ENOENT)";
        assert_eq!(gone, Err(text.to_owned()));
        let denied = run(Way::Child, &["/etc/passwd".to_owned()], &context, LONG).await;
        assert!(denied.unwrap_err().ends_with("(EACCES)"));
        let nobody = Context { user: Some("no-such-user".to_owned()), ..Context::default() };
        if geteuid().is_root() {
            let unknown = sh("exit 0", &nobody, LONG).await;
            assert_eq!(unknown, Err("there is no user no-such-user".to_owned()));
        }
    }

    #[tokio::test]
    async fn a_hanging_program_dies_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let late = sh(&script, &Context::default(), SHORT).await.unwrap_err();
        assert!(late.ends_with("did not end within 200ms, it was killed"), "{late}");
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        // The grandchild is reaped by whoever adopted it; a zombie is dead too. Killed is not dead: it has to be given a
        // processor once more, and on a busy machine that takes a moment.
        let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = || stat().rsplit(')').next().unwrap_or_default().trim().to_owned();
        let dead = || state().is_empty() || state().starts_with(['Z', 'X']);
        let until = std::time::Instant::now() + LONG;
        while !dead() && std::time::Instant::now() < until {
            tokio::task::yield_now().await;
        }
        assert!(dead(), "{}", stat());
    }

    #[tokio::test]
    async fn it_runs_as_the_workers_user_with_a_clean_environment() {
        let context = Context {
            user: Some("65534".to_owned()),
            environment: [("COLOUR".to_owned(), "blue".to_owned())].into(),
            working_directory: Some("/".to_owned()),
            ..Context::default()
        };
        let script = "test \"$COLOUR\" = blue && test -z \"$CARGO\" && test $(pwd) = /";
        assert_eq!(sh(script, &context, LONG).await, Ok(0));
        if geteuid().is_root() {
            assert_eq!(sh("test $(id -u) = 65534", &context, LONG).await, Ok(0));
            assert_eq!(sh("test $(id -G) = 65534", &context, LONG).await, Ok(0));
        }
    }

    #[test]
    fn a_transient_unit_is_bounded_and_as_confined_as_the_worker() {
        let context = Context {
            user: Some("agents".to_owned()),
            unit: "reeve-web-1.service".to_owned(),
            sandbox: Arc::new([("ProtectSystem".to_owned(), vec!["strict".to_owned()])].into()),
            ..Context::default()
        };
        let argv = ["/bin/check", "-x", "$HOME"].map(str::to_owned);
        let command = unit(&argv, &context, SHORT);
        let text = format!("{:?}", command.as_std());
        for part in [
            "--property=RuntimeMaxSec=700ms",
            "--property=User=agents",
            "--property=ProtectSystem=strict",
            "--property=JoinsNamespaceOf=reeve-web-1.service",
            "\"--\" \"/bin/check\" \"-x\" \"$$HOME\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
