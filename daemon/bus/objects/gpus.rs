//! Gpus: the list and the properties.

use crate::bus::call::Call;
use crate::bus::error::Error;
use crate::bus::wire::{Dict, Val};
use reeve_core::Snapshot;
use reeve_core::gpu::inventory::Slice;
use reeve_core::status::CardStatus;
use zbus::Message;

pub(super) fn list(call: &Call<'_>) -> Result<Message, Error> {
    let snapshot = call.handle().snapshot();
    let gpus = &snapshot.gpus;
    let rows: Vec<_> =
        gpus.cards.iter().map(|c| (c.card.index, c.card.uuid.as_str(), c.health, c.allocatable, more(c))).collect();
    call.reply(&(gpus.state, gpus.reason.as_str(), rows))
}

/// `GpuCount`, `GpuHealth`, `NvmlState`.
pub(super) fn properties(snapshot: &Snapshot) -> Vec<Val<'_>> {
    let gpus = &snapshot.gpus;
    let ill = gpus.cards.iter().filter(|c| c.health != "healthy" || !c.reason.is_empty());
    let ill: Vec<_> = ill.map(|c| format!("{} {}: {}", c.card.label(), c.health, c.reason)).collect();
    vec![
        Val::Count(u32::try_from(gpus.cards.len()).unwrap_or(u32::MAX)),
        if ill.is_empty() { Val::text("ok") } else { Val::text(ill.join("; ")) },
        Val::text(gpus.state),
    ]
}

/// What is not known is left out.
fn more(status: &CardStatus) -> Dict<'_> {
    let card = &status.card;
    let text = |text: &'static str, value: &str| (!value.is_empty()).then(|| (text, value.to_owned()));
    let mut dict = Dict::new();
    for (key, value) in
        [text("name", &card.name), text("bus_id", &card.bus_id), text("reason", &status.reason)].into_iter().flatten()
    {
        dict = dict.with(key, Val::text(value));
    }
    let slice = |s: &Slice| format!("{} {}", s.profile, s.uuid);
    let workers: std::collections::BTreeSet<String> = status.given.values().map(ToString::to_string).collect();
    dict.maybe("numa_node", card.numa_node.map(Val::Count))
        .maybe("memory_total", card.memory_total.map(Val::Long))
        .maybe("memory_used", card.memory_used.map(Val::Long))
        .maybe("utilization", card.utilization.map(Val::Real))
        .maybe("temperature", card.temperature.map(Val::Real))
        .maybe("power", card.power.map(Val::Real))
        .with("mig", Val::Bool(card.sliced))
        .with("slices", Val::Texts(card.slices.iter().map(|s| slice(s).into()).collect()))
        .with("processes", Val::Count(u32::try_from(card.processes.len()).unwrap_or(u32::MAX)))
        .with("workers", Val::Texts(workers.into_iter().map(Into::into).collect()))
}
