//! A played PID 1 that has a lot to say.

use crate::real::{Bus, bus_or_skip};
use reeve::bus::systemd1::{Systemd, SystemdEvent};
use reeve::bus::units::follow_by;
use reeve_core::metrics::{Labels, Samples, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use zbus::connection::Builder;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, Message, ObjectPath, Variant};

/// Far more than a stream of zbus holds.
const SIGNALS: u32 = 1000;

/// Says all that before it answers.
struct Manager;

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    async fn subscribe(&self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) {
        for id in 0..SIGNALS {
            let job = ObjectPath::try_from(format!("/job/{id}")).unwrap();
            Manager::job_removed(&emitter, id, job, "reeve-web-1.service", "done").await.unwrap();
        }
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: ObjectPath<'_>,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

fn pid1(bus: &Bus) -> Builder<'_> {
    let builder = Builder::address(bus.address.as_str()).serve_at("/org/freedesktop/systemd1", Manager);
    builder.name("org.freedesktop.systemd1")
}

/// On a host that is just coming up, or where many units fail.
#[tokio::test]
async fn much_said_while_we_subscribe_holds_up_nothing_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_or_skip!(folder.path());
    let _pid1 = pid1(&bus).build().await.unwrap();
    let systemd = Systemd::connect_by(Builder::address(bus.address.as_str())).await.unwrap();
    let subscribed = tokio::time::timeout(Duration::from_secs(30), systemd.subscribe()).await;
    let mut events = subscribed.expect("the connection stands still").unwrap();
    for id in 0..SIGNALS {
        let wanted = format!("/job/{id}");
        match events.recv().await {
            Some(SystemdEvent::JobRemoved { job, .. }) => assert_eq!(job, wanted),
            other => panic!("{other:?} instead of {wanted}"),
        }
    }
    drop(bus);
    assert_eq!(events.recv().await, Some(SystemdEvent::Lost));
    assert_eq!(events.recv().await, None);
}

/// A unit whose state can be changed.
struct Unit(Arc<Mutex<(&'static str, u32)>>);

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn active_state(&self) -> &str {
        self.0.lock().unwrap().0
    }
}

struct Service(Arc<Mutex<(&'static str, u32)>>);

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property, name = "Type")]
    fn type_(&self) -> &str {
        "notify"
    }

    #[zbus(property, name = "NRestarts")]
    fn restarts(&self) -> u32 {
        self.0.lock().unwrap().1
    }
}

const NGINX: &str = "/org/freedesktop/systemd1/unit/nginx_2eservice";

/// Only that it changed is said: what it is now is read.
async fn change(pid1: &Connection, now: &Mutex<(&'static str, u32)>, to: (&'static str, u32)) {
    *now.lock().unwrap() = to;
    let nothing: (&str, HashMap<&str, Variant<'_>>, &[&str]) =
        ("org.freedesktop.systemd1.Service", HashMap::new(), &[]);
    let interface = "org.freedesktop.DBus.Properties";
    let signal = Message::signal(NGINX, interface, "PropertiesChanged").build(&nothing).unwrap();
    pid1.send(&signal).await.unwrap();
}

/// What is told of nginx.service: its state, and its restarts.
fn told(samples: &Samples) -> Option<(Labels, f64)> {
    let number = |value: &Value| match value {
        Value::Number(number) => *number,
        other => panic!("{other:?}"),
    };
    let states = samples.get("node_systemd_unit_state")?;
    assert_eq!(states.samples.len(), 5);
    let on = states.samples.iter().find(|(_, value)| number(value) == 1.0).unwrap();
    let restarts = samples.get("node_systemd_service_restart_total").unwrap();
    Some((on.0.clone(), number(&restarts.samples[0].1)))
}

#[tokio::test]
async fn met_01_units_of_others_are_told_as_they_change_and_withdrawn_with_the_bus() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_or_skip!(folder.path());
    let nginx = Arc::new(Mutex::new(("active", 0)));
    let units = pid1(&bus).serve_at(NGINX, Unit(nginx.clone())).serve_at(NGINX, Service(nginx.clone()));
    let pid1 = units.build().await.unwrap();
    let (says, mut heard) = mpsc::unbounded_channel();
    let address = bus.address.clone();
    let by = move || Builder::address(address.as_str());
    tokio::spawn(follow_by(by, vec!["nginx.service".to_owned(), "odd.service".to_owned()], move |said| {
        says.send(said).is_ok()
    }));

    let label = |state: &str| Labels::new(&[("name", "nginx.service"), ("state", state), ("type", "notify")]);
    let first = heard.recv().await.unwrap().unwrap();
    assert_eq!(told(&first), Some((label("active"), 0.0)));
    change(&pid1, &nginx, ("failed", 3)).await;
    let next = heard.recv().await.unwrap().unwrap();
    assert_eq!(told(&next), Some((label("failed"), 3.0)));
    // Nothing new: nothing is said. The next thing heard is that the bus has gone.
    change(&pid1, &nginx, ("failed", 3)).await;
    drop(pid1);
    drop(bus);
    assert_eq!(told(&heard.recv().await.unwrap().unwrap()), None);
    let error = heard.recv().await.unwrap().unwrap_err();
    assert!(error.starts_with("units cannot be followed: "), "{error}");
}
