//! Defects that can be planted in slots, to show that the simulation would find them. Only the simulation can.

/// One defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FleetPlant {
    /// A grant is answered before it is committed.
    GrantsUncommitted,
    /// A suspect slot does not count.
    SuspectIsFree,
    /// A grant counts from when the answer came, not from the ask.
    GrantFromReceipt,
    /// A grant of an earlier life of the daemon is used.
    OldLifeHolds,
}

impl FleetPlant {
    /// All of them.
    pub const ALL: [FleetPlant; 4] = [
        FleetPlant::GrantsUncommitted,
        FleetPlant::SuspectIsFree,
        FleetPlant::GrantFromReceipt,
        FleetPlant::OldLifeHolds,
    ];
}
