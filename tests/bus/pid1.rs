//! A played PID 1 that has a lot to say.

use crate::real::{Bus, bus_or_skip};
use reeve::bus::systemd1::{Systemd, SystemdEvent};
use std::time::Duration;
use zbus::connection::Builder;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath};

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

async fn pid1(bus: &Bus) -> Connection {
    let builder = Builder::address(bus.address.as_str()).serve_at("/org/freedesktop/systemd1", Manager);
    builder.name("org.freedesktop.systemd1").build().await.unwrap()
}

/// On a host that is just coming up, or where many units fail.
#[tokio::test]
async fn much_said_while_we_subscribe_holds_up_nothing_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_or_skip!(folder.path());
    let _pid1 = pid1(&bus).await;
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
