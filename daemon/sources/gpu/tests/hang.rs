//! A call that does not come back holds up nobody.

use super::fake::{QUICK, World};
use reeve_core::gpu::Hold;
use std::time::Instant;

/// MET-21, HLT-03: the lane is marked within two periods, its figures are withdrawn, the call is named, the handle does
/// not wait; and it all comes back by itself.
#[test]
fn met_21_a_hanging_call_marks_its_lane_and_recovers() {
    let mut world = World::new("profile = h200\ncards = 2");
    world.anew();
    world.wait("well", |told| told.one("reeve_gpu_collect_success", "fast") == Some(1.0));
    let began = Instant::now();
    world.set("0.call.nvmlDeviceGetPowerUsage", "hang");
    world.set("0.call.nvmlDeviceGetFieldValues", "hang");
    world.wait("failed", |told| told.one("reeve_gpu_collect_success", "fast") == Some(0.0));
    // Two periods and the steps of the watch, with room for a busy machine.
    assert!(began.elapsed() < QUICK.fast * 100, "{:?}", began.elapsed());
    let why = world.until("told", |told| told.outcome("gpu_fast")?.err());
    assert!(why.contains("nvmlDeviceGetFieldValues has been going on"), "{why}");
    world.wait("withdrawn", |told| told.all("reeve_gpu_power_watts").is_empty());
    world.wait("the core", |told| matches!(told.inventory().hold, Hold::Unavailable(_)));
    world.wait("down", |told| told.one("reeve_gpu_up", "") == Some(0.0));
    let asked = Instant::now();
    world.gpu.look();
    assert!(asked.elapsed() < QUICK.fast * 50);
    world.set("0.call.nvmlDeviceGetFieldValues", "");
    world.wait("well again", |told| told.one("reeve_gpu_collect_success", "fast") == Some(1.0));
    world.wait("up", |told| told.one("reeve_gpu_up", "") == Some(1.0));
    world.wait("figures", |told| told.all("reeve_gpu_power_watts").len() == 2);
    world.wait("the core again", |told| told.inventory().hold == Hold::Held);
}

/// MET-21: a lane that takes too large a share of the time looks less often.
#[test]
fn met_21_a_slow_lane_backs_off() {
    let world = World::new("profile = h200\ncards = 1\ncall.nvmlDeviceGetUtilizationRates = 30");
    let period = |told: &super::fake::Told| told.one("reeve_gpu_collect_period_seconds", "fast");
    world.wait("longer", |told| period(told) > Some(QUICK.fast.as_secs_f64() * 5.0));
}

/// MET-21: a release that meets a hanging call is done when the call is.
#[test]
fn met_21_a_release_waits_for_the_call_alone() {
    let mut world = World::new("profile = h200\ncards = 1");
    world.anew();
    world.set("call.nvmlDeviceGetUtilizationRates", "hang");
    world.wait("failed", |told| told.one("reeve_gpu_collect_success", "fast") == Some(0.0));
    let (back, answer) = std::sync::mpsc::channel();
    world.gpu.release(Box::new(move |result| back.send(result).unwrap()));
    assert!(answer.try_recv().is_err());
    world.set("call.nvmlDeviceGetUtilizationRates", "");
    assert_eq!(answer.recv(), Ok(Ok(())));
    world.wait("released", |told| told.inventory().hold == Hold::Released);
}
