//! The real `reevectl` against the real server: what one writes on the wire the other reads.

use super::fake::{Node, refusal, until};
use reeve::bus::Address;
use reeve_core::{Command, RefusalKind};
use serde_json::Value;
use std::process::{Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::process::Command as Process;

/// A node on the private socket below its root.
pub struct Rooted {
    root: TempDir,
    pub node: Node,
}

impl Rooted {
    pub async fn new() -> Self {
        let root = TempDir::new().unwrap();
        let folder = root.path().join("run/reeve");
        std::fs::create_dir_all(&folder).unwrap();
        let mut node = Node::private();
        node.server.listen(Address::Private(folder.join("bus"))).await.unwrap();
        Self { root, node }
    }

    fn command(&self, line: &str) -> Process {
        let mut command = Process::new(env!("CARGO_BIN_EXE_reevectl"));
        command.arg("--root").arg(self.root.path()).args(line.split(' ')).env("TZ", "UTC").stdin(Stdio::null());
        command
    }

    /// Types a command line; exit code, output, errors.
    pub async fn says(&self, line: &str) -> (i32, String, String) {
        told(self.command(line).output().await.unwrap())
    }

    pub async fn json(&self, line: &str) -> Value {
        let (code, out, err) = self.says(&format!("--json {line}")).await;
        assert_eq!(code, 0, "{line}: {err}");
        serde_json::from_str(&out).unwrap()
    }

    /// Ends every running task run.
    pub fn end(&self, result: &'static str) {
        self.node.change(|snapshot| {
            for operation in &mut snapshot.operations {
                let mut ended = (**operation).clone();
                (ended.state, ended.result, ended.message) = ("done", result, "2 of 2 done".into());
                *operation = Arc::new(ended);
            }
        });
    }
}

fn told(output: Output) -> (i32, String, String) {
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn every_looking_verb_is_answered() {
    let node = Rooted::new().await;
    for (line, code, shown) in [
        ("status", 0, "gpu-07 - Reeve node"),
        ("status web", 0, "web - worker of team front, role server"),
        ("status web/2", 0, "reeve-web-2.service"),
        ("list", 0, "2 workers listed."),
        ("runs web", 0, "exit code 1"),
        ("runs web/1 --log", 0, "secret line"),
        ("logs web/1", 0, "hello from the log"),
        ("events", 0, "web/2: a worker has failed: it failed"),
        ("plan", 0, "wanted and not running"),
        ("plan --candidate", 0, "start"),
        ("config check", 1, "worker.replicas: expected a count"),
        ("config show", 0, "name = \"n1\""),
        ("config diff", 1, "node.name"),
        ("config explain worker.stop.timeout", 0, "Default: 30s"),
        ("node status", 0, "generation 7"),
        ("audit", 0, "org.reeve.node1.drain"),
        ("metrics reeve_node_state", 0, "state=running"),
        ("metrics reeve_worker_u* --json", 0, "\"name\":\"reeve_worker_up\""),
    ] {
        let (seen, out, err) = node.says(line).await;
        assert_eq!(seen, code, "{line}: {out}{err}");
        assert!(out.contains(shown), "{line}: {out}{err}");
        assert_eq!(err, "", "{line}");
    }
}

#[tokio::test]
async fn documents_carry_what_the_daemon_said() {
    let node = Rooted::new().await;
    let list = node.json("list").await;
    let web = list.as_array().unwrap().iter().find(|w| w["name"] == "web").unwrap();
    assert_eq!((&web["role"], &web["ready"], &web["restarts"]), (&"server".into(), &2.into(), &5.into()));
    assert_eq!(web["since"], "1970-01-01T00:00:00.001000Z");
    assert_eq!(web["depends_on"][0], "db");
    let replica = &web["replicas"][1];
    assert_eq!((&replica["index"], &replica["pid"], &replica["port"]), (&2.into(), &4002.into(), &7000.into()));
    assert_eq!(replica["last_exit"]["cause"], "signal");
    assert_eq!(replica["last_exit"]["signal"], 11);
    assert_eq!(replica["last_exit"]["exit_code"], Value::Null);
    assert_eq!(replica["last_exit"]["at"], "1970-01-01T00:00:00.000800Z");
    let status = node.json("status").await;
    assert_eq!((&status["launcher"], &status["config_generation"]), (&"direct".into(), &7.into()));
    assert!(status["since"].is_string() && status["uptime_ms"].is_number(), "{status}");
    let runs = node.json("runs web").await;
    assert_eq!(runs.as_array().unwrap().len(), 4);
    assert_eq!((&runs[0]["replica"], &runs[0]["ended"]), (&2.into(), &"1970-01-01T00:00:00.000202Z".into()));
    assert_eq!(runs[0]["log_tail"][0], "secret line");
}

#[tokio::test]
async fn a_change_is_waited_for_and_its_end_is_told() {
    let node = Rooted::new().await;
    for (result, code) in [("success", 0), ("failed", 1), ("lost", 1)] {
        let before = node.node.asked.lock().unwrap().len();
        let typed = node.command("stop web --reason tidy").output();
        let ended = async {
            node.node.commands(before + 1).await;
            until(|| node.node.snapshot.borrow().operations.iter().any(|o| o.state == "running")).await;
            node.end(result);
        };
        let (output, ()) = tokio::join!(typed, ended);
        let (seen, out, err) = told(output.unwrap());
        assert_eq!(seen, code, "{result}: {out}{err}");
        assert!(format!("{out}{err}").contains("2 of 2 done"), "{out}{err}");
    }
    let last = node.node.last();
    assert_eq!(last.command, Command::Stop("web".parse().unwrap()));
    assert_eq!(last.caller.reason.as_deref(), Some("tidy"));
}

#[tokio::test]
async fn every_changing_verb_reaches_the_loop() {
    let node = Rooted::new().await;
    for (line, wanted) in [
        ("start web/1 --no-wait", "Start"),
        ("restart --rolling web --no-wait", "rolling: true"),
        ("pause web --no-wait", "Pause"),
        ("resume web --no-wait", "Resume"),
        ("isolate web --no-wait", "Isolate"),
        ("drain web --no-wait", "Drain"),
        ("reset web", "Reset"),
        ("scale web 3 --no-wait", "Scale"),
        ("set web memory_max=8G", "memory_max"),
        ("stop --all --no-wait", "StopAll"),
        ("node drain --reason kernel --no-wait", "NodeDrain"),
        ("node undrain --no-wait", "NodeUndrain"),
    ] {
        let (code, out, err) = node.says(line).await;
        assert_eq!(code, 0, "{line}: {out}{err}");
        let asked = format!("{:?}", node.node.last().command);
        assert!(asked.contains(wanted), "{line}: {asked}");
    }
    assert_eq!(node.says("reload").await.0, 0);
}

#[tokio::test]
async fn refusals_come_with_their_reason() {
    let node = Rooted::new().await;
    node.node.answer(refusal(RefusalKind::Conflict, "web is being stopped by task run 41"));
    let (code, out, err) = node.says("start web").await;
    assert_eq!((code, out.as_str()), (5, ""));
    assert!(err.contains("cannot start web: web is being stopped by task run 41"), "{err}");
    for (line, code, text) in [
        ("status web/9", 5, "no replica 9"),
        ("config explain no.such.key", 5, "no.such.key"),
        ("set web/1 memory_max=1G", 2, "not valid"),
    ] {
        let (seen, out, err) = node.says(line).await;
        assert_eq!(seen, code, "{line}: {out}{err}");
        assert!(err.contains(text), "{line}: {err}");
    }
    node.node.answer(refusal(RefusalKind::InvalidArgument, "scripted"));
    let (code, out, err) = node.says("reload --wait").await;
    assert_eq!((code, out.as_str()), (5, ""));
    assert!(err.contains("web.toml:3:1: error: worker.replicas:"), "{err}");
}

#[tokio::test]
async fn a_dry_run_shows_the_plan() {
    let node = Rooted::new().await;
    let typed = node.command("stop web --dry-run").output();
    let ended = async {
        until(|| !node.node.snapshot.borrow().operations.is_empty()).await;
        node.end("success");
    };
    let (output, ()) = tokio::join!(typed, ended);
    let (code, out, err) = told(output.unwrap());
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("wanted and not running"), "{out}");
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_failure() {
    let node = Rooted::new().await;
    let mut child = node.command("list").stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}
