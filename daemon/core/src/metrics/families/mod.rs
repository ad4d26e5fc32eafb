//! The table of all families, a file per group.

use super::family::Family;

pub mod agent;
pub mod daemon;
mod define;
pub mod fleet;
mod gpu;
pub mod intake;
pub mod mqtt;
mod node;
pub mod supervisor;
mod worker;

pub use gpu::*;
pub use node::*;
pub use worker::*;

/// The groups with their headings, in the order of the manual page.
pub fn groups() -> impl Iterator<Item = (&'static str, &'static [&'static Family])> {
    [
        ("The host", node::TABLE),
        ("Workers, from their cgroups", worker::TABLE),
        ("Workers and teams, from the supervisor", supervisor::TABLE),
        ("GPUs", gpu::TABLE),
        ("The fleet", fleet::TABLE),
        ("Brokers of the fleet", mqtt::TABLE),
        ("Reeve itself", daemon::TABLE),
        ("Workers' own numbers on their way in", intake::TABLE),
        ("Agents, from the workers themselves", agent::TABLE),
    ]
    .into_iter()
}

/// Every family there is, group after group.
pub fn all() -> impl Iterator<Item = &'static Family> {
    groups().flat_map(|(_, families)| families.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Kind;
    use std::collections::BTreeSet;

    /// MET-17: names follow the conventions and stand there once.
    #[test]
    fn met_17_every_family_is_well_formed() {
        let mut names = BTreeSet::new();
        for family in all() {
            let name = family.name;
            assert!(names.insert(name), "{name} stands there twice");
            assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{name}: {:?}", family.help);
            assert!(!family.source.is_empty(), "{name} has no source");
            if name.starts_with("node_") || name.starts_with("process_") {
                continue;
            }
            assert_eq!(family.kind == Kind::Counter, name.ends_with("_total"), "{name}");
            if !family.unit.is_empty() && name.starts_with("reeve_") {
                assert!(name.contains(family.unit), "{name} does not name its unit {}", family.unit);
            }
        }
    }
}
