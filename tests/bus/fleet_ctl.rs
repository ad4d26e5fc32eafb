//! `reevectl fleet` against the real server.

use crate::fake::until;
use crate::fleet::{led, name, show, slot};
use crate::reevectl::Rooted;
use reeve_core::fleet::{FleetCommand, FleetStatus};
use reeve_core::{Command, Wall};
use std::sync::Arc;

async fn rooted(fleet: FleetStatus) -> Rooted {
    let node = Rooted::new().await;
    show(&node.node, fleet);
    node
}

/// Ends the newest task run when it is there.
async fn end(node: &Rooted, asked: usize, result: &'static str, message: &str) {
    node.node.commands(asked).await;
    until(|| node.node.snapshot.borrow().operations.len() >= asked).await;
    node.node.change(|s| {
        let run = Arc::make_mut(s.operations.last_mut().unwrap());
        (run.state, run.result, run.message) = ("done", result, message.to_owned());
    });
}

#[tokio::test]
async fn looking_at_the_fleet() {
    let node = rooted(led()).await;
    for (line, shown) in [
        ("fleet status", "lab - fleet, as gpu-07 sees it"),
        ("fleet status", "gpu-06 is silent"),
        ("fleet nodes", "2 nodes: 1 alive, 1 lost."),
        ("fleet slots", "gpu-05 holds the only one"),
        ("fleet why leader", "gpu-07: 2 of 3 voters"),
        ("fleet why", "not heard for 31 s"),
        ("fleet broker-config --operator ops", "topic write reeve/lab/cmd/ops"),
    ] {
        let (code, out, err) = node.says(line).await;
        assert_eq!(code, 0, "{line}: {err}");
        assert!(out.contains(shown), "{line}: {out}");
    }
    let status = node.json("fleet status").await;
    assert_eq!((&status["term"], &status["quorum"]), (&7.into(), &true.into()));
    assert!(status["lease_remaining_ms"].as_u64().is_some_and(|ms| ms > 500_000));
    assert_eq!(status["brokers"][0]["reason"], "connection refused");
    let nodes = node.json("fleet nodes").await;
    assert_eq!(nodes[0]["workers"][0]["ports"], serde_json::json!([80]));
    assert!(nodes[0]["age_ms"].as_u64().is_some_and(|ms| ms >= 4_000));
    assert_eq!(node.json("fleet slots").await[1]["position"], 2);
    let targets = node.json("fleet nodes --file-sd").await;
    assert_eq!(targets[0]["targets"][0], "10.0.0.5:9723");
    let (code, _, err) = node.says("fleet why gpu-99").await;
    assert_eq!(code, 5);
    assert!(err.contains("reevectl fleet nodes"), "{err}");
}

#[tokio::test]
async fn a_fleet_without_a_leader_and_a_fleet_of_one() {
    let node = rooted(FleetStatus { leader: None, role: "candidate", quorum: false, ..led() }).await;
    let (code, out, _) = node.says("fleet status").await;
    assert!(code == 1 && out.contains("nobody is known to lead"), "{out}");
    let observer = FleetStatus { role: "observer", nodes: Arc::default(), ..led() };
    show(&node.node, observer);
    let (code, _, err) = node.says("fleet nodes").await;
    assert!(code == 5 && err.contains("ask a voter: gpu-05, gpu-06, gpu-07"), "{err}");
    show(
        &node.node,
        FleetStatus { alone: true, role: "leader", leader: Some(name("gpu-07")), ..FleetStatus::default() },
    );
    let (code, out, _) = node.says("fleet status").await;
    assert!(code == 0 && out.contains("gpu-07 - a fleet of one"), "{out}");
    let (code, out, _) = node.says("fleet slots").await;
    assert_eq!((code, out.as_str()), (0, "No slots are held or asked for.\n"));
    let (code, _, err) = node.says("fleet broker-config").await;
    assert!(code == 5 && err.contains("no [fleet] is configured"), "{err}");
}

#[tokio::test]
async fn asking_waits_and_prints_the_slot_and_its_fence() {
    let node = rooted(led()).await;
    let granted = slot("gpu-07/12.1", "granted");
    let answered = async {
        node.node.commands(1).await;
        node.node.change(|s| {
            let mut fleet = (*s.fleet).clone();
            fleet.slots = Arc::new(vec![reeve_core::fleet::SlotStatus { expires: Some(Wall(1)), ..granted }]);
            s.fleet = Arc::new(fleet);
        });
        end(&node, 1, "success", "slot gpu-07/12.1 is granted, fence 7.12").await;
    };
    let ((code, out, err), ()) = tokio::join!(node.says("fleet ask reboot --reason kernel"), answered);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("gpu-07/12.1: granted, fence 7.12, until Thu 1970-01-01"), "{out}");
    assert_eq!(node.node.last().command, Command::Fleet(FleetCommand::Ask { kind: "reboot".into() }));
    assert_eq!(node.node.last().caller.reason.as_deref(), Some("kernel"));

    let line = "--json fleet ask reboot";
    let answered = end(&node, 2, "success", "slot gpu-07/12.1 is granted, fence 7.12");
    let ((_, out, err), ()) = tokio::join!(node.says(line), answered);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    assert_eq!((&document[0]["slot"], &document[0]["fence"]), (&"gpu-07/12.1".into(), &"7.12".into()));
    assert_eq!((&document[0]["target"], &document[0]["result"]), (&"reboot".into(), &"success".into()));

    let refused = end(&node, 3, "failed", "there is no [fleet.slots.reboot]");
    let ((code, out, err), ()) = tokio::join!(node.says("fleet ask reboot"), refused);
    assert_eq!((code, out.as_str()), (5, ""));
    assert!(err.contains("get a slot for reboot: failed: there is no [fleet.slots.reboot]"), "{err}");
    assert!(err.contains("See `reevectl fleet status` and `reevectl fleet why`."), "{err}");
    let in_time = async {
        // One asks, one takes the question back.
        node.node.commands(5).await;
        assert!(matches!(node.node.last().command, Command::Cancel(_)));
        end(&node, 4, "cancelled", "it was given 0.01 s").await;
    };
    let ((code, out, err), ()) = tokio::join!(node.says("fleet ask reboot --timeout 10ms"), in_time);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("get a slot for reboot: cancelled: it was given 0.01 s"), "{err}");
    let (code, _, err) = node.says("fleet ask Reboot").await;
    assert!(code == 5 && err.contains("expected a kind such as reboot"), "{err}");
    let (code, out, _) = node.says("fleet ask reboot --no-wait").await;
    assert!(code == 0 && out.contains("reboot: accepted as task run 0"), "{out}");
}

#[tokio::test]
async fn each_change_of_the_fleet_is_asked_for() {
    use FleetCommand as C;
    let node = rooted(led()).await;
    let slot = "gpu-07/12.1".parse::<reeve_core::fleet::SlotId>().unwrap();
    for (line, command, why) in [
        ("release gpu-07/12.1", C::Release { slot: slot.clone(), failed: false }, None),
        ("release gpu-07/12.1 --failed --reason ill", C::Release { slot: slot.clone(), failed: true }, Some("ill")),
        ("break gpu-07/12.1 --reason ill", C::Break(slot), Some("ill")),
        ("freeze --reason ill", C::Freeze, Some("ill")),
        ("unfreeze", C::Unfreeze, None),
        ("unfreeze --reason well", C::Unfreeze, Some("well")),
        ("handover --reason ill", C::HandOver(None), Some("ill")),
        ("handover gpu-05 --reason ill", C::HandOver(Some(name("gpu-05"))), Some("ill")),
        ("promote --reason ill", C::Promote { force: false }, Some("ill")),
        ("promote --force --reason ill", C::Promote { force: true }, Some("ill")),
        ("demote gpu-05 --reason ill", C::Demote(name("gpu-05")), Some("ill")),
        ("rejoin --reason ill", C::Rejoin, Some("ill")),
        ("recover --i-know --reason ill", C::Recover, Some("ill")),
    ] {
        let (code, out, err) = node.says(&format!("fleet {line} --no-wait")).await;
        assert_eq!(code, 0, "{line}: {err}");
        assert!(out.contains("accepted as task run 0"), "{line}: {out}");
        let last = node.node.last();
        assert_eq!(last.command, Command::Fleet(command), "{line}");
        assert_eq!(last.caller.reason.as_deref(), why, "{line}");
    }
    let (code, _, err) = node.says("fleet recover --reason fire").await;
    assert!(code == 5 && err.contains("every token of the old one loses"), "{err}");
    let (code, _, err) = node.says("fleet release 12.1").await;
    assert!(code == 5 && err.contains("is no slot's id"), "{err}");

    let asked = node.node.asked.lock().unwrap().len() + 1;
    let (said, ()) = tokio::join!(node.says("fleet unfreeze"), end(&node, asked, "failed", "no majority answers"));
    assert_eq!((said.0, said.1.as_str()), (1, ""));
    assert!(said.2.contains("reevectl: unfreeze slots: failed: no majority answers"), "{}", said.2);
}
