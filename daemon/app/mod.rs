//! The loop: the only owner of state. See the picture in the README.

pub mod args;
pub mod handle;
