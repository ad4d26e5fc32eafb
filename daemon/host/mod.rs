//! This machine. One file per thing; each outside library has its one door here.

pub mod console;
pub mod launcher;
pub mod localtime;
pub mod paths;
