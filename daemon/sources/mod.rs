//! What is measured, one source each: samples or an error, never a panic, never in the way of another.
//!
//! - [`gpu`]: cards, through NVML, on threads of its own.

pub mod gpu;
