//! What a card does: use, memory, power, temperature, clocks.

use super::{CARD, DOMAIN, INFO, KIND, REASON, SENSOR};
use crate::metrics::family::{Family, Kind, Lane};

/// What each card is.
pub static GPU_INFO: Family =
    Family::gauge("reeve_gpu_info", "", "What the card is, with the driver in force.", "several NVML calls")
        .of(Kind::Info)
        .with(INFO)
        .on(Lane::Start);

/// Persistence mode.
pub static GPU_PERSISTENCE_MODE: Family = Family::gauge(
    "reeve_gpu_persistence_mode",
    "",
    "1 when the driver stays loaded without a client (persistence mode).",
    "nvmlDeviceGetPersistenceMode",
)
.with(CARD)
.on(Lane::Slow);

/// Kernels running.
pub static GPU_UTILIZATION: Family = Family::gauge(
    "reeve_gpu_utilization_ratio",
    "ratio",
    "Share of the last sample period in which a kernel ran, 0 to 1.",
    "nvmlDeviceGetUtilizationRates",
)
.with(CARD)
.on(Lane::Fast)
.otel("hw.gpu.utilization");

/// Memory being read or written.
pub static GPU_MEMORY_BANDWIDTH: Family = Family::gauge(
    "reeve_gpu_memory_bandwidth_utilization_ratio",
    "ratio",
    "Share of the last sample period in which device memory was read or written, 0 to 1.",
    "nvmlDeviceGetUtilizationRates",
)
.with(CARD)
.on(Lane::Fast)
.otel("hw.gpu.utilization");

/// Encoder.
pub static GPU_ENCODER: Family = Family::gauge(
    "reeve_gpu_encoder_utilization_ratio",
    "ratio",
    "Use of the video encoder, 0 to 1.",
    "nvmlDeviceGetEncoderUtilization",
)
.with(CARD)
.on(Lane::Slow)
.otel("hw.gpu.utilization");

/// Decoder.
pub static GPU_DECODER: Family = Family::gauge(
    "reeve_gpu_decoder_utilization_ratio",
    "ratio",
    "Use of the video decoder, 0 to 1.",
    "nvmlDeviceGetDecoderUtilization",
)
.with(CARD)
.on(Lane::Slow)
.otel("hw.gpu.utilization");

/// Memory of the card.
pub static GPU_MEMORY_TOTAL: Family =
    Family::gauge("reeve_gpu_memory_total_bytes", "bytes", "Device memory in all.", "nvmlDeviceGetMemoryInfo_v2")
        .with(CARD)
        .on(Lane::Fast)
        .otel("hw.gpu.memory.limit");

/// Memory in use.
pub static GPU_MEMORY_USED: Family = Family::gauge(
    "reeve_gpu_memory_used_bytes",
    "bytes",
    "Device memory in use, without what the driver reserves for itself.",
    "nvmlDeviceGetMemoryInfo_v2",
)
.with(CARD)
.on(Lane::Fast)
.otel("hw.gpu.memory.usage");

/// Memory left.
pub static GPU_MEMORY_FREE: Family =
    Family::gauge("reeve_gpu_memory_free_bytes", "bytes", "Device memory not in use.", "nvmlDeviceGetMemoryInfo_v2")
        .with(CARD)
        .on(Lane::Fast);

/// Memory of the driver.
pub static GPU_MEMORY_RESERVED: Family = Family::gauge(
    "reeve_gpu_memory_reserved_bytes",
    "bytes",
    "Device memory that driver and firmware keep for themselves.",
    "nvmlDeviceGetMemoryInfo_v2",
)
.with(CARD)
.on(Lane::Fast);

/// BAR1 in use.
pub static GPU_BAR1_USED: Family = Family::gauge(
    "reeve_gpu_bar1_used_bytes",
    "bytes",
    "Mapped part of the BAR1 window.",
    "nvmlDeviceGetBAR1MemoryInfo",
)
.with(CARD)
.on(Lane::Fast);

/// Power.
pub static GPU_POWER: Family = Family::gauge(
    "reeve_gpu_power_watts",
    "watts",
    "Power drawn. Some cards sample it a part of the time only: to bill, use energy.",
    "NVML field 186 (instant), else nvmlDeviceGetPowerUsage",
)
.with(CARD)
.on(Lane::Fast)
.otel("hw.power");

/// Power limit.
pub static GPU_POWER_LIMIT: Family =
    Family::gauge("reeve_gpu_power_limit_watts", "watts", "Power limit in force.", "nvmlDeviceGetEnforcedPowerLimit")
        .with(CARD)
        .on(Lane::Fast)
        .otel("hw.power.limit");

/// Energy.
pub static GPU_ENERGY: Family = Family::counter(
    "reeve_gpu_energy_joules_total",
    "joules",
    "Energy used since the driver was loaded.",
    "nvmlDeviceGetTotalEnergyConsumption",
)
.with(CARD)
.on(Lane::Fast)
.otel("hw.energy");

/// Temperature.
pub static GPU_TEMPERATURE: Family = Family::gauge(
    "reeve_gpu_temperature_celsius",
    "celsius",
    "Temperature by sensor: gpu, memory.",
    "nvmlDeviceGetTemperature; NVML field 82",
)
.with(SENSOR)
.on(Lane::Fast)
.otel("hw.temperature");

/// Limits of temperature.
pub static GPU_TEMPERATURE_THRESHOLD: Family = Family::gauge(
    "reeve_gpu_temperature_threshold_celsius",
    "celsius",
    "Temperature at which the card slows down or shuts down, by kind.",
    "nvmlDeviceGetTemperatureThreshold",
)
.with(KIND)
.on(Lane::Slow)
.otel("hw.temperature.limit");

/// Clocks.
pub static GPU_CLOCK: Family =
    Family::gauge("reeve_gpu_clock_hertz", "hertz", "Clock by domain: sm, memory, video.", "nvmlDeviceGetClockInfo")
        .with(DOMAIN)
        .on(Lane::Fast);

/// P-state.
pub static GPU_PERFORMANCE_STATE: Family = Family::gauge(
    "reeve_gpu_performance_state",
    "",
    "Performance state, 0 (highest) to 15.",
    "nvmlDeviceGetPerformanceState",
)
.with(CARD)
.on(Lane::Fast);

/// What holds the clocks back now.
pub static GPU_CLOCK_EVENT_ACTIVE: Family = Family::gauge(
    "reeve_gpu_clock_event_active",
    "",
    "1 while this reason holds the clocks back.",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
)
.with(REASON)
.on(Lane::Fast);

/// For how long the clocks were held back.
pub static GPU_CLOCK_EVENT_SECONDS: Family = Family::counter(
    "reeve_gpu_clock_event_seconds_total",
    "seconds",
    "Time for which this reason has held the clocks back since the driver was loaded.",
    "nvmlDeviceGetViolationStatus",
)
.with(REASON)
.on(Lane::Fast);
