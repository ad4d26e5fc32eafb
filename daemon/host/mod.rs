//! This machine. One file per thing; each outside library has its one door here.

pub mod config_files;
pub mod launcher;
pub mod paths;
