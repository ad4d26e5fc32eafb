//! GPUs, through NVML.

use crate::metrics::family::Family;

/// This group, in the order of the manual page.
pub(super) static TABLE: &[&Family] = &[];
