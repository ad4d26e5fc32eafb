//! The node in one screen.

use super::listings;
use super::style::{Style, Tone};
use super::table::{Text, fields, plain};
use super::units::{bytes, relative, span, stamp};
use crate::bus::proxy::{NodeState, Worker};
use reeve_core::Wall;

/// The node and its workers, what needs somebody first.
pub fn screen(node: &NodeState, workers: &[Worker], style: &Style) -> String {
    let mut out = head(node, style);
    if !workers.is_empty() {
        out.push('\n');
        out.push_str(&listings::node_workers(workers, style));
    }
    out
}

/// The node without its workers.
pub fn head(node: &NodeState, style: &Style) -> String {
    let title = format!("{} {} - Reeve node\n", style.mark(&node.state), style.paint(Tone::Bold, &node.node));
    let entries = [
        ("State", Some(state(&node.state, node.since, style))),
        ("Reason", plain(node.reason.clone())),
        ("Uptime", plain(node.uptime.map(span))),
        ("Version", plain(version(node))),
        ("Labels", plain(pairs(node))),
        ("Config", Some(config(node))),
        ("Components", components(node)),
        ("Cordoned", warned(node.cordoned.clone())),
        ("Drained", warned(node.drain_reason.clone())),
        ("Holds", warned(join(&node.holds))),
        ("Workers", Some(tally(node))),
    ];
    title + &fields(&entries, style)
}

/// `running since Sat 2026-11-21 01:12:03 UTC; 5min ago`.
pub fn state(state: &str, since: Option<Wall>, style: &Style) -> Text {
    let mut text = vec![(Tone::of_state(state), state.to_owned())];
    if let Some(since) = since {
        let tail = format!(" since {}; {}", stamp(since, style), relative(since, style.now));
        text.push((Tone::Plain, tail));
    }
    text
}

/// Text that says why something is held back.
pub fn warned(text: Option<String>) -> Option<Text> {
    text.map(|t| vec![(Tone::Warn, t)])
}

/// Texts with commas between them; nothing when there are none.
pub fn join(texts: &[String]) -> Option<String> {
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// Memory as a field, when known.
pub fn memory(n: Option<u64>) -> Option<Text> {
    plain(n.map(bytes))
}

fn version(node: &NodeState) -> Option<String> {
    let version = node.version.as_ref()?;
    Some(match &node.launcher {
        Some(launcher) => format!("reeved {version}, launcher {launcher}"),
        None => format!("reeved {version}"),
    })
}

fn pairs(node: &NodeState) -> Option<String> {
    let pairs: Vec<String> = node.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    join(&pairs)
}

fn config(node: &NodeState) -> Text {
    let generation = format!("generation {}", node.config_generation);
    match node.config_errors {
        0 => vec![(Tone::Plain, generation)],
        n => vec![
            (Tone::Plain, format!("{generation}, ")),
            (Tone::Bad, format!("files on disk refused: {n} error{}", plural(n))),
            (Tone::Plain, "; see `reevectl config check`".to_owned()),
        ],
    }
}

fn components(node: &NodeState) -> Option<Text> {
    if node.components.is_empty() {
        return None;
    }
    let mut text = Text::new();
    for (name, problem) in &node.components {
        if !text.is_empty() {
            text.push((Tone::Plain, ", ".to_owned()));
        }
        if problem.is_empty() || problem == "ok" {
            text.push((Tone::Plain, format!("{name} ok")));
        } else {
            text.push((Tone::Bad, format!("{name}: {problem}")));
        }
    }
    Some(text)
}

fn tally(node: &NodeState) -> Text {
    let ready = format!("{} of {} ready", node.workers_ready, node.workers_total);
    match node.workers_failed {
        0 => vec![(Tone::Plain, ready)],
        n => vec![(Tone::Plain, format!("{ready}, ")), (Tone::Bad, format!("{n} failed"))],
    }
}

fn plural(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}
