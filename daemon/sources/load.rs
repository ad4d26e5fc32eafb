//! Load averages, from `/proc/loadavg`.

use super::fields::numbers;
use super::files::Kept;
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};
use std::path::Path;

pub(super) struct Load {
    file: Kept,
}

impl Load {
    pub(super) fn new(proc: &Path) -> Self {
        Self { file: Kept::new(proc.join("loadavg")) }
    }
}

impl Source for Load {
    fn name(&self) -> &'static str {
        "load"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        if let Some(text) = self.file.read(look.scratch)? {
            for (family, value) in [&f::NODE_LOAD1, &f::NODE_LOAD5, &f::NODE_LOAD15].into_iter().zip(numbers(text)) {
                samples.put_some(family, &Labels::none(), value);
            }
        }
        Ok(samples)
    }
}
