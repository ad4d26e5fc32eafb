//! What reeved says to its own service manager (sd_notify). Without `NOTIFY_SOCKET` every call does nothing.

use sd_notify::NotifyState;
use std::time::Duration;

/// The line to the service manager.
#[derive(Debug)]
pub struct Sd {
    supervised: bool,
    status: String,
}

impl Sd {
    /// Looks once whether a service manager listens.
    pub fn from_env() -> Self {
        Self { supervised: std::env::var_os("NOTIFY_SOCKET").is_some(), status: String::new() }
    }

    /// Whether a service manager listens.
    pub fn supervised(&self) -> bool {
        self.supervised
    }

    /// Started, or done with a reload.
    pub fn ready(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// A reload begins; [`Sd::ready`] ends it. The time is what `Type=notify-reload` (by drop-in) needs.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(_) => self.send(&[NotifyState::Reloading]),
        }
    }

    /// The daemon is ending.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// The line in `systemctl status`; sent only when it changes.
    pub fn status(&mut self, text: &str) {
        if self.supervised && self.status != text {
            text.clone_into(&mut self.status);
            // A newline would begin another assignment.
            self.send(&[NotifyState::Status(&text.replace(['\n', '\r', '\0'], " "))]);
        }
    }

    /// A turn of the loop is complete.
    pub fn watchdog(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// Start or stop needs this much longer, from now.
    pub fn extend_timeout(&self, by: Duration) {
        let usec = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
        self.send(&[NotifyState::ExtendTimeoutUsec(usec)]);
    }

    /// How often to call [`Sd::watchdog`]: a third of `WATCHDOG_USEC`. `None`: not wanted.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        sd_notify::watchdog_enabled().filter(|span| self.supervised && !span.is_zero()).map(|span| span / 3)
    }

    fn send(&self, state: &[NotifyState<'_>]) {
        if self.supervised
            && let Err(error) = sd_notify::notify(state)
        {
            tracing::debug!(%error, "the service manager did not take a notification");
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    /// Not a test of its own: what `everything_reaches_the_socket` runs in a process with its own environment.
    #[test]
    fn child() {
        if std::env::var_os("REEVE_TEST_SD").is_none() {
            return;
        }
        let mut sd = Sd::from_env();
        assert_eq!(sd.watchdog_interval(), Some(Duration::from_secs(10)));
        sd.ready();
        sd.status("a\nREADY=0");
        sd.status("a\nREADY=0");
        sd.reloading();
        sd.extend_timeout(Duration::from_secs(15));
        sd.watchdog();
        sd.stopping();
    }

    #[test]
    fn everything_reaches_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let ended = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "host::sd::tests::child"])
            .env("REEVE_TEST_SD", "1")
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "30000000")
            .env_remove("WATCHDOG_PID")
            .output()
            .unwrap();
        assert!(ended.status.success(), "{ended:?}");
        let mut got = Vec::new();
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 512];
        while let Ok(n) = socket.recv(&mut buffer) {
            got.push(String::from_utf8_lossy(&buffer[..n]).trim().to_owned());
        }
        assert!(got[2].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{got:?}");
        got.remove(2);
        assert_eq!(got, ["READY=1", "STATUS=a READY=0", "EXTEND_TIMEOUT_USEC=15000000", "WATCHDOG=1", "STOPPING=1"]);
    }
}
