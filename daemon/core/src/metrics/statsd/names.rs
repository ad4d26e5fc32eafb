//! From what a worker calls it to the family it is kept as.
//!
//! | sent | kept as |
//! |---|---|
//! | `queue_depth`, `agent.tasks` (c), `agent.response` (ms) | a documented family: `queue_depth`, `reeve_agent_tasks_total`, `reeve_agent_response_seconds` |
//! | `cache.hits` (c) | `cache_hits_total` |
//! | `fetch` (ms) | `fetch_seconds` |
//! | anything else | its name with `_` for what a name may not have |

use super::parse::Type;
use crate::metrics::families::agent;
use crate::metrics::family::{Family, Kind};

/// Upper bounds of a histogram that nobody has said more about: client libraries have the same.
pub const DEFAULT_BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The kind it is kept as.
pub(super) fn kind(of: Type) -> Kind {
    match of {
        Type::Counter => Kind::Counter,
        Type::Gauge | Type::Set => Kind::Gauge,
        Type::Timing | Type::Histogram => Kind::Histogram,
    }
}

/// The name with `_` for everything that a name may not have.
pub(super) fn plain(name: &str) -> String {
    let mut out: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

/// The documented family that a plain name means.
pub(super) fn documented(name: &str, of: Type) -> Option<&'static Family> {
    let suffix = suffix(of);
    let all = agent::all().filter(|family| family.kind == kind(of));
    all.into_iter().find(|family| {
        let short = family.name.strip_prefix("reeve_").unwrap_or(family.name);
        [family.name, short].into_iter().any(|known| known == name || known.strip_suffix(suffix) == Some(name))
    })
}

/// The name of a family that is not documented; `None`: it would be Reeve's own.
pub(super) fn other(name: &str, of: Type) -> Option<String> {
    if name.starts_with("reeve_") {
        return None;
    }
    let suffix = suffix(of);
    Some(if name.ends_with(suffix) { name.to_owned() } else { format!("{name}{suffix}") })
}

fn suffix(of: Type) -> &'static str {
    match of {
        Type::Counter => "_total",
        Type::Timing => "_seconds",
        Type::Gauge | Type::Histogram | Type::Set => "",
    }
}
