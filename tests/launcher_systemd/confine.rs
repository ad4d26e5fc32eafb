//! Limits, network, sandbox, journal, notify socket.

use crate::rig::{Rig, guard, guard_with_controllers, sh, sh_ok, show, until, worker};
use reeve::host::launcher::{Launcher, TeamLimits};
use reeve_core::Applied;
use reeve_core::config::Resources;
use reeve_core::effect::RunSpec;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

fn folder(name: &str) -> String {
    let path = format!("/srv/launcher-test/{name}");
    sh(&format!("mkdir -p {path} && chown reeve-worker: {path} && chmod 700 {path}"));
    path
}

#[tokio::test]
async fn limits_hold_and_change_live() {
    let Some(_guard) = guard_with_controllers().await else { return };
    let mut rig = Rig::new().await;
    let mut spec = worker("limited", "exec sleep 1000");
    spec.limits =
        Resources { cpu_limit: Some(50), memory_limit: Some(300 * MIB), tasks_max: Some(7), ..Resources::default() };
    let replica = spec.replica.clone();
    let (run, pid) = rig.start(&spec).await;
    let cgroup = format!("/sys/fs/cgroup{}", sh(&format!("cut -d: -f3 /proc/{pid}/cgroup")));
    let read = |file: &str| sh(&format!("cat '{cgroup}/{file}'"));
    assert_eq!(read("memory.max"), (300 * MIB).to_string());
    assert_eq!(read("memory.high"), (270 * MIB).to_string());
    assert_eq!(read("pids.max"), "7");
    assert_eq!(read("cpu.max"), "50000 100000");
    rig.launcher.set_limits(&replica, run, Resources { memory_limit: Some(200 * MIB), ..Resources::default() });
    assert_eq!(rig.applied(Applied::Limits).await, Ok(()));
    assert_eq!(read("memory.max"), (200 * MIB).to_string());
    assert_eq!(read("cpu.max"), "max 100000");
    assert_eq!(show(&replica, "MainPID"), pid.to_string());
    sh("systemctl daemon-reload");
    assert_eq!(read("memory.max"), (200 * MIB).to_string());
    // The next run has the limits of its specification, not the ones set by hand.
    sh(&format!("kill -9 {pid}"));
    rig.ended(&replica, run).await;
    rig.start(&spec).await;
    assert_eq!(read("memory.max"), (300 * MIB).to_string());
    assert_eq!(read("pids.max"), "7");
    rig.clean().await;
}

#[tokio::test]
async fn sup_02_a_teams_slice_is_nested_and_limited() {
    let Some(_guard) = guard_with_controllers().await else { return };
    let mut rig = Rig::new().await;
    let team = "inner-team".parse().unwrap();
    let parents = vec!["outer".parse().unwrap()];
    let limits = |memory| TeamLimits { memory_max: Some(memory), tasks_max: Some(100), ..TeamLimits::default() };
    rig.launcher.set_team(&team, &parents, limits(300 * MIB));
    let spec = RunSpec { team: team.clone(), team_parents: parents.clone(), ..worker("teamed", "exec sleep 1000") };
    let (_, pid) = rig.start(&spec).await;
    let slice = "/sys/fs/cgroup/reeve.slice/reeve-outer.slice/reeve-outer-inner\\x2dteam.slice";
    let unit = Path::new(slice).join(spec.replica.unit());
    assert_eq!(sh(&format!("cat '{}/cgroup.procs'", unit.display())), pid.to_string());
    assert_eq!(sh(&format!("cat '{slice}/memory.max'")), (300 * MIB).to_string());
    rig.launcher.set_team(&team, &parents, limits(400 * MIB));
    until("changed live", || sh(&format!("cat '{slice}/memory.max'")) == (400 * MIB).to_string()).await;
    rig.clean().await;
}

#[tokio::test]
async fn a_fork_bomb_stays_inside_its_tasks() {
    let Some(_guard) = guard_with_controllers().await else { return };
    let mut rig = Rig::new().await;
    let mut spec = worker("bomb", "");
    let script = "import os, time\nwhile True:\n  try:\n    os.fork()\n  except OSError: time.sleep(0.1)\n";
    spec.exec = vec!["/usr/bin/python3".into(), "-c".into(), script.into()];
    spec.limits.tasks_max = Some(20);
    let (run, pid) = rig.start(&spec).await;
    let cgroup = sh(&format!("cut -d: -f3 /proc/{pid}/cgroup"));
    until("full", || {
        !sh_ok(&format!("test -d /proc/{pid}")) || sh(&format!("cat '/sys/fs/cgroup{cgroup}/pids.current'")) == "20"
    })
    .await;
    rig.launcher.kill(&spec.replica, run);
    rig.ended(&spec.replica, run).await;
    until("none left", || !sh_ok("pgrep -u reeve-worker")).await;
    rig.clean().await;
}

#[tokio::test]
async fn the_network_is_cut_and_given_back() {
    let Some(_guard) = guard_with_controllers().await else { return };
    let work = folder("net");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let script = format!(
        "import socket, time\nwhile True:\n  try:\n    socket.create_connection(('127.0.0.1', {port}), 1).close(); r = 'open'\n  except OSError: r = 'shut'\n  open('now', 'w').write(r)\n  time.sleep(0.2)\n"
    );
    let mut rig = Rig::new().await;
    let mut spec = worker("net", "");
    spec.exec = vec!["/usr/bin/python3".into(), "-c".into(), script];
    spec.working_directory = Some(work.clone());
    let is = |wanted: &str| std::fs::read_to_string(format!("{work}/now")).is_ok_and(|now| now == wanted);
    let (run, pid) = rig.start(&spec).await;
    until("open", || is("open")).await;
    rig.launcher.network(&spec.replica, run, true);
    assert_eq!(rig.applied(Applied::Network).await, Ok(()));
    until("shut", || is("shut")).await;
    rig.launcher.network(&spec.replica, run, false);
    assert_eq!(rig.applied(Applied::Network).await, Ok(()));
    until("open again", || is("open")).await;
    // A run that died cut off does not bequeath it.
    rig.launcher.network(&spec.replica, run, true);
    assert_eq!(rig.applied(Applied::Network).await, Ok(()));
    until("shut", || is("shut")).await;
    sh(&format!("kill -9 {pid}"));
    rig.ended(&spec.replica, run).await;
    rig.start(&spec).await;
    until("open in the next run", || is("open")).await;
    rig.clean().await;
}

#[tokio::test]
async fn sec_14_real_servers_run_under_the_defaults_at_low_exposure() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let web = folder("web");
    std::fs::write(
        format!("{web}/nginx.conf"),
        format!(
            "daemon off; pid {web}/pid; error_log stderr; events {{}} http {{ access_log off; client_body_temp_path {web}/b; proxy_temp_path {web}/p; fastcgi_temp_path {web}/f; uwsgi_temp_path {web}/u; scgi_temp_path {web}/s; server {{ listen 127.0.0.1:18080; location / {{ return 200 fine; }} }} }}"
        ),
    )
    .unwrap();
    std::fs::set_permissions(format!("{web}/nginx.conf"), PermissionsExt::from_mode(0o644)).unwrap();
    let database = folder("database");
    let server = |name: &str, exec: &[&str], folder: &str| RunSpec {
        exec: exec.iter().map(|a| (*a).to_owned()).collect(),
        working_directory: Some(folder.to_owned()),
        ..worker(name, "")
    };
    let python = folder("python");
    for (spec, works) in [
        (
            server("web", &["/usr/sbin/nginx", "-c", &format!("{web}/nginx.conf")], &web),
            "python3 -c \"import urllib.request as u; assert u.urlopen('http://127.0.0.1:18080/').read() == b'fine'\"",
        ),
        (
            server(
                "database",
                &["/usr/bin/redis-server", "--port", "16379", "--save", "1 1", "--dir", &database],
                &database,
            ),
            "redis-cli -p 16379 set a b && redis-cli -p 16379 save && test -s /srv/launcher-test/database/dump.rdb",
        ),
        (
            server("python", &["/usr/bin/python3", "-m", "http.server", "18081", "--bind", "127.0.0.1"], &python),
            "python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:18081/')\"",
        ),
    ] {
        if !Path::new(&spec.exec[0]).exists() {
            eprintln!("no {}", spec.exec[0]);
            continue;
        }
        let (run, pid) = rig.start(&spec).await;
        until(works, || sh_ok(works)).await;
        assert_eq!(sh(&format!("stat -c %U /proc/{pid}")), "reeve-worker");
        let text = sh(&format!("systemd-analyze security --no-pager {} | tail -1", spec.replica.unit()));
        eprintln!("{text}");
        let level = text.split(": ").nth(1).unwrap();
        let level: f64 = level.split(' ').next().unwrap().parse().unwrap();
        assert!(level <= 3.0, "{text}");
        rig.launcher.stop(&spec.replica, run, 15, std::time::Duration::from_secs(30));
        rig.ended(&spec.replica, run).await;
    }
    rig.clean().await;
}

#[tokio::test]
async fn every_sandbox_key_is_taken_by_systemd() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    let mut spec = worker("keys", "exec sleep 1000");
    for (key, value) in [
        ("AmbientCapabilities", "CAP_NET_BIND_SERVICE"),
        ("BindReadOnlyPaths", "/etc:/mnt"),
        ("CacheDirectory", "launcher-test"),
        ("CapabilityBoundingSet", "CAP_NET_BIND_SERVICE"),
        ("DeviceAllow", "/dev/null rw"),
        ("DevicePolicy", "closed"),
        ("ExecPaths", "/usr"),
        ("IOWeight", "50"),
        ("IPAddressAllow", "localhost"),
        ("IPAddressDeny", "any"),
        ("InaccessiblePaths", "-/boot"),
        ("KeyringMode", "inherit"),
        ("LimitCORE", "0"),
        ("LimitNOFILE", "512:1024"),
        ("LockPersonality", "no"),
        ("LogsDirectory", "launcher-test"),
        ("MemoryDenyWriteExecute", "yes"),
        ("MemorySwapMax", "1G"),
        ("MountAPIVFS", "yes"),
        ("Nice", "5"),
        ("NoExecPaths", "-/mnt"),
        ("NoNewPrivileges", "yes"),
        ("OOMScoreAdjust", "100"),
        ("PrivateDevices", "no"),
        ("PrivateIPC", "yes"),
        ("PrivateMounts", "yes"),
        ("PrivateNetwork", "yes"),
        ("PrivateTmp", "no"),
        ("PrivateUsers", "no"),
        ("ProcSubset", "all"),
        ("ProtectHome", "yes"),
        ("ProtectProc", "default"),
        ("ProtectSystem", "full"),
        ("ReadOnlyPaths", "-/opt"),
        ("ReadWritePaths", "-/srv"),
        ("RestrictAddressFamilies", "~AF_PACKET"),
        ("RestrictNamespaces", "~user net"),
        ("RuntimeDirectory", "launcher-test"),
        ("StateDirectory", "launcher-test"),
        ("SupplementaryGroups", "adm"),
        ("SystemCallArchitectures", "native"),
        ("SystemCallErrorNumber", "EACCES"),
        ("SystemCallFilter", "~@clock"),
        ("SystemCallLog", "@reboot"),
        ("TemporaryFileSystem", "/opt:ro"),
        ("UMask", "0077"),
    ] {
        Arc::make_mut(&mut spec.sandbox).insert(key.to_owned(), vec![value.to_owned()]);
    }
    rig.start(&spec).await;
    let shown = |key: &str| show(&spec.replica, key);
    assert_eq!(shown("CapabilityBoundingSet"), "cap_net_bind_service");
    assert_eq!(shown("AmbientCapabilities"), "cap_net_bind_service");
    assert_eq!(shown("LimitNOFILE"), "1024");
    assert_eq!(shown("LimitNOFILESoft"), "512");
    assert_eq!(shown("ProtectSystem"), "full");
    assert_eq!(shown("RestrictNamespaces"), "cgroup ipc mnt pid uts");
    assert!(shown("IPAddressAllow").contains("127.0.0.0/8"));
    assert_eq!(shown("UMask"), "0077");
    rig.clean().await;
}

#[tokio::test]
async fn credentials_and_environment_reach_the_worker() {
    let Some(_guard) = guard().await else { return };
    let work = folder("secrets");
    sh(
        "mkdir -p /etc/reeve/credentials && printf hush > /etc/reeve/credentials/api-key && chmod -R go= /etc/reeve/credentials",
    );
    sh("mkdir -p /etc/agents && printf 'FROM_FILE=yes\\n' > /etc/agents/env && chmod 600 /etc/agents/env");
    let mut rig = Rig::new().await;
    let spec = RunSpec {
        credentials: vec!["api-key".into()],
        environment_file: Some("/etc/agents/env".into()),
        working_directory: Some(work.clone()),
        ..worker("secrets", "cat $CREDENTIALS_DIRECTORY/api-key > out; echo $FROM_FILE >> out; exec sleep 1000")
    };
    rig.start(&spec).await;
    until("written", || std::fs::read_to_string(format!("{work}/out")).is_ok_and(|t| t == "hushyes\n")).await;
    sh("rm -r /etc/reeve/credentials /etc/agents");
    rig.clean().await;
}

#[tokio::test]
async fn the_journal_and_the_notify_socket_are_the_workers() {
    let Some(_guard) = guard().await else { return };
    let mut rig = Rig::new().await;
    sh("mkdir -p /run/reeve/notify");
    let path = Path::new("/run/reeve/notify/talks-1");
    let _ = std::fs::remove_file(path);
    let socket = tokio::net::UnixDatagram::bind(path).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o666)).unwrap();
    let spec = worker(
        "talks",
        "systemd-notify --ready; echo spoken; test -w $RUNTIME_DIRECTORY && echo own folder; exec sleep 1000",
    );
    let token = rig.begin(&spec, Some(path.to_owned()));
    let (run, _) = rig.begun(token).await.unwrap();
    let mut buffer = [0; 256];
    let wait = std::time::Duration::from_secs(60);
    let n = tokio::time::timeout(wait, socket.recv(&mut buffer)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&buffer[..n]).contains("READY=1"));
    let by = |field: &str| format!("journalctl -q -o cat {field}");
    until("journal", || sh(&by(&format!("_SYSTEMD_INVOCATION_ID={run}"))).contains("own folder")).await;
    assert!(sh(&by("REEVE_WORKER=talks REEVE_REPLICA=1 REEVE_TEAM=launcher-test")).contains("spoken"));
    assert!(sh(&by("-t talks")).contains("spoken"));
    rig.clean().await;
}
