//! The fast lane: load, memory, power, temperature, clocks.

use super::calls::Fault;
use super::card::Open;
use super::links::number;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, PerformancePolicy, TemperatureSensor};
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::{NVML_FI_DEV_MEMORY_TEMP, NVML_FI_DEV_POWER_INSTANT};
use reeve_core::metrics::Samples;
use reeve_core::metrics::families as f;

const REASONS: &[(&str, ThrottleReasons)] = &[
    ("idle", ThrottleReasons::GPU_IDLE),
    ("applications_clocks", ThrottleReasons::APPLICATIONS_CLOCKS_SETTING),
    ("sw_power_cap", ThrottleReasons::SW_POWER_CAP),
    ("hw_slowdown", ThrottleReasons::HW_SLOWDOWN),
    ("sync_boost", ThrottleReasons::SYNC_BOOST),
    ("sw_thermal", ThrottleReasons::SW_THERMAL_SLOWDOWN),
    ("hw_thermal", ThrottleReasons::HW_THERMAL_SLOWDOWN),
    ("hw_power_brake", ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN),
    ("display_clock", ThrottleReasons::DISPLAY_CLOCK_SETTING),
];

const CLOCKS: &[(&str, Clock)] = &[("sm", Clock::SM), ("memory", Clock::Memory), ("video", Clock::Video)];

/// Milliwatts, millijoules.
fn milli(value: impl Into<u64>) -> f64 {
    value.into() as f64 / 1000.0
}

fn percent(value: u32) -> f64 {
    f64::from(value) / 100.0
}

/// One look at a card.
pub(super) fn look(card: &mut Open<'_>, into: &mut Samples) -> Result<(), Fault> {
    let labels = card.known.labels.clone();
    if let Some(rates) = card.ask("nvmlDeviceGetUtilizationRates", |d| d.utilization_rates())? {
        card.figures.utilization = Some(percent(rates.gpu));
        into.put_with(&f::GPU_UTILIZATION, &labels, percent(rates.gpu));
        into.put_with(&f::GPU_MEMORY_BANDWIDTH, &labels, percent(rates.memory));
    }
    if let Some(memory) = card.ask("nvmlDeviceGetMemoryInfo_v2", |d| d.memory_info())? {
        card.figures.memory_total = Some(memory.total);
        card.figures.memory_used = Some(memory.used);
        into.put_with(&f::GPU_MEMORY_TOTAL, &labels, memory.total as f64);
        into.put_with(&f::GPU_MEMORY_USED, &labels, memory.used as f64);
        into.put_with(&f::GPU_MEMORY_FREE, &labels, memory.free as f64);
        into.put_with(&f::GPU_MEMORY_RESERVED, &labels, memory.reserved as f64);
    }
    let bar1 = card.ask("nvmlDeviceGetBAR1MemoryInfo", |d| d.bar1_memory_info())?;
    into.put_some(&f::GPU_BAR1_USED, &labels, bar1.map(|b| b.used as f64));
    power(card, into)?;
    clocks(card, into)
}

fn power(card: &mut Open<'_>, into: &mut Samples) -> Result<(), Fault> {
    let labels = card.known.labels.clone();
    let ids = [FieldId(NVML_FI_DEV_POWER_INSTANT), FieldId(NVML_FI_DEV_MEMORY_TEMP)];
    let fields = card.ask_of("nvmlDeviceGetFieldValues", "power", |d| d.field_values_for(&ids))?.unwrap_or_default();
    let instant = fields.first().and_then(number).map(|w| w / 1000.0);
    let memory = fields.get(1).and_then(number);
    let watts = match instant {
        Some(watts) => Some(watts),
        None => card.ask("nvmlDeviceGetPowerUsage", |d| d.power_usage())?.map(milli),
    };
    card.figures.power = watts;
    into.put_some(&f::GPU_POWER, &labels, watts);
    let limit = card.ask("nvmlDeviceGetEnforcedPowerLimit", |d| d.enforced_power_limit())?;
    into.put_some(&f::GPU_POWER_LIMIT, &labels, limit.map(milli));
    let energy = card.ask("nvmlDeviceGetTotalEnergyConsumption", |d| d.total_energy_consumption())?;
    into.put_some(&f::GPU_ENERGY, &labels, energy.map(milli));
    let sensor = card.ask("nvmlDeviceGetTemperature", |d| d.temperature(TemperatureSensor::Gpu))?;
    card.figures.temperature = sensor.map(f64::from);
    let (gpu, hbm) = (card.with("sensor", "gpu"), card.with("sensor", "memory"));
    into.put_some(&f::GPU_TEMPERATURE, &gpu, sensor.map(f64::from));
    // A card without that sensor answers 0 through some drivers.
    into.put_some(&f::GPU_TEMPERATURE, &hbm, memory.filter(|t| *t > 0.0));
    Ok(())
}

fn clocks(card: &mut Open<'_>, into: &mut Samples) -> Result<(), Fault> {
    let labels = card.known.labels.clone();
    for (word, clock) in CLOCKS {
        let megahertz = card.ask_of("nvmlDeviceGetClockInfo", word, |d| d.clock_info(*clock))?;
        let labels = card.with("domain", word);
        into.put_some(&f::GPU_CLOCK, &labels, megahertz.map(|m| f64::from(m) * 1e6));
    }
    let state = card.ask("nvmlDeviceGetPerformanceState", |d| d.performance_state())?;
    let state = state.map(|s| s.as_c()).filter(|s| *s <= 15);
    into.put_some(&f::GPU_PERFORMANCE_STATE, &labels, state.map(f64::from));
    let reasons = card.ask("nvmlDeviceGetCurrentClocksThrottleReasons", |d| d.current_throttle_reasons())?;
    for (word, bit) in reasons.iter().flat_map(|_| REASONS) {
        let active = reasons.is_some_and(|r| r.contains(*bit));
        into.put_with(&f::GPU_CLOCK_EVENT_ACTIVE, &card.with("reason", word), f64::from(u8::from(active)));
    }
    let policies: [(&str, PerformancePolicy); 6] = [
        ("power", PerformancePolicy::Power),
        ("thermal", PerformancePolicy::Thermal),
        ("sync_boost", PerformancePolicy::SyncBoost),
        ("board_limit", PerformancePolicy::BoardLimit),
        ("low_utilization", PerformancePolicy::LowUtilization),
        ("reliability", PerformancePolicy::Reliability),
    ];
    for (word, policy) in policies {
        let held = card.ask_of("nvmlDeviceGetViolationStatus", word, |d| d.violation_status(policy))?;
        let labels = card.with("reason", word);
        into.put_some(&f::GPU_CLOCK_EVENT_SECONDS, &labels, held.map(|h| h.violation_time as f64 / 1e9));
    }
    Ok(())
}
