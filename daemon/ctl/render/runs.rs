//! How runs ended.

use super::style::{Style, tame};
use super::table::{Cell, Column, NOTHING, table};
use super::units::{brief, bytes, span};
use super::worker::{cause, cause_tone};
use crate::bus::proxy::Run;
use std::time::Duration;

/// The table, newest first.
pub fn table_of(runs: &[Run], style: &Style) -> String {
    const COLUMNS: [Column; 6] = [
        Column::left("ENDED"),
        Column::right("N"),
        Column::right("RAN"),
        Column::right("PEAK"),
        Column::left("CAUSE"),
        Column::flexible("REASON", 12),
    ];
    let rows: Vec<Vec<Cell>> = runs.iter().map(|r| row(r, style)).collect();
    table(&COLUMNS, &rows, 0, style)
}

/// Each run with the lines it left behind.
pub fn with_logs(runs: &[Run], style: &Style) -> String {
    let mut out = String::new();
    for run in runs {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&table_of(std::slice::from_ref(run), style));
        match &run.log_tail {
            None => out.push_str("  (its log lines are not for you, or not kept)\n"),
            Some(lines) if lines.is_empty() => out.push_str("  (it logged nothing)\n"),
            Some(lines) => {
                for line in lines {
                    out.push_str(&style.fit(&format!("  {}", tame(line))));
                    out.push('\n');
                }
            }
        }
    }
    out
}

/// How long it ran, when both ends are known.
pub fn duration(run: &Run) -> Option<Duration> {
    let (started, ended) = (run.started?, run.ended?);
    Some(Duration::from_micros(ended.0.saturating_sub(started.0)))
}

fn row(run: &Run, style: &Style) -> Vec<Cell> {
    let or_nothing = |t: Option<String>| Cell::from(t.unwrap_or_else(|| NOTHING.to_owned()));
    let mut reason = run.reason.clone().unwrap_or_default();
    if !run.supervised {
        // Nobody watched: the reason is what was found afterwards.
        let colon = if reason.is_empty() { "" } else { ": " };
        reason = format!("unsupervised{colon}{reason}");
    }
    vec![
        or_nothing(run.ended.map(|at| brief(at, style))),
        or_nothing(run.replica.map(|n| n.to_string())),
        or_nothing(duration(run).map(span)),
        or_nothing(run.peak_memory.map(bytes)),
        Cell::toned(cause(&run.cause, run.exit_code, run.signal), cause_tone(&run.cause)),
        reason.into(),
    ]
}
