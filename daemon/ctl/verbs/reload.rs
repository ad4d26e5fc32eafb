//! `reload`: returns when the new configuration is in force, or lists every mistake.

use crate::bus::proxy::{CallError, Client, Options};
use crate::ctl::args::ReloadArgs;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, REFUSED, YES};
use crate::ctl::render::listings;

/// The call itself waits, whether `--wait` was typed or not.
pub async fn run(ctl: &Ctl, a: &ReloadArgs) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let options = Options { reason: a.reason.clone(), ..Options::default() };
    let generation = match client.reload(&options).await {
        Err(error) if error.is("ConfigInvalid") => {
            return refused(ctl, &client, error, "reload the configuration").await;
        }
        other => other.doing("reload the configuration")?,
    };
    if ctl.global.json {
        ctl.document(&serde_json::json!({ "generation": generation }))?;
    } else {
        ctl.print(&format!("The configuration on disk is in force, generation {generation}.\n"))?;
    }
    Ok(YES)
}

/// Every mistake with file, line and key on standard error. Who may not read them still gets the refusal itself.
pub async fn refused(ctl: &Ctl, client: &Client, error: CallError, what: &str) -> Result<u8, Failure> {
    let marks = client.check_config().await.unwrap_or_default();
    let errors: Vec<_> = marks.iter().filter(|m| m.is_error()).collect();
    if errors.is_empty() {
        return Err(error).doing(what);
    }
    for mark in &errors {
        ctl.output.err(&listings::mark(mark, &ctl.style));
    }
    let mistakes = listings::count(errors.len(), "mistake");
    ctl.output.err(&format!("reevectl: cannot {what}: {mistakes}, the old configuration stays in force\n"));
    Err(Failure::Said(REFUSED))
}
