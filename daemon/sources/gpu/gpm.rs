//! Performance samples (Hopper and later): two of them, compared. Opt-in.

use super::calls::{Fault, time};
use super::card::{Open, THREAD};
use nvml_wrapper::enums::gpm::GpmMetricId;
use nvml_wrapper::gpm::gpm_metrics_get;
use nvml_wrapper::{GpmSample, Nvml};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Family, Samples};

static METRICS: &[(GpmMetricId, &Family)] = &[
    (GpmMetricId::GraphicsUtil, &f::GPU_GRAPHICS_ACTIVE),
    (GpmMetricId::SmUtil, &f::GPU_SM_ACTIVE),
    (GpmMetricId::AnyTensorUtil, &f::GPU_TENSOR_ACTIVE),
    (GpmMetricId::DramBwUtil, &f::GPU_DRAM_ACTIVE),
];

/// One look at a card: what it did since the look before.
pub(super) fn look<'n>(card: &mut Open<'n>, nvml: &'n Nvml, into: &mut Samples) -> Result<(), Fault> {
    // On a sliced card the figures are the slices'; the card's own would be zero.
    if card.sliced || card.ask("nvmlGpmQueryDeviceSupport", |d| d.gpm_support())? != Some(true) {
        return Ok(());
    }
    let Some(sample) = card.ask("nvmlGpmSampleGet", |d| d.gpm_sample())? else {
        return Ok(());
    };
    let labels = card.known.labels.clone();
    if let Some(before) = card.gpm.take() {
        let ids: Vec<_> = METRICS.iter().map(|(id, _)| *id).collect();
        let figures = time(card.shared, THREAD, "nvmlGpmMetricsGet", || gpm_metrics_get(nvml, &before, &sample, &ids))?;
        for ((_, family), figure) in METRICS.iter().zip(figures.unwrap_or_default()) {
            into.put_some(family, &labels, figure.ok().map(|r| r.value / 100.0));
        }
    }
    card.gpm = Some(sample);
    Ok(())
}

/// The share of a slice's SMs that were active since the look before.
pub(super) fn slice<'n>(
    card: &Open<'n>,
    nvml: &'n Nvml,
    instance: u32,
    before: &mut Option<GpmSample<'n>>,
) -> Result<Option<f64>, Fault> {
    let sample = time(card.shared, THREAD, "nvmlGpmMigSampleGet", || card.device.gpm_mig_sample(instance))?;
    let Ok(sample) = sample else { return Ok(None) };
    let mut active = None;
    if let Some(before) = before.take() {
        let ids = [GpmMetricId::SmUtil];
        let figures = time(card.shared, THREAD, "nvmlGpmMetricsGet", || gpm_metrics_get(nvml, &before, &sample, &ids))?;
        active = figures.ok().and_then(|f| f.into_iter().next()?.ok()).map(|r| r.value / 100.0);
    }
    *before = Some(sample);
    Ok(active)
}
