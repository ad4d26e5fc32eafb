//! From series to rows. Rates are taken between two samples of the daemon, whose instants it tells
//! (`reeve_source_last_success_timestamp_seconds`): looking more often than it samples changes nothing.

use crate::bus::proxy::Series;
use std::collections::{BTreeMap, VecDeque};

/// Points of a sparkline.
pub const POINTS: usize = 60;
/// States of a replica that has no process, and need not be shown as if it had.
const AT_REST: [&str; 3] = ["stopped", "done", "drained"];

/// Everything one picture shows. `None` is not known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picture {
    /// Share of all CPUs that is busy, 0 to 1.
    pub cpu: Option<f64>,
    /// CPUs.
    pub cpus: usize,
    /// Load over one, five and fifteen minutes.
    pub load: [Option<f64>; 3],
    /// Bytes in use (without caches), and in all.
    pub memory: Option<(f64, f64)>,
    /// Share of the time that something waits: CPU, memory, I/O.
    pub pressure: [Option<f64>; 3],
    /// The last shares of busy CPUs, oldest first.
    pub history: Vec<f64>,
    /// Cards by index.
    pub cards: Vec<Card>,
    /// Replicas.
    pub replicas: Vec<Row>,
}

/// One card.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Card {
    /// Index.
    pub index: String,
    /// Product name.
    pub name: String,
    /// Busy share.
    pub utilization: Option<f64>,
    /// Bytes used, and in all.
    pub memory: Option<(f64, f64)>,
    /// Watts drawn, and allowed.
    pub power: (Option<f64>, Option<f64>),
    /// °C.
    pub temperature: Option<f64>,
    /// Checks it fails; the word `lost` when it does not answer.
    pub ills: Vec<String>,
    /// The last busy shares, oldest first.
    pub history: Vec<f64>,
}

/// One replica.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// `worker/n`.
    pub name: String,
    /// State.
    pub state: String,
    /// CPUs in use.
    pub cpu: Option<f64>,
    /// Bytes in use, without caches.
    pub memory: Option<f64>,
    /// Bytes allowed.
    pub limit: Option<f64>,
    /// Share of cards in use; above 1 with several.
    pub gpu: Option<f64>,
    /// Bytes on cards.
    pub gpu_memory: Option<f64>,
    /// Restarts.
    pub restarts: f64,
    /// Work in hand and waiting.
    pub tasks: Option<f64>,
}

/// What is kept from one look to the next.
#[derive(Debug, Default)]
pub struct Model {
    counters: BTreeMap<&'static str, Sampled>,
    cpu: VecDeque<f64>,
    cards: BTreeMap<String, VecDeque<f64>>,
    cards_at: f64,
}

/// The counters of one source at its last sample, and how fast they grew before it.
#[derive(Debug, Default)]
struct Sampled {
    at: f64,
    values: BTreeMap<String, f64>,
    rates: BTreeMap<String, f64>,
}

/// Series by name, to be asked.
struct Page<'a>(BTreeMap<&'a str, Vec<&'a Series>>);

impl<'a> Page<'a> {
    fn all(&self, name: &str) -> &[&'a Series] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn one(&self, name: &str) -> Option<f64> {
        self.all(name).first().map(|s| s.value)
    }

    /// When the source was last read, in seconds.
    fn at(&self, source: &str) -> f64 {
        let stamps = self.all("reeve_source_last_success_timestamp_seconds");
        stamps.iter().find(|s| label(s, "source") == source).map_or(0.0, |s| s.value)
    }
}

fn label<'a>(series: &'a Series, name: &str) -> &'a str {
    series.labels.get(name).map_or("", String::as_str)
}

fn replica(series: &Series) -> String {
    format!("{}/{}", label(series, "worker"), label(series, "replica"))
}

impl Model {
    /// Takes a look in.
    pub fn take(&mut self, series: &[Series]) -> Picture {
        let mut page = Page(BTreeMap::new());
        for one in series {
            page.0.entry(one.name.as_str()).or_default().push(one);
        }
        let busy = self.busy(&page);
        let pressure = self.pressure(&page);
        let total = page.one("node_memory_MemTotal_bytes");
        let free = page.one("node_memory_MemAvailable_bytes");
        Picture {
            cpu: busy,
            cpus: page.all("node_cpu_seconds_total").iter().filter(|s| label(s, "mode") == "idle").count(),
            load: ["node_load1", "node_load5", "node_load15"].map(|name| page.one(name)),
            memory: total.zip(free).map(|(total, free)| (total - free, total)),
            pressure,
            history: self.cpu.iter().copied().collect(),
            cards: self.cards(&page),
            replicas: self.replicas(&page),
        }
    }

    /// How fast counters of a source grow, by their key.
    fn rates(
        &mut self,
        source: &'static str,
        at: f64,
        values: BTreeMap<String, f64>,
    ) -> (&BTreeMap<String, f64>, bool) {
        let kept = self.counters.entry(source).or_default();
        let fresh = at > kept.at;
        if fresh {
            let span = at - kept.at;
            let grown = values.iter().filter_map(|(key, value)| {
                // A counter that has begun anew has no rate yet.
                let before = kept.values.get(key).filter(|before| *before <= value)?;
                Some((key.clone(), (value - before) / span))
            });
            kept.rates = grown.collect();
            (kept.at, kept.values) = (at, values);
        }
        (&kept.rates, fresh)
    }

    fn busy(&mut self, page: &Page<'_>) -> Option<f64> {
        let mut modes = BTreeMap::<String, f64>::new();
        for series in page.all("node_cpu_seconds_total") {
            *modes.entry(label(series, "mode").to_owned()).or_default() += series.value;
        }
        let (rates, fresh) = self.rates("cpu", page.at("cpu"), modes);
        let total: f64 = rates.values().sum();
        let idle = rates.get("idle").copied().unwrap_or_default() + rates.get("iowait").copied().unwrap_or_default();
        let busy = (total > 0.0).then(|| (1.0 - idle / total).clamp(0.0, 1.0))?;
        if fresh {
            push(&mut self.cpu, busy);
        }
        Some(busy)
    }

    fn pressure(&mut self, page: &Page<'_>) -> [Option<f64>; 3] {
        const NAMES: [&str; 3] = [
            "node_pressure_cpu_waiting_seconds_total",
            "node_pressure_memory_waiting_seconds_total",
            "node_pressure_io_waiting_seconds_total",
        ];
        let values = NAMES.iter().filter_map(|name| Some(((*name).to_owned(), page.one(name)?))).collect();
        let (rates, _) = self.rates("pressure", page.at("pressure"), values);
        NAMES.map(|name| rates.get(name).copied())
    }

    fn cards(&mut self, page: &Page<'_>) -> Vec<Card> {
        let mut cards = BTreeMap::<usize, Card>::new();
        let number = |s: &Series| label(s, "gpu").parse::<usize>().ok();
        let mut put = |name: &str, with: &mut dyn FnMut(&mut Card, &Series)| {
            for series in page.all(name) {
                let Some(index) = number(series) else { continue };
                let card = cards.entry(index).or_insert_with(|| Card { index: index.to_string(), ..Card::default() });
                with(card, series);
            }
        };
        put("reeve_gpu_info", &mut |card, s| label(s, "name").clone_into(&mut card.name));
        put("reeve_gpu_up", &mut |card, s| {
            if s.value == 0.0 {
                card.ills.push("lost".to_owned());
            }
        });
        put("reeve_gpu_utilization_ratio", &mut |card, s| card.utilization = Some(s.value));
        put("reeve_gpu_memory_total_bytes", &mut |card, s| card.memory = Some((0.0, s.value)));
        put("reeve_gpu_memory_used_bytes", &mut |card, s| {
            card.memory = card.memory.map(|(_, total)| (s.value, total));
        });
        put("reeve_gpu_power_watts", &mut |card, s| card.power.0 = Some(s.value));
        put("reeve_gpu_power_limit_watts", &mut |card, s| card.power.1 = Some(s.value));
        put("reeve_gpu_temperature_celsius", &mut |card, s| {
            if label(s, "sensor") != "memory" {
                card.temperature = Some(s.value);
            }
        });
        put("reeve_gpu_health", &mut |card, s| {
            if s.value == 0.0 {
                card.ills.push(label(s, "check").to_owned());
            }
        });
        let at = page.at("gpu");
        let fresh = at > self.cards_at;
        self.cards_at = at.max(self.cards_at);
        let mut cards: Vec<Card> = cards.into_values().collect();
        for card in &mut cards {
            let history = self.cards.entry(card.index.clone()).or_default();
            if let Some(utilization) = card.utilization.filter(|_| fresh) {
                push(history, utilization);
            }
            card.history = history.iter().copied().collect();
        }
        cards
    }

    fn replicas(&mut self, page: &Page<'_>) -> Vec<Row> {
        let cpu = page.all("reeve_worker_cpu_usage_seconds_total");
        let used = cpu.iter().map(|s| (replica(s), s.value)).collect();
        let (rates, _) = self.rates("workers", page.at("workers"), used);
        let mut rows = BTreeMap::<String, Row>::new();
        for series in page.all("reeve_worker_state").iter().filter(|s| s.value == 1.0) {
            let state = label(series, "state").to_owned();
            rows.insert(replica(series), Row { name: replica(series), state, ..Row::default() });
        }
        for (name, rate) in rates {
            if let Some(row) = rows.get_mut(name).filter(|row| !AT_REST.contains(&row.state.as_str())) {
                row.cpu = Some(*rate);
            }
        }
        let mut put = |name: &str, with: &mut dyn FnMut(&mut Row, f64)| {
            for series in page.all(name) {
                if let Some(row) = rows.get_mut(&replica(series)) {
                    with(row, series.value);
                }
            }
        };
        put("reeve_worker_memory_working_set_bytes", &mut |row, v| row.memory = Some(v));
        put("reeve_worker_memory_limit_bytes", &mut |row, v| row.limit = Some(v));
        put("reeve_worker_restarts_total", &mut |row, v| row.restarts += v);
        put("reeve_worker_gpu_memory_used_bytes", &mut |row, v| *row.gpu_memory.get_or_insert_default() += v);
        put("reeve_worker_gpu_sm_utilization_ratio", &mut |row, v| *row.gpu.get_or_insert_default() += v);
        put("reeve_worker_active_tasks", &mut |row, v| *row.tasks.get_or_insert_default() += v);
        put("queue_depth", &mut |row, v| *row.tasks.get_or_insert_default() += v);
        rows.into_values().collect()
    }
}

fn push(points: &mut VecDeque<f64>, value: f64) {
    if points.len() >= POINTS {
        points.pop_front();
    }
    points.push_back(value);
}
