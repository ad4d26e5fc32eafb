//! For tests: builds the fake libraries, once, with the same cargo and into the same folder as the test itself.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The built library of this name.
pub fn library(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        // target/debug/deps/reeve-…
        let folder = test.parent().unwrap().parent().unwrap().to_owned();
        let target = folder.parent().unwrap();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--locked", "--quiet", "-p", "fake-nvml", "-p", "fake-nvml-old", "--target-dir"]);
        build.arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the fake NVML cannot be built");
        folder
    });
    folder.join(name)
}
