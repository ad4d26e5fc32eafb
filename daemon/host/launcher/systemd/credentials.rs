//! Where a worker's credentials come from: `<etc>/credentials`, by the rules of the direct launcher, else one of
//! systemd's own stores. A name that is nowhere is refused here, since systemd would start the worker without it.

use crate::host::paths::Paths;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// systemd.exec(5), LoadCredential=: where a source without a path is looked for.
const STORES: [&str; 8] = [
    "/run/credentials/@system",
    "/run/credentials/@encrypted",
    "/etc/credstore",
    "/etc/credstore.encrypted",
    "/run/credstore",
    "/run/credstore.encrypted",
    "/usr/lib/credstore",
    "/usr/lib/credstore.encrypted",
];

/// Name and source of each, as `LoadCredential=` wants them.
pub(super) fn sources(names: &[String], paths: &Paths) -> Result<Vec<(String, String)>, String> {
    names.iter().map(|name| source(name, paths)).collect()
}

fn source(name: &str, paths: &Paths) -> Result<(String, String), String> {
    let fail = |why: String| format!("credential {name:?}: {why}");
    if name.is_empty() || name.starts_with('.') || name.contains(['/', ':']) {
        return Err(fail("expected a plain file name".to_owned()));
    }
    let own = paths.etc.join("credentials").join(name);
    match std::fs::metadata(&own) {
        Ok(facts) => {
            private(&own, &facts).map_err(fail)?;
            Ok((name.to_owned(), own.display().to_string()))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if STORES.iter().any(|store| Path::new(store).join(name).exists()) {
                return Ok((name.to_owned(), name.to_owned()));
            }
            let place = own.display();
            Err(fail(format!("{place}: no such file, nor is it in systemd's credential stores")))
        }
        Err(e) => Err(fail(format!("{}: {e}", own.display()))),
    }
}

fn private(path: &Path, facts: &Metadata) -> Result<(), String> {
    let path = path.display();
    if !facts.is_file() {
        return Err(format!("{path}: expected a file"));
    }
    if facts.uid() != 0 && facts.uid() != nix::unistd::geteuid().as_raw() {
        return Err(format!("{path}: belongs to uid {}, expected root", facts.uid()));
    }
    if facts.mode() & 0o027 != 0 {
        let mode = facts.mode() & 0o7777;
        return Err(format!("{path}: mode {mode:04o} lets others in, expected 0600 or 0640"));
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_that_is_missing_or_open_to_others_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::new(root.path());
        let folder = paths.etc.join("credentials");
        std::fs::create_dir_all(&folder).unwrap();
        let key = folder.join("key");
        std::fs::write(&key, "x").unwrap();
        let set = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o600);
        let expected = ("key".to_owned(), key.display().to_string());
        assert_eq!(source("key", &paths), Ok(expected));
        set(0o644);
        assert!(source("key", &paths).unwrap_err().contains("0644"));
        assert!(source("other", &paths).unwrap_err().contains("other"));
        assert!(source("../key", &paths).is_err());
    }
}
