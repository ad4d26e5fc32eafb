//! PCIe and NVLink, and field values, by which most of it comes.

use super::calls::Fault;
use super::card::Open;
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::FieldValueSample;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::*;
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};

/// The number in a field, if the card has it.
pub(super) fn number(field: &Result<FieldValueSample, NvmlError>) -> Option<f64> {
    Some(match field.as_ref().ok()?.value.as_ref().ok()? {
        SampleValue::F64(value) => *value,
        SampleValue::U32(value) => f64::from(*value),
        SampleValue::U64(value) => *value as f64,
        SampleValue::I64(value) => *value as f64,
    })
}

const ERRORS: &[(&str, u32)] = &[
    ("crc_flit", NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL),
    ("crc_data", NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL),
    ("replay", NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL),
    ("recovery", NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL),
];

/// Links of one card at most; NVML refuses the first that the card does not have.
pub(super) const MOST_LINKS: u32 = 36;

/// One look at a card.
pub(super) fn look(card: &mut Open<'_>, single: bool, into: &mut Samples) -> Result<(), Fault> {
    let labels = card.known.labels.clone();
    let generation = card.ask("nvmlDeviceGetCurrPcieLinkGeneration", |d| d.current_pcie_link_gen())?;
    into.put_some(&f::GPU_PCIE_GENERATION, &labels, generation.map(f64::from));
    let width = card.ask("nvmlDeviceGetCurrPcieLinkWidth", |d| d.current_pcie_link_width())?;
    into.put_some(&f::GPU_PCIE_WIDTH, &labels, width.map(f64::from));
    let replays = card.ask("nvmlDeviceGetPcieReplayCounter", |d| d.pcie_replay_counter())?;
    into.put_some(&f::GPU_PCIE_REPLAY, &labels, replays.map(f64::from));
    let mut ids = vec![
        FieldId(NVML_FI_DEV_PCIE_COUNT_TX_BYTES),
        FieldId(NVML_FI_DEV_PCIE_COUNT_RX_BYTES),
        FieldId(NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX),
        FieldId(NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX),
    ];
    ids.extend(ERRORS.iter().map(|(_, id)| FieldId(*id)));
    let fields = card.ask_of("nvmlDeviceGetFieldValues", "links", |d| d.field_values_for(&ids))?.unwrap_or_default();
    let value = |at: usize| fields.get(at).and_then(number);
    into.put_some(&f::GPU_PCIE_TRANSMIT, &labels, value(0));
    into.put_some(&f::GPU_PCIE_RECEIVE, &labels, value(1));
    let up = links(card, single, into)?;
    if up.is_none() {
        return Ok(());
    }
    let all = card.with("link", "all");
    into.put_some(&f::GPU_NVLINK_UP, &all, up.map(f64::from));
    // In KiB.
    into.put_some(&f::GPU_NVLINK_TRANSMIT, &all, value(2).map(|k| k * 1024.0));
    into.put_some(&f::GPU_NVLINK_RECEIVE, &all, value(3).map(|k| k * 1024.0));
    for (at, (word, _)) in ERRORS.iter().enumerate() {
        into.put_some(&f::GPU_NVLINK_ERRORS, &all.and(&[("type", word)]), value(4 + at));
    }
    Ok(())
}

/// How many links are up; `None` on a card without any.
fn links(card: &mut Open<'_>, single: bool, into: &mut Samples) -> Result<Option<u32>, Fault> {
    let mut states = Vec::new();
    while let Ok(number) = u32::try_from(states.len())
        && number < MOST_LINKS
    {
        // The first link that is not there ends the list, and means nothing for the others.
        let ask = super::calls::time(card.shared, super::card::THREAD, "nvmlDeviceGetNvLinkState", || {
            card.device.link_wrapper_for(number).is_active()
        });
        match ask? {
            Ok(active) => states.push(active),
            Err(_) => break,
        }
    }
    if states.is_empty() {
        return Ok(None);
    }
    for (number, active) in states.iter().enumerate().filter(|_| single) {
        let labels: Labels = card.known.labels.and(&[("link", &number.to_string())]);
        into.put_with(&f::GPU_NVLINK_UP, &labels, f64::from(u8::from(*active)));
    }
    let up = states.iter().filter(|active| **active).count();
    Ok(u32::try_from(up).ok())
}
