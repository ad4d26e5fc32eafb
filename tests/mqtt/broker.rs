//! mosquitto as a child process, in a folder of its own, on a free port of the loopback.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

/// For whatever has to happen, on a machine that does other things as well.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// One broker. Dropping it ends it.
pub struct Broker {
    pub port: u16,
    folder: TempDir,
    child: Child,
    log: watch::Receiver<String>,
}

impl Broker {
    /// Anybody may do anything.
    pub async fn open() -> Self {
        Self::start(|_| "allow_anonymous true\n".to_owned()).await
    }

    /// `settings` is asked for the lines after `listener`; it may put files into the folder.
    pub async fn start(settings: impl Fn(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        // Somebody else may take the port in between.
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            // Started by root it would become a user who cannot read the folder.
            let lines = format!(
                "user root\npersistence false\nlog_dest stderr\nlog_type all\nset_tcp_nodelay true\n\
                 listener {port} 127.0.0.1\n{settings}"
            );
            std::fs::write(folder.path().join("conf"), lines).unwrap();
            if let Some((child, log)) = spawn(folder.path()).await {
                return Self { port, folder, child, log };
            }
        }
        panic!("mosquitto does not start");
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// With a name that certificates can have.
    pub fn secure_url(&self) -> String {
        format!("mqtts://localhost:{}", self.port)
    }

    /// kill -9: nothing is said, nothing is written.
    pub fn stop(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
    }

    /// On the same port, and remembers nothing.
    pub async fn again(&mut self) {
        let (child, log) = spawn(self.folder.path()).await.unwrap();
        (self.child, self.log) = (child, log);
    }

    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Waits until its log says so.
    pub async fn says(&self, text: &str) {
        let mut log = self.log.clone();
        let found = timeout(DEADLINE, log.wait_for(|log| log.contains(text))).await.is_ok_and(|found| found.is_ok());
        assert!(found, "the broker never said {text:?}:\n{}", *self.log.borrow());
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `None`: it did not come up.
async fn spawn(folder: &Path) -> Option<(Child, watch::Receiver<String>)> {
    let mut child = Command::new(program("mosquitto", "mosquitto"))
        .arg("-c")
        .arg(folder.join("conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (told, mut log) = watch::channel(String::new());
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            told.send_modify(|log| log.extend([&line, "\n"]));
        }
    });
    let up = timeout(DEADLINE, log.wait_for(|log| log.contains(" running\n"))).await;
    if up.is_ok_and(|up| up.is_ok()) {
        return Some((child, log));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// A file of passwords as mosquitto wants them.
pub fn passwords(folder: &Path, users: &[(&str, &str)]) -> PathBuf {
    let file = folder.join("passwords");
    std::fs::write(&file, "").unwrap();
    for (user, password) in users {
        let done =
            Command::new(program("mosquitto_passwd", "mosquitto")).arg("-b").arg(&file).args([user, password]).status();
        assert!(done.unwrap().success());
    }
    file
}

fn program(name: &str, package: &str) -> PathBuf {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is not installed, and these tests need it: apt install {package}"))
}
