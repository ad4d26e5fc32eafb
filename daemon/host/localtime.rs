//! Wall time as the clock on the wall shows it: the C library knows the time zones.

use reeve_core::Wall;

/// A calendar date and time with its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Year.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 is Sunday.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// `CET`.
    pub zone: String,
}

/// What the clock on the wall shows at `at`; `None` for a year the C library cannot hold.
pub fn local(at: Wall) -> Option<Local> {
    let seconds = libc::time_t::try_from(at.0 / 1_000_000).ok()?;
    // SAFETY: `tm` is a plain C struct of integers and a pointer; all zeroes is a valid value of it.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call; localtime_r writes only `tm`.
    if unsafe { libc::localtime_r(&seconds, &mut tm) }.is_null() {
        return None;
    }
    let zone = if tm.tm_zone.is_null() {
        String::new()
    } else {
        // SAFETY: after a successful localtime_r tm_zone points to a NUL-terminated name that lives as long as the
        // process does (it is never freed, only replaced by tzset).
        unsafe { std::ffi::CStr::from_ptr(tm.tm_zone) }.to_string_lossy().into_owned()
    };
    let small = |n: libc::c_int| u8::try_from(n).unwrap_or(0);
    Some(Local {
        year: tm.tm_year + 1900,
        month: small(tm.tm_mon + 1),
        day: small(tm.tm_mday),
        weekday: small(tm.tm_wday),
        hour: small(tm.tm_hour),
        minute: small(tm.tm_min),
        second: small(tm.tm_sec),
        zone,
    })
}
