//! What the control groups of this machine can do.

/// Whether limits can be in force: a container on a hybrid host has no controllers.
pub fn controllers() -> bool {
    let told = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    ["cpu", "memory", "pids"].iter().all(|wanted| told.split_whitespace().any(|c| c == *wanted))
}
