//! Temperatures, fans and power, from `/sys/class/hwmon` and `/sys/class/thermal`.
//!
//! Some of these chips sit on slow buses and take seconds to answer (node_exporter#1880, #1963, #2966), so this is off
//! unless asked for, stands in the slow lane, and stops when its time is used up.

use super::files::{line, names, number};
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Family, Labels, Samples};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the sensor before its number, family, divisor.
const SENSORS: [(&str, &Family, f64); 3] =
    [("temp", &f::NODE_HWMON_TEMP, 1000.0), ("fan", &f::NODE_HWMON_FAN, 1.0), ("power", &f::NODE_HWMON_POWER, 1e6)];

pub(super) struct Hardware {
    hwmon: PathBuf,
    thermal: PathBuf,
}

impl Hardware {
    pub(super) fn new(sys: &Path) -> Self {
        Self { hwmon: sys.join("class/hwmon"), thermal: sys.join("class/thermal") }
    }
}

impl Source for Hardware {
    fn name(&self) -> &'static str {
        "hardware"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        for chip in names(&self.hwmon, "hwmon") {
            let folder = self.hwmon.join(chip);
            let Some(chip) = chip_name(&folder) else { continue };
            for file in names(&folder, "") {
                let Some(sensor) = file.strip_suffix("_input") else { continue };
                let kind = sensor.trim_end_matches(|c: char| c.is_ascii_digit());
                let Some((_, family, divisor)) = SENSORS.iter().find(|(name, ..)| *name == kind) else { continue };
                if (look.spent)() {
                    return Err(format!("out of time at {chip} {sensor}"));
                }
                let labels = Labels::new(&[("chip", &chip), ("sensor", sensor)]);
                samples.put_some(family, &labels, number(&folder.join(&file)).map(|v| v / divisor));
            }
        }
        for zone in names(&self.thermal, "thermal_zone") {
            if (look.spent)() {
                return Err(format!("out of time at {zone}"));
            }
            let folder = self.thermal.join(&zone);
            let Some(kind) = line(&folder.join("type")) else { continue };
            let labels = Labels::new(&[("type", &kind), ("zone", &zone["thermal_zone".len()..])]);
            let temperature = number(&folder.join("temp")).map(|v| v / 1000.0);
            samples.put_some(&f::NODE_THERMAL_ZONE_TEMP, &labels, temperature);
        }
        Ok(samples)
    }
}

/// Subsystem and device, which stay the same over reboots, or the chip's own name.
fn chip_name(folder: &Path) -> Option<String> {
    let target = |path: &Path| fs::canonicalize(path).ok()?.file_name()?.to_str().map(clean);
    let device = folder.join("device");
    match (target(&device.join("subsystem")), target(&device)) {
        (Some(kind), Some(name)) if !name.is_empty() => Some(format!("{kind}_{name}")),
        _ => line(&folder.join("name")).map(|name| clean(&name)).filter(|name| !name.is_empty()),
    }
}

/// Small letters, digits, `:` and `_`.
fn clean(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == ':' { c.to_ascii_lowercase() } else { '_' };
    name.chars().map(letter).collect::<String>().trim_matches('_').to_owned()
}
