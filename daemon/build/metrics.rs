//! reeve-metrics(7): the families, from the table that the pages of the endpoint are written from.

use super::roff::{item, plain};
use reeve_core::metrics::families::groups;
use reeve_core::metrics::{Family, Lane};

/// Every family, group after group.
pub fn families() -> String {
    let mut out = String::new();
    for (title, families) in groups().filter(|(_, families)| !families.is_empty()) {
        out.push_str(&format!(".SS {}\n", plain(title)));
        for family in families {
            out.push_str(&entry(family));
        }
    }
    out
}

fn entry(family: &Family) -> String {
    let labels = match family.labels {
        [] => String::new(),
        labels => format!("{{{}}}", plain(&labels.join(", "))),
    };
    let unit = if family.unit.is_empty() { String::new() } else { format!(", {}", plain(family.unit)) };
    let otel = if family.otel.is_empty() { String::new() } else { format!(" OpenTelemetry: {}.", plain(family.otel)) };
    let facts = format!("From {}; {}.{otel}", plain(family.source), lane(family.lane));
    let head = format!("\\fB{}\\fR{labels} ({}{unit})", plain(family.name), family.kind.open_metrics());
    item(&head, &[plain(family.help), facts])
}

/// When it is looked at.
fn lane(lane: Lane) -> &'static str {
    match lane {
        Lane::Base | Lane::Fast | Lane::Mount => "every 5 s",
        Lane::Process => "every 10 s",
        Lane::Slow => "every 60 s",
        Lane::Event => "as it happens",
        Lane::Start => "once",
        Lane::Worker => "as often as the worker is asked",
    }
}
