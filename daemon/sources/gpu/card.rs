//! One card: what it is, what it can be asked, how it was last seen.

use super::calls::{Fault, time, unsupported};
use super::mig::OpenSlice;
use super::shared::Shared;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, GpmSample, Nvml};
use reeve_core::gpu::{Card, Facts, Process, Slice, Way};
use reeve_core::metrics::Labels;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The name of the thread that asks, for what is going on.
pub(super) const THREAD: &str = "gpu-nvml";

/// What does not change while the card is there.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub index: u32,
    pub uuid: String,
    pub name: String,
    pub bus_id: String,
    pub minor: Option<u32>,
    pub numa_node: Option<u32>,
    pub ways: BTreeMap<String, Way>,
    pub nodes: Vec<String>,
    /// `gpu` and `uuid`.
    pub labels: Labels,
    /// Of `reeve_gpu_info`.
    pub info: Labels,
}

/// A card with its handle.
pub(super) struct Open<'n> {
    pub known: Known,
    pub device: Device<'n>,
    pub shared: &'n Shared,
    /// What it cannot do, as far as it was asked.
    cannot: BTreeSet<(&'static str, &'static str)>,
    labels: BTreeMap<(&'static str, &'static str), Labels>,
    /// How it was last seen.
    pub facts: Facts,
    pub figures: Figures,
    pub sliced: bool,
    pub slices: Vec<OpenSlice<'n>>,
    pub processes: Vec<Process>,
    /// The sample that the next one is compared with.
    pub gpm: Option<GpmSample<'n>>,
    /// Newest process sample that was read, in the driver's time.
    pub utilization_seen: u64,
}

/// Figures that are shown with the card.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    pub memory_total: Option<u64>,
    pub memory_used: Option<u64>,
    pub utilization: Option<f64>,
    pub temperature: Option<f64>,
    pub power: Option<f64>,
}

/// Versions that stand with each card.
pub(super) struct Versions {
    pub driver: String,
    pub cuda: String,
}

impl<'n> Open<'n> {
    /// Opens the card of this number.
    pub(super) fn new(
        nvml: &'n Nvml,
        index: u32,
        versions: &Versions,
        root: &Path,
        shared: &'n Shared,
    ) -> Result<Result<Self, NvmlError>, Fault> {
        let device = time(shared, THREAD, "nvmlDeviceGetHandleByIndex_v2", || nvml.device_by_index(index))?;
        let device = match device {
            Ok(device) => device,
            Err(error) => return Ok(Err(error)),
        };
        let uuid = match time(shared, THREAD, "nvmlDeviceGetUUID", || device.uuid())? {
            Ok(uuid) => uuid,
            Err(error) => return Ok(Err(error)),
        };
        let labels = Labels::new(&[("gpu", &index.to_string()), ("uuid", &uuid)]);
        let known = Known {
            index,
            uuid,
            name: String::new(),
            bus_id: String::new(),
            minor: None,
            numa_node: None,
            ways: BTreeMap::new(),
            nodes: Vec::new(),
            info: labels.clone(),
            labels,
        };
        let mut open = Self {
            known,
            device,
            shared,
            cannot: BTreeSet::new(),
            labels: BTreeMap::new(),
            facts: Facts::default(),
            figures: Figures::default(),
            sliced: false,
            slices: Vec::new(),
            processes: Vec::new(),
            gpm: None,
            utilization_seen: 0,
        };
        open.introduce(versions, root)?;
        Ok(Ok(open))
    }

    fn introduce(&mut self, versions: &Versions, root: &Path) -> Result<(), Fault> {
        let name = self.ask("nvmlDeviceGetName", |d| d.name())?.unwrap_or_default();
        let bus_id = self.ask("nvmlDeviceGetPciInfo_v3", |d| d.pci_info())?.map(|p| p.bus_id).unwrap_or_default();
        let minor = self.ask("nvmlDeviceGetMinorNumber", |d| d.minor_number())?;
        let serial = self.ask("nvmlDeviceGetSerial", |d| d.serial())?.unwrap_or_default();
        let vbios = self.ask("nvmlDeviceGetVbiosVersion", |d| d.vbios_version())?.unwrap_or_default();
        let numa_node = numa_node(&bus_id, root);
        let known = &mut self.known;
        known.info = known.labels.and(&[
            ("name", &name),
            ("driver", &versions.driver),
            ("cuda", &versions.cuda),
            ("pci_bus_id", &bus_id),
            ("serial", &serial),
            ("vbios", &vbios),
            ("numa_node", &numa_node.map(|n| n.to_string()).unwrap_or_default()),
        ]);
        let node = minor.map(|m| format!("/dev/nvidia{m}"));
        known.nodes = node.filter(|n| exists(root, n)).into_iter().collect();
        (known.name, known.bus_id, known.minor, known.numa_node) = (name, bus_id, minor, numa_node);
        Ok(())
    }

    /// Asks for one figure. `None`: not supported, or no answer this time.
    pub(super) fn ask<T>(
        &mut self,
        call: &'static str,
        ask: impl FnOnce(&Device<'n>) -> Result<T, NvmlError>,
    ) -> Result<Option<T>, Fault> {
        self.ask_of(call, "", ask)
    }

    /// The same of a call that a card may know for some of its arguments only.
    pub(super) fn ask_of<T>(
        &mut self,
        call: &'static str,
        of: &'static str,
        ask: impl FnOnce(&Device<'n>) -> Result<T, NvmlError>,
    ) -> Result<Option<T>, Fault> {
        if self.cannot.contains(&(call, of)) {
            return Ok(None);
        }
        match time(self.shared, THREAD, call, || ask(&self.device))? {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                if unsupported(&error) {
                    self.cannot.insert((call, of));
                }
                Ok(None)
            }
        }
    }

    /// The labels of the card with one more; made once.
    pub(super) fn with(&mut self, name: &'static str, value: &'static str) -> Labels {
        let base = &self.known.labels;
        self.labels.entry((name, value)).or_insert_with(|| base.and(&[(name, value)])).clone()
    }

    /// It does not answer any more.
    pub(super) fn lose(&mut self, why: String) {
        self.facts.lost = Some(why);
        self.figures = Figures::default();
        self.processes.clear();
        self.gpm = None;
    }

    /// As the core sees it.
    pub(super) fn shown(&self) -> Card {
        let slice = |s: &OpenSlice<'_>| Slice { memory_used: s.used, ..s.known.clone() };
        Card {
            memory_total: self.figures.memory_total,
            memory_used: self.figures.memory_used,
            utilization: self.figures.utilization,
            temperature: self.figures.temperature,
            power: self.figures.power,
            facts: self.facts.clone(),
            sliced: self.sliced,
            slices: self.slices.iter().map(slice).collect(),
            processes: self.processes.clone(),
            ..self.known.shown()
        }
    }
}

impl Known {
    /// As the core sees a card of which nothing else is known.
    pub(super) fn shown(&self) -> Card {
        Card {
            index: self.index,
            uuid: self.uuid.clone(),
            name: self.name.clone(),
            bus_id: self.bus_id.clone(),
            numa_node: self.numa_node,
            ways: self.ways.clone(),
            nodes: self.nodes.clone(),
            ..Card::default()
        }
    }
}

/// Whether a path of the host is there.
pub(super) fn exists(root: &Path, path: &str) -> bool {
    root.join(path.trim_start_matches('/')).exists()
}

/// The CPU node of a PCI device. NVML writes the domain with eight digits, the kernel with four.
fn numa_node(bus_id: &str, root: &Path) -> Option<u32> {
    let id = bus_id.to_ascii_lowercase();
    let short = id.strip_prefix("0000").filter(|rest| rest.len() == "0000:1b:00.0".len()).unwrap_or(&id);
    let path = root.join("sys/bus/pci/devices").join(short).join("numa_node");
    // -1 on hosts with a single node.
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
