//! `fleet why`: what has happened, and how it stands.

use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;
use crate::ctl::render::fleet;

/// The table, or the document, oldest first.
pub async fn run(ctl: &Ctl, subject: &str, full: bool) -> Result<u8, Failure> {
    let doing = if subject.is_empty() { "tell the past of the fleet".to_owned() } else { format!("explain {subject}") };
    let past = ctl.client().await?.fleet_why(subject).await.doing(doing)?;
    if ctl.global.json {
        let document: Vec<_> = past.iter().map(json::fleet::Why::new).collect();
        ctl.document(&document)?;
    } else {
        ctl.show(&fleet::past(&past, &ctl.style(full)))?;
    }
    Ok(YES)
}
