//! Errors that the memory controllers have seen, from `/sys/devices/system/edac`.

use super::files::{names, number};
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};
use std::path::{Path, PathBuf};

pub(super) struct Edac {
    folder: PathBuf,
}

impl Edac {
    pub(super) fn new(sys: &Path) -> Self {
        Self { folder: sys.join("devices/system/edac/mc") }
    }
}

impl Source for Edac {
    fn name(&self) -> &'static str {
        "edac"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        for name in names(&self.folder, "mc") {
            if (look.spent)() {
                return Err(format!("out of time at {name}"));
            }
            let controller = Labels::new(&[("controller", &name["mc".len()..])]);
            let folder = self.folder.join(&name);
            samples.put_some(&f::NODE_EDAC_CORRECTABLE_ERRORS, &controller, number(&folder.join("ce_count")));
            samples.put_some(&f::NODE_EDAC_UNCORRECTABLE_ERRORS, &controller, number(&folder.join("ue_count")));
        }
        Ok(samples)
    }
}
