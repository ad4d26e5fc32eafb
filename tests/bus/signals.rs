//! Properties, what is announced of them, and objects that come and go.

use crate::fake::*;
use reeve::bus::table::{Emits, INTERFACES};
use reeve_core::{ReplicaId, WorkerName};
use std::collections::HashMap;
use std::sync::Arc;
use zbus::{Message, OwnedObjectPath, Variant};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const WEB: &str = "/org/reeve/Node1/worker/web";
const WEB_1: &str = "/org/reeve/Node1/worker/web/1";

type Managed = HashMap<OwnedObjectPath, HashMap<String, Dict>>;

fn path(message: &Message) -> String {
    message.header().path().unwrap().to_string()
}

fn web(snapshot: &mut reeve_core::Snapshot) -> &mut reeve_core::status::WorkerStatus {
    let name = WorkerName::new("web").unwrap();
    Arc::make_mut(snapshot.workers.get_mut(&name).unwrap())
}

#[tokio::test]
async fn every_property_has_the_type_the_table_says() {
    let mut node = Node::private();
    let mut client = node.client().await;
    client.call(ROOT, "Workers", "Stop", &("web", none())).await.unwrap();
    for interface in INTERFACES {
        let path = match interface.name {
            "Worker" => WEB,
            "Replica" => WEB_1,
            "TaskRun" => "/org/reeve/Node1/task_run/00000000000000000000000042",
            "Fleet" => FLEET,
            _ => ROOT,
        };
        let full = format!("org.reeve.Node1.{}", interface.name);
        let reply = client.call(path, PROPERTIES, "GetAll", &(&full,)).await.unwrap();
        let all: Dict = reply.body().deserialize().unwrap();
        assert_eq!(all.len(), interface.properties.len(), "{}", interface.name);
        for property in interface.properties {
            let signature = all[property.name].value_signature().to_string();
            assert_eq!(signature, property.signature, "{full}.{}", property.name);
            let one = client.property(path, interface.name, property.name).await;
            if property.emits != Emits::False {
                assert_eq!(one, all[property.name], "{}", property.name);
            }
        }
    }
    let unit = client.property(WEB_1, "Replica", "UnitPath").await;
    let expected = "/org/freedesktop/systemd1/unit/reeve_2dweb_2d1_2eservice";
    assert_eq!(unit.to_string(), format!("objectpath \"{expected}\""));
    let exit = client.property(WEB_1, "Replica", "LastExit").await;
    assert_eq!(exit.to_string(), "(\"signal\", \"signal SIGSEGV\")");
}

#[tokio::test]
async fn properties_cannot_be_set_and_unknown_ones_are_named() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let set = ("org.reeve.Node1.Worker", "Wanted", Variant::from(9_u32));
    let refused = client.call(WEB, PROPERTIES, "Set", &set).await.unwrap_err();
    assert_eq!(refused.name, "org.freedesktop.DBus.Error.PropertyReadOnly");
    let get = ("org.reeve.Node1.Worker", "Nope");
    let refused = client.call(WEB, PROPERTIES, "Get", &get).await.unwrap_err();
    assert_eq!(refused.name, "org.freedesktop.DBus.Error.UnknownProperty");
    let get = ("org.reeve.Node1.Manager", "State");
    let refused = client.call(WEB, PROPERTIES, "Get", &get).await.unwrap_err();
    assert_eq!(refused.name, "org.freedesktop.DBus.Error.UnknownInterface");
}

#[tokio::test]
async fn a_change_is_told_once_with_the_new_values_only() {
    let mut node = Node::private();
    let mut client = node.client().await;
    client.call(ROOT, "Manager", "Ping", &()).await.unwrap();
    node.change(|s| {
        let worker = web(s);
        worker.state = "degraded";
        worker.ready = 1;
        worker.reason = "web/1 has failed".into();
        worker.health = "unhealthy";
        let first = Arc::make_mut(&mut worker.replicas[0]);
        first.state = "crash-loop";
        first.ready = false;
        first.pid = None;
        first.health = "unhealthy";
        first.reason = "exit code 1, 5 times in 30 s".into();
    });
    let worker = client.signal("PropertiesChanged").await;
    let mut changes = vec![worker];
    while changes.last().map(path).as_deref() != Some(WEB_1) {
        changes.push(client.signal("PropertiesChanged").await);
    }
    let of = |wanted: &str| {
        let message = changes.iter().find(|m| path(m) == wanted).unwrap();
        let body = message.body();
        let (interface, values, gone): (String, Dict, Vec<String>) = body.deserialize().unwrap();
        assert!(gone.is_empty());
        let mut names: Vec<_> = values.keys().cloned().collect();
        names.sort();
        (interface, names)
    };
    let expected = ["Health", "Ready", "State", "StateReason"];
    assert_eq!(of(WEB).1, expected);
    assert_eq!(of(WEB_1).1, ["Health", "MainPid", "Ready", "State", "StateReason"]);
    assert_eq!(of(WEB_1).0, "org.reeve.Node1.Replica");
    assert!(changes.iter().all(|m| !path(m).ends_with("web/2")), "it has not changed");

    let state = client.signal("StateChanged").await;
    let (new, old, reason): (String, String, String) = state.body().deserialize().unwrap();
    assert_eq!((new.as_str(), old.as_str()), ("degraded", "running"));
    assert_eq!(reason, "web/1 has failed");
    let health = client.signal("HealthChanged").await;
    let (healthy, _): (bool, String) = health.body().deserialize().unwrap();
    assert!(!healthy);
    // The same picture again changes nothing.
    client.signal("StateChanged").await;
    client.signal("HealthChanged").await;
    node.change(|s| s.at = reeve_core::Wall(3_000));
    node.change(|s| s.node.reason = "still well".into());
    client.signal("PropertiesChanged").await;
    assert_eq!(client.others().await, [] as [&str; 0]);
}

#[tokio::test]
async fn the_node_announces_drain_state_and_configuration() {
    let mut node = Node::private();
    let mut client = node.client().await;
    client.call(ROOT, "Manager", "Ping", &()).await.unwrap();
    node.change(|s| {
        s.node.state = "draining";
        s.node.reason = "kernel update".into();
        s.node.drain_reason = Some("kernel update".into());
        s.node.config_generation = 8;
    });
    let state = client.signal("StateChanged").await;
    let (new, old, _): (String, String, String) = state.body().deserialize().unwrap();
    assert_eq!((new.as_str(), old.as_str()), ("draining", "running"));
    assert_eq!(path(&state), ROOT);
    let drain = client.signal("PrepareForDrain").await;
    assert_eq!(drain.body().deserialize::<(bool, u64)>().unwrap(), (true, 0));
    let reloaded = client.signal("ConfigReloaded").await;
    assert_eq!(reloaded.body().deserialize::<(u64, bool)>().unwrap(), (8, true));

    node.change(|s| s.node.config_errors = 2);
    let reloaded = client.signal("ConfigReloaded").await;
    assert_eq!(reloaded.body().deserialize::<(u64, bool)>().unwrap(), (8, false));
    node.change(|s| {
        s.node.state = "running";
        s.node.drain_reason = None;
    });
    let drain = client.signal("PrepareForDrain").await;
    assert_eq!(drain.body().deserialize::<(bool, u64)>().unwrap(), (false, 0));
}

#[tokio::test]
async fn objects_that_come_and_go_are_announced() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let reply = client.call(ROOT, MANAGER, "GetManagedObjects", &()).await.unwrap();
    let managed: Managed = reply.body().deserialize().unwrap();
    assert_eq!(managed.len(), 6, "2 workers, 3 replicas and the fleet");
    let replica = &managed[&OwnedObjectPath::try_from(WEB_1).unwrap()]["org.reeve.Node1.Replica"];
    assert_eq!(text(&replica["State"]), "ready");

    node.change(|s| {
        let worker = web(s);
        worker.replicas.remove(0);
        worker.replicas.push(Arc::new(replica_of("web", 3)));
    });
    let removed = client.signal("InterfacesRemoved").await;
    let (gone, interfaces): (OwnedObjectPath, Vec<String>) = removed.body().deserialize().unwrap();
    assert_eq!(gone.as_str(), WEB_1);
    assert_eq!(interfaces, ["org.reeve.Node1.Replica"]);
    let added = client.signal("InterfacesAdded").await;
    let (come, values): (OwnedObjectPath, HashMap<String, Dict>) = added.body().deserialize().unwrap();
    assert_eq!(come.as_str(), "/org/reeve/Node1/worker/web/3");
    assert_eq!(*values["org.reeve.Node1.Replica"]["Number"], Variant::U32(3));

    node.change(|s| s.workers.clear());
    let mut gone = Vec::new();
    for _ in 0..5 {
        let removed = client.signal("InterfacesRemoved").await;
        gone.push(removed.body().deserialize::<(OwnedObjectPath, Vec<String>)>().unwrap().0);
    }
    assert!(gone.iter().any(|p| p.as_str() == WEB));
    let refused = client.call(WEB, "Worker", "Start", &(none(),)).await.unwrap_err();
    assert_eq!(refused.name, "org.freedesktop.DBus.Error.UnknownObject");
    node.change(|s| {
        let new = worker("new", 1);
        s.workers.insert(new.name.clone(), Arc::new(new));
    });
    client.signal("InterfacesAdded").await;
    let replica = client.signal("InterfacesAdded").await;
    let (come, _): (OwnedObjectPath, HashMap<String, Dict>) = replica.body().deserialize().unwrap();
    assert_eq!(come.as_str(), "/org/reeve/Node1/worker/new/1");
}

fn replica_of(worker: &str, index: u32) -> reeve_core::status::ReplicaStatus {
    let mut status = replica(worker, index);
    status.id = ReplicaId::new(WorkerName::new(worker).unwrap(), index);
    status
}

#[tokio::test]
async fn a_task_run_comes_goes_on_and_completes() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let reply = client.call(ROOT, "Workers", "Stop", &("web", none())).await.unwrap();
    let run: OwnedObjectPath = reply.body().deserialize().unwrap();
    let added = client.signal("InterfacesAdded").await;
    let (come, values): (OwnedObjectPath, HashMap<String, Dict>) = added.body().deserialize().unwrap();
    assert_eq!(come, run);
    let properties = &values["org.reeve.Node1.TaskRun"];
    assert_eq!(text(&properties["Task"]), "stop");
    assert_eq!(text(&properties["Kind"]), "command");
    assert_eq!(*properties["Progress"], Variant::F64(0.5));
    assert_eq!(*properties["Cancelable"], Variant::Bool(true));
    let started = client.signal("TaskRunStarted").await;
    let (path_of, task): (OwnedObjectPath, String) = started.body().deserialize().unwrap();
    assert_eq!((path_of, task.as_str()), (run.clone(), "stop"));
    let active = client.property(ROOT, "Maintenance", "ActiveTaskRuns").await;
    let active: Vec<OwnedObjectPath> = active.try_into().unwrap();
    assert_eq!(active, std::slice::from_ref(&run));

    node.change(|s| {
        let run = Arc::make_mut(s.operations.last_mut().unwrap());
        run.state = "done";
        run.result = "cancelled";
        run.message = "cancelled by uid 0".into();
        run.progress = (2, 2);
    });
    let completed = client.signal("Completed").await;
    assert_eq!(path(&completed), run.as_str());
    let (result, error, message): (String, String, String) = completed.body().deserialize().unwrap();
    assert_eq!(result, "cancelled");
    assert_eq!(error, "org.reeve.Error.Cancelled");
    assert_eq!(message, "cancelled by uid 0");
    let finished = client.signal("TaskRunFinished").await;
    let (_, task, result): (OwnedObjectPath, String, String) = finished.body().deserialize().unwrap();
    assert_eq!((task.as_str(), result.as_str()), ("stop", "cancelled"));
    // Who comes late still reads how it ended.
    let mut late = node.client().await;
    assert_eq!(text(&late.property(run.as_str(), "TaskRun", "Result").await), "cancelled");
    node.change(|s| s.operations.clear());
    client.signal("InterfacesRemoved").await;
}

#[tokio::test]
async fn events_go_to_subscribers_only() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let mut other = node.client().await;
    client.call(ROOT, "Manager", "Subscribe", &(none(),)).await.unwrap();
    client.call(ROOT, "Manager", "Subscribe", &(none(),)).await.unwrap();
    other.call(ROOT, "Manager", "Ping", &()).await.unwrap();
    node.events.send(Arc::new(event("first"))).unwrap();
    let heard = client.signal("Event").await;
    let (at, kind, target, reason, _, more): (u64, String, String, String, String, Dict) =
        heard.body().deserialize().unwrap();
    assert_eq!((at, kind.as_str(), target.as_str()), (77, "worker-failed", "web/2"));
    assert_eq!(reason, "first");
    assert_eq!(text(&more["run"]), RUN);
    assert_eq!(client.others().await, [] as [&str; 0], "once, though asked for twice");

    client.call(ROOT, "Manager", "Unsubscribe", &(none(),)).await.unwrap();
    until(|| node.events.receiver_count() == 0).await;
    client.call(ROOT, "Manager", "Subscribe", &(none(),)).await.unwrap();
    node.events.send(Arc::new(event("second"))).unwrap();
    let heard = client.signal("Event").await;
    let body = heard.body();
    let (_, _, _, reason, _, _): (u64, String, String, String, String, Dict) = body.deserialize().unwrap();
    assert_eq!(reason, "second");
    assert_eq!(other.others().await, [] as [&str; 0]);
    drop(client);
    until(|| node.events.receiver_count() == 0).await;
}

#[tokio::test]
async fn standard_interfaces_answer_on_every_folder() {
    let mut node = Node::private();
    let mut client = node.client().await;
    let introspectable = "org.freedesktop.DBus.Introspectable";
    for (path, child) in [
        ("/", "org"),
        ("/org", "reeve"),
        ("/org/reeve", "Node1"),
        (ROOT, "worker"),
        (ROOT, "fleet"),
        ("/org/reeve/Node1/worker", "_33d_2drender"),
        (WEB, "2"),
    ] {
        let reply = client.call(path, introspectable, "Introspect", &()).await.unwrap();
        let xml: String = reply.body().deserialize().unwrap();
        assert!(xml.contains(&format!("<node name=\"{child}\"/>")), "{path}: {xml}");
    }
    let reply = client.call(ROOT, introspectable, "Introspect", &()).await.unwrap();
    let xml: String = reply.body().deserialize().unwrap();
    assert!(xml.contains("org.reeve.Node1.Workers") && xml.contains(MANAGER));
    assert!(xml.len() < 24 * 1024, "{} bytes", xml.len());
    for path in ["/orgx", "/org/reeve/Node", "/org/reeve/Node1/worker/nope", "/x"] {
        let refused = client.call(path, introspectable, "Introspect", &()).await.unwrap_err();
        assert_eq!(refused.name, "org.freedesktop.DBus.Error.UnknownObject", "{path}");
    }
    client.call(WEB, "org.freedesktop.DBus.Peer", "Ping", &()).await.unwrap();
}
