//! Keys of `reeve.toml`.

use super::{Key, Kind};
use crate::config::{address, text};
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const CREDENTIAL: Kind = Kind::Text { expected: "the name of a systemd credential", check: text::credential };

/// In the order of the manual, sections together.
pub(super) const KEYS: &[Key] = &[
    Key::new(
        "node.name",
        Kind::Text { expected: "a name of 1 to 64 letters, digits, '.', '-' and '_'", check: text::node },
        None,
        "",
        "Name of this node in the fleet. Default: the host name.",
    ),
    Key::new(
        "node.labels",
        Kind::Map {
            expected: "a table of label names and texts such as { role = \"gpu\" }",
            key: text::label,
            value: text::plain,
        },
        Some("{}"),
        "SUP-06 CAP-04",
        "Labels of this node, matched by a worker's node_selector.",
    ),
    Key::new(
        "launcher.kind",
        Kind::Choice(&["auto", "systemd", "direct"]),
        Some("auto"),
        "",
        "Who runs the workers: systemd as transient units, or reeved itself; auto is systemd where it is PID 1.",
    ),
    Key::new(
        "supervision.remediation",
        Kind::Choice(&["on", "dry-run", "off"]),
        Some("on"),
        "REC-12",
        "Whether a failed liveness check may restart a living worker; dry-run says what would be done.",
    ),
    Key::new(
        "supervision.restart_rate",
        Kind::Rate,
        Some("20/s"),
        "REC-12",
        "Starts on this node at most, as a token bucket.",
    )
    .or_off(),
    Key::new(
        "supervision.damping",
        Kind::Section { optional: false },
        None,
        "CBR-02",
        "When many replicas die of one cause, one of them is tried first; \"off\" turns that off.",
    )
    .or_off(),
    Key::new(
        "supervision.damping.crashes",
        Kind::Integer { min: 2, max: 10_000 },
        Some("5"),
        "CBR-02",
        "How many replicas must die of one cause.",
    ),
    Key::new(
        "supervision.damping.window",
        Kind::Duration { min: MILLISECOND },
        Some("5s"),
        "CBR-02",
        "Within which span they must die.",
    ),
    Key::new(
        "metrics.listen",
        Kind::Text {
            expected: "an address such as \"127.0.0.1:9723\" or a socket such as \"unix:/run/reeve/metrics.sock\"",
            check: address::listen,
        },
        Some("127.0.0.1:9723"),
        "MET-18",
        "Where the scrape endpoint listens. Off, and without a textfile, nothing is measured.",
    )
    .or_off(),
    Key::new(
        "metrics.system",
        Kind::Choice(&["node", "off"]),
        Some("node"),
        "MET-01",
        "Whether the families of node_exporter are offered; off where node_exporter runs already.",
    ),
    Key::new(
        "metrics.units",
        Kind::List { expected: "a list of systemd units such as [\"nginx.service\"]", check: text::unit },
        Some("[]"),
        "MET-01",
        "Units of others whose state and restarts are told (node_systemd_*), from D-Bus signals; at most 200.",
    ),
    Key::new(
        "metrics.hardware",
        Kind::Bool,
        Some("false"),
        "MET-01",
        "Temperatures, fans and power (node_hwmon_*, node_thermal_zone_*); on some hosts a reading takes seconds.",
    ),
    Key::new(
        "metrics.network_filesystems",
        Kind::Bool,
        Some("false"),
        "MET-03",
        "Whether file systems of other hosts (nfs, cifs, ceph …) are among node_filesystem_*.",
    ),
    Key::new(
        "metrics.max_series",
        Kind::Integer { min: 100, max: 1_000_000 },
        Some("20000"),
        "MET-17",
        "Series of this node at most; what is over it is dropped and counted.",
    ),
    Key::new(
        "metrics.max_worker_series",
        Kind::Integer { min: 1, max: 100_000 },
        Some("1000"),
        "MET-17",
        "Series that one replica may bring of its own at most.",
    ),
    Key::new(
        "metrics.textfile",
        Kind::Text { expected: "an absolute path that ends with .prom", check: text::textfile },
        None,
        "INT-07",
        "File that is written anew every 15 s for node_exporter's textfile collector; its folder must exist.",
    ),
    Key::new(
        "metrics.tls",
        Kind::Section { optional: true },
        None,
        "SEC-06",
        "TLS of the endpoint. The names are of systemd credentials (LoadCredential=), or of files in credentials/.",
    ),
    Key::new("metrics.tls.certificate", CREDENTIAL, None, "SEC-06", "Certificate chain of the endpoint, PEM."),
    Key::new("metrics.tls.key", CREDENTIAL, None, "SEC-06", "Its private key, PEM."),
    Key::new(
        "metrics.tls.client_ca",
        CREDENTIAL,
        None,
        "SEC-06",
        "Certificates by which clients' certificates must be signed, PEM; without it everybody may read.",
    ),
    Key::new(
        "gpu.nvml",
        Kind::Text { expected: "\"auto\" or the absolute path of libnvidia-ml.so", check: text::library },
        Some("auto"),
        "MET-21",
        "The NVIDIA management library: the system's, this one, or none.",
    )
    .or_off(),
    Key::new(
        "gpu.gpm",
        Kind::Bool,
        Some("false"),
        "MET-21",
        "Performance samples (SM, tensor and memory activity) of Hopper and later.",
    ),
    Key::new("gpu.nvlink_links", Kind::Bool, Some("false"), "MET-21", "NVLink state by link, not only their number."),
    Key::new("fleet.name", Kind::Text { expected: "a fleet name", check: text::node }, None, "", "Name of the fleet."),
    Key::new(
        "fleet.voters",
        Kind::List { expected: "a list of node names", check: text::node },
        Some("[]"),
        "",
        "Nodes that elect the leader, the preferred first: 1, 3 or 5, the same on every node. All others observe.",
    ),
    Key::new(
        "fleet.brokers",
        Kind::List { expected: "a list of brokers such as [\"mqtts://broker-a:8883\"]", check: address::broker },
        Some("[]"),
        "INT-02",
        "MQTT brokers; each node connects to all of them, and all but one may be lost.",
    ),
    Key::new("fleet.preset", Kind::Choice(&["fast", "std", "calm"]), Some("std"), "", "Timing of the election."),
    Key::new(
        "fleet.credentials",
        Kind::Text { expected: "the name of a systemd credential", check: text::credential },
        None,
        "SEC-06",
        "What to show to the brokers, never the secret itself: with \"mqtt\" the systemd credentials mqtt.password, or\n\
         mqtt.crt and mqtt.key, and mqtt.ca. Or files of these names in credentials/.",
    ),
    Key::new(
        "fleet.report_interval",
        Kind::Duration { min: Duration::from_secs(1) },
        Some("2s"),
        "CAP-04",
        "The least time between two reports of a node; it grows with the fleet, up to 20s with 10,000 nodes.",
    ),
    Key::new(
        "fleet.slots.*.max_unavailable",
        Kind::NodeShare,
        Some("1"),
        "MNT-09",
        "How many nodes may hold a slot of this kind at once; suspect slots and lost nodes count. Kinds without a section\n\
         share that of \"default\".",
    ),
    Key::new(
        "fleet.slots.*.per",
        Kind::Text { expected: "a label name", check: text::label },
        None,
        "MNT-09",
        "Label of the nodes whose value makes a group with a budget of its own, such as \"rack\".",
    ),
    Key::new(
        "fleet.slots.*.ttl",
        Kind::Duration { min: Duration::from_secs(10) },
        Some("1h"),
        "MNT-09",
        "How long a slot lasts. One that is not released by then is suspect, and still counts.",
    ),
    Key::new(
        "fleet.slots.*.break_after",
        Kind::Duration { min: Duration::from_secs(1) },
        Some("off"),
        "MNT-09",
        "A slot that has been suspect for so long is free again; \"off\": only a person breaks it.",
    )
    .or_off(),
    Key::new(
        "fleet.slots.*.windows",
        Kind::List { expected: "a list of windows such as [\"Mon..Fri 22:00-06:00\"]", check: text::window },
        Some("[]"),
        "MNT-09",
        "When slots are granted, in UTC; empty: always.",
    ),
    Key::new(
        "teams.*.cpu_quota",
        Kind::CpuShare,
        None,
        "SUP-07",
        "CPU that all workers of the team may use together; \"80%\" is of the whole host, 12 is twelve CPUs.",
    ),
    Key::new(
        "teams.*.memory_max",
        Kind::MemoryShare,
        None,
        "SUP-07",
        "Memory that all workers of the team may use together.",
    ),
    Key::new(
        "teams.*.tasks_max",
        Kind::Integer { min: 1, max: 4_194_304 },
        None,
        "SUP-07",
        "Processes and threads of the team at most.",
    ),
    Key::new(
        "teams.*.max_workers",
        Kind::Integer { min: 0, max: 100_000 },
        None,
        "SUP-08",
        "Replicas of all workers of the team at most, teams below it included.",
    ),
    Key::new(
        "teams.*.parent",
        Kind::Text { expected: "a team name", check: text::team },
        None,
        "SUP-02",
        "The team above it; its limits hold for this one too.",
    ),
    Key::new(
        "teams.*.fail_together",
        Kind::Bool,
        Some("false"),
        "SUP-02",
        "When one replica fails, the others of the team stop and all start together.",
    ),
];
