#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn paths(&self) -> Paths {
        Paths::new(self.0.path())
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Whatever the umask of the test run, these are trusted folders.
        for folder in path.ancestors().skip(1).take_while(|p| *p != self.0.path()) {
            chmod(folder, 0o755);
        }
        fs::write(&path, text).unwrap();
        chmod(&path, 0o644);
        path
    }

    fn errors(&self) -> Vec<String> {
        let sources = read(&self.paths(), None);
        sources
            .diagnostics
            .iter()
            .map(|d| format!("{} {}", d.file.replace(&self.0.path().display().to_string(), ""), d.text))
            .collect()
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const WORKER: &str = "[worker]\nexec = [\"/usr/bin/true\"]\n";

#[test]
fn sup_14_files_of_all_ranks_are_read() {
    let tree = Tree::new();
    tree.write("usr/lib/reeve/reeve.toml", "[node]\nname = \"vendor\"");
    tree.write("etc/reeve/reeve.toml", "[node]\nname = \"admin\"");
    tree.write("run/reeve/reeve.toml.d/10-a.toml", "[launcher]\nkind = \"direct\"");
    tree.write("usr/lib/reeve/workers.d/web.toml", WORKER);
    tree.write("etc/reeve/workers.d/web.toml.d/50-more.toml", "[worker]\nreplicas = 3");
    tree.write("etc/reeve/workers.d/README", "not TOML");
    tree.write("etc/reeve/workers.d/.web.toml.swp", "not TOML");
    tree.write("etc/reeve/workers.d/web.toml.dpkg-old", "not TOML");
    let loaded = load(&tree.paths(), None);
    assert_eq!(loaded.diagnostics, []);
    let config = loaded.config.unwrap();
    assert_eq!(config.node.name, "admin");
    assert_eq!(config.launcher, config::LauncherKind::Direct);
    let replicas: Vec<_> = config.workers.values().map(|w| w.replicas).collect();
    assert_eq!(replicas, [3]);
}

#[test]
fn no_folders_at_all_are_an_empty_configuration() {
    let tree = Tree::new();
    let loaded = load(&tree.paths(), None);
    assert_eq!(loaded.diagnostics, []);
    assert!(loaded.config.unwrap().workers.is_empty());
}

#[test]
fn a_link_to_dev_null_masks() {
    let tree = Tree::new();
    tree.write("usr/lib/reeve/workers.d/web.toml", WORKER);
    tree.write("etc/reeve/workers.d/db.toml", WORKER);
    symlink("/dev/null", tree.0.path().join("etc/reeve/workers.d/web.toml")).unwrap();
    let loaded = load(&tree.paths(), None);
    assert_eq!(loaded.diagnostics, []);
    let names: Vec<_> = loaded.merged.workers.keys().collect();
    assert_eq!(names, ["db"]);
    assert!(loaded.merged.masked.contains_key("web"));
}

#[test]
fn config_option_replaces_the_main_file_of_all_ranks() {
    let tree = Tree::new();
    tree.write("etc/reeve/reeve.toml", "this is not TOML");
    tree.write("etc/reeve/reeve.toml.d/10-a.toml", "[node.labels]\na = \"1\"");
    let other = tree.write("other.toml", "[node]\nname = \"other\"");
    let loaded = load(&tree.paths(), Some(&other));
    assert_eq!(loaded.diagnostics, []);
    let node = loaded.config.unwrap().node;
    assert_eq!((node.name.as_str(), node.labels.len()), ("other", 1));

    let missing = load(&tree.paths(), Some(Path::new("/nonexistent/reeve.toml")));
    assert!(missing.config.is_none());
    let first = missing.diagnostics.first().unwrap();
    assert_eq!(first.file, "/nonexistent/reeve.toml");
    assert!(first.text.contains("No such file"), "{first}");
}

#[test]
fn files_and_folders_that_others_can_write_are_refused() {
    let tree = Tree::new();
    let web = tree.write("etc/reeve/workers.d/web.toml", WORKER);
    chmod(&web, 0o646);
    let errors = tree.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("/etc/reeve/workers.d/web.toml can be written by others"), "{errors:?}");
    assert!(load(&tree.paths(), None).config.is_none());

    chmod(&web, 0o644);
    chmod(web.parent().unwrap(), 0o777);
    let errors = tree.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("/etc/reeve/workers.d can be written by others"), "{errors:?}");

    chmod(web.parent().unwrap(), 0o755);
    chmod(&tree.0.path().join("etc/reeve"), 0o757);
    let errors = tree.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("/etc/reeve can be written by others"), "{errors:?}");
}

#[test]
fn odd_files_are_refused_by_name_and_do_not_hang() {
    let tree = Tree::new();
    let web = tree.write("etc/reeve/workers.d/web.toml", WORKER);
    fs::create_dir(web.with_file_name("folder.toml")).unwrap();
    nix::unistd::mkfifo(&web.with_file_name("pipe.toml"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    symlink("/nonexistent", web.with_file_name("gone.toml")).unwrap();
    fs::write(web.with_file_name("latin.toml"), b"# a\n# \xe4\n").unwrap();
    chmod(&web.with_file_name("latin.toml"), 0o644);
    let long = "#".repeat(1 << 21);
    tree.write("etc/reeve/workers.d/long.toml", &long);
    let errors = tree.errors();
    for (file, text) in [
        ("folder", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("gone", "cannot be read"),
        ("latin", "is not UTF-8 (line 2)"),
        ("long", "is longer than 1 MiB"),
    ] {
        let wanted = format!("/etc/reeve/workers.d/{file}.toml {text}");
        assert!(errors.iter().any(|e| e.starts_with(&wanted)), "{wanted}: {errors:?}");
    }
    assert_eq!(errors.len(), 5, "{errors:?}");
}

#[test]
fn ownership_is_judged_by_root_and_the_own_account() {
    let tree = Tree::new();
    let file = tree.write("a", "");
    let metadata = fs::metadata(&file).unwrap();
    let own = Owner::of_this_process();
    assert_eq!(own.objection(&metadata), None);
    if metadata.uid() != 0 {
        let root = Owner { uid: 0, gid: 0 };
        assert!(root.objection(&metadata).unwrap().contains("belongs to uid"));
    }
    chmod(&file, 0o664);
    let metadata = fs::metadata(&file).unwrap();
    if metadata.gid() != 0 {
        let other = Owner { uid: metadata.uid(), gid: metadata.gid() + 1 };
        assert!(other.objection(&metadata).unwrap().contains("mode 0664"));
    }
}

#[test]
fn host_figures_are_read_from_their_texts() {
    assert_eq!(count_cpus("0-3,6\n"), Some(5));
    assert_eq!(count_cpus("0\n"), Some(1));
    assert_eq!(count_cpus("x"), None);
    assert_eq!(total_memory("MemFree: 1 kB\nMemTotal:       16 kB\n"), None.or(Some(16384)));
    let facts = host_facts();
    assert!(facts.cpus > 0 && facts.memory > 0 && !facts.hostname.is_empty());
}

/// Whatever the packages install as an example is a valid definition.
#[test]
fn shipped_examples_are_valid() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let folders = [("reeve.toml", None), ("workers.d", Some(()))];
    let mut files = Vec::new();
    for (name, workers) in folders {
        let path = conf.join(name);
        let found: Vec<PathBuf> = match workers {
            None => path.is_file().then_some(path).into_iter().collect(),
            Some(()) => {
                fs::read_dir(path).map(|entries| entries.map(|e| e.unwrap().path()).collect()).unwrap_or_default()
            }
        };
        for file in found.into_iter().filter(|f| f.extension() == Some(OsStr::new("toml"))) {
            let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
            files.push(SourceFile {
                path: file.display().to_string(),
                kind: workers.map_or(SourceKind::Node, |()| SourceKind::Worker(stem)),
                rank: 0,
                drop_in: None,
                text: fs::read_to_string(&file).unwrap(),
            });
        }
    }
    let host = HostFacts { hostname: "node".into(), cpus: 256, memory: 1 << 40 };
    let loaded = config::load(&files, &host);
    let errors: Vec<_> = loaded.diagnostics.iter().filter(|d| d.error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
