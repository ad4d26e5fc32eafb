//! A node as tests show it.

use super::render::Style;
use super::render::units::utc_parts;
use reeve_core::Wall;

/// 80 columns, UTF-8, no colour, at a fixed instant in UTC.
pub fn style() -> Style {
    Style {
        color: false,
        utf8: true,
        width: Some(80),
        now: Wall(1_795_223_523_000_456),
        zone: |at| Some(utc_parts(at)),
    }
}
