//! `fleet slots`: who may be disruptive, and who waits for that.

use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;
use crate::ctl::render::fleet;

/// The table, or the document.
pub async fn run(ctl: &Ctl, full: bool) -> Result<u8, Failure> {
    let slots = ctl.client().await?.fleet_slots().await.doing("list the slots of the fleet")?;
    if ctl.global.json {
        let document: Vec<_> = slots.iter().map(json::fleet::SlotLine::new).collect();
        ctl.document(&document)?;
    } else {
        ctl.show(&fleet::slots(&slots, &ctl.style(full)))?;
    }
    Ok(YES)
}
