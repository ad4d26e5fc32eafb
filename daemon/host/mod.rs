//! This machine. One file per thing; each outside library has its one door here.

pub mod cgroup;
pub mod launcher;
pub mod paths;
