//! The document of `top --json`.

use super::model::{Card, Picture, Row};
use super::view::Head;
use serde::Serialize;

/// One look. Shares are 0 to 1, sizes bytes; what is not known is null.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    node: &'a str,
    state: &'a str,
    cpu_ratio: Option<f64>,
    cpus: usize,
    load: [Option<f64>; 3],
    memory_used: Option<f64>,
    memory_total: Option<f64>,
    pressure_cpu_ratio: Option<f64>,
    pressure_memory_ratio: Option<f64>,
    pressure_io_ratio: Option<f64>,
    gpus: Vec<Gpu<'a>>,
    replicas: Vec<Replica<'a>>,
}

#[derive(Debug, Serialize)]
struct Gpu<'a> {
    gpu: &'a str,
    name: &'a str,
    utilization_ratio: Option<f64>,
    memory_used: Option<f64>,
    memory_total: Option<f64>,
    power_watts: Option<f64>,
    power_limit_watts: Option<f64>,
    temperature_celsius: Option<f64>,
    failed_checks: &'a [String],
}

#[derive(Debug, Serialize)]
struct Replica<'a> {
    replica: &'a str,
    state: &'a str,
    cpu_cores: Option<f64>,
    memory_used: Option<f64>,
    memory_limit: Option<f64>,
    gpu_ratio: Option<f64>,
    gpu_memory_used: Option<f64>,
    tasks: Option<f64>,
    restarts: f64,
}

impl<'a> Document<'a> {
    /// Of this picture.
    pub fn new(picture: &'a Picture, head: &'a Head) -> Self {
        let [cpu, memory, io] = picture.pressure;
        Self {
            node: &head.node,
            state: &head.state,
            cpu_ratio: picture.cpu,
            cpus: picture.cpus,
            load: picture.load,
            memory_used: picture.memory.map(|m| m.0),
            memory_total: picture.memory.map(|m| m.1),
            pressure_cpu_ratio: cpu,
            pressure_memory_ratio: memory,
            pressure_io_ratio: io,
            gpus: picture.cards.iter().map(Gpu::new).collect(),
            replicas: picture.replicas.iter().map(Replica::new).collect(),
        }
    }
}

impl<'a> Gpu<'a> {
    fn new(card: &'a Card) -> Self {
        Self {
            gpu: &card.index,
            name: &card.name,
            utilization_ratio: card.utilization,
            memory_used: card.memory.map(|m| m.0),
            memory_total: card.memory.map(|m| m.1),
            power_watts: card.power.0,
            power_limit_watts: card.power.1,
            temperature_celsius: card.temperature,
            failed_checks: &card.ills,
        }
    }
}

impl<'a> Replica<'a> {
    fn new(row: &'a Row) -> Self {
        Self {
            replica: &row.name,
            state: &row.state,
            cpu_cores: row.cpu,
            memory_used: row.memory,
            memory_limit: row.limit,
            gpu_ratio: row.gpu,
            gpu_memory_used: row.gpu_memory,
            tasks: row.tasks,
            restarts: row.restarts,
        }
    }
}
