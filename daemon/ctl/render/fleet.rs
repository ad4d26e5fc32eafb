//! The fleet: who leads, the nodes, the slots, the past.

use super::node::{join, state, warned};
use super::style::{Style, Tone};
use super::table::{Cell, Column, NOTHING, Text, broken, fields, plain, table};
use super::units::{brief, relative, short, span, stamp};
use crate::bus::proxy::fleet::{FleetNode, FleetState, Past, Slot};
use reeve_core::Wall;
use std::collections::BTreeMap;

/// `fleet status`: what is wrong first.
pub fn status(f: &FleetState, style: &Style) -> String {
    let alone = f.alone;
    let known = !alone && !f.fleet.is_empty();
    let overall = match (&f.leader, f.reason.is_some() || f.frozen.is_some()) {
        (None, _) => "failed",
        (Some(_), true) => "waiting",
        (Some(_), false) => "running",
    };
    let title = if alone {
        format!("{} {} - a fleet of one\n", style.mark(overall), style.paint(Tone::Bold, &f.node))
    } else if f.fleet.is_empty() {
        format!("{} {} - no fleet is known yet\n", style.mark(overall), style.paint(Tone::Bold, &f.node))
    } else {
        let name = style.paint(Tone::Bold, &f.fleet);
        format!("{} {name} - fleet, as {} sees it\n", style.mark(overall), f.node)
    };
    let wrong = if f.leader.is_some() { Tone::Warn } else { Tone::Bad };
    let entries = [
        ("Reason", f.reason.clone().map(|text| vec![(wrong, text)])),
        ("Fleet", plain(alone.then_some("none is configured: this node leads itself and needs no broker"))),
        ("Role", (!f.role.is_empty()).then(|| state(&f.role, f.since, style))),
        ("Leader", Some(leader(f, style))),
        ("Term", (!f.term_text.is_empty()).then(|| term(f))),
        ("Lease", lease(f)),
        ("Quorum", known.then(|| quorum(f.quorum))),
        ("Voters", voters(f)),
        ("Brokers", brokers(f)),
        ("Frozen", warned(f.frozen.clone())),
        ("Nodes", nodes_in(f)),
        ("Slots", plain(known.then(|| counted(&f.slots).unwrap_or_else(|| "none".to_owned())))),
    ];
    title + &fields(&entries, style)
}

fn leader(f: &FleetState, style: &Style) -> Text {
    let heard = f.contact.map(|at| relative(at, style.now));
    match &f.leader {
        None => {
            let since = heard.map(|ago| format!("; the last was heard {ago}")).unwrap_or_default();
            vec![(Tone::Bad, "nobody is known to lead".to_owned()), (Tone::Plain, since)]
        }
        Some(name) if *name == f.node => vec![(Tone::Plain, format!("{name}, this node"))],
        Some(name) => {
            let heard = heard.map(|ago| format!(", heard {ago}")).unwrap_or_default();
            vec![(Tone::Plain, format!("{name}{heard}"))]
        }
    }
}

fn term(f: &FleetState) -> Text {
    let document = match (&f.document, &f.committed) {
        (Some(document), Some(committed)) if document == committed => format!("; document {document}, committed"),
        (Some(document), Some(committed)) => format!("; document {document}, committed {committed}"),
        _ => String::new(),
    };
    vec![(Tone::Plain, format!("{}{document}", f.term_text))]
}

fn lease(f: &FleetState) -> Option<Text> {
    if f.leader.as_deref() != Some(f.node.as_str()) {
        return None;
    }
    Some(match f.lease_remaining {
        Some(left) if left.is_zero() => vec![(Tone::Bad, "over: this node does not act as the leader".to_owned())],
        Some(left) => vec![(Tone::Plain, format!("{} left", span(left)))],
        None => vec![(Tone::Plain, "without end: there is no other voter".to_owned())],
    })
}

fn quorum(there: bool) -> Text {
    match there {
        true => vec![(Tone::Plain, "yes".to_owned())],
        false => vec![(Tone::Bad, "no".to_owned()), (Tone::Plain, ", so no slots are granted".to_owned())],
    }
}

/// Each with what the leader knows of it.
fn voters(f: &FleetState) -> Option<Text> {
    let mut text = Text::new();
    for voter in &f.voters {
        if !text.is_empty() {
            text.push((Tone::Plain, ", ".to_owned()));
        }
        text.push(match voter.answered {
            _ if voter.name == f.node => (Tone::Plain, format!("{} (this node)", voter.name)),
            Some(true) => (Tone::Plain, format!("{} answers", voter.name)),
            Some(false) => (Tone::Bad, format!("{} is silent", voter.name)),
            None => (Tone::Plain, voter.name.clone()),
        });
    }
    (!text.is_empty()).then_some(text)
}

fn brokers(f: &FleetState) -> Option<Text> {
    let mut text = Text::new();
    for broker in &f.brokers {
        if !text.is_empty() {
            text.push((Tone::Plain, ", ".to_owned()));
        }
        text.push(match (broker.connected, &broker.reason) {
            (true, _) => (Tone::Plain, format!("{} connected", broker.url)),
            (false, None) => (Tone::Bad, format!("{} not connected", broker.url)),
            (false, Some(why)) => (Tone::Bad, format!("{} not connected: {why}", broker.url)),
        });
    }
    (!text.is_empty()).then_some(text)
}

fn nodes_in(f: &FleetState) -> Option<Text> {
    let states = counted(&f.nodes)?;
    let all: u64 = f.nodes.values().sum();
    let interval = f.report_interval.map(|each| format!("; each reports every {}", span(each))).unwrap_or_default();
    plain(Some(format!("{all}: {states}{interval}")))
}

/// `10 alive, 1 lost`; nothing when there are none.
fn counted(states: &BTreeMap<String, u64>) -> Option<String> {
    let shown: Vec<String> = states.iter().filter(|(_, n)| **n > 0).map(|(state, n)| format!("{n} {state}")).collect();
    join(&shown)
}

/// `fleet nodes`: one line a node, what they complain about, and a count.
pub fn nodes(nodes: &[FleetNode], style: &Style) -> String {
    const COLUMNS: [Column; 8] = [
        Column::left(""),
        Column::flexible("NODE", 12),
        Column::left("STATE"),
        Column::left("ROLE"),
        Column::left("HEARD"),
        Column::right("WORKERS"),
        Column::right("GPUS"),
        Column::flexible("LABELS", 8),
    ];
    if nodes.is_empty() {
        return "No nodes: a fleet of one keeps no list. See `reevectl fleet status`.\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = nodes.iter().map(|n| node(n, style)).collect();
    let mut out = table(&COLUMNS, &rows, 0, style);
    let troubled: Vec<_> = nodes.iter().filter(|n| !n.problems.is_empty()).collect();
    if !troubled.is_empty() {
        out.push('\n');
    }
    for n in troubled {
        out.push_str(&hanging(&format!("{}: {}", n.name, n.problems.join("; ")), style));
    }
    let mut states = BTreeMap::new();
    for n in nodes {
        *states.entry(n.state.clone()).or_default() += 1;
    }
    let s = if nodes.len() == 1 { "" } else { "s" };
    out.push_str(&format!("\n{} node{s}: {}.\n", nodes.len(), counted(&states).unwrap_or_default()));
    out
}

fn node(n: &FleetNode, style: &Style) -> Vec<Cell> {
    let known = n.version.is_some();
    let heard = n.age.map(|age| {
        let usec = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        short(Wall(style.now.0.saturating_sub(usec)), style.now)
    });
    let (ready, wanted) = n.workers.iter().fold((0, 0), |(r, w), worker| (r + worker.ready, w + worker.wanted));
    let well = n.gpus.iter().filter(|g| g.health.as_deref().is_none_or(|h| h == "healthy")).count();
    let gpus = match n.gpus.len() {
        0 => NOTHING.to_owned(),
        all if all == well => all.to_string(),
        all => format!("{well}/{all}"),
    };
    let labels: Vec<String> = n.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let workers = if known { format!("{ready}/{wanted}") } else { NOTHING.to_owned() };
    vec![
        Cell::mark(&n.state, style),
        n.name.as_str().into(),
        Cell::state(&n.state),
        n.role.as_str().into(),
        heard.unwrap_or_else(|| NOTHING.to_owned()).into(),
        Cell::toned(workers, if ready < wanted { Tone::Warn } else { Tone::Plain }),
        gpus.into(),
        labels.join(",").into(),
    ]
}

/// `fleet slots`: one line a slot; below them in full why one waits or is suspect.
pub fn slots(slots: &[Slot], style: &Style) -> String {
    const COLUMNS: [Column; 9] = [
        Column::left(""),
        Column::left("SLOT"),
        Column::flexible("HOLDER", 8),
        Column::flexible("KIND", 8),
        Column::flexible("GROUP", 6),
        Column::left("STATE"),
        Column::left("SINCE"),
        Column::left("EXPIRES"),
        Column::flexible("WHY", 8),
    ];
    if slots.is_empty() {
        return "No slots are held or asked for.\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = slots.iter().map(|s| slot(s, style)).collect();
    let mut out = table(&COLUMNS, &rows, 0, style);
    let cut: Vec<&Slot> = slots.iter().filter(|s| s.blocked.is_some() && !out.contains(&why(s))).collect();
    if !cut.is_empty() {
        out.push('\n');
    }
    for s in cut {
        out.push_str(&hanging(&format!("{}: {}", s.id, why(s)), style));
    }
    out
}

fn slot(s: &Slot, style: &Style) -> Vec<Cell> {
    let since = s.since.map_or_else(|| NOTHING.to_owned(), |at| short(at, style.now));
    let expires = match s.expires {
        None => NOTHING.to_owned(),
        Some(at) if at.0 <= style.now.0 => "now".to_owned(),
        // How long it is still to go, as coarse as how long ago.
        Some(at) => short(style.now, at),
    };
    vec![
        Cell::mark(&s.state, style),
        s.id.as_str().into(),
        s.holder.as_str().into(),
        s.kind.as_str().into(),
        s.group.as_deref().unwrap_or(NOTHING).into(),
        Cell::state(&s.state),
        since.into(),
        expires.into(),
        why(s).into(),
    ]
}

/// Its place in the queue and who blocks it; why it is suspect; what it is for.
fn why(s: &Slot) -> String {
    let text = s.blocked.as_deref().or(s.reason.as_deref()).unwrap_or_default();
    match s.position {
        Some(place) => format!("#{place} in the queue: {text}").trim_end_matches([' ', ':']).to_owned(),
        None => text.to_owned(),
    }
}

/// `fleet why`: one event a line, its text going on below where it is long.
pub fn past(past: &[Past], style: &Style) -> String {
    const COLUMNS: [Column; 4] =
        [Column::left("TIME"), Column::left("ABOUT"), Column::left("CAUSE"), Column::left("TEXT")];
    if past.is_empty() {
        return "Nothing is kept of it: reeved has seen nothing since its start.\n".to_owned();
    }
    let widest = |column: &str, of: fn(&Past) -> &str| {
        past.iter().map(|p| of(p).chars().count()).chain([column.len()]).max().unwrap_or(0)
    };
    let taken = 15 + widest("ABOUT", |p| &p.kind) + widest("CAUSE", |p| &p.cause) + 3 * 2;
    let room = style.width.map_or(usize::MAX, |width| width.saturating_sub(taken).max(20));
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for p in past {
        let mut lines = broken(&p.text, room).into_iter();
        let first = lines.next().unwrap_or_default();
        rows.push(vec![brief(p.time, style).into(), p.kind.as_str().into(), p.cause.as_str().into(), first.into()]);
        rows.extend(lines.map(|line| vec!["".into(), "".into(), "".into(), line.into()]));
    }
    table(&COLUMNS, &rows, 0, style)
}

/// `fleet ask`: the slot that was granted.
pub fn granted(s: &Slot, style: &Style) -> String {
    let fence = s.fence.as_deref().map(|fence| format!(", fence {fence}")).unwrap_or_default();
    let until = s.expires.map(|at| format!(", until {} ({})", stamp(at, style), relative(at, style.now)));
    format!("{}: granted{fence}{}\n", s.id, until.unwrap_or_default())
}

/// A text that goes on indented where it is long.
fn hanging(text: &str, style: &Style) -> String {
    let width = style.width.map_or(usize::MAX, |width| width.saturating_sub(2));
    broken(&super::style::tame(text), width).join("\n  ") + "\n"
}
