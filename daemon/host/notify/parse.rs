//! Reading sd_notify messages (sd_notify(3)): pure, one datagram in, one [`Notification`] out.

use reeve_core::{Notification, Wall};
use std::time::Duration;

/// Texts of workers are cut here: they end up in listings and labels of a whole node.
const TEXT_MAX: usize = 256;

/// What a datagram was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// It says something Reeve cares for.
    Says(Box<Notification>),
    /// Well-formed, but nothing for us: BARRIER=1, FDSTORE=1 …
    Nothing,
    /// Not a notification.
    Garbage,
}

/// Reads one datagram. Lines that are not understood are passed over, as systemd does.
pub fn parse(datagram: &[u8]) -> Message {
    let end = datagram.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    let Ok(text) = std::str::from_utf8(&datagram[..end]) else {
        return Message::Garbage;
    };
    if text.contains('\0') {
        return Message::Garbage;
    }
    let mut says = Notification::default();
    let mut understood = false;
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        understood |= !key.is_empty() && key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        read(&mut says, key, value);
    }
    if says != Notification::default() {
        Message::Says(Box::new(says))
    } else if understood {
        Message::Nothing
    } else {
        Message::Garbage
    }
}

fn read(says: &mut Notification, key: &str, value: &str) {
    match key {
        "READY" => says.ready |= value == "1",
        "STOPPING" => says.stopping |= value == "1",
        "WATCHDOG" => match value {
            "1" => says.watchdog = true,
            "trigger" => says.watchdog_trigger = true,
            _ => {}
        },
        "STATUS" => says.status = Some(clean(value)),
        "MAINPID" => says.main_pid = value.parse().ok().filter(|pid| *pid > 1),
        "EXTEND_TIMEOUT_USEC" => {
            says.extend_timeout = value.parse().ok().map(Duration::from_micros);
        }
        "ERRNO" => says.errno = value.parse().ok(),
        "X_REEVE_PROGRESS" => says.progress = Some(clean(value)),
        "X_REEVE_ACTIVE_TASKS" => says.active_tasks = value.parse().ok(),
        "X_REEVE_RETRY_AT_USEC" => says.retry_at = value.parse().ok().map(Wall),
        _ => {}
    }
}

/// Without control characters (they would reach terminals), and short.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX).collect()
}

/// Adds a later message to an earlier one, so that a flood costs one event. `false`: their order matters, keep both.
pub fn merge(earlier: &mut Notification, later: &Notification) -> bool {
    if earlier.stopping != later.stopping && (earlier.ready || later.ready) {
        return false;
    }
    earlier.ready |= later.ready;
    earlier.stopping |= later.stopping;
    earlier.watchdog |= later.watchdog;
    earlier.watchdog_trigger |= later.watchdog_trigger;
    fn newer<T: Clone>(to: &mut Option<T>, from: &Option<T>) {
        if from.is_some() {
            to.clone_from(from);
        }
    }
    newer(&mut earlier.status, &later.status);
    newer(&mut earlier.main_pid, &later.main_pid);
    newer(&mut earlier.extend_timeout, &later.extend_timeout);
    newer(&mut earlier.errno, &later.errno);
    newer(&mut earlier.progress, &later.progress);
    newer(&mut earlier.active_tasks, &later.active_tasks);
    newer(&mut earlier.retry_at, &later.retry_at);
    true
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn says(datagram: &[u8]) -> Notification {
        match parse(datagram) {
            Message::Says(n) => *n,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_key_is_read() {
        let text = "READY=1\nSTATUS=busy\nWATCHDOG=1\nSTOPPING=1\nMAINPID=42\nEXTEND_TIMEOUT_USEC=1500000\nERRNO=2\n\
                    X_REEVE_PROGRESS=17/20\nX_REEVE_ACTIVE_TASKS=3\nX_REEVE_RETRY_AT_USEC=99\nX_OTHER=1\n";
        let expected = Notification {
            ready: true,
            stopping: true,
            watchdog: true,
            watchdog_trigger: false,
            status: Some("busy".to_owned()),
            main_pid: Some(42),
            extend_timeout: Some(Duration::from_millis(1500)),
            errno: Some(2),
            progress: Some("17/20".to_owned()),
            active_tasks: Some(3),
            retry_at: Some(Wall(99)),
        };
        assert_eq!(says(text.as_bytes()), expected);
        assert!(says(b"WATCHDOG=trigger").watchdog_trigger);
    }

    #[test]
    fn odd_messages_are_told_apart() {
        assert!(says(b"READY=1\0\0").ready);
        assert!(says(b"nonsense\nREADY=1").ready);
        assert_eq!(parse(b"BARRIER=1"), Message::Nothing);
        assert_eq!(parse(b"READY=yes"), Message::Nothing);
        assert_eq!(parse(b"MAINPID=1\nERRNO=x"), Message::Nothing);
        for garbage in [&b""[..], b"\xff\xfe=1", b"hello", b"A=\0b", b"=", b"key=1"] {
            assert_eq!(parse(garbage), Message::Garbage, "{garbage:?}");
        }
    }

    #[test]
    fn texts_are_clean_and_short() {
        let status = says(format!("STATUS=a\x1b[31m\tb{}", "ä".repeat(300)).as_bytes()).status;
        let status = status.unwrap_or_default();
        assert!(status.starts_with("a [31m b"), "{status}");
        assert_eq!(status.chars().count(), 256);
    }

    #[test]
    fn merging_keeps_the_newest_and_never_turns_the_order() {
        let mut first = says(b"READY=1\nSTATUS=a");
        assert!(merge(&mut first, &says(b"STATUS=b\nWATCHDOG=1")));
        assert!(first.ready && first.watchdog);
        assert_eq!(first.status.as_deref(), Some("b"));
        assert!(!merge(&mut first, &says(b"STOPPING=1")));
        assert!(!merge(&mut says(b"STOPPING=1"), &says(b"READY=1")));
    }
}
