//! Two hosts as trees of files: a server with everything, and a small hybrid one without controllers. What is seen of
//! them stands in `tests/golden/sources-*.txt`; `REEVE_BLESS=1` writes it anew.

use super::picture::{Living, handle, picture};
use super::{page, samples, tick};
use reeve::sources::{SourcesConfig, Space};
use reeve_core::metrics::{Samples, families};
use reeve_core::{Mono, Now, Wall};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The raw families that the rules and dashboards of the node mixin read.
const MIXIN: [&str; 43] = [
    "node_bonding_active",
    "node_bonding_slaves",
    "node_cpu_seconds_total",
    "node_disk_io_time_seconds_total",
    "node_disk_io_time_weighted_seconds_total",
    "node_disk_read_bytes_total",
    "node_disk_written_bytes_total",
    "node_filefd_allocated",
    "node_filefd_maximum",
    "node_filesystem_avail_bytes",
    "node_filesystem_files",
    "node_filesystem_files_free",
    "node_filesystem_readonly",
    "node_filesystem_size_bytes",
    "node_load1",
    "node_load15",
    "node_load5",
    "node_md_disks",
    "node_md_disks_required",
    "node_memory_Buffers_bytes",
    "node_memory_Cached_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemFree_bytes",
    "node_memory_MemTotal_bytes",
    "node_memory_Slab_bytes",
    "node_network_receive_bytes_total",
    "node_network_receive_drop_total",
    "node_network_receive_errs_total",
    "node_network_receive_packets_total",
    "node_network_transmit_bytes_total",
    "node_network_transmit_drop_total",
    "node_network_transmit_errs_total",
    "node_network_transmit_packets_total",
    "node_nf_conntrack_entries",
    "node_nf_conntrack_entries_limit",
    "node_systemd_service_restart_total",
    "node_systemd_unit_state",
    "node_textfile_scrape_error",
    "node_timex_maxerror_seconds",
    "node_timex_offset_seconds",
    "node_timex_sync_status",
    "node_uname_info",
    "node_vmstat_pgmajfault",
];

/// Not offered, and why.
const ABSENT: [(&str, &str); 1] = [("node_textfile_scrape_error", "files of others are not read")];

fn tree(host: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(host)
}

/// The host of this tree, at a fixed instant; two of its mounts are odd.
fn config(host: &str) -> SourcesConfig {
    let at = tree(host);
    let now = Now { mono: Mono(Duration::from_secs(1000)), wall: Wall(1_767_312_000_250_000) };
    let space = |path: &Path| {
        if path == Path::new("/srv/broken") {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(Space { size: 4096e6, avail: 1024e6, free: 1500e6, files: 65536.0, files_free: 60000.0 })
    };
    SourcesConfig {
        proc: at.join("proc"),
        sys: at.join("sys"),
        root: at.join("root"),
        hardware: true,
        clock: Arc::new(move || now),
        space: Arc::new(space),
        ..SourcesConfig::default()
    }
}

fn look(host: &str, replicas: &[Living<'_>]) -> Samples {
    let (_pictures, workers) = handle(picture(replicas));
    // The clock's state is that of the machine the test runs on.
    samples(tick(&config(host), &workers), |source| source != "timex")
}

fn golden(name: &str, samples: &Samples) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let machine = format!("machine=\"{}\"", std::env::consts::ARCH);
    let text = page(samples).replace(&machine, "machine=\"ARCH\"");
    if std::env::var_os("REEVE_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    for (at, (got, want)) in text.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(got, want, "{name}, line {}", at + 1);
    }
    assert_eq!(text.lines().count(), wanted.lines().count(), "{name}");
}

fn names(samples: &Samples) -> Vec<&'static str> {
    samples.iter().map(|series| series.family.name).collect()
}

#[test]
fn met_01_a_server_with_everything_is_seen_whole() {
    let team = tree("host").join("cgroup/reeve-agents.slice");
    let (first, second) = (team.join("reeve-web-1.service"), team.join("reeve-web-2.service"));
    let replicas = [
        Living { index: 1, run: Some((1, &first)), pid: Some(4711) },
        Living { index: 2, run: Some((2, &second)), pid: None },
        Living { index: 3, run: None, pid: None },
    ];
    let samples = look("host", &replicas);
    golden("sources-host.txt", &samples);
    let seen = names(&samples);
    let from_sources = |name: &str| {
        // The clock's state is that of the test's machine, and units are followed over D-Bus.
        name.starts_with("node_") && !name.starts_with("node_timex_") && !name.starts_with("node_systemd_")
    };
    let missing: Vec<_> =
        families::all().map(|f| f.name).filter(|name| from_sources(name) && !seen.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn met_02_a_hybrid_host_without_controllers_has_gaps_and_no_zeros() {
    let run = tree("hybrid").join("cgroup/reeve-0/agents.team/reeve-web-1");
    let samples = look("hybrid", &[Living { index: 1, run: Some((1, &run)), pid: None }]);
    golden("sources-hybrid.txt", &samples);
    let workers: Vec<_> = names(&samples).into_iter().filter(|name| name.starts_with("reeve_")).collect();
    assert_eq!(
        workers,
        [
            "reeve_team_cpu_usage_seconds_total",
            "reeve_team_pressure_cpu_stalled_seconds_total",
            "reeve_team_pressure_cpu_waiting_seconds_total",
            "reeve_worker_cpu_system_seconds_total",
            "reeve_worker_cpu_usage_seconds_total",
            "reeve_worker_cpu_user_seconds_total",
        ]
    );
}

#[test]
fn met_01_every_family_of_the_node_mixin_is_offered_or_absent_for_a_cause() {
    let all: Vec<_> = families::all().map(|family| family.name).collect();
    for name in MIXIN {
        let absent = ABSENT.iter().find(|(absent, _)| *absent == name);
        assert!(all.contains(&name) != absent.is_some(), "{name}: {absent:?}");
    }
}

#[test]
fn met_01_without_system_families_only_workers_are_looked_at() {
    let (_pictures, workers) = handle(picture(&[]));
    let reports = tick(&SourcesConfig { system: false, ..config("host") }, &workers);
    assert_eq!(reports.iter().map(|r| r.source).collect::<Vec<_>>(), ["workers"]);
    assert!(samples(reports, |_| true).is_empty());
}

#[test]
fn met_01_an_empty_tree_is_a_host_without_anything() {
    let empty = tempfile::tempdir().unwrap();
    let (_pictures, workers) = handle(picture(&[]));
    let at = empty.path().to_owned();
    let config = SourcesConfig { proc: at.clone(), sys: at.clone(), root: at, ..config("host") };
    let mut failed = Vec::new();
    for report in tick(&config, &workers).into_iter().filter(|r| r.source != "timex" && r.source != "time") {
        match report.outcome {
            Ok(samples) => assert!(samples.is_empty(), "{}", report.source),
            Err(_) => failed.push(report.source),
        }
    }
    assert_eq!(failed, ["filesystem", "host"]);
}
