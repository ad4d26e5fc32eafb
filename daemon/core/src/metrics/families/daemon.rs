//! Reeve itself.

use crate::metrics::family::{Family, Kind, Lane};

/// This group, in the order of the manual page.
pub(super) static TABLE: &[&Family] = &[
    &BUILD_INFO,
    &PROCESS_CPU,
    &PROCESS_RESIDENT,
    &PROCESS_OPEN_FDS,
    &PROCESS_MAX_FDS,
    &PROCESS_START,
    &SOURCE_DURATION,
    &SOURCE_SUCCESS,
    &SOURCE_LAST_SUCCESS,
    &SERIES_DROPPED,
    &SCRAPES,
    &SCRAPE_DURATION,
    &DBUS_CALLS,
    &WATCHDOG_PINGS,
    &CONFIG_RELOAD_SUCCESS,
    &CONFIG_RELOAD_TIME,
    &CONFIG_GENERATION,
    &NODE_STATE,
    &COMPONENT_HEALTHY,
];

const SELF: &str = "/proc/self";
const LOOP: &str = "the daemon's loop";

/// Build.
pub static BUILD_INFO: Family =
    Family::gauge("reeve_build_info", "", "Version of the running daemon; always 1.", "the program")
        .of(Kind::Info)
        .with(&["version", "commit"])
        .on(Lane::Start);
/// CPU of the daemon.
pub static PROCESS_CPU: Family = Family::counter(
    "process_cpu_seconds_total",
    "seconds",
    "CPU time that the daemon has spent, user and system, in seconds.",
    SELF,
)
.otel("process.cpu.time");
/// Memory of the daemon.
pub static PROCESS_RESIDENT: Family =
    Family::gauge("process_resident_memory_bytes", "bytes", "Resident memory of the daemon in bytes.", SELF)
        .otel("process.memory.usage");
/// Descriptors of the daemon.
pub static PROCESS_OPEN_FDS: Family =
    Family::gauge("process_open_fds", "", "Open file descriptors of the daemon.", SELF)
        .otel("process.unix.file_descriptor.count");
/// Its limit on them.
pub static PROCESS_MAX_FDS: Family =
    Family::gauge("process_max_fds", "", "Most file descriptors that the daemon may open.", SELF);
/// When it started.
pub static PROCESS_START: Family = Family::gauge(
    "process_start_time_seconds",
    "seconds",
    "Start of the daemon, in seconds since 1970; counters that are not kept on disk begin there.",
    SELF,
)
.on(Lane::Start);
/// How long a source took.
pub static SOURCE_DURATION: Family = Family::gauge(
    "reeve_source_duration_seconds",
    "seconds",
    "How long the last look at this source of samples took, in seconds.",
    LOOP,
)
.with(&["source"])
.on(Lane::Event);
/// Whether it worked.
pub static SOURCE_SUCCESS: Family = Family::gauge(
    "reeve_source_success",
    "",
    "Whether the last look at this source worked and came in time: 1 or 0. At 0 its series end within two periods.",
    LOOP,
)
.with(&["source"])
.on(Lane::Event);
/// When it last did.
pub static SOURCE_LAST_SUCCESS: Family = Family::gauge(
    "reeve_source_last_success_timestamp_seconds",
    "seconds",
    "When a look at this source last worked, in seconds since 1970; absent until it has.",
    LOOP,
)
.with(&["source"])
.on(Lane::Event);
/// Series refused.
pub static SERIES_DROPPED: Family = Family::counter(
    "reeve_series_dropped_total",
    "",
    "Series that were refused, counted at each look: over the node's or a worker's cap, written twice, not a valid \
     value, or of another kind than the family of that name.",
    LOOP,
)
.with(&["reason"])
.on(Lane::Event);
/// Requests served.
pub static SCRAPES: Family = Family::counter(
    "reeve_scrapes_total",
    "",
    "Requests to the metrics endpoint by path and status code; any path that does not exist is other.",
    "the metrics endpoint",
)
.with(&["path", "code"])
.on(Lane::Event);
/// How long.
pub static SCRAPE_DURATION: Family = Family::gauge(
    "reeve_scrape_duration_seconds",
    "seconds",
    "How long it took to answer a request for metrics, in seconds, from its header to the finished page.",
    "the metrics endpoint",
)
.of(Kind::Histogram)
.on(Lane::Event);
/// Calls of our methods and of the standard ones.
pub static DBUS_CALLS: Family = Family::counter(
    "reeve_dbus_calls_total",
    "",
    "D-Bus calls answered by method and outcome, which is ok or the last part of the error's name; a method that does \
     not exist is unknown.",
    "the bus server",
)
.with(&["method", "outcome"])
.on(Lane::Event);
/// Bounds of [`SCRAPE_DURATION`].
pub static SCRAPE_DURATION_BOUNDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// Watchdog.
pub static WATCHDOG_PINGS: Family = Family::counter(
    "reeve_watchdog_pings_total",
    "",
    "How often the daemon has told the service manager that its loop is alive.",
    LOOP,
)
.on(Lane::Event);
/// Whether the files on disk are in force.
pub static CONFIG_RELOAD_SUCCESS: Family = Family::gauge(
    "reeve_config_reload_success",
    "",
    "Whether the last reload took the files on disk: 1, or 0 when it refused them and the old settings stay.",
    LOOP,
)
.on(Lane::Event);
/// Since when.
pub static CONFIG_RELOAD_TIME: Family = Family::gauge(
    "reeve_config_reload_timestamp_seconds",
    "seconds",
    "When the settings in force were read, in seconds since 1970.",
    LOOP,
)
.on(Lane::Event);
/// Grows with each reload that took effect.
pub static CONFIG_GENERATION: Family =
    Family::gauge("reeve_config_generation", "", "Grows by one with each reload that took effect.", LOOP)
        .on(Lane::Event);
/// What the node is doing.
pub static NODE_STATE: Family = Family::gauge(
    "reeve_node_state",
    "",
    "State of the node as 1 on the one series that names it: starting, running, draining, drained, degraded, stopping.",
    LOOP,
)
.with(&["state"])
.on(Lane::Event);
/// What the daemon leans on.
pub static COMPONENT_HEALTHY: Family = Family::gauge(
    "reeve_component_healthy",
    "",
    "Whether a part that the daemon leans on works: store, bus, journal, launcher, metrics; 1 or 0.",
    LOOP,
)
.with(&["component"])
.on(Lane::Event);
