//! The folder of Python's multiprocess metrics.

use crate::host::paths::Paths;
use reeve_core::effect::{MULTIPROCESS_FOLDER, RunSpec};
use std::path::Path;

/// As a runtime directory, if the run is to have it; `Some(None)`: it is, and systemd cannot make it, since it is not
/// below /run.
pub(super) fn folder(spec: &RunSpec, paths: &Paths) -> Option<Option<String>> {
    let runtime = paths.runtime_dir(&spec.replica);
    let wanted = spec.wants_multiprocess(&runtime.to_string_lossy());
    wanted.then(|| {
        let below = runtime.strip_prefix("/run").ok().filter(|_| paths.root == Path::new("/"))?;
        Some(below.join(MULTIPROCESS_FOLDER).display().to_string())
    })
}
