//! The fake NVML of an old driver: the same state file, without the symbols of `newer` (field values, memory figures
//! with the reserved part, MIG, GPM), so that each metric degrades by itself.

#![allow(non_snake_case, reason = "the names are NVIDIA's")]
#![allow(dead_code, reason = "what only the newer symbols need")]

#[path = "../src/answer.rs"]
mod answer;
#[path = "../src/card.rs"]
mod card;
#[path = "../src/events.rs"]
mod events;
#[path = "../src/processes.rs"]
mod processes;
#[path = "../src/profile.rs"]
mod profile;
#[path = "../src/state.rs"]
mod state;
#[path = "../src/system.rs"]
mod system;
