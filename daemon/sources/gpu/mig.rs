//! MIG: the slices of a card.

use super::Options;
use super::calls::{Fault, time};
use super::card::{Open, THREAD, exists};
use super::gpm;
use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper::{Device, GpmSample, Nvml};
use reeve_core::gpu::Slice;
use reeve_core::metrics::Samples;
use reeve_core::metrics::families as f;
use std::path::Path;

/// A slice, as it was last seen.
pub(super) struct OpenSlice<'n> {
    pub known: Slice,
    device: Device<'n>,
    pub used: Option<u64>,
    gpm: Option<GpmSample<'n>>,
}

/// One look at a card's slices.
pub(super) fn look<'n>(
    card: &mut Open<'n>,
    nvml: &'n Nvml,
    options: &Options,
    root: &Path,
    into: &mut Samples,
) -> Result<(), Fault> {
    let mode = card.ask("nvmlDeviceGetMigMode", |d| d.mig_mode())?;
    card.sliced = mode.is_some_and(|m| m.current == 1);
    let former = std::mem::take(&mut card.slices);
    if !card.sliced {
        return Ok(());
    }
    let most = card.ask("nvmlDeviceGetMaxMigDeviceCount", |d| d.mig_device_count())?.unwrap_or(0);
    let mut samples: Vec<_> = former.into_iter().map(|s| (s.known.uuid, s.gpm)).collect();
    for index in 0..most {
        let found = time(card.shared, THREAD, "nvmlDeviceGetMigDeviceHandleByIndex", || {
            card.device.mig_device_by_index(index)
        })?;
        // Numbers without a slice are in between.
        let Ok(device) = found else { continue };
        let Some(mut slice) = open(card, nvml, device, root)? else { continue };
        let before = samples.iter_mut().find(|(uuid, _)| *uuid == slice.known.uuid).and_then(|(_, gpm)| gpm.take());
        slice.gpm = before;
        tell(card, nvml, &mut slice, options, into)?;
        card.slices.push(slice);
    }
    Ok(())
}

/// The memory of the slices anew: who is on them is looked at more often than they are.
pub(super) fn memory(card: &mut Open<'_>) -> Result<(), Fault> {
    for slice in &mut card.slices {
        let memory = time(card.shared, THREAD, "nvmlDeviceGetMemoryInfo_v2", || slice.device.memory_info())?;
        slice.used = memory.ok().map(|m| m.used);
    }
    Ok(())
}

fn open<'n>(card: &Open<'n>, nvml: &'n Nvml, device: Device<'n>, root: &Path) -> Result<Option<OpenSlice<'n>>, Fault> {
    let shared = card.shared;
    let uuid = time(shared, THREAD, "nvmlDeviceGetUUID", || device.uuid())?;
    let gpu_instance = time(shared, THREAD, "nvmlDeviceGetGpuInstanceId", || instance(nvml, &device, true))?;
    let compute_instance = time(shared, THREAD, "nvmlDeviceGetComputeInstanceId", || instance(nvml, &device, false))?;
    let attributes = time(shared, THREAD, "nvmlDeviceGetAttributes_v2", || device.attributes())?;
    let memory = time(shared, THREAD, "nvmlDeviceGetMemoryInfo_v2", || device.memory_info())?.ok();
    let (Ok(uuid), Ok(gpu_instance), Ok(compute_instance), Ok(attributes)) =
        (uuid, gpu_instance, compute_instance, attributes)
    else {
        return Ok(None);
    };
    let profile = profile(
        attributes.gpu_instance_slice_count,
        attributes.compute_instance_slice_count,
        attributes.memory_size_mb << 20,
        card.figures.memory_total,
    );
    let nodes = caps(root, card.known.minor.unwrap_or(card.known.index), gpu_instance, compute_instance);
    let known = Slice {
        uuid,
        profile,
        gpu_instance,
        compute_instance,
        nodes,
        memory_total: memory.as_ref().map(|m| m.total),
        memory_used: None,
    };
    Ok(Some(OpenSlice { known, device, used: memory.map(|m| m.used), gpm: None }))
}

fn tell<'n>(
    card: &Open<'n>,
    nvml: &'n Nvml,
    slice: &mut OpenSlice<'n>,
    options: &Options,
    into: &mut Samples,
) -> Result<(), Fault> {
    let labels = card.known.labels.and(&[("mig_uuid", &slice.known.uuid)]);
    let info = labels.and(&[
        ("gpu_instance_id", &slice.known.gpu_instance.to_string()),
        ("compute_instance_id", &slice.known.compute_instance.to_string()),
        ("profile", &slice.known.profile),
    ]);
    into.put_with(&f::GPU_MIG_INFO, &info, 1.0);
    into.put_some(&f::GPU_MIG_MEMORY_TOTAL, &labels, slice.known.memory_total.map(|b| b as f64));
    into.put_some(&f::GPU_MIG_MEMORY_USED, &labels, slice.used.map(|b| b as f64));
    if options.gpm {
        let instance = slice.known.gpu_instance;
        let active = gpm::slice(card, nvml, instance, &mut slice.gpm)?;
        into.put_some(&f::GPU_MIG_SM_ACTIVE, &labels, active);
    }
    Ok(())
}

/// The GPU instance (or compute instance) of a slice's handle, which nvml-wrapper does not ask for.
fn instance(nvml: &Nvml, device: &Device<'_>, gpu: bool) -> Result<u32, NvmlError> {
    let lib = nvml.lib();
    let mut id = 0;
    let symbol = if gpu { &lib.nvmlDeviceGetGpuInstanceId } else { &lib.nvmlDeviceGetComputeInstanceId };
    let call = nvml_sym(symbol.as_ref())?;
    // SAFETY: the handle belongs to this NVML, which is alive, and `id` is a place for the one number written.
    nvml_try(unsafe { call(device.handle(), &mut id) })?;
    Ok(id)
}

/// NVIDIA's name of a slice: its share of the SMs, and its memory in eighths of the card's. A compute instance that is
/// smaller than its GPU instance says so in front.
fn profile(slices: u32, compute: u32, memory: u64, total: Option<u64>) -> String {
    const GIB: u64 = 1 << 30;
    let gigabytes = match total {
        Some(total) if total > 0 => {
            let eighths = (memory as f64 / total as f64 * 8.0).ceil();
            (eighths / 8.0 * total.div_ceil(GIB) as f64).round() as u64
        }
        _ => memory.div_ceil(GIB),
    };
    let part = if compute == slices { String::new() } else { format!("{compute}c.") };
    format!("{part}{slices}g.{gigabytes}gb")
}

/// The files that give access to a slice, from the driver's list of minor numbers.
fn caps(root: &Path, card: u32, gpu_instance: u32, compute_instance: u32) -> Vec<String> {
    let text = std::fs::read_to_string(root.join("proc/driver/nvidia-caps/mig-minors")).unwrap_or_default();
    let names = [
        format!("gpu{card}/gi{gpu_instance}/access"),
        format!("gpu{card}/gi{gpu_instance}/ci{compute_instance}/access"),
    ];
    let minor =
        |name: &String| text.lines().find_map(|line| line.strip_prefix(name.as_str())?.trim().parse::<u32>().ok());
    let nodes = names.iter().filter_map(minor).map(|minor| format!("/dev/nvidia-caps/nvidia-cap{minor}"));
    nodes.filter(|node| exists(root, node)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SUP-05: names as NVIDIA's own tools give them, for cards whose memory is no round number.
    #[test]
    fn sup_05_slices_have_nvidias_names() {
        let mib = |n: u64| n << 20;
        let of = |slices, compute, memory, total| profile(slices, compute, mib(memory), Some(mib(total)));
        assert_eq!(of(1, 1, 9856, 81_920), "1g.10gb");
        assert_eq!(of(3, 3, 40_192, 81_920), "3g.40gb");
        assert_eq!(of(1, 1, 16_384, 143_771), "1g.18gb");
        assert_eq!(of(3, 3, 69_632, 143_771), "3g.71gb");
        assert_eq!(of(3, 1, 40_192, 81_920), "1c.3g.40gb");
    }
}
