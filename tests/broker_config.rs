//! The printed configuration of a broker, in a real mosquitto: who may write and read what, and that it starts as it is.
//!
//! Nothing here waits for time to pass: a retained message tells that a subscription stands, a last one that all the
//! others have come.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use reeve_core::election::NodeName;
use reeve_core::fleet::broker::broker_config;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Two voters, two observers and an operator.
const USERS: [&str; 5] = ["a", "b", "o", "x", "ops"];
const VOTERS: [&str; 2] = ["a", "b"];

/// Below `reeve/`.
const TOPICS: [&str; 19] = [
    "lab/n/a/up",
    "lab/n/o/up",
    "lab/n/o/rep",
    "lab/n/o/ask",
    "lab/n/o/rx/a",
    "lab/n/o/rx/b",
    "lab/n/b/rx/a",
    "lab/v/a/b",
    "lab/v/b/a",
    "lab/v/a/o",
    "lab/v/o/a",
    "lab/lead/a",
    "lab/lead/o",
    "lab/ev/a",
    "lab/ev/o",
    "lab/cmd/ops",
    "lab/cmd/o",
    "other/n/o/up",
    "other/lead/a",
];

/// What the rules say, said another way than the list of permissions says it.
fn may_write(user: &str, topic: &str) -> bool {
    let voter = VOTERS.contains(&user);
    match topic.split('/').collect::<Vec<_>>()[..] {
        ["lab", "n", _, "rx", from] if voter && from == user => true,
        ["lab", "n", id, ..] => id == user,
        ["lab", "v", _, from] => voter && from == user,
        ["lab", "lead", id] => voter && id == user,
        ["lab", "ev", id] => id == user,
        ["lab", "cmd", id] => user == "ops" && id == user,
        _ => false,
    }
}

fn may_read(user: &str, topic: &str) -> bool {
    let voter = VOTERS.contains(&user);
    match topic.split('/').collect::<Vec<_>>()[..] {
        ["lab", "lead", _] => true,
        ["lab", "n", id, "rx", _] => voter || id == user,
        ["lab", "n", _, "up"] | ["lab", "ev", _] => voter || user == "ops",
        ["lab", "n", ..] | ["lab", "cmd", _] => voter,
        ["lab", "v", to, _] => voter && to == user,
        _ => false,
    }
}

/// A program of mosquitto's, or a panic that says what to install.
fn tool(name: &str) -> Command {
    let found = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"].map(|dir| Path::new(dir).join(name));
    let Some(path) = found.iter().find(|p| p.exists()) else {
        panic!("{name} is missing; this test needs a real broker: apt-get install mosquitto mosquitto-clients");
    };
    Command::new(path)
}

/// The two files of the printed text.
fn printed() -> (String, String) {
    let voters = VOTERS.map(|n| NodeName::new(n).unwrap());
    let text = broker_config("lab", &voters, &["ops".to_owned()]);
    let mut files = text.split("\n# file: ").skip(1).map(|part| part.split_once('\n').unwrap().1.to_owned());
    (files.next().unwrap(), files.next().unwrap())
}

/// A running broker; it ends with the test.
struct Broker {
    process: Child,
    port: u16,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Broker {
    /// With this configuration, in which `{port}` is filled in.
    fn start(folder: &Path, configuration: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = folder.join("mosquitto.conf");
        // Started by root it would give up its rights to read the folder.
        let extra = "user root\nlog_dest stderr\n";
        fs::write(&path, extra.to_owned() + &configuration.replace("{port}", &port.to_string())).unwrap();
        let mut process = tool("mosquitto").arg("-c").arg(&path).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        loop {
            let Some(Ok(line)) = log.next() else { panic!("mosquitto has ended:\n{said}") };
            if line.contains("running") {
                break;
            }
            said = said + &line + "\n";
        }
        std::thread::spawn(move || log.for_each(drop));
        Self { process, port }
    }

    /// Publishes, and waits until the broker has taken it, or dropped it.
    fn publish(&self, who: &[String], topic: &str, more: &[&str]) -> bool {
        let mut command = tool("mosquitto_pub");
        command.args(["-p", &self.port.to_string(), "-q", "1", "-t", &format!("reeve/{topic}")]).args(who).args(more);
        command.stderr(Stdio::null()).status().unwrap().success()
    }

    /// Reads everything it may from now on.
    fn read(&self, who: &[String]) -> Reader {
        let mut command = tool("mosquitto_sub");
        command.args(["-p", &self.port.to_string(), "-W", "60", "-t", "reeve/#", "-F", "%t %p"]).args(who);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut reader = Reader { process, lines };
        assert_eq!(reader.until(" begin"), BTreeSet::new(), "{who:?}");
        reader
    }
}

/// Somebody who reads.
struct Reader {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Reader {
    /// All that comes before this, as `topic payload`.
    fn until(&mut self, last: &str) -> BTreeSet<String> {
        let mut got = BTreeSet::new();
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if line.ends_with(last) {
                return got;
            }
            assert!(got.insert(line.strip_prefix("reeve/").unwrap().to_owned()), "{line} came twice");
        }
        panic!("no {last}, only {got:?}");
    }

    /// All that came, once the end was told.
    fn all(mut self) -> BTreeSet<String> {
        self.until(" end")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn with_password(user: &str) -> Vec<String> {
    ["-h", "127.0.0.1", "-u", user, "-P", user].map(str::to_owned).to_vec()
}

#[test]
fn sec_06_nobody_writes_or_reads_what_is_anothers() {
    let folder = TempDir::new().unwrap();
    let (configuration, permissions) = printed();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("acl"), permissions).unwrap();
    fs::write(at("passwords"), USERS.map(|user| format!("{user}:{user}\n")).concat()).unwrap();
    assert!(tool("mosquitto_passwd").args(["-U", &at("passwords")]).status().unwrap().success());
    // All of it but TLS: who somebody is tells a password instead of a certificate.
    let tls = ["listener", "cafile", "certfile", "keyfile", "tls_", "require_", "use_identity", "acl_file"];
    let rest: Vec<_> = configuration.lines().filter(|l| !tls.iter().any(|word| l.starts_with(word))).collect();
    let own = format!("listener {{port}} 127.0.0.1\nacl_file {}\npassword_file {}\n", at("acl"), at("passwords"));
    let broker = Broker::start(folder.path(), &(own + &rest.join("\n") + "\n"));

    assert!(broker.publish(&with_password("a"), "lab/lead/a", &["-r", "-m", "begin"]));
    assert!(!broker.publish(&with_password("a")[..2], "lab/lead/a", &["-m", "nobody's"]), "without a name");
    let readers = USERS.map(|user| (user, broker.read(&with_password(user))));
    for user in USERS {
        for topic in TOPICS {
            // A message that is not permitted is taken and dropped: nobody learns by asking.
            assert!(broker.publish(&with_password(user), topic, &["-m", user]), "{user} {topic}");
        }
    }
    assert!(broker.publish(&with_password("a"), "lab/lead/a", &["-m", "end"]));
    for (reader, messages) in readers {
        let passes = |topic: &str, user: &str| may_write(user, topic) && may_read(reader, topic);
        let all = TOPICS.iter().flat_map(|topic| USERS.iter().map(move |user| (*topic, *user)));
        let expected: BTreeSet<_> = all.filter(|(t, u)| passes(t, u)).map(|(t, u)| format!("{t} {u}")).collect();
        assert_eq!(messages.all(), expected, "{reader}");
        assert!(!expected.is_empty());
    }

    // A will is bound to the name as well. Who is killed leaves it to the broker.
    let watching = broker.read(&with_password("a"));
    for (user, will) in [("x", "forged"), ("o", "end")] {
        let testator = ["--will-topic", "reeve/lab/n/o/up", "--will-payload", will].map(str::to_owned);
        drop(broker.read(&[with_password(user), testator.to_vec()].concat()));
    }
    assert_eq!(watching.all(), BTreeSet::new());
}

/// Certificates as a fleet would have them: one authority, the broker's own, and one a node with its name in it.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    folder: std::path::PathBuf,
}

impl Authority {
    fn new(folder: &Path) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        fs::write(folder.join("ca.crt"), ca.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: rcgen::Issuer::new(ca, key), folder: folder.to_owned() }
    }

    fn sign(&self, name: &str, hosts: &[&str]) {
        let key = rcgen::KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
        let mut own = rcgen::CertificateParams::new(hosts).unwrap();
        own.distinguished_name = rcgen::DistinguishedName::new();
        own.distinguished_name.push(rcgen::DnType::CommonName, name);
        fs::write(self.folder.join(format!("{name}.crt")), own.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(self.folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn client(&self, name: &str) -> Vec<String> {
        self.sign(name, &[]);
        let at = |file: String| self.folder.join(file).display().to_string();
        let (ca, cert, key) = (at("ca.crt".to_owned()), at(format!("{name}.crt")), at(format!("{name}.key")));
        ["-h", "localhost", "--cafile", &ca, "--cert", &cert, "--key", &key].map(str::to_owned).to_vec()
    }
}

#[test]
fn sec_06_the_name_is_the_certificates() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().display().to_string();
    let (configuration, permissions) = printed();
    fs::write(folder.path().join("acl"), permissions).unwrap();
    let authority = Authority::new(folder.path());
    authority.sign("broker", &["localhost"]);
    // As printed, in other folders and on another port.
    let configuration = configuration
        .replace("/etc/mosquitto/certs", &path)
        .replace("/etc/mosquitto/reeve.acl", &format!("{path}/acl"))
        .replace("listener 8883", "listener {port}");
    let broker = Broker::start(folder.path(), &configuration);
    let (voter, observer) = (authority.client("a"), authority.client("o"));
    assert!(broker.publish(&voter, "lab/lead/a", &["-r", "-m", "begin"]));
    let reader = broker.read(&voter);
    // A name that is claimed beside the certificate does not count.
    let liar = [observer.clone(), ["-u", "a"].map(str::to_owned).to_vec()].concat();
    for who in [&observer, &liar] {
        assert!(broker.publish(who, "lab/n/a/rep", &["-m", "forged"]));
        assert!(broker.publish(who, "lab/lead/a", &["-m", "forged"]));
    }
    assert!(broker.publish(&observer, "lab/n/o/rep", &["-m", "own"]));
    assert!(!broker.publish(&observer[..4], "lab/n/o/rep", &["-m", "without a certificate"]));
    assert!(broker.publish(&voter, "lab/lead/a", &["-m", "end"]));
    assert_eq!(reader.all(), BTreeSet::from(["lab/n/o/rep own".to_owned()]));
}
