//! Checks of texts that are not figures: paths, names, labels, environment variables.

use super::signal;
use super::suggest;
use crate::election::NodeName;
use crate::fleet::Window;
use crate::ids::{TeamName, WorkerName};

/// A check of one text; the error says what was expected.
pub(super) type Check = fn(&str) -> Result<(), String>;

fn unless(ok: bool, expected: &str, text: &str) -> Result<(), String> {
    if ok { Ok(()) } else { Err(format!("expected {expected}, found {text:?}")) }
}

fn made_of(text: &str, extra: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

/// Anything without control characters.
pub(super) fn plain(text: &str) -> Result<(), String> {
    unless(!text.chars().any(|c| c.is_control() && c != '\t' && c != '\n'), "a text without control characters", text)
}

/// An absolute path without `..`.
pub(super) fn path(text: &str) -> Result<(), String> {
    let ok = text.starts_with('/') && !text.contains('\0') && !text.split('/').any(|s| s == "..");
    unless(ok, "an absolute path without \"..\"", text)
}

/// "auto" or an absolute path.
pub(super) fn library(text: &str) -> Result<(), String> {
    if text == "auto" { Ok(()) } else { path(text) }
}

/// A MIG profile: `1g.10gb`, `1c.3g.40gb`, `1g.10gb+me`.
pub(super) fn profile(text: &str) -> Result<(), String> {
    let parts: Vec<_> = text.split('.').collect();
    let figure = |part: &str, end: &str| part.strip_suffix(end).is_some_and(|n| n.parse::<u32>().is_ok());
    let memory = |part: &str| figure(part.split('+').next().unwrap_or(part), "gb");
    let ok = match parts.as_slice() {
        [slices, size] => figure(slices, "g") && memory(size),
        [compute, slices, size] => figure(compute, "c") && figure(slices, "g") && memory(size),
        _ => false,
    };
    unless(ok, "a MIG profile such as \"1g.10gb\"", text)
}

/// A file for a textfile collector, which reads only files of this ending.
pub(super) fn textfile(text: &str) -> Result<(), String> {
    path(text)?;
    let named = text.rsplit('/').next().is_some_and(|name| name.len() > 5 && name.ends_with(".prom"));
    unless(named, "an absolute path that ends with .prom", text)
}

/// A node name.
pub(super) fn node(text: &str) -> Result<(), String> {
    unless(
        NodeName::new(text).is_ok(),
        "a name of 1 to 64 letters, digits, '.', '-' and '_', starting with a letter or digit",
        text,
    )
}

/// When slots are granted.
pub(super) fn window(text: &str) -> Result<(), String> {
    text.parse::<Window>().map(|_| ())
}

/// A worker name.
pub(super) fn worker(text: &str) -> Result<(), String> {
    WorkerName::new(text).map(|_| ()).map_err(|e| e.to_string())
}

/// A team name.
pub(super) fn team(text: &str) -> Result<(), String> {
    TeamName::new(text).map(|_| ()).map_err(|e| e.to_string())
}

/// A role: a bounded label value.
pub(super) fn role(text: &str) -> Result<(), String> {
    unless(made_of(text, ".-_") && text.len() <= 48, "1 to 48 letters, digits, '.', '-' and '_'", text)
}

/// The name of a label.
pub(super) fn label(text: &str) -> Result<(), String> {
    unless(
        made_of(text, "._-/") && text.len() <= 63,
        "a label name of 1 to 63 letters, digits, '.', '_', '-' and '/'",
        text,
    )
}

/// A user or group by name or number.
pub(super) fn account(text: &str) -> Result<(), String> {
    let number = text.parse::<u32>().is_ok_and(|id| id != u32::MAX);
    let name =
        made_of(text, "._-") && text.len() <= 31 && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    unless(number || name, "the name or number of an account, without blanks", text)
}

/// A systemd unit, whole and no template.
pub(super) fn unit(text: &str) -> Result<(), String> {
    const TYPES: [&str; 11] =
        ["service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice", "scope"];
    let (name, kind) = text.rsplit_once('.').unwrap_or_default();
    let ok = TYPES.contains(&kind) && made_of(name, ":_.\\@-") && !name.ends_with('@') && text.len() <= 255;
    unless(ok, "the name of a systemd unit with its type, such as \"nginx.service\" or \"getty@tty1.service\"", text)
}

/// A systemd credential by name; the secret itself never stands in a file of ours.
pub(super) fn credential(text: &str) -> Result<(), String> {
    unless(
        made_of(text, "._-") && text.len() <= 255 && text != "." && text != "..",
        "the name of a systemd credential (letters, digits, '.', '_', '-'), never a path or the secret",
        text,
    )
}

/// A metric name.
pub(super) fn metric(text: &str) -> Result<(), String> {
    let ok = made_of(text, "_:") && !text.starts_with(|c: char| c.is_ascii_digit());
    unless(ok, "a metric name such as \"active_tasks\"", text)
}

/// The name of a metric, `*` and `?` standing for letters.
pub(super) fn metric_glob(text: &str) -> Result<(), String> {
    unless(made_of(text, "_:*?"), "a metric name such as \"queue_depth\" or \"vllm:*\"", text)
}

/// The name of a label of a metric. Who the worker is, is ours to say; `le` and `quantile` have a meaning of their own.
pub(super) fn metric_label(text: &str) -> Result<(), String> {
    const OURS: &[&str] = &["worker", "replica", "role", "le", "quantile"];
    if OURS.contains(&text) {
        return Err(format!("the label {text} is set by Reeve; take it out"));
    }
    let ok = made_of(text, "_") && !text.starts_with(|c: char| c.is_ascii_digit()) && !text.starts_with("__");
    unless(ok, "a label name such as \"outcome\"", text)
}

/// The name of an environment variable that is not Reeve's own to set.
pub(super) fn variable(text: &str) -> Result<(), String> {
    const OURS: &[&str] = &["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY", "INVOCATION_ID"];
    if OURS.contains(&text) {
        return Err(format!("{text} is set by Reeve for each run; take it out"));
    }
    let ok = made_of(text, "_") && !text.starts_with(|c: char| c.is_ascii_digit());
    unless(ok, "the name of an environment variable (letters, digits and '_', not starting with a digit)", text)
}

/// The value of an environment variable.
pub(super) fn variable_value(text: &str) -> Result<(), String> {
    unless(!text.contains('\0'), "a text without NUL", text)
}

/// An argument of a command.
pub(super) fn argument(text: &str) -> Result<(), String> {
    variable_value(text)
}

/// A signal that leaves the worker a choice or ends it.
pub(super) fn signal(text: &str) -> Result<(), String> {
    match signal::parse_signal(text) {
        Some(19) => Err("SIGSTOP would freeze the worker for good; use `reevectl pause`".to_owned()),
        Some(_) => Ok(()),
        None => {
            let hint = suggest::hint(text, signal::names().collect::<Vec<_>>().iter());
            Err(format!("expected a signal such as \"SIGTERM\", found {text:?}{hint}"))
        }
    }
}
