//! XIDs: `0.event.1 = 79`. Each number is delivered once to each set that was made before it came.

use crate::answer::{INVALID, Place, card, handle, put, symbols, system};
use crate::state;
use nvml_wrapper_sys::bindings::*;
use std::collections::BTreeSet;
use std::ffi::{c_uint, c_ulonglong};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(5);

/// What a handle of a set points to.
#[derive(Debug, Default)]
struct Set(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cards: BTreeSet<usize>,
    /// Card and number of what was delivered, or was there before the card was registered.
    known: BTreeSet<(usize, u64)>,
}

fn with<T>(set: nvmlEventSet_t, look: impl FnOnce(&mut Inner) -> T) -> Result<T, nvmlReturn_t> {
    if set.is_null() {
        return Err(INVALID);
    }
    // SAFETY: it came from nvmlEventSetCreate and has not been freed.
    let set = unsafe { &*set.cast::<Set>() };
    Ok(look(&mut set.0.lock().unwrap_or_else(PoisonError::into_inner)))
}

symbols! {
    fn nvmlEventSetCreate(to: *mut nvmlEventSet_t) {
        system(NAME)?;
        put(to, Box::into_raw(Box::new(Set::default())).cast())
    }

    fn nvmlEventSetFree(set: nvmlEventSet_t) {
        if set.is_null() {
            return Err(INVALID);
        }
        // SAFETY: it came from nvmlEventSetCreate, and by the contract of NVML is freed once.
        drop(unsafe { Box::from_raw(set.cast::<Set>()) });
        Ok(())
    }

    fn nvmlDeviceGetSupportedEventTypes(handle: nvmlDevice_t, to: *mut c_ulonglong) {
        card(NAME, handle)?;
        put(to, c_ulonglong::from(nvmlEventTypeXidCriticalError))
    }

    fn nvmlDeviceRegisterEvents(handle: nvmlDevice_t, _types: c_ulonglong, set: nvmlEventSet_t) {
        let card = card(NAME, handle)?;
        with(set, |inner| {
            inner.cards.insert(card.number);
            inner.known.extend(card.list("event").into_iter().map(|(n, _)| (card.number, n)));
        })
    }

    fn nvmlEventSetWait_v2(set: nvmlEventSet_t, to: *mut nvmlEventData_t, timeout: c_uint) {
        let end = Instant::now() + Duration::from_millis(u64::from(timeout));
        loop {
            let state = system(NAME)?;
            let next = with(set, |inner| {
                let cards = state.cards.iter().filter(|c| inner.cards.contains(&c.number));
                let events = cards.flat_map(|c| c.list("event").into_iter().map(|(n, xid)| (c.number, n, xid)));
                let next = events.filter(|(card, n, _)| !inner.known.contains(&(*card, *n))).min_by_key(|e| e.1);
                let (card, number, xid) = next?;
                inner.known.insert((card, number));
                Some((card, xid.parse().unwrap_or(0)))
            })?;
            if let Some((card, xid)) = next {
                return put(to, nvmlEventData_t { device: handle(Place::Card(card)),
                    eventType: c_ulonglong::from(nvmlEventTypeXidCriticalError), eventData: xid,
                    gpuInstanceId: u32::MAX, computeInstanceId: u32::MAX });
            }
            if Instant::now() >= end {
                return Err(nvmlReturn_enum_NVML_ERROR_TIMEOUT);
            }
            std::thread::sleep(if state::fixed() { end - Instant::now() } else { LOOK });
        }
    }
}
