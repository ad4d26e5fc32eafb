//! polkit's agent on this terminal, started as `systemctl` does, so that a password can be asked for.

use std::io::Read;
use std::process::{Child, Command, Stdio};

/// The running agent; it ends with this value.
#[derive(Debug)]
pub struct Agent(Child);

impl Agent {
    /// Starts it and waits until it is registered. Without the program there is no agent, and no failure.
    pub fn start() -> Option<Self> {
        let mut child = Command::new("pkttyagent")
            .args(["--fallback", "--notify-fd", "1", "--process"])
            .arg(std::process::id().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        // It closes the descriptor when polkit knows of it, or when it dies.
        if let Some(mut ready) = child.stdout.take() {
            let _ = ready.read(&mut [0]);
        }
        Some(Self(child))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
