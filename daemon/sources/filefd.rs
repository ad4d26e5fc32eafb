//! Two tables of the kernel that can run full: open files and tracked connections, from `/proc/sys`.

use super::fields::numbers;
use super::files::Kept;
use super::{Look, Source};
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};
use std::path::Path;

pub(super) struct FileFd {
    file: Kept,
}

pub(super) struct Conntrack {
    count: Kept,
    limit: Kept,
}

impl FileFd {
    pub(super) fn new(proc: &Path) -> Self {
        Self { file: Kept::new(proc.join("sys/fs/file-nr")) }
    }
}

impl Conntrack {
    pub(super) fn new(proc: &Path) -> Self {
        let file = |name: &str| Kept::new(proc.join("sys/net/netfilter").join(name));
        Self { count: file("nf_conntrack_count"), limit: file("nf_conntrack_max") }
    }
}

impl Source for FileFd {
    fn name(&self) -> &'static str {
        "filefd"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        if let Some(text) = self.file.read(look.scratch)? {
            // Allocated, free (always 0), most.
            let mut words = numbers(text);
            samples.put_some(&f::NODE_FILEFD_ALLOCATED, &Labels::none(), words.next().flatten());
            samples.put_some(&f::NODE_FILEFD_MAXIMUM, &Labels::none(), words.nth(1).flatten());
        }
        Ok(samples)
    }
}

impl Source for Conntrack {
    fn name(&self) -> &'static str {
        "conntrack"
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        let mut samples = Samples::new();
        let files =
            [(&mut self.count, &f::NODE_NF_CONNTRACK_ENTRIES), (&mut self.limit, &f::NODE_NF_CONNTRACK_ENTRIES_LIMIT)];
        for (file, family) in files {
            let value = file.read(look.scratch)?.and_then(|text| numbers(text).next().flatten());
            samples.put_some(family, &Labels::none(), value);
        }
        Ok(samples)
    }
}
