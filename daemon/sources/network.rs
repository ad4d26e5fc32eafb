//! Network devices, from `/proc/net/dev` and `/sys/class/net`.

use super::fields::Known;
use super::files::Kept;
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Family, Samples};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Family and place behind the name.
const FIELDS: [(&Family, usize); 8] = [
    (&f::NODE_NETWORK_RECEIVE_BYTES, 0),
    (&f::NODE_NETWORK_RECEIVE_PACKETS, 1),
    (&f::NODE_NETWORK_RECEIVE_ERRS, 2),
    (&f::NODE_NETWORK_RECEIVE_DROP, 3),
    (&f::NODE_NETWORK_TRANSMIT_BYTES, 8),
    (&f::NODE_NETWORK_TRANSMIT_PACKETS, 9),
    (&f::NODE_NETWORK_TRANSMIT_ERRS, 10),
    (&f::NODE_NETWORK_TRANSMIT_DROP, 11),
];

/// Devices of containers and overlays: they come and go in hundreds and are seen on the device below them.
const EXCLUDED: [&str; 14] = [
    "veth", "br-", "docker", "podman", "cni", "cali", "cilium", "lxc", "lxdbr", "virbr", "vnet", "flannel", "vxlan",
    "tunl",
];

pub(super) struct Network {
    file: Kept,
    class: PathBuf,
    labels: Known,
    devices: BTreeMap<String, Device>,
}

struct Device {
    state: Kept,
    speed: Kept,
}

impl Network {
    pub(super) fn new(proc: &Path, sys: &Path) -> Self {
        Self {
            file: Kept::new(proc.join("net/dev")),
            class: sys.join("class/net"),
            labels: Known::new("device"),
            devices: BTreeMap::new(),
        }
    }
}

impl Source for Network {
    fn name(&self) -> &'static str {
        "network"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        let Some(text) = self.file.read(look.scratch)? else { return Ok(samples) };
        let found = parse(text, &mut self.labels, &mut samples);
        self.devices.retain(|name, _| found.contains(name));
        for name in found {
            let folder = self.class.join(&name);
            let labels = self.labels.get(&name);
            let device = self.devices.entry(name).or_insert_with(|| Device {
                state: Kept::new(folder.join("operstate")),
                speed: Kept::new(folder.join("speed")),
            });
            // Either may fail for a device that has just gone.
            if let Ok(Some(state)) = device.state.read(look.scratch) {
                samples.put_with(&f::NODE_NETWORK_UP, &labels, f64::from(u8::from(state.trim() == "up")));
            }
            // A device without a link fails here, a driver that does not know says -1.
            if let Ok(Some(speed)) = device.speed.read(look.scratch) {
                let megabits = speed.trim().parse::<f64>().ok().filter(|speed| *speed > 0.0);
                samples.put_some(&f::NODE_NETWORK_SPEED, &labels, megabits.map(|m| m * 1e6 / 8.0));
            }
        }
        Ok(samples)
    }
}

/// The counters; the devices that were found.
fn parse(text: &str, labels: &mut Known, samples: &mut Samples) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines().skip(2) {
        // A name may hold a colon, as an alias does.
        let Some((name, counts)) = line.rsplit_once(':') else { continue };
        let name = name.trim();
        if EXCLUDED.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let labels = labels.get(name);
        let mut fields = FIELDS.iter().peekable();
        for (at, word) in counts.split_ascii_whitespace().enumerate() {
            if let Some((family, _)) = fields.next_if(|(_, place)| *place == at) {
                samples.put_some(family, &labels, word.parse().ok());
            }
        }
        found.push(name.to_owned());
    }
    found
}
