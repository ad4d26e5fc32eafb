//! `fleet ask`: a slot, waited for until it is granted.

use crate::bus::proxy::fleet::{FleetChange, Slot};
use crate::bus::proxy::{Client, Options};
use crate::ctl::args::AskArgs;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, REFUSED, YES};
use crate::ctl::json;
use crate::ctl::render::fleet;
use crate::ctl::wait::{Asked, Of, Outcome, accepted, settle, show};
use reeve_core::fleet::SlotId;

const WORD: &str = "get a slot for";

/// Asks, waits, and prints the slot with its fence.
pub async fn run(ctl: &Ctl, a: &AskArgs) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    // The daemon keeps the time: a slot that is granted when nobody waits any more would only turn suspect.
    let options =
        Options { reason: a.reason.clone(), request_id: a.request_id.clone(), timeout: a.timeout, dry_run: false };
    let answer = client.change_fleet(FleetChange::Ask { kind: &a.kind }, &options).await;
    let outcome = match answer {
        Ok(path) if a.no_wait => accepted(&a.kind, &path),
        answer => {
            let asked = Asked { target: a.kind.clone(), answer, of: Of::Fleet };
            refusal(settle(ctl, &client, WORD, asked, None, false).await?)
        }
    };
    let slot = granted(&client, &outcome).await?;
    if ctl.global.json {
        let document = json::fleet::Asked {
            outcome: outcome.document(),
            slot: slot.as_ref().map(|s| s.id.as_str()),
            fence: slot.as_ref().and_then(|s| s.fence.as_deref()),
            expires: json::time(slot.as_ref().and_then(|s| s.expires)),
        };
        ctl.document(&[document])?;
    } else if let Some(slot) = &slot {
        ctl.print(&fleet::granted(slot, &ctl.style))?;
    } else {
        show(ctl, WORD, Of::Fleet, &outcome)?;
    }
    Ok(outcome.code)
}

/// The fleet has said no, which is a refusal and not a failure.
fn refusal(outcome: Outcome) -> Outcome {
    if outcome.result.as_deref() == Some("failed") { Outcome { code: REFUSED, ..outcome } } else { outcome }
}

/// The slot that the task run names, as it stands. One that was given back since is told by its id alone.
async fn granted(client: &Client, outcome: &Outcome) -> Result<Option<Slot>, Failure> {
    if outcome.code != YES || outcome.result.is_none() {
        return Ok(None);
    }
    let Some(id) = outcome.message.as_deref().and_then(slot_in) else { return Ok(None) };
    let slots = client.fleet_slots().await.doing(format!("read what became of slot {id}"))?;
    let found = slots.into_iter().find(|s| s.id == id);
    Ok(Some(found.unwrap_or_else(|| Slot { id, ..Slot::default() })))
}

/// The first word that is a slot's id.
fn slot_in(message: &str) -> Option<String> {
    let words = message.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    words.filter_map(|w| w.parse::<SlotId>().ok()).map(|id| id.to_string()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_found_in_what_is_said_of_it() {
        assert_eq!(slot_in("slot gpu-07/12.1 is granted, fence 7.12").as_deref(), Some("gpu-07/12.1"));
        assert_eq!(slot_in("granted: gpu-07/12.1.").as_deref(), Some("gpu-07/12.1"));
        assert_eq!(slot_in("granted after 1/2 s"), None);
    }
}
