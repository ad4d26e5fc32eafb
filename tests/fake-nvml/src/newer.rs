//! What newer drivers know: memory with its reserved part, field values, MIG.

use crate::answer::{INVALID, NOT_SUPPORTED, Place, card, device, handle, place, put, small, symbols};
use crate::state::Card;
use nvml_wrapper_sys::bindings::field_id::*;
use nvml_wrapper_sys::bindings::*;
use std::ffi::{c_int, c_uint};

/// `gi=7` in the line of a slice.
fn part(line: &str, key: &str) -> Option<u64> {
    line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
}

fn slice(card: &Card, number: u64) -> Result<&str, nvmlReturn_t> {
    let found = card.list("mig").into_iter().find(|(n, _)| *n == number);
    found.map(|(_, line)| line).ok_or(nvmlReturn_enum_NVML_ERROR_NOT_FOUND)
}

fn of_slice(name: &str, handle: nvmlDevice_t, key: &str) -> Result<u64, nvmlReturn_t> {
    match device(name, handle)? {
        (card, Some(number)) => part(slice(&card, number)?, key).ok_or(NOT_SUPPORTED),
        (_, None) => Err(INVALID),
    }
}

/// The key of a field, for the numbering of drivers before 580.82, which these fields have kept.
fn key(field: u32) -> Option<&'static str> {
    Some(match field {
        NVML_FI_DEV_MEMORY_TEMP => "temperature.memory",
        NVML_FI_DEV_POWER_INSTANT => "power.instant",
        NVML_FI_DEV_REMAPPED_COR => "rows.corrected",
        NVML_FI_DEV_REMAPPED_UNC => "rows.uncorrected",
        NVML_FI_DEV_REMAPPED_PENDING => "rows.pending",
        NVML_FI_DEV_REMAPPED_FAILURE => "rows.failure",
        NVML_FI_DEV_GET_GPU_RECOVERY_ACTION => "recovery",
        NVML_FI_DEV_PCIE_COUNT_TX_BYTES => "pcie.tx",
        NVML_FI_DEV_PCIE_COUNT_RX_BYTES => "pcie.rx",
        NVML_FI_DEV_NVLINK_LINK_COUNT => "nvlink.links",
        NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX => "nvlink.tx",
        NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX => "nvlink.rx",
        NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL => "nvlink.crc_flit",
        NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL => "nvlink.crc_data",
        NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL => "nvlink.replay",
        NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL => "nvlink.recovery",
        _ => return None,
    })
}

fn value(card: &Card, field: u32) -> Option<u64> {
    card.number(key(field)?)
}

symbols! {
    fn nvmlDeviceGetMemoryInfo_v2(handle: nvmlDevice_t, to: *mut nvmlMemory_v2_t) {
        let asked = take_version(to)?;
        let (total, reserved, used) = match device(NAME, handle)? {
            (card, None) => {
                let of = |key| card.number(key).ok_or(NOT_SUPPORTED);
                (of("memory.total")?, of("memory.reserved")?, of("memory.used")?)
            }
            (card, Some(number)) => {
                let line = slice(&card, number)?;
                let of = |key| part(line, key).ok_or(NOT_SUPPORTED);
                (of("memory")?, 0, of("used")?)
            }
        };
        let free = total.saturating_sub(reserved + used);
        put(to, nvmlMemory_v2_t { version: asked, total, reserved, free, used })
    }

    fn nvmlDeviceGetFieldValues(handle: nvmlDevice_t, count: c_int, fields: *mut nvmlFieldValue_t) {
        let card = card(NAME, handle)?;
        for at in 0..usize::try_from(count).map_err(|_| INVALID)? {
            let field = fields.wrapping_add(at);
            let mut asked = crate::answer::take(field)?;
            asked.timestamp = 1;
            asked.latencyUsec = 5;
            asked.valueType = nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
            match value(&card, asked.fieldId) {
                Some(value) => {
                    asked.nvmlReturn = nvmlReturn_enum_NVML_SUCCESS;
                    asked.value = nvmlValue_t { ullVal: value };
                }
                None => asked.nvmlReturn = NOT_SUPPORTED,
            }
            put(field, asked)?;
        }
        Ok(())
    }

    fn nvmlDeviceGetMigMode(handle: nvmlDevice_t, current: *mut c_uint, pending: *mut c_uint) {
        let mode = small(card(NAME, handle)?.number("mig.mode").ok_or(NOT_SUPPORTED)?);
        put(current, mode)?;
        put(pending, mode)
    }

    fn nvmlDeviceGetMaxMigDeviceCount(handle: nvmlDevice_t, to: *mut c_uint) {
        put(to, small(card(NAME, handle)?.number("mig.max").unwrap_or(0)))
    }

    fn nvmlDeviceGetMigDeviceHandleByIndex(parent: nvmlDevice_t, index: c_uint, to: *mut nvmlDevice_t) {
        let card = card(NAME, parent)?;
        slice(&card, u64::from(index))?;
        put(to, handle(Place::Slice(card.number, u64::from(index))))
    }

    fn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(slice: nvmlDevice_t, to: *mut nvmlDevice_t) {
        match place(slice)? {
            Place::Slice(card, _) => put(to, handle(Place::Card(card))),
            Place::Card(_) => Err(INVALID),
        }
    }

    fn nvmlDeviceGetGpuInstanceId(handle: nvmlDevice_t, to: *mut c_uint) {
        put(to, small(of_slice(NAME, handle, "gi")?))
    }

    fn nvmlDeviceGetComputeInstanceId(handle: nvmlDevice_t, to: *mut c_uint) {
        put(to, small(of_slice(NAME, handle, "ci")?))
    }

    fn nvmlDeviceGetAttributes_v2(handle: nvmlDevice_t, to: *mut nvmlDeviceAttributes_t) {
        let (card, Some(number)) = device(NAME, handle)? else { return Err(INVALID) };
        let line = slice(&card, number)?;
        let profile = line.split_whitespace().next().unwrap_or_default();
        let slices = profile.split('g').next().and_then(|n| n.parse().ok()).unwrap_or(1);
        put(to, nvmlDeviceAttributes_t {
            multiprocessorCount: 14 * slices,
            sharedCopyEngineCount: 1,
            sharedDecoderCount: 0,
            sharedEncoderCount: 0,
            sharedJpegCount: 0,
            sharedOfaCount: 0,
            gpuInstanceSliceCount: slices,
            computeInstanceSliceCount: slices,
            memorySizeMB: part(line, "memory").unwrap_or(0) >> 20,
        })
    }
}

fn take_version(info: *const nvmlMemory_v2_t) -> Result<u32, nvmlReturn_t> {
    let version = crate::answer::take(info)?.version;
    let known = version == u32::try_from(size_of::<nvmlMemory_v2_t>() | (2 << 24)).unwrap_or(0);
    if known { Ok(version) } else { Err(nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH) }
}
