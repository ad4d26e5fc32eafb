//! The host, under the names of node_exporter.

use crate::metrics::family::Family;

/// This group, in the order of the manual page.
pub(super) static TABLE: &[&Family] = &[&NODE_LOAD1];

/// Load average over one minute.
pub static NODE_LOAD1: Family = Family::gauge("node_load1", "", "1m load average.", "/proc/loadavg");
