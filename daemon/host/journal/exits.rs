//! What PID 1 wrote of ended units, put together per run: pure.

use reeve_core::{ExitInfo, ExitStatus, RunId, Wall};
use serde_json::Value;

const PROCESS_EXIT: &str = "98e322203f7a4ed290d09fe03c09fe15";
const SUCCESS: &str = "7ad2d189f7e94e70a38c781354912448";
const FAILURE: &str = "d9b373ed55a64feb8242e02dbe79a49c";
const OUT_OF_MEMORY: &str = "fe6faa94e7774663a0da52717891d8ef";
const RESOURCES: &str = "ae8f7b866b0347b9af31fe1c80b127c0";

/// Entries that say something of an exit. A clean one has no entry of its process, only the unit's success.
pub const MESSAGE_IDS: [&str; 5] = [PROCESS_EXIT, SUCCESS, FAILURE, OUT_OF_MEMORY, RESOURCES];
/// Fields that are read.
pub const FIELDS: &str = "MESSAGE,MESSAGE_ID,INVOCATION_ID,EXIT_CODE,EXIT_STATUS,UNIT_RESULT,MEMORY_PEAK";

#[derive(Debug, Default)]
struct Found {
    status: Option<ExitStatus>,
    succeeded: bool,
    ended: Option<Wall>,
    oom_kill: bool,
    peak_memory: Option<u64>,
}

/// One exit per run that ended, oldest first.
pub fn collect(entries: &[Value]) -> Vec<(RunId, ExitInfo)> {
    let mut runs: Vec<(RunId, Found)> = Vec::new();
    for entry in entries {
        let Some(run) = text(entry, "INVOCATION_ID").and_then(|id| id.parse().ok()) else {
            continue;
        };
        let at = match runs.iter().position(|(known, _)| *known == run) {
            Some(at) => at,
            None => {
                runs.push((run, Found::default()));
                runs.len() - 1
            }
        };
        if let Some((_, found)) = runs.get_mut(at) {
            note(found, entry);
        }
    }
    runs.into_iter()
        .filter_map(|(run, found)| {
            let at = found.ended?;
            let clean = found.succeeded.then_some(ExitStatus::Code(0));
            let info = ExitInfo {
                status: found.status.or(clean).unwrap_or(ExitStatus::Unknown),
                oom_kill: found.oom_kill,
                peak_memory: found.peak_memory,
                at,
            };
            Some((run, info))
        })
        .collect()
}

fn note(found: &mut Found, entry: &Value) {
    let at = text(entry, "__REALTIME_TIMESTAMP").and_then(|t| t.parse().ok().map(Wall));
    match text(entry, "MESSAGE_ID") {
        Some(PROCESS_EXIT) => {
            // ExecStop= and the like end too.
            if text(entry, "MESSAGE").is_some_and(|m| m.contains("Control process")) {
                return;
            }
            found.status = status(entry);
            found.ended = at;
        }
        Some(SUCCESS) => {
            found.succeeded = true;
            found.ended = found.ended.or(at);
        }
        Some(FAILURE) => {
            found.oom_kill |= text(entry, "UNIT_RESULT") == Some("oom-kill");
            found.ended = found.ended.or(at);
        }
        Some(OUT_OF_MEMORY) => found.oom_kill = true,
        Some(RESOURCES) => {
            found.peak_memory = text(entry, "MEMORY_PEAK").and_then(|peak| peak.parse().ok());
        }
        _ => {}
    }
}

fn status(entry: &Value) -> Option<ExitStatus> {
    let number = text(entry, "EXIT_STATUS")?.parse().ok()?;
    match text(entry, "EXIT_CODE")? {
        "exited" => Some(ExitStatus::Code(number)),
        "killed" | "dumped" => Some(ExitStatus::Signal(number)),
        _ => None,
    }
}

fn text<'a>(entry: &'a Value, field: &str) -> Option<&'a str> {
    entry.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(n: u8) -> String {
        RunId([n; 16]).to_string()
    }

    fn entry(run: u8, at: u64, message_id: &str, more: Value) -> Value {
        let mut entry = json!({
            "INVOCATION_ID": id(run),
            "__REALTIME_TIMESTAMP": at.to_string(),
            "MESSAGE_ID": message_id,
        });
        if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
            entry.extend(more);
        }
        entry
    }

    #[test]
    fn each_run_has_one_exit() {
        let exited = |code: &str, status: &str| json!({ "EXIT_CODE": code, "EXIT_STATUS": status, "MESSAGE": "x: Main process exited" });
        let entries = [
            entry(1, 10, PROCESS_EXIT, exited("exited", "3")),
            entry(1, 11, FAILURE, json!({ "UNIT_RESULT": "exit-code" })),
            entry(2, 20, SUCCESS, json!({})),
            entry(2, 21, RESOURCES, json!({ "MEMORY_PEAK": "4096" })),
            entry(3, 30, OUT_OF_MEMORY, json!({})),
            entry(3, 31, PROCESS_EXIT, exited("killed", "9")),
            entry(3, 32, FAILURE, json!({ "UNIT_RESULT": "oom-kill" })),
            entry(4, 40, RESOURCES, json!({})),
            entry(5, 50, FAILURE, json!({ "UNIT_RESULT": "resources" })),
            json!({ "MESSAGE_ID": SUCCESS }),
        ];
        let found: Vec<_> = collect(&entries)
            .into_iter()
            .map(|(run, i)| (run.0[0], i.status, i.oom_kill, i.peak_memory, i.at.0))
            .collect();
        assert_eq!(
            found,
            [
                (1, ExitStatus::Code(3), false, None, 10),
                (2, ExitStatus::Code(0), false, Some(4096), 20),
                (3, ExitStatus::Signal(9), true, None, 31),
                (5, ExitStatus::Unknown, false, None, 50),
            ]
        );
    }

    #[test]
    fn control_processes_are_not_the_worker() {
        let control = json!({ "EXIT_CODE": "exited", "EXIT_STATUS": "1", "MESSAGE": "x: Control process exited" });
        assert_eq!(collect(&[entry(1, 10, PROCESS_EXIT, control)]), []);
    }
}
