//! The process lane: who is on a card, and whose processes they are.

use super::calls::Fault;
use super::card::Open;
use super::join::{Place, Places, cgroup};
use nvml_wrapper::enums::device::UsedGpuMemory;
use reeve_core::gpu::Process;
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};
use std::collections::BTreeMap;
use std::path::Path;

/// A worker's share of a card.
#[derive(Debug, Default)]
struct Share {
    /// `None` when the driver does not tell of one of its processes.
    memory: Option<u64>,
    processes: u32,
    /// Percent of the SMs.
    sm: Option<u32>,
    labels: Option<Labels>,
}

/// One look at a card.
pub(super) fn look(card: &mut Open<'_>, places: &Places, root: &Path, into: &mut Samples) -> Result<(), Fault> {
    let compute = card.ask("nvmlDeviceGetComputeRunningProcesses_v3", |d| d.running_compute_processes())?;
    let graphics = card.ask("nvmlDeviceGetGraphicsRunningProcesses_v3", |d| d.running_graphics_processes())?;
    if compute.is_none() && graphics.is_none() {
        card.processes.clear();
        return Ok(());
    }
    // One that computes and draws stands in both lists, with the same memory.
    let mut found: BTreeMap<(u32, Option<u32>), Process> = BTreeMap::new();
    for listed in compute.into_iter().chain(graphics).flatten() {
        let memory = match listed.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        };
        let process =
            Process { pid: listed.pid, memory, gpu_instance: listed.gpu_instance_id, cgroup: cgroup(listed.pid, root) };
        found.insert((listed.pid, listed.gpu_instance_id), process);
    }
    card.processes = found.into_values().collect();
    let since = card.utilization_seen;
    let samples = card.ask("nvmlDeviceGetProcessUtilization", |d| d.process_utilization_stats(since))?;
    let mut busy: BTreeMap<u32, u32> = BTreeMap::new();
    for sample in samples.iter().flatten() {
        card.utilization_seen = card.utilization_seen.max(sample.timestamp);
        // In the order of time: the newest stands.
        busy.insert(sample.pid, sample.sm_util.min(100));
    }
    if let Some(memory) = card.ask("nvmlDeviceGetMemoryInfo_v2", |d| d.memory_info())? {
        card.figures.memory_used = Some(memory.used);
        card.figures.memory_total = Some(memory.total);
    }
    super::mig::memory(card)?;
    tell(card, places, &busy, samples.is_some(), root, into);
    Ok(())
}

fn tell(
    card: &Open<'_>,
    places: &Places,
    busy: &BTreeMap<u32, u32>,
    shares_known: bool,
    root: &Path,
    into: &mut Samples,
) {
    let mut shares: BTreeMap<Option<String>, Share> = BTreeMap::new();
    // The remainder is always there, so that the sum is the card's.
    shares.insert(None, Share { memory: Some(0), labels: Some(labels(card, None)), ..Share::default() });
    for process in &card.processes {
        let place = places.of(process.pid, process.cgroup.as_deref(), root);
        let key = place.map(|p| p.replica.to_string());
        let share = shares.entry(key).or_insert_with(|| Share { memory: Some(0), ..Share::default() });
        share.processes += 1;
        share.memory = share.memory.zip(process.memory).map(|(sum, more)| sum.saturating_add(more));
        if shares_known {
            let of = busy.get(&process.pid).copied().unwrap_or(0);
            share.sm = Some(share.sm.unwrap_or(0).saturating_add(of));
        }
        share.labels.get_or_insert_with(|| labels(card, place));
    }
    let workers = shares.iter().filter(|(key, _)| key.is_some()).filter_map(|(_, s)| s.memory);
    let attributed: u64 = workers.sum();
    let rest = card.figures.memory_used.map(|used| used.saturating_sub(attributed));
    for (key, share) in &shares {
        let Some(labels) = &share.labels else { continue };
        let memory = if key.is_some() { share.memory } else { rest };
        into.put_some(&f::WORKER_GPU_MEMORY_USED, labels, memory.map(|b| b as f64));
        into.put_with(&f::WORKER_GPU_PROCESSES, labels, f64::from(share.processes));
        into.put_some(&f::WORKER_GPU_SM, labels, share.sm.map(|percent| f64::from(percent.min(100)) / 100.0));
    }
}

fn labels(card: &Open<'_>, place: Option<&Place>) -> Labels {
    let (worker, replica, role) = match place {
        Some(place) => (place.replica.worker.to_string(), place.replica.index.to_string(), place.role.clone()),
        None => Default::default(),
    };
    Labels::new(&[
        ("worker", &worker),
        ("replica", &replica),
        ("role", &role),
        ("gpu", &card.known.index.to_string()),
        ("uuid", &card.known.uuid),
    ])
}
