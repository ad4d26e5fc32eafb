//! Times, spans and sizes as systemd writes them for people, and as programs want them.

use super::style::Style;
use crate::host::localtime::Local;
use reeve_core::Wall;
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const MONTH: u64 = 2_629_800;
const YEAR: u64 = 31_557_600;

/// `5min 3s ago`, `2 days ago`, `now`; `5min left` for the future.
pub fn relative(at: Wall, now: Wall) -> String {
    if at.0 > now.0 {
        return format!("{} left", apart(at.0 - now.0));
    }
    match now.0 - at.0 {
        0..1_000_000 => "now".to_owned(),
        usec => format!("{} ago", apart(usec)),
    }
}

/// The size of a distance in time, coarser the longer it is.
fn apart(usec: u64) -> String {
    let s = usec / 1_000_000;
    let two = |big: u64, big_name: &str, small: u64, small_name: &str| {
        let rest = s % big / small;
        let head = format!("{} {big_name}{}", s / big, plural(s / big));
        if rest == 0 { head } else { format!("{head} {rest} {small_name}{}", plural(rest)) }
    };
    match s {
        s if s >= YEAR => two(YEAR, "year", MONTH, "month"),
        s if s >= MONTH => two(MONTH, "month", DAY, "day"),
        s if s >= WEEK => two(WEEK, "week", DAY, "day"),
        s if s >= 2 * DAY => format!("{} days", s / DAY),
        s if s >= DAY + HOUR => format!("1 day {}h", (s - DAY) / HOUR),
        s if s >= DAY => "1 day".to_owned(),
        s if s >= 6 * HOUR => format!("{}h", s / HOUR),
        s if s >= HOUR => match s % HOUR / MINUTE {
            0 => format!("{}h", s / HOUR),
            m => format!("{}h {m}min", s / HOUR),
        },
        s if s >= 5 * MINUTE => format!("{}min", s / MINUTE),
        s if s >= MINUTE => match s % MINUTE {
            0 => format!("{}min", s / MINUTE),
            r => format!("{}min {r}s", s / MINUTE),
        },
        0 => format!("{}ms", usec / 1000),
        s => format!("{s}s"),
    }
}

/// For narrow columns: only the largest unit, without "ago".
pub fn short(at: Wall, now: Wall) -> String {
    let s = now.0.saturating_sub(at.0) / 1_000_000;
    match s {
        s if s >= YEAR => format!("{}y", s / YEAR),
        s if s >= 2 * DAY => format!("{}d", s / DAY),
        s if s >= 2 * HOUR => format!("{}h", s / HOUR),
        s if s >= 2 * MINUTE => format!("{}min", s / MINUTE),
        s => format!("{s}s"),
    }
}

fn plural(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// `1min 3.200s` as systemd writes a span: `350ms`, `1.250s`, `2h 5min`, `3 days 4h`.
pub fn span(d: Duration) -> String {
    let s = d.as_secs();
    if s == 0 {
        return match (d.as_millis(), d.as_micros()) {
            (0, 0) => "0".to_owned(),
            (0, us) => format!("{us}us"),
            (ms, _) => format!("{ms}ms"),
        };
    }
    if s < MINUTE {
        return match d.subsec_millis() {
            0 => format!("{s}s"),
            ms => format!("{s}.{ms:03}s"),
        };
    }
    let parts = [
        (s / DAY, if s / DAY == 1 { " day" } else { " days" }, s % DAY / HOUR, "h"),
        (s / HOUR, "h", s % HOUR / MINUTE, "min"),
        (s / MINUTE, "min", s % MINUTE, "s"),
    ];
    parts.into_iter().find(|(big, ..)| *big > 0).map_or_else(
        String::new,
        |(big, unit, small, small_unit)| match small {
            0 => format!("{big}{unit}"),
            small => format!("{big}{unit} {small}{small_unit}"),
        },
    )
}

/// `1.2G`: binary units, one digit after the point, as systemd writes sizes.
pub fn bytes(n: u64) -> String {
    const UNITS: [(u64, &str); 5] = [(1 << 50, "P"), (1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    UNITS.iter().find(|(size, _)| n >= *size).map_or_else(
        || format!("{n}B"),
        |(size, unit)| {
            let tenth = (n % size) * 10 / size;
            format!("{}.{tenth}{unit}", n / size)
        },
    )
}

/// `Sat 2026-11-21 01:12:03 CET`.
pub fn stamp(at: Wall, style: &Style) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    (style.zone)(at).map_or_else(
        || rfc3339(at),
        |l| {
            let day = DAYS.get(usize::from(l.weekday)).unwrap_or(&"???");
            format!(
                "{day} {:04}-{:02}-{:02} {:02}:{:02}:{:02} {}",
                l.year, l.month, l.day, l.hour, l.minute, l.second, l.zone
            )
            .trim_end()
            .to_owned()
        },
    )
}

/// `Nov 21 01:12:03`: for the head of a line.
pub fn brief(at: Wall, style: &Style) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    (style.zone)(at).map_or_else(
        || rfc3339(at),
        |l| {
            let month = usize::from(l.month).checked_sub(1);
            let month = month.and_then(|m| MONTHS.get(m)).unwrap_or(&"???");
            format!("{month} {:02} {:02}:{:02}:{:02}", l.day, l.hour, l.minute, l.second)
        },
    )
}

/// `2026-11-21T01:12:03.000456Z`: always UTC, always microseconds.
pub fn rfc3339(at: Wall) -> String {
    let l = utc_parts(at);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        l.year,
        l.month,
        l.day,
        l.hour,
        l.minute,
        l.second,
        at.0 % 1_000_000
    )
}

/// A date and time in UTC, by the proleptic Gregorian calendar.
pub fn utc_parts(at: Wall) -> Local {
    let s = at.0 / 1_000_000;
    let (days, clock) = (s / DAY, s % DAY);
    // Years counted from March put the leap day last; an era is 400 years of 146097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let small = |n: u64| u8::try_from(n).unwrap_or(0);
    Local {
        year: i32::try_from(year).unwrap_or(i32::MAX),
        month: small(month),
        day: small(day),
        weekday: small((days + 4) % 7),
        hour: small(clock / HOUR),
        minute: small(clock % HOUR / MINUTE),
        second: small(clock % MINUTE),
        zone: "UTC".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall(1_795_223_523_000_456);

    fn ago(seconds: u64) -> String {
        relative(Wall(NOW.0 - seconds * 1_000_000), NOW)
    }

    #[test]
    fn distances_get_coarser() {
        let cases = [
            (0, "now"),
            (5, "5s ago"),
            (63, "1min 3s ago"),
            (303, "5min ago"),
            (7_500, "2h 5min ago"),
            (25_000, "6h ago"),
            (86_400, "1 day ago"),
            (100_000, "1 day 3h ago"),
            (200_000, "2 days ago"),
            (700_000, "1 week 1 day ago"),
            (40_000_000, "1 year 3 months ago"),
        ];
        for (seconds, text) in cases {
            assert_eq!(ago(seconds), text);
        }
        assert_eq!(relative(Wall(NOW.0 + 90_000_000), NOW), "1min 30s left");
    }

    #[test]
    fn spans_and_sizes() {
        for (ms, text) in [
            (0, "0"),
            (350, "350ms"),
            (1_250, "1.250s"),
            (63_200, "1min 3s"),
            (7_500_000, "2h 5min"),
            (273_600_000, "3 days 4h"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
        for (n, text) in
            [(0, "0B"), (1023, "1023B"), (1 << 20, "1.0M"), (1_288_490_188, "1.1G"), (u64::MAX, "16383.9P")]
        {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn dates_are_right() {
        assert_eq!(rfc3339(Wall(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(NOW), "2026-11-21T01:12:03.000456Z");
        assert_eq!(rfc3339(Wall(951_782_400_000_000)), "2000-02-29T00:00:00.000000Z");
        assert_eq!(rfc3339(Wall(4_107_542_399_000_000)), "2100-02-28T23:59:59.000000Z");
        let style = crate::ctl::fixtures::style();
        assert_eq!(stamp(NOW, &style), "Sat 2026-11-21 01:12:03 UTC");
        assert_eq!(brief(NOW, &style), "Nov 21 01:12:03");
    }
}
