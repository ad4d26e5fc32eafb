//! The source against the fake library, through nvml-wrapper itself.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod fake;
mod hang;
#[path = "../../../tests/fake-nvml/harness.rs"]
mod harness;
mod hold;
mod load;
mod share;
