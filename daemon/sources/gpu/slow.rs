//! The slow lane: errors, rows, limits, health, links, slices.

use super::calls::Fault;
use super::card::Open;
use super::links::{self, number};
use super::mig;
use crate::host::lock::lock;
use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{
    EccCounter, MemoryError, MemoryLocation, RetirementCause, TemperatureThreshold,
};
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::*;
use reeve_core::metrics::Samples;
use reeve_core::metrics::families as f;
use std::path::Path;

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

/// One look at a card.
pub(super) fn look<'n>(
    card: &mut Open<'n>,
    nvml: &'n Nvml,
    options: &super::Options,
    into: &mut Samples,
) -> Result<(), Fault> {
    engines(card, into)?;
    ecc(card, into)?;
    rows(card, into)?;
    pages(card, into)?;
    links::look(card, options.nvlink_links, into)?;
    mig::look(card, nvml, options, Path::new(&options.root), into)?;
    card.facts.fatal_xid = lock(&card.shared.xids).fatal(&card.known.uuid);
    for (check, passes) in card.facts.checks() {
        into.put_with(&f::GPU_HEALTH, &card.with("check", check), flag(passes));
    }
    Ok(())
}

fn engines(card: &mut Open<'_>, into: &mut Samples) -> Result<(), Fault> {
    let labels = card.known.labels.clone();
    let encoder = card.ask("nvmlDeviceGetEncoderUtilization", |d| d.encoder_utilization())?;
    into.put_some(&f::GPU_ENCODER, &labels, encoder.map(|u| f64::from(u.utilization) / 100.0));
    let decoder = card.ask("nvmlDeviceGetDecoderUtilization", |d| d.decoder_utilization())?;
    into.put_some(&f::GPU_DECODER, &labels, decoder.map(|u| f64::from(u.utilization) / 100.0));
    let persistent = card.ask("nvmlDeviceGetPersistenceMode", |d| d.is_in_persistent_mode())?;
    into.put_some(&f::GPU_PERSISTENCE_MODE, &labels, persistent.map(flag));
    for (word, kind) in [
        ("shutdown", TemperatureThreshold::Shutdown),
        ("slowdown", TemperatureThreshold::Slowdown),
        ("memory_max", TemperatureThreshold::MemoryMax),
        ("gpu_max", TemperatureThreshold::GpuMax),
    ] {
        let limit = card.ask_of("nvmlDeviceGetTemperatureThreshold", word, |d| d.temperature_threshold(kind))?;
        let labels = card.with("kind", word);
        into.put_some(&f::GPU_TEMPERATURE_THRESHOLD, &labels, limit.map(f64::from));
    }
    Ok(())
}

fn ecc(card: &mut Open<'_>, into: &mut Samples) -> Result<(), Fault> {
    for (kind, error) in [("corrected", MemoryError::Corrected), ("uncorrected", MemoryError::Uncorrected)] {
        for (scope, counter) in [("volatile", EccCounter::Volatile), ("aggregate", EccCounter::Aggregate)] {
            let base = card.known.labels.and(&[("kind", kind), ("scope", scope)]);
            let all = card.ask_of("nvmlDeviceGetTotalEccErrors", kind, |d| d.total_ecc_errors(error, counter))?;
            if (kind, scope) == ("uncorrected", "volatile") {
                card.facts.uncorrected = all;
            }
            into.put_some(&f::GPU_ECC_ERRORS, &base.and(&[("location", "all")]), all.map(|n| n as f64));
            for (word, location) in [("device", MemoryLocation::Device), ("sram", MemoryLocation::SRAM)] {
                let ask = |d: &nvml_wrapper::Device<'_>| d.memory_error_counter(error, counter, location);
                let count = card.ask_of("nvmlDeviceGetMemoryErrorCounter", word, ask)?;
                into.put_some(&f::GPU_ECC_ERRORS, &base.and(&[("location", word)]), count.map(|n| n as f64));
            }
        }
    }
    Ok(())
}

fn rows(card: &mut Open<'_>, into: &mut Samples) -> Result<(), Fault> {
    let labels = card.known.labels.clone();
    let ids = [
        NVML_FI_DEV_REMAPPED_COR,
        NVML_FI_DEV_REMAPPED_UNC,
        NVML_FI_DEV_REMAPPED_PENDING,
        NVML_FI_DEV_REMAPPED_FAILURE,
        NVML_FI_DEV_GET_GPU_RECOVERY_ACTION,
    ]
    .map(FieldId);
    let fields = card.ask_of("nvmlDeviceGetFieldValues", "rows", |d| d.field_values_for(&ids))?.unwrap_or_default();
    let value = |at: usize| fields.get(at).and_then(number);
    into.put_some(&f::GPU_REMAPPED_ROWS, &card.with("cause", "correctable"), value(0));
    into.put_some(&f::GPU_REMAPPED_ROWS, &card.with("cause", "uncorrectable"), value(1));
    into.put_some(&f::GPU_ROW_REMAP_PENDING, &labels, value(2));
    into.put_some(&f::GPU_ROW_REMAP_FAILURE, &labels, value(3));
    into.put_some(&f::GPU_RECOVERY_ACTION, &labels, value(4));
    card.facts.remap_pending = value(2).map(|v| v > 0.0);
    card.facts.remap_failure = value(3).map(|v| v > 0.0);
    card.facts.recovery_action = value(4).map(|v| v as u32);
    Ok(())
}

fn pages(card: &mut Open<'_>, into: &mut Samples) -> Result<(), Fault> {
    let labels = card.known.labels.clone();
    for (word, cause) in [
        ("single_bit", RetirementCause::MultipleSingleBitEccErrors),
        ("double_bit", RetirementCause::DoubleBitEccError),
    ] {
        let retired = card.ask_of("nvmlDeviceGetRetiredPages", word, |d| d.retired_pages(cause))?;
        let labels = card.with("cause", word);
        into.put_some(&f::GPU_RETIRED_PAGES, &labels, retired.map(|pages| pages.len() as f64));
    }
    let pending = card.ask("nvmlDeviceGetRetiredPagesPendingStatus", |d| d.are_pages_pending_retired())?;
    card.facts.pages_pending = pending;
    into.put_some(&f::GPU_RETIRED_PAGES_PENDING, &labels, pending.map(flag));
    Ok(())
}
