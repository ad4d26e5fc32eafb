//! Scripted scenarios with their transcripts, `*.txt` beside this file: what is done to a node, and under `----` what
//! the core said and did. Meant to be read like prose.
//!
//! `REEVE_REWRITE=1 cargo test --test scenarios` writes the transcripts anew; read the difference before committing it.
//!
//! | line | does |
//! |---|---|
//! | `node`, `worker NAME`, each with TOML below | configuration; takes effect with `boot` or `reload` |
//! | `no-worker NAME` | removes a definition |
//! | `boot`, `reload`, `kill-daemon`, `die-after N` | the daemon; `die-after` kills it after N more effects |
//! | `tick SPAN`, `count SPAN`, `suspend SPAN` | time passes; `count` prints how many entries of each kind there were |
//! | `exit WHO HOW…`, `exit-all WORKER HOW…` | runs end: `code 1`, `signal 9`, `oom` |
//! | `crashes WORKER SPAN HOW…`, `readies WORKER SPAN`, `ignores WORKER`, `behaves WORKER` | manners from now on |
//! | `drained WHO`, `healthy WHO yes\|no` | what hooks and probes answer |
//! | `notify WHO KEY=VALUE…`, `tells WHO NAME=NUMBER…` (its metrics), `start-fails TEXT`, `start-works` | what workers and the launcher say |
//! | `freeze-fails TEXT` | the launcher refuses to freeze |
//! | `gpus NODE…`, `gpu N lost\|remap-failure\|xid X\|well`, `look` | cards by the CPU nodes they hang on; how one is; a look |
//! | `leaves WHO`, `undead yes\|no` | the next end of its run leaves something on its cards; whether that can be killed |
//! | `nvml away WHY`, `nvml back` | the source has lost NVML |
//! | `do COMMAND…` | as typed after `reevectl` |
//! | `plan`, `status` | pictures |
//! | `metrics FAMILY…` | series that the supervisor tells; `*` stands for any text |
//!
//! In `fleet/`, on voters whose messages and writes take a millisecond each:
//!
//! | line | does |
//! |---|---|
//! | `fleet NODE…`, `also NODE…` | the voters as configured; nodes that are none |
//! | `up NODE…`, `kill NODE…` | processes |
//! | `lose-file NODE`, `old-file NODE`, `disk NODE full\|slow\|well` | its voter file goes, or is the one of the start before the last; its disk takes nothing, or most of a second a write |
//! | `cut A B`, `deafen NODE`, `heal` | no message either way; none to it; all pass |
//! | `gone NODE` | a broker tells all that its connection is gone |
//! | `tick SPAN` | time passes |
//! | `write NODE`, `add NODE VOTER`, `remove NODE VOTER`, `hand-over NODE [TO]` | what a leader is asked |
//! | `show` | how each sees the fleet |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests read their scripts from disk"
)]

mod fleet;
mod stage;
mod words;

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios")
}

/// One step: its line, what stands below it, and what came of it.
fn play(text: &str, mut perform: impl FnMut(&str, &str) -> Result<String, String>) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").unwrap();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut body = String::new();
        let mut had_rule = false;
        for below in lines.by_ref() {
            if below == "----" {
                had_rule = true;
                break;
            }
            if below.is_empty() {
                break;
            }
            writeln!(body, "{below}").unwrap();
        }
        if had_rule {
            // The old transcript.
            for old in lines.by_ref() {
                if old.is_empty() {
                    break;
                }
            }
        }
        out.push_str(&body);
        let said = perform(line, &body).unwrap_or_else(|why| panic!("{line}: {why}"));
        if !said.is_empty() || had_rule {
            out.push_str("----\n");
            out.push_str(&said);
        }
        out.push('\n');
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

#[test]
fn transcripts() {
    check(&folder(), |script| {
        let mut stage = stage::Stage::default();
        play(script, |line, body| words::perform(&mut stage, line, body))
    });
}

#[test]
fn rec_02_transcripts_of_fleets() {
    check(&folder().join("fleet"), |script| {
        let mut fleet = fleet::Fleet::default();
        play(script, |line, _| fleet.perform(line))
    });
}

fn check(folder: &Path, play: impl Fn(&str) -> String) {
    let rewrite = std::env::var_os("REEVE_REWRITE").is_some();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "txt"));
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in &files {
        let script = std::fs::read_to_string(file).unwrap();
        let played = play(&script);
        if rewrite {
            std::fs::write(file, &played).unwrap();
        } else if played != script {
            let differs = script.lines().zip(played.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let (old, new) = (script.lines().nth(differs), played.lines().nth(differs));
            wrong.push(format!("{}:{}\n  expected {old:?}\n  played   {new:?}", file.display(), differs + 1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
