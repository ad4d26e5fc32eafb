//! Tests of the configuration: one table per kind of mistake, files as systemd lays them, figures that read back.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod example;
mod files;
mod intake;
mod mutation;
mod relations;
mod showing;
mod single;
mod values;

use super::*;

pub(super) fn host() -> HostFacts {
    HostFacts { hostname: "host-1".into(), cpus: 64, memory: 256 << 30 }
}

pub(super) fn node(text: &str) -> SourceFile {
    SourceFile {
        path: "/etc/reeve/reeve.toml".into(),
        kind: SourceKind::Node,
        rank: 2,
        drop_in: None,
        text: text.into(),
    }
}

pub(super) fn worker(name: &str, text: &str) -> SourceFile {
    SourceFile {
        path: format!("/etc/reeve/workers.d/{name}.toml"),
        kind: SourceKind::Worker(name.into()),
        rank: 2,
        drop_in: None,
        text: text.into(),
    }
}

/// A worker with a valid `exec` in lines 1 and 2; `rest` starts in line 3.
pub(super) fn program(name: &str, rest: &str) -> SourceFile {
    worker(name, &format!("[worker]\nexec = [\"/usr/bin/{name}\"]\n{rest}"))
}

pub(super) fn of_rank(mut file: SourceFile, rank: u8) -> SourceFile {
    let folder = ["/usr/lib/reeve", "/run/reeve", "/etc/reeve"][usize::from(rank)];
    file.path = file.path.replace("/etc/reeve", folder);
    file.rank = rank;
    file
}

pub(super) fn drop_in(mut file: SourceFile, name: &str) -> SourceFile {
    file.path = format!("{}.d/{name}", file.path);
    file.drop_in = Some(name.into());
    file
}

pub(super) fn valid(files: &[SourceFile]) -> Config {
    let loaded = load(files, &host());
    loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

/// `file:line key: text` of each error, the file without its folder.
pub(super) fn errors(files: &[SourceFile]) -> Vec<String> {
    remarks(files, true)
}

pub(super) fn warnings(files: &[SourceFile]) -> Vec<String> {
    remarks(files, false)
}

fn remarks(files: &[SourceFile], error: bool) -> Vec<String> {
    let loaded = load(files, &host());
    let any = loaded.diagnostics.iter().any(|d| d.error);
    assert_eq!(loaded.config.is_none(), any, "{:#?}", loaded.diagnostics);
    loaded
        .diagnostics
        .iter()
        .filter(|d| d.error == error)
        .map(|d| {
            let file = d.file.rsplit('/').next().unwrap();
            format!("{file}:{} {}: {}", d.line, d.key, d.text)
        })
        .collect()
}

/// The only error of these files is at this place and says these words.
#[track_caller]
pub(super) fn only_error(files: &[SourceFile], place: &str, words: &[&str]) {
    let errors = errors(files);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].starts_with(place), "{place} in {errors:#?}");
    for word in words {
        assert!(errors[0].contains(word), "{word} in {errors:#?}");
    }
}
