//! `runs WORKER[/N]`: exit records, newest first.

use crate::ctl::args::RunsArgs;
use crate::ctl::context::{Ctl, target};
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;
use crate::ctl::render::runs;

/// Shows them, with the lines they left behind when asked for.
pub async fn run(ctl: &Ctl, a: &RunsArgs) -> Result<u8, Failure> {
    let target = target(&a.target)?.to_string();
    let client = ctl.client().await?;
    let mut all = client.runs(&target, a.max).await.doing(format!("list runs of {target}"))?;
    if let Some(max) = a.max.and_then(|m| usize::try_from(m).ok()) {
        all.truncate(max);
    }
    if ctl.global.json {
        let document: Vec<_> = all.iter().map(json::Run::new).collect();
        ctl.document(&document)?;
    } else if all.is_empty() {
        ctl.print(&format!("No run of {target} has ended yet.\n"))?;
    } else {
        let style = ctl.style(a.full);
        ctl.show(&if a.log { runs::with_logs(&all, &style) } else { runs::table_of(&all, &style) })?;
    }
    Ok(YES)
}
