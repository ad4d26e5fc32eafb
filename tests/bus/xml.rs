//! The shipped interface files are the code: they differ from it only after a change of the API, which is then meant.

use reeve::bus::introspect::file;
use reeve::bus::table::INTERFACES;
use std::path::Path;

#[test]
fn shipped_interfaces_are_the_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/dbus/interfaces");
    let update = std::env::var_os("REEVE_UPDATE_XML").is_some();
    let mut known = Vec::new();
    for interface in INTERFACES {
        let name = format!("{}.xml", interface.full_name());
        let path = folder.join(&name);
        let expected = file(interface);
        if update {
            std::fs::write(&path, &expected).unwrap();
        }
        let shipped = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            shipped == expected,
            "packaging/dbus/interfaces/{name} differs from the code; REEVE_UPDATE_XML=1 writes it anew"
        );
        known.push(name);
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(known.contains(&name), "{name} belongs to no interface");
    }
}
