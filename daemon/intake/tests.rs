//! Sockets as files. The rest is seen from outside: `tests/intake.rs`.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::sockets::Sockets;
use super::*;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

fn replica(n: u32) -> ReplicaId {
    format!("web/{n}").parse().unwrap()
}

/// MET-05: everybody may reach his socket; it is made once, again when somebody tidied up, and goes with its replica.
#[test]
fn met_05_each_replica_has_a_socket_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path());
    std::fs::create_dir_all(paths.statsd_folder()).unwrap();
    std::fs::write(paths.statsd_socket(&replica(9)), "of an earlier life").unwrap();
    let mut sockets = Sockets::new(&paths);
    let path = paths.statsd_socket(&replica(1));
    assert!(sockets.bind(&replica(1)).unwrap().is_some());
    assert!(sockets.bind(&replica(1)).unwrap().is_none());
    let facts = std::fs::metadata(&path).unwrap();
    assert!(facts.file_type().is_socket());
    assert_eq!(facts.permissions().mode() & 0o777, 0o666);
    std::fs::remove_dir_all(paths.statsd_folder()).unwrap();
    assert!(sockets.bind(&replica(1)).unwrap().is_some());
    assert!(sockets.bind(&replica(2)).unwrap().is_some());
    std::fs::write(paths.statsd_socket(&replica(9)), "of an earlier life").unwrap();
    sockets.sweep();
    sockets.remove(&replica(2));
    let left: Vec<_> = std::fs::read_dir(paths.statsd_folder()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, [path]);
}

/// MET-08: addresses have their templates filled in.
#[test]
fn met_08_a_page_is_found_by_template() {
    let page = |scrape: &str| {
        let text = format!("[worker]\nexec = [\"/bin/true\"]\n[worker.metrics]\nscrape = \"{scrape}\"\n");
        let kind = reeve_core::config::SourceKind::Worker("web".into());
        let path = "web.toml".to_owned();
        let file = reeve_core::config::SourceFile { path, kind, rank: 2, drop_in: None, text };
        let host = reeve_core::config::HostFacts { hostname: "h".into(), cpus: 4, memory: 1 << 30 };
        let loaded = reeve_core::config::load(&[file], &host);
        assert_eq!(loaded.diagnostics, []);
        let config = loaded.config.unwrap();
        let settings = settings::Settings::of(&config, &replica(2)).unwrap();
        let mut shown = replica::Shown::default();
        shown.port = Some(4711);
        settings.url(&replica(2), &shown, &Paths::new(std::path::Path::new("/")))
    };
    let plain = page("http://127.0.0.1:{port}/metrics?who={worker}-{replica}");
    assert_eq!(plain.as_deref(), Some("http://127.0.0.1:4711/metrics?who=web-2"));
    let socket = page("unix:{runtime_dir}/m.sock:/metrics");
    assert_eq!(socket.as_deref(), Some("unix:/run/reeve/workers/web-2/m.sock:/metrics"));
}
