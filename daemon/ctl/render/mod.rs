//! What people see: each screen is a pure function from data and a [`Style`] to text.
//!
//! - [`style`]: colour, glyphs, width, the present instant.
//! - [`table`]: aligned columns that give way when the terminal is narrow.
//! - [`units`]: times, spans and sizes as systemd writes them.
//! - [`pager`]: long output.
//! - one file per screen: `fleet`, `gpu`, `node`, `worker`, `runs`, `listings`.

pub mod fleet;
pub mod gpu;
pub mod listings;
pub mod node;
pub mod pager;
pub mod runs;
pub mod style;
pub mod table;
pub mod units;
pub mod worker;

pub use style::{Style, Tone};
