//! One screen as lines. Everything a person needs at 80×24; what is wider or higher shows more.

use super::model::{Card, Picture, Row};
use super::state::{Choices, Sort};
use crate::ctl::render::style::{Style, Tone, tame};
use crate::ctl::render::table::{Cell, Column, NOTHING, table};
use crate::ctl::render::units::bytes;

/// What stands above everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The node's name.
    pub node: String,
    /// Its state.
    pub state: String,
    /// One line: workers, leader.
    pub status: String,
}

/// Columns and rows of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

const BAR: usize = 20;
const KEYS: &str = "q quit  c CPU  m memory  g GPU  n name  i running only  space pause  arrows move";

/// The lines of a screen, no more than fit.
pub fn screen(picture: &Picture, head: &Head, choices: &mut Choices, style: &Style, size: Size) -> Vec<String> {
    let style = &Style { width: Some(size.columns), ..style.clone() };
    let mut lines = above(picture, head, style);
    // Cards give way to replicas: a third of the screen at most.
    let room = (size.rows / 3).max(1);
    lines.extend(cards(&picture.cards, room, style));
    lines.push(String::new());
    let room = size.rows.saturating_sub(lines.len() + 2).max(1);
    let rows = choices.rows(picture, room);
    let shown = rows.iter().skip(choices.skip).take(room).copied();
    lines.extend(replicas(shown, choices.sort, style));
    let below = rows.len().saturating_sub(choices.skip + room);
    let keys = match (choices.paused, below + choices.skip) {
        (true, _) => format!("PAUSED  {KEYS}"),
        (false, 0) => KEYS.to_owned(),
        (false, _) => format!("{KEYS}  ({}-{} of {})", choices.skip + 1, rows.len() - below, rows.len()),
    };
    lines.truncate(size.rows.saturating_sub(1));
    lines.resize(size.rows.saturating_sub(1), String::new());
    lines.push(style.paint(Tone::Bold, &style.cut(&keys, size.columns)));
    lines
}

/// The same without a terminal: everything, once.
pub fn once(picture: &Picture, head: &Head, choices: &mut Choices, style: &Style) -> String {
    let mut lines = above(picture, head, style);
    lines.extend(cards(&picture.cards, usize::MAX, style));
    lines.push(String::new());
    let rows = choices.rows(picture, usize::MAX);
    lines.extend(replicas(rows.into_iter(), choices.sort, style));
    lines.join("\n") + "\n"
}

fn above(picture: &Picture, head: &Head, style: &Style) -> Vec<String> {
    let title = format!("{} {} ({})", style.glyph(&head.state), tame(&head.node), head.state);
    let cut = |text: &str| style.fit(text);
    let load = picture.load.map(|l| l.map_or(NOTHING.to_owned(), |l| format!("{l:.2}"))).join(" ");
    let waits = ["CPU", "mem", "I/O"].iter().zip(picture.pressure).filter_map(|(what, share)| {
        let share = share?;
        Some(style.paint(alarm(share, 0.2, 0.5), &format!("{what} {}", percent(Some(share)))))
    });
    let waits: Vec<String> = waits.collect();
    let used = picture.memory.map(|(used, total)| if total > 0.0 { used / total } else { 0.0 });
    let memory =
        picture.memory.map_or(NOTHING.to_owned(), |(used, total)| format!("{} of {}", size(used), size(total)));
    let width = style.width.unwrap_or(80);
    let points = width.saturating_sub(66).clamp(8, super::model::POINTS);
    let first = [
        style.paint(Tone::Bold, "CPU"),
        bar(picture.cpu, 0.8, 0.95, style),
        format!("{:>5} of {:<4} load {load:<18}", percent(picture.cpu), picture.cpus),
        spark(&picture.history, points, style),
    ];
    let second = [
        style.paint(Tone::Bold, "MEM"),
        bar(used, 0.75, 0.9, style),
        format!("{:>5} {memory}", percent(used)),
        if waits.is_empty() { String::new() } else { format!("wait: {}", waits.join(" ")) },
    ];
    vec![
        style.paint(Tone::of_state(&head.state), &cut(&title)),
        cut(&format!("  {}", tame(&head.status))),
        first.join(" ").trim_end().to_owned(),
        second.join(" ").trim_end().to_owned(),
    ]
}

fn cards(cards: &[Card], room: usize, style: &Style) -> Vec<String> {
    let mut lines: Vec<String> = cards.iter().take(room).map(|c| card(c, style)).collect();
    if cards.len() > room {
        let ill = cards.iter().skip(room).filter(|c| !c.ills.is_empty()).count();
        let text = format!("     {} more cards, {ill} of them ill: reevectl gpu list", cards.len() - room);
        lines.push(style.paint(if ill > 0 { Tone::Bad } else { Tone::Plain }, &text));
    }
    lines
}

fn card(card: &Card, style: &Style) -> String {
    let memory = card.memory.map_or(NOTHING.to_owned(), |(used, total)| format!("{}/{}", size(used), size(total)));
    let power = match card.power {
        (Some(now), Some(limit)) => format!("{now:.0}/{limit:.0}W"),
        (Some(now), None) => format!("{now:.0}W"),
        _ => NOTHING.to_owned(),
    };
    let heat = card.temperature.map_or(NOTHING.to_owned(), |t| format!("{t:.0}C"));
    let text = format!("{:>5} {memory:>13} {power:>9} {heat:>4} ", percent(card.utilization));
    let used = 4 + 1 + BAR + 2 + 1 + text.chars().count() + 1;
    let room = style.width.unwrap_or(120).saturating_sub(used);
    let last = if card.ills.is_empty() {
        let line = spark(&card.history, room.min(12), style);
        let name = style.cut(&tame(&card.name), room.saturating_sub(line.chars().count() + 1));
        format!("{line} {name}")
    } else {
        style.paint(Tone::Bad, &style.cut(&tame(&card.ills.join(", ")), room))
    };
    let name = style.paint(Tone::Bold, &format!("GPU{:<1}", card.index));
    format!("{name} {}{text}{last}", bar(card.utilization, 2.0, 2.0, style)).trim_end().to_owned()
}

fn replicas<'a>(rows: impl Iterator<Item = &'a Row>, sort: Sort, style: &Style) -> Vec<String> {
    let mark = |name: &'static str, by: &'static str, of: Sort| if sort == of { by } else { name };
    let columns = [
        Column::left(""),
        Column::flexible(mark("REPLICA", "REPLICA^", Sort::Name), 12),
        Column::flexible("STATE", 8),
        Column::right(mark("CPU", "CPU^", Sort::Cpu)),
        Column::right(mark("MEMORY", "MEMORY^", Sort::Memory)),
        Column::right("LIMIT"),
        Column::right("GPU"),
        Column::right(mark("GPUMEM", "GPUMEM^", Sort::Gpu)),
        Column::right("TASKS"),
        Column::right("RESTARTS"),
    ];
    let cells: Vec<Vec<Cell>> = rows
        .map(|row| {
            let near = row.memory.zip(row.limit).map_or(0.0, |(used, limit)| used / limit);
            vec![
                Cell::mark(&row.state, style),
                row.name.as_str().into(),
                Cell::state(&row.state),
                row.cpu.map_or(NOTHING.to_owned(), |v| format!("{v:.2}")).into(),
                Cell::toned(row.memory.map_or(NOTHING.to_owned(), size), alarm(near, 0.9, 0.97)),
                row.limit.map_or(NOTHING.to_owned(), size).into(),
                percent(row.gpu).into(),
                row.gpu_memory.map_or(NOTHING.to_owned(), size).into(),
                row.tasks.map_or(NOTHING.to_owned(), |v| format!("{v:.0}")).into(),
                format!("{:.0}", row.restarts).into(),
            ]
        })
        .collect();
    table(&columns, &cells, 0, style).lines().map(str::to_owned).collect()
}

/// `[#####---------------]`; empty where nothing is known.
fn bar(share: Option<f64>, warn: f64, bad: f64, style: &Style) -> String {
    let (full, empty) = if style.utf8 { ("█", "░") } else { ("#", "-") };
    let Some(share) = share else { return format!("[{}]", " ".repeat(BAR)) };
    let filled = steps(share, BAR);
    let tone = match alarm(share, warn, bad) {
        Tone::Plain => Tone::Good,
        other => other,
    };
    format!("[{}{}]", style.paint(tone, &full.repeat(filled)), empty.repeat(BAR - filled))
}

/// The last values, 0 to 1, oldest left.
fn spark(history: &[f64], points: usize, style: &Style) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const PLAIN: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];
    let signs = if style.utf8 { BLOCKS } else { PLAIN };
    let skip = history.len().saturating_sub(points);
    history.iter().skip(skip).filter_map(|share| signs.get(steps(*share, 7))).collect()
}

/// A share of `most`, in whole steps.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and most")]
fn steps(share: f64, most: usize) -> usize {
    let most = f64::from(u32::try_from(most).unwrap_or(u32::MAX));
    (share.clamp(0.0, 1.0) * most).round() as usize
}

fn percent(share: Option<f64>) -> String {
    share.map_or(NOTHING.to_owned(), |s| format!("{:.0}%", s * 100.0))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes, and `as` keeps within bounds")]
fn size(value: f64) -> String {
    bytes(value.max(0.0) as u64)
}

fn alarm(share: f64, warn: f64, bad: f64) -> Tone {
    if share >= bad {
        Tone::Bad
    } else if share >= warn {
        Tone::Warn
    } else {
        Tone::Plain
    }
}
