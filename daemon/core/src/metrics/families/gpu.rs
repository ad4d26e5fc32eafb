//! GPUs, through NVML (MET-21, OBS-01).
//!
//! A series of a card carries its index and its uuid; everything else stands in `reeve_gpu_info`. What a card does not
//! support is absent. Performance samples (`[gpu] gpm = true`) and single links (`[gpu] nvlink_links = true`) are opt-in.

use crate::metrics::family::Family;

mod health;
mod load;
mod share;

pub use health::*;
pub use load::*;
pub use share::*;

/// This group, in the order of the manual page.
pub(super) static TABLE: &[&Family] = &[
    &GPU_INFO,
    &GPU_PERSISTENCE_MODE,
    &GPU_UTILIZATION,
    &GPU_MEMORY_BANDWIDTH,
    &GPU_ENCODER,
    &GPU_DECODER,
    &GPU_MEMORY_TOTAL,
    &GPU_MEMORY_USED,
    &GPU_MEMORY_FREE,
    &GPU_MEMORY_RESERVED,
    &GPU_BAR1_USED,
    &GPU_POWER,
    &GPU_POWER_LIMIT,
    &GPU_ENERGY,
    &GPU_TEMPERATURE,
    &GPU_TEMPERATURE_THRESHOLD,
    &GPU_CLOCK,
    &GPU_PERFORMANCE_STATE,
    &GPU_CLOCK_EVENT_ACTIVE,
    &GPU_CLOCK_EVENT_SECONDS,
    &GPU_ECC_ERRORS,
    &GPU_REMAPPED_ROWS,
    &GPU_ROW_REMAP_PENDING,
    &GPU_ROW_REMAP_FAILURE,
    &GPU_RETIRED_PAGES,
    &GPU_RETIRED_PAGES_PENDING,
    &GPU_XID_ERRORS,
    &GPU_XID_LAST,
    &GPU_RECOVERY_ACTION,
    &GPU_HEALTH,
    &GPU_PCIE_GENERATION,
    &GPU_PCIE_WIDTH,
    &GPU_PCIE_REPLAY,
    &GPU_PCIE_TRANSMIT,
    &GPU_PCIE_RECEIVE,
    &GPU_NVLINK_TRANSMIT,
    &GPU_NVLINK_RECEIVE,
    &GPU_NVLINK_ERRORS,
    &GPU_NVLINK_UP,
    &GPU_GRAPHICS_ACTIVE,
    &GPU_SM_ACTIVE,
    &GPU_TENSOR_ACTIVE,
    &GPU_DRAM_ACTIVE,
    &GPU_MIG_INFO,
    &GPU_MIG_MEMORY_TOTAL,
    &GPU_MIG_MEMORY_USED,
    &GPU_MIG_SM_ACTIVE,
    &GPU_UP,
    &GPU_STATE,
    &GPU_CARD_UP,
    &GPU_COLLECT_SUCCESS,
    &GPU_COLLECT_DURATION,
    &GPU_COLLECT_PERIOD,
    &GPU_LAST_SUCCESS,
    &GPU_CALL_SECONDS,
    &GPU_CALL_FAILURES,
    &WORKER_GPU_MEMORY_USED,
    &WORKER_GPU_SM,
    &WORKER_GPU_PROCESSES,
];

const CARD: &[&str] = &["gpu", "uuid"];
const INFO: &[&str] = &["gpu", "uuid", "name", "driver", "cuda", "pci_bus_id", "serial", "vbios", "numa_node"];
const SENSOR: &[&str] = &["gpu", "uuid", "sensor"];
const KIND: &[&str] = &["gpu", "uuid", "kind"];
const DOMAIN: &[&str] = &["gpu", "uuid", "domain"];
const REASON: &[&str] = &["gpu", "uuid", "reason"];
const ECC: &[&str] = &["gpu", "uuid", "kind", "scope", "location"];
const CAUSE: &[&str] = &["gpu", "uuid", "cause"];
const XID: &[&str] = &["gpu", "uuid", "xid", "source"];
const XIDN: &[&str] = &["gpu", "uuid", "xid"];
const CHECK: &[&str] = &["gpu", "uuid", "check"];
const LINK: &[&str] = &["gpu", "uuid", "link"];
const LINKT: &[&str] = &["gpu", "uuid", "link", "type"];
const MIG_INFO: &[&str] = &["gpu", "uuid", "mig_uuid", "gpu_instance_id", "compute_instance_id", "profile"];
const MIG: &[&str] = &["gpu", "uuid", "mig_uuid"];
const STATE: &[&str] = &["state"];
const LANE: &[&str] = &["lane"];
const CALL: &[&str] = &["call"];
const WORKER: &[&str] = &["worker", "replica", "role", "gpu", "uuid"];
