//! `gpu list`: one line a card.

use super::style::{Style, Tone};
use super::table::{Cell, Column, NOTHING, table};
use super::units::bytes;
use crate::bus::proxy::{Gpu, Gpus};

/// The cards, and what NVML is to us where it is not simply held.
pub fn list(gpus: &Gpus, style: &Style) -> String {
    let mut out = String::new();
    if gpus.nvml != "held" {
        let reason = gpus.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        out.push_str(&format!("NVML is {}{reason}.\n", gpus.nvml));
        if gpus.cards.is_empty() {
            return out;
        }
        out.push_str("Figures are those seen last.\n\n");
    }
    if gpus.cards.is_empty() {
        out.push_str("No GPU on this node.\n");
        return out;
    }
    const COLUMNS: [Column; 9] = [
        Column::right("GPU"),
        Column::flexible("NAME", 8),
        Column::left("UUID"),
        Column::right("UTIL"),
        Column::right("MEMORY"),
        Column::right("TEMP"),
        Column::right("POWER"),
        Column::left("HEALTH"),
        Column::flexible("WORKERS", 7),
    ];
    let rows: Vec<Vec<Cell>> = gpus.cards.iter().map(row).collect();
    out.push_str(&table(&COLUMNS, &rows, 0, style));
    for card in gpus.cards.iter().filter(|c| c.reason.is_some()) {
        out.push_str(&format!("\nGPU {}: {}", card.index, card.reason.as_deref().unwrap_or_default()));
    }
    if gpus.cards.iter().any(|c| c.reason.is_some()) {
        out.push('\n');
    }
    out
}

fn row(card: &Gpu) -> Vec<Cell> {
    let figure = |value: Option<f64>, unit: &str| value.map_or_else(|| NOTHING.to_owned(), |v| format!("{v:.0}{unit}"));
    let memory = match (card.memory_used, card.memory_total) {
        (Some(used), Some(total)) if total > 0 => format!("{} {:.0}%", bytes(used), used as f64 * 100.0 / total as f64),
        (Some(used), _) => bytes(used),
        (None, _) => NOTHING.to_owned(),
    };
    let tone = match card.health.as_str() {
        "healthy" => Tone::of_state("ready"),
        "degraded" => Tone::of_state("waiting"),
        _ => Tone::of_state("crash-loop"),
    };
    let name = card.name.as_deref().unwrap_or(NOTHING);
    let workers = if card.workers.is_empty() { NOTHING.to_owned() } else { card.workers.join(" ") };
    vec![
        card.index.to_string().into(),
        name.strip_prefix("NVIDIA ").unwrap_or(name).into(),
        short(&card.uuid).into(),
        figure(card.utilization.map(|u| u * 100.0), "%").into(),
        memory.into(),
        figure(card.temperature, "C").into(),
        figure(card.power, "W").into(),
        Cell::toned(card.health.as_str(), tone),
        workers.into(),
    ]
}

/// The first group of a UUID.
fn short(uuid: &str) -> &str {
    uuid.split('-').nth(1).unwrap_or(uuid)
}
