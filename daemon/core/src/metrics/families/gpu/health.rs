//! How a card is: errors, rows, XIDs, links; and GPM.

use super::{CARD, CAUSE, CHECK, ECC, LINK, LINKT, XID, XIDN};
use crate::metrics::family::{Family, Lane};

/// ECC errors.
pub static GPU_ECC_ERRORS: Family = Family::counter("reeve_gpu_ecc_errors_total", "", "ECC errors; scope volatile is since the driver was loaded, aggregate over the card's life; location all is the total.", "nvmlDeviceGetTotalEccErrors, nvmlDeviceGetMemoryErrorCounter").with(ECC).on(Lane::Slow).otel("hw.errors");

/// Rows replaced.
pub static GPU_REMAPPED_ROWS: Family = Family::gauge(
    "reeve_gpu_remapped_rows",
    "",
    "Memory rows that were remapped, by cause: correctable, uncorrectable.",
    "NVML fields 142, 143",
)
.with(CAUSE)
.on(Lane::Slow)
.otel("hw.errors");

/// A row waits to be replaced.
pub static GPU_ROW_REMAP_PENDING: Family = Family::gauge(
    "reeve_gpu_row_remap_pending",
    "",
    "1 when a row remap waits for a reset of the card.",
    "NVML field 144",
)
.with(CARD)
.on(Lane::Slow)
.otel("hw.status");

/// A row could not be replaced.
pub static GPU_ROW_REMAP_FAILURE: Family = Family::gauge(
    "reeve_gpu_row_remap_failure",
    "",
    "1 when a row remap has failed: the card corrupts work and must be replaced.",
    "NVML field 145",
)
.with(CARD)
.on(Lane::Slow)
.otel("hw.status");

/// Pages retired.
pub static GPU_RETIRED_PAGES: Family = Family::gauge(
    "reeve_gpu_retired_pages",
    "",
    "Memory pages retired, by cause: single_bit, double_bit (cards before row remapping).",
    "nvmlDeviceGetRetiredPages",
)
.with(CAUSE)
.on(Lane::Slow)
.otel("hw.errors");

/// Pages wait to be retired.
pub static GPU_RETIRED_PAGES_PENDING: Family = Family::gauge(
    "reeve_gpu_retired_pages_pending",
    "",
    "1 when pages wait for a reset of the card to be retired.",
    "nvmlDeviceGetRetiredPagesPendingStatus",
)
.with(CARD)
.on(Lane::Slow)
.otel("hw.errors");

/// XIDs.
pub static GPU_XID_ERRORS: Family = Family::counter(
    "reeve_gpu_xid_errors_total",
    "",
    "XID errors seen by this daemon, by number and by where they were seen; each is counted once.",
    "NVML event set; kernel log (NVRM: Xid)",
)
.with(XID)
.on(Lane::Event)
.otel("hw.errors");

/// When an XID was seen last.
pub static GPU_XID_LAST: Family = Family::gauge(
    "reeve_gpu_xid_last_timestamp_seconds",
    "seconds",
    "When this XID was seen last, as seconds since 1970. Alert on this: increase() misses the first one.",
    "NVML event set; kernel log (NVRM: Xid)",
)
.with(XIDN)
.on(Lane::Event);

/// What the driver asks for.
pub static GPU_RECOVERY_ACTION: Family = Family::gauge(
    "reeve_gpu_recovery_action",
    "",
    "What the driver asks for: 0 nothing, 1 reset of the card, 2 reboot, 3 drain of peers, 4 drain and reset.",
    "NVML field 230",
)
.with(CARD)
.on(Lane::Slow);

/// Health by check.
pub static GPU_HEALTH: Family = Family::gauge(
    "reeve_gpu_health",
    "",
    "1 when the card passes this check: bus, xid, ecc, rows, recovery, pages.",
    "derived",
)
.with(CHECK)
.on(Lane::Slow)
.otel("hw.status");

/// PCIe generation.
pub static GPU_PCIE_GENERATION: Family = Family::gauge(
    "reeve_gpu_pcie_link_generation",
    "",
    "Generation of the PCIe link as it runs now.",
    "nvmlDeviceGetCurrPcieLinkGeneration",
)
.with(CARD)
.on(Lane::Slow);

/// PCIe lanes.
pub static GPU_PCIE_WIDTH: Family = Family::gauge(
    "reeve_gpu_pcie_link_width",
    "",
    "Lanes of the PCIe link as it runs now.",
    "nvmlDeviceGetCurrPcieLinkWidth",
)
.with(CARD)
.on(Lane::Slow);

/// PCIe replays.
pub static GPU_PCIE_REPLAY: Family =
    Family::counter("reeve_gpu_pcie_replay_total", "", "PCIe packets sent again.", "nvmlDeviceGetPcieReplayCounter")
        .with(CARD)
        .on(Lane::Slow);

/// PCIe out.
pub static GPU_PCIE_TRANSMIT: Family = Family::counter(
    "reeve_gpu_pcie_transmit_bytes_total",
    "bytes",
    "Bytes sent by the card over PCIe.",
    "NVML field 197",
)
.with(CARD)
.on(Lane::Slow)
.otel("hw.gpu.io");

/// PCIe in.
pub static GPU_PCIE_RECEIVE: Family = Family::counter(
    "reeve_gpu_pcie_receive_bytes_total",
    "bytes",
    "Bytes received by the card over PCIe.",
    "NVML field 198",
)
.with(CARD)
.on(Lane::Slow)
.otel("hw.gpu.io");

/// NVLink out.
pub static GPU_NVLINK_TRANSMIT: Family = Family::counter(
    "reeve_gpu_nvlink_transmit_bytes_total",
    "bytes",
    "Data sent over NVLink, without protocol overhead; link all is the sum over the card's links.",
    "NVML field 138",
)
.with(LINK)
.on(Lane::Slow)
.otel("hw.gpu.io");

/// NVLink in.
pub static GPU_NVLINK_RECEIVE: Family = Family::counter(
    "reeve_gpu_nvlink_receive_bytes_total",
    "bytes",
    "Data received over NVLink, without protocol overhead; link all is the sum over the card's links.",
    "NVML field 139",
)
.with(LINK)
.on(Lane::Slow)
.otel("hw.gpu.io");

/// NVLink errors.
pub static GPU_NVLINK_ERRORS: Family = Family::counter(
    "reeve_gpu_nvlink_errors_total",
    "",
    "NVLink errors by type: crc_flit, crc_data, replay, recovery; link all is the sum over the card's links.",
    "NVML fields 38, 45, 52, 59",
)
.with(LINKT)
.on(Lane::Slow)
.otel("hw.errors");

/// NVLink links that are up.
pub static GPU_NVLINK_UP: Family = Family::gauge(
    "reeve_gpu_nvlink_up",
    "",
    "Links that are up for link all; 1 or 0 for each one where links are asked for.",
    "nvmlDeviceGetNvLinkState",
)
.with(LINK)
.on(Lane::Slow)
.otel("hw.status");

/// Engines active.
pub static GPU_GRAPHICS_ACTIVE: Family = Family::gauge(
    "reeve_gpu_graphics_active_ratio",
    "ratio",
    "Share of time in which any engine was active, 0 to 1; Hopper and later.",
    "GPM metric 1 (opt-in)",
)
.with(CARD)
.on(Lane::Fast)
.otel("hw.gpu.utilization");

/// SMs active.
pub static GPU_SM_ACTIVE: Family = Family::gauge(
    "reeve_gpu_sm_active_ratio",
    "ratio",
    "Share of SMs that were active, over time, 0 to 1; Hopper and later.",
    "GPM metric 2 (opt-in)",
)
.with(CARD)
.on(Lane::Fast)
.otel("hw.gpu.utilization");

/// Tensor cores active.
pub static GPU_TENSOR_ACTIVE: Family = Family::gauge(
    "reeve_gpu_tensor_active_ratio",
    "ratio",
    "Share of the tensor cores' peak, 0 to 1; Hopper and later.",
    "GPM metric 5 (opt-in)",
)
.with(CARD)
.on(Lane::Fast)
.otel("hw.gpu.utilization");

/// Memory bandwidth used.
pub static GPU_DRAM_ACTIVE: Family = Family::gauge(
    "reeve_gpu_dram_active_ratio",
    "ratio",
    "Share of the memory's peak bandwidth, 0 to 1; Hopper and later.",
    "GPM metric 10 (opt-in)",
)
.with(CARD)
.on(Lane::Fast)
.otel("hw.gpu.utilization");
