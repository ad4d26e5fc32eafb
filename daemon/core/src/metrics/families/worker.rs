//! Workers and teams: what their cgroups say (MET-01, MET-02, SUP-07, SUP-08). A file that the host does not have is a
//! series that is not there.

use super::define::families;
use crate::metrics::family::Family;

const REPLICA: &[&str] = &["worker", "replica", "role"];
const EVENT: &[&str] = &["worker", "replica", "role", "event"];
const DEVICE: &[&str] = &["worker", "replica", "role", "device"];
const TEAM: &[&str] = &["team"];
const TEAM_DEVICE: &[&str] = &["team", "device"];

families! {
    WORKER_CPU_USAGE = counter("reeve_worker_cpu_usage_seconds_total", "seconds",
        "CPU time used by the live run.", "cpu.stat").with(REPLICA).otel("container.cpu.time");
    WORKER_CPU_USER = counter("reeve_worker_cpu_user_seconds_total", "seconds",
        "CPU time used in user mode.", "cpu.stat").with(REPLICA).otel("container.cpu.time");
    WORKER_CPU_SYSTEM = counter("reeve_worker_cpu_system_seconds_total", "seconds",
        "CPU time used in the kernel.", "cpu.stat").with(REPLICA).otel("container.cpu.time");
    WORKER_CPU_CFS_PERIODS = counter("reeve_worker_cpu_cfs_periods_total", "",
        "Periods of the CPU limit in which it had something to run.", "cpu.stat").with(REPLICA);
    WORKER_CPU_CFS_THROTTLED_PERIODS = counter("reeve_worker_cpu_cfs_throttled_periods_total", "",
        "Periods in which it used up its CPU limit.", "cpu.stat").with(REPLICA);
    WORKER_CPU_CFS_THROTTLED = counter("reeve_worker_cpu_cfs_throttled_seconds_total", "seconds",
        "Time it was held back by its CPU limit.", "cpu.stat").with(REPLICA);
    WORKER_CPU_LIMIT_CORES = gauge("reeve_worker_cpu_limit_cores", "cores",
        "CPU limit in cores; absent without one.", "cpu.max").with(REPLICA);

    WORKER_MEMORY_USAGE = gauge("reeve_worker_memory_usage_bytes", "bytes",
        "Memory charged to it, page cache included.", "memory.current").with(REPLICA).otel("container.memory.usage");
    WORKER_MEMORY_PEAK = gauge("reeve_worker_memory_peak_bytes", "bytes",
        "The most memory that was charged to the live run.", "memory.peak").with(REPLICA);
    WORKER_MEMORY_SWAP = gauge("reeve_worker_memory_swap_bytes", "bytes",
        "Swap in use.", "memory.swap.current").with(REPLICA);
    WORKER_MEMORY_LIMIT = gauge("reeve_worker_memory_limit_bytes", "bytes",
        "Memory above which it is killed; absent without a limit.", "memory.max").with(REPLICA);
    WORKER_MEMORY_HIGH = gauge("reeve_worker_memory_high_bytes", "bytes",
        "Memory above which it is slowed down; absent without a limit.", "memory.high").with(REPLICA);
    WORKER_MEMORY_WORKING_SET = gauge("reeve_worker_memory_working_set_bytes", "bytes",
        "Memory in use without page cache that has not been used lately, as cAdvisor defines it.",
        "memory.current, memory.stat").with(REPLICA).otel("container.memory.working_set");
    WORKER_MEMORY_ANON = gauge("reeve_worker_memory_anon_bytes", "bytes",
        "Memory without a file behind it.", "memory.stat").with(REPLICA);
    WORKER_MEMORY_FILE = gauge("reeve_worker_memory_file_bytes", "bytes", "Page cache.", "memory.stat").with(REPLICA);
    WORKER_MEMORY_KERNEL = gauge("reeve_worker_memory_kernel_bytes", "bytes",
        "Kernel memory.", "memory.stat").with(REPLICA);
    WORKER_MEMORY_SOCK = gauge("reeve_worker_memory_sock_bytes", "bytes",
        "Buffers of sockets.", "memory.stat").with(REPLICA);
    WORKER_MEMORY_SHMEM = gauge("reeve_worker_memory_shmem_bytes", "bytes",
        "Shared memory and tmpfs.", "memory.stat").with(REPLICA);
    WORKER_PGMAJFAULT = counter("reeve_worker_pgmajfault_total", "",
        "Page faults that had to be read from a disk.",
        "memory.stat").with(REPLICA).otel("container.memory.paging.faults");
    WORKER_WORKINGSET_REFAULT_ANON = counter("reeve_worker_workingset_refault_anon_total", "",
        "Pages without a file that had been swapped out and were needed again.", "memory.stat").with(REPLICA);
    WORKER_WORKINGSET_REFAULT_FILE = counter("reeve_worker_workingset_refault_file_total", "",
        "Pages of files that had been dropped and were needed again.", "memory.stat").with(REPLICA);
    WORKER_MEMORY_EVENTS = counter("reeve_worker_memory_events_total", "",
        "Memory events over all runs since the daemon started: low, high, max, oom, oom_kill, oom_group_kill.",
        "memory.events").with(EVENT);

    WORKER_PRESSURE_CPU_WAITING = counter("reeve_worker_pressure_cpu_waiting_seconds_total", "seconds",
        "Time in which some of its tasks waited for a CPU.", "cpu.pressure").with(REPLICA);
    WORKER_PRESSURE_CPU_STALLED = counter("reeve_worker_pressure_cpu_stalled_seconds_total", "seconds",
        "Time in which all of its tasks waited for a CPU.", "cpu.pressure").with(REPLICA);
    WORKER_PRESSURE_MEMORY_WAITING = counter("reeve_worker_pressure_memory_waiting_seconds_total", "seconds",
        "Time in which some of its tasks waited for memory.", "memory.pressure").with(REPLICA);
    WORKER_PRESSURE_MEMORY_STALLED = counter("reeve_worker_pressure_memory_stalled_seconds_total", "seconds",
        "Time in which all of its tasks waited for memory.", "memory.pressure").with(REPLICA);
    WORKER_PRESSURE_IO_WAITING = counter("reeve_worker_pressure_io_waiting_seconds_total", "seconds",
        "Time in which some of its tasks waited for I/O.", "io.pressure").with(REPLICA);
    WORKER_PRESSURE_IO_STALLED = counter("reeve_worker_pressure_io_stalled_seconds_total", "seconds",
        "Time in which all of its tasks waited for I/O.", "io.pressure").with(REPLICA);

    WORKER_IO_READ = counter("reeve_worker_io_read_bytes_total", "bytes",
        "Bytes read from a block device.", "io.stat").with(DEVICE).otel("container.disk.io");
    WORKER_IO_WRITTEN = counter("reeve_worker_io_written_bytes_total", "bytes",
        "Bytes written to a block device.", "io.stat").with(DEVICE).otel("container.disk.io");
    WORKER_IO_READS = counter("reeve_worker_io_reads_total", "", "Reads from a block device.", "io.stat").with(DEVICE);
    WORKER_IO_WRITES = counter("reeve_worker_io_writes_total", "", "Writes to a block device.", "io.stat").with(DEVICE);

    WORKER_PIDS = gauge("reeve_worker_pids", "", "Processes and threads.", "pids.current").with(REPLICA);
    WORKER_PIDS_LIMIT = gauge("reeve_worker_pids_limit", "",
        "Processes and threads at most; absent without a limit.", "pids.max").with(REPLICA);
    WORKER_PIDS_EVENTS_MAX = counter("reeve_worker_pids_events_max_total", "",
        "Forks refused for the limit.", "pids.events").with(REPLICA);
    WORKER_OPEN_FDS = gauge("reeve_worker_open_fds", "",
        "Descriptors open in the main process.", "/proc/PID/fd").with(REPLICA);

    TEAM_CPU_USAGE = counter("reeve_team_cpu_usage_seconds_total", "seconds",
        "CPU time used by all runs of the team.", "cpu.stat").with(TEAM);
    TEAM_CPU_CFS_THROTTLED = counter("reeve_team_cpu_cfs_throttled_seconds_total", "seconds",
        "Time the team was held back by its CPU limit.", "cpu.stat").with(TEAM);
    TEAM_CPU_LIMIT_CORES = gauge("reeve_team_cpu_limit_cores", "cores",
        "CPU limit of the team in cores; absent without one.", "cpu.max").with(TEAM);
    TEAM_MEMORY_USAGE = gauge("reeve_team_memory_usage_bytes", "bytes",
        "Memory charged to the team, page cache included.", "memory.current").with(TEAM);
    TEAM_MEMORY_WORKING_SET = gauge("reeve_team_memory_working_set_bytes", "bytes",
        "Memory of the team without page cache that has not been used lately.",
        "memory.current, memory.stat").with(TEAM);
    TEAM_MEMORY_SWAP = gauge("reeve_team_memory_swap_bytes", "bytes",
        "Swap the team uses.", "memory.swap.current").with(TEAM);
    TEAM_MEMORY_LIMIT = gauge("reeve_team_memory_limit_bytes", "bytes",
        "Memory limit of the team; absent without one.", "memory.max").with(TEAM);
    TEAM_PRESSURE_CPU_WAITING = counter("reeve_team_pressure_cpu_waiting_seconds_total", "seconds",
        "Time in which some tasks of the team waited for a CPU.", "cpu.pressure").with(TEAM);
    TEAM_PRESSURE_CPU_STALLED = counter("reeve_team_pressure_cpu_stalled_seconds_total", "seconds",
        "Time in which all tasks of the team waited for a CPU.", "cpu.pressure").with(TEAM);
    TEAM_PRESSURE_MEMORY_WAITING = counter("reeve_team_pressure_memory_waiting_seconds_total", "seconds",
        "Time in which some tasks of the team waited for memory.", "memory.pressure").with(TEAM);
    TEAM_PRESSURE_MEMORY_STALLED = counter("reeve_team_pressure_memory_stalled_seconds_total", "seconds",
        "Time in which all tasks of the team waited for memory.", "memory.pressure").with(TEAM);
    TEAM_PRESSURE_IO_WAITING = counter("reeve_team_pressure_io_waiting_seconds_total", "seconds",
        "Time in which some tasks of the team waited for I/O.", "io.pressure").with(TEAM);
    TEAM_PRESSURE_IO_STALLED = counter("reeve_team_pressure_io_stalled_seconds_total", "seconds",
        "Time in which all tasks of the team waited for I/O.", "io.pressure").with(TEAM);
    TEAM_IO_READ = counter("reeve_team_io_read_bytes_total", "bytes",
        "Bytes the team read from a block device.", "io.stat").with(TEAM_DEVICE);
    TEAM_IO_WRITTEN = counter("reeve_team_io_written_bytes_total", "bytes",
        "Bytes the team wrote to a block device.", "io.stat").with(TEAM_DEVICE);
    TEAM_PIDS = gauge("reeve_team_pids", "", "Processes and threads of the team.", "pids.current").with(TEAM);
    TEAM_PIDS_LIMIT = gauge("reeve_team_pids_limit", "",
        "Processes and threads of the team at most; absent without a limit.", "pids.max").with(TEAM);
}
