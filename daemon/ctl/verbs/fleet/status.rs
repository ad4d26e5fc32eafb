//! `fleet status`: the fleet in one screen.

use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, NO, YES};
use crate::ctl::json;
use crate::ctl::render::fleet;

/// Shows it; the exit code says whether there is a leader.
pub async fn run(ctl: &Ctl) -> Result<u8, Failure> {
    let state = ctl.client().await?.fleet_status().await.doing("show the fleet")?;
    if ctl.global.json {
        ctl.document(&json::fleet::Status::new(&state))?;
    } else {
        ctl.show(&fleet::status(&state, &ctl.style))?;
    }
    Ok(if state.leader.is_some() { YES } else { NO })
}
