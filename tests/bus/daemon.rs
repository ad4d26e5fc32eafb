//! On a real bus, with a played polkit: name, credentials, interaction, polkit gone, bus gone and back.

use crate::fake::*;
use crate::real::{Bus, NAME, bus_or_skip};
use reeve::bus::server::StartError;
use reeve::bus::{Address, Server};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use zbus::connection::Builder;
use zbus::message::Flags;
use zbus::{Connection, OwnedVariant};
use zbus_polkit::policykit1::AuthorizationResult;

/// What was asked of the played polkit: subject's name, action, details, interactive.
type Questions = Arc<Mutex<Vec<(String, String, HashMap<String, String>, bool)>>>;

/// Grants reading; for more it wants a password, and gets one when it may ask.
struct Polkit(Questions);

#[zbus::interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Polkit {
    async fn check_authorization(
        &self,
        subject: (String, HashMap<String, OwnedVariant>),
        action: String,
        details: HashMap<String, String>,
        flags: u32,
        _cancellation: String,
    ) -> AuthorizationResult {
        assert_eq!(subject.0, "system-bus-name");
        let interactive = flags & 1 == 1;
        let name = text(&subject.1["name"]);
        self.0.lock().unwrap().push((name, action.clone(), details, interactive));
        let reading = action.contains(".read-");
        let never = action.ends_with(".reboot");
        AuthorizationResult {
            is_authorized: reading || (interactive && !never),
            is_challenge: !reading && !never && !interactive,
            details: HashMap::new(),
        }
    }

    async fn cancel_check_authorization(&self, _cancellation: String) {}
}

async fn polkit(bus: &Bus, questions: &Questions) -> Connection {
    Builder::address(bus.address.as_str())
        .serve_at("/org/freedesktop/PolicyKit1/Authority", Polkit(questions.clone()))
        .name("org.freedesktop.PolicyKit1")
        .build()
        .await
        .unwrap()
}

/// Our uid is root's or the daemon's own in every test, which polkit is not asked about; so the daemon is told
/// another by an authority that passes the question on as a stranger's.
#[derive(Debug)]
struct Stranger(Mutex<Option<Arc<dyn reeve::bus::auth::Authority>>>);

impl reeve::bus::auth::Authority for Stranger {
    fn check<'a>(
        &'a self,
        question: reeve::bus::auth::Question<'a>,
    ) -> futures_util::future::BoxFuture<'a, reeve::bus::auth::Verdict> {
        let inner = self.0.lock().unwrap().clone().unwrap();
        Box::pin(async move {
            let stranger = reeve::bus::caller::Client { uid: 4711, ..question.client.clone() };
            let question = reeve::bus::auth::Question {
                client: &stranger,
                header: question.header,
                action: question.action,
                details: question.details.clone(),
                interactive: question.interactive,
            };
            inner.check(question).await
        })
    }
}

#[tokio::test]
async fn the_name_is_ours_alone_and_root_needs_no_polkit() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_or_skip!(folder.path());
    let mut node = Node::private();
    node.server.listen(Address::Bus(bus.address.clone())).await.unwrap();
    let mut client = bus.client().await;
    client.call(ROOT, "Workers", "Stop", &("web", none())).await.unwrap();
    let caller = node.trail.all()[0].caller.clone();
    assert_eq!(caller.pid, Some(std::process::id()));
    assert_eq!(caller.unique, client.connection.unique_name().map(ToString::to_string));
    assert!(caller.comm.is_some());

    let mut other = Node::private();
    let error = other.server.listen(Address::Bus(bus.address.clone())).await.unwrap_err();
    assert!(matches!(error, StartError::NameTaken), "{error}");
    // And the first one still serves.
    client.call(ROOT, "Manager", "Ping", &()).await.unwrap();
}

#[tokio::test]
async fn polkit_decides_about_others_and_nobody_may_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_or_skip!(folder.path());
    let authority = Arc::new(Stranger(Mutex::new(None)));
    let mut node = Node::new(Some(authority.clone()));
    node.server.listen(Address::Bus(bus.address.clone())).await.unwrap();
    // Asks on a connection of its own, which polkit does not mind.
    let asking = Builder::address(bus.address.as_str()).build().await.unwrap();
    *authority.0.lock().unwrap() = Some(reeve::bus::auth::polkit(asking, 0));
    let mut client = bus.client().await;

    let refused = client.call(ROOT, "Workers", "ListWorkers", &(none(),)).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.NotAuthorized");
    assert!(refused.text.contains("polkit does not answer"), "{}", refused.text);

    let questions = Questions::default();
    let played = polkit(&bus, &questions).await;
    client.call(ROOT, "Workers", "ListWorkers", &(none(),)).await.unwrap();
    let stop = ("web/2", opt([("reason", zbus::Variant::from("new build"))]));
    let refused = client.call(ROOT, "Workers", "Stop", &stop).await.unwrap_err();
    assert_eq!(refused.name, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired");
    let (name, action, details, interactive) = questions.lock().unwrap().last().cloned().unwrap();
    assert_eq!(Some(name), client.connection.unique_name().map(ToString::to_string));
    assert_eq!(action, "org.reeve.node1.manage-workers");
    assert_eq!(details["target"], "web/2");
    assert_eq!(details["reason"], "new build");
    assert!(!interactive, "only the message's flag allows it");
    let message = zbus::Message::method_call(ROOT, "Stop")
        .destination(NAME)
        .interface("org.reeve.Node1.Workers")
        .with_flags(Flags::ALLOW_INTERACTIVE_AUTH)
        .build(&stop)
        .unwrap();
    client.connection.send(&message).await.unwrap();
    node.commands(1).await;
    assert!(questions.lock().unwrap().last().unwrap().3);
    let refused = client.call(ROOT, "Manager", "Reboot", &("x", none())).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.NotAuthorized");
    let can = ("drain", none());
    let reply = client.call(ROOT, "Manager", "Can", &can).await.unwrap();
    assert_eq!(reply.body().deserialize::<String>().unwrap(), "challenge");

    played.close().await.unwrap();
    let refused = client.call(ROOT, "Workers", "ListWorkers", &(none(),)).await.unwrap_err();
    assert_eq!(refused.name, "org.reeve.Error.NotAuthorized");
}

#[tokio::test]
async fn events_go_to_the_subscriber_until_it_leaves_the_bus() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_or_skip!(folder.path());
    let mut node = Node::private();
    node.server.listen(Address::Bus(bus.address.clone())).await.unwrap();
    let mut client = bus.client().await;
    client.call(ROOT, "Manager", "Subscribe", &(none(),)).await.unwrap();
    node.events.send(Arc::new(event("heard"))).unwrap();
    client.signal("Event").await;
    drop(client);
    until(|| node.events.receiver_count() == 0).await;
}

#[tokio::test]
async fn a_bus_that_goes_away_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_or_skip!(folder.path());
    let mut node = Node::private();
    node.server.listen(Address::Bus(bus.address.clone())).await.unwrap();
    let problem = node.server.problem();
    drop(bus);
    until(|| problem.borrow().is_some()).await;
    let bus = bus_or_skip!(folder.path());
    until(|| problem.borrow().is_none()).await;
    let mut client = bus.client().await;
    client.call(ROOT, "Manager", "Ping", &()).await.unwrap();
    client.call(ROOT, "Workers", "Stop", &("web", none())).await.unwrap();
}

#[tokio::test]
async fn a_bus_that_is_not_there_yet_is_no_reason_to_fail() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::private();
    let address = format!("unix:path={}", folder.path().join("socket").display());
    let server: &mut Server = &mut node.server;
    server.listen(Address::Bus(address)).await.unwrap();
    let problem = server.problem();
    assert!(problem.borrow().as_ref().unwrap().contains("no connection"));
    let bus = bus_or_skip!(folder.path());
    until(|| problem.borrow().is_none()).await;
    bus.client().await.call(ROOT, "Manager", "Ping", &()).await.unwrap();
}

#[tokio::test]
async fn busctl_reads_the_whole_interface() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_or_skip!(folder.path());
    let mut node = Node::private();
    node.server.listen(Address::Bus(bus.address.clone())).await.unwrap();
    let busctl = async |args: &[&str]| {
        let output = tokio::process::Command::new("busctl")
            .arg(format!("--address={}", bus.address))
            .args(args)
            .output()
            .await
            .ok()?;
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(tree) = busctl(&["--list", "tree", NAME]).await else {
        eprintln!("skipped: no busctl here");
        return;
    };
    assert!(tree.contains("/org/reeve/Node1/worker/_33d_2drender/1"), "{tree}");
    let introspected = busctl(&["introspect", NAME, ROOT]).await.unwrap();
    for expected in [".ListWorkers", "a(sosuusua{sv})", ".StateSince", ".StateChanged"] {
        assert!(introspected.contains(expected), "{introspected}");
    }
    let replica = "/org/reeve/Node1/worker/web/1";
    let state = busctl(&["get-property", NAME, replica, "org.reeve.Node1.Replica", "State"]).await;
    assert_eq!(state.unwrap().trim(), "s \"ready\"");
    let workers = "org.reeve.Node1.Workers";
    let stopped = busctl(&["call", NAME, ROOT, workers, "Stop", "sa{sv}", "web", "0"]).await;
    assert!(stopped.unwrap().starts_with("o \"/org/reeve/Node1/task_run/0"));
    let list = ["--json=short", "call", NAME, ROOT, workers, "ListWorkers", "a{sv}", "0"];
    assert!(busctl(&list).await.unwrap().contains("\"replicas\""));
}
