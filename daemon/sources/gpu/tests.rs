//! The source against the fake library, through nvml-wrapper itself.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod fake;
mod hang;
mod hold;
mod load;
mod share;
