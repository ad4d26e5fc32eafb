//! Space on mounted file systems: the mount table of process 1 (ours may be a namespace of its own), `statvfs` on one
//! thread per mount.

use super::config::SourcesConfig;
use super::files::{Kept, Scratch};
use super::mountinfo::{self, Mount};
use super::mounts::{Answer, Mounts};
use super::{Look, Source};
use reeve_core::Now;
use reeve_core::metrics::families as f;
use reeve_core::metrics::{Labels, Samples};
use std::time::Duration;

/// A mount that is well answers within this; one that does not is looked at with the next tick.
const PATIENCE: Duration = Duration::from_millis(50);

pub(super) struct Filesystem {
    tables: [Kept; 2],
    network: bool,
    text: String,
    table: Vec<(Labels, Mount)>,
    problem: Option<String>,
    mounts: Mounts,
}

impl Filesystem {
    pub(super) fn new(config: &SourcesConfig) -> Self {
        let file = |process: &str| Kept::new(config.proc.join(process).join("mountinfo"));
        Self {
            tables: [file("1"), file("self")],
            network: config.network_filesystems,
            text: String::new(),
            table: Vec::new(),
            problem: None,
            mounts: Mounts::new(config.space.clone(), config.mount_timeout),
        }
    }

    /// Takes the table of process 1, or our own where that is hidden.
    fn read(&mut self, scratch: &mut Scratch) -> Result<(), String> {
        let mut problem = None;
        for table in &mut self.tables {
            match table.read(scratch) {
                Ok(Some(text)) => {
                    if text != self.text {
                        text.clone_into(&mut self.text);
                        let with_labels = |mount: Mount| (labels(&mount, ""), mount);
                        self.table = mountinfo::parse(text, self.network).into_iter().map(with_labels).collect();
                    }
                    return Ok(());
                }
                Ok(None) => {}
                Err(error) => problem = Some(error),
            }
        }
        Err(problem.unwrap_or_else(|| "there is no mount table".to_owned()))
    }
}

impl Source for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn begin(&mut self, now: Now, scratch: &mut Scratch) {
        self.problem = self.read(scratch).err();
        let points = self.table.iter().map(|(_, mount)| mount.point.as_path()).collect();
        self.mounts.ask(&points, now.mono);
    }

    fn look(&mut self, look: &mut Look<'_>) -> Result<Samples, String> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        let now = look.now.mono;
        self.mounts.wait(now, PATIENCE);
        let mut samples = Samples::new();
        for (labels, mount) in &self.table {
            let answer = self.mounts.answer(&mount.point, now);
            put(mount, labels, &answer, &mut samples);
        }
        Ok(samples)
    }
}

fn put(mount: &Mount, well: &Labels, answer: &Answer, samples: &mut Samples) {
    let readonly = f64::from(u8::from(mount.readonly));
    let error = match answer {
        Answer::Space(space) => {
            samples.put_with(&f::NODE_FILESYSTEM_SIZE, well, space.size);
            samples.put_with(&f::NODE_FILESYSTEM_AVAIL, well, space.avail);
            samples.put_with(&f::NODE_FILESYSTEM_FREE, well, space.free);
            samples.put_with(&f::NODE_FILESYSTEM_FILES, well, space.files);
            samples.put_with(&f::NODE_FILESYSTEM_FILES_FREE, well, space.files_free);
            samples.put_with(&f::NODE_FILESYSTEM_DEVICE_ERROR, well, 0.0);
            samples.put_with(&f::NODE_FILESYSTEM_READONLY, well, readonly);
            return;
        }
        Answer::Failed(error) => error,
        Answer::Stuck => "mountpoint timeout",
        Answer::Unknown => return,
    };
    let labels = labels(mount, error);
    samples.put_with(&f::NODE_FILESYSTEM_DEVICE_ERROR, &labels, 1.0);
    samples.put_with(&f::NODE_FILESYSTEM_READONLY, &labels, readonly);
}

fn labels(mount: &Mount, error: &str) -> Labels {
    let point = mount.point.to_string_lossy();
    Labels::new(&[("device", &mount.device), ("mountpoint", &point), ("fstype", &mount.kind), ("device_error", error)])
}
