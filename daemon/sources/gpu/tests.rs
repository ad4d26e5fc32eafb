//! The source against the fake library, through nvml-wrapper itself.

mod fake;
mod hang;
mod hold;
mod load;
mod share;
