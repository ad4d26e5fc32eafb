//! What kind of host this is, and its wall clock.

use super::files::line;
use super::{Look, Source};
use nix::sys::utsname::uname;
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};
use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

/// The wall clock.
pub(super) struct Time;

/// Names and releases.
pub(super) struct Host {
    releases: [PathBuf; 2],
    kernel: PathBuf,
}

impl Host {
    pub(super) fn new(root: &Path, proc: &Path) -> Self {
        let releases = [root.join("etc/os-release"), root.join("usr/lib/os-release")];
        // What uname(2) says but for the machine.
        Self { releases, kernel: proc.join("sys/kernel") }
    }
}

impl Source for Time {
    fn name(&self) -> &'static str {
        "time"
    }

    #[expect(clippy::cast_precision_loss, reason = "a microsecond of 2026 has 51 bits")]
    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        samples.put(&f::NODE_TIME, look.now.wall.0 as f64 / 1e6);
        Ok(samples)
    }
}

impl Source for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    fn look(&mut self, _: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        if let Some(text) = self.releases.iter().find_map(|path| fs::read_to_string(path).ok()) {
            samples.put_with(&f::NODE_OS_INFO, &os_info(&text), 1.0);
        }
        let machine = uname().map_err(|e| format!("uname: {e}"))?.machine().to_string_lossy().into_owned();
        let of = |file: &str| line(&self.kernel.join(file)).ok_or_else(|| format!("no {file}"));
        let values = [of("ostype")?, of("osrelease")?, of("version")?, machine, of("hostname")?, of("domainname")?];
        let pairs: Vec<_> = f::NODE_UNAME_INFO.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
        samples.put_with(&f::NODE_UNAME_INFO, &Labels::new(&pairs), 1.0);
        Ok(samples)
    }
}

/// The fields of os-release as labels; what the file does not say is empty.
fn os_info(text: &str) -> Labels {
    let value = |label: &str| -> Cow<'_, str> {
        // The last one stands, as in a shell.
        let mut pairs = text.lines().filter_map(|text| text.trim().split_once('='));
        let found = pairs.rfind(|(key, _)| key.eq_ignore_ascii_case(label));
        found.map_or(Cow::Borrowed(""), |(_, value)| unquote(value.trim()))
    };
    let values: Vec<_> = f::OS.iter().map(|label| value(label)).collect();
    let pairs: Vec<_> = f::OS.iter().copied().zip(values.iter().map(|value| &**value)).collect();
    Labels::new(&pairs)
}

/// As a shell would read it: quotes off, and what they escape.
fn unquote(value: &str) -> Cow<'_, str> {
    let inside = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
    let Some(inside) = inside else { return Cow::Borrowed(value) };
    if value.starts_with('\'') || !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut plain = String::new();
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn met_17_os_release_is_read_as_a_shell_reads_it() {
        let labels = os_info("NAME=\"My \\\"OS\\\"\"\nID=x\nID=debian\n# VERSION=9\nVERSION_ID='12'\nODD\n");
        let pairs = labels.pairs();
        let get = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(get("name"), Some("My \"OS\""));
        assert_eq!((get("id"), get("version_id"), get("variant")), (Some("debian"), Some("12"), Some("")));
        assert_eq!(pairs.len(), f::OS.len());
    }
}
