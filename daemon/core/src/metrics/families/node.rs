//! The host, under the names, types and labels of node_exporter: its rules and dashboards work unchanged (MET-01 to
//! MET-04).
//!
//! Facts that do not change while a host is up stand in the slow lane all the same: a host name can be changed, and an
//! upgrade changes the release.

use super::define::families;
use crate::metrics::family::{Family, Kind, Lane};

const DEVICE: &[&str] = &["device"];
const FILESYSTEM: &[&str] = &["device", "mountpoint", "fstype", "device_error"];
const UNAME: &[&str] = &["sysname", "release", "version", "machine", "nodename", "domainname"];
/// Labels of `node_os_info`: the fields of os-release in small letters.
pub const OS: &[&str] = &[
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
];

families! {
    NODE_CPU_SECONDS = counter("node_cpu_seconds_total", "seconds",
        "Seconds the CPUs spent in each mode.", "/proc/stat").with(&["cpu", "mode"]).otel("system.cpu.time");
    NODE_CONTEXT_SWITCHES = counter("node_context_switches_total", "",
        "Total number of context switches.", "/proc/stat");
    NODE_INTR = counter("node_intr_total", "", "Total number of interrupts serviced.", "/proc/stat");
    NODE_FORKS = counter("node_forks_total", "", "Total number of forks.", "/proc/stat").otel("system.process.created");
    NODE_BOOT_TIME = gauge("node_boot_time_seconds", "seconds", "Node boot time, in unixtime.", "/proc/stat");
    NODE_PROCS_RUNNING = gauge("node_procs_running", "", "Number of processes in runnable state.", "/proc/stat")
        .otel("system.process.count");
    NODE_PROCS_BLOCKED = gauge("node_procs_blocked", "",
        "Number of processes blocked waiting for I/O to complete.", "/proc/stat").otel("system.process.count");

    NODE_LOAD1 = gauge("node_load1", "", "1m load average.", "/proc/loadavg");
    NODE_LOAD5 = gauge("node_load5", "", "5m load average.", "/proc/loadavg");
    NODE_LOAD15 = gauge("node_load15", "", "15m load average.", "/proc/loadavg");

    NODE_MEMORY_MEM_TOTAL = gauge("node_memory_MemTotal_bytes", "bytes",
        "Memory information field MemTotal_bytes.", "/proc/meminfo").otel("system.memory.limit");
    NODE_MEMORY_MEM_FREE = gauge("node_memory_MemFree_bytes", "bytes",
        "Memory information field MemFree_bytes.", "/proc/meminfo").otel("system.memory.usage");
    NODE_MEMORY_MEM_AVAILABLE = gauge("node_memory_MemAvailable_bytes", "bytes",
        "Memory information field MemAvailable_bytes.", "/proc/meminfo").otel("system.linux.memory.available");
    NODE_MEMORY_BUFFERS = gauge("node_memory_Buffers_bytes", "bytes",
        "Memory information field Buffers_bytes.", "/proc/meminfo").otel("system.memory.usage");
    NODE_MEMORY_CACHED = gauge("node_memory_Cached_bytes", "bytes",
        "Memory information field Cached_bytes.", "/proc/meminfo").otel("system.memory.usage");
    NODE_MEMORY_SLAB = gauge("node_memory_Slab_bytes", "bytes", "Memory information field Slab_bytes.", "/proc/meminfo")
        .otel("system.memory.usage");
    NODE_MEMORY_SWAP_TOTAL = gauge("node_memory_SwapTotal_bytes", "bytes",
        "Memory information field SwapTotal_bytes.", "/proc/meminfo").otel("system.paging.usage");
    NODE_MEMORY_SWAP_FREE = gauge("node_memory_SwapFree_bytes", "bytes",
        "Memory information field SwapFree_bytes.", "/proc/meminfo").otel("system.paging.usage");
    NODE_MEMORY_DIRTY = gauge("node_memory_Dirty_bytes", "bytes",
        "Memory information field Dirty_bytes.", "/proc/meminfo").otel("system.memory.usage");
    NODE_MEMORY_WRITEBACK = gauge("node_memory_Writeback_bytes", "bytes",
        "Memory information field Writeback_bytes.", "/proc/meminfo").otel("system.memory.usage");
    NODE_MEMORY_ANON_PAGES = gauge("node_memory_AnonPages_bytes", "bytes",
        "Memory information field AnonPages_bytes.", "/proc/meminfo").otel("system.memory.usage");
    NODE_MEMORY_HUGE_PAGES_TOTAL = gauge("node_memory_HugePages_Total", "",
        "Memory information field HugePages_Total.", "/proc/meminfo");
    NODE_MEMORY_HUGE_PAGES_FREE = gauge("node_memory_HugePages_Free", "",
        "Memory information field HugePages_Free.", "/proc/meminfo");
    NODE_MEMORY_HUGE_PAGES_RSVD = gauge("node_memory_HugePages_Rsvd", "",
        "Memory information field HugePages_Rsvd.", "/proc/meminfo");
    NODE_MEMORY_HUGE_PAGES_SURP = gauge("node_memory_HugePages_Surp", "",
        "Memory information field HugePages_Surp.", "/proc/meminfo");

    NODE_VMSTAT_PGMAJFAULT = gauge("node_vmstat_pgmajfault", "",
        "/proc/vmstat information field pgmajfault.", "/proc/vmstat").of(Kind::Untyped).otel("system.paging.faults");
    NODE_VMSTAT_PGFAULT = gauge("node_vmstat_pgfault", "", "/proc/vmstat information field pgfault.", "/proc/vmstat")
        .of(Kind::Untyped).otel("system.paging.faults");
    NODE_VMSTAT_OOM_KILL = gauge("node_vmstat_oom_kill", "", "/proc/vmstat information field oom_kill.", "/proc/vmstat")
        .of(Kind::Untyped);
    NODE_VMSTAT_PGPGIN = gauge("node_vmstat_pgpgin", "", "/proc/vmstat information field pgpgin.", "/proc/vmstat")
        .of(Kind::Untyped).otel("system.paging.operations");
    NODE_VMSTAT_PGPGOUT = gauge("node_vmstat_pgpgout", "", "/proc/vmstat information field pgpgout.", "/proc/vmstat")
        .of(Kind::Untyped).otel("system.paging.operations");
    NODE_VMSTAT_PSWPIN = gauge("node_vmstat_pswpin", "", "/proc/vmstat information field pswpin.", "/proc/vmstat")
        .of(Kind::Untyped).otel("system.paging.operations");
    NODE_VMSTAT_PSWPOUT = gauge("node_vmstat_pswpout", "", "/proc/vmstat information field pswpout.", "/proc/vmstat")
        .of(Kind::Untyped).otel("system.paging.operations");

    NODE_PRESSURE_CPU_WAITING = counter("node_pressure_cpu_waiting_seconds_total", "seconds",
        "Total time in seconds that processes have waited for CPU time.", "/proc/pressure/cpu");
    NODE_PRESSURE_MEMORY_WAITING = counter("node_pressure_memory_waiting_seconds_total", "seconds",
        "Total time in seconds that processes have waited for memory.", "/proc/pressure/memory");
    NODE_PRESSURE_MEMORY_STALLED = counter("node_pressure_memory_stalled_seconds_total", "seconds",
        "Total time in seconds no process could make progress due to memory congestion.", "/proc/pressure/memory");
    NODE_PRESSURE_IO_WAITING = counter("node_pressure_io_waiting_seconds_total", "seconds",
        "Total time in seconds that processes have waited due to IO congestion.", "/proc/pressure/io");
    NODE_PRESSURE_IO_STALLED = counter("node_pressure_io_stalled_seconds_total", "seconds",
        "Total time in seconds no process could make progress due to IO congestion.", "/proc/pressure/io");
    NODE_PRESSURE_IRQ_STALLED = counter("node_pressure_irq_stalled_seconds_total", "seconds",
        "Total time in seconds no process could make progress due to IRQ congestion.", "/proc/pressure/irq");

    NODE_DISK_READ_BYTES = counter("node_disk_read_bytes_total", "bytes",
        "The total number of bytes read successfully.", "/proc/diskstats").with(DEVICE).otel("system.disk.io");
    NODE_DISK_WRITTEN_BYTES = counter("node_disk_written_bytes_total", "bytes",
        "The total number of bytes written successfully.", "/proc/diskstats").with(DEVICE).otel("system.disk.io");
    NODE_DISK_READS_COMPLETED = counter("node_disk_reads_completed_total", "",
        "The total number of reads completed successfully.",
        "/proc/diskstats").with(DEVICE).otel("system.disk.operations");
    NODE_DISK_WRITES_COMPLETED = counter("node_disk_writes_completed_total", "",
        "The total number of writes completed successfully.",
        "/proc/diskstats").with(DEVICE).otel("system.disk.operations");
    NODE_DISK_READ_TIME = counter("node_disk_read_time_seconds_total", "seconds",
        "The total number of seconds spent by all reads.",
        "/proc/diskstats").with(DEVICE).otel("system.disk.operation_time");
    NODE_DISK_WRITE_TIME = counter("node_disk_write_time_seconds_total", "seconds",
        "This is the total number of seconds spent by all writes.",
        "/proc/diskstats").with(DEVICE).otel("system.disk.operation_time");
    NODE_DISK_IO_TIME = counter("node_disk_io_time_seconds_total", "seconds",
        "Total seconds spent doing I/Os.", "/proc/diskstats").with(DEVICE).otel("system.disk.io_time");
    NODE_DISK_IO_TIME_WEIGHTED = counter("node_disk_io_time_weighted_seconds_total", "seconds",
        "The weighted # of seconds spent doing I/Os.", "/proc/diskstats").with(DEVICE);
    NODE_DISK_IO_NOW = gauge("node_disk_io_now", "", "The number of I/Os currently in progress.", "/proc/diskstats")
        .with(DEVICE);

    NODE_FILESYSTEM_SIZE = gauge("node_filesystem_size_bytes", "bytes", "Filesystem size in bytes.", "statvfs")
        .with(FILESYSTEM).on(Lane::Mount).otel("system.filesystem.limit");
    NODE_FILESYSTEM_AVAIL = gauge("node_filesystem_avail_bytes", "bytes",
        "Filesystem space available to non-root users in bytes.",
        "statvfs").with(FILESYSTEM).on(Lane::Mount).otel("system.filesystem.usage");
    NODE_FILESYSTEM_FREE = gauge("node_filesystem_free_bytes", "bytes", "Filesystem free space in bytes.", "statvfs")
        .with(FILESYSTEM).on(Lane::Mount).otel("system.filesystem.usage");
    NODE_FILESYSTEM_FILES = gauge("node_filesystem_files", "", "Filesystem total file nodes.", "statvfs")
        .with(FILESYSTEM).on(Lane::Mount);
    NODE_FILESYSTEM_FILES_FREE = gauge("node_filesystem_files_free", "", "Filesystem total free file nodes.", "statvfs")
        .with(FILESYSTEM).on(Lane::Mount);
    NODE_FILESYSTEM_DEVICE_ERROR = gauge("node_filesystem_device_error", "",
        "Whether an error occurred while getting statistics for the given device.",
        "statvfs").with(FILESYSTEM).on(Lane::Mount);
    NODE_FILESYSTEM_READONLY = gauge("node_filesystem_readonly", "",
        "Filesystem read-only status.", "/proc/1/mountinfo").with(FILESYSTEM).on(Lane::Mount);

    NODE_NETWORK_RECEIVE_BYTES = counter("node_network_receive_bytes_total", "bytes",
        "Network device statistic receive_bytes.", "/proc/net/dev").with(DEVICE).otel("system.network.io");
    NODE_NETWORK_RECEIVE_PACKETS = counter("node_network_receive_packets_total", "",
        "Network device statistic receive_packets.", "/proc/net/dev").with(DEVICE).otel("system.network.packet.count");
    NODE_NETWORK_RECEIVE_ERRS = counter("node_network_receive_errs_total", "",
        "Network device statistic receive_errs.", "/proc/net/dev").with(DEVICE).otel("system.network.errors");
    NODE_NETWORK_RECEIVE_DROP = counter("node_network_receive_drop_total", "",
        "Network device statistic receive_drop.", "/proc/net/dev").with(DEVICE).otel("system.network.packet.dropped");
    NODE_NETWORK_TRANSMIT_BYTES = counter("node_network_transmit_bytes_total", "bytes",
        "Network device statistic transmit_bytes.", "/proc/net/dev").with(DEVICE).otel("system.network.io");
    NODE_NETWORK_TRANSMIT_PACKETS = counter("node_network_transmit_packets_total", "",
        "Network device statistic transmit_packets.", "/proc/net/dev").with(DEVICE).otel("system.network.packet.count");
    NODE_NETWORK_TRANSMIT_ERRS = counter("node_network_transmit_errs_total", "",
        "Network device statistic transmit_errs.", "/proc/net/dev").with(DEVICE).otel("system.network.errors");
    NODE_NETWORK_TRANSMIT_DROP = counter("node_network_transmit_drop_total", "",
        "Network device statistic transmit_drop.", "/proc/net/dev").with(DEVICE).otel("system.network.packet.dropped");
    NODE_NETWORK_UP = gauge("node_network_up", "",
        "Value is 1 if operstate is 'up', 0 otherwise.", "/sys/class/net/*/operstate").with(DEVICE);
    NODE_NETWORK_SPEED = gauge("node_network_speed_bytes", "bytes",
        "Speed of the link in bytes a second; absent while the driver does not know it.",
        "/sys/class/net/*/speed").with(DEVICE);

    NODE_FILEFD_ALLOCATED = gauge("node_filefd_allocated", "",
        "File descriptor statistics: allocated.", "/proc/sys/fs/file-nr");
    NODE_FILEFD_MAXIMUM = gauge("node_filefd_maximum", "",
        "File descriptor statistics: maximum.", "/proc/sys/fs/file-nr");
    NODE_NF_CONNTRACK_ENTRIES = gauge("node_nf_conntrack_entries", "",
        "Number of currently allocated flow entries for connection tracking.",
        "/proc/sys/net/netfilter/nf_conntrack_count");
    NODE_NF_CONNTRACK_ENTRIES_LIMIT = gauge("node_nf_conntrack_entries_limit", "",
        "Maximum size of connection tracking table.", "/proc/sys/net/netfilter/nf_conntrack_max");

    NODE_TIMEX_OFFSET = gauge("node_timex_offset_seconds", "seconds",
        "Time offset in between local system and reference clock.", "adjtimex");
    NODE_TIMEX_SYNC_STATUS = gauge("node_timex_sync_status", "",
        "Is clock synchronized to a reliable server (1 = yes, 0 = no).", "adjtimex");
    NODE_TIMEX_MAXERROR = gauge("node_timex_maxerror_seconds", "seconds", "Maximum error in seconds.", "adjtimex");
    NODE_TIME = gauge("node_time_seconds", "seconds", "System time in seconds since epoch (1970).", "clock");

    NODE_HWMON_TEMP = gauge("node_hwmon_temp_celsius", "celsius",
        "Hardware monitor for temperature.",
        "/sys/class/hwmon").with(&["chip", "sensor"]).on(Lane::Slow).otel("hw.temperature");
    NODE_HWMON_FAN = gauge("node_hwmon_fan_rpm", "",
        "Hardware monitor for fan revolutions per minute.",
        "/sys/class/hwmon").with(&["chip", "sensor"]).on(Lane::Slow).otel("hw.fan.speed");
    NODE_HWMON_POWER = gauge("node_hwmon_power_watt", "",
        "Hardware monitor for power usage in watts.",
        "/sys/class/hwmon").with(&["chip", "sensor"]).on(Lane::Slow).otel("hw.power");
    NODE_THERMAL_ZONE_TEMP = gauge("node_thermal_zone_temp", "celsius",
        "Zone temperature in Celsius.",
        "/sys/class/thermal").with(&["type", "zone"]).on(Lane::Slow).otel("hw.temperature");
    NODE_MD_DISKS = gauge("node_md_disks", "", "Number of active/failed/spare disks of device.", "/proc/mdstat")
        .with(&["device", "state"]).on(Lane::Slow);
    NODE_MD_DISKS_REQUIRED = gauge("node_md_disks_required", "", "Total number of disks of device.", "/proc/mdstat")
        .with(DEVICE).on(Lane::Slow);
    NODE_BONDING_SLAVES = gauge("node_bonding_slaves", "",
        "Number of configured slaves per bonding interface.",
        "/sys/class/net/*/bonding").with(&["master"]).on(Lane::Slow);
    NODE_BONDING_ACTIVE = gauge("node_bonding_active", "",
        "Number of active slaves per bonding interface.", "/sys/class/net/*/bonding").with(&["master"]).on(Lane::Slow);
    NODE_EDAC_CORRECTABLE_ERRORS = counter("node_edac_correctable_errors_total", "",
        "Total correctable memory errors.",
        "/sys/devices/system/edac/mc").with(&["controller"]).on(Lane::Slow).otel("hw.errors");
    NODE_EDAC_UNCORRECTABLE_ERRORS = counter("node_edac_uncorrectable_errors_total", "",
        "Total uncorrectable memory errors.",
        "/sys/devices/system/edac/mc").with(&["controller"]).on(Lane::Slow).otel("hw.errors");
    NODE_SYSTEMD_UNIT_STATE = gauge("node_systemd_unit_state", "",
        "Systemd unit.", "D-Bus, units of [metrics] units").with(&["name", "state", "type"]).on(Lane::Event);
    NODE_SYSTEMD_SERVICE_RESTART = counter("node_systemd_service_restart_total", "",
        "Service unit count of Restart triggers.", "D-Bus, units of [metrics] units").with(&["name"]).on(Lane::Event);
    NODE_MEMORY_NUMA_MEM_TOTAL = gauge("node_memory_numa_MemTotal", "bytes",
        "Memory information field MemTotal of a NUMA node, in bytes.",
        "/sys/devices/system/node").with(&["node"]).on(Lane::Slow);
    NODE_MEMORY_NUMA_MEM_FREE = gauge("node_memory_numa_MemFree", "bytes",
        "Memory information field MemFree of a NUMA node, in bytes.",
        "/sys/devices/system/node").with(&["node"]).on(Lane::Slow);
    NODE_MEMORY_NUMA_FILE_PAGES = gauge("node_memory_numa_FilePages", "bytes",
        "Memory information field FilePages of a NUMA node, in bytes.",
        "/sys/devices/system/node").with(&["node"]).on(Lane::Slow);
    NODE_MEMORY_NUMA_HIT = counter("node_memory_numa_numa_hit_total", "",
        "Memory information field numa_hit_total of a NUMA node, in pages.",
        "/sys/devices/system/node").with(&["node"]).on(Lane::Slow);
    NODE_MEMORY_NUMA_MISS = counter("node_memory_numa_numa_miss_total", "",
        "Memory information field numa_miss_total of a NUMA node, in pages.",
        "/sys/devices/system/node").with(&["node"]).on(Lane::Slow);

    NODE_UNAME_INFO = gauge("node_uname_info", "",
        "Labeled system information as provided by the uname system call.",
        "uname").with(UNAME).of(Kind::Info).on(Lane::Slow);
    NODE_OS_INFO = gauge("node_os_info", "",
        "A metric with a constant '1' value that tells the fields of os-release.",
        "/etc/os-release").with(OS).of(Kind::Info).on(Lane::Slow);
}
