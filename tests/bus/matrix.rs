//! Authority and audit: every method of the table for every level, and for nobody.

use crate::fake::*;
use reeve::bus::action::Level;
use reeve::bus::audit::Phase;
use reeve::bus::auth::OwnUid;
use reeve::bus::names::Object;
use reeve::bus::table::{Access, INTERFACES, Interface, Method};
use std::sync::Arc;
use zbus::message::Flags;
use zbus::{Structure, Variant};

const LEVELS: [Option<Level>; 4] = [None, Some(Level::ReadOnly), Some(Level::Operator), Some(Level::Administrator)];

/// Arguments that pass the syntax check.
fn body(method: &Method) -> Structure<'static> {
    let fields = method.input.iter().fold(Structure::builder(), |b, a| {
        b.append_field(match (a.name, a.signature) {
            ("target", _) => Variant::from("web/1"),
            ("worker", _) => Variant::from("web"),
            ("id", _) => Variant::from("7"),
            ("slot", _) => Variant::from("gpu-07/12.1"),
            ("level", _) => Variant::from("info"),
            (_, "s") => Variant::from("drain"),
            (_, "u") => Variant::from(3_u32),
            (_, "i") => Variant::from(15_i32),
            (_, "t") => Variant::from(0_u64),
            ("values", _) => Variant::from(opt([("TasksMax", Variant::from("9"))])),
            ("opt", _) if method.name == "Recover" => Variant::from(opt([("i-know", Variant::from(true))])),
            (_, "a{sv}") => Variant::from(none()),
            (_, "as") => Variant::from(Vec::<String>::new()),
            other => panic!("an argument for {other:?}"),
        })
    });
    fields.build().unwrap()
}

fn path(interface: &Interface) -> &'static str {
    match interface.name {
        "Worker" => "/org/reeve/Node1/worker/web",
        "Replica" => "/org/reeve/Node1/worker/web/1",
        "TaskRun" => "/org/reeve/Node1/task_run/00000000000000000000000007",
        "Fleet" => FLEET,
        _ => ROOT,
    }
}

async fn call(client: &mut Client, interface: &Interface, method: &Method) -> Result<zbus::Message, Refused> {
    let path = path(interface);
    if method.input.is_empty() {
        client.call(path, interface.name, method.name, &()).await
    } else if method.input.len() == 1 {
        client.call(path, interface.name, method.name, &(none(),)).await
    } else {
        client.call(path, interface.name, method.name, &body(method)).await
    }
}

/// A node on which task run 7 is somebody else's.
async fn node(level: Option<Level>) -> (Node, Client) {
    let mut node = Node::new(UpTo::level(level));
    let client = node.client().await;
    node.change(|s| {
        let web = s.workers.values_mut().find(|w| w.name.as_str() == "web").unwrap();
        let web = Arc::make_mut(web);
        let first = Arc::make_mut(&mut web.replicas[0]);
        first.state = "isolated";
    });
    add_run(&node, 7);
    (node, client)
}

fn add_run(node: &Node, id: u64) {
    node.change(|s| {
        s.operations.push(Arc::new(reeve_core::status::OperationStatus {
            id: reeve_core::OperationId(id),
            what: "stop web".into(),
            by: "uid 4711".into(),
            uid: 4711,
            via: "dbus".into(),
            reason: None,
            request_id: None,
            started: reeve_core::Wall(1),
            state: "running",
            result: "",
            ended: None,
            message: String::new(),
            progress: (0, 1),
            targets: vec![],
            dry_run: None,
        }));
    });
}

#[tokio::test]
async fn sec_03_every_method_asks_for_its_level_and_every_refusal_is_on_record() {
    for level in LEVELS {
        let (node, mut client) = node(level).await;
        for interface in INTERFACES {
            for method in interface.methods {
                let before = node.trail.all().len();
                let answer = call(&mut client, interface, method).await;
                let name = format!("{}.{} at {level:?}", interface.name, method.name);
                // Of an isolated worker, and of somebody else's task run, the stricter one counts.
                let needs = method.access.actions().last().map(|a| a.level());
                let granted = needs.is_none() || level >= needs;
                let not_authorized = matches!(
                    &answer,
                    Err(r) if r.name == "org.reeve.Error.NotAuthorized"
                );
                assert_eq!(not_authorized, !granted, "{name}: {answer:?}");
                let trail = node.trail.all().split_off(before);
                if method.access.reading() {
                    assert!(trail.is_empty(), "{name} only reads");
                } else if granted {
                    assert_eq!(trail[0].phase, Phase::Begin, "{name}");
                    assert_eq!(trail[0].polkit_result, "granted (test)", "{name}");
                } else {
                    let [end] = trail.as_slice() else {
                        panic!("{name}: one entry, not {trail:?}");
                    };
                    assert_eq!(end.phase, Phase::End, "{name}");
                    assert_eq!(end.result, "NotAuthorized", "{name}");
                    assert_eq!(end.polkit_result, "refused", "{name}");
                    let action = method.access.actions().last().map_or("", |a| a.id());
                    assert_eq!(end.action, action, "{name}");
                    assert_eq!(end.method, format!("{}.{}", interface.name, method.name));
                    assert!(answer.as_ref().unwrap_err().text.contains(action), "{name}");
                }
                if let Ok(reply) = answer.as_ref().map(|m| m.body()) {
                    let signature = reply.signature().to_string_no_parens();
                    assert_eq!(signature, method.output_signature(), "{name}");
                } else if granted {
                    let name = &answer.as_ref().unwrap_err().name;
                    let short = name.rsplit('.').next().unwrap();
                    assert!(method.errors.contains(&short), "{}: {answer:?}", method.name);
                }
            }
        }
        let commands = node.asked.lock().unwrap().len();
        let may = level >= Some(Level::Operator);
        assert_eq!(commands > 0, may, "at {level:?} the loop heard of {commands}");
    }
}

#[tokio::test]
async fn every_mutating_method_has_an_action_and_free_ones_tell_nothing() {
    for interface in INTERFACES {
        for method in interface.methods {
            if method.access == Access::Free {
                assert!(["Ping", "Can"].contains(&method.name), "{}", method.name);
            }
        }
    }
}

#[tokio::test]
async fn resume_and_cancel_need_more_only_where_they_do_more() {
    let (node, mut client) = node(Some(Level::Operator)).await;
    let refused = client.call(ROOT, "Workers", "Resume", &("web/1", none())).await.unwrap_err();
    assert!(refused.text.contains("lift-isolation"), "{}", refused.text);
    client.call(ROOT, "Workers", "Resume", &("web/2", none())).await.unwrap();
    let refused = client.call(ROOT, "Workers", "Resume", &("web", none())).await.unwrap_err();
    assert!(refused.text.contains("reeve-admins"), "{}", refused.text);

    let cancel = ("7", none());
    let refused = client.call(ROOT, "Maintenance", "Cancel", &cancel).await.unwrap_err();
    assert!(refused.text.contains("cancel-any"), "{}", refused.text);
    // The run that Resume has made is the caller's own.
    let own = node.snapshot.borrow().operations.last().unwrap().id;
    let own = Object::TaskRun(own).path();
    client.call(&own, "TaskRun", "Cancel", &(none(),)).await.unwrap();
}

#[tokio::test]
async fn a_challenge_is_told_apart_from_a_refusal() {
    let authority = UpTo { level: Some(Level::ReadOnly), challenge: true };
    let mut node = Node::new(Some(Arc::new(authority)));
    let mut client = node.client().await;
    let stop = ("web", none());
    let refused = client.call(ROOT, "Workers", "Stop", &stop).await.unwrap_err();
    assert_eq!(refused.name, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired");
    assert!(refused.text.contains("manage-workers"), "{}", refused.text);
    let reply = client.call(ROOT, "Manager", "Can", &("manage-workers", none())).await.unwrap();
    assert_eq!(reply.body().deserialize::<String>().unwrap(), "challenge");
    assert_eq!(node.trail.all()[0].result, "InteractiveAuthorizationRequired");

    // With leave to ask, the authority asks; this one is then refused.
    let message = zbus::Message::method_call(ROOT, "Stop")
        .interface("org.reeve.Node1.Workers")
        .with_flags(Flags::ALLOW_INTERACTIVE_AUTH)
        .build(&stop)
        .unwrap();
    client.connection.send(&message).await.unwrap();
    until(|| node.trail.all().len() == 2).await;
    assert_eq!(node.trail.all()[1].result, "NotAuthorized");
}

#[tokio::test]
async fn an_allowed_call_leaves_two_entries_and_the_second_tells_how_its_task_run_ended() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let options = opt([("reason", Variant::from("new build")), ("request-id", Variant::from("r-1"))]);
    client.call(ROOT, "Workers", "Stop", &("web/2", options)).await.unwrap();
    let trail = node.trail.all();
    assert_eq!(trail.len(), 1, "it is still going on");
    let begin = &trail[0];
    assert_eq!(begin.phase, Phase::Begin);
    assert_eq!(begin.target, "web/2");
    assert_eq!(begin.method, "Workers.Stop");
    assert_eq!(begin.action, "org.reeve.node1.manage-workers");
    assert_eq!(begin.reason.as_deref(), Some("new build"));
    assert_eq!(begin.request_id.as_deref(), Some("r-1"));
    assert_eq!(begin.caller.pid, Some(std::process::id()));
    assert!(begin.caller.comm.is_some());
    assert_eq!(begin.result, "allowed");
    let kept = begin.kept(reeve_core::Wall(9));
    assert_eq!(kept.more["phase"], "begin");
    assert!(kept.more["arguments"].contains("\"target\":\"web/2\""));
    assert!(!kept.more.contains_key("task_run"), "absent, not empty");
    node.change(|s| {
        let run = Arc::make_mut(s.operations.last_mut().unwrap());
        run.state = "done";
        run.result = "failed";
        run.message = "web/2 did not stop".into();
    });
    until(|| node.trail.all().len() == 2).await;
    let end = &node.trail.all()[1];
    assert_eq!((end.call, end.phase), (begin.call, Phase::End));
    assert_eq!(end.result, "failed");
    assert_eq!(end.text, "web/2 did not stop");
    assert_eq!(end.task_run.as_deref(), Some("00000000000000000000000042"));
}

#[tokio::test]
async fn what_cannot_be_read_is_on_record_too() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let unknown = ("web", opt([("token", Variant::from("hunter2"))]));
    client.call(ROOT, "Workers", "Stop", &unknown).await.unwrap_err();
    client.call(ROOT, "Workers", "Stop", &("web",)).await.unwrap_err();
    let trail = node.trail.all();
    assert_eq!(trail.len(), 2);
    assert_eq!(trail[0].result, "InvalidArgument");
    assert_eq!(trail[0].polkit_result, "", "nobody was asked");
    assert_eq!(trail[1].result, "InvalidArgs");
    assert!(!format!("{trail:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_call_is_carried_out_and_recorded_even_when_its_caller_leaves() {
    let mut node = Node::private();
    let client = node.client().await;
    let message = zbus::Message::method_call(ROOT, "Cordon")
        .interface("org.reeve.Node1.Manager")
        .build(&("disk", none()))
        .unwrap();
    client.connection.send(&message).await.unwrap();
    drop(client);
    until(|| node.trail.all().len() == 2).await;
    assert_eq!(node.trail.all()[1].result, "success");
}

#[test]
fn without_polkit_root_and_the_own_uid_may_and_nobody_else() {
    let client = |uid| reeve::bus::caller::Client { uid, ..Default::default() };
    let own = OwnUid(1000);
    assert_eq!(own.grants(&client(0)), Some("root"));
    assert_eq!(own.grants(&client(1000)), Some("own uid"));
    assert_eq!(own.grants(&client(1001)), None);
}
