//! Bonded network devices, from `/sys/class/net`.

use super::files::line;
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};
use std::path::{Path, PathBuf};

pub(super) struct Bonding {
    class: PathBuf,
}

impl Bonding {
    pub(super) fn new(sys: &Path) -> Self {
        Self { class: sys.join("class/net") }
    }
}

impl Source for Bonding {
    fn name(&self) -> &'static str {
        "bonding"
    }

    fn look(&mut self, _: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        let masters = line(&self.class.join("bonding_masters")).unwrap_or_default();
        for master in masters.split_ascii_whitespace() {
            let folder = self.class.join(master);
            let Some(slaves) = line(&folder.join("bonding/slaves")) else { continue };
            let (mut all, mut active) = (0_u32, 0_u32);
            for slave in slaves.split_ascii_whitespace() {
                let state = ["lower", "slave"]
                    .iter()
                    .find_map(|kind| line(&folder.join(format!("{kind}_{slave}/bonding_slave/mii_status"))));
                all += 1;
                active += u32::from(state.as_deref() == Some("up"));
            }
            let labels = Labels::new(&[("master", master)]);
            samples.put_with(&f::NODE_BONDING_SLAVES, &labels, f64::from(all));
            samples.put_with(&f::NODE_BONDING_ACTIVE, &labels, f64::from(active));
        }
        Ok(samples)
    }
}
