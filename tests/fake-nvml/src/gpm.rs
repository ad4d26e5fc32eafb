//! Performance samples of Hopper and later: a sample is a ticket, and the figures come from the file.

use crate::answer::{INVALID, NOT_SUPPORTED, card, number, put, symbols, take};
use nvml_wrapper_sys::bindings::*;
use std::ffi::c_uint;

/// A ticket, not yet filled.
const EMPTY: usize = 0x1;

symbols! {
    fn nvmlGpmQueryDeviceSupport(handle: nvmlDevice_t, to: *mut nvmlGpmSupport_t) {
        let supported = u32::from(number(NAME, handle, "gpm")? == 1);
        let asked = take(to)?;
        put(to, nvmlGpmSupport_t { isSupportedDevice: supported, ..asked })
    }

    fn nvmlGpmSampleAlloc(to: *mut nvmlGpmSample_t) {
        crate::answer::system(NAME)?;
        let ticket = Box::into_raw(Box::new(EMPTY));
        put(to, ticket.cast())
    }

    fn nvmlGpmSampleFree(sample: nvmlGpmSample_t) {
        if sample.is_null() {
            return Err(INVALID);
        }
        // SAFETY: it came from nvmlGpmSampleAlloc, and by the contract of NVML is freed once.
        drop(unsafe { Box::from_raw(sample.cast::<usize>()) });
        Ok(())
    }

    fn nvmlGpmSampleGet(handle: nvmlDevice_t, sample: nvmlGpmSample_t) {
        if number(NAME, handle, "gpm")? != 1 {
            return Err(NOT_SUPPORTED);
        }
        put(sample.cast::<usize>(), handle.addr())
    }

    fn nvmlGpmMigSampleGet(handle: nvmlDevice_t, _instance: c_uint, sample: nvmlGpmSample_t) {
        if number(NAME, handle, "gpm")? != 1 {
            return Err(NOT_SUPPORTED);
        }
        put(sample.cast::<usize>(), handle.addr())
    }

    fn nvmlGpmMetricsGet(request: *mut nvmlGpmMetricsGet_t) {
        if request.is_null() {
            return Err(INVALID);
        }
        // SAFETY: by the contract of NVML it is one initialised request, ours until we return; it is not null.
        let request = unsafe { &mut *request };
        let ticket = take(request.sample2.cast::<usize>())?;
        if ticket == EMPTY {
            return Err(INVALID);
        }
        let card = card(NAME, std::ptr::without_provenance_mut(ticket))?;
        let count = usize::try_from(request.numMetrics).unwrap_or(0);
        for metric in request.metrics.iter_mut().take(count) {
            let value = card.text(&format!("gpm.{}", metric.metricId)).and_then(|v| v.parse().ok());
            metric.nvmlReturn = if value.is_some() { nvmlReturn_enum_NVML_SUCCESS } else { NOT_SUPPORTED };
            metric.value = value.unwrap_or(0.0);
        }
        Ok(())
    }
}
