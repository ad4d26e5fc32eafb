//! `plan`: what reeved would do now, or after a reload, and why.

use super::reload;
use crate::ctl::args::PlanArgs;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;
use crate::ctl::render::listings;

/// Shows the actions with their reasons.
pub async fn run(ctl: &Ctl, a: &PlanArgs) -> Result<u8, Failure> {
    let client = ctl.client().await?;
    let lines = match client.plan(a.candidate).await {
        Err(error) if error.is("ConfigInvalid") => {
            return reload::refused(ctl, &client, error, "plan with the files on disk").await;
        }
        other => other.doing("plan")?,
    };
    if ctl.global.json {
        let document: Vec<_> = lines.iter().map(json::Plan::new).collect();
        ctl.document(&document)?;
    } else {
        ctl.show(&listings::plan(&lines, &ctl.style(a.full)))?;
    }
    Ok(YES)
}
