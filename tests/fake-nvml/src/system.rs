//! Init, shutdown, versions and handles.

use crate::answer::{INVALID, Place, card, handle, init, put, put_text, shutdown, small, symbols, system};
use nvml_wrapper_sys::bindings::*;
use std::ffi::{CStr, c_char, c_int, c_uint};

symbols! {
    fn nvmlInit_v2() {
        init(NAME)
    }

    fn nvmlShutdown() {
        shutdown()
    }

    fn nvmlSystemGetDriverVersion(to: *mut c_char, length: c_uint) {
        put_text(to, length, system(NAME)?.text("driver").unwrap_or_default())
    }

    fn nvmlSystemGetNVMLVersion(to: *mut c_char, length: c_uint) {
        put_text(to, length, system(NAME)?.text("nvml").unwrap_or_default())
    }

    fn nvmlSystemGetCudaDriverVersion_v2(to: *mut c_int) {
        let version = system(NAME)?.text("cuda").and_then(|v| v.parse().ok()).unwrap_or(0);
        put(to, version)
    }

    fn nvmlDeviceGetCount_v2(to: *mut c_uint) {
        put(to, u32::try_from(system(NAME)?.cards.len()).unwrap_or(0))
    }

    fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, to: *mut nvmlDevice_t) {
        let state = system(NAME)?;
        let found = state.cards.get(usize::try_from(index).unwrap_or(usize::MAX)).ok_or(INVALID)?;
        // A card that is off the bus when the library begins cannot be opened.
        let opened = handle(Place::Card(found.number));
        card(NAME, opened)?;
        put(to, opened)
    }

    fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, to: *mut nvmlDevice_t) {
        if uuid.is_null() {
            return Err(INVALID);
        }
        // SAFETY: by the contract of NVML it is a text with an end; it is not null.
        let wanted = unsafe { CStr::from_ptr(uuid) }.to_string_lossy().into_owned();
        let state = system(NAME)?;
        let found = state.cards.iter().find(|c| c.text("uuid") == Some(&*wanted));
        put(to, handle(Place::Card(found.ok_or(nvmlReturn_enum_NVML_ERROR_NOT_FOUND)?.number)))
    }

    fn nvmlDeviceGetIndex(device: nvmlDevice_t, to: *mut c_uint) {
        let number = card(NAME, device)?.number;
        let at = system(NAME)?.cards.iter().position(|c| c.number == number).ok_or(INVALID)?;
        put(to, small(at as u64))
    }
}
