//! `events [-f]`: what reeved has seen and decided, and why.

use crate::bus::proxy::EventEntry;
use crate::ctl::args::EventsArgs;
use crate::ctl::context::{Ctl, target};
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;
use crate::ctl::render::listings;
use reeve_core::Wall;

/// More than the daemon keeps: which are the newest is decided here.
const ALL: u32 = 100_000;

/// Shows the newest; with `--follow` the rest as they come, without a gap in between.
pub async fn run(ctl: &Ctl, a: &EventsArgs) -> Result<u8, Failure> {
    let target = match &a.target {
        Some(t) => Some(target(t)?.to_string()),
        None => None,
    };
    let client = ctl.client().await?;
    let since = a.since.map_or(Wall(0), |span| {
        let usec = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Wall(ctl.style.now.0.saturating_sub(usec))
    });
    // Subscribe before reading: what happens in between comes twice and is dropped below.
    let mut coming = match a.follow {
        true => Some(client.subscribe().await.doing("subscribe to events")?),
        false => None,
    };
    let mut past = client.events(since, ALL).await.doing("list events")?;
    past.retain(|e| concerns(e, target.as_deref()));
    let first = past.len().saturating_sub(usize::try_from(a.max).unwrap_or(usize::MAX));
    let past = past.get(first..).unwrap_or_default();
    let Some(coming) = &mut coming else {
        if ctl.global.json {
            let document: Vec<_> = past.iter().map(json::Event::new).collect();
            ctl.document(&document)?;
        } else if past.is_empty() {
            ctl.print("Nothing has happened.\n")?;
        } else {
            let text: String = past.iter().map(|e| listings::event(e, &ctl.style)).collect();
            ctl.show(&text)?;
        }
        return Ok(YES);
    };
    for event in past {
        one(ctl, event)?;
    }
    loop {
        let event = coming.next().await.doing("follow events")?;
        if concerns(&event, target.as_deref()) && !past.contains(&event) {
            one(ctl, &event)?;
        }
    }
}

fn one(ctl: &Ctl, event: &EventEntry) -> Result<(), Failure> {
    if ctl.global.json {
        ctl.document(&json::Event::new(event))
    } else {
        ctl.print(&listings::event(event, &ctl.style))
    }
}

/// A worker's events are its replicas' too.
fn concerns(event: &EventEntry, target: Option<&str>) -> bool {
    target.is_none_or(|t| event.target.strip_prefix(t).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_covers_its_replicas() {
        let event = |t: &str| EventEntry { target: t.to_owned(), ..EventEntry::default() };
        assert!(concerns(&event("web/1"), Some("web")));
        assert!(concerns(&event("web"), Some("web")));
        assert!(concerns(&event("node"), None));
        assert!(!concerns(&event("web-2/1"), Some("web")));
        assert!(!concerns(&event("web/11"), Some("web/1")));
    }
}
