//! What Reeve measures: one table of families, samples of them, and the text that Prometheus reads.
//!
//! ```text
//! source ──Report──► board ──(samples of each source, replaced whole)──► text ──► scrape, textfile, D-Bus
//!                               ▲ families: name, type, unit, help, labels, source, OTel name
//! ```
//!
//! A value that is not known is absent: never 0, never a sentinel. Label values come from bounded sets: never a pid, a
//! run, a task or a host name.

pub mod accumulate;
pub mod agent;
pub mod board;
pub mod exposition;
pub mod families;
pub mod family;
pub mod fleet;
pub mod foreign;
pub mod intake;
pub mod labels;
pub mod parse;
pub mod payload;
pub mod report;
pub mod samples;
pub mod selection;
pub mod statsd;
pub mod supervisor;
pub mod text;

pub use board::{Board, Caps};
pub use exposition::Exposition;
pub use family::{Family, Kind, Lane};
pub use foreign::Foreign;
pub use intake::{Habits, Intake, Told};
pub use labels::Labels;
pub use report::Report;
pub use samples::{Histogram, Samples, Value};
pub use selection::Selection;
