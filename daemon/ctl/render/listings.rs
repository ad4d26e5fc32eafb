//! The plain listings: workers, events, plan, configuration, audit.

use super::style::{Style, Tone, tame};
use super::table::{Cell, Column, NOTHING, fields, plain, table};
use super::units::{brief, bytes, short, stamp};
use crate::bus::proxy::{AuditEntry, ConfigMark, EventEntry, PlanLine, Series, Worker};
use reeve_core::metrics::text::number;
use serde_json::{Map, Value};

/// `list`: one line a worker, and a count.
pub fn workers(workers: &[Worker], style: &Style) -> String {
    const COLUMNS: [Column; 8] = [
        Column::left(""),
        Column::flexible("WORKER", 12),
        Column::flexible("TEAM", 8),
        Column::right("READY"),
        Column::left("STATE"),
        Column::right("RESTARTS"),
        Column::right("MEMORY"),
        Column::left("SINCE"),
    ];
    let rows: Vec<Vec<Cell>> = workers
        .iter()
        .map(|w| {
            vec![
                Cell::mark(&w.state, style),
                w.name.as_str().into(),
                w.team.as_str().into(),
                ready(w),
                Cell::state(&w.state),
                w.restarts.to_string().into(),
                w.memory_current.map_or_else(|| NOTHING.to_owned(), bytes).into(),
                since(w, style),
            ]
        })
        .collect();
    let mut out = table(&COLUMNS, &rows, 0, style);
    out.push_str(&format!("\n{} listed.\n", count(workers.len(), "worker")));
    out
}

/// The workers below the node: what needs somebody first, and why.
pub fn node_workers(workers: &[Worker], style: &Style) -> String {
    const COLUMNS: [Column; 7] = [
        Column::left(""),
        Column::flexible("WORKER", 12),
        Column::right("READY"),
        Column::left("STATE"),
        Column::right("RESTARTS"),
        Column::left("SINCE"),
        Column::flexible("REASON", 12),
    ];
    let mut sorted: Vec<&Worker> = workers.iter().collect();
    sorted.sort_by_key(|w| (urgency(&w.state), w.name.clone()));
    let rows: Vec<Vec<Cell>> = sorted
        .into_iter()
        .map(|w| {
            vec![
                Cell::mark(&w.state, style),
                w.name.as_str().into(),
                ready(w),
                Cell::state(&w.state),
                w.restarts.to_string().into(),
                since(w, style),
                w.reason.clone().unwrap_or_default().into(),
            ]
        })
        .collect();
    table(&COLUMNS, &rows, 0, style)
}

/// One event as one line. The daemon's text may name target and reason already; neither is said twice.
pub fn event(event: &EventEntry, style: &Style) -> String {
    let mut text = event.text.clone();
    if !event.reason.is_empty() && !text.contains(&event.reason) {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&event.reason);
    }
    if !event.target.is_empty() && !text.starts_with(&event.target) {
        text = format!("{}: {text}", event.target);
    }
    let line = format!("{} {text}", brief(event.time, style));
    style.paint(tone_of_event(event), &tame(&line)) + "\n"
}

/// What would be done.
pub fn plan(lines: &[PlanLine], style: &Style) -> String {
    if lines.is_empty() {
        return "Nothing to do: everything is as it is wanted.\n".to_owned();
    }
    const COLUMNS: [Column; 3] = [Column::left("ACTION"), Column::left("TARGET"), Column::flexible("REASON", 12)];
    let rows: Vec<Vec<Cell>> = lines
        .iter()
        .map(|l| vec![l.action.as_str().into(), l.target.as_str().into(), l.reason.as_str().into()])
        .collect();
    table(&COLUMNS, &rows, 0, style)
}

/// One remark on the configuration, as compilers write it.
pub fn mark(mark: &ConfigMark, style: &Style) -> String {
    let tone = if mark.is_error() { Tone::Bad } else { Tone::Warn };
    let mut place = mark.file.clone();
    if mark.line > 0 {
        place.push_str(&format!(":{}:{}", mark.line, mark.column));
    }
    let key = match mark.key.as_str() {
        "" => String::new(),
        key => format!("{key}: "),
    };
    format!("{place}: {}: {key}{}\n", style.paint(tone, &mark.severity), mark.text)
}

/// `config check`: every remark, and a count.
pub fn marks(marks: &[ConfigMark], style: &Style) -> String {
    let mut out: String = marks.iter().map(|m| mark(m, style)).collect();
    let errors = marks.iter().filter(|m| m.is_error()).count();
    let warnings = marks.len() - errors;
    if marks.is_empty() {
        out.push_str("The configuration on disk is valid.\n");
    } else {
        out.push_str(&format!("\n{}, {}.\n", count(errors, "error"), count(warnings, "warning")));
    }
    out
}

/// `config diff`.
pub fn diff(rows: &[(String, String, String)], style: &Style) -> String {
    if rows.is_empty() {
        return "The files on disk are in force.\n".to_owned();
    }
    const COLUMNS: [Column; 3] =
        [Column::flexible("KEY", 16), Column::flexible("IN FORCE", 12), Column::flexible("ON DISK", 12)];
    let cell = |t: &str| Cell::from(if t.is_empty() { NOTHING } else { t });
    let rows: Vec<Vec<Cell>> =
        rows.iter().map(|(key, now, disk)| vec![key.as_str().into(), cell(now), cell(disk)]).collect();
    table(&COLUMNS, &rows, 0, style)
}

/// `config explain`.
pub fn explain(key: &str, facts: &Map<String, Value>, style: &Style) -> String {
    let fact = |name: &str| plain(fact(facts, name));
    let entries = [
        ("Value", fact("value")),
        ("Origin", fact("origin")),
        ("Default", fact("default")),
        ("Unit", fact("unit")),
        ("Range", fact("range")),
        ("Requirement", fact("requirement")),
    ];
    let mut out = style.paint(Tone::Bold, key) + "\n" + &fields(&entries, style);
    if let Some(text) = self::fact(facts, "text") {
        out.push_str(&format!("\n{text}\n"));
    }
    out
}

/// A fact as text; an empty one is none.
pub fn fact(facts: &Map<String, Value>, name: &str) -> Option<String> {
    match facts.get(name)? {
        Value::Null => None,
        Value::String(s) => Some(s.clone()).filter(|s| !s.is_empty()),
        other => Some(other.to_string()),
    }
}

/// The audit trail.
pub fn audit(entries: &[AuditEntry], style: &Style) -> String {
    const COLUMNS: [Column; 6] = [
        Column::left("TIME"),
        Column::right("UID"),
        Column::flexible("CALLER", 10),
        Column::left("ACTION"),
        Column::flexible("TARGET", 10),
        Column::flexible("RESULT", 10),
    ];
    let rows: Vec<Vec<Cell>> = entries
        .iter()
        .map(|e| {
            vec![
                brief(e.time, style).into(),
                e.uid.to_string().into(),
                e.caller.as_str().into(),
                e.action.as_str().into(),
                e.target.as_str().into(),
                Cell::toned(e.result.as_str(), result_tone(&e.result)),
            ]
        })
        .collect();
    table(&COLUMNS, &rows, 0, style)
}

/// `metrics`: one line a series.
pub fn series(series: &[Series], style: &Style) -> String {
    const COLUMNS: [Column; 3] = [Column::left("NAME"), Column::flexible("LABELS", 20), Column::right("VALUE")];
    let rows: Vec<Vec<Cell>> = series
        .iter()
        .map(|s| {
            let labels: Vec<_> = s.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let mut value = String::new();
            number::value(&mut value, s.value);
            vec![s.name.as_str().into(), labels.join(" ").into(), value.into()]
        })
        .collect();
    table(&COLUMNS, &rows, 0, style)
}

/// `audit verify`, when the chain holds.
pub fn verified(facts: &Map<String, Value>, style: &Style) -> String {
    let time = |name: &str| {
        facts.get(name).and_then(Value::as_u64).filter(|t| *t > 0).map(|t| stamp(reeve_core::Wall(t), style))
    };
    let entries = fact(facts, "entries").unwrap_or_else(|| "0".to_owned());
    let mut out = format!("The audit trail is whole: {entries} entries");
    if let (Some(first), Some(last)) = (time("first"), time("last")) {
        out.push_str(&format!(", {first} to {last}"));
    }
    out + ".\n"
}

/// `1 worker`, `2 workers`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn ready(w: &Worker) -> Cell {
    let text = format!("{}/{}", w.ready, w.wanted);
    if w.ready < w.wanted { Cell::toned(text, Tone::Warn) } else { text.into() }
}

fn since(w: &Worker, style: &Style) -> Cell {
    w.since.map_or_else(|| NOTHING.to_owned(), |s| short(s, style.now)).into()
}

fn urgency(state: &str) -> u8 {
    match Tone::of_state(state) {
        Tone::Bad => 0,
        Tone::Warn => 1,
        _ => 2,
    }
}

fn result_tone(result: &str) -> Tone {
    if result.contains("refused") || result.contains("denied") || result.contains("failed") {
        Tone::Bad
    } else {
        Tone::Plain
    }
}

/// By the level that the table of entries gives the kind; an unknown kind is nothing special.
fn tone_of_event(event: &EventEntry) -> Tone {
    use reeve_core::Level;
    let table = reeve_core::notice::TABLE;
    match table.iter().find(|i| i.word == event.kind).map(|i| i.level) {
        Some(Level::Error) => Tone::Bad,
        Some(Level::Warning) => Tone::Warn,
        _ => Tone::Plain,
    }
}
