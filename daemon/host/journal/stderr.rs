//! Entries where there is no journal: text on a terminal, one JSON object a line otherwise.

use reeve_core::notice::Level;
use reeve_core::{Notice, Wall};
use serde_json::{Map, Value};

/// How entries are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// One entry as one line, without the newline.
pub fn line(form: Form, at: Wall, notice: &Notice, extra: &[(&str, &str)]) -> String {
    match form {
        Form::Text => {
            let text = notice.message().replace(['\n', '\r', '\x1b'], " ");
            format!("{} {:5} {text}", rfc3339(at), word(notice.kind.info().level))
        }
        Form::Json => json(at, notice, extra).to_string(),
    }
}

fn json(at: Wall, notice: &Notice, extra: &[(&str, &str)]) -> Value {
    let info = notice.kind.info();
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        map.insert(key.to_owned(), value);
    };
    put("time", rfc3339(at).into());
    put("level", word(info.level).into());
    put("message", notice.message().into());
    put("message_id", info.id.into());
    put("event", info.word.into());
    put("reason", notice.reason.as_str().into());
    if let Some(worker) = &notice.worker {
        put("worker", worker.as_str().into());
    }
    if let Some(replica) = notice.replica {
        put("replica", replica.into());
    }
    if let Some(run) = notice.run {
        put("run", run.to_string().into());
    }
    for (key, value) in extra {
        let key = key.strip_prefix("REEVE_").unwrap_or(key);
        put(&key.to_ascii_lowercase(), (*value).into());
    }
    Value::Object(map)
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warn",
        Level::Info => "info",
    }
}

/// `2026-11-21T10:20:30.123456Z`.
pub fn rfc3339(at: Wall) -> String {
    let (seconds, micros) = (at.0 / 1_000_000, at.0 % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days to a date, after Howard Hinnant's civil_from_days: years begin in March, eras are 400 years.
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_core::{Kind, ReplicaId, RunId};

    #[test]
    fn dates_are_right() {
        let at = |seconds: u64| rfc3339(Wall(seconds * 1_000_000));
        assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000000Z");
        assert_eq!(at(1_795_256_430), "2026-11-21T10:20:30.000000Z");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59.000000Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000000Z");
        assert_eq!(rfc3339(Wall(1_000_042)), "1970-01-01T00:00:01.000042Z");
    }

    #[test]
    fn both_forms_are_one_line() {
        let replica: Result<ReplicaId, _> = "web/2".parse();
        let Ok(replica) = replica else { return };
        let run = Some(RunId([0xab; 16]));
        let notice = Notice::replica(Kind::WorkerFailed, &replica, run, "exit\ncode 1");
        assert_eq!(
            line(Form::Text, Wall(0), &notice, &[]),
            "1970-01-01T00:00:00.000000Z warn  web/2: a worker has failed: exit code 1"
        );
        let json = line(Form::Json, Wall(0), &notice, &[("REEVE_TERM", "3")]);
        for part in [
            "\"worker\":\"web\"",
            "\"replica\":2",
            "\"term\":\"3\"",
            "\"event\":\"worker-failed\"",
            "\"run\":\"abababab",
        ] {
            assert!(json.contains(part), "{part} in {json}");
        }
        assert!(!json.contains('\n'));
    }
}
