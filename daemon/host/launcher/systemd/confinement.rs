//! What a worker sees of the machine: its sandbox, its folders, its cards.

use super::{multiprocess, sandbox};
use crate::bus::systemd1::{Property, Value};
use crate::host::paths::Paths;
use reeve_core::effect::RunSpec;
use std::path::Path;

/// All of it. `socket`: where the worker speaks to us.
pub(super) fn confinement(spec: &RunSpec, socket: Option<&Path>, paths: &Paths) -> Result<Vec<Property>, String> {
    let runtime = paths.runtime_dir(&spec.replica);
    let mut without = Vec::new();
    // A private /tmp would hide what the worker needs there.
    let needed = [
        spec.working_directory.as_deref().map(Path::new),
        spec.exec.first().map(Path::new),
        socket,
        Some(runtime.as_path()),
    ];
    let shared = |p: &Path| p.starts_with("/tmp") || p.starts_with("/var/tmp");
    if needed.into_iter().flatten().any(shared) {
        without.push("PrivateTmp");
    }
    let mut all = Vec::new();
    if spec.limits.gpus_limit > 0 || spec.limits.gpus_request > 0 {
        without.push("PrivateDevices");
        if !spec.sandbox.contains_key("DevicePolicy") {
            all.push(Property::new("DevicePolicy", "closed"));
            all.push(Property::new("DeviceAllow", Value::Pairs(devices(spec))));
        }
    }
    all.extend(sandbox::properties(&spec.sandbox, &without)?);
    let mut writable = Vec::new();
    if let Some(folder) = &spec.working_directory {
        writable.push(format!("-{folder}"));
    }
    match runtime.strip_prefix("/run") {
        // systemd makes it and gives it to the worker's user.
        Ok(below) if paths.root == Path::new("/") => {
            let mut folders = vec![below.display().to_string()];
            folders.extend(multiprocess::folder(spec, paths).flatten());
            // Removed with all in it when the unit stops, so that each run finds them empty.
            all.push(Property::new("RuntimeDirectory", folders));
        }
        _ => writable.push(format!("-{}", runtime.display())),
    }
    // With nothing that closes, it would be a mount namespace for each start, and do nothing.
    if all.iter().any(closes) {
        all.push(Property::new("ReadWritePaths", writable));
    }
    // Else the worker's user owns memory.pressure on newer systemd, and reeved may not set a trigger.
    all.push(Property::new("MemoryPressureWatch", "skip"));
    Ok(all)
}

/// Whether this makes something of the file system read-only, or hides it.
fn closes(property: &Property) -> bool {
    const CLOSING: [&str; 6] =
        ["DynamicUser", "InaccessiblePaths", "ProtectHome", "ProtectSystem", "ReadOnlyPaths", "TemporaryFileSystem"];
    CLOSING.contains(&&*property.name)
        && match &property.value {
            Value::Bool(on) => *on,
            Value::Text(word) => !matches!(word.as_str(), "" | "no" | "false" | "off" | "0" | "n" | "f"),
            Value::Texts(list) => !list.is_empty(),
            _ => true,
        }
}

/// Its own cards, and what they are reached through. In the unit itself, so that a reload applies it again. Where the
/// files are not known beforehand: all cards.
fn devices(spec: &RunSpec) -> Vec<(String, String)> {
    const COMMON: [&str; 3] = ["/dev/nvidiactl", "char-nvidia-uvm", "/dev/nvidia-modeset"];
    let rw = |path: &str| (path.to_owned(), "rw".to_owned());
    match spec.devices.as_slice() {
        [] if spec.gpus.is_empty() && spec.limits.gpus_request == 0 => Vec::new(),
        [] => vec![rw("char-nvidia*")],
        own => COMMON.into_iter().chain(own.iter().map(String::as_str)).map(rw).collect(),
    }
}
