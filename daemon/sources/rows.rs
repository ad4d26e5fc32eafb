//! Which figure of a cgroup is which family.

use super::cgroup::Figures;
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Family, Labels, Samples};

type Row = (&'static Family, fn(&Figures) -> Option<f64>);

/// A replica's, without what has a device.
pub(super) fn worker(figures: &Figures, labels: &Labels, samples: &mut Samples) {
    put(&WORKER, figures, labels, samples);
}

/// A team's, without what has a device.
pub(super) fn team(figures: &Figures, labels: &Labels, samples: &mut Samples) {
    put(&TEAM, figures, labels, samples);
}

fn put(rows: &[Row], figures: &Figures, labels: &Labels, samples: &mut Samples) {
    for (family, value) in rows {
        samples.put_some(family, labels, value(figures));
    }
}

const WORKER: [Row; 30] = [
    (&f::WORKER_CPU_USAGE, |c| c.cpu.usage),
    (&f::WORKER_CPU_USER, |c| c.cpu.user),
    (&f::WORKER_CPU_SYSTEM, |c| c.cpu.system),
    (&f::WORKER_CPU_CFS_PERIODS, |c| c.cpu.periods),
    (&f::WORKER_CPU_CFS_THROTTLED_PERIODS, |c| c.cpu.throttled_periods),
    (&f::WORKER_CPU_CFS_THROTTLED, |c| c.cpu.throttled),
    (&f::WORKER_CPU_LIMIT_CORES, |c| c.cpu_limit),
    (&f::WORKER_MEMORY_USAGE, |c| c.memory),
    (&f::WORKER_MEMORY_PEAK, |c| c.memory_peak),
    (&f::WORKER_MEMORY_SWAP, |c| c.memory_swap),
    (&f::WORKER_MEMORY_LIMIT, |c| c.memory_limit),
    (&f::WORKER_MEMORY_HIGH, |c| c.memory_high),
    (&f::WORKER_MEMORY_WORKING_SET, Figures::working_set),
    (&f::WORKER_MEMORY_ANON, |c| c.stat.anon),
    (&f::WORKER_MEMORY_FILE, |c| c.stat.file),
    (&f::WORKER_MEMORY_KERNEL, |c| c.stat.kernel),
    (&f::WORKER_MEMORY_SOCK, |c| c.stat.sock),
    (&f::WORKER_MEMORY_SHMEM, |c| c.stat.shmem),
    (&f::WORKER_PGMAJFAULT, |c| c.stat.major_faults),
    (&f::WORKER_WORKINGSET_REFAULT_ANON, |c| c.stat.refault_anon),
    (&f::WORKER_WORKINGSET_REFAULT_FILE, |c| c.stat.refault_file),
    (&f::WORKER_PRESSURE_CPU_WAITING, |c| c.pressure[0].some),
    (&f::WORKER_PRESSURE_CPU_STALLED, |c| c.pressure[0].full),
    (&f::WORKER_PRESSURE_MEMORY_WAITING, |c| c.pressure[1].some),
    (&f::WORKER_PRESSURE_MEMORY_STALLED, |c| c.pressure[1].full),
    (&f::WORKER_PRESSURE_IO_WAITING, |c| c.pressure[2].some),
    (&f::WORKER_PRESSURE_IO_STALLED, |c| c.pressure[2].full),
    (&f::WORKER_PIDS, |c| c.pids),
    (&f::WORKER_PIDS_LIMIT, |c| c.pids_limit),
    (&f::WORKER_PIDS_EVENTS_MAX, |c| c.pids_refused),
];

const TEAM: [Row; 15] = [
    (&f::TEAM_CPU_USAGE, |c| c.cpu.usage),
    (&f::TEAM_CPU_CFS_THROTTLED, |c| c.cpu.throttled),
    (&f::TEAM_CPU_LIMIT_CORES, |c| c.cpu_limit),
    (&f::TEAM_MEMORY_USAGE, |c| c.memory),
    (&f::TEAM_MEMORY_WORKING_SET, Figures::working_set),
    (&f::TEAM_MEMORY_SWAP, |c| c.memory_swap),
    (&f::TEAM_MEMORY_LIMIT, |c| c.memory_limit),
    (&f::TEAM_PRESSURE_CPU_WAITING, |c| c.pressure[0].some),
    (&f::TEAM_PRESSURE_CPU_STALLED, |c| c.pressure[0].full),
    (&f::TEAM_PRESSURE_MEMORY_WAITING, |c| c.pressure[1].some),
    (&f::TEAM_PRESSURE_MEMORY_STALLED, |c| c.pressure[1].full),
    (&f::TEAM_PRESSURE_IO_WAITING, |c| c.pressure[2].some),
    (&f::TEAM_PRESSURE_IO_STALLED, |c| c.pressure[2].full),
    (&f::TEAM_PIDS, |c| c.pids),
    (&f::TEAM_PIDS_LIMIT, |c| c.pids_limit),
];
