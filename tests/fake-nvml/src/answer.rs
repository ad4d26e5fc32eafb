//! How each call answers: delays and hangs first, then what is wrong with driver and card, then the value.

use crate::state::{self, Card, State};
use nvml_wrapper_sys::bindings::*;
use std::collections::BTreeSet;
use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub type Answer<T> = Result<T, nvmlReturn_t>;

pub const NOT_SUPPORTED: nvmlReturn_t = nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED;
pub const INVALID: nvmlReturn_t = nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT;

/// Between two looks at the file while a call hangs.
const LOOK: Duration = Duration::from_millis(10);

static READY: AtomicBool = AtomicBool::new(false);
/// Cards that have been lost: they stay so until the library is initialised again.
static TRIPPED: Mutex<BTreeSet<(usize, nvmlReturn_t)>> = Mutex::new(BTreeSet::new());

/// What a handle stands for.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// A card by its number.
    Card(usize),
    /// A slice of it, by the number of the slice.
    Slice(usize, u64),
}

/// A handle. Never a real address: only ever compared and given back.
pub fn handle(place: Place) -> nvmlDevice_t {
    let number = match place {
        Place::Card(card) => 0x1000 + card * 0x100,
        Place::Slice(card, slice) => 0x1000 + card * 0x100 + 1 + usize::try_from(slice).unwrap_or(0xfe),
    };
    std::ptr::without_provenance_mut(number)
}

/// The place a handle stands for.
pub fn place(handle: nvmlDevice_t) -> Answer<Place> {
    let number = handle.addr().checked_sub(0x1000).ok_or(INVALID)?;
    Ok(match (number / 0x100, number % 0x100) {
        (card, 0) => Place::Card(card),
        (card, slice) => Place::Slice(card, slice as u64 - 1),
    })
}

fn code(word: &str) -> nvmlReturn_t {
    match word {
        "not-supported" | "missing" => NOT_SUPPORTED,
        "driver-not-loaded" => nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED,
        "version-mismatch" => nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH,
        "no-permission" => nvmlReturn_enum_NVML_ERROR_NO_PERMISSION,
        "lost" => nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST,
        "reset-required" => nvmlReturn_enum_NVML_ERROR_RESET_REQUIRED,
        "timeout" => nvmlReturn_enum_NVML_ERROR_TIMEOUT,
        "not-found" => nvmlReturn_enum_NVML_ERROR_NOT_FOUND,
        _ => nvmlReturn_enum_NVML_ERROR_UNKNOWN,
    }
}

/// What the file has in store for a call: waits as long as it says, and fails as it says.
fn obey(told: impl Fn(&State) -> Option<String>) -> Answer<Arc<State>> {
    let began = Instant::now();
    loop {
        let state = state::now();
        let wait = match told(&state).as_deref() {
            None | Some("ok") => return Ok(state),
            Some("hang") => Duration::MAX,
            Some(word) => match word.parse() {
                Ok(milliseconds) => Duration::from_millis(milliseconds),
                Err(_) => return Err(code(word)),
            },
        };
        let Some(left) = wait.checked_sub(began.elapsed()) else { return Ok(state) };
        std::thread::sleep(left.min(LOOK));
    }
}

/// The state, for a call that concerns no card.
pub fn system(name: &str) -> Answer<Arc<State>> {
    let state = obey(|s| s.text(&format!("call.{name}")).map(str::to_owned))?;
    if let Some(word) = state.text("driver.state").filter(|w| *w != "ok") {
        return Err(code(word));
    }
    if READY.load(Ordering::SeqCst) { Ok(state) } else { Err(nvmlReturn_enum_NVML_ERROR_UNINITIALIZED) }
}

/// nvmlInit: begins anew, as far as the file lets it.
pub fn init(name: &str) -> Answer<()> {
    let state = obey(|s| s.text(&format!("call.{name}")).map(str::to_owned))?;
    for key in ["init", "driver.state"] {
        if let Some(word) = state.text(key).filter(|w| *w != "ok") {
            return Err(code(word));
        }
    }
    TRIPPED.lock().unwrap_or_else(PoisonError::into_inner).clear();
    READY.store(true, Ordering::SeqCst);
    Ok(())
}

/// nvmlShutdown.
pub fn shutdown() -> Answer<()> {
    if READY.swap(false, Ordering::SeqCst) { Ok(()) } else { Err(nvmlReturn_enum_NVML_ERROR_UNINITIALIZED) }
}

/// A card or a slice, if it is well enough to answer this call.
pub fn device(name: &str, handle: nvmlDevice_t) -> Answer<(Arc<Card>, Option<u64>)> {
    let (number, slice) = match place(handle)? {
        Place::Card(card) => (card, None),
        Place::Slice(card, slice) => (card, Some(slice)),
    };
    system(name)?;
    let key = format!("call.{name}");
    let of = |s: &State| s.cards.iter().find(|c| c.number == number).cloned();
    let state = obey(|s| of(s).and_then(|c| c.text(&key).map(str::to_owned)))?;
    let card = of(&state);
    let mut tripped = TRIPPED.lock().unwrap_or_else(PoisonError::into_inner);
    let sick = match card.as_ref().and_then(|c| c.text("state")) {
        Some("lost" | "fallen-off") => Some(nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST),
        Some("reset-required") => Some(nvmlReturn_enum_NVML_ERROR_RESET_REQUIRED),
        _ if card.is_none() => Some(nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST),
        _ => None,
    };
    if let Some(code) = sick {
        tripped.insert((number, code));
    }
    match tripped.iter().find(|(n, _)| *n == number) {
        Some((_, code)) => Err(*code),
        None => card.map(|c| (c, slice)).ok_or(INVALID),
    }
}

/// A card, for a call that slices do not answer.
pub fn card(name: &str, handle: nvmlDevice_t) -> Answer<Arc<Card>> {
    match device(name, handle)? {
        (card, None) => Ok(card),
        (_, Some(_)) => Err(NOT_SUPPORTED),
    }
}

/// A number of a card.
pub fn number(name: &str, handle: nvmlDevice_t, key: &str) -> Answer<u64> {
    card(name, handle)?.number(key).ok_or(NOT_SUPPORTED)
}

/// Narrowed for the C types; what does not fit is as high as can be.
pub fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Writes an answer where the caller wants it.
pub fn put<T>(to: *mut T, value: T) -> Answer<()> {
    if to.is_null() {
        return Err(INVALID);
    }
    // SAFETY: by the contract of NVML the caller hands in a place for one T; it is not null.
    unsafe { to.write(value) };
    Ok(())
}

/// Reads what the caller has filled in.
pub fn take<T: Copy>(from: *const T) -> Answer<T> {
    if from.is_null() {
        return Err(INVALID);
    }
    // SAFETY: by the contract of NVML the caller hands in one initialised T; it is not null.
    Ok(unsafe { from.read() })
}

/// Writes a text of at most `length` bytes with its end.
pub fn put_text(to: *mut c_char, length: u32, text: &str) -> Answer<()> {
    let room = usize::try_from(length).unwrap_or(0);
    if to.is_null() || text.len() >= room {
        return Err(nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE);
    }
    // SAFETY: the caller hands in `length` bytes, and the text with its end is shorter than that.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast::<c_char>(), to, text.len());
        to.add(text.len()).write(0);
    }
    Ok(())
}

/// Writes a list into room for `*count`, as all of NVML's lists are asked for: too little room tells how much is needed.
pub fn put_list<T: Copy>(count: *mut u32, to: *mut T, list: &[T]) -> Answer<()> {
    let room = take(count)?;
    let needed = u32::try_from(list.len()).unwrap_or(u32::MAX);
    put(count, needed)?;
    if to.is_null() || needed > room {
        return if needed == 0 { Ok(()) } else { Err(nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE) };
    }
    // SAFETY: the caller has room for `room` items, and there are no more than that.
    unsafe { std::ptr::copy_nonoverlapping(list.as_ptr(), to, list.len()) };
    Ok(())
}

/// The return code.
pub fn done(answer: Answer<()>) -> nvmlReturn_t {
    match answer {
        Ok(()) => nvmlReturn_enum_NVML_SUCCESS,
        Err(code) => code,
    }
}

/// Several symbols, each answered by a block that may use `?`.
macro_rules! symbols {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($($arg: $type),*) -> nvml_wrapper_sys::bindings::nvmlReturn_t {
            #[allow(unused, reason = "not every symbol looks at the card")]
            const NAME: &str = stringify!($name);
            let answer = || -> crate::answer::Answer<()> { $body };
            crate::answer::done(answer())
        }
    )*};
}
pub(crate) use symbols;
