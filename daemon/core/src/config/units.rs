//! Durations, sizes, CPUs and rates in systemd's spelling (systemd.time(7)), read and written.
//!
//! Reading what was written gives the same figure: `parse(render(x)) = x`. Errors are fragments that say what was
//! expected; the caller adds file and key.

use super::types::{Rate, Share};
use std::time::Duration;

/// Longest span that is accepted: a hundred years. Deadlines never overflow.
const LONGEST_MICROS: u128 = 100 * 31_557_600 * 1_000_000;

/// Units of time and their microseconds.
const TIME_UNITS: &[(&[&str], u128)] = &[
    (&["us", "µs", "μs", "usec"], 1),
    (&["ms", "msec"], 1_000),
    (&["s", "sec", "second", "seconds"], 1_000_000),
    (&["m", "min", "minute", "minutes"], 60_000_000),
    (&["h", "hr", "hour", "hours"], 3_600_000_000),
    (&["d", "day", "days"], 86_400_000_000),
    (&["w", "week", "weeks"], 604_800_000_000),
    (&["M", "month", "months"], 2_629_800_000_000),
    (&["y", "year", "years"], 31_557_600_000_000),
];

/// What a duration looks like, for messages.
pub const DURATION_EXPECTED: &str = r#"a duration such as "30s", "500ms" or "1h 30min""#;
/// What a size looks like, for messages.
pub const SIZE_EXPECTED: &str = r#"a size such as "512M", "8G" or "8Gi" (all to the base 1024)"#;
/// What a number of CPUs looks like, for messages.
pub const CPU_EXPECTED: &str = r#"a number of CPUs such as 2, 0.5 or "200%""#;
/// What a rate looks like, for messages.
pub const RATE_EXPECTED: &str = r#"a rate such as "20/s", "3/min" or "3/h""#;

/// Reads a duration: numbers with units, added up; a bare number is seconds, as in systemd.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let fail = || format!("expected {DURATION_EXPECTED}, found {text:?}");
    if text.trim().eq_ignore_ascii_case("infinity") {
        return Err(format!(
            "expected {DURATION_EXPECTED}; \"infinity\" is not accepted, since everything Reeve waits for must end"
        ));
    }
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(fail());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (number, after) = take_number(rest).ok_or_else(fail)?;
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let micros = if unit.is_empty() {
            1_000_000
        } else {
            TIME_UNITS
                .iter()
                .find(|(names, _)| names.contains(&unit))
                .map(|(_, micros)| *micros)
                .ok_or_else(|| format!("{unit:?} is not a unit of time; expected {DURATION_EXPECTED}"))?
        };
        total = number
            .times(micros)
            .and_then(|part| total.checked_add(part))
            .filter(|sum| *sum <= LONGEST_MICROS)
            .ok_or_else(|| format!("{text:?} is longer than 100 years"))?;
        rest = next.trim_start();
    }
    u64::try_from(total).map(Duration::from_micros).map_err(|_| fail())
}

/// Writes a duration the way systemd prints it: `1h 30min`, `500ms`, `0s`. Below a microsecond is cut off.
pub fn render_duration(duration: Duration) -> String {
    const STEPS: &[(&str, u128)] = &[
        ("w", 604_800_000_000),
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("min", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1_000),
        ("us", 1),
    ];
    let mut rest = duration.as_micros();
    let mut parts = Vec::new();
    for (unit, micros) in STEPS {
        if rest >= *micros {
            parts.push(format!("{}{unit}", rest / micros));
            rest %= micros;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// Reads a size in bytes; suffixes are to the base 1024, with or without `i` and `B`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let fail = || format!("expected {SIZE_EXPECTED}, found {text:?}");
    if text.trim().eq_ignore_ascii_case("infinity") {
        return Err(format!("expected {SIZE_EXPECTED}; leave the key out for no limit instead of \"infinity\""));
    }
    let (number, suffix) = take_number(text.trim()).ok_or_else(fail)?;
    let suffix = suffix.trim();
    let letter = match suffix.strip_suffix('B').unwrap_or(suffix) {
        "" => {
            return number.times(1).and_then(|n| u64::try_from(n).ok()).ok_or_else(fail);
        }
        other => other.strip_suffix('i').unwrap_or(other),
    };
    let power = ["K", "M", "G", "T", "P", "E"].iter().position(|s| s.eq_ignore_ascii_case(letter)).ok_or_else(fail)?;
    number
        .times(1u128 << (10 * (power + 1)))
        .and_then(|n| u64::try_from(n).ok())
        .ok_or_else(|| format!("{text:?} is larger than 16 EiB"))
}

/// Writes a size with the largest suffix that keeps it exact: `8G`, `1536M`, `1000`.
pub fn render_size(bytes: u64) -> String {
    for (power, suffix) in ["E", "P", "T", "G", "M", "K"].iter().enumerate() {
        let unit = 1u64 << (10 * (6 - power));
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{suffix}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// Reads a number of CPUs as hundredths of one: `2` and `200%` are both 200.
pub fn parse_cpu(text: &str) -> Result<u64, String> {
    let fail = || format!("expected {CPU_EXPECTED}, found {text:?}");
    let trimmed = text.trim();
    let (figure, scale) = match trimmed.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 1),
        None => (trimmed, 100),
    };
    let (number, rest) = take_number(figure).ok_or_else(fail)?;
    if !rest.is_empty() {
        return Err(fail());
    }
    number.times(scale).filter(|n| (1..=10_000_000).contains(n)).and_then(|n| u64::try_from(n).ok()).ok_or_else(fail)
}

/// Writes hundredths of a CPU as CPUs: `2`, `0.5`.
pub fn render_cpu(hundredths: u64) -> String {
    match (hundredths / 100, hundredths % 100) {
        (whole, 0) => whole.to_string(),
        (whole, part) => format!("{whole}.{part:02}").trim_end_matches('0').to_owned(),
    }
}

/// Reads a rate: `20/s`, `3/min`, `3/h`.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    let fail = || format!("expected {RATE_EXPECTED}, found {text:?}");
    let (count, unit) = text.split_once('/').ok_or_else(fail)?;
    let count: u32 = count.trim().parse().map_err(|_| fail())?;
    let unit = unit.trim();
    let per = TIME_UNITS
        .iter()
        .find(|(names, _)| names.contains(&unit))
        .and_then(|(_, micros)| u64::try_from(*micros).ok())
        .map(Duration::from_micros)
        .ok_or_else(fail)?;
    if count == 0 {
        return Err(format!(
            "expected {RATE_EXPECTED}; a rate of 0 would never let anything start, write \"off\" for no limit"
        ));
    }
    Ok(Rate { count, per })
}

/// Writes a rate.
pub fn render_rate(rate: Rate) -> String {
    let per = render_duration(rate.per);
    let unit = per.strip_prefix('1').filter(|u| !u.starts_with(|c: char| c.is_ascii_digit()));
    format!("{}/{}", rate.count, unit.unwrap_or(&per))
}

/// Reads a share of the host, `80%`; anything else is read by `absolute`.
pub fn parse_share(text: &str, absolute: impl FnOnce(&str) -> Result<u64, String>) -> Result<Share, String> {
    let Some(percent) = text.trim().strip_suffix('%') else {
        return absolute(text).map(Share::Absolute);
    };
    let percent: f64 =
        percent.trim().parse().map_err(|_| format!("expected a share of the host such as \"80%\", found {text:?}"))?;
    if percent > 0.0 && percent <= 100.0 {
        Ok(Share::Percent(percent))
    } else {
        Err(format!("expected a share of the whole host above 0% and up to 100%, found {text:?}"))
    }
}

/// A decimal number without rounding: digits and how many of them stand behind the point.
struct Decimal {
    digits: u128,
    scale: u32,
}

impl Decimal {
    /// The number times a unit, cut off to a whole; `None` when it overflows.
    fn times(&self, unit: u128) -> Option<u128> {
        Some(self.digits.checked_mul(unit)? / 10u128.checked_pow(self.scale)?)
    }
}

/// Splits a decimal number off the front.
fn take_number(text: &str) -> Option<(Decimal, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || number.ends_with('.') {
        return None;
    }
    let fraction = fraction.get(..fraction.len().min(12))?;
    let digits = format!("{whole}{fraction}").parse().ok()?;
    let scale = u32::try_from(fraction.len()).ok()?;
    Some((Decimal { digits, scale }, rest))
}
