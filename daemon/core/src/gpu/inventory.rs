//! What there is, as the source has seen it.

use super::health::Facts;
use crate::time::Mono;
use std::collections::BTreeMap;

/// All cards at one instant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    /// When the look began.
    pub at: Mono,
    /// What NVML is to us.
    pub hold: Hold,
    /// By index; cards that were there before and are lost stand behind.
    pub cards: Vec<Card>,
}

/// Our hold on NVML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Hold {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// Turned off in the configuration.
    Off,
    /// We hold it.
    Held,
    /// Let go on request, so that cards can be reset and the driver replaced.
    Released,
    /// It cannot be had: no driver, no library, a driver replaced underneath, a call that hangs. With the reason.
    Unavailable(String),
}

/// The way from one card to another, nearest first; in brackets what `nvidia-smi topo -m` calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// NVLink, without a switch between them (NV#).
    Nvlink,
    /// Two chips of one board.
    Board,
    /// One PCIe switch (PIX).
    Switch,
    /// Several PCIe switches, no host bridge (PXB).
    Switches,
    /// One host bridge (PHB).
    Bridge,
    /// Several host bridges of one NUMA node (NODE).
    Node,
    /// From one NUMA node to another (SYS).
    System,
}

/// One card.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Card {
    /// NVML's number; it may be another after a restart.
    pub index: u32,
    /// Identity.
    pub uuid: String,
    /// Model.
    pub name: String,
    /// PCI address.
    pub bus_id: String,
    /// CPU node it hangs on, where there is more than one.
    pub numa_node: Option<u32>,
    /// The ways to other cards, by their UUID, as far as they are known.
    pub ways: BTreeMap<String, Way>,
    /// Device files that give access to it; empty when they are not known.
    pub nodes: Vec<String>,
    /// Bytes.
    pub memory_total: Option<u64>,
    /// Bytes, without what the driver keeps for itself.
    pub memory_used: Option<u64>,
    /// Kernels running, 0 to 1.
    pub utilization: Option<f64>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    /// Watts.
    pub power: Option<f64>,
    /// How it is.
    pub facts: Facts,
    /// MIG is on: it is given away in slices only.
    pub sliced: bool,
    /// Its MIG slices.
    pub slices: Vec<Slice>,
    /// Processes on it, on slices too.
    pub processes: Vec<Process>,
}

/// A MIG slice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slice {
    /// Identity.
    pub uuid: String,
    /// Kind, `1g.10gb`.
    pub profile: String,
    /// GPU instance.
    pub gpu_instance: u32,
    /// Compute instance.
    pub compute_instance: u32,
    /// Device files that give access to it beside those of its card.
    pub nodes: Vec<String>,
    /// Bytes.
    pub memory_total: Option<u64>,
    /// Bytes.
    pub memory_used: Option<u64>,
}

/// A process on a card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Device memory it holds, where the driver tells.
    pub memory: Option<u64>,
    /// GPU instance it runs on, on a sliced card.
    pub gpu_instance: Option<u32>,
    /// Its cgroup v2 path below the mount; `None` when it is gone or hidden.
    pub cgroup: Option<String>,
}

impl Hold {
    /// The word on the bus and in metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Hold::Unknown => "unknown",
            Hold::Off => "off",
            Hold::Held => "held",
            Hold::Released => "released",
            Hold::Unavailable(_) => "unavailable",
        }
    }
}

impl Inventory {
    /// The card with this UUID, or the one with this slice.
    pub fn card_of(&self, uuid: &str) -> Option<&Card> {
        self.cards.iter().find(|c| c.uuid == uuid || c.slices.iter().any(|s| s.uuid == uuid))
    }
}

impl Card {
    /// Its slice with this UUID.
    pub fn slice(&self, uuid: &str) -> Option<&Slice> {
        self.slices.iter().find(|s| s.uuid == uuid)
    }

    /// `GPU 3 (GPU-5ee0f1c2)`: number and the beginning of the UUID, for people.
    pub fn label(&self) -> String {
        format!("GPU {} ({})", self.index, short(&self.uuid))
    }
}

/// The first group of a UUID, with its kind.
pub fn short(uuid: &str) -> &str {
    let mut parts = uuid.match_indices('-');
    match (parts.next(), parts.next()) {
        (Some(_), Some((end, _))) => uuid.get(..end).unwrap_or(uuid),
        _ => uuid,
    }
}

/// A cgroup's path below the mount, from its folder or from there already.
pub fn below_mount(path: &str) -> &str {
    let rest = path.strip_prefix("/sys/fs/cgroup").unwrap_or(path);
    rest.strip_prefix("/unified").unwrap_or(rest)
}

/// Whether a cgroup is this one or one below it.
pub fn is_within(path: &str, of: &str) -> bool {
    let (path, of) = (below_mount(path), below_mount(of));
    !of.is_empty() && of != "/" && path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
