//! Workers' shares of cards.

use super::super::Place;
use super::fake::World;
use reeve_core::{ReplicaId, WorkerName};

const GIB: u64 = 1 << 30;

fn place(worker: &str, index: u32) -> Place {
    let replica = ReplicaId::new(WorkerName::new(worker).unwrap(), index);
    let cgroup = Some(format!("/sys/fs/cgroup/reeve.slice/reeve-{worker}-{index}.service"));
    Place { replica, role: "trainer".into(), cgroup, pid: None }
}

/// MET-21: a worker's processes stand under it, what belongs to nobody under the empty name, and the sum is the card's.
#[test]
fn met_21_shares_add_up_to_the_card() {
    let mut world = World::new("profile = h200\ncards = 1");
    world.process(4711, "/reeve.slice/reeve-train-1.service");
    world.process(4712, "/reeve.slice/reeve-train-1.service/inner");
    world.process(5000, "/user.slice/session-3.scope");
    world.places(vec![place("train", 1), place("train", 2)]);
    world.set("0.util.4711", "40");
    world.set("0.memory.used", &(20 * GIB).to_string());
    for (pid, bytes) in [(5000, 3 * GIB), (4711, 8 * GIB), (4712, 4 * GIB)] {
        world.set(&format!("0.process.{pid}"), &format!("compute {bytes}"));
    }
    let mine = "worker=\"train\",replica=\"1\",role=\"trainer\",gpu=\"0\"";
    world.wait("its share", |told| told.one("reeve_worker_gpu_memory_used_bytes", mine) == Some((12 * GIB) as f64));
    world.until("the rest", |told| {
        assert_eq!(told.one("reeve_worker_gpu_processes", mine), Some(2.0));
        assert_eq!(told.one("reeve_worker_gpu_sm_utilization_ratio", mine), Some(0.4));
        let all = told.all("reeve_worker_gpu_memory_used_bytes");
        assert_eq!(all.values().sum::<f64>(), (20 * GIB) as f64, "{all:?}");
        assert_eq!(told.one("reeve_worker_gpu_memory_used_bytes", "worker=\"\""), Some((8 * GIB) as f64));
        assert_eq!(told.one("reeve_worker_gpu_processes", "worker=\"\""), Some(1.0));
        Some(())
    });
    // It goes with its process.
    for pid in [4711, 4712] {
        world.set(&format!("0.process.{pid}"), "");
    }
    world.wait("gone", |told| told.one("reeve_worker_gpu_processes", mine).is_none());
}

/// SUP-05: who is on a card is told with its cgroup, and on request at once.
#[test]
fn sup_05_processes_stand_in_the_inventory() {
    let mut world = World::with("profile = a100-mig", "libfake_nvml.so", |o| {
        o.periods.process = std::time::Duration::from_secs(3600)
    });
    world.anew_first();
    world.process(4711, "/reeve.slice/reeve-train-1.service");
    world.set("0.process.4711", "compute 1073741824 gi=7 ci=0");
    world.gpu.look();
    let found = world.until("the process", |told| told.inventory().cards.first()?.processes.first().cloned());
    assert_eq!((found.pid, found.memory, found.gpu_instance), (4711, Some(GIB), Some(7)));
    assert_eq!(found.cgroup.as_deref(), Some("/reeve.slice/reeve-train-1.service"));
}
