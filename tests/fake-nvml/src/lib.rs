//! A libnvidia-ml for tests.
//!
//! Exports the C symbols that Reeve looks up through nvml-wrapper, and answers from a text file: the one named by
//! `FAKE_NVML_STATE`, else the one beside the library. It is read again at each call, so a test changes the world by
//! replacing it. The format is described in the README beside this crate.
//!
//! | file | symbols |
//! |---|---|
//! | `system` | init, shutdown, versions, handles |
//! | `card` | what every driver knows of a card |
//! | `newer` | field values, memory with its reserved part, MIG, GPM: left out of `fake-nvml-old` |
//! | `processes` · `events` | process lists · XIDs |
//! | `answer` · `state` · `profile` | how each call answers · the file · the cards to begin from |

#![allow(non_snake_case, reason = "the names are NVIDIA's")]

mod answer;
mod card;
mod events;
mod gpm;
mod newer;
mod processes;
mod profile;
mod state;
mod system;
