//! No driver, a lost card, a driver replaced underneath, letting go: each is a state that is shown.

use super::fake::World;
use reeve_core::gpu::Hold;

/// MET-21: without a driver nothing is measured and nothing breaks; it is found when it comes.
#[test]
fn met_21_a_driver_that_comes_later_is_found() {
    let mut world = World::new("profile = consumer\ninit = driver-not-loaded");
    let why = world.until("unavailable", |told| match told.inventory().hold {
        Hold::Unavailable(why) => Some(why),
        _ => None,
    });
    assert_eq!(why, "the NVIDIA driver is not loaded");
    world.wait("down", |told| told.one("reeve_gpu_up", "") == Some(0.0));
    world.set("init", "");
    world.wait("up", |told| told.one("reeve_gpu_up", "") == Some(1.0));
    world.wait("figures", |told| told.all("reeve_gpu_power_watts").len() == 1);
}

/// MET-21: a file that is not there is no reason to fall over.
#[test]
fn met_21_no_library_is_a_state() {
    let world = World::with("", "libfake_nvml.so", |o| o.nvml = Some("/nowhere/libnvidia-ml.so.1".into()));
    world.wait(
        "unavailable",
        |told| matches!(&told.inventory().hold, Hold::Unavailable(why) if why.contains("no NVIDIA library")),
    );
}

/// MET-21: a card that falls off the bus is shown as such, stays so, and the others go on.
#[test]
fn met_21_a_lost_card_leaves_the_others() {
    let mut world = World::new("profile = h200\ncards = 3");
    world.anew();
    world.set("1.state", "fallen-off");
    world.wait("it is lost", |told| told.one("reeve_gpu_card_up", "gpu=\"1\"") == Some(0.0));
    world.anew();
    world.until("the others", |told| {
        assert_eq!(told.all("reeve_gpu_power_watts").len(), 2);
        assert_eq!(told.one("reeve_gpu_health", "000000000001\",check=\"bus\""), Some(0.0));
        assert_eq!(told.one("reeve_gpu_health", "000000000002\",check=\"bus\""), Some(1.0));
        assert_eq!(told.one("reeve_gpu_up", ""), Some(1.0));
        let inventory = told.inventory();
        let words: Vec<_> = inventory.cards.iter().map(|c| c.facts.verdict().word()).collect();
        (words == ["healthy", "lost", "healthy"]).then_some(())
    });
    // Once lost it stays lost until NVML is begun anew.
    world.set("1.state", "ok");
    world.anew();
    world.wait("still lost", |told| told.one("reeve_gpu_card_up", "gpu=\"1\"") == Some(0.0));
    world.ask(true).unwrap();
    world.ask(false).unwrap();
    world.wait("all back", |told| told.all("reeve_gpu_card_up").values().sum::<f64>() == 3.0);
}

/// MET-21: a driver replaced under our feet is told as that, and the new one is found.
#[test]
fn met_21_a_replaced_driver_is_shown() {
    let mut world = World::new("profile = h200\ncards = 1");
    world.anew();
    world.set("driver.state", "version-mismatch");
    world.wait("mismatch", |told| told.one("reeve_gpu_state", "mismatch") == Some(1.0));
    world.wait("withdrawn", |told| told.all("reeve_gpu_power_watts").is_empty());
    world.set("driver", "580.95.05");
    world.set("driver.state", "");
    world.wait("the new one", |told| told.all("reeve_gpu_info").keys().any(|l| l.contains("580.95.05")));
}

/// MET-21: released means released: series withdrawn, no call made, and back again on request.
#[test]
fn met_21_release_lets_go_and_acquire_takes_back() {
    let mut world = World::new("profile = h200\ncards = 2");
    world.anew();
    assert_eq!(world.ask(true), Ok(()));
    world.wait("released", |told| told.inventory().hold == Hold::Released);
    world.wait("down", |told| told.one("reeve_gpu_up", "") == Some(0.0));
    world.wait("withdrawn", |told| {
        ["reeve_gpu_info", "reeve_gpu_power_watts", "reeve_gpu_health", "reeve_worker_gpu_processes"]
            .into_iter()
            .all(|name| told.all(name).is_empty())
    });
    world.set("init", "driver-not-loaded");
    assert_eq!(world.ask(false), Err("the NVIDIA driver is not loaded".to_owned()));
    world.set("init", "");
    world.wait("by itself again", |told| told.one("reeve_gpu_up", "") == Some(1.0));
}

/// MET-21: an XID that reaches only the kernel's log is counted, also while NVML hangs.
#[test]
fn met_21_xids_of_the_kernels_log_are_counted() {
    let mut world = World::new("profile = h200\ncards = 2");
    world.anew();
    world.set("call.nvmlDeviceGetUtilizationRates", "hang");
    world.wait("stuck", |told| told.one("reeve_gpu_collect_success", "fast") == Some(0.0));
    world.kernel(
        "NVRM: Xid (PCI:0000:2b:00): 119, pid=7, name=x, Timeout after 6s of waiting for RPC response from GPU1",
    );
    let kernel = |told: &super::fake::Told| told.one("reeve_gpu_xid_errors_total", "xid=\"119\",source=\"kernel\"");
    world.wait("counted", |told| kernel(told) == Some(1.0));
    world.wait("the right card", |told| told.one("reeve_gpu_xid_last_timestamp_seconds", "gpu=\"1\"").is_some());
    world.set("call.nvmlDeviceGetUtilizationRates", "");
    world.anew();
    world.set("1.event.1", "119");
    world.set("1.event.2", "31");
    world
        .wait("the next one", |told| told.one("reeve_gpu_xid_errors_total", "xid=\"31\",source=\"nvml\"") == Some(1.0));
    world.wait("once", |told| told.all("reeve_gpu_xid_errors_total").values().sum::<f64>() <= 3.0);
}

/// MET-21: a daemon that is restarted while NVML is let go of leaves it alone.
#[test]
fn met_21_released_outlives_the_daemon() {
    let world = World::with("profile = h200\ncards = 1", "libfake_nvml.so", |o| o.released = true);
    world.wait("released", |told| told.inventory().hold == Hold::Released);
    world.gpu.look();
    assert_eq!(world.ask(false), Ok(()));
    world.wait("up", |told| told.one("reeve_gpu_up", "") == Some(1.0));
}

/// MET-21: an XID is counted each time and shown at once; a fatal one stands in the card's health.
#[test]
fn met_21_xids_are_counted_as_they_come() {
    let mut world = World::new("profile = h200\ncards = 2\n1.event.1 = 13");
    world.anew();
    // What was there before the set was made is history.
    world.set("1.event.2", "79");
    let count = |want: f64| {
        move |told: &super::fake::Told| {
            told.one("reeve_gpu_xid_errors_total", "xid=\"79\",source=\"nvml\"") == Some(want)
        }
    };
    world.wait("one", count(1.0));
    world.set("1.event.3", "79");
    world.wait("the same again", count(2.0));
    world.wait("when", |told| told.one("reeve_gpu_xid_last_timestamp_seconds", "xid=\"79\"") > Some(1.7e9));
    world.wait("health", |told| told.one("reeve_gpu_health", "000000000001\",check=\"xid\"") == Some(0.0));
    world.wait("the core", |told| told.inventory().cards.iter().any(|c| c.index == 1 && c.facts.fatal_xid.is_some()));
    world.wait("not the other", |told| told.one("reeve_gpu_xid_errors_total", "xid=\"13\"").is_none());
}
