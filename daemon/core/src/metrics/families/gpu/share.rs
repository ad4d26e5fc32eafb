//! Slices, workers' shares, and how the source itself does.

use super::{CALL, CARD, LANE, MIG, MIG_INFO, STATE, WORKER};
use crate::metrics::family::{Family, Kind, Lane};

/// MIG slices.
pub static GPU_MIG_INFO: Family =
    Family::gauge("reeve_gpu_mig_info", "", "A MIG slice of the card.", "nvmlDeviceGetMigDeviceHandleByIndex")
        .of(Kind::Info)
        .with(MIG_INFO)
        .on(Lane::Slow);

/// Memory of a slice.
pub static GPU_MIG_MEMORY_TOTAL: Family = Family::gauge(
    "reeve_gpu_mig_memory_total_bytes",
    "bytes",
    "Memory of a MIG slice.",
    "nvmlDeviceGetMemoryInfo_v2 of the slice",
)
.with(MIG)
.on(Lane::Slow)
.otel("hw.gpu.memory.limit");

/// Memory in use of a slice.
pub static GPU_MIG_MEMORY_USED: Family = Family::gauge(
    "reeve_gpu_mig_memory_used_bytes",
    "bytes",
    "Memory in use of a MIG slice.",
    "nvmlDeviceGetMemoryInfo_v2 of the slice",
)
.with(MIG)
.on(Lane::Slow)
.otel("hw.gpu.memory.usage");

/// SMs active in a slice.
pub static GPU_MIG_SM_ACTIVE: Family = Family::gauge(
    "reeve_gpu_mig_sm_active_ratio",
    "ratio",
    "Share of a MIG slice's SMs that were active, over time, 0 to 1; Hopper and later.",
    "GPM metric 2 of the slice (opt-in)",
)
.with(MIG)
.on(Lane::Slow)
.otel("hw.gpu.utilization");

/// NVML answers.
pub static GPU_UP: Family = Family::gauge(
    "reeve_gpu_up",
    "",
    "1 while NVML is held and answers; 0 without a driver, while released, or when the driver was replaced underneath.",
    "reeved",
)
.on(Lane::Fast)
.otel("hw.status");

/// What NVML is to us.
pub static GPU_STATE: Family = Family::gauge(
    "reeve_gpu_state",
    "",
    "1 for what our hold on NVML is: held, released, unavailable, mismatch (the driver was replaced underneath).",
    "reeved",
)
.with(STATE)
.on(Lane::Fast);

/// The card answers.
pub static GPU_CARD_UP: Family = Family::gauge(
    "reeve_gpu_card_up",
    "",
    "1 while the card answers; 0 when it is lost or has fallen off the bus.",
    "reeved",
)
.with(CARD)
.on(Lane::Fast)
.otel("hw.status");

/// A lane works.
pub static GPU_COLLECT_SUCCESS: Family = Family::gauge(
    "reeve_gpu_collect_success",
    "",
    "1 when this lane's last look has ended and no look is overdue; 0 after two periods without one.",
    "reeved",
)
.with(LANE)
.on(Lane::Fast);

/// How long a lane takes.
pub static GPU_COLLECT_DURATION: Family = Family::gauge(
    "reeve_gpu_collect_duration_seconds",
    "seconds",
    "How long the last look of this lane took.",
    "reeved",
)
.with(LANE)
.on(Lane::Fast);

/// How often a lane looks.
pub static GPU_COLLECT_PERIOD: Family = Family::gauge(
    "reeve_gpu_collect_period_seconds",
    "seconds",
    "How often this lane looks; longer than configured while it would take over 5 % of the time.",
    "reeved",
)
.with(LANE)
.on(Lane::Fast);

/// When a lane worked last.
pub static GPU_LAST_SUCCESS: Family = Family::gauge(
    "reeve_gpu_last_success_timestamp_seconds",
    "seconds",
    "When a look of this lane ended well, as seconds since 1970.",
    "reeved",
)
.with(LANE)
.on(Lane::Fast);

/// How long NVML calls take.
pub static GPU_CALL_SECONDS: Family =
    Family::gauge("reeve_gpu_call_seconds", "seconds", "How long calls into NVML take, by call.", "reeved")
        .of(Kind::Histogram)
        .with(CALL)
        .on(Lane::Fast);

/// NVML calls that failed.
pub static GPU_CALL_FAILURES: Family = Family::counter(
    "reeve_gpu_call_failures_total",
    "",
    "Calls into NVML that have failed; what a card does not support is no failure.",
    "reeved",
)
.with(CALL)
.on(Lane::Fast);

/// Memory of a worker.
pub static WORKER_GPU_MEMORY_USED: Family = Family::gauge(
    "reeve_worker_gpu_memory_used_bytes",
    "bytes",
    "Device memory in use by the worker; worker \"\" is what belongs to no worker, so that the sum is the card's.",
    "NVML process lists joined with the worker's cgroup",
)
.with(WORKER)
.on(Lane::Process)
.otel("hw.gpu.memory.usage");

/// SMs used by a worker.
pub static WORKER_GPU_SM: Family = Family::gauge(
    "reeve_worker_gpu_sm_utilization_ratio",
    "ratio",
    "Use of the card's SMs by the worker, 0 to 1.",
    "nvmlDeviceGetProcessUtilization joined with the worker's cgroup",
)
.with(WORKER)
.on(Lane::Process)
.otel("hw.gpu.utilization");

/// Processes of a worker on a card.
pub static WORKER_GPU_PROCESSES: Family = Family::gauge(
    "reeve_worker_gpu_processes",
    "",
    "Processes of the worker on the card; worker \"\" is what belongs to no worker.",
    "NVML process lists joined with the worker's cgroup",
)
.with(WORKER)
.on(Lane::Process);
