//! Figures of cards.

use super::fake::World;
use reeve_core::gpu::Way;

/// MET-21: eight cards, each with its figures in base units.
#[test]
fn met_21_an_h200_tells_everything() {
    let world = World::new("profile = h200\n0.power.instant = 345000\n0.util = 87\n3.temperature = 71");
    world.anew();
    world.wait("all eight", |told| told.all("reeve_gpu_card_up").len() == 8);
    world.until("figures", |told| {
        let first = |name: &str| told.one(name, "gpu=\"0\"");
        assert_eq!(told.all("reeve_gpu_power_watts").len(), 8);
        assert_eq!(first("reeve_gpu_power_watts"), Some(345.0));
        assert_eq!(first("reeve_gpu_utilization_ratio"), Some(0.87));
        assert_eq!(first("reeve_gpu_memory_total_bytes"), Some(150_754_820_096.0));
        assert_eq!(first("reeve_gpu_energy_joules_total"), Some(81_234_567.89));
        assert_eq!(
            told.one(
                "reeve_gpu_temperature_celsius",
                "gpu=\"3\",uuid=\"GPU-5ee0f1c2-8a44-4f0e-9b1d-000000000003\",sensor=\"gpu\""
            ),
            Some(71.0)
        );
        assert_eq!(told.one("reeve_gpu_clock_hertz", "000000000000\",domain=\"sm\""), Some(345e6));
        assert_eq!(told.one("reeve_gpu_clock_event_active", "000000000000\",reason=\"idle\""), Some(1.0));
        assert_eq!(told.one("reeve_gpu_clock_event_active", "000000000000\",reason=\"hw_thermal\""), Some(0.0));
        assert_eq!(first("reeve_gpu_row_remap_failure"), Some(0.0));
        assert_eq!(first("reeve_gpu_recovery_action"), Some(0.0));
        assert_eq!(first("reeve_gpu_pcie_transmit_bytes_total"), Some(1000.0));
        assert_eq!(first("reeve_gpu_nvlink_up"), Some(18.0));
        assert_eq!(first("reeve_gpu_nvlink_transmit_bytes_total"), Some(3000.0 * 1024.0));
        assert!(
            told.all("reeve_gpu_info").keys().next().is_some_and(|l| l.contains("driver=\"570.86.15\",cuda=\"12.8\""))
        );
        assert_eq!(told.one("reeve_gpu_up", ""), Some(1.0));
        // Opt-in.
        assert!(told.all("reeve_gpu_sm_active_ratio").is_empty());
        Some(())
    });
    // The watch tells them by itself, at first perhaps before a lane has made all of its calls.
    world.wait("a timed call for each card", |told| {
        told.one("reeve_gpu_call_seconds", "call=\"nvmlDeviceGetUtilizationRates\"").is_some_and(|calls| calls >= 8.0)
    });
}

/// MET-21: what a consumer card does not support is absent, never 0.
#[test]
fn met_21_absent_means_not_supported() {
    let world = World::new("profile = consumer");
    world.anew();
    world.until("figures", |told| {
        for name in [
            "reeve_gpu_ecc_errors_total",
            "reeve_gpu_remapped_rows",
            "reeve_gpu_row_remap_failure",
            "reeve_gpu_recovery_action",
            "reeve_gpu_nvlink_up",
            "reeve_gpu_nvlink_errors_total",
            "reeve_gpu_retired_pages",
            "reeve_gpu_mig_info",
        ] {
            assert!(told.all(name).is_empty(), "{name}: {:?}", told.all(name));
        }
        assert_eq!(told.all("reeve_gpu_temperature_celsius").len(), 1);
        assert_eq!(told.one("reeve_gpu_performance_state", ""), Some(8.0));
        assert!(
            told.all("reeve_gpu_call_failures_total").is_empty(),
            "{:?}",
            told.all("reeve_gpu_call_failures_total")
        );
        Some(())
    });
}

/// MET-21: an old driver lacks symbols: each metric degrades by itself.
#[test]
fn met_21_missing_symbols_degrade_by_metric() {
    let world = World::with("profile = h200\ncards = 2", "libfake_nvml_old.so", |o| o.gpm = true);
    world.anew();
    world.until("figures", |told| {
        // By the older call, as there are no field values.
        assert_eq!(told.one("reeve_gpu_power_watts", "gpu=\"0\""), Some(76.5));
        for name in ["reeve_gpu_memory_total_bytes", "reeve_gpu_remapped_rows", "reeve_gpu_sm_active_ratio"] {
            assert!(told.all(name).is_empty(), "{name}");
        }
        Some(())
    });
}

/// MET-21: performance samples are there when asked for, from the second look on.
#[test]
fn met_21_gpm_is_opt_in() {
    let world = World::with("profile = h200\ncards = 1", "libfake_nvml.so", |o| (o.gpm, o.nvlink_links) = (true, true));
    world.wait("two samples", |told| told.one("reeve_gpu_sm_active_ratio", "") == Some(0.25));
    world.wait("the others", |told| told.one("reeve_gpu_dram_active_ratio", "") == Some(0.75));
    world.wait("links", |told| told.all("reeve_gpu_nvlink_up").len() == 19);
}

/// MET-21: slices of a card, with their names and their own memory; utilisation of the whole is not supported there.
#[test]
fn met_21_mig_slices_are_listed() {
    let world = World::new("profile = a100-mig");
    world.anew();
    let info = world.until("slices", |told| Some(told.all("reeve_gpu_mig_info")).filter(|i| i.len() == 3));
    let text = info.keys().cloned().collect::<Vec<_>>().join("\n");
    assert!(text.contains("gpu_instance_id=\"2\",compute_instance_id=\"0\",profile=\"3g.40gb\""), "{text}");
    assert!(text.contains("gpu_instance_id=\"7\",compute_instance_id=\"0\",profile=\"1g.10gb\""), "{text}");
    world.wait("one utilisation", |told| told.all("reeve_gpu_utilization_ratio").len() == 1);
    let inventory = world.until("inventory", |told| Some(told.inventory()).filter(|i| i.cards.len() == 2));
    assert!(inventory.cards[0].sliced && !inventory.cards[1].sliced);
    assert_eq!(inventory.cards[0].slices.len(), 3);
    assert_eq!(inventory.cards[1].nodes, ["/dev/nvidia1"]);
}

/// SUP-05: who places workers is told how cards reach each other; a link to a card counts more than the bus between them.
#[test]
fn sup_05_the_ways_between_cards_are_known() {
    let world = World::new(
        "profile = h200\ncards = 3\n0.way.1 = switch\n0.way.2 = system\n1.way.0 = switch\n\
         0.nvlink.remote.0 = 00000000:3B:00.0",
    );
    let uuid = |n: u32| format!("GPU-5ee0f1c2-8a44-4f0e-9b1d-{n:012}");
    let cards = world.until("cards", |told| Some(told.inventory().cards).filter(|cards| cards.len() == 3));
    let ways = |n: usize| cards[n].ways.iter().map(|(to, way)| (to.clone(), *way)).collect::<Vec<_>>();
    assert_eq!(ways(0), [(uuid(1), Way::Switch), (uuid(2), Way::Nvlink)]);
    assert_eq!(ways(1), [(uuid(0), Way::Switch)]);
    assert_eq!(ways(2), []);
}
