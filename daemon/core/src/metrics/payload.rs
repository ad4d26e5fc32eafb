//! The snapshot of metrics that a node publishes over MQTT (MET-18, INT-05): one compact JSON document.
//!
//! Published with QoS 0 and not retained: an old value must not greet a new subscriber. `seq` and `ts` let a reader see
//! gaps and drop what is older than three periods. It is a view for the fleet, no replacement for the scrape.

use super::text::Page;
use crate::time::Wall;
use std::fmt::Write;

/// The most a payload may take, well below what brokers allow.
pub const LARGEST: usize = 128 * 1024;

/// Builds the document: `{"v":1,"node":…,"ts":…,"seq":…,"dropped":…,"values":[["name",{labels},value],…]}`. Series that
/// would make it larger than `largest` are left out from the end and counted in `dropped`; values that are not finite
/// are left out, since JSON has no word for them.
pub fn payload(node: &str, at: Wall, seq: u64, page: &Page<'_>, largest: usize) -> String {
    let mut head = String::from("{\"v\":1,\"node\":");
    text(&mut head, node);
    // Writing into a String cannot fail. Milliseconds are exact for any reader, microseconds are not.
    let _ = write!(head, ",\"ts\":{},\"seq\":{seq},", at.0 / 1000);
    let room = largest.saturating_sub(head.len() + "\"dropped\":18446744073709551615,\"values\":[]}".len());
    let (mut values, mut dropped, mut full) = (String::new(), 0_u64, false);
    page.each(|name, labels, value| {
        if !value.is_finite() {
            return;
        }
        let before = values.len();
        series(&mut values, &name, &labels, value);
        full |= values.len() > room;
        if full {
            values.truncate(before);
            dropped += 1;
        }
    });
    let _ = write!(head, "\"dropped\":{dropped},\"values\":[{values}]}}");
    head
}

fn series(out: &mut String, name: &str, labels: &[(String, String)], value: f64) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push('[');
    text(out, name);
    out.push_str(",{");
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        text(out, name);
        out.push(':');
        text(out, value);
    }
    out.push_str("},");
    super::text::number::value(out, value);
    out.push(']');
}

/// A JSON string.
fn text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            other if u32::from(other) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::foreign::{Foreign, Line, Part};
    use crate::metrics::{Kind, Labels};

    fn all(series: &[(&str, &str, f64)]) -> Foreign {
        let mut foreign = Foreign::new();
        for (name, label, value) in series {
            let labels = if label.is_empty() { Labels::none() } else { Labels::new(&[("l", label)]) };
            foreign.add(name, Kind::Gauge, Line { part: Part::Value, labels, value: *value });
        }
        foreign
    }

    fn built(foreign: &Foreign, largest: usize) -> String {
        let mut page = Page::new();
        page.add_foreign(foreign, &|_| true);
        payload("n\"1", Wall(1_700_000_000_123_456), 7, &page, largest)
    }

    /// INT-05: one compact document with time and number; what JSON cannot say is left out.
    #[test]
    fn int_05_the_payload_is_compact_json() {
        let foreign = all(&[("a", "x\n\u{1}\\", 0.5), ("b", "", 1e300), ("c", "", f64::NAN), ("d", "", f64::INFINITY)]);
        let text = built(&foreign, LARGEST);
        assert_eq!(
            text,
            "{\"v\":1,\"node\":\"n\\\"1\",\"ts\":1700000000123,\"seq\":7,\"dropped\":0,\
             \"values\":[[\"a\",{\"l\":\"x\\n\\u0001\\\\\"},0.5],[\"b\",{},1e300]]}"
        );
    }

    /// INT-05: never larger than allowed; what is left out is counted.
    #[test]
    fn int_05_the_payload_is_bounded() {
        let names: Vec<_> = (0..1000).map(|n| format!("m{n:04}")).collect();
        let series: Vec<_> = names.iter().map(|name| (name.as_str(), "value", 1.5)).collect();
        let foreign = all(&series);
        for largest in [0, 200, 4096] {
            let text = built(&foreign, largest);
            let kept = text.matches("[\"m").count();
            assert!(text.len() <= largest.max(120), "{} bytes", text.len());
            assert!(text.contains(&format!("\"dropped\":{}", 1000 - kept)), "{text}");
        }
    }
}
