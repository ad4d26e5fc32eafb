//! Signal names and their Linux numbers (signal(7), x86 and ARM).

const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];
/// glibc's first and last real-time signal.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Reads `SIGTERM`, `TERM`, `SIGRTMIN+3` or a number.
pub fn parse_signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let name = text.strip_prefix("SIG").unwrap_or(text);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        let offset: i32 = match offset {
            "" => 0,
            other => other.strip_prefix('+')?.parse().ok()?,
        };
        return (0..=RTMAX - RTMIN).contains(&offset).then(|| RTMIN + offset);
    }
    NAMES.iter().find(|(n, _)| *n == name).map(|(_, number)| *number)
}

/// Writes a signal: `SIGTERM`, `SIGRTMIN+3`.
pub fn render_signal(number: i32) -> String {
    if (RTMIN..=RTMAX).contains(&number) {
        return format!("SIGRTMIN+{}", number - RTMIN);
    }
    NAMES.iter().find(|(_, n)| *n == number).map_or_else(|| number.to_string(), |(name, _)| format!("SIG{name}"))
}

/// Names for a suggestion.
pub(super) fn names() -> impl Iterator<Item = String> {
    NAMES.iter().map(|(name, _)| format!("SIG{name}"))
}
