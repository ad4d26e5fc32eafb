//! Which part of a worker's definition a living run is made of, and which part can change under it.

use super::types::{Check, Resources, RestartPolicy, Worker};
use std::time::Duration;

impl Worker {
    /// Names what a run is made of: 16 hexadecimal digits that change with every field that needs a new run to take
    /// effect, and with no other. Equal on every machine and in every version that reads these fields alike.
    pub fn run_digest(&self) -> String {
        let mut digest = Digest::default();
        digest.field("team", [self.team.as_str()]);
        digest.field("exec", &self.exec);
        digest.field("user", &self.user);
        digest.field("group", &self.group);
        for (name, value) in &self.environment {
            digest.field("environment", [name, value]);
        }
        digest.field("environment_file", &self.environment_file);
        digest.field("credentials", &self.credentials);
        digest.field("working_directory", &self.working_directory);
        let policy = match self.restart.policy {
            RestartPolicy::Always => "always",
            RestartPolicy::OnFailure => "on-failure",
            RestartPolicy::Never => "never",
        };
        digest.field("restart.policy", [policy]);
        digest.field("restart.unsupervised_after", self.restart.unsupervised_after.map(micros));
        digest.field("stop.signal", [self.stop.signal.to_string()]);
        digest.field("stop.timeout", [micros(self.stop.timeout)]);
        for (name, values) in &*self.sandbox {
            digest.field("sandbox", std::iter::once(name).chain(values));
        }
        let gpus = [self.resources.gpus_request, self.resources.gpus_limit];
        digest.field("gpus", gpus.map(|n| n.to_string()));
        // Only where it stands, so that a new version finds the runs of the old one unchanged.
        if let Some(profile) = &self.gpu_profile {
            digest.field("gpu_profile", [profile]);
        }
        digest.field("watchdog", self.watchdog().map(micros));
        // What is given to a run by default is no part of it, so that its name stays as it was.
        for (name, given) in [("statsd", self.metrics.statsd), ("multiprocess", self.metrics.multiprocess)] {
            if !given {
                digest.field(name, ["off"]);
            }
        }
        format!("{:016x}", digest.0)
    }

    /// WATCHDOG_USEC of a run: how long it may be silent; `None` without a watchdog.
    pub fn watchdog(&self) -> Option<Duration> {
        self.liveness
            .as_ref()
            .filter(|probe| probe.check == Check::Notify)
            .map(|probe| probe.period.saturating_mul(probe.failure_threshold))
    }

    /// The limits that can be changed on a living run.
    pub fn live_limits(&self) -> Resources {
        Resources { gpus_request: 0, gpus_limit: 0, ..self.resources }
    }
}

fn micros(duration: Duration) -> String {
    duration.as_micros().to_string()
}

/// FNV-1a, 64 bits. Fields and parts carry their lengths, so that no two definitions spell the same bytes.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u64).to_le_bytes());
        self.bytes(text.as_bytes());
    }

    fn field<S: AsRef<str>>(&mut self, name: &str, parts: impl IntoIterator<Item = S>) {
        self.text(name);
        let mut count = 0u64;
        for part in parts {
            self.text(part.as_ref());
            count += 1;
        }
        self.bytes(&count.to_le_bytes());
    }
}
