//! Process lists: `0.process.1234 = compute 1073741824 gi=7 ci=0`, `0.util.1234 = 40`.

use crate::answer::{Answer, NOT_SUPPORTED, device, put_list, small, symbols};
use crate::state::Card;
use nvml_wrapper_sys::bindings::*;
use std::ffi::{c_uint, c_ulonglong};

/// What NVML writes for a figure or an instance that is not known.
const NONE: u32 = u32::MAX;

fn list(name: &str, handle: nvmlDevice_t, kind: &str) -> Answer<Vec<nvmlProcessInfo_t>> {
    let (card, slice) = device(name, handle)?;
    let mine = slice.and_then(|number| {
        let line = card.list("mig").into_iter().find(|(n, _)| *n == number)?.1;
        part(line, "gi")
    });
    Ok(all(&card, kind).into_iter().filter(|p| mine.is_none_or(|gi| u64::from(p.gpuInstanceId) == gi)).collect())
}

fn all(card: &Card, kind: &str) -> Vec<nvmlProcessInfo_t> {
    let lines = card.list("process").into_iter().filter(|(_, line)| line.starts_with(kind));
    lines
        .map(|(pid, line)| nvmlProcessInfo_t {
            pid: small(pid),
            usedGpuMemory: line.split_whitespace().nth(1).and_then(|m| m.parse().ok()).unwrap_or(c_ulonglong::MAX),
            gpuInstanceId: part(line, "gi").map_or(NONE, small),
            computeInstanceId: part(line, "ci").map_or(NONE, small),
        })
        .collect()
}

fn part(line: &str, key: &str) -> Option<u64> {
    line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
}

symbols! {
    fn nvmlDeviceGetComputeRunningProcesses_v3(handle: nvmlDevice_t, count: *mut c_uint, to: *mut nvmlProcessInfo_t) {
        put_list(count, to, &list(NAME, handle, "compute")?)
    }

    fn nvmlDeviceGetGraphicsRunningProcesses_v3(handle: nvmlDevice_t, count: *mut c_uint, to: *mut nvmlProcessInfo_t) {
        put_list(count, to, &list(NAME, handle, "graphics")?)
    }

    fn nvmlDeviceGetProcessUtilization(
        handle: nvmlDevice_t,
        to: *mut nvmlProcessUtilizationSample_t,
        count: *mut c_uint,
        since: c_ulonglong,
    ) {
        let (card, None) = device(NAME, handle)? else { return Err(NOT_SUPPORTED) };
        let samples: Vec<_> = card.list("util").into_iter().filter_map(|(pid, share)| {
            Some(nvmlProcessUtilizationSample_t { pid: small(pid), timeStamp: since + 1,
                smUtil: share.parse().ok()?, memUtil: 0, encUtil: 0, decUtil: 0 })
        }).collect();
        if samples.is_empty() {
            return Err(nvmlReturn_enum_NVML_ERROR_NOT_FOUND);
        }
        put_list(count, to, &samples)
    }
}
