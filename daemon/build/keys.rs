//! The keys of the configuration files, from the table that the daemon checks them by.

use super::roff::{item, plain, prose};
use reeve_core::config::{Key, Kind, schema};

/// Keys of `reeve.toml`.
pub fn node() -> String {
    render(|key| !is_worker(key))
}

/// Keys of `workers.d/NAME.toml`.
pub fn worker() -> String {
    render(is_worker)
}

fn is_worker(key: &Key) -> bool {
    key.path == "worker" || key.path.starts_with("worker.")
}

/// One item a key, under a heading a section.
fn render(wanted: impl Fn(&Key) -> bool) -> String {
    let mut out = String::new();
    let mut section = String::new();
    for key in schema().filter(|k| wanted(k)) {
        let (head, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if matches!(key.kind, Kind::Section { .. }) {
            // Its own keys follow under this heading.
            section = key.path.to_owned();
            out.push_str(&heading(&section));
            out.push_str(&format!("{}\n", prose(key.text)));
            continue;
        }
        if head != section {
            section = head.to_owned();
            out.push_str(&heading(&section));
        }
        out.push_str(&item(&format!("\\fB{}\\fR", plain(&shown(name))), &facts(key)));
    }
    out
}

fn heading(section: &str) -> String {
    format!(".SS [{}]\n", plain(&shown(section)))
}

/// `*` in the table is a name that the administrator chooses.
fn shown(path: &str) -> String {
    path.replace('*', "NAME")
}

fn facts(key: &Key) -> Vec<String> {
    let default = key.default.map(|d| format!("Default: {}.", plain(d)));
    let templates = "`{worker}` `{replica}` `{port}` `{runtime_dir}` `{gpus}` are filled in.";
    vec![
        prose(key.text),
        format!("Takes {}.", plain(&key.expected())),
        default.unwrap_or_default(),
        if key.template { prose(templates) } else { String::new() },
    ]
}
