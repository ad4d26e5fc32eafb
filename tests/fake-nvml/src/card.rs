//! What every driver knows of a card.

use crate::answer::{INVALID, NOT_SUPPORTED, Place, card, device, number, place, put, put_text, small, symbols};
use nvml_wrapper_sys::bindings::*;
use std::ffi::{c_char, c_uint, c_ulonglong};

/// The seconds for which the card was held back, in nanoseconds since its driver was loaded.
const REFERENCE: u64 = 1_000_000_000;

fn text(name: &str, handle: nvmlDevice_t, key: &str, to: *mut c_char, length: c_uint) -> Result<(), nvmlReturn_t> {
    put_text(to, length, card(name, handle)?.text(key).ok_or(NOT_SUPPORTED)?)
}

fn figure(name: &str, handle: nvmlDevice_t, key: &str, to: *mut c_uint) -> Result<(), nvmlReturn_t> {
    put(to, small(number(name, handle, key)?))
}

symbols! {
    fn nvmlDeviceGetName(handle: nvmlDevice_t, to: *mut c_char, length: c_uint) {
        let (card, _) = device(NAME, handle)?;
        put_text(to, length, card.text("name").ok_or(NOT_SUPPORTED)?)
    }

    fn nvmlDeviceGetUUID(handle: nvmlDevice_t, to: *mut c_char, length: c_uint) {
        match device(NAME, handle)? {
            (card, None) => put_text(to, length, card.text("uuid").ok_or(NOT_SUPPORTED)?),
            (card, Some(slice)) => {
                let uuid = format!("MIG-5ee0f1c2-8a44-4f0e-{:04x}-{slice:012x}", card.number);
                put_text(to, length, &uuid)
            }
        }
    }

    fn nvmlDeviceGetSerial(handle: nvmlDevice_t, to: *mut c_char, length: c_uint) {
        text(NAME, handle, "serial", to, length)
    }

    fn nvmlDeviceGetVbiosVersion(handle: nvmlDevice_t, to: *mut c_char, length: c_uint) {
        text(NAME, handle, "vbios", to, length)
    }

    fn nvmlDeviceGetMinorNumber(handle: nvmlDevice_t, to: *mut c_uint) {
        figure(NAME, handle, "minor", to)
    }

    fn nvmlDeviceGetPersistenceMode(handle: nvmlDevice_t, to: *mut c_uint) {
        figure(NAME, handle, "persistence", to)
    }

    fn nvmlDeviceGetPciInfo_v3(handle: nvmlDevice_t, to: *mut nvmlPciInfo_t) {
        let card = card(NAME, handle)?;
        let id = card.text("bus_id").ok_or(NOT_SUPPORTED)?;
        let mut info = nvmlPciInfo_t { busIdLegacy: [0; 16], domain: 0, bus: 0, device: 0, pciDeviceId: 0,
            pciSubSystemId: 0, busId: [0; 32] };
        let bus = id.split(':').nth(1).and_then(|b| u32::from_str_radix(b, 16).ok());
        info.bus = bus.unwrap_or(0);
        put_text(info.busId.as_mut_ptr(), 32, id)?;
        put(to, info)
    }

    fn nvmlDeviceGetUtilizationRates(handle: nvmlDevice_t, to: *mut nvmlUtilization_t) {
        let card = card(NAME, handle)?;
        let of = |key| card.number(key).map(small).ok_or(NOT_SUPPORTED);
        put(to, nvmlUtilization_t { gpu: of("util")?, memory: of("util.memory")? })
    }

    fn nvmlDeviceGetEncoderUtilization(handle: nvmlDevice_t, to: *mut c_uint, period: *mut c_uint) {
        put(period, 167_000)?;
        figure(NAME, handle, "util.encoder", to)
    }

    fn nvmlDeviceGetDecoderUtilization(handle: nvmlDevice_t, to: *mut c_uint, period: *mut c_uint) {
        put(period, 167_000)?;
        figure(NAME, handle, "util.decoder", to)
    }

    fn nvmlDeviceGetBAR1MemoryInfo(handle: nvmlDevice_t, to: *mut nvmlBAR1Memory_t) {
        let card = card(NAME, handle)?;
        let total = card.number("bar1.total").ok_or(NOT_SUPPORTED)?;
        let used = card.number("bar1.used").ok_or(NOT_SUPPORTED)?;
        put(to, nvmlBAR1Memory_t { bar1Total: total, bar1Free: total.saturating_sub(used), bar1Used: used })
    }

    fn nvmlDeviceGetPowerUsage(handle: nvmlDevice_t, to: *mut c_uint) {
        figure(NAME, handle, "power", to)
    }

    fn nvmlDeviceGetEnforcedPowerLimit(handle: nvmlDevice_t, to: *mut c_uint) {
        figure(NAME, handle, "power.limit", to)
    }

    fn nvmlDeviceGetTotalEnergyConsumption(handle: nvmlDevice_t, to: *mut c_ulonglong) {
        put(to, number(NAME, handle, "energy")?)
    }

    fn nvmlDeviceGetTemperature(handle: nvmlDevice_t, _sensor: nvmlTemperatureSensors_t, to: *mut c_uint) {
        figure(NAME, handle, "temperature", to)
    }

    fn nvmlDeviceGetTemperatureThreshold(
        handle: nvmlDevice_t,
        kind: nvmlTemperatureThresholds_t,
        to: *mut c_uint,
    ) {
        let key = match kind {
            0 => "threshold.shutdown",
            1 => "threshold.slowdown",
            2 => "threshold.memory_max",
            3 => "threshold.gpu_max",
            _ => return Err(NOT_SUPPORTED),
        };
        figure(NAME, handle, key, to)
    }

    fn nvmlDeviceGetClockInfo(handle: nvmlDevice_t, kind: nvmlClockType_t, to: *mut c_uint) {
        let key = match kind {
            0 | 1 => "clock.sm",
            2 => "clock.memory",
            3 => "clock.video",
            _ => return Err(INVALID),
        };
        figure(NAME, handle, key, to)
    }

    fn nvmlDeviceGetPerformanceState(handle: nvmlDevice_t, to: *mut nvmlPstates_t) {
        figure(NAME, handle, "pstate", to)
    }

    fn nvmlDeviceGetCurrentClocksThrottleReasons(handle: nvmlDevice_t, to: *mut c_ulonglong) {
        put(to, number(NAME, handle, "reasons")?)
    }

    fn nvmlDeviceGetViolationStatus(
        handle: nvmlDevice_t,
        policy: nvmlPerfPolicyType_t,
        to: *mut nvmlViolationTime_t,
    ) {
        let card = card(NAME, handle)?;
        let of = card.number(&format!("violation.{policy}")).or_else(|| card.number("violation"));
        put(to, nvmlViolationTime_t { referenceTime: REFERENCE, violationTime: of.ok_or(NOT_SUPPORTED)? })
    }

    fn nvmlDeviceGetTotalEccErrors(
        handle: nvmlDevice_t,
        kind: nvmlMemoryErrorType_t,
        _scope: nvmlEccCounterType_t,
        to: *mut c_ulonglong,
    ) {
        put(to, number(NAME, handle, if kind == 0 { "ecc.corrected" } else { "ecc.uncorrected" })?)
    }

    fn nvmlDeviceGetMemoryErrorCounter(
        handle: nvmlDevice_t,
        kind: nvmlMemoryErrorType_t,
        _scope: nvmlEccCounterType_t,
        location: nvmlMemoryLocation_t,
        to: *mut c_ulonglong,
    ) {
        let all = number(NAME, handle, if kind == 0 { "ecc.corrected" } else { "ecc.uncorrected" })?;
        // All of them have happened in the device memory; the other places of this card keep no count of their own.
        if location == 2 { put(to, all) } else { Err(NOT_SUPPORTED) }
    }

    fn nvmlDeviceGetRetiredPages(
        handle: nvmlDevice_t,
        cause: nvmlPageRetirementCause_t,
        count: *mut c_uint,
        to: *mut c_ulonglong,
    ) {
        let key = if cause == 0 { "pages.single" } else { "pages.double" };
        let pages = number(NAME, handle, key)?;
        let list: Vec<c_ulonglong> = (0..pages).map(|n| 0x10_0000 + n * 0x1000).collect();
        crate::answer::put_list(count, to, &list)
    }

    fn nvmlDeviceGetRetiredPagesPendingStatus(handle: nvmlDevice_t, to: *mut nvmlEnableState_t) {
        figure(NAME, handle, "pages.pending", to)
    }

    fn nvmlDeviceGetCurrPcieLinkGeneration(handle: nvmlDevice_t, to: *mut c_uint) {
        figure(NAME, handle, "pcie.generation", to)
    }

    fn nvmlDeviceGetCurrPcieLinkWidth(handle: nvmlDevice_t, to: *mut c_uint) {
        figure(NAME, handle, "pcie.width", to)
    }

    fn nvmlDeviceGetPcieReplayCounter(handle: nvmlDevice_t, to: *mut c_uint) {
        figure(NAME, handle, "pcie.replay", to)
    }

    fn nvmlDeviceGetNvLinkState(handle: nvmlDevice_t, link: c_uint, to: *mut nvmlEnableState_t) {
        let card = card(NAME, handle)?;
        if u64::from(link) >= card.number("nvlink.links").ok_or(NOT_SUPPORTED)? {
            return Err(INVALID);
        }
        put(to, u32::from(card.text(&format!("nvlink.down.{link}")).is_none()))
    }

    fn nvmlDeviceGetNvLinkRemotePciInfo_v2(handle: nvmlDevice_t, link: c_uint, to: *mut nvmlPciInfo_t) {
        let card = card(NAME, handle)?;
        let bus_id = card.text(&format!("nvlink.remote.{link}")).ok_or(NOT_SUPPORTED)?;
        let mut info = nvmlPciInfo_t { busIdLegacy: [0; 16], domain: 0, bus: 0, device: 0, pciDeviceId: 0,
            pciSubSystemId: 0, busId: [0; 32] };
        put_text(info.busId.as_mut_ptr(), 32, bus_id)?;
        put(to, info)
    }

    fn nvmlDeviceGetTopologyCommonAncestor(handle: nvmlDevice_t, other: nvmlDevice_t, to: *mut nvmlGpuTopologyLevel_t) {
        let Place::Card(other) = place(other)? else { return Err(INVALID) };
        let card = card(NAME, handle)?;
        let level = match card.text(&format!("way.{other}")).ok_or(NOT_SUPPORTED)? {
            "board" => nvmlGpuLevel_enum_NVML_TOPOLOGY_INTERNAL,
            "switch" => nvmlGpuLevel_enum_NVML_TOPOLOGY_SINGLE,
            "switches" => nvmlGpuLevel_enum_NVML_TOPOLOGY_MULTIPLE,
            "bridge" => nvmlGpuLevel_enum_NVML_TOPOLOGY_HOSTBRIDGE,
            "node" => nvmlGpuLevel_enum_NVML_TOPOLOGY_NODE,
            _ => nvmlGpuLevel_enum_NVML_TOPOLOGY_SYSTEM,
        };
        put(to, level)
    }
}
