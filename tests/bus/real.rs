//! A real bus: Debian's dbus-daemon.

use crate::fake::Client;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use zbus::connection::Builder;

pub const NAME: &str = "org.reeve.Node1";

/// A bus of our own, which lets everybody do everything.
pub struct Bus {
    process: Child,
    pub address: String,
}

impl Bus {
    /// `None` where there is no dbus-daemon.
    pub fn start(folder: &Path) -> Option<Self> {
        let config = folder.join("bus.conf");
        let socket = folder.join("socket");
        std::fs::write(
            &config,
            format!(
                r#"<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
                <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/>
                <allow own="*"/><allow user="*"/></policy></busconfig>"#,
                socket.display()
            ),
        )
        .unwrap();
        let _ = std::fs::remove_file(&socket);
        let mut process = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take()?).read_line(&mut line).ok()?;
        line.starts_with("unix:").then(|| Self {
            process,
            // Without its guid: the next bus on this socket has another.
            address: format!("unix:path={}", socket.display()),
        })
    }

    pub async fn client(&self) -> Client {
        let stream = Builder::address(self.address.as_str()).build_message_stream().await.unwrap();
        Client::new(stream, Some(NAME))
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

macro_rules! bus_or_skip {
    ($folder:expr) => {
        match Bus::start($folder) {
            Some(bus) => bus,
            None => {
                eprintln!("skipped: no dbus-daemon here");
                return;
            }
        }
    };
}
pub(crate) use bus_or_skip;
