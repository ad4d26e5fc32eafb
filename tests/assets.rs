//! What the build writes beside the programs: every page is there, complete and without warnings; the catalogue has
//! every entry; the shells can read the completions.

#![expect(clippy::unwrap_used, reason = "tests")]

use reeve_core::notice::TABLE;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn assets() -> &'static Path {
    Path::new(env!("REEVE_ASSETS"))
}

fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(assets().join("man")).unwrap();
    entries.map(|e| e.unwrap().path()).collect()
}

/// Runs a program that not every machine has; `None` without it.
fn try_run(command: &mut Command) -> Option<String> {
    let output = command.env("MANWIDTH", "100").env("LC_ALL", "C.UTF-8").output().ok()?;
    assert!(output.status.success(), "{command:?} ended with {}", output.status);
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_program_verb_and_file_has_its_page() {
    let names: Vec<_> = pages().iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for page in "reevectl.1 reevectl-status.1 reevectl-config-explain.1 reevectl-node-drain.1 reeved.8 reeve.toml.5 \
                 org.reeve.Node1.5 reeve-metrics.7 reeve-fleet.7 reevectl-metrics.1 reevectl-fleet-ask.1"
        .split_whitespace()
    {
        assert!(names.iter().any(|n| n == page), "{page} is missing among {names:?}");
    }
    assert!(!names.iter().any(|n| n.contains("help")), "{names:?}");
}

#[test]
fn pages_are_filled_in_and_without_warnings() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for mark in ["@VERSION@", "@NODE_KEYS@", "@WORKER_KEYS@", "@INTERFACES@", "@FAMILIES@"] {
            assert!(!text.contains(mark), "{} still has {mark}", page.display());
        }
        if let Some(warnings) = try_run(Command::new("man").args(["--warnings", "-l"]).arg(&page)) {
            assert_eq!(warnings, "", "{}", page.display());
        }
    }
}

#[test]
fn the_manual_of_the_files_names_every_key() {
    let text = fs::read_to_string(assets().join("man/reeve.toml.5")).unwrap().replace("\\-", "-");
    for key in reeve_core::config::schema() {
        let name = key.path.rsplit('.').next().unwrap_or_default().replace('*', "NAME");
        assert!(text.contains(&name), "{} is missing", key.path);
    }
}

/// MET-17: the manual of metrics has every family.
#[test]
fn met_17_the_manual_of_metrics_names_every_family() {
    let text = fs::read_to_string(assets().join("man/reeve-metrics.7")).unwrap().replace("\\-", "-");
    for family in reeve_core::metrics::families::all() {
        assert!(text.contains(&format!("\\fB{}\\fR", family.name)), "{} is missing", family.name);
    }
}

#[test]
fn the_manual_of_the_bus_names_every_member_that_is_shipped() {
    let text = fs::read_to_string(assets().join("man/org.reeve.Node1.5")).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/dbus/interfaces");
    let Ok(files) = fs::read_dir(shipped) else { return };
    for file in files {
        let xml = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in xml.lines().map(str::trim) {
            let member = ["<method name=\"", "<property name=\"", "<signal name=\""];
            let Some(rest) = member.iter().find_map(|m| line.strip_prefix(m)) else { continue };
            let name = rest.split('"').next().unwrap_or_default();
            assert!(text.contains(&format!("\\fB{name}\\fR")), "{name} is missing");
        }
    }
}

#[test]
fn the_catalogue_has_every_entry() {
    let catalog = assets().join("catalog/reeve.catalog");
    let text = fs::read_to_string(&catalog).unwrap();
    for info in TABLE {
        let head = format!("-- {}\nSubject: {}\nDefined-By: Reeve\n", info.id, info.title);
        assert!(text.contains(&head), "{}", info.word);
    }
    let root = tempfile::TempDir::new().unwrap();
    for dir in ["usr/lib/systemd/catalog", "var/lib/systemd/catalog"] {
        fs::create_dir_all(root.path().join(dir)).unwrap();
    }
    fs::copy(&catalog, root.path().join("usr/lib/systemd/catalog/reeve.catalog")).unwrap();
    if let Some(complaints) = try_run(Command::new("journalctl").arg("--update-catalog").arg("--root").arg(root.path()))
    {
        assert_eq!(complaints, "");
    }
}

#[test]
fn completions_are_valid_in_their_shells() {
    for (shell, file) in [
        ("bash", "bash/reevectl"),
        ("bash", "bash/reeved"),
        ("zsh", "zsh/_reevectl"),
        ("zsh", "zsh/_reeved"),
        ("fish", "fish/reevectl.fish"),
        ("fish", "fish/reeved.fish"),
    ] {
        let path = assets().join("completions").join(file);
        assert!(path.is_file(), "{}", path.display());
        if let Some(complaints) = try_run(Command::new(shell).arg("-n").arg(&path)) {
            assert_eq!(complaints, "", "{file}");
        }
    }
}

#[test]
fn bash_completes_verbs() {
    let script = format!(
        "source {}/completions/bash/reevectl; COMP_WORDS=(reevectl st); COMP_CWORD=1; _reevectl reevectl st reevectl; \
         echo \"${{COMPREPLY[@]}}\"",
        assets().display()
    );
    let Ok(output) = Command::new("bash").args(["-c", &script]).output() else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "status start stop");
}
