//! Workers: what their cgroups say and what only the supervisor knows.

use crate::metrics::family::Family;

/// This group, in the order of the manual page.
pub(super) static TABLE: &[&Family] = &[];
