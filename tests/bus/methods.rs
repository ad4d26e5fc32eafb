//! Every method: what it asks of the loop, what it answers, how it refuses.

use crate::fake::*;
use reeve::app::handle::Request;
use reeve::bus::names::parse_run_id;
use reeve_core::{Accepted, Command, RefusalKind};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use zbus::message::Flags;
use zbus::{OwnedObjectPath, Variant};

type Row = (String, OwnedObjectPath, String, u32, u32, String, u32, Dict);

#[tokio::test]
async fn ping_and_can() {
    let mut node = Node::new(UpTo::level(Some(reeve::bus::action::Level::Operator)));
    let mut client = node.client().await;
    let reply = client.call(ROOT, "Manager", "Ping", &()).await.unwrap();
    let time: u64 = reply.body().deserialize().unwrap();
    assert!(time > 1_600_000_000_000_000);
    for (action, answer) in [("drain", "yes"), ("org.reeve.node1.reboot", "no"), ("read-logs", "yes")] {
        let reply = client.call(ROOT, "Manager", "Can", &(action, none())).await.unwrap();
        let said: String = reply.body().deserialize().unwrap();
        assert_eq!(said, answer, "{action}");
    }
    let refused = client.call(ROOT, "Manager", "Can", &("fly", none())).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.InvalidArgument");
    assert!(node.trail.all().is_empty(), "reading leaves no trail");
}

#[tokio::test]
async fn the_node_in_one_dictionary() {
    let mut node = Node::private();
    let mut client = node.client().await;
    node.change(|s| {
        s.node.cordoned = Some("bad disk".into());
        s.node.holds = vec![("backup".into(), "snapshot".into())];
    });
    let reply = client.call(ROOT, "Manager", "GetStatus", &(none(),)).await.unwrap();
    let status: Dict = reply.body().deserialize().unwrap();
    assert_eq!(text(&status["node"]), "gpu-07");
    assert_eq!(text(&status["cordoned"]), "bad disk");
    assert_eq!(text(&status["launcher"]), "direct");
    assert_eq!(*status["workers_total"], Variant::U32(2));
    assert_eq!(*status["workers_ready"], Variant::U32(2));
    assert_eq!(*status["replicas_ready"], Variant::U32(3));
    assert!(!status.contains_key("drain_reason"), "absent, not empty");
    let holds: Vec<String> = status["holds"].try_clone().unwrap().try_into().unwrap();
    assert_eq!(holds, ["backup: snapshot"]);
}

#[tokio::test]
async fn plan_events_and_configuration() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let candidate = opt([("candidate", Variant::from(true))]);
    let reply = client.call(ROOT, "Manager", "GetPlan", &(candidate,)).await.unwrap();
    let plan: Vec<(String, String, String)> = reply.body().deserialize().unwrap();
    assert_eq!(plan[0].1, "web/1");

    let reply = client.call(ROOT, "Manager", "ListEvents", &(9_u64, 0_u32, none())).await.unwrap();
    let events: Vec<(u64, String, String, String, String, Dict)> = reply.body().deserialize().unwrap();
    assert_eq!(events[0].1, "worker-failed");
    assert_eq!(events[0].2, "web/2");
    assert_eq!(text(&events[0].5["level"]), "warning");

    let reply = client.call(ROOT, "Manager", "CheckConfig", &(none(),)).await.unwrap();
    let remarks: Vec<(String, String, u32, u32, String, String)> = reply.body().deserialize().unwrap();
    assert_eq!(remarks[0].0, "error");
    assert_eq!(remarks[1].0, "warning");

    let reply = client.call(ROOT, "Manager", "ShowConfig", &(none(),)).await.unwrap();
    let toml: String = reply.body().deserialize().unwrap();
    assert!(toml.contains("n1"));

    let reply = client.call(ROOT, "Manager", "DiffConfig", &(none(),)).await.unwrap();
    let diff: Vec<(String, String, String)> = reply.body().deserialize().unwrap();
    assert_eq!(diff[0].2, "n2");

    let key = ("worker.stop.timeout", none());
    let reply = client.call(ROOT, "Manager", "ExplainConfig", &key).await.unwrap();
    let said: Dict = reply.body().deserialize().unwrap();
    assert_eq!(text(&said["default"]), "30s");
    let refused = client.call(ROOT, "Manager", "ExplainConfig", &("worker.nope", none())).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.NoSuchKey");

    let reply = client.call(ROOT, "Manager", "Reload", &(none(),)).await.unwrap();
    assert_eq!(reply.body().deserialize::<u64>().unwrap(), 8);
    node.answer(Ok(Accepted::Done));
    let refused = client.call(ROOT, "Manager", "Reload", &(none(),)).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.ConfigInvalid");
    assert!(refused.text.contains("web.toml:3:1: error: worker.replicas"), "{}", refused.text);
    assert_eq!(refused.text.lines().count(), 2, "every mistake at once");
    let other = node.other.lock().unwrap().clone();
    assert!(other.contains(&"plan candidate=true".to_owned()));
    assert!(other.contains(&"events since=9 max=100".to_owned()));
}

#[tokio::test]
async fn each_verb_becomes_its_command() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let worker = "/org/reeve/Node1/worker/web";
    let replica = "/org/reeve/Node1/worker/web/2";
    for verb in ["Start", "Stop", "Restart", "Drain", "Pause", "Isolate", "Resume"] {
        let on_list = client.call(ROOT, "Workers", verb, &("web/2", none())).await;
        let path: OwnedObjectPath = on_list.unwrap().body().deserialize().unwrap();
        let first = node.last().command;
        client.call(replica, "Replica", verb, &(none(),)).await.unwrap();
        assert_eq!(node.last().command, first, "{verb} means the same on the object");
        client.call(worker, "Worker", verb, &(none(),)).await.unwrap();
        assert_ne!(node.last().command, first, "{verb}: the whole worker");
        assert!(path.as_str().starts_with("/org/reeve/Node1/task_run/0000"));
        // It is there before the reply.
        let state = client.property(path.as_str(), "TaskRun", "State").await;
        assert_eq!(text(&state), "running", "{verb}");
    }
    let rolling = opt([("rolling", Variant::from(true)), ("reason", Variant::from("new build"))]);
    client.call(worker, "Worker", "Restart", &(rolling,)).await.unwrap();
    let last = node.last();
    assert!(matches!(last.command, Command::Restart { rolling: true, .. }));
    assert_eq!(last.caller.reason.as_deref(), Some("new build"));
    assert_eq!(last.caller.via, "dbus");
    assert!(last.caller.by.starts_with("uid "));

    client.call(ROOT, "Workers", "Reset", &("web", none())).await.unwrap();
    assert!(matches!(node.last().command, Command::Reset(_)));
    client.call(ROOT, "Workers", "Kill", &("web/1", 15_i32, none())).await.unwrap();
    client.call(replica, "Replica", "Kill", &(9_i32, none())).await.unwrap();
    assert_eq!(node.last().command, Command::Kill("web/2".parse().unwrap(), 9));
    client.call(ROOT, "Workers", "Scale", &("web", 5_u32, none())).await.unwrap();
    client.call(worker, "Worker", "Scale", &(6_u32, none())).await.unwrap();
    assert_eq!(node.last().command, Command::Scale("web".parse().unwrap(), 6));
    for team in ["StartTeam", "StopTeam", "RestartTeam", "DrainTeam"] {
        client.call(ROOT, "Workers", team, &("front", none())).await.unwrap();
    }
    assert_eq!(node.last().command, Command::DrainTeam("front".parse().unwrap()));
    client.call(ROOT, "Workers", "StopAll", &("removal", none())).await.unwrap();
    assert_eq!(node.last().caller.reason.as_deref(), Some("removal"));

    for (method, command) in [("Drain", Command::NodeDrain), ("Undrain", Command::NodeUndrain)] {
        client.call(ROOT, "Manager", method, &("kernel", none())).await.unwrap();
        assert_eq!(node.last().command, command);
        assert_eq!(node.last().caller.reason.as_deref(), Some("kernel"));
    }
    client.call(ROOT, "Manager", "Cordon", &("disk", none())).await.unwrap();
    assert_eq!(node.last().command, Command::Cordon);
    client.call(ROOT, "Manager", "Uncordon", &(none(),)).await.unwrap();
    assert_eq!(node.last().command, Command::Uncordon);
}

#[tokio::test]
async fn set_says_whether_it_took_effect() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let values = opt([("MemoryMax", Variant::from("8G")), ("TasksMax", Variant::from(64_u32))]);
    let args = ("web", values, none());
    let reply = client.call(ROOT, "Workers", "Set", &args).await.unwrap();
    assert_eq!(reply.body().deserialize::<String>().unwrap(), "applied");
    let expected =
        BTreeMap::from([("MemoryMax".to_owned(), "8G".to_owned()), ("TasksMax".to_owned(), "64".to_owned())]);
    assert_eq!(node.last().command, Command::Set("web".parse().unwrap(), expected));
    node.answer(Ok(Accepted::NeedsRestart));
    let reply = client.call(ROOT, "Workers", "Set", &args).await.unwrap();
    assert_eq!(reply.body().deserialize::<String>().unwrap(), "needs-restart");
    node.answer(refusal(RefusalKind::NoSuchKey, "there is no key MemoryMax"));
    let refused = client.call(ROOT, "Workers", "Set", &args).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.NoSuchKey");
    let refused = client.call(ROOT, "Workers", "Set", &("web", none(), none())).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.InvalidArgument");
}

#[tokio::test]
async fn every_refusal_of_the_core_has_its_name_and_keeps_its_text() {
    let mut node = Node::private();
    let mut client = node.client().await;
    for (kind, name) in [
        (RefusalKind::NoSuchWorker, "NoSuchWorker"),
        (RefusalKind::NoSuchReplica, "NoSuchReplica"),
        (RefusalKind::NoSuchTeam, "NoSuchTeam"),
        (RefusalKind::NoSuchTaskRun, "NoSuchTaskRun"),
        (RefusalKind::NoSuchKey, "NoSuchKey"),
        (RefusalKind::InvalidArgument, "InvalidArgument"),
        (RefusalKind::InvalidState, "InvalidState"),
        (RefusalKind::Conflict, "Conflict"),
        (RefusalKind::Unplaceable, "Unplaceable"),
        (RefusalKind::Draining, "Draining"),
        (RefusalKind::NotSupported, "NotSupported"),
        (RefusalKind::Busy, "Busy"),
    ] {
        node.answer(refusal(kind, "web/1 says no"));
        let call = ("web", none());
        let refused = client.call(ROOT, "Workers", "Start", &call).await.unwrap_err();
        assert_eq!(refused.name, format!("org.reeve.Error.{name}"));
        assert_eq!(refused.text, "web/1 says no");
    }
}

#[tokio::test]
async fn bad_arguments_are_refused_with_what_was_expected() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let invalid = "org.reeve.Error.InvalidArgument";
    let mut check = async |method: &str, target: &str, says: &str| {
        let args = (target, none());
        let refused = client.call(ROOT, "Workers", method, &args).await.unwrap_err();
        assert_eq!(refused.name, invalid, "{method} {target}");
        assert!(refused.text.contains(says), "{}", refused.text);
    };
    check("Start", "Web", "target: worker name").await;
    check("Start", "web/0", "WORKER/N").await;
    check("StopTeam", "-x", "team: ").await;
    let kill = ("web", 9_i32, none());
    let refused = client.call(ROOT, "Workers", "Kill", &kill).await.unwrap_err();
    assert!(refused.text.contains("web/1"), "{}", refused.text);
    let kill = ("web/1", 99_i32, none());
    assert_eq!(client.call(ROOT, "Workers", "Kill", &kill).await.unwrap_err().name, invalid);
    let unknown = ("web", opt([("force", Variant::from(true))]));
    let refused = client.call(ROOT, "Workers", "Stop", &unknown).await.unwrap_err();
    assert_eq!(refused.name, invalid);
    assert!(refused.text.contains("Stop has no option \"force\""), "{}", refused.text);
    let refused = client.call(ROOT, "Workers", "Stop", &("web",)).await.unwrap_err();
    assert_eq!(refused.name, "org.freedesktop.DBus.Error.InvalidArgs");
    assert!(refused.text.contains("sa{sv}"), "{}", refused.text);
    let refused = client.call(ROOT, "Manager", "Drain", &("", none())).await.unwrap_err();
    assert!(refused.text.contains("reason"), "{}", refused.text);
    let level = ("loud", none());
    let refused = client.call(ROOT, "Manager", "SetLogLevel", &level).await.unwrap_err();
    assert!(refused.text.contains("trace"), "{}", refused.text);
    assert!(node.asked.lock().unwrap().is_empty(), "the loop heard of none");
}

#[tokio::test]
async fn what_does_not_exist_is_named_by_the_standard_errors() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let worker = "/org/reeve/Node1/worker/web";
    for (path, interface, method, error) in [
        ("/org/reeve/Node1/worker/nope", "Worker", "Start", "UnknownObject"),
        ("/org/reeve/Node1/worker/web/9", "Replica", "Start", "UnknownObject"),
        ("/nowhere", "Manager", "Ping", "UnknownObject"),
        (worker, "Manager", "Ping", "UnknownInterface"),
        (worker, "Worker", "Kill", "UnknownMethod"),
        (ROOT, "Manager", "RunTask", "UnknownMethod"),
        (ROOT, "Fleet", "GetStatus", "UnknownInterface"),
    ] {
        let refused = client.call(path, interface, method, &(none(),)).await.unwrap_err();
        let name = format!("org.freedesktop.DBus.Error.{error}");
        assert_eq!(refused.name, name, "{path} {interface} {method}");
    }
    for method in ["Reboot"] {
        let refused = client.call(ROOT, "Manager", method, &("x", none())).await.unwrap_err();
        assert_eq!(refused.name, "org.reeve.Error.NotSupported");
    }
    let replica = "/org/reeve/Node1/worker/web/1";
    let refused = client.call(replica, "Replica", "GetLease", &(none(),)).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.NotSupported");
    for (target, error) in [("nope", "NoSuchWorker"), ("web/9", "NoSuchReplica")] {
        for method in ["GetWorker", "ListRuns", "GetLogs"] {
            let args = (target, none());
            let refused = client.call(ROOT, "Workers", method, &args).await.unwrap_err();
            assert_eq!(refused.name, format!("org.reeve.Error.{error}"), "{method}");
        }
    }
}

#[tokio::test]
async fn one_call_lists_workers_with_their_replicas() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let reply = client.call(ROOT, "Workers", "ListWorkers", &(none(),)).await.unwrap();
    let rows: Vec<Row> = reply.body().deserialize().unwrap();
    assert_eq!(rows.len(), 2);
    let (name, path, team, ready, wanted, state, restarts, more) = &rows[1];
    assert_eq!((name.as_str(), team.as_str(), state.as_str()), ("web", "front", "running"));
    assert_eq!((*ready, *wanted, *restarts), (2, 2, 5));
    assert_eq!(path.as_str(), "/org/reeve/Node1/worker/web");
    assert_eq!(rows[0].1.as_str(), "/org/reeve/Node1/worker/_33d_2drender");
    assert_eq!(text(&more["role"]), "server");
    assert_eq!(*more["since_usec"], Variant::U64(1_000));
    let replicas: Vec<Dict> = more["replicas"].try_clone().unwrap().try_into().unwrap();
    assert_eq!(replicas.len(), 2);
    let second = &replicas[1];
    assert_eq!(*second["index"], Variant::U32(2));
    assert_eq!(*second["pid"], Variant::U32(4_002));
    assert_eq!(text(&second["status"]), "serving");
    assert_eq!(*second["outdated"], Variant::Bool(false));
    assert!(!second.contains_key("next_start"), "what is absent is left out");
    let exit: Dict = second["last_exit"].try_clone().unwrap().try_into().unwrap();
    assert_eq!(text(&exit["cause"]), "signal");
    assert_eq!(*exit["signal"], Variant::I32(11));

    let call = ("web/2", none());
    let reply = client.call(ROOT, "Workers", "GetWorker", &call).await.unwrap();
    let path: OwnedObjectPath = reply.body().deserialize().unwrap();
    assert_eq!(path.as_str(), "/org/reeve/Node1/worker/web/2");
}

#[tokio::test]
async fn runs_come_newest_first_and_log_tails_only_to_those_who_may_read_logs() {
    type Run = (String, u64, u64, String, bool, Dict);
    let mut node = Node::private();
    let mut client = node.client().await;
    let max = opt([("max", Variant::from(3_u32))]);
    let reply = client.call(ROOT, "Workers", "ListRuns", &("web", max)).await.unwrap();
    let runs: Vec<Run> = reply.body().deserialize().unwrap();
    let ended: Vec<u64> = runs.iter().map(|r| r.2).collect();
    assert_eq!(ended, [202, 201, 102]);
    assert_eq!(runs[0].3, "exit-code");
    assert_eq!(*runs[0].5["exit_code"], Variant::I32(1));
    assert!(runs[0].5.contains_key("log_tail"));
    assert!(!runs[0].5.contains_key("signal"));

    let mut node = Node::new(Some(Arc::new(NoLogs)));
    let mut client = node.client().await;
    let reply = client.call(ROOT, "Workers", "ListRuns", &("web", none())).await.unwrap();
    let runs: Vec<Run> = reply.body().deserialize().unwrap();
    assert!(!runs[0].5.contains_key("log_tail"));
    assert!(!runs.is_empty());
}

#[derive(Debug)]
struct NoLogs;

impl reeve::bus::auth::Authority for NoLogs {
    fn check<'a>(
        &'a self,
        question: reeve::bus::auth::Question<'a>,
    ) -> futures_util::future::BoxFuture<'a, reeve::bus::auth::Verdict> {
        use reeve::bus::action::Action;
        use reeve::bus::auth::Verdict;
        let verdict = if question.action == Action::ReadLogs {
            Verdict::Refused(String::new())
        } else {
            Verdict::Granted("test")
        };
        Box::pin(std::future::ready(verdict))
    }
}

#[tokio::test]
async fn logs_come_through_a_descriptor() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let options = opt([("lines", Variant::from(7_u32)), ("follow", Variant::from(true)), ("run", Variant::from(RUN))]);
    let reply = client.call(ROOT, "Workers", "GetLogs", &("web/1", options)).await.unwrap();
    let pipe: zbus::OwnedFd = reply.body().deserialize().unwrap();
    let mut file = std::fs::File::from(std::os::fd::OwnedFd::from(pipe));
    let mut line = [0; 19];
    file.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"hello from the log\n");
    let asked = node.other.lock().unwrap().last().cloned().unwrap();
    assert!(asked.contains("lines: 7") && asked.contains("follow: true"), "{asked}");
    assert!(asked.contains("previous: false"), "{asked}");

    node.answer(Ok(Accepted::Done));
    let call = ("web/1", none());
    let refused = client.call(ROOT, "Workers", "GetLogs", &call).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.Unavailable");
    let bad = ("web/1", opt([("run", Variant::from("xyz"))]));
    let refused = client.call(ROOT, "Workers", "GetLogs", &bad).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.InvalidArgument");
}

#[tokio::test]
async fn a_dry_run_fills_the_report() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let dry = opt([("dry-run", Variant::from(true)), ("request-id", Variant::from("r1"))]);
    let reply = client.call(ROOT, "Workers", "Start", &("web", dry)).await.unwrap();
    let path: OwnedObjectPath = reply.body().deserialize().unwrap();
    assert!(node.last().caller.dry_run);
    assert_eq!(node.last().caller.request_id.as_deref(), Some("r1"));
    let reply = client.call(path.as_str(), "TaskRun", "GetReport", &(none(),)).await.unwrap();
    let report: String = reply.body().deserialize().unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["dry_run"], true);
    assert_eq!(report["plan"][0]["action"], "start");
    assert_eq!(report["plan"][0]["reason"], "wanted and not running");
    assert_eq!(report["result"], serde_json::Value::Null);
}

#[tokio::test]
async fn task_runs_are_listed_and_cancelled() {
    let mut node = Node::private();
    let mut client = node.client().await;
    for (verb, target) in [("Start", "web"), ("Stop", "web"), ("Start", "3d-render")] {
        client.call(ROOT, "Workers", verb, &(target, none())).await.unwrap();
    }
    let only = opt([("task", Variant::from("start"))]);
    let reply = client.call(ROOT, "Maintenance", "ListTaskRuns", &(only,)).await.unwrap();
    type Row = (OwnedObjectPath, String, String, String, u64, Dict);
    let rows: Vec<Row> = reply.body().deserialize().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(text(&rows[0].5["what"]), "start 3d-render");
    let newest = rows[0].0.clone();

    let short = parse_run_id(newest.as_str()).unwrap().0.to_string();
    client.call(ROOT, "Maintenance", "Cancel", &(short.as_str(), none())).await.unwrap();
    assert_eq!(node.last().command, Command::Cancel(parse_run_id(&short).unwrap()));
    client.call(newest.as_str(), "TaskRun", "Cancel", &(none(),)).await.unwrap();

    let refused = client.call(ROOT, "Maintenance", "Cancel", &("4711", none())).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.NoSuchTaskRun");
    let refused = client.call(ROOT, "Maintenance", "Cancel", &("x", none())).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.InvalidArgument");
    node.change(|s| {
        for run in &mut s.operations {
            Arc::make_mut(run).state = "done";
            Arc::make_mut(run).result = "success";
        }
    });
    let refused = client.call(newest.as_str(), "TaskRun", "Cancel", &(none(),)).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.InvalidState");
}

#[tokio::test]
async fn a_timeout_cancels_the_task_run() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let soon = opt([("timeout-usec", Variant::from(20_000_u64))]);
    client.call(ROOT, "Workers", "Stop", &("web", soon)).await.unwrap();
    node.commands(2).await;
    assert!(matches!(node.last().command, Command::Cancel(_)));
    assert_eq!(node.last().caller.reason.as_deref(), Some("it was given 0.02 s"));
}

#[tokio::test]
async fn a_hold_ends_with_its_descriptor() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let args = ("backup", "snapshot in progress", none());
    let reply = client.call(ROOT, "Manager", "Hold", &args).await.unwrap();
    let fd: zbus::OwnedFd = reply.body().deserialize().unwrap();
    drop(reply);
    let Command::Hold { id, who, why } = node.last().command else {
        panic!("a hold");
    };
    assert_eq!((who.as_str(), why.as_str()), ("backup", "snapshot in progress"));
    assert_eq!(node.asked.lock().unwrap().len(), 1, "held while it is open");
    drop(fd);
    node.commands(2).await;
    assert_eq!(node.last().command, Command::ReleaseHold(id));
    let refused = client.call(ROOT, "Manager", "Hold", &("", "", none())).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.InvalidArgument");
}

/// Control note §3.4: the daemon may be restarted under a hold.
#[tokio::test]
async fn a_hold_goes_on_over_a_restart() {
    let (requests, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let (_sender, seen) = tokio::sync::watch::channel(Arc::new(Default::default()));
    let node = Node::private();
    let handle = reeve::app::handle::Handle::new(requests, seen, node.events.clone());
    let options = options(handle, &node.trail, &node.root);
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    options.holds.keep(7, "backup", "nightly copy", std::os::fd::AsFd::as_fd(&ours)).unwrap();
    let (kept, _) = options.holds.take_over(vec![("hold-7".to_owned(), ours.into())]);
    let _server = reeve::bus::Server::new(reeve::bus::Options { kept, ..options }).unwrap();
    let mut next = async || match asked.recv().await.unwrap() {
        Request::Command(command, caller, _) => (command, caller.by),
        other => panic!("{other:?}"),
    };
    let by = "backup, before reeved was restarted".to_owned();
    let hold = Command::Hold { id: 7, who: "backup".into(), why: "nightly copy".into() };
    assert_eq!(next().await, (hold, by.clone()));
    drop(theirs);
    assert_eq!(next().await, (Command::ReleaseHold(7), by));
    assert!(!node.root.path().join("run/reeve/holds/7").exists());
}

#[tokio::test]
async fn a_hold_ends_with_its_owner() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let args = ("backup", "snapshot", none());
    let reply = client.call(ROOT, "Manager", "Hold", &args).await.unwrap();
    // As when the process dies: connection and descriptor close.
    drop((reply, client));
    node.commands(2).await;
    assert!(matches!(node.last().command, Command::ReleaseHold(_)));
}

#[tokio::test]
async fn the_log_level_is_set_and_shown() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let dry = ("trace", opt([("dry-run", Variant::from(true))]));
    client.call(ROOT, "Manager", "SetLogLevel", &dry).await.unwrap();
    assert!(node.other.lock().unwrap().is_empty());
    let call = ("debug", none());
    client.call(ROOT, "Manager", "SetLogLevel", &call).await.unwrap();
    assert_eq!(node.other.lock().unwrap().last().unwrap(), "level debug");
    let level = client.property(ROOT, "Manager", "LogLevel").await;
    assert_eq!(text(&level), "debug");
    let changed = client.signal("PropertiesChanged").await;
    let body = changed.body();
    let (_, values, _): (String, Dict, Vec<String>) = body.deserialize().unwrap();
    assert_eq!(text(&values["LogLevel"]), "debug");
}

/// MET-18: the series of the scrape endpoint, by source or family.
#[tokio::test]
async fn met_18_metrics_are_read() {
    let mut node = Node::private();
    let mut client = node.client().await;
    type Rows = Vec<(String, std::collections::BTreeMap<String, String>, f64)>;
    let reply = client.call(ROOT, "Metrics", "GetMetrics", &(vec!["reeve_worker_up"], none())).await.unwrap();
    let rows: Rows = reply.body().deserialize().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|(name, _, value)| name == "reeve_worker_up" && *value == 1.0));
    assert!(rows[0].1.contains_key("worker") && rows[0].1["replica"] == "1", "{rows:?}");
    let reply = client.call(ROOT, "Metrics", "GetMetrics", &(vec!["process"], none())).await.unwrap();
    let rows: Rows = reply.body().deserialize().unwrap();
    assert!(rows.iter().any(|(name, ..)| name == "process_open_fds"), "{rows:?}");
    let unknown = client.call(ROOT, "Manager", "Nope", &()).await.unwrap_err();
    assert_eq!(unknown.name, "org.freedesktop.DBus.Error.UnknownMethod");
    client.call(ROOT, "Audit", "Verify", &(none(),)).await.unwrap_err();
    let reply = client.call(ROOT, "Metrics", "GetMetrics", &(vec!["reeve_dbus_calls_total"], none())).await.unwrap();
    let rows: Rows = reply.body().deserialize().unwrap();
    let rows: Vec<_> = rows.iter().map(|(_, l, count)| (l["method"].as_str(), l["outcome"].as_str(), *count)).collect();
    assert_eq!(rows, [("GetMetrics", "ok", 2.0), ("Verify", "AuditBroken", 1.0), ("unknown", "UnknownMethod", 1.0)]);
    let many = vec!["x"; 65];
    let refused = client.call(ROOT, "Metrics", "GetMetrics", &(many, none())).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.InvalidArgument");
}

#[tokio::test]
async fn the_trail_is_read_back() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let reply = client.call(ROOT, "Audit", "Query", &(5_u64, 0_u32, none())).await.unwrap();
    let rows: Vec<(u64, u32, String, String, String, String, Dict)> = reply.body().deserialize().unwrap();
    assert_eq!(rows[0].1, 1000);
    assert_eq!(text(&rows[0].6["reason"]), "kernel");
    let refused = client.call(ROOT, "Audit", "Verify", &(none(),)).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.AuditBroken");
    assert!(refused.text.contains("entry 17"));
    assert_eq!(*client.property(ROOT, "Audit", "Entries").await, Variant::U64(12));
}

#[tokio::test]
async fn a_call_that_wants_no_reply_is_carried_out_and_gets_none() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let message = zbus::Message::method_call(ROOT, "Stop")
        .interface("org.reeve.Node1.Workers")
        .with_flags(Flags::NO_REPLY_EXPECTED)
        .build(&("web", none()))
        .unwrap();
    client.connection.send(&message).await.unwrap();
    node.commands(1).await;
    // Had a reply come, the next one would not match its call.
    client.call(ROOT, "Manager", "Ping", &()).await.unwrap();
}

#[tokio::test]
async fn the_loop_has_ended() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let (requests, _) = tokio::sync::mpsc::unbounded_channel();
    let (_sender, seen) = tokio::sync::watch::channel(Arc::new(Default::default()));
    let handle = reeve::app::handle::Handle::new(requests, seen, node.events.clone());
    let mut server = reeve::bus::Server::new(options(handle, &node.trail, &node.root)).unwrap();
    std::mem::swap(&mut server, &mut node.server);
    let mut late = node.client().await;
    let refused = late.call(ROOT, "Manager", "Reload", &(none(),)).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.Unavailable");
    client.call(ROOT, "Manager", "Ping", &()).await.unwrap();
}
