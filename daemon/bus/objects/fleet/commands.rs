//! What people ask of the fleet: arguments read into commands, or refused by name.

use crate::bus::call::Call;
use crate::bus::error::Error;
use crate::bus::table::Verb;
use reeve_core::election::NodeName;
use reeve_core::fleet::{FleetCommand, SlotId};

/// The command a call means.
pub(in crate::bus::objects) fn read(call: &mut Call<'_>) -> Result<FleetCommand, Error> {
    let failed = call.args.options.flag("failed");
    let force = call.args.options.flag("force");
    Ok(match call.method.verb {
        Verb::Ask => FleetCommand::Ask { kind: kind(call)? },
        Verb::Release => FleetCommand::Release { slot: slot(call)?, failed },
        Verb::Break => {
            let slot = slot(call)?;
            because(call, "the slot is broken")?;
            FleetCommand::Break(slot)
        }
        Verb::Freeze => {
            because(call, "no slots are granted")?;
            FleetCommand::Freeze
        }
        Verb::Unfreeze => FleetCommand::Unfreeze,
        Verb::Handover => {
            let to = node(call)?;
            because(call, "the lead is handed over")?;
            FleetCommand::HandOver(to)
        }
        Verb::Promote => {
            because(call, "this node becomes a voter")?;
            FleetCommand::Promote { force }
        }
        Verb::Demote => {
            let voter = node(call)?.ok_or_else(|| Error::argument("node: expected the name of a voter"))?;
            because(call, "it becomes an observer")?;
            FleetCommand::Demote(voter)
        }
        Verb::Rejoin => {
            because(call, "this node rejoins")?;
            FleetCommand::Rejoin
        }
        Verb::Recover => {
            because(call, "the fleet is recovered")?;
            if !call.args.options.flag("i-know") {
                return Err(Error::argument(
                    "option i-know: expected true. Recover goes on without the other voters: this voter becomes the \
                     only one, in a new epoch to which every token of the old one loses. Do it on one voter only, and \
                     only when the majority is lost for good: what the lost voters have decided last may be lost with \
                     them, and they come back only by Rejoin",
                ));
            }
            FleetCommand::Recover
        }
        other => return Err(Error::new("Internal", format!("{other:?} asks nothing of the fleet"))),
    })
}

fn because(call: &Call<'_>, what: &str) -> Result<(), Error> {
    match call.reason {
        Some(_) => Ok(()),
        None => Err(Error::argument(format!("reason: expected a text that says why {what}"))),
    }
}

fn kind(call: &mut Call<'_>) -> Result<String, Error> {
    let kind = call.args.text()?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if kind.is_empty() || kind.len() > 64 || !kind.chars().all(fits) {
        return Err(Error::argument(format!(
            "kind: expected a kind such as reboot (1 to 64 of a-z, 0-9 and '-'), not {kind:?}"
        )));
    }
    Ok(kind)
}

fn slot(call: &mut Call<'_>) -> Result<SlotId, Error> {
    call.args.text()?.parse().map_err(|e| Error::argument(format!("slot: {e}")))
}

/// `None`: an empty text.
fn node(call: &mut Call<'_>) -> Result<Option<NodeName>, Error> {
    match call.args.text()? {
        none if none.is_empty() => Ok(None),
        name => NodeName::new(name).map(Some).map_err(|e| Error::argument(format!("node: {e}"))),
    }
}
