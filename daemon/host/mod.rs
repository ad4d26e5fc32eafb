//! This machine. One file per thing; each outside library has its one door here.

pub mod cgroup;
pub mod clock;
pub mod config_files;
pub mod console;
pub mod datagram;
pub mod fdstore;
pub mod holds;
pub mod http;
pub mod journal;
pub mod launcher;
pub mod localtime;
pub mod lock;
pub mod many;
pub mod notify;
pub mod paths;
pub mod ports;
pub mod probe;
pub mod process;
pub mod ready;
pub mod sd;
pub mod store;
pub mod threads;
pub mod users;
